package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/wgpeer"
)

// rewrite replaces texts in a file, each of which must be there.
func rewrite(t *testing.T, path string, replace ...string) {
	t.Helper()
	text := fileText(t, path)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, text, replace[i])
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// read returns a file that migrate has written for a host.
func (d outDir) read(t *testing.T, file string) []byte {
	t.Helper()
	return []byte(fileText(t, filepath.Join(string(d), file)))
}

type outDir string

// renderSample renders the sample, or what a test has made of it.
func renderSample(t *testing.T, dir string) outDir {
	t.Helper()
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	return outDir(filepath.Join(dir, "out"))
}

// runs returns the commands of a step of the runbook.
func runs(t *testing.T, runbook []byte, title string) []string {
	t.Helper()
	_, step, found := strings.Cut(string(runbook), " "+title+"\n")
	require.True(t, found, title)
	step, _, _ = strings.Cut(step, "\n##")
	_, block, found := strings.Cut(step, "\nRun:\n\n")
	require.True(t, found, title)
	var lines []string
	for line := range strings.Lines(block) {
		command, ok := strings.CutPrefix(line, "    ")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSuffix(command, "\n"))
	}
	return lines
}

// The router's files of phases 1 and 2 on a machine that has the tunnel already, with
// the commands of the runbook.
func TestTheRunbookMakesTheRouterForward(t *testing.T) {
	for _, mode := range []string{"nft", "legacy"} {
		t.Run(mode, func(t *testing.T) {
			lab.UseIPTables(t, mode)
			lab.Need(t, "wg", "bash", "sysctl")
			out := renderSample(t, sampleDir(t))
			runbook := out.read(t, "RUNBOOK.md")
			router := lab.NewHost(t, "ingress")
			lab.StartWireGuard(t, router, "wg0")
			router.Run(t, "ip", "link", "add", "ens5", "type", "veth", "peer", "name", "cloud0")
			conf := filepath.Join(string(out), "01-prepare/ingress/etc/wireguard/wg0.conf")
			info, err := os.Stat(conf)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode())
			router.Run(t, "wg", "setconf", "wg0", "testdata/present/ingress/etc/wireguard/wg0.conf")
			router.Run(t, "ip", "link", "set", "wg0", "up")
			for _, command := range runs(t, runbook, "The router's end of the tunnel") {
				router.Run(t, "bash", "-c", command)
			}
			live := router.Run(t, "wg", "showconf", "wg0")
			router.Run(t, "wg", "setconf", "wg0", conf)
			assert.ElementsMatch(t, strings.Split(live, "\n"), strings.Split(router.Run(t, "wg", "showconf", "wg0"), "\n"),
				"the commands do to the live tunnel what the file does at the next start")
			assert.Contains(t, router.Run(t, "ip", "route", "get", "192.168.14.5"), "dev wg0")
			assert.Contains(t, router.Run(t, "ip", "-6", "address", "show", "dev", "wg0"), "2001:db8:189c:700:b4d2::1/80")

			router.Run(t, "sysctl", "-p", filepath.Join(string(out), "02-both-paths/ingress/etc/sysctl.d/60-forwarding.conf"))
			before := router.Run(t, "iptables-save", "-t", "nat")
			hook := filepath.Join(string(out), "02-both-paths/ingress/etc/network/if-pre-up.d/rehost-senate")
			link, err := os.Readlink(filepath.Join(string(out), "02-both-paths/ingress/etc/network/if-post-down.d/rehost-senate"))
			require.NoError(t, err)
			assert.Equal(t, "../if-pre-up.d/rehost-senate", link)
			start := runs(t, runbook, "Forwarding")[1]
			for range 2 { // it may run as often as it likes
				router.Run(t, "bash", "-c", strings.Replace(start, "/etc/network/if-pre-up.d/rehost-senate", hook, 1))
				rules := router.Run(t, "iptables-save", "-t", "nat")
				assert.Equal(t, 8, strings.Count(rules, "\n-A "), rules)
				assert.Contains(t, rules, "-A rehost-senate-pre -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 172.16.1.4\n")
				assert.Contains(t, rules, "-A rehost-senate-post -o ens5 -j MASQUERADE\n")
			}
			stop := strings.Replace(start, "MODE=start", "MODE=stop", 1)
			assert.Contains(t, string(runbook), "`"+stop+"`", "the way back")
			router.Run(t, "bash", "-c", strings.Replace(stop, "/etc/network/if-pre-up.d/rehost-senate", hook, 1))
			assert.Equal(t, lines(before, "-A "), lines(router.Run(t, "iptables-save", "-t", "nat"), "-A "))
		})
	}
}

// lines are those that begin with a text.
func lines(text, prefix string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			list = append(list, line)
		}
	}
	return list
}

// Whatever the move file says of the tunnel, one end's file says what the other's does.
func TestBothEndsAgree(t *testing.T) {
	for name, replace := range map[string][]string{
		"the sample":       nil,
		"another port":     {"port = 51820", "port = 4500"},
		"another endpoint": {`address = "203.0.113.63"`, `address = "203.0.113.64"`},
		"another address":  {`"172.16.1.4/24"`, `"172.16.1.5/24"`},
		"another home":     {`"192.168.14.5/24"`, `"192.168.14.6/24"`},
		"another key":      {"hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw=", "0gTQfN8qLnleLVFyHy9deScbN0hxSR0w0yn25pKt/yw="},
	} {
		t.Run(name, func(t *testing.T) {
			dir := sampleDir(t)
			rewrite(t, filepath.Join(dir, "m.toml"), replace...)
			out := renderSample(t, dir)
			f, err := wgpeer.Parse("wg0.conf", out.read(t, "01-prepare/ingress/etc/wireguard/wg0.conf"))
			require.NoError(t, err)
			router, err := f.Interface()
			require.NoError(t, err)
			require.Len(t, router.Peers, 2)
			laptop, senate := router.Peers[0], router.Peers[1]
			assert.Equal(t, "E5FQb0jN5fR8XPvWL2moA5+nVV9eDrQ5srMXun3WQRk=", laptop.PublicKey.String(), "the other peers stay")
			toml := fileText(t, filepath.Join(dir, "m.toml"))
			assert.Contains(t, toml, senate.PublicKey.String())
			guest, err := netbsdcfg.ParseIfconfig("ifconfig.wg0", out.read(t, "02-both-paths/senate/etc/ifconfig.wg0"))
			require.NoError(t, err)
			var peer []string
			for _, c := range guest.Commands("wg0") {
				if len(c.Argv) > 3 && c.Argv[2] == "add" && c.Argv[3] == "peer" {
					peer = c.Argv
				}
			}
			require.Len(t, peer, 8)
			assert.Contains(t, toml, peer[5])
			assert.True(t, strings.HasSuffix(peer[6], ":"+strconv.Itoa(int(router.ListenPort))), "%s, port %d", peer[6], router.ListenPort)
			for _, own := range guest.Addrs() {
				allowed := 0
				for _, p := range senate.AllowedIPs {
					if p.Contains(own.Addr()) {
						allowed++
					}
				}
				assert.Equal(t, 1, allowed, own)
			}
		})
	}
}

func TestMistakesAtTheRouter(t *testing.T) {
	const conf = "in/ingress/etc/wireguard/wg0.conf"
	tests := []struct {
		name string
		make func(t *testing.T, dir string)
		want string // "" if it is rendered
	}{
		{"no file and no key", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, conf)))
			rewrite(t, filepath.Join(dir, "m.toml"), `key_file = "/etc/wireguard/wg0.key"`, "")
		}, "tunnel.router.key_file: is missing, and so is ingress/etc/wireguard/wg0.conf"},
		{"no file", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, conf))) }, ""},
		{"another key in the file", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, conf), "[Interface]", "[Interface]\nPrivateKey = QNT/fE0wzNc08UTo+TIOr+ltKwIqgtU0tZoIWYxzDFk=")
		}, "tunnel.router.public_key: dMlWBAQ0J/C+4dDha/pTr9U39zatAHPEzE4cyzqCtdw= is not that of the private key in /etc/wireguard/wg0.conf, which is 0gTQfN8qLnleLVFyHy9deScbN0hxSR0w0yn25pKt/yw="},
		{"another peer has the guest's address", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, conf), "172.16.1.9/32", "172.16.1.4/32")
		}, "172.16.1.4/32"},
		{"a file that wg refuses", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, conf), "ListenPort = 51820", "ListenPort = no")
		}, "in/ingress/etc/wireguard/wg0.conf:3:14"},
		{"a name that is too long for a chain", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, "m.toml"), `name = "senate"`, `name = "senate-of-the-republic"`)
			require.NoError(t, os.Rename(filepath.Join(dir, "in/senate"), filepath.Join(dir, "in/senate-of-the-republic")))
		}, `service: name: "senate-of-the-republic": is longer than 16 bytes`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := sampleDir(t)
			tt.make(t, dir)
			code, _, stderr := migrate(t, dir)
			if tt.want == "" {
				assert.Equal(t, 0, code, stderr)
				return
			}
			assert.Equal(t, 1, code)
			assert.Contains(t, stderr, tt.want)
			assert.NotContains(t, stderr, "QNT/", "a secret")
			assert.NoFileExists(t, filepath.Join(dir, "out"))
		})
	}
}

// A router whose tunnel wg-quick makes keeps it: no fragment of ifupdown is added.
func TestARouterWithWGQuick(t *testing.T) {
	dir := sampleDir(t)
	rewrite(t, filepath.Join(dir, "in/ingress/etc/wireguard/wg0.conf"),
		"[Interface]", "[Interface]\nPostUp = wg set %i private-key /etc/wireguard/wg0.key\nAddress = 172.16.1.1/24 # and no IPv6 yet")
	out := renderSample(t, dir)
	assert.NoDirExists(t, filepath.Join(string(out), "01-prepare/ingress/etc/network"))
	diff := string(out.read(t, "diffs/01-prepare/ingress/etc/wireguard/wg0.conf.diff"))
	assert.Contains(t, diff, "+Address = 172.16.1.1/24, 2001:db8:189c:700:b4d2::1/80 # and no IPv6 yet\n")
	assert.Contains(t, diff, "+# senate\n")
}

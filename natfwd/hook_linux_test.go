package natfwd

import (
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// newRouter makes a host with the interface ens5, on whose far end there is nobody.
func newRouter(t *testing.T) lab.Host {
	t.Helper()
	h := lab.NewHost(t, "hook")
	h.Run(t, "ip", "link", "add", "ens5", "type", "veth", "peer", "name", "far")
	h.Run(t, "ip", "link", "set", "far", "up")
	return h
}

// mount covers a folder for as long as the test lasts: with another one, or with an
// empty one if source is "".
func mount(t *testing.T, source, folder string) {
	t.Helper()
	err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "")
	if source != "" {
		err = syscall.Mount(source, folder, "", syscall.MS_BIND, "")
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(folder, syscall.MNT_DETACH)) })
}

func commandOn(t *testing.T, h lab.Host, argv ...string) *exec.Cmd {
	argv = h.Command(argv...)
	return exec.CommandContext(t.Context(), argv[0], argv[1:]...)
}

// rulesOn returns the rules and chains of both families without counters, comments
// and tables that are empty.
func rulesOn(t *testing.T, h lab.Host) string {
	t.Helper()
	var list strings.Builder
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		list.WriteString("# " + program + "\n")
		text := regexp.MustCompile(`(?m)^#.*\n| \[\d+:\d+\]$`).ReplaceAllString(h.Run(t, program), "")
		text = regexp.MustCompile(`(?m)^\*.*\n(:.* ACCEPT\n)*COMMIT\n`).ReplaceAllString(text, "")
		list.WriteString(text)
	}
	return list.String()
}

// addOthersRules adds what the router's owner has in the nat tables; one of the
// rules reads like one of ours.
func addOthersRules(t *testing.T, h lab.Host) {
	t.Helper()
	for _, program := range []string{"iptables", "ip6tables"} {
		h.Run(t, program, "-t", "nat", "-N", "others")
		h.Run(t, program, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "8080", "-j", "others")
		h.Run(t, program, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "25", "-m", "comment", "--comment", "-A PREROUTING -j rehost-senate-pre", "-j", "ACCEPT")
		h.Run(t, program, "-t", "nat", "-A", "others", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "80")
		h.Run(t, program, "-A", "FORWARD", "-i", "ens5", "-j", "ACCEPT")
	}
}

const interfaces = `auto ens5
iface ens5 inet manual
	up ip link set ens5 up
	up ip address replace 203.0.113.63/24 dev ens5
	up test ! -e /run/fail
	down ip address flush dev ens5
iface ens5 inet6 manual
	up ip address replace 2001:db8:189c:700::63/64 dev ens5 nodad
	down ip link set ens5 down
`

func TestHookUnderIfupdown(t *testing.T) {
	lab.Need(t, "ifup", "ifdown", "ifquery")
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			lab.UseIPTables(t, backend)
			// ifup has a PATH of its own, which begins there.
			mount(t, filepath.SplitList(os.Getenv("PATH"))[0], "/usr/local/sbin")
			mount(t, "", "/etc/network")
			for _, phase := range []string{"up", "down"} { // ifup fails without
				require.NoError(t, os.Mkdir("/etc/network/if-"+phase+".d", 0o755))
			}
			require.NoError(t, os.Mkdir("/run/network", 0o755)) // what is up, in this network namespace
			t.Cleanup(func() { assert.NoError(t, os.RemoveAll("/run/network")) })
			h := newRouter(t)
			addOthersRules(t, h)
			other := mail()
			other.Name, other.Forwards = "senate-2", other.Forwards[1:]
			other.Forwards[0].Ports = []PortRange{{First: 5353}}
			other.Masquerade = nil
			runScript(t, h, other, "start")
			before := rulesOn(t, h)
			require.Equal(t, 2*2, strings.Count(before, "\n-A PREROUTING -j rehost-senate-2-pre\n")+strings.Count(before, "\n-A rehost-senate-2-pre -i"), before)

			require.NoError(t, os.WriteFile("/etc/network/interfaces", []byte(interfaces), 0o644))
			save(t, mail(), "/")
			loaded := ""
			steps := []struct {
				argv  []string
				fail  bool // the later command of the stanza fails
				isErr bool
				up    bool // the set is loaded afterwards
			}{
				{argv: []string{"ifup", "ens5"}, up: true},
				{argv: []string{"ifup", "ens5"}, up: true},
				{argv: []string{"ifup", "--force", "ens5"}, up: true},
				{argv: []string{"ifdown", "ens5"}},
				{argv: []string{"ifdown", "ens5"}},
				{argv: []string{"ifdown", "--force", "ens5"}},
				{argv: []string{"ifup", "ens5"}, fail: true, isErr: true, up: true},
				{argv: []string{"ifup", "ens5"}, fail: true, isErr: true, up: true},
				{argv: []string{"ifup", "--force", "ens5"}, up: true},
				{argv: []string{"ifdown", "ens5"}},
				{argv: []string{"ifup", "-a"}, up: true},
				{argv: []string{"ifup", "-a"}, up: true},
				{argv: []string{"ifdown", "-a"}},
			}
			for i, step := range steps {
				if step.fail {
					require.NoError(t, os.WriteFile("/run/fail", nil, 0o644))
				}
				out, err := commandOn(t, h, step.argv...).CombinedOutput()
				os.Remove("/run/fail")
				assert.Equal(t, step.isErr, err != nil, "step %d %q: %s", i, step.argv, out)
				if !step.fail {
					assert.NotContains(t, string(out), "tables", "step %d %q", i, step.argv)
				}
				rules := rulesOn(t, h)
				if !step.up {
					require.Equal(t, before, rules, "step %d %q: %s", i, step.argv, out)
					continue
				}
				if loaded == "" {
					loaded = rules
					// Per family a call and a rule for each of TCP and UDP, a call and a masquerade.
					assert.Equal(t, strings.Count(before, "\n-A")+2*5, strings.Count(loaded, "\n-A"), loaded)
				}
				require.Equal(t, loaded, rules, "step %d %q: %s", i, step.argv, out)
			}

			require.NoError(t, os.Remove("/etc/network/if-pre-up.d/rehost-senate"))
			h.Run(t, "ifup", "ens5") // with a link that leads nowhere
			h.Run(t, "ifdown", "ens5")
			assert.Equal(t, before, rulesOn(t, h))
		})
	}
}

// runScript runs the hook as ifupdown does, and returns what it says.
func runScript(t *testing.T, h lab.Host, s Set, mode string, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	save(t, s, dir)
	phase := map[string]string{"start": "pre-up", "stop": "post-down"}[mode]
	cmd := commandOn(t, h, filepath.Join(dir, "/etc/network/if-"+phase+".d", "rehost-"+s.Name))
	cmd.Env = append(os.Environ(), append([]string{"IFACE=ens5", "MODE=" + mode}, env...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// TestHook runs the script alone, where the machine is not as it should be.
func TestHook(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			lab.UseIPTables(t, backend)
			h := newRouter(t)
			addOthersRules(t, h)
			before := rulesOn(t, h)
			ipv4, ipv6, _ := strings.Cut(before, "# ip6tables-save\n")
			assert.Empty(t, runScript(t, h, mail(), "stop"))
			assert.Equal(t, before, rulesOn(t, h))
			assert.Empty(t, runScript(t, h, mail(), "start"))
			loaded := rulesOn(t, h)
			loaded4, _, _ := strings.Cut(loaded, "# ip6tables-save\n")

			t.Run("is for its interface only", func(t *testing.T) {
				for _, iface := range []string{"--all", "ens6", "ens5.7", ""} {
					assert.Empty(t, runScript(t, h, mail(), "stop", "IFACE="+iface))
					assert.Equal(t, loaded, rulesOn(t, h))
				}
				assert.Empty(t, runScript(t, h, mail(), "stop", "MODE="))
				assert.Equal(t, loaded, rulesOn(t, h))
			})
			t.Run("removes what an older form of the set had", func(t *testing.T) {
				old := mail()
				old.Local, old.Hairpin = true, true
				assert.Empty(t, runScript(t, h, old, "start"))
				assert.Contains(t, rulesOn(t, h), "-A OUTPUT -j rehost-senate-out")
				assert.Empty(t, runScript(t, h, mail(), "start"))
				assert.Equal(t, loaded, rulesOn(t, h))
				only4 := mail()
				for i := range only4.Forwards {
					only4.Forwards[i].To = only4.Forwards[i].To[:1]
				}
				assert.Empty(t, runScript(t, h, only4, "start"))
				assert.Equal(t, loaded4+"# ip6tables-save\n"+ipv6, rulesOn(t, h))
				assert.Empty(t, runScript(t, h, Set{Name: "senate"}, "start"))
				assert.Equal(t, before, rulesOn(t, h))
			})
			t.Run("removes whatever calls its chains", func(t *testing.T) {
				assert.Empty(t, runScript(t, h, mail(), "start"))
				h.Run(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-j", "rehost-senate-pre")
				h.Run(t, "iptables", "-t", "nat", "-A", "others", "-m", "comment", "--comment", "it's \"mine\"", "-g", "rehost-senate-pre")
				assert.Empty(t, runScript(t, h, mail(), "stop"))
				assert.Equal(t, before, rulesOn(t, h))
			})
			t.Run("reads comments as bytes", func(t *testing.T) {
				assert.Empty(t, runScript(t, h, mail(), "start"))
				h.Run(t, "iptables", "-t", "nat", "-A", "others", "-m", "comment", "--comment", "caf\xe9", "-j", "rehost-senate-pre")
				assert.Empty(t, runScript(t, h, mail(), "stop", "LC_ALL=C.UTF-8"))
				assert.Equal(t, before, rulesOn(t, h))
			})
			t.Run("is not led astray by lines in comments", func(t *testing.T) {
				rule := []string{"PREROUTING", "-p", "tcp", "--dport", "9", "-m", "comment", "--comment", "one\n-A PREROUTING -j rehost-senate-pre\ntwo", "-j", "ACCEPT"}
				h.Run(t, append([]string{"iptables", "-t", "nat", "-A"}, rule...)...)
				odd := rulesOn(t, h)
				assert.Contains(t, runScript(t, h, mail(), "start"), "rehost-senate: the forwards of iptables are as they were, since this cannot be read: -A PREROUTING ")
				assert.Contains(t, rulesOn(t, h), odd[:strings.Index(odd, "# ip6tables-save")])
				h.Run(t, append([]string{"iptables", "-t", "nat", "-D"}, rule...)...)
				assert.Empty(t, runScript(t, h, mail(), "stop"))
				assert.Equal(t, before, rulesOn(t, h))
			})
			t.Run("leaves a table that iptables cannot show", func(t *testing.T) {
				if backend == "legacy" {
					t.Skip("legacy iptables knows all that can be in its tables")
				}
				lab.Need(t, "nft")
				assert.Empty(t, runScript(t, h, mail(), "start"))
				h.Run(t, "iptables", "-t", "nat", "-N", "odd")
				h.Run(t, "nft", "add rule ip nat odd numgen random mod 2 == 0 accept")
				odd := h.Run(t, "nft", "list table ip nat")
				for _, mode := range []string{"start", "stop"} {
					out := runScript(t, h, mail(), mode)
					assert.Equal(t, "rehost-senate: the forwards of iptables are as they were, since this cannot be read: # Table `nat' is incompatible, use 'nft' tool.\n", out)
					assert.Equal(t, odd, h.Run(t, "nft", "list table ip nat"))
				}
				h.Run(t, "nft", "flush chain ip nat odd; delete chain ip nat odd")
				assert.Empty(t, runScript(t, h, mail(), "stop"))
				assert.Equal(t, before, rulesOn(t, h))
			})
			t.Run("says that it cannot remove", func(t *testing.T) {
				assert.Empty(t, runScript(t, h, mail(), "start"))
				dir := t.TempDir()
				script := "#!/bin/sh\necho 'Permission denied' >&2; exit 4\n"
				require.NoError(t, os.WriteFile(filepath.Join(dir, "iptables-save"), []byte(script), 0o755))
				out := runScript(t, h, mail(), "stop", "PATH="+dir+":"+os.Getenv("PATH"))
				assert.Equal(t, "Permission denied\nrehost-senate: the forwards of iptables are as they were\n", out)
				assert.Empty(t, runScript(t, h, mail(), "stop"))
				assert.Equal(t, before, rulesOn(t, h))
			})
			t.Run("is silent with many rules where nobody hears SIGPIPE", func(t *testing.T) {
				many := mail()
				for port := range uint16(3000) {
					f := many.Forwards[0]
					f.Ports = []PortRange{{First: 2000 + port}}
					many.Forwards = append(many.Forwards, f)
				}
				signal.Ignore(syscall.SIGPIPE) // which programs inherit, as from systemd
				defer signal.Reset(syscall.SIGPIPE)
				assert.Empty(t, runScript(t, h, many, "start"))
				full := rulesOn(t, h)
				assert.Empty(t, runScript(t, h, many, "start"))
				assert.Equal(t, full, rulesOn(t, h))
				assert.Empty(t, runScript(t, h, many, "stop"))
				assert.Equal(t, before, rulesOn(t, h))
			})
			t.Run("without IPv6", func(t *testing.T) {
				for name, breakIPv6 := range map[string]func(t *testing.T, dir string){
					"no program": func(*testing.T, string) {},
					"no protocol": func(t *testing.T, dir string) {
						for _, program := range []string{"ip6tables-save", "ip6tables-restore"} {
							script := "#!/bin/sh\necho 'ip6tables: no IPv6 here' >&2; exit 3\n"
							require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755))
						}
					},
					"refuses": func(t *testing.T, dir string) {
						script := "#!/bin/sh\necho 'ip6tables: no table nat' >&2; cat >/dev/null; exit 1\n"
						require.NoError(t, os.WriteFile(filepath.Join(dir, "ip6tables-restore"), []byte(script), 0o755))
						path, err := exec.LookPath("ip6tables-save")
						require.NoError(t, err)
						require.NoError(t, os.Symlink(path, filepath.Join(dir, "ip6tables-save")))
					},
				} {
					t.Run(name, func(t *testing.T) {
						dir := t.TempDir()
						for _, program := range []string{"sh", "cat", "sed", "grep", "iptables-save", "iptables-restore"} {
							path, err := exec.LookPath(program)
							require.NoError(t, err)
							require.NoError(t, os.Symlink(path, filepath.Join(dir, program)))
						}
						breakIPv6(t, dir)
						out := runScript(t, h, mail(), "start", "PATH="+dir)
						assert.Contains(t, out, "rehost-senate: the forwards of ip6tables are as they were\n")
						assert.NotContains(t, out, "iptables are as they were\nrehost")
						assert.Equal(t, loaded4+"# ip6tables-save\n"+ipv6, rulesOn(t, h))
						assert.Empty(t, runScript(t, h, mail(), "stop", "PATH="+dir))
						assert.Equal(t, ipv4+"# ip6tables-save\n"+ipv6, rulesOn(t, h))
					})
				}
			})
		})
	}
}

// TestHookAndApplyAgree has each find nothing to do after the other.
func TestHookAndApplyAgree(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			lab.UseIPTables(t, backend)
			h := newRouter(t)
			addOthersRules(t, h)
			before := rulesOn(t, h)
			apply := func(s Set) (changes string) {
				t.Helper()
				require.NoError(t, h.Do(func() error {
					var backends []Backend
					for _, family := range []Family{IPv4, IPv6} {
						b, err := NewIPTables(family, &IPTablesOptions{RunDir: t.TempDir()})
						if err != nil {
							return err
						}
						backends = append(backends, b)
					}
					plan, err := Diff(t.Context(), s, backends...)
					if err != nil {
						return err
					}
					changes = plan.String()
					return Apply(t.Context(), plan)
				}))
				return changes
			}
			s := mail()
			s.Hairpin, s.Local = true, true
			s.Forwards[0].Ports[0].First, s.Forwards[0].ToPort = 26, 2500
			s.Forwards[0].From = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:1::/48")}

			assert.Empty(t, runScript(t, h, s, "start"))
			loaded := rulesOn(t, h)
			assert.Empty(t, apply(s))
			assert.NotEmpty(t, apply(Set{Name: s.Name}))
			assert.Equal(t, before, rulesOn(t, h))
			assert.NotEmpty(t, apply(s))
			assert.Equal(t, loaded, rulesOn(t, h))
			assert.Empty(t, runScript(t, h, s, "start"))
			assert.Equal(t, loaded, rulesOn(t, h))
			assert.Empty(t, runScript(t, h, s, "stop"))
			assert.Equal(t, before, rulesOn(t, h))
			assert.Empty(t, apply(Set{Name: s.Name}))
		})
	}
}

package netbsdcfg_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/netbsdcfg"
)

// argvs are the commands without their lines, one string for each.
func argvs(f *netbsdcfg.Ifconfig) []string {
	var list []string
	for _, c := range f.Commands("wg0") {
		list = append(list, fmt.Sprintf("%q%q", c.Argv, c.Shell))
	}
	return list
}

// added asserts that an edit, which returned err, added one line for one of the
// commands wants to the text and changed nothing else; or that it failed, or the command
// was there, perhaps on a last line that was lost, and it changed nothing else.
// It reports whether there is a line more.
func added(t *testing.T, before string, f *netbsdcfg.Ifconfig, err error, wants ...[]string) bool {
	t.Helper()
	after := string(f.Bytes())
	if err != nil {
		var value *netbsdcfg.ValueError
		require.ErrorAs(t, err, &value)
		require.Equal(t, before, after, "a failed edit leaves the file untouched")
		return false
	}
	// The last line gets its newline, and what must not be swallowed another.
	completed := []string{before, before + "\n", before + "\n\n"}
	var commands []string
	for _, want := range wants {
		commands = append(commands, fmt.Sprintf("%q%q", want, ""))
	}
	wanted := func(command string) bool { return slices.Contains(commands, command) }
	if slices.Contains(completed, after) {
		require.True(t, slices.ContainsFunc(argvs(f), wanted))
		return false
	}
	require.True(t, strings.HasSuffix(after, "\n"))
	lines := strings.SplitAfter(after, "\n")
	for i := range lines {
		rest := strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")
		if !slices.Contains(completed, rest) {
			continue
		}
		old, now := argvs(parse(t, rest)), argvs(f)
		require.Equal(t, now, argvs(parse(t, after)), "parsing again returns the same")
		for k := range now {
			if wanted(now[k]) && slices.Equal(slices.Delete(slices.Clone(now), k, k+1), old) {
				return true
			}
		}
	}
	t.Fatalf("%q became %q, which is not one line more that runs %q\n%q", before, after, wants, argvs(f))
	return false
}

func addSeeds(f *testing.F, add func(text string)) {
	add(wg)
	for _, tt := range quirks {
		add(tt.text)
	}
	add("!route add default 10.0.0.1\ninet 10.0.0.2/8\n")
	add("inet 10.0.0.1/8\ninet 10.0.0.1 delete\n")
}

func FuzzIfconfig(f *testing.F) {
	addSeeds(f, func(text string) { f.Add(text, []byte{10, 0, 0, 7}, 8, []byte{10, 0, 0, 1}) })
	f.Add("inet6 2001:db8::1/64\n", []byte("2001:db8:: 16 by"), 64, []byte("the gateway, 16b"))
	f.Fuzz(func(t *testing.T, text string, ip []byte, bits int, gw []byte) {
		file := parse(t, text)
		require.Equal(t, text, string(file.Bytes()))
		require.Empty(t, file.Changes())
		for _, p := range file.Check() {
			require.True(t, p.Line > 0 && p.Line <= strings.Count(text, "\n")+1, "%v", p)
		}
		require.Equal(t, text, string(file.Bytes()), "reading changes nothing")
		for _, p := range file.Addrs() {
			if err := file.AddAddr(p); err != nil {
				refused(t, err, "address", "") // what no interface can have
			}
		}
		require.Equal(t, text, string(file.Bytes()), "to add what is there changes nothing")

		a, _ := netip.AddrFromSlice(ip)
		via, _ := netip.AddrFromSlice(gw)
		p := netip.PrefixFrom(a, bits)
		had := parse(t, text+"\n\n").Addrs() // an edit completes a lost last line
		err := file.AddAddr(p)
		if err == nil && !slices.Contains(had, p) {
			first := []string{"ifconfig", "wg0", "inet", p.String()}
			added(t, text, file, nil, first, append(first, "alias"), []string{"ifconfig", "wg0", "inet6", p.String(), "alias"})
			require.Subset(t, file.Addrs(), had)
			require.Contains(t, file.Addrs(), p)
		} else if err != nil {
			added(t, text, file, err)
		}

		before := string(file.Bytes())
		if err := file.AddRoute(p.Masked(), via); err != nil {
			added(t, before, file, err)
		} else {
			again := string(file.Bytes())
			require.NoError(t, file.AddRoute(p.Masked(), via))
			require.Equal(t, again, string(file.Bytes()))
		}

		before = string(file.Bytes())
		if found, err := file.RemoveAddr(p); !found {
			require.Equal(t, before, string(file.Bytes()))
		} else {
			require.NoError(t, err)
			require.NotEqual(t, before, string(file.Bytes()))
			require.NoError(t, file.AddAddr(p), "and back again")
		}
		for _, c := range file.Commands("wg0") {
			before := string(file.Bytes())
			if file.RemoveCommand(c.Argv...) {
				require.NotEqual(t, before, string(file.Bytes()))
			} else {
				require.Equal(t, before, string(file.Bytes()))
			}
		}
	})
}

func FuzzAddCommand(f *testing.F) {
	addSeeds(f, func(text string) { f.Add(text, "logger", "it's  $int; `x`", "# \\") })
	for _, word := range []string{"exit", "!", "a=b", "~", "*", "{", "if", "cat", "wg-keygen", "wgconfig", "route", "ifconfig", "\u00a0", "\x7f", ""} {
		f.Add("up\n", word, "--pub", "add")
		f.Add("up\n", "logger", word, word)
	}
	f.Fuzz(func(t *testing.T, text, a, b, c string) {
		file := parse(t, text)
		argv := []string{a, b, c}
		if added(t, text, file, file.AddCommand(argv...), argv) {
			now := string(file.Bytes())
			require.NoError(t, file.AddCommand(argv...))
			require.Equal(t, now, string(file.Bytes()), "again")
			require.True(t, file.RemoveCommand(argv...))
			require.NotContains(t, argvs(file), fmt.Sprintf("%q%q", argv, ""))
		}

		file = parse(t, text)
		added(t, text, file, file.AddLine(argv...), append([]string{"ifconfig", "wg0"}, argv...))
	})
}

func FuzzWireGuard(f *testing.F) {
	f.Add("router", routerKey, "203.0.113.63:51820", "/etc/wg/wg0", "", uint16(51820), []byte{172, 16, 1, 4}, 24, 3, []byte{192, 168, 14, 254}, []byte{172, 16, 1, 1}, true)
	f.Add("a b", routerKey, "[2001:db8::1]:1", "/k $x", "/p'", uint16(0), []byte("sixteen bytes..."), 64, 16, []byte("16 bytes as well"), []byte(nil), false)
	f.Add("x", otherKey, "", "/k", "/p", uint16(1), []byte{10, 0, 0, 1}, 8, 17, []byte(nil), []byte{10, 0, 0, 2}, false)
	f.Fuzz(func(t *testing.T, name, key, end, keyFile, psk string, port uint16, ip []byte, bits, allowed int, via, gw []byte, rerun bool) {
		own, _ := netip.AddrFromSlice(ip)
		endpointVia, _ := netip.AddrFromSlice(via)
		gateway, _ := netip.AddrFromSlice(gw)
		w := netbsdcfg.WireGuard{
			Addresses: []netip.Prefix{netip.PrefixFrom(own, bits)},
			KeyFile:   keyFile, ListenPort: port, EndpointVia: endpointVia, Rerun: rerun,
			Peers: []netbsdcfg.WGPeer{{Name: name, PublicKey: key, Endpoint: end, PresharedKeyFile: psk}},
		}
		if gateway.Is4() {
			w.DefaultRoute4 = gateway
		} else {
			w.DefaultRoute6 = gateway
		}
		add := []string{"wgconfig", "wg0", "add", "peer", name, key}
		if end != "" {
			add = append(add, "--endpoint="+end)
		}
		var list []string
		for i := range max(0, min(allowed, 20)) {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16)
			w.Peers[0].AllowedIPs = append(w.Peers[0].AllowedIPs, p)
			list = append(list, p.String())
		}
		if list != nil {
			add = append(add, "--allowed-ips="+strings.Join(list, ","))
		}
		if psk != "" {
			add = append(add, "--preshared-key="+psk)
		}

		file, err := w.Ifconfig()
		if err != nil {
			var value *netbsdcfg.ValueError
			require.ErrorAs(t, err, &value)
			return
		}
		require.NoError(t, file.Check().Err())
		cmds := file.Commands("wg0")
		require.Len(t, cmds, strings.Count(string(file.Bytes()), "\n"), "one command a line")
		var got, routes [][]string
		for _, c := range cmds {
			require.NotNil(t, c.Argv, "%v", c)
			switch c.Argv[0] {
			case "wgconfig":
				require.NoError(t, netbsdcfg.ValidateWGConfig(c.Argv[1:]))
				got = append(got, c.Argv)
			case "route":
				routes = append(routes, c.Argv)
			}
		}
		want := [][]string{{"wgconfig", "wg0", "set", "private-key", keyFile}}
		if port != 0 {
			want = append(want, []string{"wgconfig", "wg0", "set", "listen-port", fmt.Sprint(port)})
		}
		if rerun {
			want = append(want, []string{"wgconfig", "wg0", "delete", "peer", name})
		}
		require.Equal(t, append(want, add), got)
		assert.Equal(t, w.Addresses, file.Addrs())
		if gateway.IsValid() {
			require.Equal(t, gateway.String(), routes[len(routes)-1][len(routes[len(routes)-1])-1])
		}
	})
}

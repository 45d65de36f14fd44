package natfwd

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

// commandsOf returns a script without comments and here-documents, and the lines of
// the latter.
func commandsOf(t *testing.T, script string) (commands string, lines []string) {
	t.Helper()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(script), "")
	require.NoError(t, err, script)
	syntax.Walk(file, func(node syntax.Node) bool {
		redirect, ok := node.(*syntax.Redirect)
		if !ok || redirect.Hdoc == nil {
			return true
		}
		for _, part := range redirect.Hdoc.Parts {
			text, ok := part.(*syntax.Lit)
			require.True(t, ok, "the shell would expand %T", part)
			for line := range strings.Lines(text.Value) {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
			}
		}
		redirect.Hdoc = nil
		return false
	})
	var b strings.Builder
	require.NoError(t, syntax.NewPrinter(syntax.Minify(true)).Print(&b, file))
	return b.String(), lines
}

// FuzzHook tries that whatever is not refused runs the commands of any other hook,
// with rules of the set's own chains as their input.
func FuzzHook(f *testing.F) {
	f.Add("senate", "ens5", "ens5", "tcp", uint16(25), uint16(0), "203.0.113.63", "10.77.0.2", "192.0.2.0/24", "ens5", true)
	f.Add("senate", "ens5", "", "udp", uint16(53), uint16(60), "2001:db8::1", "fd77::2", "", "", false)
	f.Add("a\nreboot", "ens5;reboot", "$(reboot)", "tcp\nEND\nreboot", uint16(1), uint16(2), "fe80::1%$(reboot)", "fe80::1%'", "::/0", "`reboot`", true)
	f.Fuzz(func(t *testing.T, name, hook, iface, proto string, first, last uint16, dst, to, from, masquerade string, extras bool) {
		s := Set{Name: name, Hairpin: extras, Local: extras}
		fw := Forward{Proto: Proto(proto), Iface: iface, Ports: []PortRange{{first, last}}}
		if a, err := netip.ParseAddr(dst); err == nil {
			fw.Dst = []netip.Addr{a}
		}
		if a, err := netip.ParseAddr(to); err == nil {
			fw.To = []netip.Addr{a}
		}
		if p, err := netip.ParsePrefix(from); err == nil {
			fw.From = []netip.Prefix{p}
		}
		if to != "" {
			s.Forwards = []Forward{fw}
		}
		if masquerade != "" {
			s.Masquerade = []string{masquerade}
		}
		outputs, err := s.Hook(hook)
		if err != nil {
			return
		}
		for _, o := range outputs {
			assert.Regexp(t, `^/etc/network/if-(pre-up|post-down)\.d/rehost-[A-Za-z0-9_-]+$`, o.Path)
		}
		other, err := mail().Hook("ens5")
		require.NoError(t, err)
		want, _ := commandsOf(t, string(other[0].Data))
		want = strings.NewReplacer("'rehost-senate'", "'rehost-"+name+"'", "'ens5'", "'"+hook+"'").Replace(want)
		got, lines := commandsOf(t, string(outputs[0].Data))
		assert.Equal(t, want, got)
		rule := regexp.MustCompile(`^(:C - \[0:0\]|-A C [][A-Za-z0-9_ .:/,!-]+)$`)
		for _, line := range lines {
			assert.Regexp(t, rule, strings.NewReplacer("rehost-"+name+"-pre", "C", "rehost-"+name+"-out", "C", "rehost-"+name+"-post", "C").Replace(line))
		}

		unit, err := s.Unit()
		require.NoError(t, err)
		assert.Equal(t, strings.ReplaceAll(s.script(), "\n\n", "\n"), inputOf(t, unit.Data))
	})
}

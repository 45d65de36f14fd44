package netbsdcfg

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/textfile"
)

// changedLines returns which lines of old are not in new, from first to before
// end, and how many lines stand in their place.
func changedLines(old, new string) (first, end, added int) {
	a, b := textfile.Lines([]byte(old)), textfile.Lines([]byte(new))
	for first < len(a) && first < len(b) && a[first] == b[first] {
		first++
	}
	same := 0
	for same < len(a)-first && same < len(b)-first && a[len(a)-1-same] == b[len(b)-1-same] {
		same++
	}
	return first, len(a) - same, len(b) - same - first
}

// knownBut returns what Get knows, without one variable.
func knownBut(rc *RC, key string) map[string]string {
	vars := maps.Collect(rc.All())
	delete(vars, key)
	return vars
}

func FuzzRC(f *testing.F) {
	for _, piece := range rcPieces {
		f.Add(piece+"pf=YES # on\n#a=1\n", "a", "x y")
	}
	f.Add(rcDefaults+"defaultroute=192.0.2.1\n#defaultroute=192.0.2.2\n", "defaultroute", "192.0.2.3")
	f.Add("a=1", "b", "2")
	f.Add("a=1\\", "a", "2")
	f.Add("a=1 # c\\\nb=2\n", "b", "3")
	f.Add("if x\nfi\n", "a", "1")
	f.Add("(){S", "a", "1")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		rc, err := ParseRC("rc.conf", []byte(text))
		if strings.Contains(text, "\x00") {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, text, string(rc.Bytes()))
		for key, value := range rc.All() {
			require.NoError(t, rc.Set(key, value))
		}
		require.Equal(t, text, string(rc.Bytes()))
		for _, p := range rc.Check() {
			require.NotEmpty(t, p.Message)
		}

		others := knownBut(rc, key)
		mayTouch := func(line int) bool { // from 0
			s := rc.script()
			lines := newLineIndex(text)
			for _, a := range s.assigns {
				from, _ := lines.place(a.from)
				to, _ := lines.place(a.to)
				if a.key == key && line >= from-1 && line <= to-1 {
					return true
				}
			}
			return line == len(textfile.Lines([]byte(text)))-1 && !strings.HasSuffix(text, "\n")
		}
		edited := func() *RC {
			rc, err := ParseRC("rc.conf", []byte(text))
			require.NoError(t, err)
			return rc
		}

		set := edited()
		if err := set.Set(key, value); err != nil {
			require.Equal(t, text, string(set.Bytes()))
		} else {
			again := parseRC(t, string(set.Bytes()))
			got, ok := again.Get(key)
			require.True(t, ok)
			require.Equal(t, value, got)
			require.Equal(t, others, knownBut(again, key))
			first, end, added := changedLines(text, set.text)
			for line := first; line < end; line++ {
				require.True(t, mayTouch(line), "line %d of %q in %q", line+1, text, set.text)
			}
			require.LessOrEqual(t, added, end-first+1)
		}

		commented := edited()
		if commented.Comment(key) {
			again := parseRC(t, string(commented.Bytes()))
			require.Equal(t, others, knownBut(again, key))
			require.True(t, again.Uncomment(key))
			require.Equal(t, text, string(again.Bytes()))
		} else {
			require.Equal(t, text, string(commented.Bytes()))
		}

		uncommented := edited()
		if uncommented.Uncomment(key) {
			again := parseRC(t, string(uncommented.Bytes()))
			_, ok := again.Get(key)
			require.True(t, ok)
			require.Equal(t, others, knownBut(again, key))
		} else {
			require.Equal(t, text, string(uncommented.Bytes()))
		}

		removed := edited()
		if removed.Unset(key) {
			again := parseRC(t, string(removed.Bytes()))
			_, ok := again.Get(key)
			require.False(t, ok)
			require.Equal(t, others, knownBut(again, key))
		} else {
			require.Equal(t, text, string(removed.Bytes()))
		}
	})
}

// What Set accepts is one assignment on one line, whatever the value.
func FuzzRCSet(f *testing.F) {
	files := []string{"", "a=1\n", "a='1'\n", "a=\"1\" # c\n", "b=0 a=1;c=2\n", "export a=1 b\n", "a=1", "if x; then a=1; fi\n"}
	for _, value := range []string{"x", "it's", "$(reboot)", "`reboot`", "x\nreboot", "\"; reboot; \"", "'; reboot; '", "\\", "#", "~", "$'\\n'", "\r", "a b", "*", "é", "\xff"} {
		for i := range files {
			f.Add(byte(i), "a", value)
		}
	}
	f.Add(byte(0), "a;reboot", "x")
	f.Add(byte(0), "a\nb", "x")
	f.Fuzz(func(t *testing.T, n byte, key, value string) {
		text := files[int(n)%len(files)]
		before := parseRC(t, text)
		rc := parseRC(t, text)
		if rc.Set(key, value) != nil {
			require.Equal(t, text, rc.text)
			return
		}
		require.LessOrEqual(t, strings.Count(rc.text, "\n"), strings.Count(text, "\n")+2)
		again := parseRC(t, rc.text)
		got, ok := again.Get(key)
		require.True(t, ok)
		require.Equal(t, value, got)
		require.Equal(t, knownBut(before, key), knownBut(again, key))
		was, is := before.script(), again.script()
		require.True(t, slices.EqualFunc(was.others, is.others, func(a, b other) bool { return a.text == b.text }))
		require.LessOrEqual(t, len(is.assigns), len(was.assigns)+1)
	})
}

func FuzzModules(f *testing.F) {
	f.Add("# modules\nif_wg\n", "if_wg", "")
	f.Add("foo", "if_wg", "-f x=1")
	f.Add("foo -b \"x y\" # c\n\\\n", "foo", "")
	f.Add("a\\\nb\n#c\\\nd\n", "ab", "")
	f.Add("b\n#c\\", "ab", "")
	f.Add("a;reboot\n$(x)\nb 'c\n", "x", "$(reboot)")
	f.Fuzz(func(t *testing.T, text, name, args string) {
		m, err := ParseModules("modules.conf", []byte(text))
		if strings.Contains(text, "\x00") {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, text, string(m.Bytes()))
		all := func(m *Modules) (found []Module) {
			for mod := range m.All() {
				mod.Line = 0
				found = append(found, mod)
			}
			return found
		}
		before := all(m)
		for _, p := range m.Check() {
			require.NotEmpty(t, p.Message)
		}
		words := strings.Split(args, " ")
		if args == "" {
			words = nil
		}
		if m.Add(name, words...) != nil {
			require.Equal(t, text, string(m.Bytes()))
		} else {
			again, err := ParseModules("modules.conf", m.Bytes())
			require.NoError(t, err)
			after := all(again)
			require.True(t, slices.ContainsFunc(after, func(mod Module) bool {
				return mod.Name == name && (words == nil || slices.Equal(mod.Args, words))
			}))
			require.GreaterOrEqual(t, len(after), len(before))
			require.True(t, reflect.DeepEqual(before, slices.Clone(after[:len(before)])) || len(before) == 0)
			require.LessOrEqual(t, len(after), len(before)+2, "the new one, and one that was lost")
			now := string(again.Bytes())
			require.NoError(t, again.Add(name, words...))
			require.Equal(t, now, string(again.Bytes()))
		}
		m, err = ParseModules("modules.conf", []byte(text))
		require.NoError(t, err)
		if m.Remove(name) {
			again, err := ParseModules("modules.conf", m.Bytes())
			require.NoError(t, err)
			left := slices.DeleteFunc(slices.Clone(before), func(mod Module) bool { return mod.Name == name })
			require.Equal(t, len(left), len(all(again)))
		} else {
			require.Equal(t, text, string(m.Bytes()))
		}
	})
}

func FuzzSysctl(f *testing.F) {
	f.Add(true, "# c\nnet.inet.ip.forwarding=1 # on\n", "net.inet.ip.forwarding", "0")
	f.Add(true, "kern.defcorename=%n.core # c\n", "kern.defcorename", "core")
	f.Add(true, "ddb.onpanic?=0\\\n1\\", "ddb.onpanic", "1")
	f.Add(true, "a.b=1\\", "c.d", "1")
	f.Add(false, "; c\n-net/ipv4/ip_forward = 1\n", "net.ipv4.ip_forward", "0")
	f.Add(false, "net.ipv4.ip_forward=1", "a.b", "x\ny=1")
	f.Add(false, "=\n-\n=1\n", "a.b", "#")
	f.Fuzz(func(t *testing.T, netbsd bool, text, name, value string) {
		os := Linux
		if netbsd {
			os = NetBSD
		}
		s, err := ParseSysctl("sysctl.conf", os, []byte(text))
		if strings.Contains(text, "\x00") {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, text, string(s.Bytes()))
		before := maps.Collect(s.All())
		for name, value := range before {
			if sysctlName(name) {
				require.NoError(t, s.Set(name, value))
			}
		}
		require.Equal(t, text, string(s.Bytes()))
		for _, p := range s.Check() {
			require.NotEmpty(t, p.Message)
		}
		if s.Set(name, value) != nil {
			require.Equal(t, text, string(s.Bytes()))
		} else {
			first, end, added := changedLines(text, string(s.Bytes()))
			require.LessOrEqual(t, added, end-first+2)
			again, err := ParseSysctl("sysctl.conf", os, s.Bytes())
			require.NoError(t, err)
			after := maps.Collect(again.All())
			require.Equal(t, value, after[name])
			before := maps.Clone(before)
			delete(before, name)
			delete(after, name)
			require.Equal(t, before, after)
		}
		s, err = ParseSysctl("sysctl.conf", os, []byte(text))
		require.NoError(t, err)
		if s.Unset(name) {
			again, err := ParseSysctl("sysctl.conf", os, s.Bytes())
			require.NoError(t, err)
			delete(before, name)
			require.Equal(t, before, maps.Collect(again.All()))
		} else {
			require.Equal(t, text, string(s.Bytes()))
		}
	})
}

package pfrules

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// real is a pf.conf as people write them.
const real = `# $NetBSD: pf.conf $
# the guest's filter

ext_if = "vioif0"	# home
tun_if="wg0"
services = "{ 25 53 465
	587 }"
mail = 25

table <bad> persist { 198.51.100.0/24, \
	!198.51.100.7 } file "/etc/pf.bad"
set skip on lo0
set timeout { tcp.established 3600, interval 10 }
scrub in all
altq on $ext_if cbq queue { a b }
nat on $ext_if from 10/8 to any -> ($ext_if)
rdr pass on $ext_if proto tcp to port 80 -> 127.0.0.1 port 8080
# anchors are text
anchor "ftp/*"

block in log all
block in quick from <bad> # no more
pass out
pass in on { $ext_if, $tun_if } proto tcp \
	to any port $services # mail
pass in on $tun_if proto { tcp udp } to port domain
antispoof for $ext_if
`

func parse(t testing.TB, d Dialect, text string) *File {
	t.Helper()
	f, err := Parse("pf.conf", d, []byte(text))
	require.NoError(t, err)
	return f
}

func TestStatementsKnowTheirSections(t *testing.T) {
	var got []string
	for st := range parse(t, NetBSD, real).Statements() {
		kind := "text"
		switch {
		case st.Rule != nil:
			kind = "rule"
		case st.Macro != nil:
			kind = "macro " + st.Macro.Name
		default:
			assert.ErrorIs(t, st.Err, ErrNotModelled)
		}
		got = append(got, fmt.Sprintf("%d-%d %s %s", st.Line, st.End, st.Section, kind))
	}
	assert.Equal(t, []string{
		"4-4 none macro ext_if", "5-5 none macro tun_if", "6-7 none macro services", "8-8 none macro mail",
		"10-11 none text", "12-12 options text", "13-13 options text", "14-14 normalization text",
		"15-15 queueing text", "16-16 translation text", "17-17 translation text", "19-19 filter text",
		"21-21 filter rule", "22-22 filter rule", "23-23 filter rule", "24-25 filter rule", "26-26 filter rule", "27-27 filter text",
	}, got)
}

func TestAllExpandsMacrosAndKeepsLists(t *testing.T) {
	rules := maps.Collect(parse(t, NetBSD, real).All())
	assert.Equal(t, []int{21, 22, 23, 24, 26}, slices.Sorted(maps.Keys(rules)))
	assert.Equal(t, Rule{
		Action: Pass, Direction: In, Ifaces: []Iface{{Name: "vioif0"}, {Name: "wg0"}}, Protos: []string{"tcp"},
		To: Peer{Ports: []Port{{First: 25}, {First: 53}, {First: 465}, {First: 587}}},
	}, rules[24])
	for range parse(t, NetBSD, real).All() {
		break // an iterator that is left early
	}
}

func TestMacrosAreResolved(t *testing.T) {
	f := parse(t, FreeBSD, "a = em0 # c\nb = $a\nlist = \"{\" $a wg0 \"}\"\nhost=10.0.0\nnum = 22 80\nempty = \"\"\n"+
		"a = em1\npass on $b $empty from ${x\npass on $a to $host.1\npass on $list\npass out on $a$b\n")
	got := map[string]string{}
	for _, m := range f.Macros() {
		got[m.Name] = m.Value
	}
	assert.Equal(t, map[string]string{"a": "em1", "b": "em0", "list": "{ em0 wg0 }", "host": "10.0.0", "num": "22 80", "empty": ""}, got)
	rules := maps.Collect(f.All())
	require.Contains(t, rules, 9, "the definition above counts, and text goes on after a macro")
	assert.Equal(t, "em1", rules[9].Ifaces[0].Name)
	assert.Equal(t, "10.0.0.1", rules[9].To.Hosts[0].text())
	assert.Len(t, rules[10].Ifaces, 2)
	assert.NotContains(t, rules, 11, "em1$b is one word")
	for range f.Macros() {
		break
	}
}

// Each macro doubles the one before.
func TestMacrosDoNotFillTheMemory(t *testing.T) {
	text := "m0 = x\n"
	for i := range 60 {
		text += fmt.Sprintf("m%d = $m%d $m%d\n", i+1, i, i)
	}
	f := parse(t, FreeBSD, text)
	assert.Empty(t, f.Check(), "pf may take it")
	assert.Equal(t, 12, len(maps.Collect(f.Macros())), "1 to 2048 words, 4095 characters")
}

func TestMacroFormat(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"ext_if", "em0", `ext_if = "em0"`},
		{"nets", "{ 10.0.0.0/8 !10.1.0.0/16 }", `nets = "{ 10.0.0.0/8 !10.1.0.0/16 }"`},
		{"none", "", `none = ""`},
		{"", "x", "needs a name"},
		{"int-if", "em1", "$name cannot be it"},
		{"größe", "1", "$name cannot be it"},
		{"22", "x", "number"},
		{"block", "x", "keyword"},
		{"a", "$b", "not expanded"},
		{"a", "x # y", "comment"},
		{"a", `say "x"`, "quote"},
		{"a", "x\ny", "printable"},
		{"a", " x", "blanks"},
	} {
		for _, d := range dialects {
			got, err := Macro{tt.name, tt.value}.Format(d)
			if !strings.Contains(tt.want, "=") {
				assert.ErrorContains(t, err, tt.want)
				continue
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			for _, m := range parse(t, d, got+"\n").Macros() {
				assert.Equal(t, Macro{tt.name, tt.value}, m)
			}
		}
	}
	_, err := Macro{"default", "x"}.Format(FreeBSD)
	assert.NoError(t, err, "a keyword of OpenBSD only")
	_, err = Macro{"default", "x"}.Format(OpenBSD)
	assert.ErrorContains(t, err, "keyword")
}

// The text is kept, also what pf refuses, unless a statement has no end.
func TestParseKeepsEveryByte(t *testing.T) {
	for name, text := range map[string]string{
		"a real file": real, "nothing": "", "a newline": "\n", "no final newline": "pass", "CRLF": "pass in\r\nblock\r\n",
		"byte order mark": "\ufeffpass\n", "backslash at the end": "pass \\", "backslash and newline at the end": "pass \\\n",
		"a comment that goes on": "# c \\\npass\n", "junk": "%& ]] ö\n'\"'\n", "late sections": "pass\nnat on a -> b\n",
		"a brace too many": "pass }\n", "an undefined macro in a list": "pass on { $x", "an anchor": "anchor x {\n\tpass in\n\tblock\n}\n",
	} {
		for _, d := range dialects {
			if d == NetBSD && name == "an anchor" {
				continue
			}
			f := parse(t, d, text)
			assert.Equal(t, text, string(f.Bytes()), name)
			assert.Empty(t, f.Changes(), name)
		}
	}
}

func TestParseRefusesWhatHasNoEnd(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a quote", "pass\nlabel = \"x\nblock\n", `pf.conf:2:9: the quote is not closed`},
		{"a quote of the other kind", "a = '\"x\"\n", `pf.conf:1:5: the quote is not closed`},
		{"a list", "pass\ntable <x> { 10.0.0.1\n10.0.0.2\n", `pf.conf:2:11: the list is not closed`},
		{"an anchor", "anchor x {\npass\nblock\n", `pf.conf:1:10: the list is not closed`},
		{"NUL", "pass\nbl\x00ck\n", `pf.conf:2:3: a NUL byte ends a string for pfctl`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("pf.conf", FreeBSD, []byte(tt.text))
			assert.EqualError(t, err, tt.want)
			var perr *ParseError
			assert.ErrorAs(t, err, &perr)
		})
	}
}

func TestFileLifeCycle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pf.conf")
	_, err := Open(path, NetBSD)
	require.ErrorIs(t, err, os.ErrNotExist)

	f, err := Create(path, NetBSD)
	require.NoError(t, err)
	require.NoError(t, f.SetBlock("uplink", FilterEnd, []Rule{ReplyVia("wg0", gw4)}))
	require.NoError(t, f.Save(t.Context()))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	_, err = Create(path, NetBSD)
	require.ErrorIs(t, err, os.ErrExist)

	f, err = Open(path, NetBSD)
	require.NoError(t, err)
	require.True(t, f.RemoveBlock("uplink"))
	assert.Contains(t, f.Changes(), "-# rehost uplink begin\n")
	require.NoError(t, os.WriteFile(path, []byte("pass\n"), 0o600))
	assert.ErrorIs(t, f.Save(t.Context()), ErrStale)

	_, err = Open(path, 0)
	assert.ErrorContains(t, err, "dialect")
	assert.NoError(t, parse(t, NetBSD, "pass").Save(t.Context()), "unchanged: nothing to save")
}

// OpenBSD and FreeBSD have statements inside the braces of an anchor.
func TestAnchorWithRulesIsOneStatement(t *testing.T) {
	f := parse(t, FreeBSD, "anchor \"in\" in on wg0 {\n\tpass quick\n\tanchor {\n\t\tblock\n\t}\n}\npass out\n")
	var got []string
	for st := range f.Statements() {
		got = append(got, fmt.Sprint(st.Line, "-", st.End, " ", st.Section))
	}
	assert.Equal(t, []string{"1-6 filter", "7-7 filter"}, got)
	assert.Empty(t, f.Check())
}

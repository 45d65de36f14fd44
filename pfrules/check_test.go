package pfrules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What each dialect refuses or misreads in a file, with its place. An empty list
// is a file that nothing is wrong with.
func TestCheck(t *testing.T) {
	all := dialects
	old := []Dialect{NetBSD, FreeBSD}
	newer := []Dialect{FreeBSD, OpenBSD}
	for _, tt := range []struct {
		name, text string
		in         []Dialect
		want       []string
	}{
		{"a good file", strings.NewReplacer("altq on $ext_if cbq queue { a b }\n", "").Replace(real), []Dialect{NetBSD}, nil},
		{"an empty file", "", all, nil},

		// The lines as such.
		{"CRLF", "# c\r\npass in\r\nblock\r\n", all, []string{"2:8: error: a carriage return is a syntax error"}},
		{"CRLF in comments only", "# c\r\npass # d\r\n", all, []string{"1:4: warning: the line ends in CRLF"}},
		{"byte order mark", "\ufeffpass\n", all, []string{"1:1: error: a byte order mark"}},
		{"no final newline", "pass", all, []string{"1:5: error: the last line has no newline"}},
		{"no final newline after a comment", "pass\n# c", all, []string{"2:4: warning: the last line has no newline"}},
		{"a comment continued over the next line", "# c \\\nblock\npass\n", all, []string{"2: error: is part of the comment"}},
		{"a comment after a rule, continued over the next line", "pass # c \\\nblock\npass\n", all, []string{"2: error: is part of the comment"}},
		{"a comment continued over another", "# pass \\\n#\tin\n\n# c \\\n\npass\n# c \\\n", all, nil},
		{"a comment after a rule", "pass # c\nblock\n", all, nil},
		{"two backslashes, of which NetBSD heeds the second", "# c \\\\\nblock\n", []Dialect{NetBSD}, []string{"2: error: is part of the comment"}},
		{"two backslashes elsewhere", "# c \\\\\nblock\n", newer, nil},
		{"text that is neither word nor comment", "öl\n", all, []string{`1:1: warning:`}},

		// Sections.
		{"nat after pass", "pass\nnat on em0 from any to any -> (em0)\n", old, []string{"2:1: error: translation must come before filter, which begins in line 1"}},
		{"no rdr after pass", "pass\nno rdr on em0\n", old, []string{"2:1: error: translation must come before filter"}},
		{"scrub after pass", "pass\nscrub in all\n", old, []string{"2:1: error: normalization must come before filter"}},
		{"scrub after nat", "nat on em0 -> (em0)\nscrub in all\n", old, []string{"2:1: error: normalization must come before translation"}},
		{"an option after pass", "pass\nset timeout interval 10\n", old, []string{"2:1: error: options must come before filter"}},
		{"set skip after pass", "pass\nset skip on lo0\n", all, nil},
		{"tables, macros and anchors anywhere", "pass\ntable <t> { 10.0.0.1 }\na = b\nanchor x\npass\n", all, nil},
		{"order put off", "set require-order no\npass\nscrub in\n", old, nil},
		{"order put off and on again", "set require-order no\nset require-order yes\npass\nscrub in\n", old, []string{"4:1: error: normalization"}},
		{"no nat in OpenBSD", "no nat on em0\n", []Dialect{OpenBSD}, []string{"1:1: error: OpenBSD has no translation statements"}},
		{"no order in OpenBSD", "pass\nset timeout interval 10\nqueue q on em0 bandwidth 1G\n", []Dialect{OpenBSD}, nil},
		{"sections that OpenBSD has no more", "scrub in\nnat on em0 -> (em0)\n", []Dialect{OpenBSD}, []string{"1:1: error: OpenBSD has no normalization statements", "2:1: error: OpenBSD has no translation statements"}},
		{"match in NetBSD", "match in on wg0\n", []Dialect{NetBSD}, []string{"1:1: error: NetBSD has no match"}},
		{"match in FreeBSD, from 14", "match in on wg0\n", []Dialect{FreeBSD}, nil},
		{"include in NetBSD", "include \"/etc/pf.more\"\n", []Dialect{NetBSD}, []string{"1:1: error: NetBSD has no include"}},
		{"include elsewhere", "include \"/etc/pf.more\"\n", newer, nil},
		{"a statement that is none", "psas in\n", all, []string{`1:1: warning: "psas" begins no statement`}},

		// Macros.
		{"an unquoted network", "a = 10.0.0.0/8\n", all, []string{`1:13: error: macro a: "/" in a value needs quotes`}},
		{"an unquoted list", "a = { 22 80 }\n", all, []string{`1:5: error: macro a: "{" in a value needs quotes`}},
		{"an unquoted keyword", "a = any\n", all, []string{`1:5: error: macro a: the keyword "any" in a value needs quotes`}},
		{"plain words", "a = wg0 tcp 22\n", all, nil},
		{"a macro inside quotes", "b = wg0\na = \"$b\"\n", all, []string{`2:5: error: macro a: a macro is not expanded inside quotes`}},
		{"a list of macros beside quotes", "b = wg0\na = \"{\" $b \"}\"\npass on $a\n", all, nil},
		{"a macro that holds a list, unquoted", "b = \"{ 1 2 }\"\na = $b\n", all, []string{`2:5: error: macro a: "{" in a value needs quotes`}},
		{"a macro with a hyphen", "int-if = wg0\npass on $int-if\n", all, []string{`1:1: error: macro "int-if"`, `2:9: error: macro "int" is not defined`}},
		{"a macro that is a keyword", "port = 22\n", all, []string{`1:1: error: macro "port": the name is a keyword`}},
		{"a keyword of another dialect", "default = 22\n", old, nil},
		{"a macro without a value", "a =\npass\n", all, []string{"1:1: error: macro a has no value"}},
		{"a macro that is not defined", "pass on $wg\n", all, []string{`1:9: error: macro "wg" is not defined above`}},
		{"a macro for a statement, not defined", "$rules\npass\n", all, []string{`1:1: error: macro "rules" is not defined above`}},
		{"a macro that is defined below", "pass on $wg\nwg = wg0\n", all, []string{`1:9: error: macro "wg" is not defined above`}},
		{"a macro that an included file may define", "include \"/x\"\npass on $wg\n", newer, nil},
		{"a macro with a list inside a list", "p = \"{ 80 443 }\"\npass proto tcp to port { 22 $p }\n", all, []string{"2:29: error: a list inside a list, as from a macro that holds {…}"}},
		{"a macro with a list of addresses inside a list", "p = \"{ 10.0.0.1 10.0.0.2 }\"\npass to { 10.0.0.9 $p }\n", all, []string{"2:20: error: a list inside a list"}},
		{"a macro with a list inside a table", "p = \"{ 10.0.0.1 10.0.0.2 }\"\ntable <t> { 10.0.0.9 $p }\n", all, []string{"2:22: error: a list inside a list"}},
		{"a macro with a list inside set skip", "p = \"{ lo0 lo1 }\"\nset skip on { enc0 $p }\n", all, []string{"2:20: error: a list inside a list"}},
		{"a macro with a list beside a list", "p = \"{ tcp udp }\"\npass proto $p to { 10.0.0.1 10.0.0.2 }\n", all, nil},

		// Lists.
		{"lists with and without commas", "pass proto { tcp udp } to { 10.0.0.1, 10.0.0.2 }\n", all, nil},
		{"a trailing comma", "pass proto { tcp, }\n", all, []string{"1:17: error: a list cannot end in a comma"}},
		{"a trailing comma in a table", "table <t> { 10.0.0.1, }\n", all, []string{"1:21: error: a list cannot end in a comma"}},
		{"an empty list", "pass on { }\n", all, []string{"1:9: error: a list cannot be empty"}},
		{"an empty table", "table <t> { }\n", all, nil},
		{"two commas", "pass proto { tcp,, udp }\n", all, []string{"1:18: error: a comma without"}},
		{"a newline in a list", "pass proto { tcp\n udp }\n", newer, nil},
		{"a newline in a list, NetBSD", "pass proto { tcp\n udp }\nblock\n", []Dialect{NetBSD}, []string{"1:12: error: the list is not closed on its line: NetBSD has no lists over several lines", "2:2: warning:"}},
		{"a newline in a table, NetBSD", "table <t> {\n10.0.0.1\n}\n", []Dialect{NetBSD}, []string{"1:11: error: the list is not closed on its line", "2:1: warning:", "3:1: warning:"}},
		{"a newline in quotes, also NetBSD", "a = \"{ tcp\n udp }\"\npass proto $a\n", all, nil},
		{"a newline after a comma", "pass proto { tcp,\n udp }\n", newer, []string{"1:17: error: a newline cannot follow the comma"}},
		{"a list that is not closed", "pass proto { tcp\nblock in\n", newer, []string{"1:12: error: the list is not closed"}},
		{"an escaped quote", "pass label \"a\\\"b\"\n", []Dialect{NetBSD}, []string{`1:16: error:`}},
		{"an escaped quote elsewhere", "pass label \"a\\\"b\"\n", newer, nil},

		// Rules.
		{"an address for an interface", "pass in on wg0 reply-to 10.8.0.1 inet\n", old, []string{"1:25: error: reply-to takes 10.8.0.1 for the name of an interface and does nothing"}},
		{"an address@interface for an interface", "pass in on wg0 reply-to 10.8.0.1@wg0\n", old, []string{"1:25: error: reply-to takes 10.8.0.1@wg0 for the name"}},
		{"a comma before the gateway", "pass in on wg0 route-to (wg0, 10.8.0.1)\n", old, []string{"1:29: error: no comma between"}},
		{"a comma before the gateway, OpenBSD", "pass in on wg0 route-to (wg0, 10.8.0.1)\n", []Dialect{OpenBSD}, []string{"1:31: error: OpenBSD 6.9 and later take no interface here: write route-to 10.8.0.1"}},
		{"the comma, after a part that is not modelled", "pass in log (all) on wg0 route-to (wg0, 10.8.0.1)\n", old, []string{"1:39: error: no comma between"}},
		{"port without from or to", "pass in proto tcp port 25\n", all, []string{"1:19: error: port needs from or to before it"}},
		{"an option that the next release may have", "pass out nat-to (em0) proto tcp\n", newer, nil},
		{"an option that NetBSD has not", "pass out nat-to (em0)\n", []Dialect{NetBSD}, []string{`1:10: error: "nat-to" where an option`}},
		{"port without protocol", "pass in to any port 25\n", all, []string{"1:1: error: to port:"}},
		{"gateway of the other family", "pass in on wg0 reply-to (wg0 10.8.0.1) inet6\n", old, []string{"1:1: error: gateway:"}},
		{"gateway of the other family, OpenBSD", "pass in on wg0 inet6 reply-to 10.8.0.1\n", []Dialect{OpenBSD}, []string{"1:1: error: gateway:"}},
		{"a link-local gateway", "pass in on wg0 reply-to (wg0 fe80::1%wg0)\n", old, nil},
		{"a link-local gateway, OpenBSD", "pass in on wg0 reply-to fe80::1%wg0\n", []Dialect{OpenBSD}, nil},
		{"reply-to without state", "pass in on wg0 reply-to (wg0 10.8.0.1) no state\n", old, []string{"1:1: error: reply-to does nothing without state"}},
		{"reply-to on block", "block in on wg0 reply-to (wg0 10.8.0.1)\n", old, []string{"1:1: error: reply-to does nothing without state"}},
		{"what is not modelled is no problem", "pass in log (all) user root rtable 1\nblock return-rst in proto tcp\n", all, nil},
	} {
		for _, d := range tt.in {
			t.Run(tt.name+"/"+d.String(), func(t *testing.T) {
				problems := parse(t, d, tt.text).Check()
				require.Len(t, problems, len(tt.want), "%s", problems)
				for i, want := range tt.want {
					assert.True(t, strings.HasPrefix(problems[i].Error(), "pf.conf:"+want), "%s\nwant %s", problems[i], want)
				}
			})
		}
	}
}

// A route rule loses its packets to a quick rule above it, or to any rule below
// it if it is not quick. VIA stands for the rule with reply-to on wg0.
func TestDeadRouteRules(t *testing.T) {
	const dead, part = "dead", "without its reply-to"
	via := "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any"
	for _, tt := range []struct{ name, text, want string }{
		{"alone", "VIA", ""},
		{"a quick rule above", "pass in quick on wg0\nVIA", dead},
		{"a quick block above", "block in quick\nVIA", dead},
		{"a quick rule above, another interface", "pass quick on lo0\nVIA", ""},
		{"a quick rule above, all but another interface", "pass quick on !lo0 flags any\nVIA", dead},
		{"a quick rule above, all but a group", "pass quick on !lo\nVIA", ""},
		{"a quick rule above, a group that may be it", "pass quick on wg\nVIA", ""},
		{"a quick rule above, the other direction", "pass out quick\nVIA", ""},
		{"a quick rule above, the other family", "block quick inet6\nVIA", ""},
		{"a quick rule above, one protocol of two", "pass in quick proto tcp\nVIA", part},
		{"a quick rule above, both protocols", "pass in quick proto { icmp tcp udp }\nVIA", dead},
		{"a quick rule above, one port", "pass in quick proto tcp to port 22\nVIA", part},
		{"a quick block above, one port", "block in quick proto tcp to port 22\nVIA", ""},
		{"a quick rule above, some sources", "pass in quick from 10.0.0.0/8\nVIA", part},
		{"a quick rule above, all sources but some", "pass in quick from !10.0.0.0/8\nVIA", part},
		{"a quick rule above, tagged", "pass in quick tagged X\nVIA", ""},
		{"a quick rule above, not modelled", "block in quick from urpf-failed\nVIA", ""},
		{"a quick rule above, fewer flags", "pass in quick proto { tcp udp } flags S/S\nVIA", ""},
		{"a quick rule above, more flags", "pass in quick proto { tcp udp } flags any\nVIA", dead},
		{"the same route above, quick", "pass in quick on wg0 reply-to (wg0 172.16.1.1)\nVIA", ""},
		{"another route above, quick", "pass in quick on wg0 reply-to (wg1 172.16.2.1) inet\nVIA", dead},
		{"a rule above that is not quick", "block in on wg0\npass in on wg0\nVIA", ""},
		{"a later rule", "VIA\npass in", dead},
		{"a later block", "VIA\nblock in", dead},
		{"a later rule, in both directions", "VIA\nblock", dead},
		{"a later rule, quick", "VIA\nblock in quick", dead},
		{"a later rule, one port", "VIA\npass in proto tcp to port { 25 53 }", part},
		{"a later block, one port", "VIA\nblock in proto tcp to port 22", ""},
		{"a later rule, another interface", "VIA\npass in on vioif0", ""},
		{"a later rule, the same route", "VIA\npass in on wg0 reply-to (wg0 172.16.1.1)", ""},
		{"a later rule, and the same route last", "VIA\npass in\npass in on wg0 reply-to (wg0 172.16.1.1)", ""},
		{"a later rule, and the same route quick before it", "VIA\npass in quick on wg0 reply-to (wg0 172.16.1.1)\npass in", ""},
		{"a later rule for some, and the same route last", "VIA\npass in proto tcp to port 22\npass in on wg0 reply-to (wg0 172.16.1.1)", ""},
		{"the same route on a later block", "VIA\nblock in on wg0 route-to (wg0 172.16.1.1)", dead},
		{"a later rule that is out", "VIA\npass out", ""},
		{"an anchor below", "VIA\nanchor x", ""},
		{"set skip", "set skip on { lo0 wg0 }\nVIA", "dead: line 1 skips"},
		{"set skip on another", "set skip on lo0\nVIA", ""},
		{"quick, with a later rule", "QUICK\nblock\npass in on wg0", ""},
		{"quick, with a quick rule above", "pass quick\nQUICK", dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.NewReplacer("VIA", via, "QUICK", strings.Replace(via, "pass in", "pass in quick", 1)).Replace(tt.text) + "\n"
			problems := parse(t, NetBSD, text).Check()
			if tt.want == "" {
				assert.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0].Message, tt.want)
			assert.Equal(t, strings.Contains(tt.want, dead), problems[0].Severity == Error)
			line := strings.Split(text, "\n")[problems[0].Line-1]
			assert.Contains(t, line, "reply-to (wg0 172.16.1.1)", "it is reported where the dead rule is")
		})
	}
}

func TestDeadRouteRulesInOpenBSD(t *testing.T) {
	f := parse(t, OpenBSD, "pass in on wg0 reply-to 172.16.1.1\nmatch in on wg0 tag X\nmatch tagged X\n")
	assert.Empty(t, f.Check(), "a match rule decides nothing")
	require.NoError(t, f.SetBlock("late", FilterEnd, []Rule{{Action: Pass}}))
	assert.ErrorContains(t, f.Check().Err(), "pf.conf:1:1: error: the rule with reply-to is dead: the later rule in line 5")
}

// A block that was just set is checked like the rest.
func TestDeadBlockThatWasJustSet(t *testing.T) {
	f := parse(t, FreeBSD, "block in\npass in proto tcp to port ssh\n")
	require.NoError(t, f.SetBlock("uplink", FilterStart, via))
	require.Len(t, f.Check(), 1)
	assert.Equal(t, "pf.conf:2:1: error: the rule with reply-to is dead: the later rule in line 4 takes all its packets, because this one is not quick", f.Check()[0].Error())
	require.True(t, f.RemoveBlock("uplink"))
	require.NoError(t, f.SetBlock("uplink", FilterEnd, via))
	assert.Empty(t, f.Check())
}

// covers and meets, part by part: each row has what a and b restrict.
func TestCoversIsCertain(t *testing.T) {
	for _, tt := range []struct {
		a, b          string
		covers, meets bool
	}{
		{"from 10.0.0.0/8", "from 10.1.0.0/16", true, true},
		{"from 10.1.0.0/16", "from 10.0.0.0/8", false, true},
		{"from 10.0.0.0/8", "from 192.168.14.0/24", false, false},
		{"from 10.0.0.0/8", "", false, true},
		{"from 10.0.0.0/8", "from 2001:db8::/32", false, false},
		{"from { 10.0.0.0/9 10.128.0.0/9 }", "from 10.0.0.0/8", false, true},
		{"from !10.0.0.0/8", "from 192.168.14.0/24", true, true},
		{"from !10.0.0.0/8", "from 10.1.0.0/16", false, false},
		{"from !10.0.0.0/8", "from 2001:db8::/32", false, false},
		{"from !10.1.0.0/16", "from !10.0.0.0/8", true, true},
		{"from !10.0.0.0/8", "from !10.1.0.0/16", false, true},
		{"from 10.0.0.0/8", "from !10.0.0.0/8", false, false},
		{"from <t>", "from <t>", true, true},
		{"from <t>", "from <u>", false, false},
		{"from <t>", "from 10.0.0.0/8", false, false},
		{"from !<t>", "from <t>", false, false},
		{"to (wg0)", "to { (wg0) (wg1) }", false, true},
		{"to self", "to self", true, true},
		{"proto tcp to port 80:90", "proto tcp to port { 80 85:90 }", true, true},
		{"proto tcp to port { 80:85 86:90 }", "proto tcp to port 84:87", true, true},
		{"proto tcp to port >= 80", "proto tcp to port > 90", true, true},
		{"proto tcp to port < 80", "proto tcp to port <= 79", true, true},
		{"proto tcp to port != 80", "proto tcp to port 80", false, false},
		{"proto tcp to port 70 <> 90", "proto tcp to port 75 >< 85", false, false},
		{"proto tcp to port 70 >< 90", "proto tcp to port 71:89", true, true},
		{"proto tcp to port 70 <> 90", "proto tcp to port { < 70 > 90 }", true, true},
		{"proto tcp from port 80", "proto tcp to port 80", false, true},
		{"inet", "", false, true},
		{"", "inet", true, true},
		{"inet", "from 10.0.0.0/8", true, true},
		{"inet6", "to 10.0.0.0/8", false, false},
		{"inet proto icmp icmp-type { echoreq unreach }", "inet proto icmp icmp-type echoreq", true, true},
		{"inet proto icmp icmp-type echoreq", "inet proto icmp", false, true},
		{"tagged A", "tagged A", true, true},
		{"! tagged A", "tagged A", false, false},
		{"proto tcp no state", "proto tcp", true, true},
		{"proto tcp", "proto tcp no state", false, true},
		{"proto udp flags any", "proto udp", true, true},
	} {
		placed := func(text string) *placedRule {
			s := newScanner(FreeBSD, "pass "+text+"\n")
			require.True(t, s.next())
			r, err := s.st.rule(FreeBSD)
			require.NoError(t, err, text)
			p := newPlacedRule(&s.st, r)
			return &p
		}
		a, b := placed(tt.a), placed(tt.b)
		assert.Equal(t, tt.covers, a.covers(b), "%q covers %q", tt.a, tt.b)
		assert.Equal(t, tt.meets, a.meets(b), "%q meets %q", tt.a, tt.b)
		assert.False(t, a.covers(b) && !a.meets(b))
		assert.True(t, a.covers(a), tt.a)
	}
}

// With very many route rules, or long lists in them, the search stops, and says
// so.
func TestCheckIsBounded(t *testing.T) {
	var text strings.Builder
	fmt.Fprintf(&text, "hosts = \"{%s }\"\n", strings.Repeat(" 10.0.0.1", 200))
	for i := range 60 {
		fmt.Fprintf(&text, "pass in route-to (em1 192.0.2.1) inet from $hosts to 10.1.0.%d\n", i)
	}
	f := parse(t, NetBSD, text.String())
	problems := f.Check()
	require.Len(t, problems, 1)
	assert.Equal(t, Warning, problems[0].Severity)
	assert.Contains(t, problems[0].Message, "too many route rules")
}

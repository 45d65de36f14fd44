package pfrules

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dialectOf makes every byte a dialect.
func dialectOf(b byte) Dialect { return dialects[int(b)%len(dialects)] }

// FuzzFile holds the promises of the package comment for any text.
func FuzzFile(f *testing.F) {
	for i, seed := range []string{
		real, "", "pass", "pass\r\n# c\r\n", "\ufeffpass\n", "# c \\\nblock\n", "pass \\", "pass on {\nwg0\n}\n",
		"a = \"{ 1\n2 }\"\npass proto $a\n", "# rehost uplink begin\npass\n# rehost uplink end\n",
		"# rehost uplink begin\nset skip on lo0\n\t# rehost uplink end", "# rehost a begin\n# rehost b begin\n# rehost a end\n",
		"nat on a -> b\npass\nscrub\n", "set require-order no\npass\nnat\n", "anchor x {\npass\n}\n", "$a$b ${ '\"' \"'\n'",
		"# x\n# y\npass in on wg0 reply-to (wg0, 1.2.3.4)\nblock\n", "include \"x\"\npass on $x\n", "a = b\nc = $a$a\n$c\n",
		"pass in proto tcp from !10/8 to <t> port { 1 >< 9 } keep state (max 3)\n", "\\\n# rehost x begin\n# rehost x end",
		"pass in quick\npass in on wg0 reply-to (wg0 172.16.1.1) inet\nblock\n",
	} {
		f.Add(seed, byte(i), i%5-2)
	}
	f.Fuzz(func(t *testing.T, text string, which byte, at int) {
		d := dialectOf(which)
		file, err := Parse("pf.conf", d, []byte(text))
		if err != nil {
			return
		}
		require.Equal(t, text, string(file.Bytes()), "parsing keeps every byte")
		require.Empty(t, file.Changes())
		file.Check()
		last := 0
		for st := range file.Statements() {
			require.True(t, last < st.Line && st.Line <= st.End, "statements follow one another: %d after %d", st.Line, last)
			last = st.End
		}
		require.LessOrEqual(t, last, len(file.lines))

		old, there, blockErr := file.Block("uplink")
		if there && blockErr == nil {
			require.NoError(t, file.SetBlock("uplink", FilterEnd, old))
			require.Equal(t, text, string(file.Bytes()), "setting what is there changes nothing")
		}
		head, tail := outside(file, "uplink")
		rules := []Rule{ReplyVia("wg0", gw4, "tcp"), {Action: Block, Direction: In, Log: true}}
		if err := file.SetBlock("uplink", Place(at), rules); err != nil {
			require.Equal(t, text, string(file.Bytes()), "a failed edit changes nothing")
			return
		}
		edited := string(file.Bytes())
		if there {
			newHead, newTail := outside(file, "uplink")
			require.Equal(t, head, newHead, "an edit changes only the lines of its block")
			require.Equal(t, tail, newTail, "an edit changes only the lines of its block")
		}
		again := parse(t, d, edited)
		got, ok, err := again.Block("uplink")
		require.NoError(t, err, edited)
		require.True(t, ok)
		for i := range rules {
			require.Equal(t, rules[i].canonical(d), got[i])
		}
		require.NoError(t, again.SetBlock("uplink", FilterStart, rules))
		require.Equal(t, edited, string(again.Bytes()), "setting what is there changes nothing")

		require.True(t, again.RemoveBlock("uplink"))
		if !there && blockErr == nil {
			want := text
			if want != "" && !strings.HasSuffix(want, "\n") && string(again.Bytes()) != text {
				want += "\n"
			}
			require.Equal(t, want, string(again.Bytes()), "the way back, and no other line changed")
		}
	})
}

// outside returns what is above and below the inside of a block, with its marks.
func outside(f *File, name string) (head, tail string) {
	b, ok, err := f.layout().find(name)
	if !ok || err != nil {
		return "", ""
	}
	return strings.Join(f.lines[:b.first], ""), strings.Join(f.lines[b.last-1:], "")
}

// FuzzRule: what ParseRule reads, Format writes, and it means the same.
func FuzzRule(f *testing.F) {
	for i, seed := range []string{
		"pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any",
		"pass in on wg0 inet6 from any to any reply-to 2001:db8::1", "pass in on wg0 reply-to (wg0:peer)", "pass in reply-to wg0",
		`block return in log quick on { !wg0, em0 } proto 6 from { 10/8 !<t> (em0:0) self } port { 1:2, != 3 4 >< 9 } to any`,
		`pass flags S/SA keep state (max 3, overload <b> flush global, max-src-conn-rate 1/2) tag "a b" ! tagged c label '$if'`,
		"pass inet proto icmp icmp-type { echoreq, 3 code 4 } allow-opts", "match out tag x", "pass no state flags any",
		"pass from { 10.0.0.1 { 10.0.0.2 } } to ::ffff:1.2.3.4/100", "block in \\\n on wg0 # c", `p\ass`, "pass tag x y tagged z",
		"pass proto tcp to port = smtp flags S/SA keep state", "pass log (all) user root", "pass proto { tcp,\nudp }",
	} {
		f.Add(byte(i), seed)
		f.Add(byte(i+1), seed)
	}
	f.Fuzz(func(t *testing.T, which byte, text string) {
		d := dialectOf(which)
		rule, err := ParseRule(d, text)
		if err != nil {
			var perr *ParseError
			require.ErrorAs(t, err, &perr)
			return
		}
		out, err := rule.Format(d)
		require.NoError(t, err, "%+v", rule)
		again, err := ParseRule(d, out)
		require.NoError(t, err, out)
		require.Equal(t, rule, again, out)
		stable, err := again.Format(d)
		require.NoError(t, err)
		require.Equal(t, out, stable)
	})
}

// FuzzFormat puts any text into every text of a rule and a macro. What Format
// takes is one line, and is read as that rule: nothing can be smuggled in.
func FuzzFormat(f *testing.F) {
	for i, seed := range []string{
		"wg0", "", "a b", "tcp", "any", "x\npass", `x" quick label "y`, "x #", "$x", "{ tcp udp }", "!wg0", "echoreq", "unreach code 1",
		"max 3", "if-bound)", "overload <t> flush", "6", "0", "S/SA", "any", "wg0:peer", "self", "10.0.0.1", "0x10", "\\", "a  b", " ", "x y z", "<t>", "größe", "\x00",
	} {
		f.Add(byte(i), byte(i*7), seed, uint16(i*999), uint16(i), int8(i%9))
	}
	f.Fuzz(func(t *testing.T, which, field byte, s string, first, last uint16, n int8) {
		d := dialectOf(which)
		rule := Rule{Action: Pass, Direction: In, Family: Inet, Protos: []string{"tcp"},
			To: Peer{Ports: []Port{{Op: PortOp(n), First: first, Last: last}}}}
		other := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(first), byte(last), 1, 2}), int(n))
		switch field % 16 {
		case 0:
			rule.Ifaces = []Iface{{Name: s}, {Name: s, Not: true}}
		case 1:
			rule.Route = Route{Kind: RouteKind(n), Iface: s, Gateway: gw4}
		case 2:
			rule.Route = Route{Kind: ReplyTo, Iface: s}
			if n%2 == 0 {
				rule.Family, rule.Route = Inet6, Route{Kind: ReplyTo, Iface: "wg0", Gateway: gw6.WithZone(s)}
			}
		case 3:
			rule.Protos, rule.To = []string{s}, Peer{}
		case 4:
			rule.From.Hosts = []Host{{Table: s}, {Not: true, Prefix: other}}
		case 5:
			rule.To.Hosts = []Host{{Iface: s, Not: n%2 == 0}}
		case 6:
			rule.To.Hosts = []Host{{Name: s}}
		case 7:
			rule.Flags = s
		case 8:
			rule.Protos, rule.To, rule.ICMPTypes = []string{"icmp"}, Peer{}, []string{s}
		case 9:
			rule.State, rule.StateOptions = State(n), []string{s, "max 3"}
		case 10:
			rule.Tag = s
		case 11:
			rule.Tagged, rule.NotTagged = s, n%2 == 0
		case 12:
			rule.Label = s
		case 13:
			rule.Action, rule.Direction, rule.Family = Action(n), Direction(first%4), Family(last%4)
		case 14:
			macro := Macro{Name: s, Value: "x"}
			if n%2 == 0 {
				macro = Macro{Name: "x", Value: s}
			}
			text, err := macro.Format(d)
			if err != nil {
				return
			}
			got := 0
			for _, m := range parse(t, d, text+"\n").Macros() {
				assert.Equal(t, macro, m)
				got++
			}
			assert.Equal(t, 1, got)
			return
		}
		text, err := rule.Format(d)
		if err != nil {
			var verr *ValueError
			require.ErrorAs(t, err, &verr)
			return
		}
		require.NotContains(t, text, "\n")
		back, err := ParseRule(d, text)
		require.NoError(t, err, text)
		require.Equal(t, rule.canonical(d), back, text)
		file := parse(t, d, text+"\n")
		statements := 0
		for st := range file.Statements() {
			require.NotNil(t, st.Rule)
			statements++
		}
		require.Equal(t, 1, statements)
		require.NoError(t, file.Check().Err(), text)
	})
}

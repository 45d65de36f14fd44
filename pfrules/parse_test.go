package pfrules

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// Text of all dialects, what it means, and how Format writes it.
func TestParseRule(t *testing.T) {
	for _, tt := range []struct {
		text, want string // want "" is text
		rule       Rule
	}{
		{text: "pass all", want: "pass from any to any", rule: Rule{Action: Pass}},
		{text: "pass", want: "pass from any to any", rule: Rule{Action: Pass}},
		{text: "block drop in quick log on !wg0 inet6 from any to any", want: "block drop in log quick on !wg0 inet6 from any to any",
			rule: Rule{Action: BlockDrop, Direction: In, Log: true, Quick: true, Family: Inet6, Ifaces: []Iface{{Name: "wg0", Not: true}}}},
		{text: "block return out on { wg0, vioif0 } all", want: "block return out on { wg0 vioif0 } from any to any",
			rule: Rule{Action: BlockReturn, Direction: Out, Ifaces: []Iface{{Name: "wg0"}, {Name: "vioif0"}}}},
		{text: "pass from 10.1.2.3/8 to 172.16.1.1/24", want: "pass from 10.0.0.0/8 to 172.16.1.0/24",
			rule: Rule{Action: Pass, From: Peer{Hosts: []Host{{Prefix: prefix("10.0.0.0/8")}}}, To: Peer{Hosts: []Host{{Prefix: prefix("172.16.1.0/24")}}}}},
		{text: `pass proto { 6 17, ipv6-icmp 132 } to any`, want: "pass proto { tcp udp icmp6 132 } from any to any",
			rule: Rule{Action: Pass, Protos: []string{"tcp", "udp", "icmp6", "132"}}},
		{text: "pass from { 10/8 !10.1.2.3 192.168.14/24, <good> ! <bad> (wg0) (wg0:network:0) self wg0:0 gw.example.net 2001:db8::1 ::/0 }",
			want: "pass from { 10.0.0.0/8 !10.1.2.3 192.168.14.0/24 <good> !<bad> (wg0) (wg0:network:0) self wg0:0 gw.example.net 2001:db8::1 ::/0 } to any",
			rule: Rule{Action: Pass, From: Peer{Hosts: []Host{
				{Prefix: prefix("10.0.0.0/8")}, {Not: true, Prefix: prefix("10.1.2.3/32")}, {Prefix: prefix("192.168.14.0/24")},
				{Table: "good"}, {Not: true, Table: "bad"}, {Iface: "wg0"}, {Iface: "wg0:network:0"}, {Name: "self"}, {Name: "wg0:0"},
				{Name: "gw.example.net"}, {Prefix: prefix("2001:db8::1/128")}, {Prefix: prefix("::/0")}}}}},
		{text: "pass proto tcp from port 1024:65535 to any port { 22, = 25, smtps, 80:81 != 1 <2 <= 3 > 4 >=5 6><9 7 <> 8 }",
			want: "pass proto tcp from any port 1024:65535 to any port { 22 25 465 80:81 != 1 < 2 <= 3 > 4 >= 5 6 >< 9 7 <> 8 }",
			rule: Rule{Action: Pass, Protos: []string{"tcp"}, From: Peer{Ports: []Port{{First: 1024, Last: 65535}}},
				To: Peer{Ports: []Port{{First: 22}, {First: 25}, {First: 465}, {First: 80, Last: 81}, {Op: PortNot, First: 1},
					{Op: PortBelow, First: 2}, {Op: PortAtMost, First: 3}, {Op: PortAbove, First: 4}, {Op: PortAtLeast, First: 5},
					{Op: PortBetween, First: 6, Last: 9}, {Op: PortOutside, First: 7, Last: 8}}}}},
		{text: `pass inet proto icmp icmp-type { echoreq, unreach code needfrag 3 code 4 }`,
			want: "pass inet proto icmp from any to any icmp-type { echoreq unreach code needfrag 3 code 4 }",
			rule: Rule{Action: Pass, Family: Inet, Protos: []string{"icmp"}, ICMPTypes: []string{"echoreq", "unreach code needfrag", "3 code 4"}}},
		{text: "pass inet6 proto icmp6 from any to any icmp6-type neighbrsol",
			rule: Rule{Action: Pass, Family: Inet6, Protos: []string{"icmp6"}, ICMPTypes: []string{"neighbrsol"}}},
		{text: `pass proto tcp flags S/SAFR modulate state tag VPN ! tagged "a b" label 'in $if' allow-opts`,
			want: `pass proto tcp from any to any flags S/SAFR allow-opts modulate state tag VPN ! tagged "a b" label "in $if"`,
			rule: Rule{Action: Pass, Protos: []string{"tcp"}, Flags: "S/SAFR", AllowOpts: true, State: ModulateState, Tag: "VPN",
				Tagged: "a b", NotTagged: true, Label: "in $if"}},
		{text: "pass tag one two tagged three flags /SFRA", want: `pass from any to any flags /SFRA tag "one two" tagged three`,
			rule: Rule{Action: Pass, Tag: "one two", Tagged: "three", Flags: "/SFRA"}},
		{text: `pass tag "quick" label "22"`, want: `pass from any to any tag "quick" label "22"`, rule: Rule{Action: Pass, Tag: "quick", Label: "22"}},
		{text: "pass no state", want: "pass from any to any no state", rule: Rule{Action: Pass, State: NoState}},
		{text: "pass flags any synproxy state", want: "pass from any to any flags any synproxy state", rule: Rule{Action: Pass, Flags: "any", State: SynproxyState}},
		{text: "pass keep state (max 100 source-track rule, max-src-conn-rate 15/5, overload <bad> flush global max-src-nodes 2 tcp.established 3600 if-bound no-sync)",
			want: "pass from any to any keep state (max 100, source-track rule, max-src-conn-rate 15/5, overload <bad> flush global, max-src-nodes 2, tcp.established 3600, if-bound, no-sync)",
			rule: Rule{Action: Pass, StateOptions: []string{"max 100", "source-track rule", "max-src-conn-rate 15/5", "overload <bad> flush global",
				"max-src-nodes 2", "tcp.established 3600", "if-bound", "no-sync"}}},
		{text: "pass keep state (source-track source-track global floating overload <x> flush max-src-states 1)",
			want: "pass from any to any keep state (source-track, source-track global, floating, overload <x> flush, max-src-states 1)",
			rule: Rule{Action: Pass, StateOptions: []string{"source-track", "source-track global", "floating", "overload <x> flush", "max-src-states 1"}}},
		{text: "block in \\\n\ton wg0 # all of it", want: "block in on wg0 from any to any", rule: Rule{Action: Block, Direction: In, Ifaces: []Iface{{Name: "wg0"}}}},
		{text: "block no state", want: "block from any to any", rule: Rule{Action: Block}},
		{text: "block flags any", want: "block from any to any", rule: Rule{Action: Block}},
		{text: "block proto tcp from any to any flags S/SA", rule: Rule{Action: Block, Protos: []string{"tcp"}, Flags: "S/SA"}},
	} {
		for _, d := range dialects {
			got, err := ParseRule(d, tt.text)
			require.NoError(t, err, "%s: %s", d, tt.text)
			assert.Equal(t, tt.rule, got, "%s: %s", d, tt.text)
			text, err := got.Format(d)
			require.NoError(t, err)
			if tt.want == "" {
				tt.want = tt.text
			}
			assert.Equal(t, tt.want, text)
			again, err := ParseRule(d, text)
			require.NoError(t, err)
			assert.Equal(t, got, again)
		}
	}
}

// pass implies keep state, and flags S/SA for TCP: with and without the words a
// rule is the same.
func TestPassImpliesKeepStateAndFlags(t *testing.T) {
	for _, d := range dialects {
		plain, err := ParseRule(d, "pass in proto tcp to port 25")
		require.NoError(t, err)
		spelt, err := ParseRule(d, "pass in proto tcp to port 25 flags S/SA keep state")
		require.NoError(t, err)
		assert.Equal(t, plain, spelt, d)
	}
}

// pfctl -nv prints one rule per combination, with the defaults and port names.
func TestOutputOfPfctlComparesByMeaning(t *testing.T) {
	for d, printed := range map[Dialect]string{
		NetBSD:  "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto tcp from any to any port = smtp flags S/SA keep state",
		FreeBSD: "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto tcp from any to any port = smtp flags S/SA keep state",
		OpenBSD: "pass in on wg0 inet proto tcp from any to any port = 25 flags S/SA reply-to 172.16.1.1",
	} {
		ours := ReplyVia("wg0", gw4, "tcp")
		ours.To.Ports = []Port{{First: 25}}
		text, err := ours.Format(d)
		require.NoError(t, err)
		a, err := ParseRule(d, text)
		require.NoError(t, err)
		b, err := ParseRule(d, printed)
		require.NoError(t, err)
		assert.Equal(t, a, b)
	}
}

func TestDialectsOwnParts(t *testing.T) {
	for _, tt := range []struct {
		d          Dialect
		text, want string
	}{
		{OpenBSD, "match in on wg0 tag X", "match in on wg0 from any to any tag X"},
		{OpenBSD, "pass keep state (sloppy, pflow)", "pass from any to any keep state (sloppy, pflow)"},
		{FreeBSD, "pass keep state (sloppy)", "pass from any to any keep state (sloppy)"},
		{OpenBSD, "pass dup-to 192.0.2.1", "pass inet from any to any dup-to 192.0.2.1"},
		{FreeBSD, "pass in route-to (em0 192.0.2.1) from any to any", "pass in route-to (em0 192.0.2.1) inet from any to any"},
		{FreeBSD, "block in dup-to em0", "block in dup-to em0 from any to any"},
		{NetBSD, "pass label 22", `pass from any to any label "22"`},
		{FreeBSD, "pass on { wg0\n\n em0 # two\n}\n", "pass on { wg0 em0 } from any to any"},
		{FreeBSD, `pass label "a\"b"`, ""},
		{OpenBSD, `pass label "a\ b"`, `pass from any to any label "a b"`},
		{NetBSD, "pass label \"a \t b\"", `pass from any to any label "a b"`},
		{NetBSD, "pass label \"a\\\nb\n\"", `pass from any to any label ab`},
		{FreeBSD, `p\ass \in`, "pass in from any to any"},
	} {
		r, err := ParseRule(tt.d, tt.text)
		if tt.want == "" {
			assert.ErrorIs(t, err, ErrNotModelled, tt.text)
			continue
		}
		require.NoError(t, err, tt.text)
		got, err := r.Format(tt.d)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got)
	}
}

// What is not modelled is never dropped silently.
func TestNotModelledIsAnError(t *testing.T) {
	every := dialects
	for _, tt := range []struct {
		text string
		in   []Dialect
	}{
		{"pass log (all)", every},
		{"pass log (all, to pflog1) quick on wg0", every},
		{"block return-rst in", every},
		{"block return-icmp (host-unr, 4) in", every},
		{"block return-icmp6 in", every},
		{"match in on wg0", []Dialect{NetBSD, FreeBSD}},
		{"pass on any", []Dialect{OpenBSD}},
		{"pass on rdomain 1", []Dialect{OpenBSD}},
		{"pass in reply-to { (wg0 10.0.0.1) (wg1 10.0.0.2) }", []Dialect{NetBSD, FreeBSD}},
		{"pass in reply-to (wg0 10.0.0.1) round-robin", []Dialect{NetBSD, FreeBSD}},
		{"pass in reply-to (wg0 10.0.0.0/24)", []Dialect{NetBSD, FreeBSD}},
		{"pass in reply-to (wg0 <gws>)", []Dialect{NetBSD, FreeBSD}},
		{"pass in reply-to (wg0 gw.example.net)", []Dialect{NetBSD, FreeBSD}},
		{"pass in reply-to wg0 source-hash", []Dialect{NetBSD, FreeBSD}},
		{"pass in reply-to { 10.0.0.1 }", []Dialect{OpenBSD}},
		{"pass in reply-to <gws>", []Dialect{OpenBSD}},
		{"pass in reply-to 10.0.0.1 sticky-address", []Dialect{OpenBSD}},
		{"pass in reply-to (wg0)", []Dialect{OpenBSD}},
		{"pass from any os Linux to any", every},
		{"pass from any os { Linux OpenBSD } to any", every},
		{"pass from no-route", every},
		{"pass from urpf-failed", every},
		{"pass from { any 10.0.0.1 }", every},
		{"pass from route dsl to any", every},
		{"pass from (wg0)/24", every},
		{"pass from 10.0.0.1 - 10.0.0.9", every},
		{"pass from fe80::1%wg0", every},
		{"pass from 10.0.0.1/33", every},
		{"pass from 3com.example.net", every},
		{"pass from 010.0.0.1", every},
		{"pass proto tcp to port rsync", every},
		{"pass proto tcp to port 0x50", every},
		{"pass user root keep state", every},
		{"pass group { a b } label x", every},
		{"pass queue (a, b)", every},
		{"pass probability 50%", every},
		{"pass fragment", every},
		{"pass tos 0x10", every},
		{"pass rtable 1", every},
		{"pass nat-to (em0) port 1024:65535", []Dialect{OpenBSD}},
		{"pass ! received-on em0", []Dialect{OpenBSD}},
		{"pass keep state (adaptive-something)", every},
		{"pass label a label b", every},
		{`pass label "größe"`, every},
		{`pass on "em 0"`, every},
		{`pass to <"1">`, every},
		{"nat on em0 from any to any -> (em0)", every},
		{"set skip on lo0", every},
	} {
		for _, d := range tt.in {
			_, err := ParseRule(d, tt.text)
			assert.ErrorIs(t, err, ErrNotModelled, "%s: %s", d, tt.text)
			var perr *ParseError
			require.ErrorAs(t, err, &perr)
			assert.Equal(t, 1, perr.Line)
			assert.NotZero(t, perr.Col)
		}
	}
}

// What pf refuses is an error of another kind, with the place.
func TestRefusedByPf(t *testing.T) {
	every := dialects
	old := []Dialect{NetBSD, FreeBSD}
	for _, tt := range []struct {
		name, text string
		in         []Dialect
		col        int
		want       string
	}{
		{"a comma between interface and gateway", "pass in reply-to (wg0, 10.0.0.1) inet", old, 22, "no comma"},
		{"an address taken for an interface", "pass in reply-to 10.8.0.1 inet", old, 18, "name of an interface"},
		{"an address@interface taken for an interface", "pass in reply-to 10.8.0.1@wg0", old, 18, "(IF 10.8.0.1)"},
		{"an IPv6 address taken for an interface", "pass in reply-to 2001:db8::1", old, 18, "name of an interface"},
		{"no route at all", "pass in reply-to", every, 0, "should be"},
		{"no gateway", "pass in reply-to (wg0) inet", old, 22, "gateway"},
		{"no closing parenthesis", "pass in reply-to (wg0 10.0.0.1 inet", old, 32, `")"`},
		{"a keyword as interface", "pass in reply-to inet", old, 18, "keyword"},
		{"keyword in parentheses", "pass in reply-to (inet 10.0.0.1)", old, 19, "keyword"},
		{"two routes", "pass in reply-to 10.0.0.1 route-to 10.0.0.2", []Dialect{OpenBSD}, 27, "second"},
		{"peer without an end", "pass in reply-to (wg0:peer", []Dialect{OpenBSD}, 0, `")"`},
		{"addresses after the options", "pass label x from any", every, 14, "too late"},
		{"a number as interface", "pass on 22", []Dialect{FreeBSD, OpenBSD}, 9, "number"},
		{"a trailing comma", "pass proto { tcp, udp, } to any", every, 22, "comma"},
		{"a leading comma", "pass proto { , tcp }", every, 14, "comma"},
		{"an empty list", "pass proto { } to any", every, 12, "empty"},
		{"a list of ports in a list", "pass proto tcp to port { 22 { 80 } }", every, 29, "list inside a list"},
		{"a list of interfaces in a list", "pass on { wg0 { em0 } }", every, 15, "inside a list"},
		{"a list of addresses in a list", "pass from { 10.0.0.1 { 10.0.0.2 } }", every, 22, "inside a list"},
		{"a list over two lines", "pass proto { tcp\nudp }", []Dialect{NetBSD}, 12, "NetBSD"},
		{"a newline after a comma", "pass proto { tcp,\nudp }", []Dialect{FreeBSD, OpenBSD}, 17, "newline"},
		{"a list that is not closed", "pass proto { tcp", every, 12, "not closed"},
		{"a quote that is not closed", `pass label "x`, every, 12, "quote"},
		{"an escaped quote", `pass label "a\"b"`, []Dialect{NetBSD}, 16, "option"},
		{"a macro that is not defined", "pass on $ext_if", every, 9, "not defined"},
		{"a port without protocol", "pass to any port 22", every, 1, "port"},
		{"a port too large", "pass proto tcp to port 65536", every, 24, "no port"},
		{"a range that is backward", "pass proto tcp to port 90:80", every, 24, "holds no port"},
		{"a range with an operator", "pass proto tcp to port != 80:90", every, 27, "operator"},
		{"flags of udp", "pass proto udp flags S/SA", every, 1, "flags"},
		{"flags of letters that are none", "pass proto tcp flags X/Y", every, 24, "flags"},
		{"flags without a slash", "pass proto tcp flags S", every, 23, "/"},
		{"something after the rule", "pass in quack", every, 9, "option"},
		{"a list after the rule", "pass in { a }", every, 9, "option"},
		{"a keyword as protocol", "pass proto any", every, 12, "protocol"},
		{"a keyword as address", "pass from quick", every, 11, "address"},
		{"a keyword as port", "pass proto tcp to port any", every, 24, "port"},
		{"a keyword as tag", "pass tag quick", every, 10, "keyword"},
		{"a keyword as tagged", "pass tagged quick", every, 13, "keyword"},
		{"a keyword as label", "pass label quick", every, 12, "keyword"},
		{"a label that is a number", "pass label 22", []Dialect{FreeBSD, OpenBSD}, 12, "quotes"},
		{"no label", "pass label", every, 0, "label"},
		{"an empty address", `pass from ""`, every, 11, "empty"},
		{"a table without a name", "pass from <>", every, 11, "address"},
		{"a table without an end", "pass from <t to any", every, 14, ">"},
		{"an interface without an end", "pass from (wg0 to any", every, 16, ")"},
		{"state of nothing", "pass keep", every, 0, "state"},
		{"state option of nothing", "pass keep state (", every, 0, "state option"},
		{"a state option without its number", "pass keep state (max)", every, 21, "number"},
		{"a rate without seconds", "pass keep state (max-src-conn-rate 5)", every, 37, "/"},
		{"a rate without a number", "pass keep state (max-src-conn-rate x)", every, 36, "number"},
		{"overload without a table", "pass keep state (overload bad)", every, 18, "table"},
		{"an ICMP type that is a list", "pass inet proto icmp icmp-type { 3 { 4 } }", every, 36, "inside"},
		{"an ICMP code that is none", "pass inet proto icmp icmp-type 3 code to", every, 39, "ICMP code"},
		{"a port in the air", "pass proto tcp from port", every, 0, "port"},
		{"reply-to with icmp6 and an IPv4 gateway", "pass in reply-to (wg0 10.0.0.1) proto icmp6", old, 1, "family"},
		{"reply-to without a direction", "pass on wg0 reply-to (wg0 10.0.0.1)", old, 1, "direction"},
		{"reply-to without a direction, OpenBSD", "pass on wg0 reply-to 10.0.0.1", []Dialect{OpenBSD}, 1, "direction"},
		{"reply-to on a block rule", "block in reply-to 10.0.0.1", []Dialect{OpenBSD}, 1, "block"},
		{"reply-to on a match rule", "match in reply-to 10.0.0.1", []Dialect{OpenBSD}, 1, "match"},
		{"reply-to without state", "pass in reply-to 10.0.0.1 no state", []Dialect{OpenBSD}, 1, "state"},
	} {
		for _, d := range tt.in {
			t.Run(tt.name+"/"+d.String(), func(t *testing.T) {
				_, err := ParseRule(d, tt.text)
				require.ErrorContains(t, err, tt.want)
				assert.NotErrorIs(t, err, ErrNotModelled)
				var perr *ParseError
				require.ErrorAs(t, err, &perr)
				assert.Equal(t, 1, perr.Line)
				if tt.col > 0 {
					assert.Equal(t, tt.col, perr.Col, err)
				}
			})
		}
	}
}

func TestParseRuleTakesOneRule(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "no rule",
		" \n# only this\n":   "no rule",
		"pass\nblock\n":      "more than one",
		"pass\x00":           "NUL",
		"pass\n\n# and so\n": "",
	} {
		_, err := ParseRule(FreeBSD, text)
		if want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, want)
		}
	}
}

// A value that is no constant still prints.
func TestWords(t *testing.T) {
	assert.Equal(t, "pass", Pass.String())
	assert.Empty(t, Action(77).String())
	assert.Equal(t, "translation", SectionTranslation.String())
	assert.Equal(t, "><", PortBetween.String())
	assert.Equal(t, "inet6", Inet6.String())
}

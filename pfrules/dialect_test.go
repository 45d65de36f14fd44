package pfrules

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	gw4 = netip.MustParseAddr("172.16.1.1")
	gw6 = netip.MustParseAddr("2001:db8:189c:700:b4d2::1")
)

var dialects = []Dialect{NetBSD, FreeBSD, OpenBSD}

// The forms of a route option that are, or were, some dialect's. OpenBSD 5.5 is
// no dialect here, so what only it took is refused.
func TestRouteFormsByDialect(t *testing.T) {
	via := Route{Kind: ReplyTo, Iface: "wg0", Gateway: gw4}
	for _, tt := range []struct {
		name, text string
		want       map[Dialect]any // a Route, or a part of the error
	}{
		{"route before the family, interface and gateway", "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto tcp from any to any",
			map[Dialect]any{NetBSD: via, FreeBSD: via, OpenBSD: "after the addresses"}},
		{"route before the family, no family given", "pass in on wg0 reply-to (wg0 172.16.1.1) proto tcp",
			map[Dialect]any{NetBSD: via, FreeBSD: via, OpenBSD: "after the addresses"}},
		{"route after the addresses, interface and gateway", "pass in on wg0 inet proto tcp from any to any reply-to (wg0 172.16.1.1)",
			map[Dialect]any{NetBSD: "before the address family", FreeBSD: "before the address family", OpenBSD: "take no interface here"}},
		{"route after the addresses, gateway alone", "pass in on wg0 inet proto tcp from any to any reply-to 172.16.1.1",
			map[Dialect]any{NetBSD: "before the address family", FreeBSD: "before the address family", OpenBSD: Route{Kind: ReplyTo, Gateway: gw4}}},
		{"route after the addresses, gateway@interface", "pass in on wg0 inet proto tcp from any to any reply-to 172.16.1.1@wg0",
			map[Dialect]any{NetBSD: "before the address family", FreeBSD: "before the address family", OpenBSD: ErrNotModelled}},
		{"route after the addresses, peer of the interface", "pass in on wg0 inet proto tcp from any to any reply-to (wg0:peer)",
			map[Dialect]any{NetBSD: "before the address family", FreeBSD: "before the address family", OpenBSD: Route{Kind: ReplyTo, Iface: "wg0"}}},
		{"interface alone before the family", "pass in on wg0 reply-to wg0 inet",
			map[Dialect]any{NetBSD: Route{Kind: ReplyTo, Iface: "wg0"}, FreeBSD: Route{Kind: ReplyTo, Iface: "wg0"}, OpenBSD: "after the addresses"}},
	} {
		for _, d := range dialects {
			t.Run(tt.name+"/"+d.String(), func(t *testing.T) {
				rule, err := ParseRule(d, tt.text)
				switch want := tt.want[d].(type) {
				case Route:
					require.NoError(t, err)
					assert.Equal(t, want, rule.Route)
				case string:
					require.ErrorContains(t, err, want)
					assert.NotErrorIs(t, err, ErrNotModelled)
				case error:
					assert.ErrorIs(t, err, want)
				}
			})
		}
	}
}

// What Format writes is each dialect's own form.
func TestRouteIsWrittenInTheDialectsOrder(t *testing.T) {
	full := Rule{
		Action: Pass, Direction: In, Log: true, Quick: true, Ifaces: []Iface{{Name: "wg0"}},
		Route: Route{Kind: ReplyTo, Iface: "wg0", Gateway: gw4}, Family: Inet, Protos: []string{"tcp"},
		To: Peer{Ports: []Port{{First: 25}}}, Flags: "any", Label: "mail",
	}
	for d, want := range map[Dialect]string{
		NetBSD:  "pass in log quick on wg0 reply-to (wg0 172.16.1.1) inet proto tcp from any to any port 25 flags any label mail",
		FreeBSD: "pass in log quick on wg0 reply-to (wg0 172.16.1.1) inet proto tcp from any to any port 25 flags any label mail",
		OpenBSD: "pass in log quick on wg0 inet proto tcp from any to any port 25 flags any label mail reply-to 172.16.1.1",
	} {
		got, err := full.Format(d)
		require.NoError(t, err)
		assert.Equal(t, want, got, d)
	}
}

func TestReplyViaIsTheCase(t *testing.T) {
	four, six := ReplyVia("wg0", gw4, "tcp", "udp"), ReplyVia("wg0", gw6, "tcp", "udp")
	for _, tt := range []struct {
		d    Dialect
		rule Rule
		want string
	}{
		{NetBSD, four, "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any"},
		{FreeBSD, four, "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any"},
		{OpenBSD, four, "pass in on wg0 inet proto { tcp udp } from any to any reply-to 172.16.1.1"},
		{NetBSD, six, "pass in on wg0 reply-to (wg0 2001:db8:189c:700:b4d2::1) inet6 proto { tcp udp } from any to any"},
		{FreeBSD, six, "pass in on wg0 reply-to (wg0 2001:db8:189c:700:b4d2::1) inet6 proto { tcp udp } from any to any"},
		{OpenBSD, six, "pass in on wg0 inet6 proto { tcp udp } from any to any reply-to 2001:db8:189c:700:b4d2::1"},
		{NetBSD, ReplyVia("wg0", gw4), "pass in on wg0 reply-to (wg0 172.16.1.1) inet from any to any"},
		{NetBSD, ReplyVia("wg0", gw4, "tcp"), "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto tcp from any to any"},
	} {
		got, err := tt.rule.Format(tt.d)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got, tt.d)
	}
	got, err := ReplyVia("wg0", netip.Addr{}, "tcp").Format(OpenBSD)
	require.NoError(t, err)
	assert.Equal(t, "pass in on wg0 proto tcp from any to any reply-to (wg0:peer)", got, "without a gateway: the peer, in both families")
}

// What a dialect cannot express is an error that names the reason.
func TestFormatNamesTheReason(t *testing.T) {
	reply := ReplyVia("wg0", gw4, "tcp")
	with := func(change func(*Rule)) Rule {
		r := reply
		change(&r)
		return r
	}
	all := dialects
	old := []Dialect{NetBSD, FreeBSD}
	for _, tt := range []struct {
		name  string
		rule  Rule
		in    []Dialect // the others take it
		field string
		want  string
	}{
		{"no action", with(func(r *Rule) { r.Action = 0 }), all, "action", "must pass, block or match"},
		{"match is OpenBSD's", Rule{Action: Match}, old, "action", "no match rules"},
		{"bad direction", with(func(r *Rule) { r.Direction = 7 }), all, "direction", "not In, Out"},
		{"bad family", with(func(r *Rule) { r.Family = -1 }), all, "family", "not Inet"},
		{"route without direction", with(func(r *Rule) { r.Direction = 0 }), all, "route", "direction"},
		{"dup-to without direction", with(func(r *Rule) { r.Direction, r.Route.Kind = 0, DupTo }), old, "route", "direction"},
		{"route on a block rule", with(func(r *Rule) { r.Action = Block }), []Dialect{OpenBSD}, "route", "pass rules only"},
		{"route on a match rule", with(func(r *Rule) { r.Action = Match }), all, "", "match"},
		{"route without state", with(func(r *Rule) { r.State = NoState }), []Dialect{OpenBSD}, "route", "with state only"},
		{"route without interface", with(func(r *Rule) { r.Route.Iface = "" }), old, "route", "needs the interface"},
		{"route with nothing", with(func(r *Rule) { r.Route = Route{Kind: RouteTo} }), all, "route", "needs"},
		{"gateway without kind", with(func(r *Rule) { r.Route.Kind = 0 }), all, "route", "no kind"},
		{"unknown kind", with(func(r *Rule) { r.Route.Kind = 9 }), all, "route", "ReplyTo"},
		{"gateway with a zone that is no interface", with(func(r *Rule) { r.Family, r.Route.Gateway = 0, netip.MustParseAddr("fe80::1%wg0) quick") }), all, "gateway", "interface"},
		{"gateway with a zone that is one", with(func(r *Rule) { r.Family, r.Route.Gateway = 0, netip.MustParseAddr("fe80::1%wg0") }), nil, "", ""},
		{"IPv4 gateway in IPv6 form", with(func(r *Rule) { r.Family, r.Route.Gateway = 0, netip.MustParseAddr("::ffff:172.16.1.1") }), all, "gateway", "IPv6 form"},
		{"gateway family against the rule's", with(func(r *Rule) { r.Route.Gateway = gw6 }), all, "gateway", "family"},
		{"gateway family against the addresses", with(func(r *Rule) {
			r.Family, r.From.Hosts = 0, []Host{{Prefix: netip.MustParsePrefix("2001:db8::/32")}}
		}), all, "family", "in common"},
		{"icmp6 with an IPv4 gateway", with(func(r *Rule) { r.Family, r.Protos = 0, []string{"icmp6"} }), all, "proto", "family"},
		{"icmp with inet6", Rule{Action: Pass, Family: Inet6, Protos: []string{"icmp"}}, all, "proto", "family"},
		{"icmp6 from an IPv4 address", Rule{Action: Pass, Protos: []string{"icmp6"}, From: Peer{Hosts: []Host{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}}}, all, "proto", "family"},
		{"port without a protocol", with(func(r *Rule) { r.Protos, r.To.Ports = nil, []Port{{First: 25}} }), all, "to port", "tcp"},
		{"port with a third protocol", with(func(r *Rule) { r.Protos, r.From.Ports = []string{"tcp", "icmp"}, []Port{{First: 25}} }), all, "from port", "tcp"},
		{"backward range of ports", with(func(r *Rule) { r.To.Ports = []Port{{First: 9, Last: 5}} }), all, "to port", "no port"},
		{"range between ports that touch", with(func(r *Rule) { r.To.Ports = []Port{{Op: PortBetween, First: 5, Last: 6}} }), all, "to port", "no port"},
		{"below port 0", with(func(r *Rule) { r.To.Ports = []Port{{Op: PortBelow}} }), all, "to port", "no port"},
		{"outside backwards", with(func(r *Rule) { r.To.Ports = []Port{{Op: PortOutside, First: 9, Last: 5}} }), all, "to port", "all ports"},
		{"two ports for one", with(func(r *Rule) { r.To.Ports = []Port{{Op: PortNot, First: 9, Last: 5}} }), all, "to port", "one port"},
		{"unknown comparison", with(func(r *Rule) { r.To.Ports = []Port{{Op: 99}} }), all, "to port", "comparison"},
		{"flags on udp", with(func(r *Rule) { r.Protos, r.Flags = []string{"udp"}, "S/SA" }), all, "flags", "tcp"},
		{"bad flags", with(func(r *Rule) { r.Flags = "SYN" }), all, "flags", "S/SA"},
		{"bad state", with(func(r *Rule) { r.State = 9 }), all, "state", "no state"},
		{"state on block", Rule{Action: Block, State: ModulateState}, all, "state", "only a pass rule"},
		{"options of no state", Rule{Action: Pass, State: NoState, StateOptions: []string{"if-bound"}}, all, "state", "no options"},
		{"sloppy is not NetBSD's", Rule{Action: Pass, StateOptions: []string{"sloppy"}}, []Dialect{NetBSD}, "state option", "NetBSD"},
		{"unknown state option", Rule{Action: Pass, StateOptions: []string{"max 10) label x"}}, all, "state option", "pf.conf(5)"},
		{"allow-opts on block", Rule{Action: Block, AllowOpts: true}, all, "allow-opts", "pass"},
		{"tag without state", Rule{Action: Pass, State: NoState, Tag: "T"}, []Dialect{NetBSD}, "tag", "state only"},
		{"not tagged what", Rule{Action: Pass, NotTagged: true}, all, "tagged", "which tag"},
		{"ICMP type without icmp", Rule{Action: Pass, Family: Inet, ICMPTypes: []string{"echoreq"}}, all, "icmp-type", "proto icmp"},
		{"ICMP type without family", Rule{Action: Pass, Protos: []string{"icmp"}, ICMPTypes: []string{"echoreq"}}, all, "icmp-type", "family"},
		{"ICMP type with more", Rule{Action: Pass, Family: Inet, Protos: []string{"icmp"}, ICMPTypes: []string{"echoreq keep state"}}, all, "icmp-type", "TYPE"},
		{"protocol 0", with(func(r *Rule) { r.Protos = []string{"0"} }), all, "proto", "1 to 255"},
		{"protocol is a keyword", with(func(r *Rule) { r.Protos = []string{"any"} }), all, "proto", "name"},
		{"interface is a keyword", with(func(r *Rule) { r.Ifaces = []Iface{{Name: "quick"}} }), all, "on", "interface"},
		{"interface too long", with(func(r *Rule) { r.Ifaces = []Iface{{Name: "interface0123456"}} }), all, "on", "15"},
		{"route interface with a blank", with(func(r *Rule) { r.Route.Iface = "wg0 em0" }), old, "route", "interface"},
		{"table too long", with(func(r *Rule) { r.To.Hosts = []Host{{Table: "a123456789012345678901234567890b"}} }), all, "to", "31"},
		{"table is a keyword", with(func(r *Rule) { r.To.Hosts = []Host{{Table: "any"}} }), all, "to", "table"},
		{"host is nothing", with(func(r *Rule) { r.To.Hosts = []Host{{}} }), all, "to", "host"},
		{"host is two things", with(func(r *Rule) { r.To.Hosts = []Host{{Table: "t", Iface: "wg0"}} }), all, "to", "exactly one"},
		{"host is a table and a prefix that is none", with(func(r *Rule) { r.To.Hosts = []Host{{Table: "t", Prefix: netip.PrefixFrom(gw4, 99)}} }), all, "to", "exactly one"},
		{"host modifiers", with(func(r *Rule) { r.To.Hosts = []Host{{Iface: "wg0:all"}} }), all, "to", "modifiers"},
		{"two modes", with(func(r *Rule) { r.To.Hosts = []Host{{Name: "wg0:peer:network"}} }), all, "to", "only one"},
		{"interface host", with(func(r *Rule) { r.To.Hosts = []Host{{Iface: "0wg"}} }), all, "to", "interface"},
		{"host name that is hex", with(func(r *Rule) { r.To.Hosts = []Host{{Name: "0x7f000001"}} }), all, "to", "host"},
		{"label too long", with(func(r *Rule) { r.Label = string(make([]byte, 64)) }), all, "label", "63"},
		{"label with a quote", with(func(r *Rule) { r.Label = `a" quick` }), all, "label", "quote"},
		{"label with a backslash", with(func(r *Rule) { r.Label = `a\` }), all, "label", "backslash"},
		{"label with a newline", with(func(r *Rule) { r.Label = "a\npass" }), all, "label", "printable"},
		{"label with two blanks", with(func(r *Rule) { r.Label = "a  b" }), all, "label", "blanks"},
	} {
		refuses := map[Dialect]bool{}
		for _, d := range tt.in {
			refuses[d] = true
		}
		for _, d := range dialects {
			t.Run(tt.name+"/"+d.String(), func(t *testing.T) {
				text, err := tt.rule.Format(d)
				if !refuses[d] {
					require.NoError(t, err)
					back, err := ParseRule(d, text)
					require.NoError(t, err)
					assert.Equal(t, tt.rule.canonical(d), back)
					return
				}
				require.ErrorContains(t, err, tt.want)
				assert.Empty(t, text)
				var verr *ValueError
				require.ErrorAs(t, err, &verr)
				if tt.field != "" {
					assert.Equal(t, tt.field, verr.Field)
				}
			})
		}
	}
}

func TestDialectMustBeNamed(t *testing.T) {
	var zero Dialect
	assert.Equal(t, "Dialect(0)", zero.String())
	_, err := ReplyVia("wg0", gw4).Format(zero)
	assert.ErrorContains(t, err, "dialect")
	_, err = ParseRule(zero, "pass")
	assert.ErrorContains(t, err, "dialect")
	_, err = Parse("pf.conf", 4, nil)
	assert.ErrorContains(t, err, "dialect")
	_, err = Macro{"a", "b"}.Format(zero)
	assert.ErrorContains(t, err, "dialect")
}

// npf, NetBSD's own filter, has neither route-to nor reply-to and another
// language: its rules are not taken for pf's.
func TestNpfIsNotADialect(t *testing.T) {
	f := parse(t, NetBSD, "map wm0 dynamic 10.1.0.0/24 -> 198.51.100.1\npass stateful out final on wm0 all\n")
	for line := range f.All() {
		t.Errorf("line %d is a rule of npf", line)
	}
	assert.Len(t, f.Check(), 2)
}

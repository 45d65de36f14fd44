package natfwd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// with is the set of one forward, changed.
func with(change func(*Forward)) Set {
	f := Forward{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest}
	change(&f)
	return Set{Name: "s", Forwards: []Forward{f}}
}

func TestValidateRefusesWhatDoesNotDoWhatItSays(t *testing.T) {
	for name, test := range map[string]struct {
		set  Set
		want string // "" if it is fine
	}{
		"a set with only a name": {set: Set{Name: "s"}},
		"a move":                 {set: mail()},
		"no name":                {set: Set{}, want: `name: "": is missing`},
		"a name with a blank":    {set: Set{Name: "a b"}, want: `use letters, digits, _ and -`},
		"a name with a quote":    {set: Set{Name: `a"`}, want: `use letters, digits, _ and -`},
		"a name with a newline":  {set: Set{Name: "a\n-A"}, want: `use letters, digits, _ and -`},
		"a name with a dot":      {set: Set{Name: "a.b"}, want: `use letters, digits, _ and -`},
		"a name as an option":    {set: Set{Name: "-F"}, want: `begins as an option does`},
		"a long name":            {set: Set{Name: strings.Repeat("a", 17)}, want: `longer than 16 bytes`},
		"the longest name":       {set: Set{Name: strings.Repeat("a", 16)}},

		"no target":             {set: with(func(f *Forward) { f.To = nil }), want: "to iptables that is the router itself"},
		"an empty target":       {set: with(func(f *Forward) { f.To = []netip.Addr{{}} }), want: "to iptables that is the router itself"},
		"two of one family":     {set: with(func(f *Forward) { f.To = []netip.Addr{addr("10.77.0.2"), addr("10.77.0.3")} }), want: "one address for each family"},
		"an unspecified target": {set: with(func(f *Forward) { f.To = []netip.Addr{addr("0.0.0.0")} }), want: "not the address of one machine"},
		"loopback":              {set: with(func(f *Forward) { f.To = []netip.Addr{addr("127.0.0.1")} }), want: "the kernel drops"},
		"a mapped address":      {set: with(func(f *Forward) { f.To = []netip.Addr{addr("::ffff:10.77.0.2")} }), want: "in the form of an IPv6 one"},
		"a zone":                {set: with(func(f *Forward) { f.To = []netip.Addr{addr("fe80::1%ens5")} }), want: "has a zone"},

		"no protocol":        {set: with(func(f *Forward) { f.Proto = "" }), want: "neither tcp nor udp"},
		"another protocol":   {set: with(func(f *Forward) { f.Proto = "icmp" }), want: "neither tcp nor udp"},
		"no ports":           {set: with(func(f *Forward) { f.Ports = nil }), want: "ports: \"\": are missing"},
		"port 0":             {set: with(func(f *Forward) { f.Ports = one(0) }), want: "port 0 is none"},
		"a range backwards":  {set: with(func(f *Forward) { f.Ports = []PortRange{{30, 20}} }), want: "ends before it begins"},
		"a port twice":       {set: with(func(f *Forward) { f.Ports = []PortRange{{20, 30}, {First: 25}} }), want: "is in 20:30 already"},
		"a shift too far":    {set: with(func(f *Forward) { f.Ports, f.ToPort = []PortRange{{1, 10}}, 65530 }), want: "above 65535"},
		"a shift to the end": {set: with(func(f *Forward) { f.Ports, f.ToPort = []PortRange{{1, 10}}, 65526 })},

		"no interface":            {set: with(func(f *Forward) { f.Iface = "" }), want: "would be forwarded too"},
		"a destination will do":   {set: with(func(f *Forward) { f.Iface, f.Dst = "", []netip.Addr{addr("203.0.113.5"), addr("2001:db8::5")} })},
		"an interface with +":     {set: with(func(f *Forward) { f.Iface = "ens+" }), want: "no name of an interface"},
		"an interface as option":  {set: with(func(f *Forward) { f.Iface = "-j" }), want: "no name of an interface"},
		"an interface with more":  {set: with(func(f *Forward) { f.Iface = "ens5 -j DROP" }), want: "no name of an interface"},
		"a long interface":        {set: with(func(f *Forward) { f.Iface = "abcdefghijklmnop" }), want: "longer than 15 bytes"},
		"masquerade by +":         {set: Set{Name: "s", Masquerade: []string{"+"}}, want: "no name of an interface"},
		"hairpin from, and no":    {set: Set{Name: "s", HairpinFrom: []netip.Prefix{prefix("10.0.0.0/8")}}, want: "does nothing without hairpin"},
		"a source with host bits": {set: with(func(f *Forward) { f.From, f.To = []netip.Prefix{prefix("10.0.0.1/8")}, guest[:1] }), want: "the network is 10.0.0.0/8"},

		"sources of one family only":      {set: with(func(f *Forward) { f.From = []netip.Prefix{prefix("10.0.0.0/8")} }), want: "has no IPv6 address, and the target has one"},
		"sources of the other family":     {set: with(func(f *Forward) { f.From, f.To = []netip.Prefix{prefix("10.0.0.0/8")}, guest[1:] }), want: "has an IPv4 address, and the target has none"},
		"destinations of one family only": {set: with(func(f *Forward) { f.Dst = []netip.Addr{addr("203.0.113.5")} }), want: "has no IPv6 address, and the target has one"},

		"the same twice": {
			set:  Set{Name: "s", Forwards: append(mail().Forwards, mail().Forwards[0])},
			want: `forward 3 ports: "tcp port 25 on ens5": forward 1 takes the same packets: tcp port 25 on ens5`},
		"overlapping ranges": {
			set: Set{Name: "s", Forwards: []Forward{
				{Proto: UDP, Iface: "ens5", Ports: []PortRange{{10, 20}}, To: guest[:1]},
				{Proto: UDP, Dst: []netip.Addr{addr("203.0.113.5")}, Ports: []PortRange{{20, 30}}, To: guest[:1]}}},
			want: "takes the same packets"},
		"the same port of two addresses": {
			set: Set{Name: "s", Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", Dst: []netip.Addr{addr("203.0.113.4")}, Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens5", Dst: []netip.Addr{addr("203.0.113.5")}, Ports: one(25), To: guest[:1]}}}},
		"the same port of two interfaces": {
			set: Set{Name: "s", Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens6", Ports: one(25), To: guest[:1]}}}},
		"and with hairpin": {
			set: Set{Name: "s", Hairpin: true, Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens6", Ports: one(25), To: guest[:1]}}},
			want: "takes the same packets"},
		"and for the router itself, which comes in by no interface": {
			set: Set{Name: "s", Local: true, Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens6", Ports: one(25), To: guest[:1]}}},
			want: "forward 1 takes the same packets: tcp port 25"},
		"and for the router itself, whatever the sources": {
			set: Set{Name: "s", Local: true, Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", From: []netip.Prefix{prefix("198.51.100.0/24")}, Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens5", From: []netip.Prefix{prefix("203.0.113.0/24")}, Ports: one(25), To: guest[:1]}}},
			want: "forward 1 takes the same packets: tcp port 25"},
		"the same port for two sources": {
			set: Set{Name: "s", Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", From: []netip.Prefix{prefix("198.51.100.0/24")}, Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens5", From: []netip.Prefix{prefix("203.0.113.0/24")}, Ports: one(25), To: guest[:1]}}}},
		"a source in another one": {
			set: Set{Name: "s", Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", From: []netip.Prefix{prefix("198.51.100.0/24")}, Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens5", From: []netip.Prefix{prefix("198.51.0.0/16")}, Ports: one(25), To: guest[:1]}}},
			want: "from 198.51.0.0/16"},
		"one family each": {
			set: Set{Name: "s", Forwards: []Forward{
				{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest[:1]},
				{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest[1:]}}}},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.set.Validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			var value *ValueError
			assert.ErrorAs(t, err, &value)
			_, err = Diff(t.Context(), test.set, newFake(IPv4), newFake(IPv6))
			assert.ErrorAs(t, err, &value)
		})
	}
}

func TestRulesOfAForward(t *testing.T) {
	sixteen := make([]PortRange, 16)
	for i := range sixteen {
		sixteen[i].First = uint16(i + 1)
	}
	for name, test := range map[string]struct {
		set  Set
		want string // of both families
	}{
		"an IPv6 target with a port has brackets": {
			with(func(f *Forward) { f.ToPort, f.To = 2525, guest[1:] }),
			"-i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination [fd77::2]:2525"},
		"sixteen ports are two rules": {
			with(func(f *Forward) { f.Ports, f.To = sixteen, guest[:1] }),
			"-i ens5 -p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 -j DNAT --to-destination 10.77.0.2\n" +
				"-i ens5 -p tcp -m tcp --dport 16 -j DNAT --to-destination 10.77.0.2"},
		"a range counts as two": {
			with(func(f *Forward) { f.Ports, f.To = append([]PortRange{{100, 200}}, sixteen[:14]...), guest[:1] }),
			"-i ens5 -p tcp -m multiport --dports 100:200,1,2,3,4,5,6,7,8,9,10,11,12,13 -j DNAT --to-destination 10.77.0.2\n" +
				"-i ens5 -p tcp -m tcp --dport 14 -j DNAT --to-destination 10.77.0.2"},
		"a range keeps its order": {
			with(func(f *Forward) { f.Ports, f.ToPort, f.To = []PortRange{{8000, 8010}, {First: 80}}, 9000, guest[:1] }),
			"-i ens5 -p tcp -m tcp --dport 8000:8010 -j DNAT --to-destination 10.77.0.2:9000-9010/8000\n" +
				"-i ens5 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.77.0.2:9000"},
		"sources and destinations": {
			with(func(f *Forward) {
				f.From = []netip.Prefix{prefix("198.51.100.0/24"), prefix("192.0.2.7/32"), prefix("2001:db8::/32")}
				f.Dst = []netip.Addr{addr("203.0.113.5"), addr("2001:db8::5")}
			}),
			"-s 198.51.100.0/24 -d 203.0.113.5/32 -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2\n" +
				"-s 192.0.2.7/32 -d 203.0.113.5/32 -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2\n" +
				"-s 2001:db8::/32 -d 2001:db8::5/128 -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination fd77::2"},
		"hairpin": {
			Set{Name: "s", Hairpin: true, HairpinFrom: []netip.Prefix{prefix("10.77.0.0/24")}, Forwards: with(func(f *Forward) {}).Forwards},
			"-i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2\n" +
				"! -d 127.0.0.0/8 ! -i ens5 -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2\n" +
				"-s 10.77.0.2/32 -d 10.77.0.2/32 -m conntrack --ctstate DNAT -j MASQUERADE\n" +
				"-s 10.77.0.0/24 -d 10.77.0.2/32 -m conntrack --ctstate DNAT -j MASQUERADE\n" +
				"-i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination fd77::2\n" +
				"! -d ::1/128 ! -i ens5 -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 25 -j DNAT --to-destination fd77::2\n" +
				"-s fd77::2/128 -d fd77::2/128 -m conntrack --ctstate DNAT -j MASQUERADE"},
		"local, at an address": {
			Set{Name: "abcdefghijklmnop", Local: true, Forwards: with(func(f *Forward) { f.Dst, f.To = []netip.Addr{addr("203.0.113.5")}, guest[:1] }).Forwards},
			"-d 203.0.113.5/32 -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2\n" +
				"-d 203.0.113.5/32 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2\n" +
				"-d 10.77.0.2/32 -m addrtype --src-type LOCAL -m conntrack --ctstate DNAT -j MASQUERADE"},
		"a set that only masquerades does so in IPv4": {
			Set{Name: "s", Masquerade: []string{"ens5", "ens6"}},
			"-o ens5 -j MASQUERADE\n-o ens6 -j MASQUERADE"},
		"one that forwards IPv6 masquerades there": {
			Set{Name: "s", Masquerade: []string{"ens5"}, Forwards: with(func(f *Forward) { f.To = guest[1:] }).Forwards},
			"-i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination fd77::2\n-o ens5 -j MASQUERADE"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, test.set.Validate())
			var rules []string
			for _, f := range []Family{IPv4, IPv6} {
				for _, c := range test.set.chains(f) {
					rules = append(rules, c.rules...)
				}
			}
			assert.Equal(t, test.want, strings.Join(rules, "\n"))
			onRealSystems(t, func(t *testing.T, s *system) {
				s.apply(t, test.set)
				dump, err := s.b4.Dump(t.Context())
				require.NoError(t, err)
				dump6, err := s.b6.Dump(t.Context())
				require.NoError(t, err)
				for _, r := range rules { // as we write them is as they are printed
					assert.Contains(t, string(dump)+string(dump6), " "+r+"\n")
				}
				assert.True(t, s.diff(t, test.set).Empty())
			})
		})
	}
}

// What is validated is never taken for more than it is, whatever the strings are.
func FuzzSet(f *testing.F) {
	f.Add("senate", "ens5", "tcp", uint16(25), uint16(0), uint16(0), []byte{10, 77, 0, 2}, []byte{198, 51, 100, 0}, 24)
	f.Add("a\nCOMMIT", "ens5\n-A OUTPUT", "udp\n", uint16(1), uint16(9), uint16(65535), []byte{}, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)
	f.Fuzz(func(t *testing.T, name, iface, proto string, first, last, to uint16, target, source []byte, bits int) {
		a, _ := netip.AddrFromSlice(target)
		b, _ := netip.AddrFromSlice(source)
		set := Set{Name: name, Masquerade: []string{iface}, Hairpin: true, Local: true, Forwards: []Forward{{
			Proto: Proto(proto), Iface: iface, Ports: []PortRange{{first, last}}, ToPort: to,
			To: []netip.Addr{a}, From: []netip.Prefix{netip.PrefixFrom(b, bits)}}}}
		if set.Validate() != nil {
			set.Forwards[0].From = nil
			if set.Validate() != nil {
				return
			}
		}
		backend := newFake(familyOf(a))
		p, err := Diff(t.Context(), set, backend)
		require.NoError(t, err)
		require.NoError(t, Apply(t.Context(), p))
		p, err = Diff(t.Context(), set, backend)
		require.NoError(t, err)
		require.True(t, p.Empty(), p)
		for chain, rules := range backend.rules {
			for _, r := range rules {
				require.NotContains(t, r, "\n")
				m := rule{verb: "-A", chain: chain, text: r}.read()
				require.Contains(t, []string{"DNAT", "MASQUERADE", "rehost-" + name + "-pre", "rehost-" + name + "-out", "rehost-" + name + "-post"}, m.target(), fmt.Sprint(m.opts))
			}
		}
		p, err = Diff(t.Context(), Set{Name: name}, backend)
		require.NoError(t, err)
		require.NoError(t, Apply(t.Context(), p))
		require.Equal(t, newFake(backend.family).chains, backend.chains)
	})
}

package natfwd

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTry(t *testing.T) {
	s := Set{Name: "mail", Local: true, Hairpin: true, Masquerade: []string{"ens5"}, Forwards: []Forward{{Proto: TCP, Iface: "ens5", Ports: []PortRange{{First: 25}, {First: 465}, {First: 8000, Last: 8010}}, To: []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")}},
		{Proto: UDP, Iface: "ens5", Ports: []PortRange{{First: 53}, {First: 9000, Last: 9010}}, ToPort: 5353, To: []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")}}}}
	for _, mode := range []string{"nft", "legacy"} {
		b4, err := NewIPTables(IPv4, &IPTablesOptions{Path: "iptables-" + mode})
		require.NoError(t, err)
		b6, err := NewIPTables(IPv6, &IPTablesOptions{Path: "ip6tables-" + mode})
		require.NoError(t, err)
		p, err := Diff(t.Context(), s, b4, b6)
		require.NoError(t, err)
		t.Log(p.String())
		require.NoError(t, Apply(t.Context(), p))
		p, err = Diff(t.Context(), s, b4, b6)
		require.NoError(t, err)
		require.Equal(t, "", p.String())
		p, err = Diff(t.Context(), Set{Name: "mail"}, b4, b6)
		require.NoError(t, err)
		require.NoError(t, Apply(t.Context(), p))
		out, _ := b6.Dump(t.Context())
		t.Log(string(out))
	}
}

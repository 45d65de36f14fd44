package zone

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func TestServers(t *testing.T) {
	answers := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		if q.Question[0].Name != "ns.example.org." {
			m.Rcode = dns.RcodeNameError
		}
		for _, text := range []string{"ns.example.org. 60 A 198.51.100.1", "ns.example.org. 60 AAAA 2001:db8::53"} {
			if rr, _ := dns.NewRR(text); rr.Header().Rrtype == q.Question[0].Qtype && m.Rcode == 0 {
				m.Answer = append(m.Answer, rr)
			}
		}
		w.WriteMsg(m)
	}
	server := lab.StartDNS(t, answers, answers)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.String())
	}}
	want := []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53"),
		netip.MustParseAddrPort("198.51.100.1:53"), netip.MustParseAddrPort("[2001:db8::53]:53"),
	}
	ctx := within(t, patience)
	file := func(lines string) *File {
		f, err := Parse("zone", "example.net", []byte("$TTL 60\n@ SOA ns1 hostmaster 5 1 1 1 1\n"+lines))
		require.NoError(t, err)
		return f
	}
	got, err := file(`@ NS NS1
@ NS ns2
@ NS ns.example.org.
ns1 A 192.0.2.1
ns1 AAAA ::ffff:192.0.2.2
NS2 A 192.0.2.1
`).Servers(ctx, resolver)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	got, err = file("@ NS gone.example.org.\n@ NS ns2\nns2 A 192.0.2.1\n").Servers(ctx, resolver)
	assert.ErrorContains(t, err, "name server gone.example.org.: ")
	assert.Equal(t, want[:1], got, "those that are known are returned too")
}

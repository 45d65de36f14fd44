package natfwd

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func TestDeleteFlowsTakesTheNamedEntriesOnly(t *testing.T) {
	lab.Need(t, "conntrack")
	tests := []struct {
		Family
		dst, other, to, oldTo, peer string
	}{
		{IPv4, "203.0.113.63", "203.0.113.64", "10.77.0.2", "10.77.0.3", "198.51.100.7"},
		{IPv6, "2001:db8:189c:700::63", "2001:db8:189c:700::64", "fd77::2", "fd77::3", "2001:db8::7"},
	}
	for _, tt := range tests {
		t.Run(tt.String(), func(t *testing.T) {
			h := newRouter(t)
			family := strings.ToLower(tt.String())
			bits := "/24"
			if tt.Family == IPv6 {
				bits = "/64"
			}
			h.Run(t, "ip", "address", "add", tt.dst+bits, "dev", "ens5")
			add := func(proto, source, dst, port, to, toPort string, more ...string) {
				t.Helper()
				h.Run(t, append([]string{"conntrack", "-I", "-p", proto, "--timeout", "600",
					"-s", tt.peer, "-d", dst, "--sport", source, "--dport", port,
					"--reply-src", to, "--reply-dst", tt.peer, "--reply-port-src", toPort, "--reply-port-dst", source}, more...)...)
			}
			tcp := []string{"--state", "ESTABLISHED"}
			add("udp", "1001", tt.dst, "53", tt.oldTo, "53")   // to the old target
			add("udp", "1002", tt.dst, "53", tt.dst, "53")     // to the router itself
			add("udp", "1003", tt.dst, "53", tt.to, "53")      // where it should
			add("udp", "1004", tt.dst, "5353", tt.oldTo, "53") // another port
			add("udp", "1005", tt.other, "53", tt.oldTo, "53") // another machine's address
			add("tcp", "1006", tt.dst, "53", tt.oldTo, "53", tcp...)
			sources := func() string {
				var list []string
				for line := range strings.Lines(h.Run(t, "conntrack", "-L", "-f", family)) {
					for _, source := range []string{"1001", "1002", "1003", "1004", "1005", "1006"} {
						if strings.Contains(line, " sport="+source+" ") {
							list = append(list, source)
						}
					}
				}
				return strings.Join(list, " ")
			}
			assert.ElementsMatch(t, strings.Fields("1001 1002 1003 1004 1005 1006"), strings.Fields(sources()))

			to, dns := netip.MustParseAddr(tt.to), PortRange{First: 53}
			forget := func(f Family, flows ...flow) {
				t.Helper()
				require.NoError(t, h.Do(func() error { return deleteFlows(t.Context(), f, flows) }))
			}
			forget(tt.Family)
			forget(tt.Family, flow{Iface: "gone", Ports: dns, To: to})
			forget(tt.Family, flow{Iface: "ens5", Ports: PortRange{First: 54}, To: to})
			forget(1-tt.Family, flow{Iface: "ens5", Ports: dns, To: to})
			assert.ElementsMatch(t, strings.Fields("1001 1002 1003 1004 1005 1006"), strings.Fields(sources()))
			forget(tt.Family, flow{Iface: "ens5", Ports: dns, To: to})
			assert.ElementsMatch(t, strings.Fields("1003 1004 1005 1006"), strings.Fields(sources()))
			// The forward is removed.
			other := netip.MustParseAddr(tt.other)
			forget(tt.Family, flow{Dst: netip.PrefixFrom(other, other.BitLen()), Ports: dns}, flow{Ports: dns})
			assert.ElementsMatch(t, strings.Fields("1004 1006"), strings.Fields(sources()))
		})
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, deleteFlows(ctx, IPv4, []flow{{Ports: PortRange{First: 53}}}), context.Canceled)
}

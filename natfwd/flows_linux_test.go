package natfwd

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rehost/rehost/internal/lab"
)

// inside runs a function in a host's namespace, on a thread that ends with it.
// Sockets that it opens stay there.
func (h host) inside(do func() error) {
	h.t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open("/run/netns/" + h.name)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = do()
		}
		result <- err
	}()
	require.NoError(h.t, <-result)
}

func (h host) deleteFlows(f Family, flows ...flow) int {
	h.t.Helper()
	n := 0
	h.inside(func() (err error) {
		n, err = deleteFlows(h.t.Context(), f, flows)
		return err
	})
	return n
}

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
			h := newHost(t)
			family := strings.ToLower(tt.String())
			bits := "/24"
			if tt.Family == IPv6 {
				bits = "/64"
			}
			h.run("ip", "address", "add", tt.dst+bits, "dev", "ens5")
			add := func(proto, source, dst, port, to, toPort string, more ...string) {
				t.Helper()
				h.run(append([]string{"conntrack", "-I", "-p", proto, "--timeout", "600",
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
				for line := range strings.Lines(h.run("conntrack", "-L", "-f", family)) {
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
			assert.Zero(t, h.deleteFlows(tt.Family))
			assert.Zero(t, h.deleteFlows(tt.Family, flow{Iface: "gone", Ports: dns, To: to}))
			assert.Zero(t, h.deleteFlows(tt.Family, flow{Iface: "ens5", Ports: PortRange{First: 54}, To: to}))
			assert.Zero(t, h.deleteFlows(1-tt.Family, flow{Iface: "ens5", Ports: dns, To: to}))
			assert.Equal(t, 2, h.deleteFlows(tt.Family, flow{Iface: "ens5", Ports: dns, To: to}))
			assert.ElementsMatch(t, strings.Fields("1003 1004 1005 1006"), strings.Fields(sources()))
			// The forward is removed.
			other := netip.MustParseAddr(tt.other)
			assert.Equal(t, 2, h.deleteFlows(tt.Family,
				flow{Dst: netip.PrefixFrom(other, other.BitLen()), Ports: dns}, flow{Ports: dns}))
			assert.ElementsMatch(t, strings.Fields("1004 1006"), strings.Fields(sources()))
		})
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := deleteFlows(ctx, IPv4, []flow{{Ports: PortRange{First: 53}}})
	assert.ErrorIs(t, err, context.Canceled)
}

// TestAConversationFollowsTheRules has a client talk through the router to one of
// two servers.
func TestAConversationFollowsTheRules(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			useBackend(t, backend)
			router := newHost(t)
			client, guest := host{t, "hook-client"}, host{t, "hook-guest"}
			for _, h := range []host{client, guest} {
				h.outside("ip", "netns", "add", h.name)
				t.Cleanup(func() { h.outside("ip", "netns", "delete", h.name) })
			}
			router.run("ip", "link", "set", "far", "netns", client.name)
			router.run("ip", "link", "add", "wg0", "type", "veth", "peer", "name", "wg0", "netns", guest.name)
			for _, up := range []struct {
				host
				iface     string
				addresses string
				routes    string
			}{
				{router, "ens5", "203.0.113.63/24 2001:db8:189c:700::63/64", ""},
				{router, "wg0", "10.77.0.1/24 fd77::1/64", ""},
				{client, "far", "203.0.113.7/24 2001:db8:189c:700::7/64", ""},
				{guest, "wg0", "10.77.0.2/24 10.77.0.3/24 fd77::2/64 fd77::3/64", "10.77.0.1 fd77::1"},
			} {
				up.run("ip", "link", "set", up.iface, "up")
				for _, address := range strings.Fields(up.addresses) {
					nodad := []string{"nodad"}
					if !strings.Contains(address, ":") {
						nodad = nil
					}
					up.run(append([]string{"ip", "address", "add", address, "dev", up.iface}, nodad...)...)
				}
				for _, gateway := range strings.Fields(up.routes) {
					up.run("ip", "route", "add", "default", "via", gateway)
				}
			}
			router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

			for _, tt := range []struct {
				Family
				program, router, one, two string
			}{
				{IPv4, "iptables", "203.0.113.63", "10.77.0.2", "10.77.0.3"},
				{IPv6, "ip6tables", "2001:db8:189c:700::63", "fd77::2", "fd77::3"},
			} {
				for _, server := range []string{tt.one, tt.two} {
					guest.inside(func() error {
						conn, err := net.ListenPacket("udp", net.JoinHostPort(server, "53"))
						if err != nil {
							return err
						}
						t.Cleanup(func() { conn.Close() })
						go func() {
							for buf := make([]byte, 16); ; {
								_, from, err := conn.ReadFrom(buf)
								if err != nil {
									return
								}
								conn.WriteTo([]byte(server), from)
							}
						}()
						return nil
					})
				}
				var conn net.Conn
				client.inside(func() (err error) {
					conn, err = net.Dial("udp", net.JoinHostPort(tt.router, "53"))
					return err
				})
				defer conn.Close()
				ask := func() string {
					t.Helper()
					require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
					_, err := conn.Write([]byte("who?"))
					require.NoError(t, err)
					answer := make([]byte, 64)
					n, err := conn.Read(answer)
					require.NoError(t, err)
					return string(answer[:n])
				}
				router.run(tt.program, "-t", "nat", "-A", "PREROUTING", "-i", "ens5", "-p", "udp", "--dport", "53", "-j", "DNAT", "--to-destination", tt.one)
				require.Equal(t, tt.one, ask())
				router.run(tt.program, "-t", "nat", "-R", "PREROUTING", "1", "-i", "ens5", "-p", "udp", "--dport", "53", "-j", "DNAT", "--to-destination", tt.two)
				require.Equal(t, tt.one, ask(), "the kernel remembers")
				moved := flow{Iface: "ens5", Ports: PortRange{First: 53}, To: netip.MustParseAddr(tt.two)}
				assert.Equal(t, 1, router.deleteFlows(tt.Family, moved))
				require.Equal(t, tt.two, ask())
				assert.Zero(t, router.deleteFlows(tt.Family, moved))
			}
		})
	}
}

package natfwd

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// A network is a client, a router and two machines behind it on one link, which
// answer with the address that they see.
type network struct {
	client, router, guest, second lab.Host
}

func startNetwork(t *testing.T, mode string) *network {
	lab.Need(t, "iptables-"+mode, "ip6tables-"+mode)
	n := &network{lab.NewHost(t, "client"), lab.NewHost(t, "router"), lab.NewHost(t, "guest"), lab.NewHost(t, "second")}
	lab.Join(t, lab.NIC{Host: n.client, Iface: "eth0", Addrs: []string{"198.51.100.10/24", "2001:db8:1::10/64"}},
		lab.NIC{Host: n.router, Iface: "ens5", Addrs: []string{"198.51.100.5/24", "2001:db8:1::5/64"}})
	lab.Join(t, lab.NIC{Host: n.guest, Iface: "eth0"}, lab.NIC{Host: n.router, Iface: "lan1"})
	lab.Join(t, lab.NIC{Host: n.second, Iface: "eth0"}, lab.NIC{Host: n.router, Iface: "lan2"})
	n.router.Run(t, "ip", "link", "add", "br0", "type", "bridge")
	for _, port := range []string{"lan1", "lan2"} {
		n.router.Run(t, "ip", "link", "set", port, "master", "br0")
		// Where a bridge passes packets through iptables (br_netfilter), it sends them
		// back by the port they came in only if told so.
		n.router.Run(t, "ip", "link", "set", port, "type", "bridge_slave", "hairpin", "on")
	}
	n.router.Run(t, "ip", "link", "set", "br0", "up")
	for _, at := range []struct {
		host  lab.Host
		iface string
		addrs []string
	}{
		{n.router, "br0", []string{"10.77.0.1/24", "fd77::1/64"}},
		{n.guest, "eth0", []string{"10.77.0.2/24", "fd77::2/64"}},
		{n.second, "eth0", []string{"10.77.0.3/24", "fd77::3/64"}},
	} {
		for _, a := range at.addrs {
			words := []string{"ip", "address", "add", a, "dev", at.iface}
			if netip.MustParsePrefix(a).Addr().Is6() {
				words = append(words, "nodad")
			}
			at.host.Run(t, words...)
		}
		if at.host != n.router {
			at.host.Run(t, "ip", "route", "add", "default", "via", "10.77.0.1")
			at.host.Run(t, "ip", "route", "add", "default", "via", "fd77::1")
			lab.StartEcho(t, at.host)
		}
	}
	n.router.Sysctl(t, "net.ipv4.ip_forward", "1")
	n.router.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	return n
}

func onEveryNetwork(t *testing.T, test func(t *testing.T, n *network, mode string)) {
	for _, mode := range []string{"nft", "legacy"} {
		t.Run(mode, func(t *testing.T) { test(t, startNetwork(t, mode), mode) })
	}
}

// apply applies a set on the router.
func (n *network) apply(t *testing.T, mode string, set Set) {
	t.Helper()
	require.NoError(t, n.router.Do(func() error {
		realSystem(t, mode).apply(t, set)
		return nil
	}))
}

// patience is for an answer, or for the refusal that comes where none is to come.
const patience = 30 * time.Second

// ask returns the address as which one host is seen by who answers at another.
func ask(t *testing.T, from lab.Host, proto, at string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return lab.Probe(ctx, from, proto, at)
}

// Connections to a forward that is kept never fail while others come and go.
func TestApplyUnderTraffic(t *testing.T) {
	onEveryNetwork(t, func(t *testing.T, n *network, mode string) {
		kept := Set{Name: "kept", Masquerade: []string{"ens5"}, Forwards: []Forward{{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest}}}
		n.apply(t, mode, kept)
		var asked atomic.Int64
		done := make(chan struct{})
		var stream sync.WaitGroup
		for _, at := range []string{"198.51.100.5:25", "[2001:db8:1::5]:25"} {
			stream.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					_, err := ask(t, n.client, "tcp", at)
					assert.NoError(t, err)
					asked.Add(1)
				}
			})
		}
		for i := range uint16(30) {
			more := kept
			more.Hairpin = i%2 == 0
			for port := range uint16(50) {
				more.Forwards = append(more.Forwards[:1:1], Forward{Proto: TCP, Iface: "ens5", Ports: []PortRange{{1000 + 100*i, 1000 + 100*i + port}}, To: guest})
			}
			n.apply(t, mode, more)
			n.apply(t, mode, kept)
		}
		close(done)
		stream.Wait()
		t.Logf("%d connections, 60 changes", asked.Load())
		assert.Greater(t, asked.Load(), int64(60))
	})
}

// A UDP conversation goes on to where its first packet went, whatever the rules say
// since, unless the kernel is told to forget it.
func TestUDPFollowsTheRules(t *testing.T) {
	lab.Need(t, "conntrack")
	onEveryNetwork(t, func(t *testing.T, n *network, mode string) {
		for _, at := range []struct {
			addr  string
			there []netip.Addr
		}{{"198.51.100.5:53", guest[:1]}, {"[2001:db8:1::5]:53", guest[1:]}} {
			set := Set{Name: "dns", Forwards: []Forward{{Proto: UDP, Iface: "ens5", Ports: one(53), To: at.there}}}
			n.apply(t, mode, set)
			talk := n.converse(t, at.addr)
			require.NoError(t, talk())
			second := set
			second.Forwards = []Forward{{Proto: UDP, Iface: "ens5", Ports: one(53), To: []netip.Addr{at.there[0].Next()}}}
			n.apply(t, mode, second)
			// Both answer alike: only the kernel can say who did.
			require.NoError(t, talk())
			entries := n.router.Run(t, "conntrack", "-L", "-p", "udp", "-f", map[bool]string{true: "ipv4", false: "ipv6"}[at.there[0].Is4()])
			assert.Contains(t, entries, "src="+second.Forwards[0].To[0].String()+" ")
			assert.NotContains(t, entries, "src="+at.there[0].String()+" ")
		}
	})
}

func TestHairpinAndLocal(t *testing.T) {
	onEveryNetwork(t, func(t *testing.T, n *network, mode string) {
		set := Set{Name: "s", Hairpin: true, Local: true,
			HairpinFrom: []netip.Prefix{prefix("10.77.0.0/24"), prefix("fd77::/64")},
			Forwards:    []Forward{{Proto: TCP, Iface: "ens5", Ports: []PortRange{{First: 25}, {First: 465}}, To: guest}}}
		n.apply(t, mode, set)
		for _, test := range []struct {
			name string
			from lab.Host
			at   string
			want string // as whom the guest sees it
		}{
			{"the client", n.client, "198.51.100.5:25", "198.51.100.10"},
			{"the client", n.client, "[2001:db8:1::5]:25", "2001:db8:1::10"},
			{"the guest itself", n.guest, "198.51.100.5:25", "10.77.0.1"},
			{"the guest itself", n.guest, "[2001:db8:1::5]:25", "fd77::1"},
			{"its neighbour", n.second, "198.51.100.5:465", "10.77.0.1"},
			{"its neighbour", n.second, "[2001:db8:1::5]:465", "fd77::1"},
			{"the router", n.router, "198.51.100.5:25", "10.77.0.1"},
			{"the router", n.router, "[2001:db8:1::5]:25", "fd77::1"},
		} {
			seen, err := ask(t, test.from, "tcp", test.at)
			if assert.NoError(t, err, "%s to %s", test.name, test.at) {
				assert.Equal(t, test.want, seen.String(), "%s to %s", test.name, test.at)
			}
		}
		// Without, none of it works but what comes from outside.
		set.Hairpin, set.Local, set.HairpinFrom = false, false, nil
		n.apply(t, mode, set)
		for _, from := range []lab.Host{n.guest, n.second, n.router} {
			_, err := ask(t, from, "tcp", "198.51.100.5:25")
			assert.Error(t, err)
		}
		_, err := ask(t, n.client, "tcp", "198.51.100.5:25")
		assert.NoError(t, err)
	})
}

func TestPortsAreTranslatedInOrder(t *testing.T) {
	onEveryNetwork(t, func(t *testing.T, n *network, mode string) {
		n.apply(t, mode, Set{Name: "s", Forwards: []Forward{
			{Proto: TCP, Iface: "ens5", Ports: []PortRange{{2000, 2100}}, ToPort: 500, To: guest},
			{Proto: UDP, Iface: "ens5", Ports: one(5353), ToPort: 53, To: guest}}})
		for _, host := range []string{"198.51.100.5", "[2001:db8:1::5]"} {
			_, err := ask(t, n.client, "tcp", host+":2087") // 587
			assert.NoError(t, err)
			_, err = ask(t, n.client, "tcp", host+":2000") // 500, where nobody listens
			assert.Error(t, err)
			_, err = ask(t, n.client, "udp", host+":5353")
			assert.NoError(t, err)
		}
	})
}

func TestOnlyTheSourcesThatAreNamed(t *testing.T) {
	onEveryNetwork(t, func(t *testing.T, n *network, mode string) {
		forward := Forward{Proto: TCP, Iface: "ens5", Ports: one(25), To: guest[:1]}
		for from, want := range map[string]bool{"198.51.100.0/24": true, "192.0.2.0/24": false} {
			forward.From = []netip.Prefix{prefix(from)}
			n.apply(t, mode, Set{Name: "s", Forwards: []Forward{forward}})
			_, err := ask(t, n.client, "tcp", "198.51.100.5:25")
			assert.Equal(t, want, err == nil, from)
		}
	})
}

// converse opens a UDP socket of the client's, over which a function then asks.
func (n *network) converse(t *testing.T, at string) (talk func() error) {
	t.Helper()
	var conn net.Conn
	require.NoError(t, n.client.Do(func() (err error) {
		conn, err = net.Dial("udp", at)
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	return func() error {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte("?")); err != nil {
			return err
		}
		_, err := conn.Read(make([]byte, 512))
		return err
	}
}

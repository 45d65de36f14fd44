package wgpeer

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// joined are two hosts on a cable, and aHub's router on the first. Its endpoint lies
// where the second one's default route leads, its device runs as wgrt, and beyond that
// lie 198.51.100.9 and 2001:db8:9::9.
func joined(t testing.TB) (router, guest lab.Host, hub Hub, c Client) {
	router, guest = lab.NewHost(t, "rtr"), lab.NewHost(t, "gst")
	lab.Join(t,
		lab.NIC{Host: router, Iface: "up0", Addrs: []string{"203.0.113.63/24"}},
		lab.NIC{Host: guest, Iface: "up0", Addrs: []string{"203.0.113.70/24"}})
	router.Run(t, "ip", "address", "add", "192.0.2.63/32", "dev", "up0")
	router.Run(t, "ip", "route", "change", "203.0.113.0/24", "dev", "up0", "src", "192.0.2.63") // it answers from there
	guest.Run(t, "ip", "route", "add", "default", "via", "203.0.113.63")
	hub = aHub()
	hub.Router.Endpoint = "192.0.2.63:51820"
	hub.Router.Iface, hub.Guests[0].Iface = "wgrt", "wggs"
	hub.Guests[0].PrivateKey = testKey(2)
	i, err := hub.Interface("router")
	require.NoError(t, err)
	c = startDevice(t, router, "wgrt")
	apply(t, c, "wgrt", i)
	for _, p := range append(prefixes("198.51.100.9/32", "2001:db8:9::9/128"), i.Addresses...) {
		router.Run(t, "ip", "address", "add", p.String(), "dev", "wgrt")
	}
	router.Run(t, "ip", "link", "set", "wgrt", "up")
	return router, guest, hub, c
}

// ping reaches an address, which answers that nobody listens. It asks three times: on
// a busy machine the two daemons have been seen not to answer for ten seconds.
func ping(t testing.TB, from lab.Host, addr string) {
	t.Helper()
	var err error
	for range 3 {
		err = from.Do(func() error {
			_, err := net.DialTimeout("tcp", net.JoinHostPort(addr, "9"), 10*time.Second)
			return err
		})
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
	}
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// All traffic through the tunnel, without a route to the endpoint of its own, would
// send the tunnel's own packets into it. A reverse path filter would drop the answers.
func TestIfupdownSendsAllButTheTunnelThroughIt(t *testing.T) {
	lab.Need(t, "ifup", "wg")
	_, guest, hub, c := joined(t)
	etcWireGuard(t)
	i, err := hub.Interface("senate")
	require.NoError(t, err)
	conf, err := i.Setconf()
	require.NoError(t, err)
	_, err = conf.Save(t.Context(), "/")
	require.NoError(t, err)
	h := newTunnelHost(t, guest, i)
	guest.Run(t, "ip", "rule", "add", "table", "main", "suppress_prefixlength", "0") // another tunnel's, by wg-quick
	before := h.shows(t)
	for _, strict := range []string{"0", "1", "2"} {
		guest.Sysctl(t, "net.ipv4.conf.all.rp_filter", strict)
		h.do(t, "ifup", "wggs")
		ping(t, guest, "172.16.1.1")
		ping(t, guest, "198.51.100.9")
		ping(t, guest, "2001:db8:9::9")
		ping(t, guest, "203.0.113.63") // the main table's own routes come first
		plan, err := Diff(t.Context(), c, "wggs", i)
		require.NoError(t, err)
		assert.Empty(t, plan.String(), "the mark is left alone")
		h.do(t, "ifup", "--force", "wggs")
		assert.Equal(t, `up0 inet 203.0.113.70/24
wggs inet 172.16.1.4/24
wggs inet6 fd77::4/64
default dev wggs table 51820 scope link
default via 203.0.113.63 dev up0
172.16.1.0/24 dev wggs proto kernel scope link src 172.16.1.4
203.0.113.0/24 dev up0 proto kernel scope link src 203.0.113.70
default dev wggs table 51820 metric 1024 pref medium
fd77::/64 dev wggs proto kernel metric 256 pref medium
0: from all lookup local
32763: not from all fwmark 0xca6c lookup main suppress_prefixlength 0
32764: not from all fwmark 0xca6c lookup 51820
32765: from all lookup main suppress_prefixlength 0
32766: from all lookup main
32767: from all lookup default
0: from all lookup local
32764: not from all fwmark 0xca6c lookup main suppress_prefixlength 0
32765: not from all fwmark 0xca6c lookup 51820
32766: from all lookup main
`, h.shows(t))
		ping(t, guest, "198.51.100.9")
		h.do(t, "ifdown", "wggs")
		assert.Equal(t, before, h.shows(t))
	}

	// A start that fails at its end.
	guest.Sysctl(t, "net.ipv6.conf.default.disable_ipv6", "1")
	h.fails(t, "ifup", "wggs")
	assert.Contains(t, h.shows(t), "lookup 51820")
	h.do(t, "ifdown", "--force", "wggs")
	assert.Equal(t, before, h.shows(t))
	guest.Sysctl(t, "net.ipv6.conf.default.disable_ipv6", "0")

	// The table is another tunnel's.
	guest.Run(t, "ip", "route", "add", "default", "dev", "up0", "table", "51820")
	guest.Run(t, "ip", "rule", "add", "not", "fwmark", "51820", "table", "51820")
	others := h.shows(t)
	h.fails(t, "ifup", "wggs")
	guest.Run(t, "ip", "link", "delete", "wggs")
	assert.Equal(t, others, h.shows(t))
}

// A running session keeps its counters and its keys when peers beside it come and go,
// and when its own peer changes.
func TestApplyKeepsARunningSession(t *testing.T) {
	_, guest, hub, c := joined(t)
	startDevice(t, guest, "wggs")
	senate, err := hub.Interface("senate")
	require.NoError(t, err)
	apply(t, c, "wggs", senate)
	guest.Run(t, "ip", "address", "add", "172.16.1.4/24", "dev", "wggs")
	guest.Run(t, "ip", "link", "set", "wggs", "up")
	ping(t, guest, "172.16.1.1")

	router, err := hub.Interface("router")
	require.NoError(t, err)
	key := hub.Guests[0].PublicKey
	first := readPeer(t, c, "wgrt", key)
	require.False(t, first.LastHandshakeTime.IsZero())
	require.NotNil(t, first.Endpoint)
	plan, err := Diff(t.Context(), c, "wgrt", router)
	require.NoError(t, err)
	assert.Empty(t, plan.String(), "it is where it says it is")

	health, err := Health(t.Context(), c, "wgrt", router, first.LastHandshakeTime.Add(time.Second))
	require.NoError(t, err)
	assert.Empty(t, health[0].Check())
	assert.Equal(t, netip.MustParseAddr("203.0.113.70"), health[0].Endpoint.Addr())
	assert.ErrorContains(t, health[1].Check().Err(), "never")

	unchanged := func() {
		t.Helper()
		now := readPeer(t, c, "wgrt", key)
		assert.Equal(t, first.LastHandshakeTime, now.LastHandshakeTime)
		assert.GreaterOrEqual(t, now.ReceiveBytes, first.ReceiveBytes)
		assert.GreaterOrEqual(t, now.TransmitBytes, first.TransmitBytes)
		ping(t, guest, "172.16.1.1")
	}
	router.Peers[1] = testPeer(4, "172.16.1.6/32") // another guest goes, one comes
	apply(t, c, "wgrt", router)
	unchanged()
	router.Peers[0].AllowedIPs = prefixes("172.16.1.4/32", "192.168.15.0/24")
	router.Peers[0].Keepalive = 25 * time.Second
	apply(t, c, "wgrt", router)
	unchanged()

	// The contrast: replacing all peers with the same ones.
	fresh := newFake("wgrt")
	apply(t, fresh, "wgrt", router)
	cfg := fresh.calls[0]
	cfg.ReplacePeers = true
	require.NoError(t, c.ConfigureDevice("wgrt", cfg))
	assert.True(t, readPeer(t, c, "wgrt", key).LastHandshakeTime.IsZero())
}

// wg-quick makes the device as well, and sets the key from its file.
func TestWGQuickBringsUpADeviceWithAKeyFile(t *testing.T) {
	lab.Need(t, "wg-quick", "wireguard")
	etcWireGuard(t)
	host := lab.NewHost(t, "wgqk")
	i := endOf(t, "router")
	i.Iface, i.PrivateKey, i.KeyFile, i.MTU = "wgqk", PrivateKey{}, "/etc/wireguard/wgqk.key", 1380
	key, err := testKey(1).File(i.KeyFile)
	require.NoError(t, err)
	conf, err := i.WGQuick()
	require.NoError(t, err)
	for _, out := range []Output{key, conf} {
		_, err := out.Save(t.Context(), "/")
		require.NoError(t, err)
	}
	quick := []string{"env", "WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard", "wg-quick"}
	host.Run(t, append(quick, "up", "wgqk")...)
	plan, err := Diff(t.Context(), realClient(t), "wgqk", i)
	require.NoError(t, err)
	assert.Empty(t, plan.String())
	assert.Contains(t, host.Run(t, "ip", "link", "show", "wgqk"), "mtu 1380")
	assert.Contains(t, host.Run(t, "ip", "-4", "route", "show", "dev", "wgqk"), "192.168.14.5")
	host.Run(t, append(quick, "down", "wgqk")...)
	_, err = os.Stat("/etc/wireguard/wgqk.conf")
	require.NoError(t, err)
}

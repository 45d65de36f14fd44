package wgpeer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// testKey is a private key that is the same in every run.
func testKey(n int) PrivateKey {
	return privateKey(wgtypes.Key{1: byte(n), 2: byte(n >> 8)})
}

func testPSK(n byte) PresharedKey { return presharedKey(wgtypes.Key{n, 31: 2}) }

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func testPeer(n int, allowed ...string) Peer {
	return Peer{PublicKey: testKey(n).Public(), AllowedIPs: prefixes(allowed...)}
}

// names is a resolver that knows some names.
func names(known map[string][]string) resolver {
	return func(_ context.Context, _, host string) ([]netip.Addr, error) {
		texts, ok := known[host]
		if !ok {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		var out []netip.Addr
		for _, text := range texts {
			out = append(out, netip.MustParseAddr(text))
		}
		return out, nil
	}
}

// apply makes the device so, and checks that there is nothing left to do.
func apply(t testing.TB, c Client, iface string, i Interface) *Plan {
	t.Helper()
	plan, err := Diff(t.Context(), c, iface, i)
	require.NoError(t, err)
	require.NoError(t, Apply(t.Context(), plan))
	again, err := Diff(t.Context(), c, iface, i)
	require.NoError(t, err)
	require.Empty(t, again.String())
	return plan
}

func readPeer(t testing.TB, c Client, iface string, key PublicKey) *wgtypes.Peer {
	t.Helper()
	dev, err := c.Device(iface)
	require.NoError(t, err)
	at := slices.IndexFunc(dev.Peers, func(p wgtypes.Peer) bool { return p.PublicKey == key })
	if at < 0 {
		return nil
	}
	return &dev.Peers[at]
}

// What a device accepts without a word, the fake accepts as well.
func TestTrapsOfDevices(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		set := func(peers ...wgtypes.PeerConfig) {
			t.Helper()
			require.NoError(t, c.ConfigureDevice(iface, wgtypes.Config{Peers: peers}))
		}
		nets := func(texts ...string) (out []net.IPNet) {
			for _, p := range prefixes(texts...) {
				out = append(out, ipNet(p))
			}
			return out
		}
		allowed := func(key PublicKey) []netip.Prefix {
			t.Helper()
			p := readPeer(t, c, iface, key)
			require.NotNil(t, p)
			return live(*p).prefixes
		}
		own := testKey(9)
		require.NoError(t, c.ConfigureDevice(iface, wgtypes.Config{PrivateKey: new(own.bytes())}))
		a, b := testKey(1).Public(), testKey(2).Public()

		set(wgtypes.PeerConfig{PublicKey: a, AllowedIPs: nets("10.77.0.2/32")})
		set(wgtypes.PeerConfig{PublicKey: a, AllowedIPs: nets("fd77::2/128")})
		assert.Equal(t, prefixes("10.77.0.2/32", "fd77::2/128"), allowed(a), "prefixes merge")

		set(wgtypes.PeerConfig{PublicKey: b, AllowedIPs: nets("10.77.0.2/32")})
		assert.Equal(t, prefixes("fd77::2/128"), allowed(a), "the last peer wins")
		assert.Equal(t, prefixes("10.77.0.2/32"), allowed(b))

		unknown := testKey(3).Public()
		set(wgtypes.PeerConfig{PublicKey: unknown, UpdateOnly: true, AllowedIPs: nets("10.77.0.9/32")})
		set(wgtypes.PeerConfig{PublicKey: unknown, Remove: true})
		set(wgtypes.PeerConfig{PublicKey: own.Public(), AllowedIPs: nets("10.77.0.9/32")})
		assert.Nil(t, readPeer(t, c, iface, unknown))
		assert.Nil(t, readPeer(t, c, iface, own.Public()))

		set(wgtypes.PeerConfig{PublicKey: a, PersistentKeepaliveInterval: new(2500 * time.Millisecond)})
		set(wgtypes.PeerConfig{PublicKey: a})
		assert.Equal(t, 2*time.Second, readPeer(t, c, iface, a).PersistentKeepaliveInterval, "nil leaves it, and it truncates")
	})
}

func TestDiffFillsAFreshDevice(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		i := Interface{
			PrivateKey: testKey(9), ListenPort: 51820, FwMark: 7,
			Peers: []Peer{
				{Name: "senate", PublicKey: testKey(1).Public(), PresharedKey: testPSK(1), AllowedIPs: prefixes("fd77::4/128", "10.77.0.4/32", "10.77.0.4/32"), Keepalive: 25 * time.Second},
				{PublicKey: testKey(2).Public(), Endpoint: "[2001:db8::2]:51820", AllowedIPs: prefixes("192.0.2.77/24")},
				{PublicKey: testKey(3).Public()},
			},
		}
		plan := apply(t, c, iface, i)
		assert.Contains(t, plan.String(), " interface wgdev\n+public-key "+i.PrivateKey.Public().String()+"\n")
		assert.Contains(t, plan.String(), "+peer "+testKey(1).Public().String()+` (senate)
+  preshared-key redacted
+  allowed-ips 10.77.0.4/32
+  allowed-ips fd77::4/128
+  persistent-keepalive 25
`)
		assert.NotContains(t, plan.String(), testPSK(1).Reveal())
		assert.NotContains(t, plan.String(), testKey(9).Reveal())

		dev, err := c.Device(iface)
		require.NoError(t, err)
		assert.Equal(t, i.PrivateKey.Public(), dev.PublicKey)
		assert.Equal(t, 51820, dev.ListenPort)
		assert.Equal(t, 7, dev.FirewallMark)
		require.Len(t, dev.Peers, 3)
		senate := readPeer(t, c, iface, testKey(1).Public())
		assert.Equal(t, testPSK(1).Reveal(), senate.PresharedKey.String())
		assert.Equal(t, 25*time.Second, senate.PersistentKeepaliveInterval)
		assert.Equal(t, prefixes("10.77.0.4/32", "fd77::4/128"), live(*senate).prefixes)
		other := live(*readPeer(t, c, iface, testKey(2).Public()))
		assert.Equal(t, netip.MustParseAddrPort("[2001:db8::2]:51820"), other.endpoint)
		assert.Equal(t, prefixes("192.0.2.0/24"), other.prefixes)
	})
}

// "wg syncconf" leaves a keepalive and an endpoint where they are.
func TestDiffRemovesKeepaliveEndpointAndPresharedKey(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		p := testPeer(1, "10.77.0.2/32")
		p.Endpoint, p.Keepalive, p.PresharedKey = "192.0.2.1:51820", 25*time.Second, testPSK(1)
		i := Interface{PrivateKey: testKey(9), Peers: []Peer{p}}
		apply(t, c, iface, i)

		i.Peers = []Peer{testPeer(1, "10.77.0.2/32")}
		plan := apply(t, c, iface, i)
		assert.Equal(t, ` interface wgdev
 peer `+p.PublicKey.String()+`, removed and added again
-  preshared-key redacted
-  endpoint 192.0.2.1:51820
-  persistent-keepalive 25
`, plan.String())
		assert.Empty(t, plan.Removes())
		assert.Equal(t, &livePeer{prefixes: prefixes("10.77.0.2/32")}, live(*readPeer(t, c, iface, p.PublicKey)))
	})
}

func TestDiffMovesPrefixesBetweenPeers(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		i := Interface{PrivateKey: testKey(9), Peers: []Peer{
			testPeer(1, "10.77.0.1/32", "10.77.1.0/24"), testPeer(2, "10.77.0.2/32"), testPeer(3, "10.77.0.3/32"),
		}}
		apply(t, c, iface, i)
		for _, now := range [][]Peer{
			{testPeer(1, "10.77.0.1/32"), testPeer(2, "10.77.0.2/32", "10.77.1.0/24"), testPeer(3, "10.77.0.3/32")}, // one moves
			{testPeer(1, "10.77.0.2/32"), testPeer(2, "10.77.0.3/32", "10.77.1.0/24"), testPeer(3, "10.77.0.1/32")}, // all change places
			{testPeer(3, "0.0.0.0/0", "10.77.0.1/32"), testPeer(2, "10.77.0.2/32"), testPeer(1)},                    // a default route holds others'
			{testPeer(2, "10.77.0.0/16")}, // from peers that go
		} {
			i.Peers = now
			apply(t, c, iface, i)
			for _, p := range now {
				assert.ElementsMatch(t, p.AllowedIPs, live(*readPeer(t, c, iface, p.PublicKey)).prefixes)
			}
		}
	})
}

func TestDiffRemovesPeersThatAreNotNamed(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		apply(t, c, iface, Interface{PrivateKey: testKey(9), Peers: []Peer{testPeer(1, "10.77.0.1/32"), testPeer(2), testPeer(3)}})
		plan, err := Diff(t.Context(), c, iface, Interface{Peers: []Peer{testPeer(2)}})
		require.NoError(t, err)
		assert.ElementsMatch(t, []PublicKey{testKey(1).Public(), testKey(3).Public()}, plan.Removes())
		assert.Contains(t, plan.String(), "-peer "+testKey(1).Public().String()+"\n-  allowed-ips 10.77.0.1/32\n")
		require.NoError(t, Apply(t.Context(), plan))
		assert.Nil(t, readPeer(t, c, iface, testKey(1).Public()))
	})
}

func TestDiffPeerLeavesOthersAlone(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		apply(t, c, iface, Interface{PrivateKey: testKey(9), Peers: []Peer{testPeer(1, "10.77.0.1/32"), testPeer(2, "10.77.0.2/32")}})
		before := live(*readPeer(t, c, iface, testKey(1).Public()))

		for _, p := range []Peer{testPeer(2, "10.77.0.2/32", "10.77.2.0/24"), testPeer(3, "10.77.0.3/32")} {
			plan, err := DiffPeer(t.Context(), c, iface, p)
			require.NoError(t, err)
			assert.Empty(t, plan.Removes())
			require.NoError(t, Apply(t.Context(), plan))
			assert.Equal(t, p.AllowedIPs, live(*readPeer(t, c, iface, p.PublicKey)).prefixes)
		}
		for _, p := range []Peer{testPeer(4, "10.77.0.1/32"), testPeer(4, "10.77.0.0/24"), testPeer(4, "10.77.2.9/32")} {
			_, err := DiffPeer(t.Context(), c, iface, p)
			refused, ok := errors.AsType[*ValueError](err)
			require.True(t, ok, "%v", err)
			assert.Contains(t, refused.Reason, "overlaps")
		}
		assert.Equal(t, before, live(*readPeer(t, c, iface, testKey(1).Public())))

		plan, err := DiffRemoval(t.Context(), c, iface, testKey(2).Public())
		require.NoError(t, err)
		assert.Equal(t, []PublicKey{testKey(2).Public()}, plan.Removes())
		require.NoError(t, Apply(t.Context(), plan))
		assert.Nil(t, readPeer(t, c, iface, testKey(2).Public()))
		_, err = DiffRemoval(t.Context(), c, iface, testKey(2).Public())
		assert.ErrorIs(t, err, os.ErrNotExist)
		assert.NotNil(t, readPeer(t, c, iface, testKey(1).Public()))
	})
}

func TestDiffRefusesWhatADeviceWouldTakeSilently(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		for _, test := range []struct {
			reason string
			i      Interface
		}{
			{"the device has none", Interface{PublicKey: testKey(9).Public()}},
		} {
			_, err := Diff(t.Context(), c, iface, test.i)
			assert.ErrorContains(t, err, test.reason)
		}
		apply(t, c, iface, Interface{PrivateKey: testKey(9)})
		for _, test := range []struct {
			reason string
			i      Interface
		}{
			{"own", Interface{Peers: []Peer{testPeer(9)}}},
			{"own", Interface{PrivateKey: testKey(8), Peers: []Peer{testPeer(8)}}},
			{"is the device's", Interface{PublicKey: testKey(1).Public()}},
			{"is the device's", Interface{PrivateKey: testKey(1), PublicKey: testKey(1).Public()}},
			{"overlaps", Interface{Peers: []Peer{testPeer(1, "10.77.0.1/32"), testPeer(2, "10.77.0.1/32")}}},
			{"overlaps", Interface{Peers: []Peer{testPeer(1, "10.77.0.0/24"), testPeer(2, "10.77.0.1/32")}}},
			{"overlaps", Interface{Peers: []Peer{testPeer(1, "::/0"), testPeer(2, "::/0")}}},
			{"two peers", Interface{Peers: []Peer{testPeer(1), testPeer(1)}}},
			{"has none", Interface{Peers: []Peer{{Name: "x"}}}},
			{"whole seconds", Interface{Peers: []Peer{{PublicKey: testKey(1).Public(), Keepalive: time.Millisecond}}}},
			{"IPv4 written as IPv6", Interface{Peers: []Peer{testPeer(1, "::ffff:10.77.0.0/112")}}},
		} {
			_, err := Diff(t.Context(), c, iface, test.i)
			_, ok := errors.AsType[*ValueError](err)
			assert.True(t, ok)
			assert.ErrorContains(t, err, test.reason)
		}
		_, err := DiffPeer(t.Context(), c, iface, testPeer(9))
		assert.ErrorContains(t, err, "own")
		dev, err := c.Device(iface)
		require.NoError(t, err)
		assert.Empty(t, dev.Peers)

		apply(t, c, iface, Interface{PrivateKey: testKey(8)}) // the guard left out
	})
}

func TestEndpoints(t *testing.T) {
	at := func(text string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
	lookup := names(map[string][]string{"hub.example.net": {"2001:db8::63", "::ffff:203.0.113.63"}})
	shaken := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key := testKey(1).Public()
	for _, test := range []struct {
		name, configured string
		live             *net.UDPAddr
		handshake        time.Time
		want             string
	}{
		{"one of the name's addresses", "hub.example.net:51820", at("203.0.113.63:51820"), time.Time{}, ""},
		{"as the kernel may give it", "203.0.113.63:51820", &net.UDPAddr{IP: net.ParseIP("203.0.113.63"), Port: 51820}, time.Time{}, ""},
		{"another port", "hub.example.net:51820", at("203.0.113.63:1"), shaken, "-  endpoint 203.0.113.63:1\n+  endpoint [2001:db8::63]:51820\n"},
		{"none yet", "hub.example.net:51820", nil, time.Time{}, "+  endpoint [2001:db8::63]:51820\n"},
		{"not configured, and it spoke first", "", at("192.0.2.9:4000"), shaken, ""},
		{"not configured, and never there", "", at("192.0.2.9:4000"), time.Time{}, "-  endpoint 192.0.2.9:4000\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newFake("wg0")
			c.peers[key] = &wgtypes.Peer{PublicKey: key, Endpoint: test.live, LastHandshakeTime: test.handshake}
			plan, err := lookup.diff(t.Context(), c, "wg0", Interface{Peers: []Peer{{PublicKey: key, Endpoint: test.configured}}})
			require.NoError(t, err)
			if test.want == "" {
				assert.Empty(t, plan.String())
				return
			}
			assert.Contains(t, plan.String(), test.want)
			require.NoError(t, Apply(t.Context(), plan))
			again, err := lookup.diff(t.Context(), c, "wg0", Interface{Peers: []Peer{{PublicKey: key, Endpoint: test.configured}}})
			require.NoError(t, err)
			assert.True(t, again.Empty())
		})
	}
	empty := names(map[string][]string{"hub.example.net": nil})
	_, err := empty.diffPeer(t.Context(), newFake("wg0"), "wg0", Peer{PublicKey: key, Endpoint: "hub.example.net:51820"})
	assert.ErrorContains(t, err, "the name has no address")
	_, err = lookup.diffPeer(t.Context(), newFake("wg0"), "wg0", Peer{PublicKey: key, Endpoint: "gone.example.net:51820"})
	missing, ok := errors.AsType[*net.DNSError](err)
	require.True(t, ok)
	assert.Equal(t, "gone.example.net", missing.Name)
}

// An IPv4 address may come in 16 bytes, and then its mask says what it is.
func TestPrefixesOfDevices(t *testing.T) {
	for _, ip := range []net.IP{net.ParseIP("10.77.0.9"), net.ParseIP("10.77.0.9").To4()} {
		assert.Equal(t, netip.MustParsePrefix("10.77.0.0/24"), prefixOf(net.IPNet{IP: ip, Mask: net.CIDRMask(24, 32)}))
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, text := range []string{
		"", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:70000", "192.0.2.1:http", "2001:db8::1:51820", "[192.0.2.1]:51820",
		"[2001:db8::1]", "[hub.example.net]:51820", "[fe80::1%eth0]:51820", "[::ffff:192.0.2.1]:51820", "0.0.0.0:51820", "192.0.2:51820", "3232235777:51820",
		"hub example:51820", "hub\n:51820", "$(reboot):51820", "hub;x:51820", "-hub.example.net:51820", "hub..example.net:51820", ":51820", "hub#:51820", strings.Repeat("hub.", 64) + ":51820",
	} {
		_, err := parseEndpoint(text)
		_, ok := errors.AsType[*ValueError](err)
		assert.True(t, ok, text)
	}
	for _, text := range []string{"192.0.2.1:51820", "[2001:db8::1]:51820", "hub.example.net:51820", "hub:1", "xn--hub-5qa.example.net.:65535", "4hub.example.net:1"} {
		_, err := parseEndpoint(text)
		assert.NoError(t, err, text)
	}
}

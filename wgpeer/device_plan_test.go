package wgpeer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

func TestMissingDevice(t *testing.T) {
	for _, c := range []Client{newFake("wg1"), realClient(t)} {
		_, err := Diff(t.Context(), c, "wg0", Interface{})
		assert.ErrorIs(t, err, os.ErrNotExist)
		_, err = DiffPeer(t.Context(), c, "wg0", testPeer(1))
		assert.ErrorIs(t, err, os.ErrNotExist)
		_, err = Health(t.Context(), c, "wg0", Interface{}, time.Time{})
		assert.ErrorIs(t, err, os.ErrNotExist)
	}
}

func TestApplyRefusesAStalePlan(t *testing.T) {
	onDevices(t, func(t *testing.T, c Client, iface string) {
		apply(t, c, iface, Interface{PrivateKey: testKey(9), Peers: []Peer{testPeer(1, "10.77.0.1/32")}})
		want := Interface{Peers: []Peer{testPeer(1, "10.77.0.1/32"), testPeer(2, "10.77.0.2/32")}}
		whole, err := Diff(t.Context(), c, iface, want)
		require.NoError(t, err)
		one, err := DiffPeer(t.Context(), c, iface, testPeer(2, "10.77.0.2/32"))
		require.NoError(t, err)

		// Somebody else's peer, which the plan would remove unseen.
		other, err := DiffPeer(t.Context(), c, iface, testPeer(3, "10.77.0.3/32"))
		require.NoError(t, err)
		require.NoError(t, Apply(t.Context(), other))
		assert.ErrorIs(t, Apply(t.Context(), whole), ErrStale)
		assert.NotNil(t, readPeer(t, c, iface, testKey(3).Public()))

		require.NoError(t, Apply(t.Context(), one), "others are none of its business")
		require.NoError(t, Apply(t.Context(), one), "it is done")

		// Somebody else's peer, which has taken the prefix meanwhile.
		one, err = DiffPeer(t.Context(), c, iface, testPeer(4, "10.77.0.4/32"))
		require.NoError(t, err)
		other, err = DiffPeer(t.Context(), c, iface, testPeer(5, "10.77.0.4/32"))
		require.NoError(t, err)
		require.NoError(t, Apply(t.Context(), other))
		assert.ErrorIs(t, Apply(t.Context(), one), ErrStale)
	})
}

// What a device finds out by itself is not what a plan is about; what somebody set is.
func TestApplyKnowsWhatThePlanIsAbout(t *testing.T) {
	live := func() *wgtypes.Peer {
		return &wgtypes.Peer{
			PublicKey: testKey(1).Public(), PresharedKey: testPSK(1).bytes(), PersistentKeepaliveInterval: time.Second,
			Endpoint: net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.9:4000")), LastHandshakeTime: time.Unix(1, 0),
			AllowedIPs: []net.IPNet{ipNet(netip.MustParsePrefix("10.77.0.1/32"))},
		}
	}
	wanted := testPeer(1, "10.77.0.1/32", "10.77.1.0/24")
	for _, test := range []struct {
		name  string
		stale bool
		do    func(f *fakeClient, p *wgtypes.Peer)
	}{
		{"nothing", false, func(f *fakeClient, p *wgtypes.Peer) {}},
		{"the port that the device chose", false, func(f *fakeClient, p *wgtypes.Peer) { f.device.ListenPort++ }},
		{"the place where the peer is", false, func(f *fakeClient, p *wgtypes.Peer) {
			p.Endpoint = net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.9:4001"))
		}},
		{"counters and a handshake", false, func(f *fakeClient, p *wgtypes.Peer) {
			p.ReceiveBytes, p.LastHandshakeTime = 1, time.Unix(2, 0)
		}},
		{"the preshared key", true, func(f *fakeClient, p *wgtypes.Peer) { p.PresharedKey = testPSK(2).bytes() }},
		{"the keepalive", true, func(f *fakeClient, p *wgtypes.Peer) { p.PersistentKeepaliveInterval = 2 * time.Second }},
		{"the prefixes", true, func(f *fakeClient, p *wgtypes.Peer) {
			p.AllowedIPs = append(p.AllowedIPs, ipNet(netip.MustParsePrefix("10.77.9.0/24")))
		}},
		{"the mark", true, func(f *fakeClient, p *wgtypes.Peer) { f.device.FirewallMark = 3 }},
		{"the device's key", true, func(f *fakeClient, p *wgtypes.Peer) {
			f.device.PrivateKey, f.device.PublicKey = testKey(7).bytes(), testKey(7).Public()
		}},
	} {
		for verb, i := range map[string]Interface{
			"changed": {PrivateKey: testKey(9), ListenPort: 51820, FwMark: 1, Peers: []Peer{wanted}},
			"removed": {PrivateKey: testKey(9), ListenPort: 51820, FwMark: 1},
		} {
			t.Run(test.name+", "+verb, func(t *testing.T) {
				f, peer := newFake("wg0"), live()
				f.device.ListenPort, f.device.FirewallMark, f.peers[peer.PublicKey] = 40000, 2, peer
				f.device.PrivateKey, f.device.PublicKey = testKey(8).bytes(), testKey(8).Public()
				plan, err := Diff(t.Context(), f, "wg0", i)
				require.NoError(t, err)
				test.do(f, peer)
				err = Apply(t.Context(), plan)
				assert.Equal(t, test.stale, errors.Is(err, ErrStale), "%v", err)
				assert.Equal(t, test.stale, len(f.calls) == 0)
			})
		}
	}
	c := newFake("wg0")
	plan, err := Diff(t.Context(), c, "wg0", Interface{ListenPort: 51820})
	require.NoError(t, err)
	c.device.PrivateKey, c.device.PublicKey = testKey(7).bytes(), testKey(7).Public()
	assert.NoError(t, Apply(t.Context(), plan), "a key that the plan does not have")
	plan, err = Diff(t.Context(), c, "wg0", Interface{ListenPort: 1, Peers: []Peer{testPeer(1)}})
	require.NoError(t, err)
	c.device.PrivateKey, c.device.PublicKey = testKey(1).bytes(), testKey(1).Public()
	assert.EqualError(t, Apply(t.Context(), plan), `changed since it was read: wg0: PublicKey: "`+testKey(1).Public().String()+`": is the device's own: it is no peer of itself`)
}

func TestApplyTouchesOnlyWhatChanges(t *testing.T) {
	c := newFake("wg0")
	i := Interface{PrivateKey: testKey(9), ListenPort: 1, Peers: []Peer{testPeer(1, "10.77.0.1/32"), testPeer(2, "10.77.0.2/32"), testPeer(3)}}
	apply(t, c, "wg0", i)
	c.calls = nil
	i.Peers[1].AllowedIPs = prefixes("10.77.0.2/32", "10.77.2.0/24")
	apply(t, c, "wg0", i)
	require.Len(t, c.calls, 1)
	assert.Equal(t, wgtypes.Config{Peers: []wgtypes.PeerConfig{{
		PublicKey: testKey(2).Public(), UpdateOnly: true, AllowedIPs: []net.IPNet{ipNet(netip.MustParsePrefix("10.77.2.0/24"))},
	}}}, c.calls[0])

	plan, err := Diff(t.Context(), c, "wg0", i)
	require.NoError(t, err)
	assert.True(t, plan.Empty())
	require.NoError(t, Apply(t.Context(), plan))
	assert.Len(t, c.calls, 1)
}

func TestPlanIsTheSameInAnyOrder(t *testing.T) {
	c := newFake("wg0")
	apply(t, c, "wg0", Interface{PrivateKey: testKey(9), Peers: []Peer{testPeer(1, "10.77.0.1/32"), testPeer(2), testPeer(3)}})
	var want Interface
	for n := 2; n < 40; n++ {
		want.Peers = append(want.Peers, testPeer(n+100, fmt.Sprintf("10.78.%d.0/24", n), fmt.Sprintf("10.79.%d.0/24", n)))
	}
	first := ""
	for range 10 {
		rand.Shuffle(len(want.Peers), func(i, j int) { want.Peers[i], want.Peers[j] = want.Peers[j], want.Peers[i] })
		slices.Reverse(want.Peers[0].AllowedIPs)
		plan, err := Diff(t.Context(), c, "wg0", want)
		require.NoError(t, err)
		if first == "" {
			first = plan.String()
		}
		assert.Equal(t, first, plan.String())
	}
}

func TestNothingIsDoneWhenTheContextHasEnded(t *testing.T) {
	c := newFake("wg0")
	plan, err := DiffPeer(t.Context(), c, "wg0", testPeer(1))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, Apply(ctx, plan), context.Canceled)
	assert.Empty(t, c.calls)
}

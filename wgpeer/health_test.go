package wgpeer

import (
	"encoding/json"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

func TestHealth(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lookup := names(map[string][]string{"hub.example.net": {"198.51.100.7"}})
	at := func(text string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
	key := testKey(1).Public()
	old, fresh := now.Add(-10*time.Minute), now.Add(-30*time.Second)
	for _, test := range []struct {
		name string
		peer Peer
		live *wgtypes.Peer
		want string // "" is well
	}{
		{"well", Peer{Keepalive: 25 * time.Second}, &wgtypes.Peer{LastHandshakeTime: fresh}, ""},
		{"missing", Peer{}, nil, "senate: error: is not on the device\n"},
		{"never there", Peer{}, &wgtypes.Peer{}, "senate: error: has never shaken hands\n"},
		{"old and nothing to say", Peer{}, &wgtypes.Peer{LastHandshakeTime: old}, ""},
		{"old in spite of our keepalive", Peer{Keepalive: 25 * time.Second}, &wgtypes.Peer{LastHandshakeTime: old}, "senate: error: last shook hands 10m0s ago\n"},
		{"old in spite of the device's keepalive", Peer{}, &wgtypes.Peer{LastHandshakeTime: old, PersistentKeepaliveInterval: time.Second}, "senate: error: last shook hands 10m0s ago\n"},
		{"old in spite of the peer's keepalive", Peer{Heartbeat: time.Minute}, &wgtypes.Peer{LastHandshakeTime: old}, "senate: error: last shook hands 10m0s ago\n"},
		{"a keepalive that may still help", Peer{Keepalive: 25 * time.Second}, &wgtypes.Peer{LastHandshakeTime: now.Add(-180 * time.Second)}, ""},
		{"a keepalive that did not help", Peer{Keepalive: 25 * time.Second}, &wgtypes.Peer{LastHandshakeTime: now.Add(-181 * time.Second)}, "senate: error: last shook hands 3m1s ago\n"},
		{"a ping each minute, just before the next", Peer{Heartbeat: time.Minute}, &wgtypes.Peer{LastHandshakeTime: now.Add(-185 * time.Second)}, ""},
		{"a ping each minute that did not help", Peer{Heartbeat: time.Minute}, &wgtypes.Peer{LastHandshakeTime: now.Add(-186 * time.Second)}, "senate: error: last shook hands 3m6s ago\n"},
		{"a keepalive seldom", Peer{Keepalive: 10 * time.Minute}, &wgtypes.Peer{LastHandshakeTime: old}, ""},
		{"a keepalive seldom and a ping each minute", Peer{Keepalive: 10 * time.Minute, Heartbeat: time.Minute}, &wgtypes.Peer{LastHandshakeTime: old}, "senate: error: last shook hands 10m0s ago\n"},
		{"where the name says", Peer{Endpoint: "hub.example.net:51820"}, &wgtypes.Peer{LastHandshakeTime: fresh, Endpoint: at("198.51.100.7:51820")}, ""},
		{"where the name said", Peer{Endpoint: "hub.example.net:51820"}, &wgtypes.Peer{LastHandshakeTime: fresh, Endpoint: at("203.0.113.63:51820")}, "senate: warning: uses 203.0.113.63:51820, and hub.example.net:51820 is now 198.51.100.7:51820\n"},
		{"a name that is gone", Peer{Endpoint: "gone.example.net:51820"}, &wgtypes.Peer{LastHandshakeTime: fresh}, "senate: warning: endpoint \"gone.example.net:51820\": lookup gone.example.net: no such host\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newFake("wg0")
			if test.live != nil {
				test.live.PublicKey = key
				c.peers[key] = test.live
			}
			test.peer.PublicKey, test.peer.Name = key, "senate"
			all, err := lookup.health(t.Context(), c, "wg0", Interface{Peers: []Peer{test.peer}}, now)
			require.NoError(t, err)
			require.Len(t, all, 1)
			assert.Equal(t, test.want, all[0].Check().String())
		})
	}
}

func TestHealthOfPeersThatAreNotNamed(t *testing.T) {
	c := newFake("wg0")
	for n := range 3 {
		key := testKey(n + 1).Public()
		c.peers[key] = &wgtypes.Peer{PublicKey: key}
	}
	all, err := Health(t.Context(), c, "wg0", Interface{Peers: []Peer{testPeer(2)}}, time.Now())
	require.NoError(t, err)
	require.Len(t, all, 3)
	assert.False(t, all[0].Unnamed)
	assert.True(t, all[1].Unnamed && all[2].Unnamed)
	assert.NoError(t, all[1].Check().Err(), "what it does is not known here")

	c.peers[testKey(2).Public()].LastHandshakeTime = time.Unix(9, 0)
	all, err = Health(t.Context(), c, "wg0", Interface{Peers: []Peer{testPeer(2)}}, time.Unix(8, 0))
	require.NoError(t, err)
	assert.Zero(t, all[0].Age, "a clock that was put back")
	assert.Less(t, all[1].PublicKey.String(), all[2].PublicKey.String())
}

func TestHealthSinceAnEarlierLook(t *testing.T) {
	old := PeerHealth{Age: 10 * time.Minute, LastHandshake: time.Unix(1, 0), Sent: 100}
	assert.False(t, old.Since(old).Stale, "nothing was sent")
	later := old
	later.Sent = 248
	assert.True(t, later.Since(old).Stale, "it goes nowhere")
	other := old
	other.PublicKey = testKey(1).Public()
	assert.False(t, later.Since(other).Stale, "another peer")
	fresh := old
	fresh.Age = time.Minute
	assert.False(t, later.Since(fresh).Stale, "it was sent while the keys were good, and then nothing")
	later.LastHandshake, later.Age = time.Unix(500, 0), time.Minute
	assert.False(t, later.Since(old).Stale, "it brought on a handshake")
}

func TestHealthInJSON(t *testing.T) {
	h := PeerHealth{
		Name: "senate", PublicKey: testKey(1).Public(), Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"), Age: 1500 * time.Millisecond,
		LastHandshake: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Received: 1, Sent: 2, Unnamed: true,
	}
	text, err := json.Marshal(h)
	require.NoError(t, err)
	assert.JSONEq(t, `{"name": "senate", "public_key": "`+h.PublicKey.String()+`", "endpoint": "192.0.2.1:51820", "last_handshake": "2026-01-02T03:04:05Z",
		"age_seconds": 1.5, "received_bytes": 1, "sent_bytes": 2, "unnamed": true,
		"problems": [{"file": "senate", "severity": "warning", "message": "is on the device and not configured"}]}`, string(text))
}

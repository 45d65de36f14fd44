package move_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/natfwd"
)

// small is all that a router and its guest need to know of each other.
const small = `
[router]
name = "ingress"
iface = "ens5"
address = "203.0.113.5"

[guest]
name = "senate"

[tunnel]
iface = "wg0"
port = 51820
mtu = 1380

[tunnel.router]
addresses = ["10.77.0.1/24", "fd77::1/64"]
public_key = "dMlWBAQ0J/C+4dDha/pTr9U39zatAHPEzE4cyzqCtdw="

[tunnel.guest]
addresses = ["10.77.0.2/24", "fd77::2/64"]
public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="
keepalive = "25s"

[[service]]
name = "dns"
protos = ["tcp", "udp"]
port = 53
via = "forward"

[[service]]
name = "imaps"
protos = ["tcp"]
port = 993
via = "forward"
sources = ["192.0.2.0/24", "2001:db8:7::/48"]
`

func TestHubOfTheSample(t *testing.T) {
	m, err := move.Load("senate.toml", []byte(sample(t)))
	require.NoError(t, err)
	hub, err := m.Hub()
	require.NoError(t, err)
	assert.Empty(t, hub.Validate())
	router, err := hub.Interface("ingress")
	require.NoError(t, err)
	assert.ElementsMatch(t, []netip.Prefix{
		netip.MustParsePrefix("172.16.1.4/32"),
		netip.MustParsePrefix("2001:db8:189c:700:b4d2::4/128"),
		netip.MustParsePrefix("192.168.14.5/32"),
	}, router.Peers[0].AllowedIPs)
	guest, err := hub.Interface("senate")
	require.NoError(t, err)
	assert.Equal(t, "203.0.113.63:51820", guest.Peers[0].Endpoint)
	assert.ElementsMatch(t, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}, guest.Peers[0].AllowedIPs)
	line, err := hub.PingJob("senate")
	require.NoError(t, err)
	assert.Contains(t, line, "172.16.1.1")
}

func TestForwardsOfTheSample(t *testing.T) {
	m, err := move.Load("senate.toml", []byte(sample(t)))
	require.NoError(t, err)
	set := m.Forwards()
	require.NoError(t, set.Validate())
	assert.Equal(t, "senate", set.Name)
	assert.Equal(t, []string{"ens5"}, set.Masquerade)
	require.Len(t, set.Forwards, 5)
	for _, f := range set.Forwards {
		// The guest's IPv6 address is public: it is routed.
		assert.Equal(t, []netip.Addr{netip.MustParseAddr("172.16.1.4")}, f.To)
	}
}

func TestASmallFileWillDoForTheTunnel(t *testing.T) {
	_, err := move.Load("small.toml", []byte(small))
	assert.Error(t, err, "it is no move")
	m, err := move.LoadTunnel("small.toml", []byte(small))
	require.NoError(t, err)
	hub, err := m.Hub()
	require.NoError(t, err)
	assert.Empty(t, hub.Validate())
	assert.Equal(t, 25*time.Second, hub.Guests[0].Keepalive)
	assert.Equal(t, 1380, hub.Router.MTU)
	set := m.Forwards()
	require.NoError(t, set.Validate())
	assert.Equal(t, natfwd.Forward{
		Proto: natfwd.TCP, Iface: "ens5", Ports: []natfwd.PortRange{{First: 993}},
		To:   []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")},
		From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:7::/48")},
	}, set.Forwards[2])
}

func TestTheTunnelOfAMoveFileIsThatOfTheMove(t *testing.T) {
	whole, err := move.Load("senate.toml", []byte(sample(t)))
	require.NoError(t, err)
	part, err := move.LoadTunnel("senate.toml", []byte(sample(t)))
	require.NoError(t, err)
	assert.Equal(t, whole, part)
}

func TestLoadTunnelRefuses(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`name = "senate"`, ``, "guest.name: is missing"},
		{`iface = "ens5"`, ``, "router.iface: is missing"},
		{`name = "ingress"`, `name = "senate"`, `"senate" is the guest's name too`},
		{`iface = "ens5"`, `iface = "ens5;reboot"`, `"ens5;reboot" is no name`},
		{`port = 51820`, ``, "tunnel.port: is missing"},
		{`iface = "wg0"`, `iface = "../wg0"`, `"../wg0" is no name`},
		{`iface = "wg0"`, ``, "tunnel.iface: is missing"},
		{`port = 993`, `port = 993` + "\nport6 = 993", `unknown key "service.port6"`},
		{`public_key = "hJg8`, `public_key = "hJg`, "is no WireGuard key"},
		{`port = 993`, `port = 53`, "dns has tcp port 53 already"},
	} {
		require.Equal(t, 1, strings.Count(small, tt.old))
		_, err := move.LoadTunnel("small.toml", []byte(strings.Replace(small, tt.old, tt.new, 1)))
		assert.ErrorContains(t, err, tt.want)
	}
	for _, iface := range []string{"eth0.100", "br-lan", "wan_1"} {
		_, err := move.LoadTunnel("small.toml", []byte(strings.Replace(small, "ens5", iface, 1)))
		assert.NoError(t, err)
	}
	withoutKeys := strings.NewReplacer("public_key = ", "# ").Replace(small)
	_, err := move.LoadTunnel("small.toml", []byte(withoutKeys))
	assert.NoError(t, err, "they are made with its help")
}

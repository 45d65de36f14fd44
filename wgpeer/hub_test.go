package wgpeer

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// aHub is a router and two guests between which everything is as it should be.
func aHub() Hub {
	return Hub{
		Router: End{
			Name: "router", PrivateKey: testKey(1), Addresses: prefixes("172.16.1.1/24", "fd77::1/64"),
			ListenPort: 51820, Endpoint: "203.0.113.63:51820", AllowedIPs: prefixes("0.0.0.0/0", "::/0"),
		},
		Guests: []End{
			{
				Name: "senate", KeyFile: "/etc/wireguard/senate.key", PublicKey: testKey(2).Public(), PresharedKey: testPSK(2),
				Addresses: prefixes("172.16.1.4/24", "fd77::4/64"), AllowedIPs: prefixes("172.16.1.4/32", "fd77::4/128", "192.168.14.5/32"), PingJob: true,
			},
			{Name: "laptop", Iface: "home", PublicKey: testKey(3).Public(), Addresses: prefixes("172.16.1.5/24"), Keepalive: 25 * time.Second, MTU: 1380},
		},
	}
}

func TestHubIsSeenFromEachEnd(t *testing.T) {
	require.Empty(t, aHub().Validate())
	router, err := aHub().Interface("router")
	require.NoError(t, err)
	assert.Equal(t, Interface{
		Iface: "wg0", PrivateKey: testKey(1), PublicKey: testKey(1).Public(), Addresses: prefixes("172.16.1.1/24", "fd77::1/64"), ListenPort: 51820,
		Peers: []Peer{
			{Name: "senate", Heartbeat: time.Minute, PublicKey: testKey(2).Public(), PresharedKey: testPSK(2), AllowedIPs: prefixes("172.16.1.4/32", "192.168.14.5/32", "fd77::4/128")},
			{Name: "laptop", Heartbeat: 25 * time.Second, PublicKey: testKey(3).Public(), AllowedIPs: prefixes("172.16.1.5/32")},
		},
	}, router)

	laptop, err := aHub().Interface("laptop")
	require.NoError(t, err)
	assert.Equal(t, Interface{
		Iface: "home", PublicKey: testKey(3).Public(), Addresses: prefixes("172.16.1.5/24"), MTU: 1380,
		Peers: []Peer{{
			Name: "router", PublicKey: testKey(1).Public(), Endpoint: "203.0.113.63:51820",
			AllowedIPs: prefixes("0.0.0.0/0", "::/0"), Keepalive: 25 * time.Second,
		}},
	}, laptop)

	senate, err := aHub().Interface("senate")
	require.NoError(t, err)
	assert.Equal(t, testPSK(2), senate.Peers[0].PresharedKey)
	assert.Equal(t, time.Minute, senate.Peers[0].Heartbeat, "its own ping job")

	_, err = aHub().Interface("nobody")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestHubValidate(t *testing.T) {
	for _, test := range []struct {
		name, file, message string
		severity            Severity
		change              func(h *Hub)
	}{
		{"no guests", "hub", "no guests", Error, func(h *Hub) { h.Guests = nil }},
		{"no endpoint on either side", "senate", "nobody can begin", Error, func(h *Hub) { h.Router.Endpoint = "" }},
		{"one prefix of two guests", "hub", `"172.16.1.4/32": of peer laptop overlaps 172.16.1.4/32 of peer senate`, Error, func(h *Hub) { h.Guests[1].AllowedIPs = prefixes("172.16.1.4/32", "172.16.1.5/32") }},
		{"a prefix in another guest's", "hub", "overlaps", Error, func(h *Hub) { h.Guests[1].AllowedIPs = prefixes("172.16.1.0/24") }},
		{"a guest that leaves its own address out", "laptop", "172.16.1.5 is missing", Error, func(h *Hub) { h.Guests[1].AllowedIPs = prefixes("192.168.1.0/24") }},
		{"a guest that allows nothing", "laptop", "172.16.1.5 is missing", Error, func(h *Hub) { h.Guests[1].AllowedIPs = []netip.Prefix{} }},
		{"a router that leaves its own address out", "router", "fd77::1 is missing", Error, func(h *Hub) { h.Router.AllowedIPs = prefixes("0.0.0.0/0") }},
		{"an endpoint in the tunnel's network", "router", "lies inside the tunnel, in 172.16.1.0/24", Error, func(h *Hub) { h.Router.Endpoint = "172.16.1.9:51820" }},
		{"an endpoint in an allowed prefix", "router", "lies inside the tunnel, in 128.0.0.0/1", Error, func(h *Hub) { h.Router.AllowedIPs = prefixes("0.0.0.0/1", "128.0.0.0/1", "::/0") }},
		{"a guest's endpoint behind another guest", "laptop", "lies inside the tunnel, in 192.168.14.5/32", Error, func(h *Hub) { h.Guests[1].Endpoint, h.Guests[1].ListenPort = "192.168.14.5:51820", 51820 }},
		{"an endpoint without a port", "router", "must be address:port", Error, func(h *Hub) { h.Router.Endpoint = "203.0.113.63" }},
		{"an endpoint without a listen port", "router", "no listen port", Error, func(h *Hub) { h.Router.ListenPort = 0 }},
		{"an MTU too small for IPv6", "senate", "from 1280 to 65455", Error, func(h *Hub) { h.Guests[0].MTU = 1279 }},
		{"an MTU too small for IPv4", "laptop", "from 576 to 65455", Error, func(h *Hub) { h.Guests[1].MTU = 575 }},
		{"an MTU that no packet holds", "laptop", "from 576 to 65455", Error, func(h *Hub) { h.Guests[1].MTU = 65456 }},
		{"an MTU more than most paths allow", "laptop", "path's MTU less 80", Warning, func(h *Hub) { h.Guests[1].MTU = 1421 }},
		{"two ends with one key", "laptop", "has the key of router", Error, func(h *Hub) { h.Guests[1].PublicKey = testKey(1).Public() }},
		{"two ends with one name", "hub", `two ends are called "senate"`, Error, func(h *Hub) { h.Guests[1].Name = "senate" }},
		{"two ends with one address", "laptop", "has the address of senate", Error, func(h *Hub) { h.Guests[1].Addresses = prefixes("172.16.1.4/24") }},
		{"a name with a blank", "a b", "letters, digits", Error, func(h *Hub) { h.Guests[1].Name = "a b" }},
		{"a name with a newline", "a\nb", "letters, digits", Error, func(h *Hub) { h.Guests[1].Name = "a\nb" }},
		{"no name", "hub", "letters, digits", Error, func(h *Hub) { h.Guests[1].Name = "" }},
		{"keys that do not fit", "router", "not that of the private key", Error, func(h *Hub) { h.Router.PublicKey = testKey(7).Public() }},
		{"no public key", "laptop", "no public key", Error, func(h *Hub) { h.Guests[1].PublicKey = PublicKey{} }},
		{"no address", "laptop", "no address", Error, func(h *Hub) { h.Guests[1].Addresses = nil }},
		{"an address that is none", "laptop", "no prefix", Error, func(h *Hub) { h.Guests[1].Addresses = []netip.Prefix{{}} }},
		{"a default route as an address", "laptop", "no address of one machine", Error, func(h *Hub) { h.Guests[1].Addresses = prefixes("0.0.0.0/0") }},
		{"an address in a network of everything", "laptop", "no address of one machine", Error, func(h *Hub) { h.Guests[1].Addresses = prefixes("172.16.1.5/0") }},
		{"an allowed prefix that is none", "laptop", "no prefix", Error, func(h *Hub) { h.Guests[1].AllowedIPs = []netip.Prefix{{}} }},
		{"an allowed prefix with host bits", "laptop", "WireGuard reads 192.168.1.0/24", Warning, func(h *Hub) { h.Guests[1].AllowedIPs = prefixes("172.16.1.5/32", "192.168.1.7/24") }},
		{"a device's name with 16 bytes", "laptop", "15 bytes", Error, func(h *Hub) { h.Guests[1].Iface = "wg01234567890123" }},
		{"a device's name with a slash", "laptop", "letters, digits", Error, func(h *Hub) { h.Guests[1].Iface = "../wg0" }},
		{"a device's name like an option", "laptop", "letters, digits", Error, func(h *Hub) { h.Guests[1].Iface = "-a" }},
		{"a keepalive of half a second", "laptop", "whole seconds", Error, func(h *Hub) { h.Guests[1].Keepalive = 500 * time.Millisecond }},
		{"a keepalive too long", "laptop", "65535", Error, func(h *Hub) { h.Guests[1].Keepalive = 65536 * time.Second }},
		{"addresses in different networks", "laptop", "share no prefix", Error, func(h *Hub) { h.Guests[1].Addresses = prefixes("10.17.3.1/24") }},
		{"addresses of different families", "laptop", "family", Error, func(h *Hub) {
			h.Router.Addresses, h.Guests[1].Addresses = prefixes("fd77::1/64"), prefixes("172.16.1.5/24")
		}},
		{"a key file with a blank", "senate", "absolute path", Error, func(h *Hub) { h.Guests[0].KeyFile = "/etc/a b" }},
		{"a router with a preshared key", "router", "belongs to a guest", Error, func(h *Hub) { h.Router.PresharedKey = testPSK(1) }},
		{"a router with a ping job", "router", "belongs to a guest", Error, func(h *Hub) { h.Router.PingJob = true }},
		{"a guest that is the router's way out", "laptop", "is cut off", Warning, func(h *Hub) { h.Guests[1].AllowedIPs = prefixes("0.0.0.0/0") }},
		{"a guest behind a translator of addresses", "senate", "* * * * * /sbin/ping -n -c 1 172.16.1.1 >/dev/null 2>&1", Warning, func(h *Hub) { h.Guests[0].PingJob = false }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := aHub()
			test.change(&h)
			var found []string
			for _, p := range h.Validate() {
				if p.File == test.file && p.Severity == test.severity {
					found = append(found, p.Message)
				}
			}
			assert.Contains(t, strings.Join(found, "\n"), test.message)
			_, err := h.Interface(h.Router.Name)
			assert.Equal(t, test.severity == Error, err != nil)
		})
	}
}

func TestHubAccepts(t *testing.T) {
	for name, change := range map[string]func(h *Hub){
		"ends with one address each, routed to each other": func(h *Hub) {
			h.Router.Addresses, h.Guests = prefixes("172.16.1.1/32"), h.Guests[1:]
			h.Guests[0].Addresses = prefixes("172.16.9.5/32")
		},
		"a router behind a translator, and guests that are not": func(h *Hub) {
			h.Router.Endpoint = ""
			h.Guests[0].Endpoint, h.Guests[0].ListenPort = "senate.example.net:51820", 51820
			h.Guests[1].Endpoint, h.Guests[1].ListenPort = "[2001:db8::5]:51820", 51820
		},
		"a name as the endpoint": func(h *Hub) { h.Router.Endpoint = "hub.example.net:51820" },
	} {
		t.Run(name, func(t *testing.T) {
			h := aHub()
			change(&h)
			assert.Empty(t, h.Validate().String())
		})
	}
}

func TestPingJob(t *testing.T) {
	h := aHub()
	line, err := h.PingJob("senate")
	require.NoError(t, err)
	assert.Equal(t, "* * * * * /sbin/ping -n -c 1 172.16.1.1 >/dev/null 2>&1", line)
	h.Router.Addresses = prefixes("fd77::1/64")
	line, err = h.PingJob("senate")
	require.NoError(t, err)
	assert.Equal(t, "* * * * * /sbin/ping6 -n -c 1 fd77::1 >/dev/null 2>&1", line)
	_, err = h.PingJob("router")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

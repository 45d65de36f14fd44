package netbsdcfg_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/netbsdcfg"
)

const (
	routerKey = "YTjI3Gmq3Dn6hhzZ/zT8XxgKu7VhbmmGf3xDwjTUHkI="
	otherKey  = "mC0pPW4wTz2VnuYSQ0iu3wyyAFpFPVRkOSuBtBXoJnA="
)

func TestValidateWGConfig(t *testing.T) {
	seventeen := strings.TrimSuffix(strings.Repeat("10.0.0.0/24,", 17), ",")
	for _, tt := range []struct {
		name, args, field, reason string // field "" if it is accepted
	}{
		{"show", "wg0", "", ""},
		{"show all", "wg0 show all", "", ""},
		{"show private-key", "wg0 show private-key", "", ""},
		{"show peer", "wg0 show peer router", "", ""},
		{"show peer with its key", "wg0 show peer router --show-preshared-key", "", ""},
		{"show peer with another option", "wg0 show peer router --show", "wgconfig", "at most --show-preshared-key"},
		{"show all and more", "wg0 show all more", "wgconfig", "no arguments"},
		{"no arguments", "", "wgconfig", "names no interface"},
		{"a verb without anything", "wg0 show", "wgconfig", "nothing that it applies to"},
		{"an unknown verb", "wg0 modify peer router", "wgconfig", "show, set, add and delete"},
		{"a verb that wgconfig accepts by its beginning", "wg0 shows all", "wgconfig", "show, set, add and delete"},
		{"an option for an interface", "--help", "interface", "is an option"},
		{"a long interface", "wg01234567890123", "interface", "more than 15 bytes"},

		{"set private-key", "wg0 set private-key /etc/wg/wg0", "", ""},
		{"set private-key without file", "wg0 set private-key", "wgconfig", "name of a file"},
		{"set listen-port", "wg0 set listen-port 65535", "", ""},
		{"set listen-port without port", "wg0 set listen-port", "wgconfig", "takes a port"},
		{"set listen-port 0", "wg0 set listen-port 0", "listen-port", "1 to 65535"},
		{"set listen-port beyond 65535", "wg0 set listen-port 65536", "listen-port", "1 to 65535"},
		{"delete peer", "wg0 delete peer router", "", ""},
		{"delete peer without name", "wg0 delete peer", "wgconfig", "a peer's name"},

		{"add peer", "wg0 add peer router " + routerKey, "", ""},
		{"add peer with all options", "wg0 add peer router " + routerKey + " --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0,::/0 --preshared-key=/etc/wg/psk", "", ""},
		{"add peer without key", "wg0 add peer router", "wgconfig", "public key"},
		{"a name of 16 bytes", "wg0 add peer 0123456789abcdef " + routerKey, "", ""},
		{"a name of 17 bytes", "wg0 add peer 0123456789abcdefg " + routerKey, "peer", "more than 16 bytes"},
		{"a key that is short", "wg0 add peer router " + routerKey[1:], "public key", "has 43 characters"},
		{"a key that is no base64", "wg0 add peer router " + strings.Replace(routerKey, "Y", "!", 1), "public key", "not base64"},
		{"a key with extra bits", "wg0 add peer router " + strings.Replace(routerKey, "I=", "J=", 1), "public key", "not base64"},
		{"an option without equals sign", "wg0 add peer router " + routerKey + " --endpoint 203.0.113.63:51820", "option", "follows an equals sign"},
		{"the option of the manual page", "wg0 add peer router " + routerKey + " --preshared-key-file=/etc/wg/psk", "option", "--preshared-key="},
		{"a keepalive, which wg(4) does not have", "wg0 add peer router " + routerKey + " --persistent-keepalive=25", "option", "add peer has"},
		{"a preshared key without file", "wg0 add peer router " + routerKey + " --preshared-key=", "preshared-key", "names no file"},
		{"a repeated --allowed-ips replaces the earlier one", "wg0 add peer router " + routerKey + " --allowed-ips=10.0.0.0/8 --allowed-ips=::/0", "option", "only the last one"},

		{"16 allowed-ips", "wg0 add peer router " + routerKey + " --allowed-ips=" + sixteen(), "", ""},
		{"17 allowed-ips overrun the kernel's array", "wg0 add peer router " + routerKey + " --allowed-ips=" + seventeen, "allowed-ips", "room for 16"},
		{"an allowed-ip twice", "wg0 add peer router " + routerKey + " --allowed-ips=10.0.0.0/8,10.1.0.0/8", "allowed-ips", "twice"},
		{"an allowed-ip without length", "wg0 add peer router " + routerKey + " --allowed-ips=10.0.0.1", "allowed-ips", "prefix length"},
		{"allowed-ips with a blank", "wg0 add peer router " + routerKey + " --allowed-ips=10.0.0.0/8,\u00a0::/0", "allowed-ips", "prefix length"},
		{"allowed-ips with a trailing comma", "wg0 add peer router " + routerKey + " --allowed-ips=10.0.0.0/8,", "allowed-ips", "prefix length"},
		{"no allowed-ips", "wg0 add peer router " + routerKey + " --allowed-ips=", "allowed-ips", "prefix length"},
		{"/99 is accepted by wgconfig", "wg0 add peer router " + routerKey + " --allowed-ips=10.0.0.0/99", "allowed-ips", "prefix length"},
		{"10/8 is read as 0.0.0.10/8", "wg0 add peer router " + routerKey + " --allowed-ips=10/8", "allowed-ips", "whole address"},

		{"an IPv6 endpoint in brackets", "wg0 add peer router " + routerKey + " --endpoint=[2001:db8::1]:51820", "", ""},
		{"an IPv6 endpoint without brackets: the last colon splits", "wg0 add peer router " + routerKey + " --endpoint=2001:db8::1:51820", "", ""},
		{"an endpoint that is a name", "wg0 add peer router " + routerKey + " --endpoint=router.example.net.:51820", "", ""},
		{"an endpoint without port", "wg0 add peer router " + routerKey + " --endpoint=203.0.113.63", "endpoint", "no port"},
		{"an endpoint with an empty port", "wg0 add peer router " + routerKey + " --endpoint=203.0.113.63:", "endpoint's port", "1 to 65535"},
		{"an endpoint with port 0", "wg0 add peer router " + routerKey + " --endpoint=203.0.113.63:0", "endpoint's port", "1 to 65535"},
		{"an endpoint with an open bracket", "wg0 add peer router " + routerKey + " --endpoint=[2001:db8::1:51820", "endpoint", "bracket"},
		{"an endpoint without host", "wg0 add peer router " + routerKey + " --endpoint=:51820", "endpoint", "neither"},
		{"an endpoint that getaddrinfo takes for another address", "wg0 add peer router " + routerKey + " --endpoint=10.1:51820", "endpoint", "neither"},
		{"an unspecified endpoint", "wg0 add peer router " + routerKey + " --endpoint=0.0.0.0:51820", "endpoint", "not the address of a host"},
		{"an endpoint with a label that is none", "wg0 add peer router " + routerKey + " --endpoint=-x.example.net:51820", "endpoint", "neither"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := netbsdcfg.ValidateWGConfig(strings.FieldsFunc(tt.args, func(r rune) bool { return r == ' ' }))
			if tt.field == "" {
				assert.NoError(t, err)
				return
			}
			refused(t, err, tt.field, tt.reason)
		})
	}
	refused(t, netbsdcfg.ValidateWGConfig([]string{""}), "interface", "empty")
	refused(t, netbsdcfg.ValidateWGConfig([]string{"wg0", "add", "peer", "", routerKey}), "peer", "no name")
}

func sixteen() string {
	var list []string
	for i := range 16 {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16).String())
	}
	return strings.Join(list, ",")
}

// guest is the tunnel of the move before it carries everything.
func guest() netbsdcfg.WireGuard {
	return netbsdcfg.WireGuard{
		Addresses: []netip.Prefix{prefix("172.16.1.4/24")},
		KeyFile:   "/etc/wg/wg0",
		Peers: []netbsdcfg.WGPeer{{
			Name: "router", PublicKey: routerKey, Endpoint: "203.0.113.63:51820",
			AllowedIPs: []netip.Prefix{prefix("0.0.0.0/0"), prefix("::/0")},
		}},
	}
}

// atHome is the same tunnel when it is the way to everywhere.
func atHome() netbsdcfg.WireGuard {
	w := guest()
	w.Addresses = append(w.Addresses, prefix("2001:db8:189c:700:b4d2::4/80"))
	w.EndpointVia = addr("192.168.14.254")
	w.Uplink = []netip.Prefix{prefix("192.168.14.5/24")}
	w.DefaultRoute4 = addr("172.16.1.1")
	w.DefaultRoute6 = addr("2001:db8:189c:700:b4d2::1")
	return w
}

func TestWireGuardBeforeAndAfterTheMove(t *testing.T) {
	before, err := guest().Ifconfig()
	require.NoError(t, err)
	assert.Equal(t, []string{
		`1 ["ifconfig" "wg0" "inet" "172.16.1.4/24"]`,
		`2 ["wgconfig" "wg0" "set" "private-key" "/etc/wg/wg0"]`,
		`3 ["wgconfig" "wg0" "add" "peer" "router" "` + routerKey + `" "--endpoint=203.0.113.63:51820" "--allowed-ips=0.0.0.0/0,::/0"]`,
		`4 ["ifconfig" "wg0" "up"]`,
	}, show(before.Commands("wg0")))
	assert.Empty(t, before.Check())

	after, err := atHome().Ifconfig()
	require.NoError(t, err)
	assert.Equal(t, []string{
		`1 ["ifconfig" "wg0" "inet" "172.16.1.4/24"]`,
		`2 ["ifconfig" "wg0" "inet6" "2001:db8:189c:700:b4d2::4/80" "alias"]`,
		`3 ["wgconfig" "wg0" "set" "private-key" "/etc/wg/wg0"]`,
		`4 ["wgconfig" "wg0" "add" "peer" "router" "` + routerKey + `" "--endpoint=203.0.113.63:51820" "--allowed-ips=0.0.0.0/0,::/0"]`,
		`5 ["route" "add" "-host" "203.0.113.63" "192.168.14.254"]`,
		`6 ["ifconfig" "wg0" "up"]`,
		`7 ["route" "add" "default" "172.16.1.1"]`,
		`8 ["route" "add" "-inet6" "default" "2001:db8:189c:700:b4d2::1"]`,
	}, show(after.Commands("wg0")))
	assert.Empty(t, after.Check())
	assert.Equal(t, "wg7", after.Commands("wg7")[2].Argv[1], "the interface is a variable")
}

func TestWireGuardRunAgainDeletesThePeerFirst(t *testing.T) {
	w := guest()
	w.Rerun, w.ListenPort = true, 51820
	w.Peers[0].PresharedKeyFile = "/etc/wg/psk"
	f, err := w.Ifconfig()
	require.NoError(t, err)
	assert.Equal(t, `inet 172.16.1.4/24
!wgconfig $int set private-key /etc/wg/wg0
!wgconfig $int set listen-port 51820
!wgconfig $int delete peer router
!wgconfig $int add peer router `+routerKey+` --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0,::/0 --preshared-key=/etc/wg/psk
up
`, string(f.Bytes()))
	assert.Empty(t, f.Check())
}

func TestWireGuardRoutesTheEndpointOfItsOwnFamily(t *testing.T) {
	w := atHome()
	w.Peers[0].Endpoint = "[2001:db8:5::63]:51820"
	_, err := w.Ifconfig()
	refused(t, err, "endpoint", "for a host route")

	w.DefaultRoute6 = netip.Addr{}
	f, err := w.Ifconfig()
	require.NoError(t, err, "an IPv4 default route needs no exclusion for an IPv6 endpoint")
	assert.NotContains(t, string(f.Bytes()), "-host")

	w.DefaultRoute6, w.DefaultRoute4 = addr("2001:db8:189c:700:b4d2::1"), netip.Addr{}
	w.EndpointVia = addr("fe80::1%vioif0") // which no prefix needs to hold
	f, err = w.Ifconfig()
	require.NoError(t, err)
	assert.Contains(t, string(f.Bytes()), "!route add -inet6 -host 2001:db8:5::63 fe80::1%vioif0\nup\n!route add -inet6 default ")

	w = atHome()
	w.Peers[0].Endpoint, w.EndpointVia = "192.168.14.9:51820", netip.Addr{}
	f, err = w.Ifconfig()
	require.NoError(t, err, "an endpoint on a connected network needs no host route")
	assert.NotContains(t, string(f.Bytes()), "-host")
}

func TestWireGuardRefuses(t *testing.T) {
	second := netbsdcfg.WGPeer{Name: "other", PublicKey: otherKey}
	for _, tt := range []struct {
		name, field, reason string
		change              func(*netbsdcfg.WireGuard)
	}{
		{"no address", "address", "has none", func(w *netbsdcfg.WireGuard) { w.Addresses = nil }},
		{"an address that is none", "address", "no address", func(w *netbsdcfg.WireGuard) { w.Addresses = []netip.Prefix{{}} }},
		{"an address twice", "address", "twice", func(w *netbsdcfg.WireGuard) { w.Addresses = append(w.Addresses, w.Addresses[0]) }},
		{"no key file", "key file", "absolute", func(w *netbsdcfg.WireGuard) { w.KeyFile = "" }},
		{"a key file with a newline", "wgconfig", "control character", func(w *netbsdcfg.WireGuard) { w.KeyFile = "/k\n!reboot" }},
		{"a relative preshared key file", "preshared key file", "absolute", func(w *netbsdcfg.WireGuard) { w.Peers[0].PresharedKeyFile = "psk" }},
		{"a peer's name with 17 bytes", "peer", "16 bytes", func(w *netbsdcfg.WireGuard) { w.Peers[0].Name = "0123456789abcdefg" }},
		{"a key that is none", "public key", "characters", func(w *netbsdcfg.WireGuard) { w.Peers[0].PublicKey = "x" }},
		{"an endpoint without port", "endpoint", "no port", func(w *netbsdcfg.WireGuard) { w.Peers[0].Endpoint = "203.0.113.63" }},
		{"17 allowed-ips", "allowed-ips", "room for 16", func(w *netbsdcfg.WireGuard) { w.Peers[0].AllowedIPs = slices.Repeat(w.Peers[0].AllowedIPs[:1], 17) }},
		{"an allowed-ip that is none", "allowed-ips", "prefix length", func(w *netbsdcfg.WireGuard) { w.Peers[0].AllowedIPs = []netip.Prefix{{}} }},
		{"two peers of one name", "peer", "there already", func(w *netbsdcfg.WireGuard) { second.Name = "router"; w.Peers = append(w.Peers, second) }},
		{"two peers of one name, run again", "peer", "twice", func(w *netbsdcfg.WireGuard) {
			w.Rerun = true
			second.Name = "router"
			w.Peers = append(w.Peers, second)
		}},
		{"two peers of one key", "peer", "claims the key " + routerKey + ", which peer router has", func(w *netbsdcfg.WireGuard) {
			w.Peers = append(w.Peers, netbsdcfg.WGPeer{Name: "other", PublicKey: routerKey})
		}},
		{"two peers with 0.0.0.0/0", "peer", "claims 0.0.0.0/0, which peer router has", func(w *netbsdcfg.WireGuard) {
			w.Peers = append(w.Peers, netbsdcfg.WGPeer{Name: "other", PublicKey: otherKey, AllowedIPs: []netip.Prefix{prefix("0.0.0.0/0")}})
		}},
		{"a default route to a gateway in no connected prefix", "default route (IPv4)", "no connected prefix (172.16.1.0/24", func(w *netbsdcfg.WireGuard) { w.DefaultRoute4 = addr("10.17.3.1") }},
		{"an IPv6 default route without an IPv6 address", "default route (IPv6)", "no connected prefix", func(w *netbsdcfg.WireGuard) { w.Addresses = w.Addresses[:1] }},
		{"a default route of the other family", "default route (IPv6)", "other family", func(w *netbsdcfg.WireGuard) { w.DefaultRoute6 = w.DefaultRoute4 }},
		{"a default route to this machine", "default route (IPv4)", "this machine", func(w *netbsdcfg.WireGuard) { w.DefaultRoute4 = addr("172.16.1.4") }},
		{"everything into the tunnel with no route to the endpoint", "endpoint", "no gateway of its family for a host route", func(w *netbsdcfg.WireGuard) { w.EndpointVia = netip.Addr{} }},
		{"everything into the tunnel with an endpoint that is a name", "endpoint", "is a name", func(w *netbsdcfg.WireGuard) { w.Peers[0].Endpoint = "router.example.net:51820" }},
		{"an endpoint inside the tunnel", "endpoint", "inside the tunnel (172.16.1.0/24)", func(w *netbsdcfg.WireGuard) { w.Peers[0].Endpoint = "172.16.1.1:51820" }},
		{"an endpoint reached through the tunnel", "endpoint via", "lies in the tunnel", func(w *netbsdcfg.WireGuard) { w.EndpointVia = addr("172.16.1.1") }},
		{"an endpoint reached through no connected prefix", "endpoint via", "no connected prefix (192.168.14.0/24)", func(w *netbsdcfg.WireGuard) { w.EndpointVia = addr("192.168.41.254") }},
		{"an IPv4 endpoint in IPv6 form", "route", "no destination", func(w *netbsdcfg.WireGuard) {
			w.Peers[0].Endpoint, w.EndpointVia, w.Uplink = "[::ffff:203.0.113.63]:51820", addr("fe80::1%vioif0"), nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := atHome()
			tt.change(&w)
			_, err := w.Ifconfig()
			refused(t, err, tt.field, tt.reason)
		})
	}
	w := guest()
	w.Peers[0].Endpoint = "router.example.net:51820"
	_, err := w.Ifconfig()
	assert.NoError(t, err, "a name is fine while no default route leads into the tunnel")
	w.Peers[0].Endpoint = ""
	_, err = w.Ifconfig()
	assert.NoError(t, err, "a peer that speaks first")
}

func TestCheckFindsMistakesOfTheTunnel(t *testing.T) {
	const peer = "!wgconfig wg0 add peer router " + routerKey + " --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0\n"
	const route = "!route add -host 203.0.113.63 192.168.14.254\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a default route to a gateway in no connected prefix", "inet 172.16.1.4/24\n" + peer + route + "!route add default 10.17.3.1\n",
			[]string{`4: error: gateway: "10.17.3.1": lies in no connected prefix (172.16.1.0/24)`}},
		{"a file that connects nothing cannot tell", "up\n!route add default 10.17.3.1\n!route add -inet6 default fe80::1%wg0\n", nil},
		{"all traffic into the tunnel with no host route to the endpoint", "inet 172.16.1.4/24\n" + peer + "!route add default 172.16.1.1\n",
			[]string{"3: error: the default route leads into the tunnel, and there is no host route to the endpoint 203.0.113.63"}},
		{"the host route to the endpoint leads into the tunnel", "inet 172.16.1.4/24\n" + peer + "!route add -host 203.0.113.63 172.16.1.1\n!route add default 172.16.1.1\n",
			[]string{"4: error: the default route leads into the tunnel, and there is no host route to the endpoint 203.0.113.63"}},
		{"the host route comes after the default route", "inet 172.16.1.4/24\n" + peer + "!route add default 172.16.1.1\n" + route,
			[]string{"3: error: the host route to the endpoint 203.0.113.63 comes after"}},
		{"a network's route to the endpoint will do", "inet 172.16.1.4/24\n" + peer + "!route -q add -net 203.0.113.0 -netmask 255.255.255.0 192.168.14.254\n!route add default 172.16.1.1\n", nil},
		{"a host route for an endpoint that has changed", "inet 172.16.1.4/24\n" + strings.Replace(peer, ".63", ".64", 1) + route + "!route add default 172.16.1.1\n",
			[]string{"4: error: the default route leads into the tunnel, and there is no host route to the endpoint 203.0.113.64"}},
		{"a default route of the other family needs no exclusion", "inet 172.16.1.4/24\ninet6 2001:db8::4/80 alias\n" + peer + "!route add -inet6 default 2001:db8::1\n", nil},
		{"an endpoint that is a name", "inet 172.16.1.4/24\n" + strings.Replace(peer, "203.0.113.63", "router.example.net", 1) + "!route add default 172.16.1.1\n",
			[]string{"3: warning: the default route leads into the tunnel, and the endpoint router.example.net is a name"}},
		{"an endpoint inside the tunnel", "inet 172.16.1.4/24\n" + strings.Replace(peer, "203.0.113.63", "172.16.1.1", 1),
			[]string{"2: error: the endpoint 172.16.1.1 lies inside the tunnel (172.16.1.0/24)"}},
		{"a wgconfig command that is refused", "!wgconfig wg0 set listen-port 0\n",
			[]string{`1: error: listen-port: "0": a port is a number`}},
		{"a second peer with 0.0.0.0/0", peer + strings.NewReplacer("router", "other", routerKey, otherKey).Replace(peer),
			[]string{`2: error: peer: "other": claims 0.0.0.0/0, which peer router has`}},
		{"a peer that claims what two others have", "!wgconfig wg0 add peer a " + routerKey + " --allowed-ips=10.0.0.0/8\n!wgconfig wg0 add peer b " + otherKey +
			" --allowed-ips=::/0\n!wgconfig wg0 add peer c MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= --allowed-ips=::/0,10.0.0.0/8\n",
			[]string{`3: error: peer: "c": claims ::/0, which peer b has`}},
		{"the same peer on another interface, or deleted first", peer + strings.Replace(peer, "wg0", "wg1", 1) + "!wgconfig wg0 delete peer router\n" + peer, nil},
		{"an address without netmask", "inet 172.16.1.4\n",
			[]string{"1: warning: 172.16.1.4 has no netmask, and its class makes it 172.16.1.4/16"}},
		{"a second address without alias", "inet 172.16.1.4/24\ninet 10.0.0.1/8\n",
			[]string{"2: error: replaces the address 172.16.1.4/24"}},
		{"a default route that leads elsewhere", "inet 172.16.1.4/24\ninet6 2001:db8::4/80 alias\n" + peer + "!route add -inet6 default fe80::1%vioif0\n", nil},
		{"a classful network to the endpoint, and words that are passed over", "inet 172.16.1.4/24\n" + peer + "!route add -net 203.0.113.0 192.168.14.254 -ifp vioif0 -mtu 1400\n!route add default 172.16.1.1\n", nil},
		{"the length of a route that says none", "inet 172.16.1.4/24\n" + peer + "!route add 203.0.113.0 192.168.14.254\n!route add -net 0.0.0.0 172.16.1.1\n", nil},
		{"0.0.0.0 is everything", "inet 172.16.1.4/24\n!route add 0.0.0.0 10.17.3.1\n!route add -inet6 -net 2001:db8:: fe80::1%vioif0\n",
			[]string{`2: error: gateway: "10.17.3.1": lies in no connected prefix`}},
		{"a network is as long as its last byte that is not 0", "inet 172.16.1.4/24\n" + strings.Replace(peer, "203.0.113.63", "10.2.0.1", 1) + "!route add -net 10.1.0.0 192.168.14.254\n!route add default 172.16.1.1\n",
			[]string{"4: error: the default route leads into the tunnel, and there is no host route to the endpoint 10.2.0.1"}},
		{"routes that are not numeric are passed over", "inet 172.16.1.4/24\n!route add default gw\n!route delete default\n!route\n!route add x 10.0.0.1\n!route add -net 10.0.0.0 -netmask x 10.0.0.1\n!route add -inet6 2001:db8:: -prefixlen x ::1\n!route add 10.0.0.1\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) { problems(t, parse(t, tt.text), tt.want...) })
	}
}

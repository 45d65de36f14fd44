package netbsdcfg_test

import (
	"fmt"
	"log"
	"net/netip"

	"github.com/rehost/rehost/netbsdcfg"
)

// What the boot script makes of a file is not always what it seems to say.
func ExampleIfconfig_Commands() {
	f, err := netbsdcfg.ParseIfconfig("/etc/ifconfig.wg0", []byte(`# the tunnel \
inet 172.16.1.4/24
inet6 2001:db8::4\
    prefixlen 80 alias
descr 'my  tunnel'   # a comment is fine
it's up
!route add -net 192.0.2.0/24 "172.16.1.1"; logger $int is up
!test -f /etc/wg/psk && wgconfig $int show all
up`))
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range f.Commands("wg0") {
		if c.Shell != "" {
			fmt.Printf("line %d: sh %q\n", c.Line, c.Shell)
			continue
		}
		fmt.Printf("line %d: %q\n", c.Line, c.Argv)
	}
	fmt.Println()
	fmt.Print(f.Check())
	// Output:
	// line 3: ["ifconfig" "wg0" "inet6" "2001:db8::4prefixlen" "80" "alias"]
	// line 5: ["ifconfig" "wg0" "descr" "my tunnel"]
	// line 7: ["route" "add" "-net" "192.0.2.0/24" "172.16.1.1"]
	// line 7: ["logger" "wg0" "is" "up"]
	// line 8: sh "test -f /etc/wg/psk && wgconfig $int show all"
	//
	// /etc/ifconfig.wg0:2: error: is part of the comment above, which ends in a backslash: remove that
	// /etc/ifconfig.wg0:3:18: error: joins the next line with no space between: write a blank before the backslash
	// /etc/ifconfig.wg0:5: error: blanks collapse to one, also in quotes, and ifconfig gets ["descr" "my tunnel"]: write '' between two blanks
	// /etc/ifconfig.wg0:6: error: sh refuses the line and runs none of it: reached EOF without closing quote `'`: mend or quote that
	// /etc/ifconfig.wg0:9: error: the last line has no newline and is lost: end it with one
}

// Each line is added where it works, and everything else stays as it was.
func ExampleIfconfig_AddRoute() {
	f, err := netbsdcfg.ParseIfconfig("/etc/ifconfig.vioif0", []byte(`# the guest at home
up
192.168.14.5 netmask 0xffffff00	# since the move

# the way out
!route add default 192.168.14.254
`))
	if err != nil {
		log.Fatal(err)
	}
	if err := f.AddAddr(netip.MustParsePrefix("192.168.14.6/32")); err != nil {
		log.Fatal(err)
	}
	err = f.AddRoute(netip.MustParsePrefix("203.0.113.63/32"), netip.MustParseAddr("192.168.14.1"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Addrs())
	fmt.Print(string(f.Bytes()))

	err = f.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.17.3.1"))
	fmt.Println(err)
	// Output:
	// [192.168.14.5/24 192.168.14.6/32]
	// # the guest at home
	// up
	// 192.168.14.5 netmask 0xffffff00	# since the move
	// inet 192.168.14.6/32 alias
	// !route add -host 203.0.113.63 192.168.14.1
	//
	// # the way out
	// !route add default 192.168.14.254
	// gateway: "10.17.3.1": lies in no connected prefix (192.168.14.0/24, 192.168.14.6/32)
}

// The tunnel before and after it becomes the way to everywhere.
func ExampleWireGuard() {
	w := netbsdcfg.WireGuard{
		Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.1.4/24")},
		KeyFile:   "/etc/wg/wg0",
		Peers: []netbsdcfg.WGPeer{{
			Name:       "router",
			PublicKey:  "YTjI3Gmq3Dn6hhzZ/zT8XxgKu7VhbmmGf3xDwjTUHkI=",
			Endpoint:   "203.0.113.63:51820",
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
		}},
	}
	before, err := w.Ifconfig()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", before.Bytes())

	w.Addresses = append(w.Addresses, netip.MustParsePrefix("2001:db8:189c:700:b4d2::4/80"))
	w.DefaultRoute4 = netip.MustParseAddr("172.16.1.1")
	w.DefaultRoute6 = netip.MustParseAddr("2001:db8:189c:700:b4d2::1")
	_, err = w.Ifconfig()
	fmt.Printf("%v\n\n", err)

	w.EndpointVia = netip.MustParseAddr("192.168.14.254")
	after, err := w.Ifconfig()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", after.Bytes())
	// Output:
	// inet 172.16.1.4/24
	// !wgconfig $int set private-key /etc/wg/wg0
	// !wgconfig $int add peer router YTjI3Gmq3Dn6hhzZ/zT8XxgKu7VhbmmGf3xDwjTUHkI= --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0,::/0
	// up
	//
	// endpoint: "203.0.113.63:51820": has no gateway of its family for a host route: with the default route through 172.16.1.1 the tunnel's own packets would go into the tunnel
	//
	// inet 172.16.1.4/24
	// inet6 2001:db8:189c:700:b4d2::4/80 alias
	// !wgconfig $int set private-key /etc/wg/wg0
	// !wgconfig $int add peer router YTjI3Gmq3Dn6hhzZ/zT8XxgKu7VhbmmGf3xDwjTUHkI= --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0,::/0
	// !route add -host 203.0.113.63 192.168.14.254
	// up
	// !route add default 172.16.1.1
	// !route add -inet6 default 2001:db8:189c:700:b4d2::1
}

func ExampleValidateWGConfig() {
	const key = "YTjI3Gmq3Dn6hhzZ/zT8XxgKu7VhbmmGf3xDwjTUHkI="
	for _, args := range [][]string{
		{"wg0", "set", "listen-port", "51820"},
		{"wg0", "add", "peer", "router", key, "--endpoint=[2001:db8::1]:51820"},
		{"wg0", "add", "peer", "router", key, "--allowed-ips=10/8"},
		{"wg0", "add", "peer", "a-name-that-is-long", key},
	} {
		fmt.Println(netbsdcfg.ValidateWGConfig(args))
	}
	// Output:
	// <nil>
	// <nil>
	// allowed-ips: "10/8": "10/8" is not a whole address, a slash and a prefix length
	// peer: "a-name-that-is-long": has more than 16 bytes
}

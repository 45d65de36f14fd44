package wgpeer_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/rehost/rehost/wgpeer"
)

// A router's file as people keep them: comments, old habits, no order.
const routerConf = `# Tunnel to the machines at home. Ask Carla before you change it!
[interface]
  Address=172.16.1.1/24,2001:db8:189c:700:b4d2::1/80
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 51820	# open in the cloud's console too
PostUp = sysctl -q net.ipv4.ip_forward=1   # %i is up by then
#PostDown = sysctl -q net.ipv4.ip_forward=0

# Bert's laptop
[Peer]
publickey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=  # since May
AllowedIPs = 172.16.1.2/32 ,172.16.1.3 # and his phone
`

func mustParse(text string) *wgpeer.File {
	f, err := wgpeer.Parse("wg0.conf", []byte(text))
	if err != nil {
		log.Fatal(err)
	}
	return f
}

func mustKey(text string) wgpeer.PublicKey {
	key, err := wgpeer.ParsePublicKey(text)
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// Add a peer, and give another one an address less. Nothing else changes.
func ExampleFile_SetPeer() {
	f := mustParse(routerConf)
	err := f.SetPeer(wgpeer.Peer{
		Name:      "senate",
		PublicKey: mustKey("TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="),
		AllowedIPs: []netip.Prefix{
			netip.MustParsePrefix("172.16.1.4/32"),
			netip.MustParsePrefix("2001:db8:189c:700:b4d2::4/128"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = f.SetPeer(wgpeer.Peer{
		PublicKey:  mustKey("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="),
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("172.16.1.3/32")},
		Keepalive:  25 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(f.Changes())
	// Output:
	// --- wg0.conf
	// +++ wg0.conf
	// @@ -9,4 +9,10 @@
	//  # Bert's laptop
	//  [Peer]
	//  publickey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=  # since May
	// -AllowedIPs = 172.16.1.2/32 ,172.16.1.3 # and his phone
	// +AllowedIPs = 172.16.1.3 # and his phone
	// +PersistentKeepalive = 25
	// +
	// +[Peer]
	// +# senate
	// +PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
	// +AllowedIPs = 172.16.1.4/32, 2001:db8:189c:700:b4d2::4/128
}

// Remove a peer, with what is said of it.
func ExampleFile_RemovePeer() {
	f := mustParse(routerConf)
	fmt.Println(f.RemovePeer(mustKey("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")))
	fmt.Print(f.Changes())
	// Output:
	// true
	// --- wg0.conf
	// +++ wg0.conf
	// @@ -5,8 +5,3 @@
	//  ListenPort = 51820	# open in the cloud's console too
	//  PostUp = sysctl -q net.ipv4.ip_forward=1   # %i is up by then
	//  #PostDown = sysctl -q net.ipv4.ip_forward=0
	// -
	// -# Bert's laptop
	// -[Peer]
	// -publickey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=  # since May
	// -AllowedIPs = 172.16.1.2/32 ,172.16.1.3 # and his phone
}

// Give the device another key. The diff can be shown to anybody.
func ExampleFile_SetInterface() {
	f := mustParse(routerConf)
	i, err := f.Interface()
	if err != nil {
		log.Fatal(err)
	}
	i.PublicKey = wgpeer.PublicKey{}
	if i.PrivateKey, err = wgpeer.NewPrivateKey(); err != nil {
		log.Fatal(err)
	}
	if err := f.SetInterface(i); err != nil {
		log.Fatal(err)
	}
	fmt.Print(f.Changes())
	// Output:
	// --- wg0.conf
	// +++ wg0.conf
	// @@ -1,7 +1,7 @@
	//  # Tunnel to the machines at home. Ask Carla before you change it!
	//  [interface]
	//    Address=172.16.1.1/24,2001:db8:189c:700:b4d2::1/80
	// -PrivateKey = (secret 1)
	// +PrivateKey = (secret 2)
	//  ListenPort = 51820	# open in the cloud's console too
	//  PostUp = sysctl -q net.ipv4.ip_forward=1   # %i is up by then
	//  #PostDown = sysctl -q net.ipv4.ip_forward=0
}

// Read a file as wg and wg-quick do, white space, case and all.
func ExampleFile_Interface() {
	f := mustParse("[ INTERFACE ]\r\nlisten port = 51 820 # open\r\n[peer]\r\n# Bert\r\n" +
		"PublicKey=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\r\nallowedips=172.16.1.2/24\r\nEndpoint=2001:db8::1:51820\r\n")
	i, err := f.Interface()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(i.Iface, i.ListenPort, i.PrivateKey.IsZero())
	for _, p := range i.Peers {
		fmt.Println(p.Name, p.AllowedIPs, p.Endpoint)
	}
	// Output:
	// wg0 51820 true
	// Bert [172.16.1.0/24] [2001:db8::1]:51820
}

// What wg takes without a word, and somebody should know.
func ExampleFile_Check() {
	f := mustParse(`[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 70000
[Peer]
PublicKey = HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=
AllowedIPs = 172.16.1.4/24,
`)
	fmt.Print(f.Check())
	// Output:
	// wg0.conf:3:14: error: a port is at most 65535: wg on Linux reads 70000 as 4464
	// wg0.conf:5:13: error: this is the interface itself: wg ignores the peer
	// wg0.conf:6:14: error: AllowedIPs: "" is no address
	// wg0.conf:6:14: warning: 172.16.1.4/24 is not the first address of its prefix: wg makes it 172.16.1.0/24
}

// A key is shown only to who asks for it.
func ExamplePrivateKey() {
	key, err := wgpeer.ParsePrivateKey("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v %+v\n", key, struct{ Key wgpeer.PrivateKey }{key})
	fmt.Println(key.Public())
	file, err := key.File("/etc/wireguard/wg0.key")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(file)
	// Output:
	// redacted {Key:redacted}
	// HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=
	// /etc/wireguard/wg0.key (0600)
}

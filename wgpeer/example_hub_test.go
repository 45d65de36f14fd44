//go:build !freebsd || cgo

package wgpeer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl"

	"github.com/rehost/rehost/wgpeer"
)

func key(text string) wgpeer.PublicKey {
	k, err := wgpeer.ParsePublicKey(text)
	if err != nil {
		log.Fatal(err)
	}
	return k
}

// A router in a cloud and a machine at home. The private keys stay where they were
// made: the public ones are all that is needed here.
func hub() wgpeer.Hub {
	return wgpeer.Hub{
		Router: wgpeer.End{
			Name:       "router",
			KeyFile:    "/etc/wireguard/router.key",
			PublicKey:  key("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="),
			Addresses:  []netip.Prefix{netip.MustParsePrefix("172.16.1.1/24"), netip.MustParsePrefix("fd77::1/64")},
			ListenPort: 51820,
			Endpoint:   "203.0.113.63:51820",
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}, // clients keep their addresses
		},
		Guests: []wgpeer.End{{
			Name:      "senate",
			KeyFile:   "/etc/wireguard/senate.key",
			PublicKey: key("TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="),
			Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.1.4/24"), netip.MustParsePrefix("fd77::4/64")},
			Keepalive: 25 * time.Second,
		}},
	}
}

// Both ends' files from one description.
func ExampleHub() {
	router, err := hub().Interface("router")
	if err != nil {
		log.Fatal(err)
	}
	file, err := router.WGQuick()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n%s", file, file.Data) // file.Save(ctx, "/") installs it
	// Output:
	// /etc/wireguard/wg0.conf (0600)
	// [Interface]
	// Address = 172.16.1.1/24, fd77::1/64
	// ListenPort = 51820
	// PostUp = wg set %i private-key /etc/wireguard/router.key
	//
	// [Peer]
	// # senate
	// PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
	// AllowedIPs = 172.16.1.4/32, fd77::4/128
}

// What cannot work is said before anybody tries.
func ExampleHub_Validate() {
	h := hub()
	h.Router.Endpoint = "172.16.1.1:51820" // its address in the tunnel
	h.Guests[0].Keepalive = 0              // NetBSD has none
	fmt.Print(h.Validate())
	// Output:
	// router: error: the endpoint 172.16.1.1:51820 lies inside the tunnel, in 172.16.1.0/24: the tunnel's own packets would go into it
	// senate: warning: has no endpoint, so it is behind a translator of addresses, which forgets the path when nothing is sent: set a keepalive of 25s, or where there is none, as on NetBSD, run the cron job * * * * * /sbin/ping -n -c 1 172.16.1.1 >/dev/null 2>&1
}

// The fragment for a Debian router, beside the file of Setconf.
func ExampleInterface_Ifupdown() {
	router, err := hub().Interface("router")
	if err != nil {
		log.Fatal(err)
	}
	files, err := router.Ifupdown()
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		fmt.Printf("%s\n%s", file, file.Data)
	}
	// Output:
	// /etc/network/interfaces.d/wg0 (0644)
	// auto wg0
	// iface wg0 inet manual
	// 	# What a failed start left behind goes first.
	// 	pre-up ! wg show $IFACE >/dev/null 2>&1 || ip link delete dev $IFACE
	// 	pre-up ip link add dev $IFACE type wireguard
	// 	pre-up wg setconf $IFACE /etc/wireguard/wg0.conf
	// 	pre-up wg set $IFACE private-key /etc/wireguard/router.key
	// 	pre-up ip link set dev $IFACE up
	// 	down ip link delete dev $IFACE || true
	// 	up ip -4 address add 172.16.1.1/24 dev $IFACE
	// iface wg0 inet6 manual
	// 	up ip -6 address add fd77::1/64 dev $IFACE
}

// Make a live device what the hub says, after a look at what that changes.
func ExampleDiff() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // for names of endpoints
	defer cancel()
	client, err := wgctrl.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	router, err := hub().Interface("router")
	if err != nil {
		log.Fatal(err)
	}
	plan, err := wgpeer.Diff(ctx, client, "wgnone", router)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Println("wgnone is not there: bring it up first")
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan)
	if len(plan.Removes()) > 0 {
		return // somebody else's: use DiffPeer, which leaves them alone
	}
	if err := wgpeer.Apply(ctx, plan); err != nil {
		log.Fatal(err)
	}
	// Output:
	// wgnone is not there: bring it up first
}

// A check for cron: it speaks only of peers that are not well.
func ExampleHealth() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := wgctrl.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	router, err := hub().Interface("router")
	if err != nil {
		log.Fatal(err)
	}
	peers, err := wgpeer.Health(ctx, client, "wgnone", router, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, peer := range peers {
		fmt.Print(peer.Check())
	}
	// Output:
	// device wgnone: file does not exist
}

package natfwd_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/rehost/rehost/natfwd"
)

// A remote is a router on which somebody has made rules by hand. On the router
// itself NewIPTables is used in its place.
type remote struct{ rules string }

func (r *remote) Family() natfwd.Family                  { return natfwd.IPv4 }
func (r *remote) Dump(context.Context) ([]byte, error)   { return []byte(r.rules), nil }
func (r *remote) Load(_ context.Context, b []byte) error { fmt.Printf("%s", b); return nil }

var senate = natfwd.Set{
	Name:       "senate",
	Masquerade: []string{"ens5"},
	Forwards: []natfwd.Forward{
		{Proto: natfwd.TCP, Iface: "ens5", Ports: []natfwd.PortRange{{First: 25}, {First: 53}, {First: 465}, {First: 587}},
			To: []netip.Addr{netip.MustParseAddr("172.16.1.4")}},
		{Proto: natfwd.UDP, Iface: "ens5", Ports: []natfwd.PortRange{{First: 53}},
			To: []netip.Addr{netip.MustParseAddr("172.16.1.4")}},
	},
}

// What differs is planned, looked at, and made in one transaction. The rule that
// somebody else has is left alone.
func ExampleApply() {
	ctx := context.Background()
	router := &remote{`*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:rehost-senate-pre - [0:0]
-A PREROUTING -j rehost-senate-pre
-A PREROUTING -i ens5 -p tcp -m tcp --dport 8080 -m comment --comment "the old wiki" -j DNAT --to-destination 172.16.1.9:80
-A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 172.16.1.4
COMMIT
`}
	plan, err := natfwd.Diff(ctx, senate, router)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan, "\n")
	if err := natfwd.Apply(ctx, plan); err != nil {
		fmt.Println(err)
	}
	// Output:
	// + iptables -t nat -I POSTROUTING -j rehost-senate-post
	// + iptables -t nat -A rehost-senate-pre -i ens5 -p tcp -m multiport --dports 25,53,465,587 -j DNAT --to-destination 172.16.1.4
	// + iptables -t nat -A rehost-senate-post -o ens5 -j MASQUERADE
	//
	// *nat
	// :rehost-senate-pre - [0:0]
	// -A rehost-senate-pre -i ens5 -p tcp -m multiport --dports 25,53,465,587 -j DNAT --to-destination 172.16.1.4
	// -A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 172.16.1.4
	// :rehost-senate-post - [0:0]
	// -A rehost-senate-post -o ens5 -j MASQUERADE
	// -I POSTROUTING -j rehost-senate-post
	// COMMIT
}

// A rule that somebody has left behind would win over the set's own, or never be
// reached.
func ExampleDiff_conflict() {
	router := &remote{`*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 172.16.1.3:25
COMMIT
`}
	_, err := natfwd.Diff(context.Background(), senate, router)
	fmt.Println(errors.Is(err, natfwd.ErrConflict))
	fmt.Println(err)
	// Output:
	// true
	// IPv4: a rule of somebody else takes tcp port 25 on ens5: -A PREROUTING -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 172.16.1.3:25
}

// A cron job finds out when a firewall that was reloaded has taken the rules away.
func ExampleVerify() {
	router := &remote{`*filter
:FORWARD DROP [0:0]
-A FORWARD -p tcp -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:rehost-senate-pre - [0:0]
:rehost-senate-post - [0:0]
-A POSTROUTING -j rehost-senate-post
-A rehost-senate-pre -i ens5 -p tcp -m multiport --dports 25,53,465,587 -j DNAT --to-destination 172.16.1.4
-A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 172.16.1.4
-A rehost-senate-post -o ens5 -j MASQUERADE
COMMIT
`}
	problems, err := natfwd.Verify(context.Background(), senate, router)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(problems)
	// Output:
	// iptables-save: error: missing: -I PREROUTING -j rehost-senate-pre
	// iptables-save:2: error: the policy of FORWARD is DROP and no rule accepts udp port 53 on ens5 to 172.16.1.4
}

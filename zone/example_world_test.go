package zone_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/rehost/rehost/zone"
)

// Have named load an edited file, and find out why it does not.
func ExampleRNDC_Reload() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rndc := zone.RNDC{Key: "/etc/bind/rndc.key"}
	err := rndc.Reload(ctx, "example.net", 2026112201)
	var served *zone.ServedError
	switch {
	case errors.Is(err, zone.ErrDynamic):
		log.Fatal("edit it with WhileFrozen: ", err)
	case errors.As(err, &served):
		log.Fatalf("the world still sees %d: %v", served.Served, err)
	case err != nil:
		log.Fatal(err)
	}
}

// Edit a zone that named itself writes, too: for DHCP clients, or for
// certificates.
func ExampleRNDC_WhileFrozen() {
	ctx := context.Background()
	rndc := zone.RNDC{}
	path := "/var/lib/bind/example.net"
	err := rndc.WhileFrozen(ctx, "example.net", path, func(ctx context.Context) error {
		f, err := zone.Open(path, "example.net", nil) // here, not before
		if err != nil {
			return err
		}
		if err := f.Replace("www", "A", zone.Record{Data: "203.0.113.63"}); err != nil {
			return err
		}
		if _, err := f.Bump(zone.DateCounter, time.Now()); err != nil {
			return err
		}
		return f.Save(ctx) // this ctx, which knows that the zone is frozen
	})
	if err != nil {
		log.Fatal(err)
	}
}

// Wait for two servers, of which one does not follow, and say why.
func ExampleWaitSerial() {
	primary, secondary := serve(2026112201), serve(2026112107)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	report, err := zone.WaitSerial(ctx, "example.net", 2026112201, []netip.AddrPort{primary, secondary}, nil)
	for _, s := range report.Servers {
		fmt.Printf("%s: %d\n", s.State, s.Serial)
	}
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	_, drains := report.Drain(time.Hour)
	fmt.Println(drains)
	// Output:
	// reached: 2026112201
	// stale: 2026112107
	// true
	// false
}

// serve is a name server for the examples.
func serve(serial uint32) netip.AddrPort {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	answer := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		m.Answer = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300},
			Ns:  "ns1.example.net.", Mbox: "hostmaster.example.net.", Serial: serial,
		}}
		w.WriteMsg(m)
	}
	go (&dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(answer)}).ActivateAndServe()
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

// Keep beside the zone until when the old address must go on answering.
func ExampleReport_Drain() {
	report := zone.Report{Origin: "example.net.", Serial: 2026112201, Servers: []zone.ServerState{
		{Server: netip.MustParseAddrPort("192.0.2.1:53"), State: zone.Reached, Serial: 2026112201, Attempts: 1,
			At: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)},
		{Server: netip.MustParseAddrPort("[2001:db8::1]:53"), State: zone.Reached, Serial: 2026112201, Attempts: 4,
			At: time.Date(2026, 11, 22, 12, 0, 5, 0, time.UTC)},
	}}
	fmt.Print(report)
	drain, ok := report.Drain(90 * time.Minute)
	fmt.Println(ok, drain)
	text, err := json.Marshal(drain)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	now := time.Date(2026, 11, 22, 13, 0, 5, 0, time.UTC)
	fmt.Println(drain.Remaining(now), drain.Done(now))
	// Output:
	// SERVER            STATE    SERIAL      ASKED  REMARK
	// 192.0.2.1:53      reached  2026112201  1      since 2026-11-22T12:00:00Z
	// [2001:db8::1]:53  reached  2026112201  4      since 2026-11-22T12:00:05Z
	// true serial 2026112201: the old records are gone after 2026-11-22T13:30:05Z
	// {"serial":2026112201,"old_ttl_seconds":5400,"until":"2026-11-22T13:30:05Z"}
	// 30m0s false
}

// A name that did not exist is remembered not to exist.
func ExampleNegativeTTL() {
	hour := time.Hour
	ttl, err := zone.NegativeTTL(zone.Record{
		Owner: "example.net.", TTL: &hour, Type: "SOA",
		Data: "ns1.example.net. hostmaster.example.net. 2026112201 10800 3600 604800 300",
	})
	fmt.Println(ttl, err)
	// Output: 5m0s <nil>
}

func ExampleDiff() {
	a := []zone.Record{
		{Owner: "senate.example.net.", Type: "A", Data: "192.0.2.4"},
		{Owner: "mail.example.net.", Type: "MX", Data: "10 Senate.example.net."},
	}
	b := []zone.Record{
		{Owner: "MAIL.example.net.", Type: "MX", Data: "10 senate.example.net."},
		{Owner: "senate.example.net.", Type: "A", Data: "203.0.113.63"},
	}
	fmt.Print(zone.Diff(slices.Values(a), slices.Values(b)))
	// Output:
	// -senate.example.net. IN A 192.0.2.4
	// +senate.example.net. IN A 203.0.113.63
}

// Does the world see what the file says?
func ExampleAXFR() {
	key, err := zone.OpenKey("/etc/bind/transfer.key")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	served, err := zone.AXFR(ctx, "example.net", netip.MustParseAddrPort("192.0.2.1:53"), &key)
	if err != nil {
		log.Fatal(err)
	}
	f, err := zone.Open("/etc/bind/example.net", "example.net", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(zone.Diff(f.All(), slices.Values(served)))
}

func ExampleParseKey() {
	key, err := zone.ParseKey("transfer.key", []byte(`key "transfer" { algorithm hmac-sha256; secret "c2VjcmV0IQ=="; };`))
	fmt.Println(key, err)
	fmt.Println(key.Secret.Reveal())
	// Output:
	// {transfer hmac-sha256 redacted} <nil>
	// c2VjcmV0IQ==
}

func ExampleDateCounter() {
	now := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	for _, old := range []uint32{2026112107, 2026112200, 2026112299, 2030010100} {
		serial, err := zone.DateCounter(old, now)
		fmt.Println(serial, err)
	}
	// Output:
	// 2026112200 <nil>
	// 2026112201 <nil>
	// 2026112300 <nil>
	// 2030010101 <nil>
}

// A zone with date serials cannot change to the time just so.
func ExampleUnixTime() {
	_, err := zone.UnixTime(2026112207, time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC))
	fmt.Println(err)
	// Output: serial 2026112207: the time is 1795352400, which secondaries take for older: keep the policy that the zone has, or set 4173595854, wait until every secondary serves it, and only then change to the time
}

func ExampleCompareSerial() {
	fmt.Println(zone.CompareSerial(1, 4294967295)) // past the end
	fmt.Println(zone.CompareSerial(0, 1<<31))      // undefined
	// Output:
	// 1 true
	// 0 false
}

func ExampleParseTTL() {
	ttl, err := zone.ParseTTL("1h30m")
	fmt.Println(ttl, err)
	_, err = zone.ParseTTL("1h30")
	fmt.Println(err != nil)
	// Output:
	// 1h30m0s <nil>
	// true
}

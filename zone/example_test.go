package zone_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/rehost/rehost/zone"
)

// A zone as people write them.
const example = `$TTL 1d
@	IN SOA	ns1 hostmaster (
		2026112101 ; serial, raise it!
		3h 15m 2w 10m )
	IN NS	ns1
	IN NS	ns6
	IN MX	10 mail
	IN TXT	"v=spf1 mx ip4:198.51.100.25 -all"
ns1	IN A	198.51.100.25
ns6	IN A	198.51.100.26
mail	IN CNAME senate		; works, they say
senate	2d IN A	198.51.100.25	; the machine itself
	IN A	198.51.100.27
www	IN A	198.51.100.25
`

func parse() *zone.File {
	f, err := zone.Parse("example.net", "example.net", []byte(example))
	if err != nil {
		log.Fatal(err)
	}
	return f
}

// An edit changes the lines that it names: comments and columns stay, and the
// owner of a line that goes is handed to the one that took it from there.
func Example() {
	f := parse()
	if _, err := f.Remove(zone.Address("senate", netip.MustParseAddr("198.51.100.25"))); err != nil {
		log.Fatal(err)
	}
	if err := f.Replace("www", "A", zone.Record{Data: "203.0.113.63"}); err != nil {
		log.Fatal(err)
	}
	if err := f.Add(zone.Address("www", netip.MustParseAddr("2001:db8::63"))); err != nil {
		log.Fatal(err)
	}
	if _, err := f.Bump(zone.DateCounter, time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)); err != nil {
		log.Fatal(err)
	}
	fmt.Print(f.Changes())
	// Output:
	// --- example.net
	// +++ example.net
	// @@ -1,6 +1,6 @@
	//  $TTL 1d
	//  @	IN SOA	ns1 hostmaster (
	// -		2026112101 ; serial, raise it!
	// +		2026112200 ; serial, raise it!
	//  		3h 15m 2w 10m )
	//  	IN NS	ns1
	//  	IN NS	ns6
	// @@ -9,6 +9,6 @@
	//  ns1	IN A	198.51.100.25
	//  ns6	IN A	198.51.100.26
	//  mail	IN CNAME senate		; works, they say
	// -senate	2d IN A	198.51.100.25	; the machine itself
	// -	IN A	198.51.100.27
	// -www	IN A	198.51.100.25
	// +senate	172800	IN A	198.51.100.27
	// +www	IN A	203.0.113.63
	// +	IN AAAA	2001:db8::63
}

func ExampleFile_Lookup() {
	for _, r := range parse().Lookup("senate", "A") {
		fmt.Println(r.Owner, *r.TTL, r.Type, r.Data, r.Line)
	}
	// Output:
	// senate.example.net. 48h0m0s A 198.51.100.25 12
	// senate.example.net. 48h0m0s A 198.51.100.27 13
}

func ExampleFile_Check() {
	fmt.Print(parse().Check())
	// Output:
	// example.net:7:11: warning: MX mail.example.net. is a CNAME, which is illegal (RFC 2181, section 10.3): give the name address records instead
	// example.net:12:1: warning: the A records of senate.example.net. have several TTLs: all are served with 48h0m0s
}

// What must drain is asked before the TTLs are lowered.
func ExampleFile_LowerTTLs() {
	f := parse()
	fmt.Println("caches hold the zone for", f.MaxTTL())
	lines, err := f.LowerTTLs(5 * time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lines, "lines;", "from now on for", f.MaxTTL())
	// Output:
	// caches hold the zone for 48h0m0s
	// 2 lines; from now on for 5m0s
}

func ExampleFile_References() {
	for _, r := range parse().References(netip.MustParseAddr("198.51.100.25")) {
		fmt.Printf("%s:%d: %s %s %s\n", r.File, r.Line, r.Owner, r.Type, r.Data)
	}
	// Output:
	// example.net:8: example.net. TXT "v=spf1 mx ip4:198.51.100.25 -all"
	// example.net:9: ns1.example.net. A 198.51.100.25
	// example.net:12: senate.example.net. A 198.51.100.25
	// example.net:14: www.example.net. A 198.51.100.25
}

func ExampleFile_Cutover() {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	c, err := parse().Cutover(zone.Move{Names: []string{"senate", "www"}, At: now.AddDate(0, 0, 7)}, now)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("lower the TTLs before", c.Lower)
	fmt.Println("change the records at", c.Switch)
	fmt.Println("switch the old address off after", c.Off)
	// Output:
	// lower the TTLs before 2026-11-27 16:45:00 +0000 UTC
	// change the records at 2026-11-29 20:00:00 +0000 UTC
	// switch the old address off after 2026-11-29 23:20:00 +0000 UTC
}

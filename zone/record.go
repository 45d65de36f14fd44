package zone

import (
	"net/netip"
	"time"
)

// A Record is one resource record.
//
// Records that the package returns are complete: Owner and the names in Data are
// absolute, with their final dot; Data is on one line, without comments; TTL is
// the one that named serves; File and Line say where the record stands.
//
// Records that a caller gives may be shorter: names without a final dot are
// completed at the zone's origin, "@" is the origin, an empty Class is IN, a nil
// TTL is that of the RRset, or else the zone's default, and File and Line are
// ignored. They are compared with those of the zone in wire form, so that
// spelling does not matter.
type Record struct {
	Owner string
	TTL   *time.Duration // whole seconds, from 0 to 2^31-1 (RFC 2181, section 8)
	Class string         // "IN"
	Type  string         // such as "A", "MX" or "TYPE65280"
	Data  string         // as in a zone file, such as "10 mail.example.net."; any type also takes "\# n hex" (RFC 3597)
	File  string         // where it stands
	Line  int            // from 1; the line on which the record begins
}

// Address returns an A or AAAA record, by the family of addr. Its TTL is nil.
func Address(owner string, addr netip.Addr) Record {
	typ := "AAAA"
	if addr = addr.Unmap(); addr.Is4() {
		typ = "A"
	}
	return Record{Owner: owner, Class: "IN", Type: typ, Data: addr.WithZone("").String()}
}

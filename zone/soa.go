package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

var errNoSOA = errors.New("the zone has no SOA record")

// soa returns the cursor at the zone's SOA record. Zones have it first, or nearly
// so.
func (f *File) soa() (*cursor, error) {
	for n, b := range f.blocks {
		for i := range b.entries {
			if e := &b.entries[i]; e.kind == record && e.typ == dns.TypeSOA && e.flags&outside == 0 {
				return f.cursorAt(pos{n, i}), nil
			}
		}
	}
	return nil, fmt.Errorf("%s: %w", f.sources[0].file.Name(), errNoSOA)
}

// Serial returns the serial of the SOA record. It is an error if there is none, or
// if its serial is no number.
func (f *File) Serial() (uint32, error) {
	c, err := f.soa()
	if err != nil {
		return 0, err
	}
	serial, _, err := c.serial()
	return serial, err
}

// serial reads the serial, and returns where it is written: as one number, or as
// eight hexadecimal digits of generic data (RFC 3597).
func (c *cursor) serial() (uint32, []cut, error) {
	data := c.line.toks[c.line.data:]
	if isGeneric(dns.TypeSOA, data) {
		raw, err := encodeData(dns.TypeSOA, data, ".")
		if err != nil {
			return 0, nil, c.badSerial(data)
		}
		// The serial is the first of five numbers of 32 bits, which end the data.
		at := len(raw) - 20
		return binary.BigEndian.Uint32(raw[at:]), hexDigits(data[2:], 2*at, 8), nil
	}
	if len(data) < 3 || data[2].quoted {
		return 0, nil, c.badSerial(data)
	}
	n, ok := decimal(data[2].text, 1<<32-1)
	if !ok {
		return 0, nil, c.badSerial(data[2:])
	}
	return uint32(n), []cut{{from: data[2].start, to: data[2].end}}, nil
}

func (c *cursor) badSerial(at []token) error {
	what := ""
	if len(at) > 0 {
		what = string(at[0].text)
	}
	return errorAt(c.blocks, c.at, fmt.Errorf("serial %q of the SOA record is not a number from 0 to 4294967295", what))
}

// hexDigits returns the places of some of the digits of tokens, one cut each.
func hexDigits(toks []token, from, count int) []cut {
	var places []cut
	seen := 0
	for _, t := range toks {
		for i := range t.text {
			if seen >= from && seen < from+count {
				places = append(places, cut{from: t.start + i, to: t.start + i + 1})
			}
			seen++
		}
	}
	return places
}

// Bump raises the serial as policy says, and returns the new one. It replaces
// the digits and nothing else. A second Bump before [File.Save] does nothing, so
// that a zone that is saved once is raised once. A policy that does not raise the
// serial, by RFC 1982, is an error.
func (f *File) Bump(policy SerialPolicy, now time.Time) (uint32, error) {
	c, err := f.soa()
	if err != nil {
		return 0, err
	}
	old, places, err := c.serial()
	if err != nil {
		return 0, err
	}
	if f.savedSerial != nil && *f.savedSerial != old {
		if order, ok := CompareSerial(old, *f.savedSerial); ok && order > 0 {
			return old, nil
		}
	}
	serial, err := policy(old, now)
	if err != nil {
		return 0, err
	}
	if order, ok := CompareSerial(serial, old); !ok || order <= 0 {
		return 0, &ValueError{Field: "serial", Value: strconv.FormatUint(uint64(serial), 10), Reason: fmt.Sprintf("does not come after %d (RFC 1982)", old)}
	}
	if len(places) == 1 {
		places[0].with = strconv.FormatUint(uint64(serial), 10)
	} else {
		was, is := fmt.Sprintf("%08x", old), fmt.Sprintf("%08x", serial)
		digits := places
		places = nil
		for i := range digits { // one that stays may be written in capitals
			if was[i] != is[i] {
				digits[i].with = is[i : i+1]
				places = append(places, digits[i])
			}
		}
	}
	e := f.newEdit()
	e.at(c.at).cuts = places
	if err := e.apply(); err != nil {
		return 0, err
	}
	return serial, nil
}

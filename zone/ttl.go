package zone

import (
	"slices"
	"time"

	"github.com/miekg/dns"
)

// ParseTTL reads a TTL as named does: "300", "1h30m", in either case and in any
// order ("30m1h"), a unit more than once ("1h1h" is two hours). A unit wants a
// number before it, and a number after a unit wants its own: "h" and "1h30" are
// refused. So is what is above 2^31-1 seconds, which named replaces with 0.
func ParseTTL(s string) (time.Duration, error) {
	ttl, ok := readTTL([]byte(s))
	switch {
	case !ok:
		return 0, &ValueError{Field: "TTL", Value: s, Reason: "not a number of seconds, nor numbers with the units w, d, h, m and s"}
	case ttl > maxTTL:
		return 0, &ValueError{Field: "TTL", Value: s, Reason: "above 2147483647 seconds, which named takes for 0"}
	}
	return time.Duration(ttl) * time.Second, nil
}

// readTTL reads a TTL as dns_ttl_fromtext of BIND does: digits alone, or numbers
// that each have a unit. It is false for what is no TTL or is over 32 bits.
func readTTL(text []byte) (uint32, bool) {
	if len(text) == 0 || !isDigit(text[0]) {
		return 0, false
	}
	var total, n uint64
	digits := 0 // since the last unit
	for i, c := range text {
		if isDigit(c) {
			digits++
			if n = n*10 + uint64(c-'0'); n > 1<<32-1 {
				return 0, false
			}
			continue
		}
		unit, ok := ttlUnits[lower[c]]
		if !ok || digits == 0 {
			return 0, false
		}
		total += n * unit
		n, digits = 0, 0
		if total > 1<<32-1 || i == len(text)-1 {
			return uint32(total), total <= 1<<32-1
		}
	}
	// Digits without a unit may only stand alone. named looks at the sum so far,
	// and so takes "0h30".
	return uint32(n), total == 0
}

var ttlUnits = map[byte]uint64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}

const maxTTL = 1<<31 - 1 // RFC 2181, section 8

// limitTTL is what named makes of a TTL that is too large: no caching at all.
func limitTTL(ttl uint32) uint32 {
	if ttl > maxTTL {
		return 0
	}
	return ttl
}

// limited reports whether limitTTL would change what is written.
func limited(text []byte) bool {
	ttl, _ := readTTL(text)
	return ttl > maxTTL
}

// TTL returns the first $TTL of the zone, and whether there is one. Records
// without a TTL of their own take the last one before them.
func (f *File) TTL() (time.Duration, bool) {
	if c := f.firstOf(setTTL); c != nil {
		return time.Duration(c.entry.ttl) * time.Second, true
	}
	return 0, false
}

// firstOf returns a cursor at the first entry of a kind, nil if there is none.
func (f *File) firstOf(k kind) *cursor {
	for n, b := range f.blocks {
		if !b.has(k) {
			continue
		}
		for i := range b.entries {
			if b.entries[i].kind == k {
				return f.cursorAt(pos{n, i})
			}
		}
	}
	return nil
}

// SetTTL sets the first $TTL of the zone; a zone without gets one before its
// first record. Every record that states no TTL and has no other $TTL before it
// follows. d is whole seconds, from 0 to 2^31-1; else the error is a
// [*ValueError]. To be sure that nothing is cached for longer, see [File.LowerTTLs].
func (f *File) SetTTL(d time.Duration) error {
	ttl, err := wholeTTL(d)
	if err != nil {
		return err
	}
	if have, ok := f.TTL(); ok && have == d {
		return nil
	}
	e := f.newEdit()
	e.ttl = func(*cursor) (uint32, bool) { return 0, false } // what is written stays, and the others follow
	if c := f.firstOf(setTTL); c != nil {
		e.at(c.at).replaceTTL(c, ttl)
	} else {
		e.addDefault(ttl)
	}
	return e.apply()
}

// replaceTTL changes the argument of a $TTL.
func (ch *change) replaceTTL(c *cursor, ttl uint32) {
	t := c.line.toks[1]
	ch.ttl = &ttl
	ch.cuts = append(ch.cuts, cut{t.start, t.end, formatTTL(ttl, t.text)})
}

// addDefault writes a $TTL before the first record.
func (e *edit) addDefault(ttl uint32) {
	l := newLine{text: "$TTL " + formatTTL(ttl, nil), kind: setTTL, ttl: ttl}
	for n, b := range e.f.blocks {
		for i := range b.entries {
			if k := b.entries[i].kind; k == record || k == generate {
				ch := e.at(pos{n, i})
				ch.before = append(ch.before, l)
				return
			}
		}
	}
	last := len(e.f.blocks) - 1
	ch := e.at(pos{last, len(e.f.blocks[last].entries) - 1})
	ch.after = append(ch.after, l)
}

func (b *block) hasTTLAbove(limit uint32) bool {
	return slices.ContainsFunc(b.entries, func(e entry) bool { return e.ttl > limit })
}

// MaxTTL returns the longest TTL of the RRsets that the owners have, or of all in
// the zone if none is named, and 0 if there are none: for so long, caches may hold
// what the zone says now. owners are as in [File.Lookup]. Ask before the TTLs are
// lowered.
func (f *File) MaxTTL(owners ...string) time.Duration {
	var longest time.Duration
	if len(owners) == 0 {
		for r := range f.All() {
			longest = max(longest, *r.TTL)
		}
	}
	for _, owner := range owners {
		for _, r := range f.Lookup(owner, "ANY") {
			longest = max(longest, *r.TTL)
		}
	}
	return longest
}

// LowerTTLs lowers every TTL above max: each $TTL, and those of records, the
// SOA's among them, and of $GENERATE lines. It returns how many lines it changed;
// [File.Changes] shows them. A zone whose default is the SOA's minimum, for want
// of a $TTL, gets a $TTL. The fields of the SOA stay; what does not exist is
// cached for the SOA's TTL at most (RFC 2308, section 5), which is lowered.
//
// max is as in [File.SetTTL], and the errors are those of [File.Add].
func (f *File) LowerTTLs(max time.Duration) (int, error) {
	limit, err := wholeTTL(max)
	if err != nil {
		return 0, err
	}
	e := f.newEdit()
	e.ttl = func(c *cursor) (uint32, bool) { return min(c.entry.ttl, limit), true }
	needsDefault := false
	for n, b := range f.blocks {
		if !b.hasTTLAbove(limit) {
			continue
		}
		for c := newCursor(f.blocks, n, f.apex); c.next(n + 1); {
			if c.entry.ttl <= limit {
				continue
			}
			switch {
			case c.entry.kind == setTTL:
				e.at(c.at).replaceTTL(c, limit)
			case c.entry.kind != record && c.entry.kind != generate:
			case c.entry.flags&ownTTL != 0:
				e.at(c.at).setTTL(c, limit)
			case c.entry.typ == dns.TypeSOA && c.entry.kind == record:
				needsDefault = needsDefault || c.line.minimum
			}
		}
	}
	if needsDefault {
		e.addDefault(limit)
	}
	if err := e.apply(); err != nil {
		return 0, err
	}
	return len(e.changes), nil
}

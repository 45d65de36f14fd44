package zone

import (
	"iter"
	"slices"

	"github.com/miekg/dns"
)

// An RRset has one TTL (RFC 2181, section 5.2), though each of its records may
// be written with its own. named takes records with one owner that follow each
// other as a group, in which the first record of a type decides. Of several
// groups, the one that ends last does.

// rrsetTTL is the TTL with which named serves a set, which is in the order of
// the files.
func (f *File) rrsetTTL(set []member) uint32 {
	if !mixed(set) {
		return set[0].entry.ttl
	}
	var d decision
	next := 0
	// The group of the first record may have begun in the block before.
	for m, group := range f.groups(recordsBefore(f.blocks, set[0].at.block), set[len(set)-1].at.block) {
		if m.at != set[next].at {
			continue
		}
		d.take(m, group)
		for next < len(set) && set[next].at == m.at {
			next++
		}
		if next == len(set) {
			break
		}
	}
	return d.ttl
}

// A decision is the TTL of a set, as far as its records have been read, and the
// group that has decided.
type decision struct {
	ttl   uint32
	group int // 0: any other decides
}

func (d *decision) take(m *member, group int) {
	if group == d.group {
		return
	}
	d.ttl, d.group = m.entry.ttl, group
	if m.made {
		// What a $GENERATE makes is taken at once, and before the group around it,
		// which decides if it has a record of the set.
		d.group = 0
	}
}

func mixed(set []member) bool {
	return slices.ContainsFunc(set, func(m member) bool { return m.entry.ttl != set[0].entry.ttl })
}

// groups yields the records of some blocks with the number of the group, which is
// not 0.
func (f *File) groups(first, last int) iter.Seq2[*member, int] {
	return func(yield func(*member, int) bool) {
		g := newGrouper(f.blocks, first)
		for m := range walk(f.blocks, f.apex, blockRange(first, last)) {
			if !yield(m, g.number(m)) {
				return
			}
		}
	}
}

// A grouper tells which group a record belongs to, of those that it is shown in
// the order of the blocks.
type grouper struct {
	blocks []*block
	at     int // the block of the record before
	group  *group
}

func newGrouper(blocks []*block, first int) grouper {
	return grouper{blocks, first, &group{number: 1, last: 1}}
}

// number returns that of the group. A $GENERATE leaves the group open.
func (g *grouper) number(m *member) int {
	if crossed(g.blocks[g.at:m.at.block]) {
		g.group = &group{number: g.group.last + 1, last: g.group.last + 1}
	}
	g.at = m.at.block
	if !m.made {
		g.group = g.group.enter(m.owner)
		if m.typ == dns.TypeNS && len(m.data) == 1 {
			g.group = g.group.delegate(m.data[0].text, m.origin)
		}
	}
	return g.group.current().number
}

// recordsBefore is the number of the last block with records before one, or 0.
func recordsBefore(blocks []*block, number int) int {
	for number--; number > 0 && !blocks[number].has(record); {
		number--
	}
	return max(number, 0)
}

// crossed reports whether an included file begins or ends with one of some blocks.
func crossed(blocks []*block) bool {
	for _, b := range blocks {
		if b.child || b.last {
			return true
		}
	}
	return false
}

func blockRange(first, last int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := first; i <= last && yield(i); i++ {
		}
	}
}

// A setKey names an RRset.
type setKey struct {
	name        string // as nameKey has it
	typ, covers uint16
}

// mixedTTLs returns the TTLs of those sets whose records are written with
// different ones. Most zones have none.
func (f *File) mixedTTLs() map[setKey]uint32 {
	if f.oneTTL() {
		return nil
	}
	type half struct { // a setKey without the cost of a name
		hash        uint32
		typ, covers uint16
	}
	first, suspects := map[half]uint32{}, map[half]bool{}
	for m := range walk(f.blocks, f.apex, f.allBlocks()) {
		key := half{m.entry.hash, m.typ, m.covers}
		if ttl, ok := first[key]; !ok {
			first[key] = m.entry.ttl
		} else if ttl != m.entry.ttl {
			suspects[key] = true
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	decisions := map[setKey]*decision{}
	for m, group := range f.groups(0, len(f.blocks)-1) {
		if !suspects[half{m.entry.hash, m.typ, m.covers}] {
			continue
		}
		key := setKey{nameKey(m.name()), m.typ, m.covers}
		if decisions[key] == nil {
			decisions[key] = &decision{}
		}
		decisions[key].take(m, group)
	}
	ttls := make(map[setKey]uint32, len(decisions))
	for key, d := range decisions {
		ttls[key] = d.ttl
	}
	return ttls
}

// oneTTL reports whether all records are written with the same TTL.
func (f *File) oneTTL() bool {
	var ttl uint32
	found := false
	for _, b := range f.blocks {
		for i := range b.entries {
			e := &b.entries[i]
			if e.kind != record && e.kind != generate {
				continue
			}
			if found && e.ttl != ttl {
				return false
			}
			ttl, found = e.ttl, true
		}
	}
	return true
}

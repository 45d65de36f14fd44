package zone

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A pos is the place of an entry: the number of its block, and its own there.
type pos struct{ block, entry int }

// A member is a record where it stands, with what an edit needs to know of it.
type member struct {
	at     pos
	entry  entry
	owner  owner
	origin *domain
	data   []token // of the record; they point into the text or into an expansion
	typ    uint16
	covers uint16
	made   bool // by a $GENERATE
	src    *source
}

// name is the absolute name of the owner.
func (m *member) name() string { return m.owner.name() }

// A cursor reads the entries of blocks again, in order, but for fillers.
type cursor struct {
	blocks []*block
	at     pos // of the entry that was read
	entry  entry
	scanner
}

// newCursor is about to read the first entry of blocks[from].
func newCursor(blocks []*block, from int, apex *domain) *cursor {
	c := &cursor{blocks: blocks, scanner: scanner{apex: apex}}
	c.enter(from)
	return c
}

func (c *cursor) enter(n int) {
	c.at = pos{n, -1}
	if n < len(c.blocks) {
		c.text, c.state = c.blocks[n].text, c.blocks[n].start
	}
}

// next reads the next entry of the blocks before end. It goes to another state
// only there, so that the state is that of the entry.
func (c *cursor) next(end int) bool {
	for c.at.block < end {
		b := c.blocks[c.at.block]
		if c.at.entry++; c.at.entry == len(b.entries) {
			c.enter(c.at.block + 1)
			continue
		}
		if b.entries[c.at.entry].kind == filler {
			c.glued = false
			continue
		}
		c.pos = int(b.entries[c.at.entry].start)
		if err := c.read(&c.entry, true); err != nil {
			panic("zone: a line that was accepted cannot be read again: " + err.Error())
		}
		return true
	}
	return false
}

// cursorAt returns a cursor that has read the entry at p.
func (f *File) cursorAt(p pos) *cursor {
	c := newCursor(f.blocks, p.block, f.apex)
	for c.next(p.block + 1) {
		if c.at == p {
			break
		}
	}
	return c
}

// walk yields every record of the blocks given by number, those that a $GENERATE
// makes among them. What it yields is valid until the next one: clone the data to
// keep it.
func walk(blocks []*block, apex *domain, numbers iter.Seq[int]) iter.Seq[*member] {
	return func(yield func(*member) bool) {
		for n := range numbers {
			for c := newCursor(blocks, n, apex); c.next(n + 1); {
				if c.entry.kind != record && c.entry.kind != generate {
					continue
				}
				m := c.member()
				if c.entry.kind == record {
					if !yield(&m) {
						return
					}
					continue
				}
				for o, data := range c.generated() {
					m.owner, m.data, m.entry.hash = o, data, o.hash
					m.entry.flags &^= outside
					if o.outside {
						m.entry.flags |= outside
					}
					if !yield(&m) {
						return
					}
				}
			}
		}
	}
}

// member is the record that c has read, or the $GENERATE without what it makes.
func (c *cursor) member() member {
	m := member{at: c.at, entry: c.entry, owner: c.owner, origin: c.origin, typ: c.entry.typ, src: c.blocks[c.at.block].src}
	if c.entry.kind == record {
		m.data, m.covers = c.line.toks[c.line.data:], c.covers(&c.entry)
	}
	m.made = c.entry.kind == generate
	return m
}

func (f *File) everywhere() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range f.blocks {
			if !yield(i) {
				return
			}
		}
	}
}

// members returns the records of an owner, those that named ignores included.
// A nil filter takes all types.
func (f *File) members(name string, keep func(*member) bool) []member {
	d, err := readName([]byte(name))
	if err != nil {
		return nil
	}
	hash, key := fold(d.hash), nameKey(name)
	var found []member
	for m := range walk(f.blocks, f.apex, slices.Values(f.blocksWith(hash))) {
		if m.entry.hash != hash || keep != nil && !keep(m) || nameKey(m.name()) != key {
			continue
		}
		c := *m
		c.data = slices.Clone(m.data)
		found = append(found, c)
	}
	return found
}

func ofType(typ uint16) func(*member) bool {
	return func(m *member) bool { return m.typ == typ }
}

// All yields the records of the zone in the order of the files, as named serves
// them: those that a $GENERATE makes are among them, and those whose owner is not
// in the zone are not.
func (f *File) All() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		ttls := f.mixedTTLs()
		var (
			block = -1
			at    int // in its text, where lines have been counted up to
			line  int
			last  owner
			name  string
			lines = map[*source]int{}
		)
		for m := range walk(f.blocks, f.apex, f.everywhere()) {
			for block < m.at.block {
				if block >= 0 {
					lines[f.blocks[block].src] += f.blocks[block].lines
				}
				block, at = block+1, 0
				line = lines[f.blocks[block].src]
			}
			start := int(m.entry.start)
			line += strings.Count(string(f.blocks[block].text[at:start]), "\n")
			at = start
			if m.entry.flags&outside != 0 {
				continue
			}
			if !m.owner.same(last) {
				last, name = m.owner, m.name()
			}
			ttl := m.entry.ttl
			if len(ttls) > 0 {
				if t, ok := ttls[setKey{nameKey(name), m.typ, m.covers}]; ok {
					ttl = t
				}
			}
			if !yield(m.record(name, ttl, line+1)) {
				return
			}
		}
	}
}

// Lookup returns the records of an RRset as named serves them, in the order of
// the files. owner is absolute, or relative to the zone's origin, which itself is
// "@". typ is a type such as "A", or "ANY" for all that the owner has.
func (f *File) Lookup(owner, typ string) []Record {
	name, err := absoluteName([]byte(owner), f.apex.text)
	if err != nil || !below(name, f.apex.text) {
		return nil
	}
	var keep func(*member) bool
	if code, ok := typeCode([]byte(typ)); !ok {
		return nil
	} else if code != dns.TypeANY {
		keep = ofType(code)
	}
	return f.records(f.members(name, keep))
}

// records returns members of one owner as they are served.
func (f *File) records(members []member) []Record {
	var records []Record
	for i := range members {
		m := &members[i]
		records = append(records, m.record(m.name(), f.rrsetTTL(sameSet(members, m)), f.lineOf(m.at)))
	}
	return records
}

// sameSet returns those members that are of one RRset with m.
func sameSet(members []member, m *member) []member {
	var set []member
	for _, other := range members {
		if other.typ == m.typ && other.covers == m.covers {
			set = append(set, other)
		}
	}
	return set
}

// lineOf is the line at which an entry begins, from 1.
func (f *File) lineOf(p pos) int {
	b, line := f.blocks[p.block], 1
	for before := range f.blocksOf(b.src) {
		if before == b {
			break
		}
		line += before.lines
	}
	return line + strings.Count(string(b.text[:b.entries[p.entry].start]), "\n")
}

func (m *member) record(name string, ttl uint32, line int) Record {
	d := time.Duration(ttl) * time.Second
	return Record{
		Owner: name, TTL: &d, Class: "IN", Type: typeName(m.typ), Data: dataText(m.typ, m.data, m.origin.text),
		File: m.src.file.Name(), Line: line,
	}
}

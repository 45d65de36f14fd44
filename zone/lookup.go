package zone

import (
	"bytes"
	"iter"
	"slices"
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
			// It has been read before, from this state: a block keeps its own.
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

func (f *File) allBlocks() iter.Seq[int] {
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
	return f.served(func(*member) bool { return true })
}

// served yields the records that named serves, of those to keep.
func (f *File) served(keep func(*member) bool) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		ttls := f.mixedTTLs()
		lines := lineFinder{blocks: f.blocks}
		var last owner
		var name string
		for m := range walk(f.blocks, f.apex, f.allBlocks()) {
			if m.entry.flags&outside != 0 || !keep(m) {
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
			if !yield(m.record(name, ttl, lines.line(m.at.block, int(m.entry.start)))) {
				return
			}
		}
	}
}

// Lookup returns the records of an RRset as named serves them, in the order of
// the files. owner is absolute, or relative to the zone's origin, which itself is
// "@". typ is a type such as "A", or "ANY" for all that the owner has. There are
// none for an owner outside of the zone, or for what is no name or no type.
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
	type set struct{ typ, covers uint16 }
	var records []Record
	ttls := map[set]uint32{}
	lines := lineFinder{blocks: f.blocks}
	for i := range members {
		m := &members[i]
		ttl, ok := ttls[set{m.typ, m.covers}]
		if !ok {
			ttl = f.rrsetTTL(sameSet(members, m))
			ttls[set{m.typ, m.covers}] = ttl
		}
		records = append(records, m.record(m.name(), ttl, lines.line(m.at.block, int(m.entry.start))))
	}
	return records
}

// sameSet returns those members that are of one RRset with m.
func sameSet(members []member, m *member) []member {
	return filter(members, func(other *member) bool { return other.typ == m.typ && other.covers == m.covers })
}

// A lineFinder tells in which lines offsets of blocks lie, quickly if it is asked
// in about their order.
type lineFinder struct {
	blocks []*block
	before []int // for each block, the lines of its file before it
	block  int   // that was asked for last
	offset int
	found  int
}

// line is from 1.
func (l *lineFinder) line(block, offset int) int {
	if l.before == nil {
		lines := map[*source]int{}
		for _, b := range l.blocks {
			l.before = append(l.before, lines[b.src])
			if lines[b.src] += b.lines; b.last {
				lines[b.src] = 0 // it may be included again
			}
		}
		l.block = -1
	}
	if block != l.block {
		l.block, l.offset, l.found = block, 0, l.before[block]+1
	}
	text := l.blocks[block].text
	if offset >= l.offset {
		l.found += bytes.Count(text[l.offset:offset], newline)
	} else {
		l.found -= bytes.Count(text[offset:l.offset], newline)
	}
	l.offset = offset
	return l.found
}

// errorAt is an error with the place of an entry.
func errorAt(blocks []*block, p pos, err error) error {
	offset := 0
	if p.entry >= 0 {
		offset = int(blocks[p.block].entries[p.entry].start)
	}
	lines := lineFinder{blocks: blocks}
	return &ParseError{File: blocks[p.block].src.file.Name(), Line: lines.line(p.block, offset), Err: err}
}

func (m *member) record(name string, ttl uint32, line int) Record {
	d := time.Duration(ttl) * time.Second
	return Record{
		Owner: name, TTL: &d, Class: "IN", Type: typeName(m.typ), Data: dataText(m.typ, m.data, m.origin.text),
		File: m.src.file.Name(), Line: line,
	}
}

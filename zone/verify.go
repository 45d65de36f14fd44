package zone

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A fix is what an entry must say itself from now on.
type fix struct {
	at  pos
	own uint8 // inherits: its owner; ownTTL: its TTL
	ttl uint32
}

// verify compares what the lines of the regions mean with what they must mean,
// and returns the first that must be fixed: of those that must state their owner,
// or else of those that must state their TTL.
func (e *edit) verify(blocks []*block, regions []region) (*fix, error) {
	var ttl *fix
	for _, r := range regions {
		old, new := newCursor(e.f.blocks, r.oldFrom, e.f.apex), newCursor(blocks, r.newFrom, e.f.apex)
		groups := e.groupsUpTo(r, blocks)
		inserted := func(lines []newLine) error {
			for _, l := range lines {
				if !new.next(r.newTo) || new.entry.kind != l.kind || new.entry.ttl != l.ttl ||
					l.kind == record && (new.entry.typ != l.typ || nameKey(new.owner.name()) != nameKey(l.name) || new.key() != l.key) {
					return fmt.Errorf("the line %q would be read as another record", l.text)
				}
				groups.readNew(new)
			}
			return nil
		}
		// What is inserted after comments, or in an empty block, ends the block.
		ended := r.oldFrom
		end := func(upTo int) error {
			for ; ended < upTo; ended++ {
				entries := e.f.blocks[ended].entries
				last := len(entries) - 1
				if c := e.changes[pos{ended, last}]; c != nil && (last < 0 || entries[last].kind == filler) {
					if err := inserted(c.after); err != nil {
						return err
					}
				}
			}
			return nil
		}
		for old.next(r.oldTo) {
			if err := end(old.at.block); err != nil {
				return nil, err
			}
			c := e.changes[old.at]
			if c == nil {
				c = &change{}
			}
			if err := inserted(c.before); err != nil {
				return nil, err
			}
			if !c.remove {
				if !new.next(r.newTo) || new.entry.kind != old.entry.kind || new.entry.typ != old.entry.typ || c.key != "" && c.key != new.key() {
					return nil, errorAt(old.blocks, old.at, errKeeps)
				}
				switch broken := e.compare(old, new, c); {
				case broken == nil:
				case broken.own == inherits:
					return broken, nil
				case ttl == nil:
					ttl = broken
				}
				groups.readNew(new)
			}
			groups.readOld(old)
			if !c.remove && !groups.kept() {
				e.watchSets(old.owner) // another group: another record may decide
			}
			if err := inserted(c.after); err != nil {
				return nil, err
			}
		}
		if err := end(r.oldTo); err != nil {
			return nil, err
		}
		if new.next(r.newTo) {
			return nil, errors.New("the edit would make a record that was not meant")
		}
	}
	return ttl, nil
}

// A regrouping follows the groups of records before and after an edit.
type regrouping struct {
	old, new     grouper
	toNew, toOld map[int]int // the numbers of groups whose records have been seen
}

// groupsUpTo are the groups that the blocks before a region have left, which are
// the same before and after. It is nil for an edit of all TTLs, which need not know.
func (e *edit) groupsUpTo(r region, blocks []*block) *regrouping {
	if e.ttl != nil {
		return nil
	}
	from := recordsBefore(e.f.blocks, r.oldFrom)
	g := &regrouping{old: newGrouper(e.f.blocks, from), toNew: map[int]int{}, toOld: map[int]int{}}
	for c := newCursor(e.f.blocks, from, e.f.apex); c.next(r.oldFrom); {
		g.old.read(c)
	}
	g.new = grouper{blocks, g.old.at + r.newFrom - r.oldFrom, g.old.group}
	for n := range g.old.group.last {
		g.toNew[n+1], g.toOld[n+1] = n+1, n+1
	}
	return g
}

// read goes on to the group of the record that c has read, if it is one.
func (g *grouper) read(c *cursor) {
	if c.entry.kind == record || c.entry.kind == generate {
		m := c.member()
		g.number(&m)
	}
}

func (g *regrouping) readOld(c *cursor) {
	if g != nil {
		g.old.read(c)
	}
}

func (g *regrouping) readNew(c *cursor) {
	if g != nil {
		g.new.read(c)
	}
}

// kept reports whether the record that both have read is in the group that it was in.
func (g *regrouping) kept() bool {
	if g == nil {
		return true
	}
	old, new := g.old.group.current().number, g.new.group.current().number
	a, ok := g.toNew[old]
	b, also := g.toOld[new]
	g.toNew[old], g.toOld[new] = new, old
	return (!ok || a == new) && (!also || b == old)
}

// compare returns what a line lacks to mean what it must, nil if it does.
func (e *edit) compare(old, new *cursor, c *change) *fix {
	if old.entry.kind == record && !old.owner.same(new.owner) && nameKey(old.owner.name()) != nameKey(new.owner.name()) {
		return &fix{at: old.at, own: inherits}
	}
	if old.entry.kind != record && old.entry.kind != generate && old.entry.kind != setTTL {
		return nil
	}
	want, strict := old.entry.ttl, true
	switch {
	case c.ttl != nil:
		want = *c.ttl
	case e.ttl != nil:
		want, strict = e.ttl(old)
	case old.entry.kind == setTTL:
		return nil
	}
	if !strict || new.entry.ttl == want || old.entry.flags&outside != 0 {
		return nil
	}
	if b := new.stated(); b != nil {
		if a := old.stated(); c.ttl == nil && a != nil && *a == *b {
			return nil // another record of the set decides, as before
		}
		if *b == want {
			e.watchSets(old.owner) // another record of the set has come to decide
			return nil
		}
	}
	return &fix{at: old.at, own: ownTTL, ttl: want}
}

// stated is the TTL that the line states itself, nil if it does not.
func (c *cursor) stated() *uint32 {
	if c.line.ttl < 0 {
		return nil
	}
	ttl, _ := readTTL(c.line.toks[c.line.ttl].text)
	return &ttl
}

// watchSets sees to it that the RRsets of an owner keep their TTLs.
func (e *edit) watchSets(o owner) {
	if o.text == nil || e.ttl != nil || e.watched[nameKey(o.name())] {
		return
	}
	e.watched[nameKey(o.name())] = true
	members := e.f.members(o.name(), nil)
	for i := range members {
		m := &members[i]
		set := sameSet(members, m)
		known := slices.ContainsFunc(e.sets, func(w wantedSet) bool {
			return nameKey(w.name) == nameKey(o.name()) && w.typ == m.typ && w.covers == m.covers
		})
		if len(set) > 1 && set[0].at == m.at && !known {
			e.sets = append(e.sets, wantedSet{o.name(), m.typ, m.covers, e.f.rrsetTTL(set)})
		}
	}
}

// write makes an entry say what it took from the lines before it.
func (e *edit) write(broken fix) {
	c := e.f.cursorAt(broken.at)
	ch := e.at(broken.at)
	if broken.own == ownTTL {
		ch.setTTL(c, broken.ttl)
		return
	}
	ch.cuts = append(ch.cuts, cut{int(c.entry.start), int(c.entry.start) + c.line.blank, ownerInPlaceOf(c)})
}

// setTTL writes a TTL into the line that c has read.
func (ch *change) setTTL(c *cursor, ttl uint32) {
	ch.ttl = &ttl
	if i := c.line.ttl; i >= 0 {
		t := c.line.toks[i]
		ch.cuts = slices.DeleteFunc(ch.cuts, func(x cut) bool { return x.from == t.start && x.to == t.end })
		if *c.stated() != ttl {
			ch.cuts = append(ch.cuts, cut{t.start, t.end, formatTTL(ttl, t.text)})
		}
		return
	}
	at := c.line.data - 1
	if c.line.class >= 0 {
		at = c.line.class
	}
	start := c.line.toks[at].start
	separator := " "
	if start > 0 && c.text[start-1] == '\t' {
		separator = "\t"
	}
	ch.cuts = slices.DeleteFunc(ch.cuts, func(x cut) bool { return x.from == start && x.to == start })
	ch.cuts = append(ch.cuts, cut{start, start, formatTTL(ttl, nil) + separator})
}

// settleTTLs checks the RRsets that must have a TTL, and writes it into their records
// where they would not. It reports whether it had to.
func (e *edit) settleTTLs(blocks []*block) (bool, error) {
	again := false
	after := &File{apex: e.f.apex, blocks: blocks}
	for i := range e.sets {
		want := &e.sets[i]
		keep := func(m *member) bool { return m.typ == want.typ && m.covers == want.covers }
		set := after.members(want.name, keep)
		if len(set) == 0 || after.rrsetTTL(set) == want.ttl {
			continue
		}
		for _, m := range e.f.members(want.name, keep) {
			ch := e.changes[m.at]
			if m.made || ch != nil && (ch.remove || ch.ttl != nil && *ch.ttl == want.ttl) {
				continue
			}
			c := e.f.cursorAt(m.at)
			if ttl := c.stated(); ttl == nil && m.entry.ttl == want.ttl || ttl != nil && *ttl == want.ttl {
				continue
			}
			e.at(m.at).setTTL(c, want.ttl)
			again = true
		}
		if !again {
			return false, fmt.Errorf("%s %s: %w", strings.TrimSpace(want.name), typeName(want.typ), errKeeps)
		}
	}
	return again, nil
}

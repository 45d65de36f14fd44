package zone

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An edit is a set of changes to a zone, which take effect together or not at
// all. What it does not name keeps its meaning: apply reads the changed text
// again, compares, and where a line has lost the owner or the TTL that it took
// from a line before, writes it into that line.
type edit struct {
	f       *File
	changes map[pos]*change

	// ttl gives the TTL that a line that is not changed must have afterwards; nil:
	// the one that it had. It is false for a line that may take any.
	ttl func(c *cursor) (uint32, bool)

	sets    []wantedSet
	watched map[string]bool // owners whose RRsets are all among sets, as nameKey has them
}

// A change is what happens to one entry.
type change struct {
	remove bool
	cuts   []cut
	before []newLine // for the start of a file
	after  []newLine
	ttl    *uint32 // that the entry is to have; nil: as edit.ttl says
	key    string  // of the data that it is to have; "": the same as before
}

// A cut replaces a part of a block's text.
type cut struct {
	from, to int
	with     string
}

// A newLine is a line to insert, without its line end, and what it must mean.
type newLine struct {
	text string
	kind kind
	name string
	typ  uint16
	ttl  uint32
	key  string // of the data
}

// A wantedSet is an RRset that must have a TTL after the edit.
type wantedSet struct {
	name        string
	typ, covers uint16
	ttl         uint32
}

func (f *File) newEdit() *edit {
	return &edit{f: f, changes: map[pos]*change{}, watched: map[string]bool{}}
}

func (e *edit) at(p pos) *change {
	if e.changes[p] == nil {
		e.changes[p] = &change{}
	}
	return e.changes[p]
}

// errKeeps is an edit that would change what another record means, in a way that
// cannot be helped.
var errKeeps = errors.New("the edit would change the meaning of another record")

// apply makes the changes, or returns an error and makes none.
func (e *edit) apply() error {
	if len(e.changes) == 0 {
		return nil
	}
	fixed := map[fix]bool{}
	for {
		for p := range e.changes {
			if err := e.f.editable(p); err != nil {
				return err
			}
		}
		blocks, regions, err := e.rewrite()
		if err != nil {
			return err
		}
		broken, err := e.verify(blocks, regions)
		if err != nil {
			return err
		}
		if broken == nil || broken.own == ownTTL {
			// A TTL that a set needs may be what the lines after it need too, and the
			// other way round.
			more, err := e.settle(blocks)
			switch {
			case more:
				continue
			case broken == nil && err != nil:
				return err
			case broken == nil:
				e.f.index.replaced(e.f.blocks, blocks)
				e.f.blocks, e.f.edited = blocks, true
				return nil
			}
		}
		if fixed[*broken] {
			return fmt.Errorf("%s:%d: %w", e.f.blocks[broken.at.block].src.file.Name(), e.f.lineOf(broken.at), errKeeps)
		}
		fixed[*broken] = true
		e.write(*broken)
	}
}

// editable refuses to edit a file that the zone includes more than once, because
// every change in it is several.
func (f *File) editable(p pos) error {
	if src := f.blocks[p.block].src; src.uses > 1 {
		return fmt.Errorf("%s:%d: the zone includes this file %d times: an edit here would be several", src.file.Name(), f.lineOf(p), src.uses)
	}
	return nil
}

// A region is a run of blocks, old and new, that are not the same.
type region struct{ oldFrom, oldTo, newFrom, newTo int }

// rewrite makes new blocks from the changes. It reads on after each change until
// the state is again what it was.
func (e *edit) rewrite() (blocks []*block, regions []region, err error) {
	changed := e.byBlock()
	order := slices.Sorted(mapsKeys(changed))
	old := e.f.blocks
	blocks = slices.Clone(old[:order[0]])
	st := old[order[0]].start
	for i := order[0]; i < len(old); i++ {
		b := old[i]
		here := changed[i]
		if here == nil && st.equal(b.start) {
			// Nothing differs up to the next change.
			n, _ := slices.BinarySearch(order, i)
			next := len(old)
			if n < len(order) {
				next = order[n]
			}
			blocks = append(blocks, old[i:next]...)
			if next == len(old) {
				break
			}
			i, here, st = next, changed[next], old[next].start
		}
		from := len(blocks)
		if blocks, err = e.rescan(blocks, i, st, here); err != nil {
			return nil, nil, err
		}
		st = blocks[len(blocks)-1].after()
		if n := len(regions); n > 0 && regions[n-1].oldTo == i && regions[n-1].newTo == from {
			regions[n-1].oldTo, regions[n-1].newTo = i+1, len(blocks)
		} else {
			regions = append(regions, region{i, i + 1, from, len(blocks)})
		}
	}
	return blocks, regions, nil
}

func mapsKeys[V any](m map[int]V) func(func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (e *edit) byBlock() map[int][]int {
	changed := map[int][]int{}
	for p := range e.changes {
		changed[p.block] = append(changed[p.block], p.entry)
	}
	for _, entries := range changed {
		slices.Sort(entries)
	}
	return changed
}

// rescan appends what a block becomes with the changes of some of its entries,
// or in another state.
func (e *edit) rescan(blocks []*block, number int, st state, entries []int) ([]*block, error) {
	b := e.f.blocks[number]
	text := b.text
	if len(entries) > 0 {
		text = e.splice(number, entries)
	}
	limit := len(text) + 1
	if len(b.entries) > 2*blockSize {
		limit = blockSize
	}
	last := len(blocks)
	for at := 0; at < len(text) || len(blocks) == last; {
		var failure error
		nb, s := scan(b.src, text[at:], len(text)-at, st, e.f.apex, limit, func(err error) { failure = errors.Join(failure, err) })
		if failure != nil {
			return nil, fmt.Errorf("%s: the edit would leave a line that named refuses: %w", b.src.file.Name(), failure)
		}
		blocks = append(blocks, nb)
		at, st = at+s.pos, nb.end
	}
	end := blocks[len(blocks)-1]
	end.child, end.enter, end.last = b.child, b.enter, b.last
	return blocks, nil
}

// splice returns the text of a block with the changes.
func (e *edit) splice(number int, entries []int) []byte {
	b := e.f.blocks[number]
	var out bytes.Buffer
	out.Grow(len(b.text) + 128)
	done := 0 // of the old text
	add := func(lines []newLine, at int) {
		for _, l := range lines {
			eol, last := lineEndBefore(b.text, at), out.Bytes()
			if len(b.text) == 0 { // at the end of the file, after an $INCLUDE
				above := e.f.textBefore(number)
				eol = lineEndBefore(above, len(above))
				if len(last) == 0 {
					last = above
				}
			}
			if n := len(last); n > 0 && byteClass[last[n-1]] != lineEnd {
				// The last line may end in a comment, and a carriage return does not
				// end one.
				if eol == "\r" {
					eol = "\n"
				}
				out.WriteString(eol)
			}
			out.WriteString(l.text)
			out.WriteString(eol)
		}
	}
	for _, i := range entries {
		c := e.changes[pos{number, i}]
		start, stop := 0, 0
		if i >= 0 {
			start, stop = int(b.entries[i].start), b.stop(i)
		}
		out.Write(b.text[done:start])
		done = start
		add(c.before, start)
		if !c.remove {
			slices.SortFunc(c.cuts, func(x, y cut) int { return cmp.Compare(x.from, y.from) })
			for _, cut := range c.cuts {
				out.Write(b.text[done:cut.from])
				out.WriteString(cut.with)
				done = cut.to
			}
			out.Write(b.text[done:stop])
		}
		done = stop
		add(c.after, stop)
	}
	out.Write(b.text[done:])
	return out.Bytes()
}

// textBefore is the text of the block before one in the same file.
func (f *File) textBefore(number int) []byte {
	for i := number - 1; i >= 0; i-- {
		if f.blocks[i].src == f.blocks[number].src {
			return f.blocks[i].text
		}
	}
	return nil
}

// lineEndBefore is how the line before an offset ends, or how most others would.
func lineEndBefore(text []byte, at int) string {
	n := bytes.LastIndexAny(text[:at], "\r\n")
	if n < 0 {
		if n = bytes.IndexAny(text, "\r\n"); n < 0 {
			return "\n"
		}
		if text[n] == '\r' && n+1 < len(text) && text[n+1] == '\n' {
			n++
		}
	}
	switch {
	case text[n] == '\r':
		return "\r"
	case n > 0 && text[n-1] == '\r':
		return "\r\n"
	}
	return "\n"
}

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
				groups.new.read(new)
			}
			return nil
		}
		if c := e.changes[pos{r.oldFrom, -1}]; c != nil {
			if err := inserted(c.after); err != nil {
				return nil, err
			}
		}
		for old.next(r.oldTo) {
			c := e.changes[old.at]
			if c == nil {
				c = &change{}
			}
			if err := inserted(c.before); err != nil {
				return nil, err
			}
			if !c.remove {
				if !new.next(r.newTo) || new.entry.kind != old.entry.kind || new.entry.typ != old.entry.typ || c.key != "" && c.key != new.key() {
					return nil, fmt.Errorf("%s:%d: %w", old.blocks[old.at.block].src.file.Name(), e.f.lineOf(old.at), errKeeps)
				}
				switch broken := e.compare(old, new, c); {
				case broken == nil:
				case broken.own == inherits:
					return broken, nil
				case ttl == nil:
					ttl = broken
				}
				groups.new.read(new)
			}
			groups.old.read(old)
			if !c.remove && !groups.kept() {
				e.watch(old.owner) // another group: another record may decide
			}
			if err := inserted(c.after); err != nil {
				return nil, err
			}
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

// groupsUpTo are the groups that the block before a region has left, which is the
// same before and after.
func (e *edit) groupsUpTo(r region, blocks []*block) *regrouping {
	g := &regrouping{old: newGrouper(e.f.blocks, max(r.oldFrom-1, 0)), toNew: map[int]int{}, toOld: map[int]int{}}
	for c := newCursor(e.f.blocks, g.old.at, e.f.apex); c.next(r.oldFrom); {
		g.old.read(c)
	}
	g.new = grouper{blocks, max(r.newFrom-1, 0), g.old.group}
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

// kept reports whether the record that both have read is in the group that it was in.
func (g *regrouping) kept() bool {
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
			e.watch(old.owner) // another record of the set has come to decide
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

// watch sees to it that the RRsets of an owner keep their TTLs.
func (e *edit) watch(o owner) {
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

func limited(text []byte) bool {
	ttl, _ := readTTL(text)
	return ttl > maxTTL
}

// settle checks the RRsets that must have a TTL, and writes it into their records
// where they would not. It reports whether it had to.
func (e *edit) settle(blocks []*block) (bool, error) {
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

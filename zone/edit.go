package zone

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
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
			more, err := e.settleTTLs(blocks)
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
			return errorAt(e.f.blocks, broken.at, errKeeps)
		}
		fixed[*broken] = true
		e.write(*broken)
	}
}

// editable refuses to edit a file that the zone includes more than once, because
// every change in it is several.
func (f *File) editable(p pos) error {
	if src := f.blocks[p.block].src; src.uses > 1 {
		return errorAt(f.blocks, p, fmt.Errorf("the zone includes this file %d times: an edit here would be several", src.uses))
	}
	return nil
}

// A region is a run of blocks, old and new, that are not the same.
type region struct{ oldFrom, oldTo, newFrom, newTo int }

// rewrite makes new blocks from the changes. It reads on after each change until
// the state is again what it was.
func (e *edit) rewrite() (blocks []*block, regions []region, err error) {
	changed := e.byBlock()
	order := slices.Sorted(maps.Keys(changed))
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

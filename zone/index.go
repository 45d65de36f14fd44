package zone

import "slices"

// An index finds the blocks in which an owner may have records, by the hash of
// its name. It may name too many blocks, never too few, so that an edit need
// only add to it.
type index struct {
	slots   []slot32
	used    int
	lookups int // before there was one
}

// A slot32 is a hash and a block. The block is counted from 1; 0 is a free slot.
type slot32 struct{ hash, block uint32 }

// scansBeforeIndex is how many lookups read all entries before an index is made:
// to make one costs as much as about that many.
const scansBeforeIndex = 16

// blocksWith returns the numbers of the blocks that may hold the owner, and of
// those with a $GENERATE, in order.
func (f *File) blocksWith(hash uint32) []int {
	var found []int
	if x := &f.index; x.slots == nil {
		if x.lookups++; x.lookups <= scansBeforeIndex {
			for i, b := range f.blocks {
				if b.mayHold(hash) {
					found = append(found, i)
				}
			}
			return found
		}
		x.build(f.blocks)
	}
	found = f.index.find(hash)
	for i, b := range f.blocks {
		if b.has(generate) {
			found = append(found, i)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (b *block) mayHold(hash uint32) bool {
	for i := range b.entries {
		if b.entries[i].hash == hash && b.entries[i].kind == record {
			return true
		}
	}
	return b.has(generate)
}

func (x *index) build(blocks []*block) {
	owners := 0
	for _, b := range blocks {
		for i := range b.entries {
			if b.entries[i].kind == record && b.entries[i].flags&inherits == 0 {
				owners++
			}
		}
	}
	size := 1024
	for size < 2*(owners+len(blocks)) {
		size *= 2
	}
	x.slots, x.used = make([]slot32, size), 0
	for i, b := range blocks {
		x.add(i, b)
	}
}

// add notes the owners of a block.
func (x *index) add(number int, b *block) {
	var last uint32
	for i := range b.entries {
		e := &b.entries[i]
		if e.kind != record || e.hash == last && e.flags&inherits != 0 {
			continue
		}
		last = e.hash
		x.insert(slot32{e.hash, uint32(number) + 1})
	}
}

func (x *index) insert(s slot32) {
	if 4*x.used > 3*len(x.slots) {
		old := x.slots
		x.slots, x.used = make([]slot32, 2*len(old)), 0
		for _, s := range old {
			if s.block != 0 {
				x.insert(s)
			}
		}
	}
	for i := x.home(s.hash); ; i = (i + 1) & (len(x.slots) - 1) {
		if x.slots[i] == s {
			return
		}
		if x.slots[i].block == 0 {
			x.slots[i] = s
			x.used++
			return
		}
	}
}

func (x *index) find(hash uint32) []int {
	var found []int
	for i := x.home(hash); x.slots[i].block != 0; i = (i + 1) & (len(x.slots) - 1) {
		if x.slots[i].hash == hash {
			found = append(found, int(x.slots[i].block)-1)
		}
	}
	return found
}

// home spreads hashes, which fold has mixed well, over the slots.
func (x *index) home(hash uint32) int { return int(hash) & (len(x.slots) - 1) }

// replaced keeps the index right after blocks were replaced: one for one, or it
// is made anew when it is next needed.
func (x *index) replaced(old, new []*block) {
	if x.slots == nil {
		return
	}
	if len(old) != len(new) {
		*x = index{lookups: scansBeforeIndex / 2}
		return
	}
	for i := range new {
		if old[i] != new[i] {
			x.add(i, new[i])
		}
	}
}

package zone

import "slices"

// A group is what named takes together when it loads a zone: records with one
// owner that follow each other, and below a zone cut the addresses of the name
// servers that are delegated to, which are a group within it. It never changes;
// nil is the one before the first.
type group struct {
	owner     owner
	number    int        // counts from 1
	last      int        // the highest number so far
	seen      []typedTTL // that its records have given
	delegated []string   // the targets of its NS records, as nameKey has them
	glue      *group     // that is open within it
}

// A typedTTL is the TTL of the first record of a type, and for signatures of the
// type that they cover.
type typedTTL struct {
	typ, covers uint16
	ttl         uint32
}

// enter returns the group that a record of an owner belongs to.
func (g *group) enter(o owner) *group {
	if g == nil {
		return &group{owner: o, number: 1, last: 1}
	}
	switch to := *g; {
	case g.glue != nil && g.glue.owner.same(o), g.glue == nil && g.owner.same(o):
		return g
	case g.owner.same(o):
		to.glue = nil
		return &to
	case slices.Contains(g.delegated, nameKey(o.name())):
		to.last++
		to.glue = &group{owner: o, number: to.last}
		return &to
	}
	return &group{owner: o, number: g.last + 1, last: g.last + 1}
}

// current is the group or the glue that is open within it.
func (g *group) current() *group {
	if g.glue != nil {
		return g.glue
	}
	return g
}

// first is the TTL of the first record of t's type.
func (g *group) first(t typedTTL) (uint32, bool) {
	for _, seen := range g.current().seen {
		if seen.typ == t.typ && seen.covers == t.covers {
			return seen.ttl, true
		}
	}
	return 0, false
}

// with adds a first record.
func (g *group) with(t typedTTL) *group {
	to := *g
	if g.glue != nil {
		to.glue = g.glue.with(t)
		return &to
	}
	to.seen = append(slices.Clip(g.seen), t)
	return &to
}

// delegate adds the target of an NS record.
func (g *group) delegate(target []byte, origin *domain) *group {
	name, err := absoluteName(target, origin.text)
	if err != nil || g.glue != nil {
		return g
	}
	to := *g
	to.delegated = append(slices.Clip(g.delegated), nameKey(name))
	return &to
}

// equal reports whether two groups mean the same to what follows.
func (g *group) equal(h *group) bool {
	if g == h || g == nil || h == nil {
		return g == h
	}
	return g.owner.same(h.owner) && slices.Equal(g.seen, h.seen) && slices.Equal(g.delegated, h.delegated) && g.glue.equal(h.glue)
}

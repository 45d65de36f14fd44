package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// placeFor returns the entry after which a record is to be inserted: the last
// one of its RRset, or else of its owner, or else of the part of the main file
// with the origin nearest to its owner.
func (f *File) placeFor(g *givenRecord, owned []member) pos {
	var of []member
	for _, m := range owned {
		if !m.made && m.src.uses == 1 {
			of = append(of, m)
		}
	}
	if set := filter(of, g.inSet); len(set) > 0 {
		return set[len(set)-1].at
	}
	if len(of) > 0 {
		return of[len(of)-1].at
	}
	return f.nearest(g.name)
}

// nearest is the last record of the main file below the longest origin that the
// name is below too, or if there is none any origin, and no other record of its
// owner follows. In a file without records it is the last entry.
func (f *File) nearest(name string) pos {
	var best, at pos
	found, longest := false, 0
	var origin *domain
	fits := 0 // the length of the origin, if the name is below it
	for n, b := range f.blocks {
		if b.src != f.sources[0] {
			continue
		}
		at = pos{n, len(b.entries) - 1}
		for i, o := range b.owners(f.apex) {
			if o != origin {
				if origin, fits = o, 0; below(name, o.text) {
					fits = len(o.text)
				}
			}
			if fits >= longest {
				best, found, longest = pos{n, i}, true, fits
			}
		}
	}
	if !found {
		return at
	}
	return best
}

// owners yields the last of the records of each owner that follow each other, and
// the origin there; in a block with one origin, that of the last owner.
func (b *block) owners(apex *domain) iter.Seq2[int, *domain] {
	return func(yield func(int, *domain) bool) {
		last, lastOrigin := -1, b.start.origin
		origin := lastOrigin
		from := 0
		if !b.has(setOrigin) {
			// The last is enough: it is where the others would be, and later.
			from = len(b.entries)
			for from > 0 && (from == len(b.entries) || b.entries[from].kind != record || b.entries[from].flags&outside != 0) {
				from--
			}
		}
		for i := from; i < len(b.entries); i++ {
			switch e := &b.entries[i]; e.kind {
			case record:
				if last >= 0 && b.entries[last].hash != e.hash && !yield(last, lastOrigin) {
					return
				}
				if last, lastOrigin = i, origin; e.flags&outside != 0 {
					last = -1
				}
			case setOrigin:
				s := scanner{lexer: lexer{text: b.text, pos: int(e.start)}, state: state{origin: origin}, apex: apex}
				var again entry
				if s.read(&again, true) == nil {
					origin = s.origin
				}
			}
		}
		if last >= 0 {
			yield(last, lastOrigin)
		}
	}
}

// insert writes a new line for g after the entry at p.
func (e *edit) insert(g *givenRecord, p pos) error {
	near := e.f.around(p, g.name)
	ttl, implied, err := g.ttlAfter(near.state)
	if err != nil {
		return err
	}
	var fields [5]string
	if near.owner == "" || !near.blankOwners || e.removes(p) {
		fields[ownerField] = cmp.Or(near.owner, relativeName(g.name, near.state.origin.text))
	}
	if !implied || near.ttls {
		fields[ttlField] = formatTTL(ttl, near.style.fields[ttlField].text)
	}
	fields[classField] = string(near.style.fields[classField].text)
	fields[typeField] = typeName(g.typ)
	if t := near.style.fields[typeField].text; len(t) > 0 && bytes.Equal(t, bytes.ToLower(t)) {
		fields[typeField] = strings.ToLower(fields[typeField])
	}
	fields[dataField] = g.text(near.state.origin, e.f.apex)
	ch := e.at(p)
	ch.after = append(ch.after, newLine{
		text: near.style.format(fields), kind: record, name: g.name, typ: g.typ, ttl: ttl, key: g.key,
	})
	return nil
}

// A neighbourhood is what a new line takes from those around it.
type neighbourhood struct {
	state       state // where the line comes
	style       style
	owner       string // as the entry before spells it; "" if it is another one
	blankOwners bool   // there are lines that take their owner from the line before
	ttls        bool   // most lines state a TTL
}

// around looks at the block around the entry at p, which a line for an owner is to
// follow.
func (f *File) around(p pos, name string) neighbourhood {
	b := f.blocks[p.block]
	if p.entry < 0 || b.entries[p.entry].kind == filler {
		return neighbourhood{state: b.end} // placeFor chooses these at the end of the file only
	}
	c := f.cursorAt(p)
	near := neighbourhood{state: c.state}
	if c.entry.kind == record {
		near.style = styleOf(c)
	}
	if c.owner.text != nil && nameKey(c.owner.name()) == nameKey(name) {
		near.owner = ownerText(c.owner, c.origin)
	}
	stated, records := 0, 0
	for _, e := range b.entries {
		if e.kind != record {
			continue
		}
		records++
		if e.flags&ownTTL != 0 {
			stated++
		}
		near.blankOwners = near.blankOwners || e.flags&inherits != 0
	}
	near.ttls = 2*stated > records
	return near
}

// ttlAfter is the TTL of g as a line in a state, and whether the line may leave it
// out.
func (g *givenRecord) ttlAfter(s state) (ttl uint32, implied bool, err error) {
	switch {
	case g.ttl != nil:
		return *g.ttl, s.def.known && s.def.ttl == *g.ttl, nil
	case s.def.known:
		return s.def.ttl, true, nil
	case s.last.known:
		return s.last.ttl, false, nil // another one might change it unnoticed
	case g.typ == dns.TypeSOA:
		return limitTTL(binary.BigEndian.Uint32([]byte(g.key[len(g.key)-4:]))), true, nil // its minimum
	}
	return 0, false, &ValueError{Field: "TTL", Reason: "the record gives none, and the zone has no default: see SetTTL"}
}

func (e *edit) removes(p pos) bool { return e.changes[p] != nil && e.changes[p].remove }

// text writes the data of g to stand at an origin.
func (g *givenRecord) text(at, apex *domain) string {
	if at.text == apex.text {
		return joinTokens(g.data)
	}
	return dataText(g.typ, g.data, apex.text)
}

func joinTokens(toks []token) string {
	var b strings.Builder
	for i, t := range toks {
		if i > 0 && !touches(toks[i-1], t) {
			b.WriteByte(' ')
		}
		writeToken(&b, t)
	}
	return b.String()
}

// rewriteData replaces the data of a record. If it has as many words as before,
// only those that mean something else are replaced, so that comments between them
// survive. It returns false where the line has to go as a whole.
func (e *edit) rewriteData(m *member, g *givenRecord) bool {
	c := e.f.cursorAt(m.at)
	old := c.line.toks[c.line.data:]
	names := nameFields(g.typ, g.data)
	if len(old) == len(g.data) && !isGeneric(g.typ, old) && !isGeneric(g.typ, g.data) {
		ch := e.at(m.at)
		ch.key = g.key
		for i, t := range g.data {
			if slices.Contains(names, i) {
				x, xErr := absoluteName(old[i].text, c.origin.text)
				y, yErr := absoluteName(t.text, e.f.apex.text)
				if xErr == nil && yErr == nil && nameKey(x) == nameKey(y) {
					continue
				}
			} else if old[i].quoted == t.quoted && bytes.Equal(old[i].text, t.text) {
				continue
			}
			one := givenRecord{typ: g.typ, data: []token{t}}
			with := one.text(c.origin, c.origin)
			if slices.Contains(names, i) && c.origin.text != e.f.apex.text {
				if y, err := absoluteName(t.text, e.f.apex.text); err == nil {
					with = y
				}
			}
			word := spaced(c.text, cut{old[i].start, old[i].end, with})
			if i > 0 && old[i-1].quoted && old[i-1].end == old[i].start && !g.data[i-1].quoted && !t.quoted {
				word.with = " " + word.with // the quotes between them go
			}
			ch.cuts = append(ch.cuts, word)
		}
		return true
	}
	text := g.text(c.origin, e.f.apex)
	if len(old) > 0 {
		from, to := old[0].start, old[len(old)-1].end
		if balanced(c.text[from:to]) {
			ch := e.at(m.at)
			ch.key, ch.cuts = g.key, append(ch.cuts, spaced(c.text, cut{from, to, text}))
			return true
		}
	}
	// Parentheses begin before the data or end after it. The line is written anew
	// from its type on, if none are open there.
	typ := c.line.toks[c.line.data-1]
	start, stop := int(c.entry.start), e.f.blocks[m.at.block].stop(m.at.entry)
	if !balanced(c.text[start:typ.end]) {
		return false
	}
	end := start + len(bytes.TrimRight(c.text[start:stop], "\r\n"))
	ch := e.at(m.at)
	ch.key, ch.cuts = g.key, append(ch.cuts, cut{typ.end, end, " " + text})
	return true
}

// spaced adds the blanks without which a new word would stick to its neighbours:
// quotes need none.
func spaced(text []byte, c cut) cut {
	if c.from > 0 && byteClass[text[c.from-1]] == plain && c.with[0] != '"' {
		c.with = " " + c.with
	}
	if c.to < len(text) && byteClass[text[c.to]] == plain && c.with[len(c.with)-1] != '"' {
		c.with += " "
	}
	return c
}

// balanced reports whether as many parentheses end in a text as begin.
func balanced(text []byte) bool {
	l := lexer{text: text}
	for {
		var t token
		ok, err := l.next(&t)
		if err != nil {
			return false
		}
		if !ok && l.pos >= len(text) {
			return l.depth == 0
		}
		if !ok {
			l.endLine()
		}
	}
}

package zone

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// A given is a record of a caller, checked.
type given struct {
	name   string
	typ    uint16
	covers uint16
	ttl    *uint32
	data   []token // relative to the zone's origin
	key    string  // of the data, the same for all spellings
}

// accept checks a record that is to be written.
func (f *File) accept(r Record) (given, error) {
	g, err := f.take(r)
	if err != nil {
		return g, err
	}
	if !below(g.name, f.apex.text) {
		return g, &ValueError{Field: "owner", Value: r.Owner, Reason: "not in the zone " + f.apex.text}
	}
	if wire, err := encodeData(g.typ, g.data, f.apex.text); wire == nil {
		if errors.Is(err, errUnvalidated) {
			err = fmt.Errorf(`%w; it can be written as \# n hex`, err)
		}
		return g, &ValueError{Field: r.Type, Value: r.Data, Reason: err.Error()}
	}
	return g, nil
}

// take completes a record at the zone's origin.
func (f *File) take(r Record) (given, error) {
	g := given{}
	name, err := f.absolute(r.Owner)
	if err != nil {
		return g, err
	}
	if class, ok := classCode([]byte(r.Class)); r.Class != "" && (!ok || class != dns.ClassINET) {
		return g, &ValueError{Field: "class", Value: r.Class, Reason: "only IN can be edited"}
	}
	typ, ok := typeCode([]byte(r.Type))
	if !ok {
		return g, &ValueError{Field: "type", Value: r.Type, Reason: "unknown type"}
	}
	if err := standsInZone(typ); err != nil {
		return g, &ValueError{Field: "type", Value: r.Type, Reason: err.Error()}
	}
	if r.TTL != nil {
		ttl, err := wholeTTL(*r.TTL)
		if err != nil {
			return g, err
		}
		g.ttl = &ttl
	}
	g.name, g.typ = name, typ
	if g.data, err = dataTokens(r.Data); err != nil {
		return g, &ValueError{Field: r.Type, Value: r.Data, Reason: err.Error()}
	}
	g.key = dataKey(typ, g.data, f.apex.text)
	if (typ == dns.TypeRRSIG || typ == dns.TypeSIG) && len(g.data) > 0 {
		g.covers, _ = typeCode(g.data[0].text)
	}
	return g, nil
}

func wholeTTL(d time.Duration) (uint32, error) {
	if d < 0 || d > maxTTL*time.Second || d%time.Second != 0 {
		return 0, &ValueError{Field: "TTL", Value: d.String(), Reason: "not whole seconds from 0 to 2147483647"}
	}
	return uint32(d / time.Second), nil
}

func (m *member) key() string { return dataKey(m.typ, m.data, m.origin.text) }

// key is that of the data of the record that c has read.
func (c *cursor) key() string {
	return dataKey(c.entry.typ, c.line.toks[c.line.data:], c.origin.text)
}

// inSet selects the members of the RRset of g.
func (g *given) inSet(m *member) bool { return m.typ == g.typ && m.covers == g.covers }

// madeBy is the error of editing a record that a $GENERATE makes.
func (f *File) madeBy(m *member) error {
	return &ParseError{File: m.src.file.Name(), Line: f.lineOf(m.at), Err: fmt.Errorf("%s %s is made by $GENERATE here, and cannot be edited by itself", m.name(), typeName(m.typ))}
}

// Add adds a record to its RRset; if it is there, nothing changes, whatever its
// TTL. A TTL that is not nil becomes that of the whole RRset, which has but one;
// nil takes that of the RRset, or the default. The new line follows the last one
// of the same RRset, or else of the same owner, or else of the same part of the
// file, and is written as its neighbours are.
//
// The error is a [*ValueError] if named would refuse the record, or a
// [*ParseError] with the place of a $GENERATE that stands in the way. Nothing has
// changed then.
func (f *File) Add(r Record) error {
	g, err := f.accept(r)
	if err != nil {
		return err
	}
	owned := f.members(g.name, inZone)
	set := filter(owned, g.inSet)
	if slices.ContainsFunc(set, func(m member) bool { return m.key() == g.key }) {
		return nil
	}
	if g.typ == dns.TypeSOA && len(set) > 0 {
		return &ValueError{Field: "SOA", Value: r.Data, Reason: "the zone has an SOA record; use Replace"}
	}
	e := f.newEdit()
	if err := e.setTTLs(&g, set, set); err != nil {
		return err
	}
	e.insert(&g, f.placeFor(&g, owned))
	return e.apply()
}

// Replace makes the RRset of an owner and a type consist of the given records,
// whose Owner and Type may be empty. Records that are there stay as they are
// written; of others, the data is replaced in place where possible. Without
// records the RRset is removed. A TTL that is not nil becomes that of the RRset;
// all that are not nil must be equal. What Lookup gave changes nothing.
//
// Errors are those of [File.Add].
func (f *File) Replace(owner, typ string, rs ...Record) error {
	name, err := f.absolute(owner)
	if err != nil {
		return err
	}
	code, ok := typeCode([]byte(typ))
	if !ok {
		return &ValueError{Field: "type", Value: typ, Reason: "unknown type"}
	}
	var want []given
	for _, r := range rs {
		if r.Owner == "" {
			r.Owner = owner
		}
		if r.Type == "" {
			r.Type = typ
		}
		g, err := f.accept(r)
		switch {
		case err != nil:
			return err
		case nameKey(g.name) != nameKey(name):
			return &ValueError{Field: "owner", Value: r.Owner, Reason: "not the owner of the RRset, " + name}
		case g.typ != code:
			return &ValueError{Field: "type", Value: r.Type, Reason: "not the type of the RRset, " + typ}
		}
		if !slices.ContainsFunc(want, func(w given) bool { return w.key == g.key }) {
			want = append(want, g)
		}
	}
	if code == dns.TypeSOA && len(want) != 1 {
		return &ValueError{Field: "SOA", Value: fmt.Sprint(len(want)), Reason: "a zone has one SOA record"}
	}
	ttl, err := commonTTL(want)
	if err != nil {
		return err
	}
	return f.replace(name, code, ttl, want)
}

// absolute completes an owner that a caller gave.
func (f *File) absolute(owner string) (string, error) {
	l, t := lexer{text: []byte(owner)}, token{}
	if l.word(&t); l.pos < len(owner) {
		return "", &ValueError{Field: "owner", Value: owner, Reason: fmt.Sprintf("has the byte %q, which needs a backslash", owner[l.pos])}
	}
	name, err := absoluteName([]byte(owner), f.apex.text)
	if err != nil {
		return "", &ValueError{Field: "owner", Value: owner, Reason: err.Error()}
	}
	return name, nil
}

// commonTTL is the TTL that all records give that give one.
func commonTTL(want []given) (*uint32, error) {
	var ttl *uint32
	for _, g := range want {
		if g.ttl != nil && ttl != nil && *g.ttl != *ttl {
			return nil, &ValueError{Field: "TTL", Value: fmt.Sprintf("%d and %d", *ttl, *g.ttl), Reason: "the records of an RRset have one TTL (RFC 2181, section 5.2)"}
		}
		if g.ttl != nil {
			ttl = g.ttl
		}
	}
	return ttl, nil
}

func (f *File) replace(name string, typ uint16, ttl *uint32, want []given) error {
	owned := f.members(name, inZone)
	set := filter(owned, ofType(typ))
	var gone []member
	fresh := slices.Clone(want)
	for _, m := range set {
		key := m.key()
		if !slices.ContainsFunc(want, func(g given) bool { return g.key == key }) {
			gone = append(gone, m)
		}
		fresh = slices.DeleteFunc(fresh, func(g given) bool { return g.key == key })
	}
	e := f.newEdit()
	for i := range gone {
		m := &gone[i]
		if m.made {
			return f.madeBy(m)
		}
		if len(fresh) > 0 && e.rewriteData(m, &fresh[0]) {
			fresh = fresh[1:]
		} else {
			e.at(m.at).remove = true
		}
	}
	for i := range want {
		want[i].ttl = ttl
	}
	if len(want) > 0 {
		staying := filter(set, func(m *member) bool { return !e.removes(m.at) })
		if err := e.setTTLs(&want[0], set, staying); err != nil {
			return err
		}
		ttl = want[0].ttl
	}
	at := f.placeFor(&given{name: name, typ: typ}, owned)
	for i := range fresh {
		fresh[i].ttl = ttl
		e.insert(&fresh[i], at)
	}
	return e.apply()
}

// Remove removes a record, and reports whether it was there. Its TTL does not
// matter. A record that is written twice is removed twice. The SOA record cannot
// be removed, nor one that a $GENERATE makes.
func (f *File) Remove(r Record) (bool, error) {
	g, err := f.take(r)
	if err != nil {
		return false, err
	}
	set := f.members(g.name, g.inSet)
	gone := slices.DeleteFunc(slices.Clone(set), func(m member) bool { return m.key() != g.key })
	if len(gone) == 0 {
		return false, nil
	}
	if g.typ == dns.TypeSOA {
		return false, &ValueError{Field: "SOA", Value: r.Data, Reason: "a zone has one SOA record"}
	}
	e := f.newEdit()
	for i := range gone {
		if gone[i].made {
			return false, f.madeBy(&gone[i])
		}
		e.at(gone[i].at).remove = true
	}
	if len(set) > len(gone) {
		e.sets = append(e.sets, wantedSet{g.name, g.typ, g.covers, f.rrsetTTL(set)})
	}
	return true, e.apply()
}

// setTTLs gives those members of a set that stay one TTL: that of g, or the one
// that the set has, which g gets then.
func (e *edit) setTTLs(g *given, set, staying []member) error {
	if len(set) == 0 {
		return nil
	}
	have := e.f.rrsetTTL(set)
	if g.ttl == nil {
		g.ttl = &have
	}
	if *g.ttl != have {
		for i := range staying {
			m := &staying[i]
			if m.entry.ttl == *g.ttl {
				continue
			}
			if m.made {
				return e.f.madeBy(m)
			}
			e.at(m.at).setTTL(e.f.cursorAt(m.at), *g.ttl)
		}
	}
	if len(set) > 1 || *g.ttl != have {
		e.sets = append(e.sets, wantedSet{g.name, g.typ, g.covers, *g.ttl})
	}
	return nil
}

func inZone(m *member) bool { return m.entry.flags&outside == 0 }

func filter(members []member, keep func(*member) bool) []member {
	var kept []member
	for i := range members {
		if keep(&members[i]) {
			kept = append(kept, members[i])
		}
	}
	return kept
}

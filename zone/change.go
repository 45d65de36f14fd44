package zone

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// A givenRecord is what a caller gave, taken apart.
type givenRecord struct {
	name   string
	typ    uint16
	covers uint16
	ttl    *uint32
	data   []token // relative to the zone's origin
	key    string  // of the data, the same for all spellings
}

// validate checks a record that is to be written.
func (f *File) validate(g *givenRecord) error {
	if !below(g.name, f.apex.text) {
		return &ValueError{Field: "owner", Value: g.name, Reason: "not in the zone " + f.apex.text}
	}
	if wire, err := encodeData(g.typ, g.data, f.apex.text); wire == nil {
		if errors.Is(err, errUnvalidated) {
			err = fmt.Errorf(`%w; it can be written as \# n hex`, err)
		}
		return &ValueError{Field: typeName(g.typ), Value: joinTokens(g.data), Reason: err.Error()}
	}
	return nil
}

// take completes a record at the zone's origin.
func (f *File) take(r Record) (givenRecord, error) {
	g := givenRecord{}
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
func (g *givenRecord) inSet(m *member) bool { return m.typ == g.typ && m.covers == g.covers }

// madeBy is the error of editing a record that a $GENERATE makes.
func (f *File) madeBy(m *member) error {
	return errorAt(f.blocks, m.at, fmt.Errorf("%s %s is made by $GENERATE here, and cannot be edited by itself", m.name(), typeName(m.typ)))
}

// Add adds a record to its RRset; if it is there, nothing changes, whatever its
// TTL. A TTL that is not nil becomes that of the whole RRset, which has but one;
// nil takes that of the RRset, or the default. The new line follows the last one
// of the same RRset, or else of the same owner, or else of the same part of the
// file, and is written as its neighbours are.
//
// The error is a [*ValueError] if named would refuse the data, or there is no TTL
// to take, or a [*ParseError] with the place of what stands in the way: a
// $GENERATE, or a file that is included twice. Nothing has changed then. What
// records mean together, such as a CNAME beside others, is for [File.Check].
func (f *File) Add(r Record) error {
	g, err := f.take(r)
	if err != nil {
		return err
	}
	owned := f.members(g.name, inZone)
	set := filter(owned, g.inSet)
	if slices.ContainsFunc(set, func(m member) bool { return m.key() == g.key }) {
		return nil
	}
	if err := f.validate(&g); err != nil {
		return err
	}
	if g.typ == dns.TypeSOA && len(set) > 0 {
		return &ValueError{Field: "SOA", Value: r.Data, Reason: "the zone has an SOA record; use Replace"}
	}
	e := f.newEdit()
	if err := e.setTTLs(&g, set, set); err != nil {
		return err
	}
	if err := e.insert(&g, f.placeFor(&g, owned)); err != nil {
		return err
	}
	return e.apply()
}

// Replace makes the RRset of an owner and a type consist of the given records,
// whose Owner and Type may be empty. owner is as in [File.Lookup]. Records that are there stay as they are
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
	var want []givenRecord
	have := map[string]bool{}
	for _, r := range rs {
		if r.Owner == "" {
			r.Owner = owner
		}
		if r.Type == "" {
			r.Type = typ
		}
		g, err := f.take(r)
		switch {
		case err != nil:
			return err
		case nameKey(g.name) != nameKey(name):
			return &ValueError{Field: "owner", Value: r.Owner, Reason: "not the owner of the RRset, " + name}
		case g.typ != code:
			return &ValueError{Field: "type", Value: r.Type, Reason: "not the type of the RRset, " + typ}
		}
		if !have[g.key] {
			have[g.key] = true
			want = append(want, g)
		}
	}
	if code == dns.TypeSOA && len(want) != 1 {
		return &ValueError{Field: "SOA", Value: fmt.Sprint(len(want)), Reason: "a zone has one SOA record"}
	}
	// Signatures for different types are different RRsets.
	owned := f.members(name, inZone)
	wanted := map[uint16][]givenRecord{}
	for i := range owned {
		if owned[i].typ == code {
			wanted[owned[i].covers] = nil
		}
	}
	for _, g := range want {
		wanted[g.covers] = append(wanted[g.covers], g)
	}
	e := f.newEdit()
	for _, covers := range slices.Sorted(maps.Keys(wanted)) {
		if err := e.replace(&givenRecord{name: name, typ: code, covers: covers}, wanted[covers], owned); err != nil {
			return err
		}
	}
	return e.apply()
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

// replace makes an RRset consist of the records wanted, which are all like the
// given one but for their data and TTL.
func (e *edit) replace(like *givenRecord, want []givenRecord, owned []member) error {
	ttl, err := commonTTL(want)
	if err != nil {
		return err
	}
	set := filter(owned, like.inSet)
	missing := map[string]bool{}
	for _, g := range want {
		missing[g.key] = true
	}
	var gone []member
	for _, m := range set {
		key := m.key()
		if _, wanted := missing[key]; !wanted {
			gone = append(gone, m)
		} else {
			missing[key] = false
		}
	}
	fresh := slices.DeleteFunc(want, func(g givenRecord) bool { return !missing[g.key] })
	for i := range fresh {
		if err := e.f.validate(&fresh[i]); err != nil {
			return err
		}
	}
	for i := range gone {
		m := &gone[i]
		if m.made {
			return e.f.madeBy(m)
		}
		if len(fresh) > 0 && e.rewriteData(m, &fresh[0]) {
			fresh = fresh[1:]
		} else {
			e.at(m.at).remove = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	like.ttl = ttl
	if err := e.setTTLs(like, set, filter(set, func(m *member) bool { return !e.removes(m.at) })); err != nil {
		return err
	}
	at := e.f.placeFor(like, owned)
	for i := range fresh {
		fresh[i].ttl = like.ttl
		if err := e.insert(&fresh[i], at); err != nil {
			return err
		}
	}
	return nil
}

// commonTTL is the TTL that all records give that give one.
func commonTTL(want []givenRecord) (*uint32, error) {
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

// Remove removes a record, and reports whether it was there. Its TTL does not
// matter. A record that is written twice is removed twice. The SOA record cannot
// be removed, nor one that a $GENERATE makes. A record that named refuses or
// ignores can: its Data must be spelled as Lookup or All would.
//
// Errors are those of [File.Add].
func (f *File) Remove(r Record) (bool, error) {
	r.TTL = nil
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
	if err := e.apply(); err != nil {
		return false, err
	}
	return true, nil
}

// setTTLs gives those members of a set that stay one TTL: that of g, or the one
// that the set has, which g gets then.
func (e *edit) setTTLs(g *givenRecord, set, staying []member) error {
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

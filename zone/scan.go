package zone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// A kind says what a line of a zone file is.
type kind uint8

const (
	filler    kind = iota // comments and blank lines, as many as follow each other
	record                // a resource record
	setTTL                // $TTL
	setOrigin             // $ORIGIN
	include               // $INCLUDE
	generate              // $GENERATE
	date                  // $DATE, which named writes into files of its own
)

// An entry is a logical line of a block, and what it means. It is small because
// a zone may have millions.
type entry struct {
	start uint32 // in the block's text; the entry ends where the next begins
	hash  uint32 // of the owner's absolute name, ignoring case
	ttl   uint32 // as named takes it from this line; see File.rrsetTTL for the set's
	typ   uint16
	kind  kind
	flags uint8
}

const (
	inherits uint8 = 1 << iota // the owner is that of the record before
	ownTTL                     // a TTL is written
	ownClass                   // a class is written
	outside                    // the owner is not in the zone: named ignores the record
)

// A line is an entry taken apart.
type line struct {
	toks                    []token
	blank                   int  // bytes of white space that it begins with
	owner, ttl, class, data int  // indexes of tokens, data being the first of the record's; -1 if it is not written
	minimum                 bool // it is the SOA record whose minimum is the default TTL
}

// A state is what a line's meaning depends on, beside its own text. It passes
// from line to line, and through included files.
type state struct {
	origin *domain
	owner  owner
	last   ttlState // the TTL before
	def    ttlState // $TTL, or the SOA's minimum where the SOA has no TTL
	group  *group   // of records, while there is no default; nil at the start of a file
	parent *frame   // what comes back when the included file ends; nil in the main file

	// glued is set at the start of a file whose $INCLUDE has no line end: there,
	// named does not see white space that its first line begins with.
	glued bool
}

type ttlState struct {
	ttl   uint32
	known bool
}

// An owner is a name as written, and the origin that completes it.
type owner struct {
	text    []byte // nil: there is none yet
	origin  *domain
	hash    uint32
	outside bool
}

// name returns the absolute name.
func (o owner) name() string {
	if o.text == nil {
		return ""
	}
	name, err := absoluteName(o.text, o.origin.text)
	if err != nil {
		// newOwner has checked the same: the text, and the length of the whole.
		panic("zone: an owner that was accepted is no name: " + err.Error())
	}
	return name
}

// same reports whether named takes the two for one block of records, which it
// does only if they are spelled in the same case.
func (o owner) same(p owner) bool {
	if o.hash != p.hash || (o.text == nil) != (p.text == nil) {
		return false
	}
	return bytes.Equal(o.text, p.text) && o.origin == p.origin || o.name() == p.name()
}

// A frame is what an included file does not change for the file that includes
// it. The TTLs it does change.
type frame struct {
	origin *domain
	owner  owner
	parent *frame
}

func (f *frame) equal(g *frame) bool {
	if f == g || f == nil || g == nil {
		return f == g
	}
	return f.origin.text == g.origin.text && f.owner.same(g.owner) && f.parent.equal(g.parent)
}

func (s state) equal(t state) bool {
	if s.origin.text != t.origin.text || !s.owner.same(t.owner) || s.last != t.last || s.def != t.def ||
		s.glued != t.glued {
		return false
	}
	return s.parent.equal(t.parent) && s.group.equal(t.group)
}

// A scanner reads lines as dns_master_load of BIND does, and tells what each
// means in the state that the lines before have left.
type scanner struct {
	lexer
	state
	apex *domain
	line line // the last one read
}

// A lineError is a line that named refuses, and where.
type lineError struct {
	at  int // in the text
	err error
}

func (e *lineError) Error() string { return e.err.Error() }

func failAt(at int, format string, args ...any) error {
	return &lineError{at, fmt.Errorf(format, args...)}
}

// read reads the line that begins at pos, up to and with its line end, and goes
// on to the state that it leaves. Unless whole is set, the tokens of a record's
// data may be missing: most who read a file want to know where a record stands
// and whose it is.
func (s *scanner) read(e *entry, whole bool) (err error) {
	*e = entry{start: uint32(s.pos)}
	s.depth = 0
	if !whole && s.quick(e) {
		if err = s.rest(); err != nil {
			err = s.lexError(err)
			s.skipComment()
		}
		s.endLine()
		return err
	}
	*e = entry{start: uint32(s.pos)}
	s.line = line{toks: s.line.toks[:0], owner: -1, ttl: -1, class: -1, data: -1}
	if err = s.meaning(e); err == nil {
		if whole || e.kind > record || s.needsData(e) {
			err = s.others()
		} else if lexErr := s.rest(); lexErr != nil {
			err = s.lexError(lexErr)
		}
	}
	if err == nil {
		err = s.apply(e)
	}
	if err != nil {
		s.skipComment() // what follows a broken line is read too
	}
	s.endLine()
	return err
}

// meaning reads a line up to its type.
func (s *scanner) meaning(e *entry) error {
	from := s.pos
	for s.pos < len(s.text) && (s.text[s.pos] == ' ' || s.text[s.pos] == '\t') {
		s.pos++
	}
	if !s.glued {
		s.line.blank = s.pos - from
	}
	s.glued = false
	first, err := s.token()
	if first == nil {
		return err // nil: a comment or a blank line
	}
	if s.line.blank == 0 && len(first.text) > 0 && first.text[0] == '$' {
		return s.directive(e, first)
	}
	e.kind = record
	if s.line.blank > 0 {
		if s.owner.text == nil {
			return failAt(first.start, "record without an owner: the line begins with white space, and no record stands before it")
		}
		e.flags = inherits
	} else {
		s.line.owner = 0
		if err := s.newOwner(first); err != nil {
			return err
		}
		if first, err = s.need("the type"); err != nil {
			return err
		}
	}
	if err := s.header(e, first); err != nil {
		return err
	}
	e.hash = s.owner.hash
	if s.owner.outside {
		e.flags |= outside
	} else if e.typ == dns.TypeSOA && !strings.EqualFold(s.owner.name(), s.apex.text) {
		return failAt(s.line.toks[s.line.data-1].start, "SOA record that is not at the zone's apex %s", s.apex.text)
	}
	return nil
}

func (s *scanner) newOwner(t *token) error {
	hash, absolute, err := s.origin.hashOf(t.text)
	if err != nil {
		return failAt(t.start, "owner %q: %w", t.text, err)
	}
	o := owner{text: t.text, origin: s.origin, hash: hash}
	if absolute || s.origin.outside { // at an origin above the zone, a name may be in it
		o.outside = s.isOutside(t.text)
	}
	s.owner = o
	return nil
}

// isOutside reports whether a name is not in the zone.
func (s *scanner) isOutside(name []byte) bool {
	// A zone that a program wrote has absolute names only, so this must be quick.
	apex := s.apex.suffix
	if cut := len(name) - len(apex); cut > 0 && name[cut-1] == '.' && string(name[cut:]) == apex && bytes.IndexByte(name, '\\') < 0 {
		return false
	}
	full, err := absoluteName(name, s.origin.text)
	return err == nil && !below(full, s.apex.text)
}

// header reads TTL and class, in either order, and the type. t is the first of
// them.
func (s *scanner) header(e *entry, t *token) (err error) {
	class, hasClass := uint16(dns.ClassINET), false
	takeClass := func() error {
		c, ok := classCode(t.text)
		if !ok || t.quoted {
			return nil
		}
		class, hasClass = c, true
		s.line.class = len(s.line.toks) - 1
		e.flags |= ownClass
		t, err = s.need("the type")
		return err
	}
	if err := takeClass(); err != nil {
		return err
	}
	if ttl, ok := readTTL(t.text); ok && !t.quoted {
		s.line.ttl = len(s.line.toks) - 1
		e.flags |= ownTTL
		e.ttl = limitTTL(ttl)
		if t, err = s.need("the type"); err != nil {
			return err
		}
	}
	if !hasClass {
		if err := takeClass(); err != nil {
			return err
		}
	}
	typ, ok := typeCode(t.text)
	switch {
	case t.quoted || !ok:
		return failAt(t.start, "unknown type %q", t.text)
	case class != dns.ClassINET:
		c := s.line.toks[s.line.class]
		return failAt(c.start, "class %q in a zone of class IN", c.text)
	}
	if err := standsInZone(typ); err != nil {
		return failAt(t.start, "type %s %w", t.text, err)
	}
	e.typ = typ
	s.line.data = len(s.line.toks)
	return nil
}

// standsInZone refuses the types that are for queries, and two that RFC 1123
// has abolished.
func standsInZone(typ uint16) error {
	switch {
	case typ == dns.TypeMD || typ == dns.TypeMF:
		return errors.New("is obsolete")
	case typ == 0 || typ == dns.TypeOPT || 128 <= typ && typ <= 255:
		return errors.New("cannot stand in a zone")
	}
	return nil
}

// needsData reports whether the TTL of a record depends on its data.
func (s *scanner) needsData(e *entry) bool {
	return e.kind == record && !s.def.known && (e.typ == dns.TypeSOA || e.typ == dns.TypeNS || e.typ == dns.TypeRRSIG || e.typ == dns.TypeSIG)
}

// others reads the remaining tokens of the line.
func (s *scanner) others() error {
	for {
		if t, err := s.token(); t == nil {
			return err
		}
	}
}

// token reads the next token of the line, nil if there is none.
func (s *scanner) token() (*token, error) {
	n := len(s.line.toks)
	s.line.toks = append(s.line.toks, token{})
	ok, err := s.next(&s.line.toks[n])
	if !ok {
		s.line.toks = s.line.toks[:n]
		if err != nil {
			err = s.lexError(err)
		}
		return nil, err
	}
	return &s.line.toks[n], nil
}

// need reads a token that must be there.
func (s *scanner) need(what string) (*token, error) {
	t, err := s.token()
	if t == nil && err == nil {
		err = failAt(s.pos, "%s is missing", what)
	}
	return t, err
}

func (s *scanner) lexError(err error) error {
	at := s.pos
	if errors.Is(err, errOpenParen) {
		at = s.opened
	}
	return &lineError{at, err}
}

// apply takes what a line that was read says to those after it.
func (s *scanner) apply(e *entry) error {
	switch e.kind {
	case record, generate:
		return s.takeTTL(e)
	case setTTL:
		ttl, ok := readTTL(s.line.toks[1].text)
		if !ok {
			return failAt(s.line.toks[1].start, "bad TTL %q", s.line.toks[1].text)
		}
		e.ttl = limitTTL(ttl)
		s.def = ttlState{e.ttl, true}
		s.last, s.group = ttlState{}, nil
	case setOrigin:
		d, err := s.domainAt(1)
		if err != nil {
			return err
		}
		s.origin = d
	}
	return nil
}

// takeTTL gives a record its TTL (RFC 1035 and 2308, as BIND reads them).
func (s *scanner) takeTTL(e *entry) error {
	switch {
	case s.def.known:
		if e.flags&ownTTL == 0 {
			e.ttl = s.def.ttl
		}
		return nil
	case e.flags&ownTTL != 0:
		s.last = ttlState{e.ttl, true}
	case !s.last.known && e.typ == dns.TypeSOA && e.kind == record:
		soa, err := encodeData(dns.TypeSOA, s.line.toks[s.line.data:], s.origin.text)
		if err != nil {
			return failAt(s.line.toks[s.line.data-1].start, "SOA record whose minimum is the default TTL, for want of a TTL: %w", err)
		}
		s.def = ttlState{limitTTL(binary.BigEndian.Uint32(soa[len(soa)-4:])), true}
		s.line.minimum = true
		s.last = s.def
	case !s.last.known && e.flags&outside == 0:
		return failAt(s.line.toks[0].start, "no TTL: there is neither one in the record, nor $TTL, nor one before")
	}
	e.ttl = s.last.ttl
	if s.def.known {
		s.group, s.last = nil, ttlState{}
		return nil
	}
	if e.kind == generate {
		return nil // it is no part of the group around it
	}
	s.group = s.group.enter(s.owner)
	if e.flags&outside != 0 {
		return nil
	}
	if data := s.line.toks[s.line.data:]; e.typ == dns.TypeNS && len(data) == 1 {
		s.group = s.group.delegate(data[0].text, s.origin)
	}
	// The first record of a type in a group decides for the others. Where there is
	// no default, it does so for the records that follow, too.
	t := typedTTL{typ: e.typ, covers: s.covers(e), ttl: e.ttl}
	if first, ok := s.group.first(t); ok {
		e.ttl, s.last.ttl = first, first
		return nil
	}
	s.group = s.group.with(t)
	return nil
}

// covers is the type that a signature is for: signatures for different types are
// different RRsets.
func (s *scanner) covers(e *entry) uint16 {
	if e.typ != dns.TypeRRSIG && e.typ != dns.TypeSIG || len(s.line.toks) <= s.line.data {
		return 0
	}
	typ, _ := typeCode(s.line.toks[s.line.data].text)
	return typ
}

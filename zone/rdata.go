package zone

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// rdataRR builds a record from the words of its data, names relative to origin,
// and refuses what named 9.18 refuses. The error is a *dataError.
//
// The bytes are made here, because miekg/dns reads some data differently than
// named and some not at all; it then gives the record its Go type. Where it has
// none, or would lose something, the record is a *dns.RFC3597.
func rdataRR(owner string, ttl uint32, class, typ uint16, toks []token, origin string) (dns.RR, error) {
	wire, err := encodeData(class, typ, toks, origin)
	if err != nil {
		return nil, err
	}
	return buildRR(dns.RR_Header{Name: owner, Rrtype: typ, Class: class, Ttl: ttl}, wire), nil
}

func encodeData(class, typ uint16, toks []token, origin string) ([]byte, error) {
	switch {
	case typ == dns.TypeMD || typ == dns.TypeMF:
		return nil, &dataError{tok: -1, reason: fmt.Sprintf("type %s is obsolete, and refused", typeName(typ))}
	case isMeta(typ):
		return nil, &dataError{tok: -1, reason: fmt.Sprintf("type %s is for questions, not for zones", typeName(typ))}
	}
	e := &encoder{toks: toks, origin: origin, wire: make([]byte, 0, 64)}
	fields, known := layouts[typ]
	known = known && (class == dns.ClassINET || !inOnly[typ])
	var err error
	switch {
	case isGeneric(typ, toks):
		err = e.generic(typ, known)
	case !known && class != dns.ClassINET && layouts[typ] != nil:
		return nil, &dataError{tok: -1, err: errUnvalidated,
			reason: fmt.Sprintf("data of type %s in class %s is not validated", typeName(typ), className(class))}
	case !known:
		if len(toks) > 0 {
			e.next++
			return nil, e.fail(fmt.Sprintf(`data of type %s must be written as \# n hex`, typeName(typ)))
		}
		return nil, &dataError{tok: -1, reason: "no data"}
	default:
		for _, f := range fields {
			if err = e.field(f); err != nil {
				break
			}
		}
	}
	switch {
	case err != nil:
		return nil, err
	case e.more():
		e.next++
		return nil, e.fail("more than belongs to the record")
	case len(e.wire) > 1<<16-1:
		return nil, &dataError{tok: -1, reason: "more than 65535 bytes"}
	}
	return e.wire, nil
}

// generic takes "\# n hex" (RFC 3597, section 5).
func (e *encoder) generic(typ uint16, known bool) error {
	e.next++
	size, err := e.uint(2)
	if err != nil {
		return err
	}
	e.wire = e.wire[:0]
	if size > 0 {
		if err := e.hex(1, int(size)); err != nil {
			return err
		}
	}
	if known {
		if _, ok := validWire(typ, e.wire); !ok {
			return &dataError{tok: -1, reason: "not the data of a " + typeName(typ)}
		}
	}
	return nil
}

func buildRR(h dns.RR_Header, wire []byte) dns.RR {
	h.Rdlength = uint16(len(wire))
	unknown := func() dns.RR { return &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(wire)} }
	if len(wire) == 0 {
		return unknown()
	}
	rr, _, err := dns.UnpackRRWithHeader(h, wire, 0)
	if err != nil {
		return unknown()
	}
	if again, err := packData(rr); err != nil || !bytes.Equal(again, wire) {
		return unknown()
	}
	return rr
}

// packData is the data of a record in wire form.
func packData(rr dns.RR) ([]byte, error) {
	const fixed = 10 // type, class, TTL, length
	buf := make([]byte, dns.Len(rr)+64)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		buf = make([]byte, 256+fixed+1<<16) // some Len fall short
		if n, err = dns.PackRR(rr, buf, 0, nil, false); err != nil {
			return nil, err
		}
	}
	_, at, err := dns.UnpackDomainName(buf, 0)
	if err != nil {
		return nil, err
	}
	return buf[at+fixed : n], nil
}

// wireData is the data of a record in the form in which records are compared:
// uncompressed, and lower case in the names of those types in which named ignores
// case when it looks for records that stand twice.
func wireData(rr dns.RR) ([]byte, error) {
	wire, err := packData(rr)
	if err != nil {
		return nil, err
	}
	typ := rr.Header().Rrtype
	if caseMatters[typ] {
		return wire, nil
	}
	names, _ := validWire(typ, wire)
	for _, at := range names {
		for i, c := range wire[at[0]:at[1]] {
			if 'A' <= c && c <= 'Z' { // no length of a label is among them: it is at most 63
				wire[at[0]+i] = c + 'a' - 'A'
			}
		}
	}
	return wire, nil
}

// RR returns the record in the form of github.com/miekg/dns, which compares, packs
// and sends. It is validated as named would. Names are absolute, with or without
// their final dot, "@" is the root, and a nil TTL is 0. A type that the library
// does not know is a *dns.RFC3597. The error is a *ValueError.
func (r Record) RR() (dns.RR, error) {
	bad := func(field, value, reason string) (dns.RR, error) {
		return nil, &ValueError{Field: field, Value: value, Reason: reason}
	}
	owner, err := absoluteName([]byte(r.Owner), ".")
	if err != nil {
		return bad("owner", r.Owner, err.Error())
	}
	class := uint16(dns.ClassINET)
	if r.Class != "" {
		var ok bool
		if class, ok = classCode([]byte(r.Class)); !ok || class == 0 || class >= 254 {
			return bad("class", r.Class, "not a class")
		}
	}
	typ, ok := typeCode([]byte(r.Type))
	if !ok {
		return bad("type", r.Type, "not a type that named knows")
	}
	var ttl uint32
	if r.TTL != nil {
		seconds := r.TTL.Seconds()
		if seconds < 0 || seconds > 1<<31-1 || seconds != float64(uint32(seconds)) {
			return bad("TTL", r.TTL.String(), "not whole seconds from 0 to 2147483647")
		}
		ttl = uint32(seconds)
	}
	toks, err := dataTokens(r.Data)
	if err != nil {
		return bad("data", r.Data, err.Error())
	}
	rr, err := rdataRR(owner, ttl, class, typ, toks, ".")
	if err != nil {
		return bad("data", r.Data, err.Error())
	}
	return rr, nil
}

// dataTokens splits data that stands alone. What cannot stand on one line of a
// zone file is refused, and so is a comment, which would be lost.
func dataTokens(data string) ([]token, error) {
	if i := strings.IndexAny(data, "\r\n\x00"); i >= 0 {
		return nil, fmt.Errorf("byte %q cannot stand in a record; in a string it is \\%03d", data[i], data[i])
	}
	s := scanner{lexer: lexer{text: []byte(data)}}
	if err := s.others(); err != nil {
		return nil, err
	}
	if n := len(s.line.toks); n > 0 {
		last := s.line.toks[n-1]
		data = data[last.end:]
		if backslashes := len(last.text) - len(bytes.TrimRight(last.text, `\`)); !last.quoted && backslashes%2 == 1 {
			return nil, errBadEscape // it would take what follows with it
		}
	}
	if strings.Contains(data, ";") {
		return nil, errors.New("a comment cannot be part of a record")
	}
	return s.line.toks, nil
}

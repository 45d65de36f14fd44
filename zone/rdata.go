package zone

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Data is put in wire form here, by the table in layout.go, and only then becomes a
// record of miekg/dns. That library is not asked to read the text: it takes what
// named refuses (TXT \256, an MX without data, "DS 1 8 1 zz"), refuses what named
// takes (DNSKEY 256 3 RSASHA256, an unquoted NAPTR), and does not say which word is
// wrong. To look for its gaps takes as many rules as to read. It does unpack the
// bytes of "\# n hex", which are then judged as the text that they stand for.

// A dataError is data that named refuses. The place is a word, so that the caller
// can say line and column.
type dataError struct {
	tok    int // which word; -1 is the end of the data, where a word is missing
	reason string
	err    error // errUnvalidated or nil
}

func (e *dataError) Error() string { return e.reason }
func (e *dataError) Unwrap() error { return e.err }

// errUnvalidated is data that named may take or refuse: that of types which next to
// no zone has, and some forms that are rare in types that are not.
var errUnvalidated = errors.New("not validated")

func (e *encoder) noVerdict(what string) {
	if e.err == nil {
		e.err = &dataError{tok: e.next - 1, reason: "not validated: " + what, err: errUnvalidated}
	}
}

// encodeData puts the words of a record's data in wire form, names relative to
// origin, and refuses what named 9.18 refuses. The error is a *dataError. With
// errUnvalidated there are bytes if they stand in the text as "\# n hex".
func encodeData(typ uint16, toks []token, origin string) ([]byte, error) {
	wire, _, err := encode(typ, toks, origin)
	return wire, err
}

// encode also returns where in the bytes the names begin and end.
func encode(typ uint16, toks []token, origin string) (wire []byte, names [][2]int, err error) {
	if err := standsInZone(typ); err != nil {
		return nil, nil, &dataError{tok: -1, reason: fmt.Sprintf("type %s %v", typeName(typ), err)}
	}
	e := &encoder{toks: toks, origin: origin, wire: make([]byte, 0, 64)}
	switch fields := layouts[typ]; {
	case isGeneric(typ, toks):
		e.generic(typ, fields != nil)
	case fields != nil:
		for _, f := range fields {
			f.read(e)
		}
	case unvalidated[typ]:
		e.noVerdict("data of this type")
	default:
		e.anyWord()
		e.fail(`data of type %s must be written as \# n hex`, typeName(typ))
	}
	if e.more() {
		e.next++
		e.fail("more than belongs to the record")
	}
	if e.err == nil && len(e.wire) > 1<<16-1 {
		e.err = &dataError{tok: -1, reason: "more than 65535 bytes"}
	}
	if e.err != nil && !(errors.Is(e.err, errUnvalidated) && isGeneric(typ, toks)) {
		return nil, nil, e.err
	}
	return e.wire, e.names, e.err
}

// generic takes "\# n hex" (RFC 3597, section 5). The bytes of a known type must be
// those of a text that named would take.
func (e *encoder) generic(typ uint16, known bool) {
	e.anyWord()
	size := int(e.uint(2))
	e.wire = e.wire[:0]
	if size > 0 {
		e.hex(1, size)
	}
	if e.err != nil || e.more() {
		return
	}
	if unvalidated[typ] {
		e.noVerdict("data of this type")
	}
	if !known {
		return
	}
	wire, names, err := viaText(typ, e.wire)
	switch {
	case errors.Is(err, errUnvalidated):
		e.err = err
	case err == nil && bytes.Equal(wire, e.wire):
		e.names = names
		if (typ == dns.TypeDNSKEY || typ == dns.TypeCDNSKEY) && wire[3] == 253 {
			e.noVerdict("the name before a PRIVATEDNS key")
		}
	case narrower[typ]:
		e.noVerdict("this form")
	default:
		e.err = &dataError{tok: -1, reason: "not the data of a " + typeName(typ)}
	}
}

// viaText writes bytes as text and encodes that again.
func viaText(typ uint16, wire []byte) ([]byte, [][2]int, error) {
	h := dns.RR_Header{Name: ".", Rrtype: typ, Class: dns.ClassINET, Rdlength: uint16(len(wire))}
	rr, _, err := dns.UnpackRRWithHeader(h, wire, 0)
	if err != nil {
		return nil, nil, err
	}
	toks, err := dataTokens(fromRR(rr).Data)
	if err != nil {
		return nil, nil, err
	}
	return encode(typ, toks, ".")
}

// narrower are the types of which miekg/dns knows fewer forms than named, or prints
// words that named does not know. If it fails, nothing need be wrong.
var narrower = map[uint16]bool{
	dns.TypeAPL: true, dns.TypeCERT: true, dns.TypeCSYNC: true, dns.TypeHTTPS: true, dns.TypeLOC: true,
	dns.TypeNSEC: true, dns.TypeNSEC3: true, dns.TypeRRSIG: true, dns.TypeSVCB: true,
}

// dataKey is equal for data that are the same record to named: uncompressed wire
// form, lower case in the names of those types in which named ignores case.
func dataKey(typ uint16, toks []token, origin string) string {
	wire, names, _ := encode(typ, toks, origin)
	if wire == nil {
		return "text:" + dataText(typ, toks, origin)
	}
	if !caseMatters[typ] {
		for _, at := range names {
			for i, c := range wire[at[0]:at[1]] {
				wire[at[0]+i] = lower[c] // no length of a label is a letter: it is at most 63
			}
		}
	}
	return string(wire)
}

// rdataRR builds a record from the words of its data. The record is nil if the data
// cannot be put in wire form. Where miekg/dns has no Go type, or would lose
// something, the record is a *dns.RFC3597.
func rdataRR(owner string, ttl uint32, typ uint16, toks []token, origin string) (dns.RR, error) {
	wire, err := encodeData(typ, toks, origin)
	if wire == nil {
		return nil, err
	}
	h := dns.RR_Header{Name: owner, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl, Rdlength: uint16(len(wire))}
	// Of a prefix in an APL the library would drop the bits of the host.
	if err == nil && len(wire) > 0 && typ != dns.TypeAPL {
		rr, _, unpackErr := dns.UnpackRRWithHeader(h, wire, 0)
		if unpackErr == nil && (len(wire) <= 256 || packs(rr)) {
			return rr, nil
		}
	}
	return &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(wire)}, err
}

// packs reports whether the library can put into bytes what it has taken out of
// them. It cannot for long values of URI and CAA.
func packs(rr dns.RR) bool {
	_, err := dns.PackRR(rr, make([]byte, 256+1<<16), 0, nil, false)
	return err == nil
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
	if class, ok := classCode([]byte(cmp.Or(r.Class, "IN"))); !ok || class != dns.ClassINET {
		return bad("class", r.Class, "only IN is known")
	}
	typ, ok := typeCode([]byte(r.Type))
	if !ok {
		return bad("type", r.Type, "not a type that named knows")
	}
	var ttl uint32
	if r.TTL != nil {
		if ttl, err = wholeTTL(*r.TTL); err != nil {
			return nil, err
		}
	}
	toks, err := dataTokens(r.Data)
	if err != nil {
		return bad("data", r.Data, err.Error())
	}
	rr, err := rdataRR(owner, ttl, typ, toks, ".")
	if rr == nil {
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

// dataText writes data on one line, with absolute names.
func dataText(typ uint16, toks []token, origin string) string {
	names := nameFields(typ, toks)
	var b strings.Builder
	for i, t := range toks {
		if i > 0 && !touches(toks[i-1], t) {
			b.WriteByte(' ')
		}
		if _, isName := slices.BinarySearch(names, i); isName && !t.quoted {
			if name, err := absoluteName(t.text, origin); err == nil {
				b.WriteString(name)
				continue
			}
		}
		writeToken(&b, t)
	}
	return b.String()
}

// touches reports whether a token must follow another without a blank: the quoted
// value of a parameter of SVCB is no value elsewhere than at its "=".
func touches(before, t token) bool {
	return t.quoted && t.start == before.end && bytes.HasSuffix(before.text, []byte("="))
}

// writeToken writes a token so that it stays on its line.
func writeToken(b *strings.Builder, t token) {
	if !t.quoted {
		b.Write(t.text)
		return
	}
	b.WriteByte('"')
	for i := 0; i < len(t.text); i++ {
		switch c := t.text[i]; {
		case c == '\\' && i+1 < len(t.text) && t.text[i+1] == '\n':
			b.WriteString(`\010`)
			i++
		case c == '\r':
			b.WriteString(`\013`)
		case c == '\\' && i+1 < len(t.text):
			b.Write(t.text[i : i+2])
			i++
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}

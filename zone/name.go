package zone

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A domain is an origin: what relative names are completed with. It carries what
// hashing and checking the many names below it needs.
type domain struct {
	text    string // absolute, as absoluteName spells it
	suffix  string // what follows the dot after a relative name: text, "" for the root
	hash    uint64 // of suffix
	power   uint64 // hashBase to the number of bytes of suffix
	wire    int    // length in wire form
	outside bool   // not the zone's apex or below it
}

// newDomain takes an absolute name. A nil apex makes it the apex.
func newDomain(text string, apex *domain) *domain {
	d := &domain{text: text, suffix: strings.TrimPrefix(text, "."), power: 1}
	shape, err := readName([]byte(text))
	if err != nil {
		// absoluteName has made the text, and checked it.
		panic("zone: a domain that is no name: " + text)
	}
	d.hash, d.wire = shape.hash, shape.wire
	for range shape.size {
		d.power *= hashBase
	}
	d.outside = apex != nil && !below(text, apex.text)
	return d
}

const hashBase = 0x9E3779B97F4A7C15 | 1

// A nameShape is what one pass over a name's text gives.
type nameShape struct {
	hash     uint64 // polynomial over the decoded bytes in lower case, dots included
	size     int    // decoded bytes, dots included
	wire     int    // length in wire form, the root label only if absolute
	absolute bool
}

var (
	errEmptyLabel = errors.New("empty label in a name")
	errLongLabel  = errors.New("label of more than 63 bytes")
	errLongName   = errors.New("name of more than 255 bytes")
	errBadEscape  = errors.New(`bad escape: a backslash takes three digits up to 255, or one other character`)
	errBitLabel   = errors.New(`label that begins with \[`)
	errNoName     = errors.New("empty name")
)

// readName checks a name as dns_name_fromtext of BIND does, and hashes it.
func readName(text []byte) (nameShape, error) {
	switch {
	case len(text) == 0:
		return nameShape{}, errNoName
	case len(text) == 1 && text[0] == '.':
		return nameShape{wire: 1, absolute: true}, nil
	}
	var s nameShape
	label := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			if label == 0 {
				return s, errEmptyLabel
			}
			s.wire += label + 1
			label = 0
			s.absolute = i == len(text)-1
		} else {
			if c == '\\' {
				var n int
				if c, n = unescapeByte(text[i:]); n == 0 {
					return s, errBadEscape
				} else if n == 2 && c == '[' && label == 0 {
					return s, errBitLabel
				}
				i += n - 1
			}
			if label++; label > 63 {
				return s, errLongLabel
			}
		}
		s.hash = s.hash*hashBase + uint64(lower[c])
		s.size++
	}
	if label > 0 {
		s.wire += label + 1
	}
	if s.absolute {
		s.wire++
	}
	if s.wire > 255 {
		return s, errLongName
	}
	return s, nil
}

// hashOf returns the hash of the absolute name that text stands for at d.
func (d *domain) hashOf(text []byte) (hash uint32, absolute bool, err error) {
	if len(text) == 1 && text[0] == '@' {
		return fold(d.hash), false, nil
	}
	s, err := readName(text)
	switch {
	case err != nil:
		return 0, false, err
	case s.absolute:
		return fold(s.hash), true, nil
	case s.wire+d.wire > 255:
		return 0, false, errLongName
	}
	return fold((s.hash*hashBase+'.')*d.power + d.hash), false, nil
}

func fold(h uint64) uint32 {
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	return uint32(h >> 32)
}

// unescapeByte reads the escape that text begins with, and how long it is: 2 or 4,
// 0 if it is bad.
func unescapeByte(text []byte) (byte, int) {
	if len(text) < 2 {
		return 0, 0
	}
	if !isDigit(text[1]) {
		return text[1], 2
	}
	if len(text) < 4 || !isDigit(text[2]) || !isDigit(text[3]) {
		return 0, 0
	}
	n := int(text[1]-'0')*100 + int(text[2]-'0')*10 + int(text[3]-'0')
	if n > 255 {
		return 0, 0
	}
	return byte(n), 4
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// lower maps the letters of ASCII to lower case: DNS knows no other letters
// (RFC 4343).
var lower = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			table[i] += 'a' - 'A'
		}
	}
	return table
}()

// absoluteName completes a name of a zone file at origin, which is absolute. It
// keeps the case and spells escapes in one way only, so that names are equal if
// their lower-case texts are.
func absoluteName(text []byte, origin string) (string, error) {
	if len(text) == 1 && text[0] == '@' {
		return origin, nil
	}
	s, err := readName(text)
	if err != nil {
		return "", err
	}
	if s.absolute && bytes.IndexByte(text, '\\') < 0 && !needsEscape(text) {
		return string(text), nil
	}
	var b strings.Builder
	b.Grow(len(text) + 1 + len(origin))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			c, n := unescapeByte(text[i:])
			writeNameByte(&b, c)
			i += n - 1
		case c == '.':
			b.WriteByte(c)
		default:
			writeNameByte(&b, c)
		}
	}
	if s.absolute {
		return b.String(), nil
	}
	if whole, err := readName([]byte(origin)); err != nil || s.wire+whole.wire > 255 {
		return "", errLongName
	}
	b.WriteByte('.')
	b.WriteString(strings.TrimPrefix(origin, "."))
	return b.String(), nil
}

func needsEscape(text []byte) bool {
	for _, c := range text {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte(special, c) >= 0 {
			return true
		}
	}
	return false
}

// special are the characters that BIND prints with a backslash in a name, beside
// a dot within a label.
var special = []byte(`"();@$\`)

func writeNameByte(b *strings.Builder, c byte) {
	switch {
	case c <= ' ' || c >= 0x7f:
		fmt.Fprintf(b, `\%03d`, c)
	case c == '.' || bytes.IndexByte(special, c) >= 0:
		b.WriteByte('\\')
		b.WriteByte(c)
	default:
		b.WriteByte(c)
	}
}

// nameKey is the form in which absolute names are compared (RFC 4343).
func nameKey(name string) string {
	for i := 0; i < len(name); i++ {
		if lower[name[i]] != name[i] {
			key := []byte(name)
			for k := i; k < len(key); k++ {
				key[k] = lower[key[k]]
			}
			return string(key)
		}
	}
	return name
}

// below reports whether an absolute name is the apex or below it.
func below(name, apex string) bool {
	if apex == "." {
		return true
	}
	cut := len(name) - len(apex)
	if cut < 0 || nameKey(name[cut:]) != nameKey(apex) {
		return false
	}
	if cut == 0 {
		return true
	}
	// The dot before must end a label, and not be escaped.
	if name[cut-1] != '.' {
		return false
	}
	backslashes := 0
	for i := cut - 2; i >= 0 && name[i] == '\\'; i-- {
		backslashes++
	}
	return backslashes%2 == 0
}

// relativeName spells an absolute name as short as it can be written at origin.
func relativeName(name, origin string) string {
	switch {
	case origin == "." || !below(name, origin):
		return name
	case len(name) == len(origin):
		return "@"
	}
	return name[:len(name)-len(origin)-1]
}

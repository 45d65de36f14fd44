package zone

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// A dataError is data that named refuses. The place is a word, so that the caller
// can say line and column.
type dataError struct {
	tok    int // which word; -1 is the end of the data, where a word is missing
	reason string
	err    error // errUnvalidated or nil
}

func (e *dataError) Error() string { return e.reason }
func (e *dataError) Unwrap() error { return e.err }

// errUnvalidated is data that only the machine on which named runs can judge, or
// that this package does not understand. It may be right.
var errUnvalidated = errors.New("not validated")

// An encoder turns the words of one record's data into wire form.
type encoder struct {
	toks   []token
	next   int // the word after the one in hand
	origin string
	wire   []byte
}

func (e *encoder) fail(reason string) error {
	return &dataError{tok: e.next - 1, reason: fmt.Sprintf("%q: %s", e.toks[e.next-1].text, reason)}
}

// any takes a word, quoted or not.
func (e *encoder) any() ([]byte, error) {
	if e.next == len(e.toks) {
		return nil, &dataError{tok: -1, reason: "the data ends too early"}
	}
	e.next++
	return e.toks[e.next-1].text, nil
}

// word takes a word that has no quotes: named takes quotes around strings only.
func (e *encoder) word() ([]byte, error) {
	text, err := e.any()
	if err == nil && e.toks[e.next-1].quoted {
		return nil, e.fail("must not be quoted")
	}
	return text, err
}

func (e *encoder) more() bool { return e.next < len(e.toks) }

// uint takes digits, and appends a number of size bytes.
func (e *encoder) uint(size int) (uint64, error) {
	text, err := e.word()
	if err != nil {
		return 0, err
	}
	limit := uint64(1)<<(8*size) - 1
	n, ok := decimal(text, limit)
	if !ok {
		return 0, e.fail(fmt.Sprintf("not a number from 0 to %d", limit))
	}
	e.number(n, size)
	return n, nil
}

func (e *encoder) number(n uint64, size int) {
	for size--; size >= 0; size-- {
		e.wire = append(e.wire, byte(n>>(8*size)))
	}
}

// name takes a domain name.
func (e *encoder) name(take func() ([]byte, error)) error {
	text, err := take()
	if err != nil {
		return err
	}
	name, err := absoluteName(text, e.origin)
	if err != nil {
		return e.fail(err.Error())
	}
	var buf [256]byte
	n, err := dns.PackDomainName(name, buf[:], 0, nil, false)
	if err != nil {
		return e.fail(err.Error())
	}
	e.wire = append(e.wire, buf[:n]...)
	return nil
}

func (e *encoder) address(is4 bool) error {
	text, err := e.word()
	if err != nil {
		return err
	}
	return e.appendAddress(string(text), is4)
}

func (e *encoder) appendAddress(text string, is4 bool) error {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4() != is4 {
		if is4 {
			return e.fail("not an IPv4 address")
		}
		return e.fail("not an IPv6 address")
	}
	e.wire = append(e.wire, addr.AsSlice()...)
	return nil
}

// unescape reads the text of a string: \DDD is a byte, and a backslash before
// anything else is dropped (RFC 1035, section 5.1).
func unescape(text []byte) ([]byte, bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			if i++; i == len(text) {
				return nil, false
			}
			if c = text[i]; c >= '0' && c <= '9' {
				if i+3 > len(text) {
					return nil, false
				}
				n, ok := decimal(text[i:i+3], 255)
				if !ok {
					return nil, false
				}
				c, i = byte(n), i+2
			}
		}
		out = append(out, c)
	}
	return out, true
}

func (e *encoder) text(take func() ([]byte, error)) ([]byte, error) {
	text, err := take()
	if err != nil {
		return nil, err
	}
	out, ok := unescape(text)
	if !ok {
		return nil, e.fail(`a backslash needs three digits up to 255, or another character`)
	}
	return out, nil
}

func (e *encoder) str() error {
	text, err := e.text(e.any)
	if err != nil {
		return err
	}
	if len(text) > 255 {
		return e.fail("a string has at most 255 bytes")
	}
	e.wire = append(append(e.wire, byte(len(text))), text...)
	return nil
}

// joined takes all words that are left, as one.
func (e *encoder) joined(least int) (string, error) {
	var b strings.Builder
	for n := 0; n < least || e.more(); n++ {
		text, err := e.word()
		if err != nil {
			return "", err
		}
		b.Write(text)
	}
	return b.String(), nil
}

func (e *encoder) decode(text string, err error, decode func(string) ([]byte, error), kind string) error {
	if err != nil {
		return err
	}
	out, err := decode(text)
	if err != nil {
		return e.fail("not " + kind)
	}
	e.wire = append(e.wire, out...)
	return nil
}

func (e *encoder) base64(least int) error {
	text, err := e.joined(least)
	return e.decode(text, err, base64.StdEncoding.Strict().DecodeString, "base64")
}

// hex takes the words that are left. A known size must be met.
func (e *encoder) hex(least, size int) error {
	start := len(e.wire)
	text, err := e.joined(least)
	if err := e.decode(text, err, hexString, "pairs of hexadecimal digits"); err != nil {
		return err
	}
	if n := len(e.wire) - start; size > 0 && n != size {
		return e.fail(fmt.Sprintf("%d bytes, not %d", n, size))
	}
	return nil
}

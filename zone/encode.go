package zone

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// An encoder turns the words of one record's data into wire form. After the first
// error it takes no more words.
type encoder struct {
	toks   []token
	next   int // the word after the one in hand
	origin string
	wire   []byte
	names  [][2]int // where in wire the names begin and end
	err    error    // a *dataError
}

// fail says what is wrong with the word in hand.
func (e *encoder) fail(format string, args ...any) {
	if e.err == nil {
		reason := fmt.Sprintf(format, args...)
		e.err = &dataError{tok: e.next - 1, reason: fmt.Sprintf("%q: %s", e.toks[e.next-1].text, reason)}
	}
}

func (e *encoder) more() bool { return e.err == nil && e.next < len(e.toks) }

// anyWord takes a word, quoted or not. It is nil after an error.
func (e *encoder) anyWord() []byte {
	if e.err == nil && e.next == len(e.toks) {
		e.err = &dataError{tok: -1, reason: "the data ends too early"}
	}
	if e.err != nil {
		return nil
	}
	e.next++
	return e.toks[e.next-1].text
}

// word takes a word that has no quotes: named takes quotes around strings only.
func (e *encoder) word() []byte {
	text := e.anyWord()
	if text != nil && e.toks[e.next-1].quoted {
		e.fail("must not be quoted")
		return nil
	}
	return text
}

// joined takes all words that are left, at least so many, as one text.
func (e *encoder) joined(least int, between string) string {
	var all []byte
	for n := 0; n < least && e.err == nil || e.more(); n++ {
		if n > 0 {
			all = append(all, between...)
		}
		all = append(all, e.word()...)
	}
	return string(all)
}

func (e *encoder) put(b ...byte) { e.wire = append(e.wire, b...) }

// number puts a number in so many bytes.
func (e *encoder) number(n uint64, size int) {
	for size--; size >= 0; size-- {
		e.put(byte(n >> (8 * size)))
	}
}

// counted puts bytes after their number.
func (e *encoder) counted(b []byte) {
	if len(b) > 255 {
		e.fail("more than 255 bytes")
	}
	e.put(byte(len(b)))
	e.put(b...)
}

// last is the byte before: the type of a digest, or the hash of an owner.
func (e *encoder) last() byte { return e.wire[len(e.wire)-1] }

// uint takes digits, and nothing else.
func (e *encoder) uint(size int) uint64 {
	limit := uint64(1)<<(8*size) - 1
	n, ok := decimal(e.word(), limit)
	if !ok {
		e.fail("not a number from 0 to %d", limit)
	}
	e.number(n, size)
	return n
}

func (e *encoder) period() {
	n, ok := readTTL(e.word())
	if !ok {
		e.fail("not a number of seconds or a time such as 1h30m")
	}
	e.number(uint64(n), 4)
}

func (e *encoder) name(text []byte) {
	if e.err != nil {
		return
	}
	var wire [256]byte
	n := 0
	name, err := absoluteName(text, e.origin)
	if err == nil {
		n, err = dns.PackDomainName(name, wire[:], 0, nil, false)
	}
	if err != nil {
		e.fail("%v", err)
	}
	e.names = append(e.names, [2]int{len(e.wire), len(e.wire) + n})
	e.put(wire[:n]...)
}

// address puts an address of 4 or 16 bytes.
func (e *encoder) address(text string, size int) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.BitLen() != 8*size {
		e.fail("not an IPv%d address", map[int]int{4: 4, 16: 6}[size])
	}
	e.put(addr.AsSlice()...)
}

// unescape reads the text of a string: \DDD is a byte, and a backslash before
// anything else is dropped (RFC 1035, section 5.1).
func unescape(text []byte) ([]byte, bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c, n := text[i], 1
		if c == '\\' {
			if c, n = unescapeByte(text[i:]); n == 0 {
				return nil, false
			}
		}
		out = append(out, c)
		i += n - 1
	}
	return out, true
}

// text takes a string, quoted or not.
func (e *encoder) text() []byte {
	text, ok := unescape(e.anyWord())
	if !ok {
		e.fail("a backslash needs three digits up to 255, or another character")
	}
	return text
}

func (e *encoder) str() { e.counted(e.text()) }

func (e *encoder) strs() {
	for e.str(); e.more(); {
		e.str()
	}
}

// quotedText is one word without limit that must have quotes.
func (e *encoder) quotedText() {
	e.put(e.text()...)
	if e.err == nil && !e.toks[e.next-1].quoted {
		e.fail("must be quoted")
	}
}

// tag takes letters and digits.
func (e *encoder) tag() {
	tag := e.word()
	for _, c := range tag {
		if !isDigit(c) && (lower[c] < 'a' || lower[c] > 'z') {
			e.fail("not letters and digits")
		}
	}
	e.counted(tag)
}

// decoded puts bytes that were written as text.
func (e *encoder) decoded(text, kind string, decode func(string) ([]byte, error)) {
	b, err := decode(text)
	if err != nil {
		e.fail("not %s", kind)
	}
	e.put(b...)
}

func (e *encoder) decodeHex(text string) {
	e.decoded(text, "pairs of hexadecimal digits", hex.DecodeString)
}

// decodeBase64 refuses bits that are left over, as named does.
func (e *encoder) decodeBase64(text string) {
	e.decoded(text, "base64", base64.StdEncoding.Strict().DecodeString)
}

func (e *encoder) base64() { e.decodeBase64(e.joined(1, "")) }

// hex takes the words that are left. A size above 0 must be met.
func (e *encoder) hex(least, size int) {
	start := len(e.wire)
	e.decodeHex(e.joined(least, ""))
	if n := len(e.wire) - start; size > 0 && n != size {
		e.fail("%d bytes, not %d", n, size)
	}
}

// coded takes a mnemonic in any case, or a number.
func (e *encoder) coded(words []mnemonic, size int) {
	text := e.word()
	if n, ok := decimal(text, 1<<(8*size)-1); ok && len(text) <= 12 { // named copies no more digits
		e.number(n, size)
		return
	}
	for _, w := range words {
		if len(w.word) == len(text) && nameKey(w.word) == nameKey(string(text)) {
			e.number(uint64(w.code), size)
			return
		}
	}
	e.fail("neither a number nor a word that named knows here")
}

var (
	algorithms = []mnemonic{
		{"RSAMD5", 1}, {"DH", 2}, {"DSA", 3}, {"RSASHA1", 5}, {"NSEC3DSA", 6},
		{"NSEC3RSASHA1", 7}, {"RSASHA256", 8}, {"RSASHA512", 10}, {"ECCGOST", 12},
		{"ECDSAP256SHA256", 13}, {"ECDSA256", 13}, {"ECDSAP384SHA384", 14}, {"ECDSA384", 14},
		{"ED25519", 15}, {"ED448", 16}, {"INDIRECT", 252}, {"PRIVATEDNS", 253}, {"PRIVATEOID", 254},
	}
	digestTypes = []mnemonic{
		{"SHA-1", 1}, {"SHA1", 1}, {"SHA-256", 2}, {"SHA256", 2}, {"GOST", 3},
		{"SHA-384", 4}, {"SHA384", 4},
	}
	certTypes = []mnemonic{
		{"PKIX", 1}, {"SPKI", 2}, {"PGP", 3}, {"IPKIX", 4}, {"ISPKI", 5}, {"IPGP", 6},
		{"ACPKIX", 7}, {"IACPKIX", 8}, {"URI", 253}, {"OID", 254},
	}
	protocols = []mnemonic{{"NONE", 0}, {"TLS", 1}, {"EMAIL", 2}, {"DNSSEC", 3}, {"IPSEC", 4}, {"ALL", 255}}
	hashes    = []mnemonic{{"SHA-1", 1}}
)

package zone

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The length of a digest or fingerprint, by its type; those not named may have any.
var (
	dsDigests    = map[byte]int{1: 20, 2: 32, 4: 48}
	fingerprints = map[byte]int{1: 20, 2: 32}
	zoneDigests  = map[byte]int{1: 48, 2: 64}
)

func (e *encoder) last() byte { return e.wire[len(e.wire)-1] }

// coded takes a mnemonic or a number.
func (e *encoder) coded(words []mnemonic, size int) (uint64, error) {
	text, err := e.word()
	if err != nil {
		return 0, err
	}
	if len(text) <= 12 {
		if n, ok := decimal(text, 1<<(8*size)-1); ok {
			e.number(n, size)
			return n, nil
		}
	}
	for _, w := range words {
		if strings.EqualFold(w.word, string(text)) {
			e.number(uint64(w.code), size)
			return uint64(w.code), nil
		}
	}
	return 0, e.fail("neither a number nor a word that named knows here")
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
	schemes   = []mnemonic{{"NOTIFY", 1}}
	flagWords = []mnemonic{
		{"NOCONF", 0x4000}, {"NOAUTH", 0x8000}, {"NOKEY", 0xc000}, {"FLAG2", 0x2000},
		{"EXTEND", 0x1000}, {"FLAG4", 0x0800}, {"FLAG5", 0x0400}, {"USER", 0}, {"ZONE", 0x0100},
		{"HOST", 0x0200}, {"NTYP3", 0x0300}, {"FLAG8", 0x0080}, {"FLAG9", 0x0040},
		{"FLAG10", 0x0020}, {"FLAG11", 0x0010}, {"SIG0", 0}, {"SIG1", 1}, {"SIG2", 2},
		{"SIG3", 3}, {"SIG4", 4}, {"SIG5", 5}, {"SIG6", 6}, {"SIG7", 7}, {"SIG8", 8},
		{"SIG9", 9}, {"SIG10", 10}, {"SIG11", 11}, {"SIG12", 12}, {"SIG13", 13},
		{"SIG14", 14}, {"SIG15", 15}, {"KSK", 1},
	}
)

// flags takes the flags of a key: a number, or mnemonics with "|" between, which
// may be cut short (RFC 2535, section 7.1).
func (e *encoder) flags() error {
	text, err := e.word()
	if err != nil {
		return err
	}
	if c := text[0]; c >= '0' && c <= '9' && len(text) <= 12 {
		n, ok := decimal(text, 1<<16-1)
		if !ok {
			n, ok = hexadecimal(strings.TrimPrefix(strings.TrimPrefix(string(text), "0x"), "0X"))
		}
		if ok {
			e.number(n, 2)
			return nil
		}
	}
	var flags uint16
	for word := range strings.SplitSeq(strings.TrimSuffix(string(text), "|"), "|") {
		i := slices.IndexFunc(flagWords, func(w mnemonic) bool {
			return len(word) <= len(w.word) && strings.EqualFold(w.word[:len(word)], word)
		})
		if i < 0 {
			return e.fail("not the flags of a key")
		}
		flags |= flagWords[i].code
	}
	e.number(uint64(flags), 2)
	return nil
}

func hexadecimal(text string) (uint64, bool) {
	var n uint64
	for _, c := range []byte(text) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if c < '0' || d < 0 {
			return 0, false
		}
		if n = n<<4 | uint64(d); n > 1<<16-1 {
			return 0, false
		}
	}
	return n, text != ""
}

// aTypeCode takes a type as a word, and as a number where that is allowed.
func (e *encoder) aTypeCode(numbers bool) (uint16, error) {
	text, err := e.word()
	if err != nil {
		return 0, err
	}
	code, ok := typeCode(text)
	if n, err := strconv.Atoi(string(text)); !ok && numbers && err == nil && n >= 0 && n < 1<<16 {
		return uint16(n), nil
	}
	if !ok {
		return 0, e.fail("not a type")
	}
	return code, nil
}

// bitmap takes types, as NSEC has them (RFC 4034, section 4.1.2).
func (e *encoder) bitmap(least int) error {
	var codes []uint16
	for e.more() {
		code, err := e.aTypeCode(false)
		if err != nil {
			return err
		}
		codes = append(codes, code)
	}
	if len(codes) < least {
		return &dataError{tok: -1, reason: "no types"}
	}
	slices.Sort(codes)
	for len(codes) > 0 {
		var bits [32]byte
		window, last := codes[0]>>8, 0
		for len(codes) > 0 && codes[0]>>8 == window {
			last = int(codes[0] & 0xff)
			bits[last/8] |= 0x80 >> (last % 8)
			codes = codes[1:]
		}
		e.wire = append(append(e.wire, byte(window), byte(last/8+1)), bits[:last/8+1]...)
	}
	return nil
}

// oldBitmap takes types up to 127, as NXT has them (RFC 2535, section 5.2).
func (e *encoder) oldBitmap() error {
	var bits [16]byte
	size := 0
	for e.more() {
		code, err := e.aTypeCode(true)
		if err != nil {
			return err
		}
		if code < 1 || code > 127 {
			return e.fail("not a type from 1 to 127")
		}
		bits[code/8] |= 0x80 >> (code % 8)
		size = max(size, int(code)/8+1)
	}
	e.wire = append(e.wire, bits[:size]...)
	return nil
}

// date takes a time: YYYYMMDDHHmmSS, or seconds since 1970 where that is allowed.
// Years beyond 2106 wrap, as they do in named.
func (e *encoder) date(seconds bool) error {
	text, err := e.word()
	if err != nil {
		return err
	}
	if n, ok := decimal(text, 1<<32-1); ok && seconds && len(text) <= 10 {
		e.number(n, 4)
		return nil
	}
	leap := int64(0)
	if string(text[max(0, len(text)-2):]) == "60" {
		text, leap = append(slices.Clone(text[:len(text)-2]), "59"...), 1
	}
	t, err := time.Parse("20060102150405", string(text))
	if _, ok := decimal(text, 1<<63); err != nil || !ok {
		return e.fail("not a time such as 20260131235959")
	}
	e.number(uint64(uint32(t.Unix()+leap)), 4)
	return nil
}

var base32hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// fromBase32hex decodes a hash as NSEC3 has it: without padding, and with nothing
// in the bits that are left over.
func fromBase32hex(text string) ([]byte, bool) {
	text = strings.ToUpper(text)
	out, err := base32hex.DecodeString(text)
	return out, err == nil && base32hex.EncodeToString(out) == text
}

// hashedOwner takes the hash of a name; SHA-1 has 20 bytes (RFC 5155).
func (e *encoder) hashedOwner(hash byte) error {
	text, err := e.word()
	if err != nil {
		return err
	}
	out, ok := fromBase32hex(string(text))
	if !ok || len(out) > 255 {
		return e.fail("not base32 with the extended alphabet")
	}
	if hash == 1 && len(out) != 20 {
		return e.fail("a SHA-1 hash has 20 bytes")
	}
	e.wire = append(append(e.wire, byte(len(out))), out...)
	return nil
}

func (e *encoder) salt() error {
	text, err := e.word()
	if err != nil {
		return err
	}
	if string(text) == "-" {
		e.wire = append(e.wire, 0)
		return nil
	}
	if len(text) > 2*255 {
		return e.fail("a salt has at most 255 bytes")
	}
	e.wire = append(e.wire, byte(len(text)/2))
	return e.decode(string(text), nil, hexString, "pairs of hexadecimal digits")
}

// groups takes hexadecimal numbers with a separator between.
func (e *encoder) groups(count, digits int, sep string) error {
	text, err := e.word()
	if err != nil {
		return err
	}
	parts := strings.Split(string(text), sep)
	if len(parts) == count+1 && parts[count] == "" && sep == ":" {
		parts = parts[:count] // named takes a locator that ends in ":"
	}
	if len(parts) < count || len(parts) > count && sep == ":" {
		return e.fail(fmt.Sprintf("not %d groups of hexadecimal digits with %q between", count, sep))
	}
	for i, part := range parts[:count] {
		if i == count-1 && sep == "-" { // named stops reading an EUI where its last group ends
			for n := range part {
				if _, ok := hexadecimal(part[:n+1]); !ok || n == digits {
					part = part[:n]
					break
				}
			}
		}
		n, ok := hexadecimal(part)
		if !ok || len(part) > digits {
			return e.fail(fmt.Sprintf("not %d groups of hexadecimal digits with %q between", count, sep))
		}
		e.number(n, digits/2)
	}
	return nil
}

func hexString(text string) ([]byte, error) { return hex.DecodeString(text) }

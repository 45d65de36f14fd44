package zone

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The fields that one type has, or few.

// coveredType takes a type as a word or as a number (RRSIG).
func (e *encoder) coveredType() {
	text := e.word()
	code, ok := typeCode(text)
	if !ok {
		n, err := strconv.ParseUint(strings.TrimPrefix(string(text), "+"), 10, 16)
		if code = uint16(n); err != nil {
			e.fail("not a type")
		}
	}
	e.number(uint64(code), 2)
}

// bitmap takes types by name (RFC 4034, section 4.1.2).
func (e *encoder) bitmap(least int) {
	var codes []uint16
	for e.more() {
		code, ok := typeCode(e.word())
		if !ok {
			e.fail("not a type")
		}
		codes = append(codes, code)
	}
	if len(codes) < least {
		e.anyWord() // there is none
	}
	slices.Sort(codes)
	for len(codes) > 0 {
		var bits [32]byte
		window, size := codes[0]>>8, 0
		for len(codes) > 0 && codes[0]>>8 == window {
			low := int(codes[0] & 0xff)
			bits[low/8] |= 0x80 >> (low % 8)
			size = low/8 + 1
			codes = codes[1:]
		}
		e.put(byte(window), byte(size))
		e.put(bits[:size]...)
	}
}

// signer takes a name with no more labels than the RRSIG says that the owner has.
func (e *encoder) signer() {
	start := len(e.wire)
	e.name(e.word())
	labels := 0
	for at := start; e.err == nil && e.wire[at] != 0; at += 1 + int(e.wire[at]) {
		labels++
	}
	if e.err == nil && labels > int(e.wire[3]) {
		e.fail("has more labels than the owner that is signed")
	}
}

// date takes a time: YYYYMMDDHHmmSS, or seconds since 1970. Years beyond 2106
// wrap, as they do in named.
func (e *encoder) date() {
	text := string(e.word())
	if n, ok := decimal([]byte(text), 1<<32-1); ok && len(text) <= 10 {
		e.number(n, 4)
		return
	}
	leap := int64(0)
	if strings.HasSuffix(text, "60") {
		text, leap = text[:len(text)-2]+"59", 1
	}
	t, err := time.Parse("20060102150405", text)
	if err != nil || len(text) != 14 { // time.Parse would take a fraction
		e.fail("not a time such as 20260131235959")
	}
	e.number(uint64(uint32(t.Unix()+leap)), 4)
}

// keyFlags are a number here. Named also takes words of RFC 2535, cut short and
// with "|" between, and hexadecimal digits.
func (e *encoder) keyFlags() {
	if e.more() && len(bytes.Trim(e.toks[e.next].text, "0123456789")) > 0 {
		e.word()
		e.noVerdict("flags that are not a decimal number")
	}
	e.coded(nil, 2)
}

// digest reads hexadecimal digits of the length that the type before them has.
func digest(least int, sizes map[byte]int) func(*encoder) {
	return func(e *encoder) { e.hex(least, sizes[e.last()]) }
}

var ofZone = digest(1, map[byte]int{1: 48, 2: 64})

func (e *encoder) zoneDigest() {
	if ofZone(e); len(e.wire) < 6+12 {
		e.fail("a digest has at least 12 bytes")
	}
}

func (e *encoder) salt() {
	text := string(e.word())
	if text == "-" {
		text = ""
	} else if text == "" || len(text) > 2*255 {
		e.fail("a salt has 1 to 255 bytes")
	}
	e.put(byte(len(text) / 2))
	e.decodeHex(text)
}

// fromBase32hex decodes a hash as NSEC3 has it: without padding, and with nothing
// in the bits that are left over.
func fromBase32hex(text string) ([]byte, bool) {
	encoding := base32.HexEncoding.WithPadding(base32.NoPadding)
	text = strings.ToUpper(text)
	out, err := encoding.DecodeString(text)
	return out, err == nil && encoding.EncodeToString(out) == text
}

// hashedOwner takes the hash of a name; SHA-1 has 20 bytes (RFC 5155).
func (e *encoder) hashedOwner() {
	hash, ok := fromBase32hex(string(e.word()))
	if !ok {
		e.fail("not base32 with the extended alphabet")
	}
	if e.err == nil && e.wire[0] == 1 && len(hash) != 20 {
		e.fail("a SHA-1 hash has 20 bytes")
	}
	e.counted(hash)
}

// What an EUI and a locator begin with. Named stops reading an EUI where its last
// group is full, and does not mind a ":" behind a locator.
var (
	eui48   = regexp.MustCompile(`^(?:[0-9A-Fa-f]{1,2}-){5}[0-9A-Fa-f]{1,2}`)
	eui64   = regexp.MustCompile(`^(?:[0-9A-Fa-f]{1,2}-){7}[0-9A-Fa-f]{1,2}`)
	locator = regexp.MustCompile(`^(?:[0-9A-Fa-f]{1,4}:){3}[0-9A-Fa-f]{1,4}(?::?$)`)
)

// groups takes hexadecimal numbers with a separator between.
func (e *encoder) groups(form *regexp.Regexp, sep string) {
	text := form.FindString(string(e.word()))
	if text == "" {
		e.fail("not groups of hexadecimal digits with %q between", sep)
		return
	}
	size := 1
	if sep == ":" {
		size = 2
	}
	for group := range strings.SplitSeq(strings.TrimSuffix(text, ":"), sep) {
		n, _ := strconv.ParseUint(group, 16, 16)
		e.number(n, size)
	}
}

var aPrefix = regexp.MustCompile(`^(!?)\+?0*([12]):(.+)/([0-9]+)$`)

// apl takes address prefixes (RFC 3123, section 5).
func (e *encoder) apl() {
	for e.more() {
		m := aPrefix.FindStringSubmatch(string(e.word()))
		if m == nil {
			e.fail("not a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32")
			return
		}
		family, size := byte(1), 4
		if m[2] == "2" {
			family, size = 2, 16
		}
		bits, ok := decimal([]byte(m[4]), uint64(8*size))
		if !ok {
			e.fail("more than %d bits", 8*size)
		}
		start := len(e.wire)
		e.put(0, family, byte(bits), 0)
		e.address(m[3], size)
		for len(e.wire) > start+4 && e.last() == 0 {
			e.wire = e.wire[:len(e.wire)-1]
		}
		e.wire[start+3] = byte(len(e.wire) - start - 4)
		if m[1] != "" {
			e.wire[start+3] |= 0x80
		}
	}
}

// hip takes an algorithm, a tag, a key and servers (RFC 8005, section 6).
func (e *encoder) hip() {
	e.put(0) // the length of the tag
	e.uint(1)
	e.put(0, 0) // the length of the key
	e.decodeHex(string(e.word()))
	tag := len(e.wire) - 4
	e.decodeBase64(string(e.word()))
	key := len(e.wire) - 4 - tag
	if tag > 255 || key > 1<<16-1 {
		e.fail("too long")
	}
	if e.err == nil {
		e.wire[0] = byte(tag)
		binary.BigEndian.PutUint16(e.wire[2:], uint16(key))
	}
	for e.more() {
		e.name(e.word())
	}
}

// The expressions of a NAPTR (RFC 3402, section 3.2) that are known to be right.
// Named gives the pattern to the C library of its machine, after checks of its own.
var (
	aSubstitution = regexp.MustCompile(`^!\^?((?:` + anAtom + `|\((?:` + anAtom + `)+\)[*+?]?)+)\$?!((?:[^!\\\x00]|\\[^0-9\x00])*(?:\\[1-9][^!\\\x00]*)*)!i?$`)
	backReference = regexp.MustCompile(`\\[1-9]`)
)

const anAtom = `(?:[-A-Za-z0-9 @:;,/_.]|\\[^A-Za-z0-9\x00])[*+?]?`

func (e *encoder) substitution() {
	start := len(e.wire)
	e.str()
	if e.err != nil || len(e.wire) == start+1 {
		return // none
	}
	m := aSubstitution.FindStringSubmatch(string(e.wire[start+1:]))
	if m == nil {
		e.noVerdict("a regular expression that is not of the common form")
		return
	}
	groups := strings.Count(m[1], "(") - strings.Count(m[1], `\(`)
	for _, ref := range backReference.FindAllString(m[2], -1) {
		if int(ref[1]-'0') > groups {
			e.noVerdict("a reference to a group that is not there")
		}
	}
}

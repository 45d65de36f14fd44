package zone

import (
	"bytes"
	"encoding/binary"

	"github.com/miekg/dns"
)

// A decoder goes through data in wire form, as named does with what is written as
// "\# n hex" for a type that it knows.
type decoder struct {
	wire  []byte
	at    int
	names [][2]int // where names begin and end
}

// validWire reports whether data in wire form is such as the type has, and where
// its names are.
func validWire(typ uint16, wire []byte) (names [][2]int, ok bool) {
	fields, known := layouts[typ]
	if !known || typ == 65533 {
		return nil, true
	}
	if typ == dns.TypeLOC && len(wire) > 0 && wire[0] != 0 {
		return nil, true // a version that nobody knows
	}
	d := &decoder{wire: wire}
	for _, f := range fields {
		if !d.field(f) {
			return nil, false
		}
	}
	return d.names, d.at == len(wire)
}

func (d *decoder) left() []byte { return d.wire[d.at:] }

func (d *decoder) skip(n int) bool {
	if n < 0 || n > len(d.wire)-d.at {
		return false
	}
	d.at += n
	return true
}

// rest skips what is left, if it is at least so much.
func (d *decoder) rest(least int) bool { return len(d.left()) >= least && d.skip(len(d.left())) }

func (d *decoder) name() bool {
	start := d.at
	for {
		if d.at == len(d.wire) || d.wire[d.at] > 63 || d.at-start > 254 {
			return false // a pointer has no place in a file
		}
		n := int(d.wire[d.at])
		if !d.skip(n + 1) {
			return false
		}
		if n == 0 {
			d.names = append(d.names, [2]int{start, d.at})
			return d.at-start <= 255
		}
	}
}

// counted skips bytes whose number stands before them.
func (d *decoder) counted() ([]byte, bool) {
	if len(d.left()) == 0 {
		return nil, false
	}
	start := d.at + 1
	ok := d.skip(1 + int(d.wire[d.at]))
	if !ok {
		return nil, false
	}
	return d.wire[start:d.at], true
}

// digest wants the rest to have the size that its type, the byte before, asks for.
func (d *decoder) digest(sizes map[byte]int, least int) bool {
	if size := sizes[d.wire[d.at-1]]; size > 0 {
		return len(d.left()) == size && d.rest(0)
	}
	return d.rest(least)
}

func (d *decoder) field(f field) bool {
	switch f {
	case aName, aHost, aMailbox, aTarget:
		return d.name()
	case aSigner:
		start := d.at
		return d.name() && countLabels(d.wire[start:d.at]) <= d.wire[3]
	case aUint8, anAlgorithm, aDigestType, aHash, aScheme, aProtocol:
		return d.skip(1)
	case aUint16, aType, aCertType, keyFlags:
		return d.skip(2)
	case aUint32, aCounter, aSignTime, aDate, anIPv4:
		return d.skip(4)
	case anIPv6:
		return d.skip(16)
	case aLocator, anEUI64:
		return d.skip(8)
	case anEUI48:
		return d.skip(6)
	case aString:
		_, ok := d.counted()
		return ok
	case strings1:
		for first := true; first || len(d.left()) > 0; first = false {
			if _, ok := d.counted(); !ok {
				return false
			}
		}
	case oneOrTwo:
		_, ok := d.counted()
		if ok && len(d.left()) > 0 {
			_, ok = d.counted()
		}
		return ok
	case hexBytes, base64Bytes:
		return d.rest(1)
	case maybeBase64, quotedText, anyText, doaData:
		return d.rest(0)
	case zeroFlags:
		return d.skip(2) && d.wire[0] == 0 && d.wire[1] == 0
	case aKey, maybeKey:
		if f == maybeKey && d.wire[d.at-4]&0xc0 == 0xc0 {
			return true
		}
		if d.wire[d.at-1] == 253 && !(&decoder{wire: d.left()}).name() {
			return false // PRIVATEDNS: the key begins with a name (RFC 4034, appendix A.1.1)
		}
		return d.rest(1)
	case aDigest:
		return d.digest(dsDigests, 1)
	case aFingerprint:
		return d.digest(fingerprints, 0)
	case aZoneDigest:
		return d.digest(zoneDigests, 12)
	case aTag:
		tag, ok := d.counted()
		return ok && isTag(tag)
	case types0, types1:
		return d.bitmap(f == types1)
	case oldTypes:
		bits := d.left()
		// Bit 0 would say that another form follows (RFC 2535, section 5.2).
		if n := len(bits); n > 0 && (bits[0]&0x80 != 0 || bits[n-1] == 0 || n > 16) {
			return false
		}
		return d.rest(0)
	case aSalt:
		_, ok := d.counted()
		return ok
	case aHashedOwner:
		hash, ok := d.counted()
		return ok && len(hash) > 0 && (d.wire[0] != 1 || len(hash) == 20)
	case aPSDN:
		digits, ok := d.counted()
		return ok && isPSDN(digits)
	case anNSAP:
		return d.rest(1)
	case anATMA:
		addr := d.left()
		return len(addr) > 1 && (addr[0] != 1 || len(bytes.Trim(addr[1:], "0123456789")) == 0) && d.rest(0)
	case aRegexp:
		expr, ok := d.counted()
		return ok && validSubstitution(expr)
	default:
		return d.whole(f)
	}
	return true
}

// whole goes through data whose form depends on itself.
func (d *decoder) whole(f field) bool {
	w := d.wire
	switch f {
	case allOfA6:
		if len(w) == 0 || w[0] > 128 {
			return false
		}
		bits := int(w[0])
		if size := 16 - bits/8; !d.skip(1+size) || size > 0 && w[1]&^(0xff>>(bits%8)) != 0 {
			return false
		}
		return bits == 0 || d.name()
	case allOfAMTRELAY:
		if !d.skip(2) {
			return false
		}
		if kind := w[1] & 0x7f; kind <= 3 {
			return d.gateway(kind)
		}
		return d.rest(0)
	case allOfIPSECKEY:
		return d.skip(3) && d.gateway(w[1]) && d.rest(1)
	case allOfAPL:
		for len(d.left()) > 0 {
			p := d.left()
			if !d.skip(4) {
				return false
			}
			family, size := binary.BigEndian.Uint16(p), int(p[3]&0x7f)
			if !d.skip(size) || size > 0 && p[3+size] == 0 ||
				family == 1 && (p[2] > 32 || size > 4) || family == 2 && (p[2] > 128 || size > 16) {
				return false
			}
		}
	case allOfHIP:
		if len(w) < 4 || w[0] == 0 || binary.BigEndian.Uint16(w[2:]) == 0 || !d.skip(4+int(w[0])+int(binary.BigEndian.Uint16(w[2:]))) {
			return false
		}
		for len(d.left()) > 0 {
			if !d.name() {
				return false
			}
		}
	case allOfLOC:
		if !d.skip(16) {
			return false
		}
		for _, size := range w[1:4] {
			if size != 0 && (size&15 > 9 || size>>4 > 9 || size>>4 == 0) {
				return false
			}
		}
		for i, limit := range []int64{90, 180} {
			if angle := int64(binary.BigEndian.Uint32(w[4+4*i:])) - 1<<31; max(angle, -angle) > limit*3600000 {
				return false
			}
		}
	case allOfWKS:
		n := len(w)
		return n >= 5 && n <= 5+1<<13 && (n == 5 || w[n-1] != 0) && d.rest(0)
	case serviceParams:
		last, keys, mandatory := -1, map[uint16]bool{}, []byte(nil)
		for len(d.left()) > 0 {
			p := d.left()
			if !d.skip(4) || !d.skip(int(binary.BigEndian.Uint16(p[2:]))) {
				return false
			}
			key, value := binary.BigEndian.Uint16(p), p[4:4+int(binary.BigEndian.Uint16(p[2:]))]
			if int(key) <= last || !validParam(key, value) {
				return false
			}
			last, keys[key] = int(key), true
			if key == keyMandatory {
				mandatory = value
			}
		}
		return missingParam(keys, mandatory) == ""
	}
	return true
}

func (d *decoder) gateway(kind byte) bool {
	switch kind {
	case 0:
		return true
	case 1:
		return d.skip(4)
	case 2:
		return d.skip(16)
	case 3:
		return d.name()
	}
	return false
}

func (d *decoder) bitmap(needed bool) bool {
	last := -1
	for len(d.left()) > 0 {
		b := d.left()
		if len(b) < 3 || int(b[0]) <= last || b[1] == 0 || b[1] > 32 || !d.skip(2+int(b[1])) || b[1+int(b[1])] == 0 {
			return false
		}
		last = int(b[0])
	}
	return last >= 0 || !needed
}

func isTag(text []byte) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return len(text) > 0 && len(text) <= 255
}

func isPSDN(text []byte) bool {
	return len(text) >= 4 && len(bytes.Trim(text, "0123456789")) == 0
}

// countLabels counts the labels of a name in wire form, without the root.
func countLabels(name []byte) (n byte) {
	for ; name[0] != 0; name = name[1+int(name[0]):] {
		n++
	}
	return n
}

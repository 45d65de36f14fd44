package zone

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// holdsAddress reports whether data of class IN holds one of the addresses: as an
// address, in a prefix that contains it (APL, SPF's ip4 and ip6), or as a word of
// any text, in any spelling. The addresses must be unmapped and without zone.
func holdsAddress(typ uint16, toks []token, addrs []netip.Addr) bool {
	switch typ {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeMX, dns.TypeSOA, dns.TypeSRV, dns.TypeDNAME:
		return false // most of what a zone has beside addresses, and names alone
	case dns.TypeA, dns.TypeAAAA:
		if len(toks) == 1 {
			addr, err := netip.ParseAddr(string(toks[0].text))
			return err == nil && slices.Contains(addrs, addr.Unmap())
		}
	}
	wire, err := encodeData(dns.ClassINET, typ, toks, ".")
	if err != nil {
		for _, tok := range toks {
			if textHolds(tok.text, addrs) {
				return true
			}
		}
		return false
	}
	return wireHolds(typ, wire, addrs)
}

// wireHolds goes through valid data in wire form.
func wireHolds(typ uint16, wire []byte, addrs []netip.Addr) bool {
	is := func(b []byte) bool {
		addr, ok := netip.AddrFromSlice(b)
		return ok && slices.Contains(addrs, addr.Unmap())
	}
	gateway := func(kind byte, b []byte) bool {
		return kind == 1 && is(b[:4]) || kind == 2 && is(b[:16])
	}
	switch typ {
	case dns.TypeA, dns.TypeAAAA:
		return is(wire)
	case 11: // WKS
		return is(wire[:4])
	case 38: // A6 with the whole address
		return wire[0] == 0 && is(wire[1:])
	case dns.TypeIPSECKEY:
		return gateway(wire[1], wire[3:])
	case dns.TypeAMTRELAY:
		return gateway(wire[1]&0x7f, wire[2:])
	case dns.TypeAPL:
		for len(wire) > 0 {
			size := int(wire[3] & 0x7f)
			full := make([]byte, map[uint16]int{1: 4, 2: 16}[binary.BigEndian.Uint16(wire)])
			copy(full, wire[4:4+size])
			if addr, ok := netip.AddrFromSlice(full); ok && contains(netip.PrefixFrom(addr, int(wire[2])), addrs) {
				return true
			}
			wire = wire[4+size:]
		}
		return false
	case dns.TypeSVCB, dns.TypeHTTPS:
		d := &decoder{wire: wire, at: 2}
		d.name()
		for p := d.left(); len(p) > 0; {
			key, value := binary.BigEndian.Uint16(p), p[4:4+int(binary.BigEndian.Uint16(p[2:]))]
			p = p[4+len(value):]
			size := map[uint16]int{keyIPv4Hint: 4, keyIPv6Hint: 16}[key]
			if size == 0 && textHolds(value, addrs) {
				return true
			}
			for ; size > 0 && len(value) > 0; value = value[size:] {
				if is(value[:size]) {
					return true
				}
			}
		}
		return false
	}
	if fields := layouts[typ]; len(fields) == 1 && fields[0] == strings1 {
		// SPF joins the strings without a blank (RFC 7208, section 3.3).
		var text []byte
		for len(wire) > 0 {
			text = append(text, wire[1:1+int(wire[0])]...)
			wire = wire[1+int(wire[0]):]
		}
		wire = text
	}
	return textHolds(wire, addrs)
}

func contains(prefix netip.Prefix, addrs []netip.Addr) bool {
	return slices.ContainsFunc(addrs, prefix.Contains)
}

// textHolds looks for an address as a word, also in a URL or before a port.
func textHolds(text []byte, addrs []netip.Addr) bool {
	for word := range bytes.FieldsFuncSeq(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') && r != '.' && r != ':' && r != '/'
	}) {
		if !bytes.ContainsAny(word, ".:") {
			continue
		}
		if wordHolds(string(word), addrs) {
			return true
		}
	}
	return false
}

func wordHolds(word string, addrs []netip.Addr) bool {
	if len(word) > 4 && (strings.EqualFold(word[:4], "ip4:") || strings.EqualFold(word[:4], "ip6:")) {
		word = word[4:]
	}
	if prefix, err := netip.ParsePrefix(word); err == nil {
		return contains(prefix, addrs)
	}
	for part := range strings.SplitSeq(word, "/") {
		part = strings.Trim(part, ".")
		if addr, err := netip.ParseAddr(part); err == nil {
			if slices.Contains(addrs, addr.Unmap()) {
				return true
			}
			continue
		}
		for piece := range strings.SplitSeq(part, ":") { // such as a port, or a label before it
			if addr, err := netip.ParseAddr(piece); err == nil && slices.Contains(addrs, addr) {
				return true
			}
		}
	}
	return false
}

// References returns the records that still hold one of the addresses: as an
// address, in a prefix that contains it, or anywhere in a text, as in SPF's
// "ip4:192.0.2.1". It is what must be looked at before an address is given up.
func (f *File) References(addrs ...netip.Addr) []Record {
	plain := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		plain[i] = a.Unmap().WithZone("")
	}
	return slices.Collect(f.served(func(m *member) bool { return holdsAddress(m.typ, m.data, plain) }))
}

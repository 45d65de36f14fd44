package zone

import (
	"bytes"
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
	// Of data that cannot be encoded there are still the words.
	wire, err := encodeData(typ, toks, ".")
	switch fields := layouts[typ]; {
	case typ == dns.TypeAPL && err == nil:
		return slices.ContainsFunc(addressPrefixes(wire), func(p netip.Prefix) bool { return contains(p, addrs) })
	case err == nil && len(fields) == 1 && fields[0].kind == textKind:
		// SPF joins the strings without a blank (RFC 7208, section 3.3).
		var text []byte
		for len(wire) > 0 {
			text = append(text, wire[1:1+int(wire[0])]...)
			wire = wire[1+int(wire[0]):]
		}
		return textHolds(text, addrs)
	}
	for _, addr := range addrs {
		if bytes.Contains(wire, addr.AsSlice()) {
			return true
		}
	}
	for _, tok := range toks {
		text, ok := unescape(tok.text)
		if ok && textHolds(text, addrs) {
			return true
		}
	}
	return isGeneric(typ, toks) && textHolds(wire, addrs)
}

// addressPrefixes are those of an APL in valid wire form (RFC 3123, section 4).
func addressPrefixes(wire []byte) []netip.Prefix {
	var all []netip.Prefix
	for len(wire) > 0 {
		size := int(wire[3] & 0x7f)
		full := make([]byte, map[byte]int{1: 4, 2: 16}[wire[1]])
		copy(full, wire[4:4+size])
		if addr, ok := netip.AddrFromSlice(full); ok {
			all = append(all, netip.PrefixFrom(addr, int(wire[2])))
		}
		wire = wire[4+size:]
	}
	return all
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

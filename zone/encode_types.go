package zone

import (
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// nsap takes "0x" and pairs of digits, with dots anywhere (RFC 1706).
func (e *encoder) nsap() error {
	text, err := e.word()
	if err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(strings.ToLower(string(text)), "0x")
	if !ok || strings.Trim(rest, ".") == "" {
		return e.fail("not 0x and pairs of hexadecimal digits")
	}
	return e.decode(strings.ReplaceAll(rest, ".", ""), nil, hexString, "0x and pairs of hexadecimal digits")
}

// atma takes "+" and digits, or pairs of hexadecimal digits, with single dots
// between.
func (e *encoder) atma() error {
	text, err := e.word()
	if err != nil {
		return err
	}
	digits, isNumber := strings.CutPrefix(string(text), "+")
	if digits == "" || strings.Contains("."+digits+".", "..") {
		return e.fail("not an ATM address")
	}
	digits = strings.ReplaceAll(digits, ".", "")
	if isNumber {
		e.wire = append(e.wire, 1)
		if strings.Trim(digits, "0123456789") != "" {
			return e.fail("not + and digits")
		}
		e.wire = append(e.wire, digits...)
		return nil
	}
	e.wire = append(e.wire, 0)
	return e.decode(digits, nil, hexString, "pairs of hexadecimal digits")
}

// a6 takes the length of the prefix, the rest of the address and the name that has
// the prefix (RFC 2874).
func (e *encoder) a6() error {
	bits, err := e.uint(1)
	if err != nil {
		return err
	}
	if bits > 128 {
		return e.fail("not a number from 0 to 128")
	}
	if bits < 128 {
		if err := e.address(false); err != nil {
			return err
		}
		suffix := e.wire[1+bits/8:]
		suffix[0] &= 0xff >> (bits % 8)
		e.wire = append(e.wire[:1], suffix...)
	}
	if bits == 0 {
		return nil
	}
	return e.name(e.word)
}

func (e *encoder) amtrelay() error {
	if _, err := e.uint(1); err != nil {
		return err
	}
	discovery, err := e.uint(1)
	if err != nil {
		return err
	}
	if discovery > 1 {
		return e.fail("not 0 or 1")
	}
	kind, err := e.uint(1)
	if err != nil {
		return err
	}
	e.wire = append(e.wire[:1], byte(discovery<<7|kind))
	return e.gateway(kind)
}

// ipseckey: RFC 4025, section 3.
func (e *encoder) ipseckey() error {
	if _, err := e.uint(1); err != nil {
		return err
	}
	kind, err := e.uint(1)
	if err != nil {
		return err
	}
	if kind > 3 {
		return e.fail("not a number from 0 to 3")
	}
	if _, err := e.uint(1); err != nil {
		return err
	}
	if err := e.gateway(kind); err != nil {
		return err
	}
	return e.base64(1)
}

func (e *encoder) gateway(kind uint64) error {
	switch kind {
	case 0:
		text, err := e.word()
		if err == nil && string(text) != "." {
			return e.fail(`not ".", which stands for none`)
		}
		return err
	case 1, 2:
		return e.address(kind == 1)
	case 3:
		return e.name(e.word)
	}
	return e.fail("not a number from 0 to 3")
}

// hip: RFC 8005, section 6.
func (e *encoder) hip() error {
	e.wire = append(e.wire, 0)
	if _, err := e.uint(1); err != nil {
		return err
	}
	e.wire = append(e.wire, 0, 0)
	tag, err := e.word()
	if err := e.decode(string(tag), err, hexString, "pairs of hexadecimal digits"); err != nil {
		return err
	}
	tagLen := len(e.wire) - 4
	key, err := e.word()
	if err := e.decode(string(key), err, base64.StdEncoding.Strict().DecodeString, "base64"); err != nil {
		return err
	}
	keyLen := len(e.wire) - 4 - tagLen
	if tagLen > 255 || keyLen > 1<<16-1 {
		return e.fail("too long")
	}
	e.wire[0], e.wire[2], e.wire[3] = byte(tagLen), byte(keyLen>>8), byte(keyLen)
	for e.more() {
		if err := e.name(e.word); err != nil {
			return err
		}
	}
	return nil
}

// apl: RFC 3123, section 5.
func (e *encoder) apl() error {
	for e.more() {
		text, err := e.word()
		if err != nil {
			return err
		}
		rest, negated := strings.CutPrefix(string(text), "!")
		family, rest, ok := strings.Cut(strings.TrimPrefix(rest, "+"), ":")
		addr, bits, ok2 := strings.Cut(rest, "/")
		kind, ok3 := decimal([]byte(family), 2)
		n, ok4 := decimal([]byte(bits), 255)
		if !ok || !ok2 || !ok3 || !ok4 || kind == 0 || kind == 1 && n > 32 || n > 128 {
			return e.fail("not a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32")
		}
		start := len(e.wire)
		e.wire = append(e.wire, 0, byte(kind), byte(n), 0)
		if err := e.appendAddress(addr, kind == 1); err != nil {
			return err
		}
		for len(e.wire) > start+4 && e.last() == 0 {
			e.wire = e.wire[:len(e.wire)-1]
		}
		e.wire[start+3] = byte(len(e.wire) - start - 4)
		if negated {
			e.wire[start+3] |= 0x80
		}
	}
	return nil
}

// wks takes an address, a protocol and services. Their names are those of the
// machine on which named runs.
func (e *encoder) wks() error {
	if err := e.address(true); err != nil {
		return err
	}
	text, err := e.word()
	if err != nil {
		return err
	}
	proto, known := map[string]int{"icmp": 1, "ICMP": 1, "tcp": 6, "TCP": 6, "udp": 17, "UDP": 17}[string(text)]
	if !known {
		if proto, err = strconv.Atoi(string(text)); err != nil {
			return e.unvalidated("a protocol by name")
		}
	}
	if proto < 0 || proto > 255 {
		return e.fail("not a number from 0 to 255")
	}
	e.wire = append(e.wire, byte(proto))
	var ports [1 << 13]byte
	size := 0
	for e.more() {
		text, err := e.word()
		if err != nil {
			return err
		}
		port, err := strconv.Atoi(string(text))
		if err != nil {
			network := map[int]string{6: "tcp", 17: "udp"}[proto]
			if port, err = net.LookupPort(network, strings.ToLower(string(text))); err != nil || text[0] == '+' {
				return e.unvalidated("a service by name")
			}
		}
		if port < 0 || port > 1<<16-1 {
			return e.fail("not a number from 0 to 65535")
		}
		ports[port/8] |= 0x80 >> (port % 8)
		size = max(size, port/8+1)
	}
	e.wire = append(e.wire, ports[:size]...)
	return nil
}

func (e *encoder) unvalidated(what string) error {
	return &dataError{tok: e.next - 1, err: errUnvalidated,
		reason: fmt.Sprintf("%q: %s, which only the server's own tables can tell", e.toks[e.next-1].text, what)}
}

package wgpeer

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// space is what wg takes for white space.
const space = " \t\n\v\f\r"

func isSpace(r rune) bool { return strings.ContainsRune(space, r) }

// squeeze drops all white space, as wg does before it reads a line.
func squeeze(text string) string { return strings.Join(strings.FieldsFunc(text, isSpace), "") }

// readPort reads a port as getaddrinfo(3) of glibc does. It is not exact if the
// number is too large for a port and loses its upper bits.
func readPort(text string) (port uint16, exact bool, err error) {
	if n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64); err == nil && int32(n) >= 0 {
		return uint16(n), n <= 65535, nil
	}
	// Names are looked up as they are written; Go ignores their case.
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
		if n, err := net.DefaultResolver.LookupPort(context.Background(), "udp", text); err == nil {
			return uint16(n), true, nil
		}
	}
	return 0, false, fmt.Errorf("%q is neither a port nor the name of a UDP service here", text)
}

// readFwMark reads a mark: decimal, 0x and hexadecimal, or off.
func readFwMark(text string) (int, error) {
	if fold(text) == "off" {
		return 0, nil
	}
	digits, base := text, 10
	if len(text) > 2 && text[:2] == "0x" {
		digits, base = text[2:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is neither off nor a mark of 32 bits", text)
	}
	return int(n), nil
}

// readKeepalive reads seconds, or off.
func readKeepalive(text string) (time.Duration, error) {
	if fold(text) == "off" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is neither off nor a number of seconds up to 65535", text)
	}
	return time.Duration(n) * time.Second, nil
}

// readAllowedIP reads an address with or without a length. Host bits are still set.
func readAllowedIP(text string) (netip.Prefix, error) {
	host, bits, found := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address", host)
	}
	if !found {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	n, err := strconv.ParseUint(bits, 10, 64)
	if err != nil || n > uint64(addr.BitLen()) {
		return netip.Prefix{}, fmt.Errorf("%q is no length of a prefix of %s", bits, addr)
	}
	return netip.PrefixFrom(addr, int(n)), nil
}

// readAddress reads a word of wg-quick's Address, which ip(8) is given.
func readAddress(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no address with the length of its network's prefix", text)
	}
	return p, nil
}

// An endpoint as it was read.
type endpoint struct {
	text  string // host and port as net.JoinHostPort writes them
	bare  bool   // an IPv6 address without brackets
	port  uint16
	exact bool // as readPort says
}

// readEndpoint reads an endpoint. It refuses, unlike wg, what getaddrinfo(3) takes
// for an address and most others for a name or another address: 192.0.2.010 or 1.
func readEndpoint(text string) (e endpoint, err error) {
	var host, port string
	if rest, ok := strings.CutPrefix(text, "["); ok {
		if host, rest, ok = strings.Cut(rest, "]"); !ok {
			return e, fmt.Errorf("%q has no ] behind the address", text)
		}
		if port, ok = strings.CutPrefix(rest, ":"); !ok {
			port = ""
		}
	} else if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, port = text[:i], text[i+1:]
		e.bare = strings.Contains(host, ":")
	}
	if port == "" {
		return e, fmt.Errorf("%q has no port", text)
	}
	if e.port, e.exact, err = readPort(port); err != nil {
		return e, err
	}
	if host, err = readHost(host); err != nil {
		return e, err
	}
	e.text = net.JoinHostPort(host, strconv.Itoa(int(e.port)))
	return e, nil
}

// readHost returns an address in its usual form, and a name as it is.
func readHost(host string) (string, error) {
	if addr, err := netip.ParseAddr(host); err == nil && (addr.Zone() == "" || ifaceName.MatchString(addr.Zone())) {
		return addr.String(), nil
	}
	if !hostName.MatchString(host) {
		return "", fmt.Errorf("%q is neither an address nor a name", host)
	}
	return host, nil
}

// readMTU reads wg-quick's MTU: empty is the default.
func readMTU(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 || strings.HasPrefix(text, "0") { // ip(8) reads that as octal
		return 0, fmt.Errorf("%q is no number of bytes", text)
	}
	return int(n), nil
}

// fold is the text in small letters, ASCII alone: wg knows no other.
func fold(text string) string {
	out := []byte(text)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

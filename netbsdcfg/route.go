package netbsdcfg

import (
	"net/netip"
	"path"
	"strings"
)

// A route is what one "route add" command makes, see route(8).
type route struct {
	dst netip.Prefix // masked; 0 bits is the default route
	via netip.Addr
}

// argv returns the command for the route.
func (r route) argv() []string {
	argv := []string{"route", "add"}
	if !r.dst.Addr().Is4() {
		argv = append(argv, "-inet6")
	}
	switch {
	case r.dst.Bits() == 0:
		argv = append(argv, "default")
	case r.dst.IsSingleIP():
		argv = append(argv, "-host", r.dst.Addr().String())
	default:
		argv = append(argv, "-net", r.dst.String())
	}
	return append(argv, r.via.String())
}

// parseRoute reads a "route add" command with numeric addresses.
func parseRoute(argv []string) (route, bool) {
	if len(argv) == 0 || path.Base(argv[0]) != "route" {
		return route{}, false
	}
	words := argv[1:]
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		words = words[1:] // such as -n and -q
	}
	if len(words) == 0 || words[0] != "add" {
		return route{}, false
	}
	words = words[1:]
	var ends []string // destination and gateway
	six, net, host, length := false, false, false, -1
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch word := words[i]; {
		case word == "-inet6":
			six = true
		case word == "-net":
			net = true
		case word == "-host":
			host = true
		case word == "-netmask" || word == "-prefixlen":
			n, ok := lengthOf(word, next)
			if !ok {
				return route{}, false
			}
			length, i = n, i+1
		case word == "-ifp" || word == "-ifa" || word == "-mtu" || word == "-tag":
			i++
		case strings.HasPrefix(word, "-"):
		default:
			ends = append(ends, word)
		}
	}
	if len(ends) != 2 {
		return route{}, false
	}
	via, err := netip.ParseAddr(ends[1])
	if err != nil {
		return route{}, false
	}
	if ends[0] == "default" {
		dst := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if six {
			dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return route{dst, via}, via.Is4() != six
	}
	var addr netip.Addr
	if !isAddr(ends[0], &addr, &length) {
		return route{}, false
	}
	if length < 0 {
		length = routeLength(addr, net, host)
	}
	dst := netip.PrefixFrom(addr.WithZone(""), length).Masked()
	return route{dst, via}, dst.IsValid() && via.Is4() == addr.Is4()
}

// routeLength is what route(8) assumes without a length: an address is a host
// unless its class has no host part in it, and a network is as long as its last
// byte that is not 0.
func routeLength(a netip.Addr, net, host bool) int {
	switch {
	case host:
		return a.BitLen()
	case a.IsUnspecified():
		return 0
	case !a.Is4() && net:
		return 64
	case !a.Is4() || !net && netip.PrefixFrom(a, defaultLength(a)).Masked().Addr() != a:
		return a.BitLen()
	}
	length := 32
	for b := a.As4(); b[length/8-1] == 0; length -= 8 {
	}
	return length
}

// validRoute refuses what route(8) would.
func validRoute(dst netip.Prefix, via netip.Addr) error {
	switch {
	case !dst.IsValid() || dst.Addr().Is4In6():
		return refusal("route", dst.String(), "is no destination")
	case dst != dst.Masked():
		return refusal("route", dst.String(), "has bits set beyond its prefix length; the network is "+dst.Masked().String())
	case !via.IsValid() || via.Is4In6() || via.IsUnspecified() || via.IsMulticast():
		return refusal("gateway", via.String(), "is not the address of a gateway")
	case via.Is4() != dst.Addr().Is4():
		return refusal("gateway", via.String(), "is not of the family of "+dst.String())
	case via.Is6() && via.IsLinkLocalUnicast() && via.Zone() == "":
		return refusal("gateway", via.String(), "is link-local, and needs its interface, as in fe80::1%vioif0")
	}
	return nil
}

package netbsdcfg

import (
	"math/bits"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Addrs returns the addresses that the file's ifconfig commands leave on the
// interface, in the order in which it gets them. An IPv4 address without the
// word alias replaces the first one, as ifconfig(8) does; one without a netmask
// has that of its class, an IPv6 address without prefixlen has 64. Host names,
// netmasks with holes, and what a Shell command may set are not in it.
func (f *Ifconfig) Addrs() []netip.Prefix {
	iface := f.iface()
	var addrs []netip.Prefix
	for _, cmd := range f.Commands(iface) {
		if a, ok := parseAddr(cmd.Argv, iface); ok {
			addrs, _ = a.apply(addrs)
		}
	}
	return addrs
}

// An address is what one ifconfig command does with one.
type address struct {
	prefix      netip.Prefix
	alias       bool // it does not replace the first address
	remove      bool
	defaultMask bool // the length is what ifconfig or the kernel assume
	more        bool // the command does other things as well
}

// apply does to addrs what the command does to the interface, and returns the
// address that got lost by it, if any.
func (a address) apply(addrs []netip.Prefix) (after []netip.Prefix, lost netip.Prefix) {
	same := func(p netip.Prefix) bool { return p.Addr() == a.prefix.Addr() }
	if a.remove {
		return slices.DeleteFunc(addrs, same), lost
	}
	// SIOCGIFADDR gives the first address, and ifconfig deletes that one.
	if !a.alias && a.prefix.Addr().Is4() {
		i := slices.IndexFunc(addrs, func(p netip.Prefix) bool { return p.Addr().Is4() })
		if i >= 0 {
			if !same(addrs[i]) {
				lost = addrs[i]
			}
			addrs = slices.Delete(addrs, i, i+1)
		}
	}
	if i := slices.IndexFunc(addrs, same); i >= 0 {
		addrs[i] = a.prefix // the mask is set anew
		return addrs, lost
	}
	return append(addrs, a.prefix), lost
}

// ifconfigArgs says how many words follow a parameter of ifconfig(8), for those
// that take any. Without it, the address of a tunnel's end or a network's name
// could be taken for the interface's address.
var ifconfigArgs = map[string]int{
	"advbase": 1, "advskew": 1, "agrport": 1, "-agrport": 1, "broadcast": 1, "bssid": 1,
	"carpdev": 1, "chan": 1, "description": 1, "descr": 1, "frag": 1, "instance": 1,
	"linkstr": 1, "maxupd": 1, "media": 1, "mediaopt": 1, "-mediaopt": 1, "metric": 1,
	"mode": 1, "mtu": 1, "nwid": 1, "nwkey": 1, "pass": 1, "pltime": 1,
	"powersavesleep": 1, "preference": 1, "rts": 1, "session": 1, "ssid": 1, "state": 1,
	"syncdev": 1, "syncpeer": 1, "tunnel": 2, "vhid": 1, "vlan": 1, "vlanif": 1, "vltime": 1,
}

// parseAddr reads the address in an ifconfig command for iface. One for another
// interface has none.
func parseAddr(argv []string, iface string) (address, bool) {
	if len(argv) < 3 || path.Base(argv[0]) != "ifconfig" || argv[1] != iface {
		return address{}, false
	}
	var a address
	var addr netip.Addr
	length := -1
	words := argv[2:]
	for i := 0; i < len(words); i++ {
		word := words[i]
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch {
		case word == "inet" || word == "inet6":
		case word == "alias":
			a.alias = true
		case word == "-alias" || word == "delete":
			a.remove = true
		case word == "netmask" || word == "prefixlen":
			n, ok := lengthOf(word, next)
			if !ok {
				return address{}, false
			}
			length, i = n, i+1
		case ifconfigArgs[word] > 0:
			a.more = true
			i += ifconfigArgs[word]
		case !addr.IsValid() && isAddr(word, &addr, &length):
		default:
			a.more = true
		}
	}
	if !addr.IsValid() {
		return address{}, false
	}
	if length < 0 {
		a.defaultMask = true
		length = defaultLength(addr)
	}
	a.prefix = netip.PrefixFrom(addr.WithZone(""), length)
	return a, a.prefix.IsValid()
}

// isAddr reads "A" and "A/n".
func isAddr(word string, addr *netip.Addr, length *int) bool {
	text, bits, hasBits := strings.Cut(word, "/")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	if hasBits {
		n, err := strconv.Atoi(bits)
		if err != nil || n < 0 {
			return false
		}
		*length = n
	}
	*addr = a
	return true
}

// lengthOf reads the value of a netmask or prefixlen.
func lengthOf(word, value string) (int, bool) {
	if strings.HasSuffix(word, "netmask") {
		return maskLength(value)
	}
	n, err := strconv.Atoi(value)
	return n, err == nil && n >= 0
}

// maskLength reads a netmask as ifconfig(8) does: dotted, or one number that is
// hexadecimal with 0x. A mask with holes has no length.
func maskLength(mask string) (int, bool) {
	var m uint32
	if a, err := netip.ParseAddr(mask); err == nil && a.Is4() {
		b := a.As4()
		m = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	} else if n, err := strconv.ParseUint(mask, 0, 32); err == nil {
		m = uint32(n)
	} else {
		return 0, false
	}
	n := bits.LeadingZeros32(^m)
	return n, m<<n == 0
}

// defaultLength is the class of an IPv4 address, which the kernel assumes
// (in_ifinit), and the 64 bits that ifconfig assumes for IPv6.
func defaultLength(a netip.Addr) int {
	if !a.Is4() {
		return 64
	}
	switch b := a.As4()[0]; {
	case b < 128:
		return 8
	case b < 192:
		return 16
	default:
		return 24
	}
}

// validAddr refuses what no interface can have.
func validAddr(p netip.Prefix) error {
	reason := ""
	switch a := p.Addr(); {
	case !p.IsValid():
		reason = "is no address with a prefix length"
	case a.Is4In6():
		reason = "is an IPv4 address in IPv6 form"
	case a.IsUnspecified() || a.IsMulticast():
		reason = "is not the address of an interface"
	default:
		return nil
	}
	return refusal("address", p.String(), reason)
}

// outside refuses an address that lies in none of the prefixes: nothing could
// tell on which interface it is.
func outside(field string, a netip.Addr, prefixes []netip.Prefix) error {
	var list []string
	for _, p := range prefixes {
		if p.Contains(a.WithZone("")) {
			return nil
		}
		list = append(list, p.Masked().String())
	}
	return refusal(field, a.String(), "lies in no connected prefix ("+strings.Join(list, ", ")+")")
}

// unconnected refuses the gateway of a default route that none of the file's
// prefixes of its family holds. A file that connects none of that family cannot
// tell, and a link-local gateway is on the interface that it names.
func unconnected(via netip.Addr, addrs []netip.Prefix) error {
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(p netip.Prefix) bool { return p.Addr().Is4() != via.Is4() })
	if len(addrs) == 0 || via.IsLinkLocalUnicast() {
		return nil
	}
	return outside("gateway", via, addrs)
}

package natfwd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxName is what the kernel's limit of 28 bytes for the name of a chain leaves for
// that of the set.
const maxName = 16

// Validate returns what is wrong with the set, each as a [*ValueError]: a value
// that iptables would refuse, or accept as something else than it says. An empty
// target, for example, is the router itself to iptables.
func (s Set) Validate() error {
	v := &validation{}
	if reason := unfitName(s.Name); reason != "" {
		v.add("name", s.Name, reason)
	}
	for i, f := range s.Forwards {
		v.forward("forward "+strconv.Itoa(i+1)+" ", f)
	}
	for _, iface := range s.Masquerade {
		if reason := unfitIface(iface); reason != "" {
			v.add("masquerade", iface, reason)
		}
	}
	for _, p := range s.HairpinFrom {
		v.prefix("hairpin from", p)
		if !s.Hairpin {
			v.add("hairpin from", p.String(), "does nothing without hairpin")
		}
	}
	if len(v.errs) == 0 { // only then do the claims mean something
		v.overlaps(s)
	}
	return errors.Join(v.errs...)
}

func unfitName(name string) string {
	switch {
	case name == "":
		return "is missing: it tells the set's rules from those of others"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than %d bytes, and chains are called after it", maxName)
	case name[0] == '-':
		return "begins as an option does"
	case !consistsOf(name, "_-"):
		return "use letters, digits, _ and -"
	}
	return ""
}

// unfitIface refuses what iptables, ifupdown or a shell would not take as the name
// of one interface: with iptables, a + at the end stands for all that begin so.
func unfitIface(iface string) string {
	switch {
	case iface == "":
		return "is missing"
	case len(iface) > 15:
		return "is longer than 15 bytes"
	case iface[0] == '-' || iface[0] == '.':
		return "is no name of an interface"
	case !consistsOf(iface, "_-."):
		return "is no name of an interface: use letters, digits, _, - and ."
	}
	return ""
}

// consistsOf tells whether there are only ASCII letters, digits and punctuation.
func consistsOf(word, punctuation string) bool {
	for i := range len(word) {
		c := word[i]
		if letter := 'a' <= c|0x20 && c|0x20 <= 'z'; !letter && (c < '0' || c > '9') && strings.IndexByte(punctuation, c) < 0 {
			return false
		}
	}
	return true
}

type validation struct{ errs []error }

func (v *validation) add(field, value, reason string) {
	v.errs = append(v.errs, &ValueError{Field: field, Value: value, Reason: reason})
}

func (v *validation) forward(at string, f Forward) {
	if f.Proto != TCP && f.Proto != UDP {
		v.add(at+"protocol", string(f.Proto), "is neither tcp nor udp")
	}
	if f.Iface == "" && len(f.Dst) == 0 {
		v.add(at+"interface", "", "is missing, and so is a destination: what the machines behind the router send to the same ports would be forwarded too")
	} else if reason := unfitIface(f.Iface); f.Iface != "" && reason != "" {
		v.add(at+"interface", f.Iface, reason)
	}
	v.ports(at, f)
	if len(f.To) == 0 {
		v.add(at+"target", "", "is missing: to iptables that is the router itself")
	}
	for _, a := range f.To {
		v.address(at+"target", a)
		if a.IsLoopback() {
			v.add(at+"target", a.String(), "the kernel drops what comes from elsewhere for a loopback address")
		}
	}
	if len(f.To) == 2 && familyOf(f.To[0]) == familyOf(f.To[1]) || len(f.To) > 2 {
		v.add(at+"target", fmt.Sprint(f.To), "there is one address for each family")
	}
	for _, a := range f.Dst {
		v.address(at+"destination", a)
	}
	for _, p := range f.From {
		v.prefix(at+"source", p)
	}
	for _, family := range []Family{IPv4, IPv6} {
		_, has := f.target(family)
		v.family(at+"destination", family, has, len(f.Dst), countOf(f.Dst, family))
		v.family(at+"source", family, has, len(f.From), countOf(addrsOf(f.From), family))
	}
}

// family refuses a restriction that exists in one family and a target in the other:
// it would leave the target open to everybody, or do nothing.
func (v *validation) family(field string, f Family, target bool, all, own int) {
	switch {
	case target && all > 0 && own == 0:
		v.add(field, "", fmt.Sprintf("has no %s address, and the target has one", f))
	case !target && own > 0:
		v.add(field, "", fmt.Sprintf("has an %s address, and the target has none", f))
	}
}

func (v *validation) ports(at string, f Forward) {
	if len(f.Ports) == 0 {
		v.add(at+"ports", "", "are missing")
	}
	for i, p := range f.Ports {
		switch last := p.last(); {
		case p.First == 0:
			v.add(at+"ports", p.String(), "port 0 is none")
		case last < p.First:
			v.add(at+"ports", p.String(), "ends before it begins")
		case f.ToPort > 0 && int(f.ToPort)+int(last-p.First) > 0xffff:
			v.add(at+"ports", p.String(), fmt.Sprintf("the range would end above 65535 at the target, as it begins at %d there", f.ToPort))
		}
		for _, other := range f.Ports[:i] {
			if p.First <= other.last() && other.First <= p.last() {
				v.add(at+"ports", p.String(), "is in "+other.String()+" already")
			}
		}
	}
}

func (v *validation) address(field string, a netip.Addr) {
	switch {
	case !a.IsValid():
		v.add(field, "", "is no address: to iptables that is the router itself")
	case a.Is4In6():
		v.add(field, a.String(), "is an IPv4 address in the form of an IPv6 one")
	case a.Zone() != "":
		v.add(field, a.String(), "has a zone, which a rule cannot have")
	case a.IsUnspecified(), a.IsMulticast():
		v.add(field, a.String(), "is not the address of one machine")
	}
}

func (v *validation) prefix(field string, p netip.Prefix) {
	switch {
	case !p.IsValid():
		v.add(field, "", "is no prefix")
	case p.Addr().Is4In6():
		v.add(field, p.String(), "is an IPv4 prefix in the form of an IPv6 one")
	case p != p.Masked():
		v.add(field, p.String(), "has bits of a host; the network is "+p.Masked().String())
	}
}

// overlaps refuses two forwards of the same packets: the first one would win, and
// the second one do nothing.
func (v *validation) overlaps(s Set) {
	for _, family := range []Family{IPv4, IPv6} {
		for _, builtin := range []string{"PREROUTING", "OUTPUT"} {
			index := newIndex(s.claims(family, builtin))
			for _, c := range index.claims {
				if other, ok := index.overlap(c, func(o claim) bool { return o.forward < c.forward }); ok {
					v.add(fmt.Sprintf("forward %d ports", c.forward+1), c.String(), fmt.Sprintf("forward %d takes the same packets: %s", other.forward+1, other))
					return // what follows would say the same
				}
			}
		}
	}
}

// target returns the forward's target in a family.
func (f Forward) target(family Family) (netip.Addr, bool) {
	i := slices.IndexFunc(f.To, func(a netip.Addr) bool { return familyOf(a) == family })
	if i < 0 {
		return netip.Addr{}, false
	}
	return f.To[i], true
}

func (p PortRange) last() uint16 {
	if p.Last == 0 {
		return p.First
	}
	return p.Last
}

// String returns the range as iptables writes it, such as "25" or "8000:8010".
func (p PortRange) String() string {
	if p.last() == p.First {
		return strconv.Itoa(int(p.First))
	}
	return strconv.Itoa(int(p.First)) + ":" + strconv.Itoa(int(p.Last))
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

func countOf(addrs []netip.Addr, f Family) int {
	n := 0
	for _, a := range addrs {
		if familyOf(a) == f {
			n++
		}
	}
	return n
}

func addrsOf(prefixes []netip.Prefix) []netip.Addr {
	addrs := make([]netip.Addr, len(prefixes))
	for i, p := range prefixes {
		addrs[i] = p.Addr()
	}
	return addrs
}

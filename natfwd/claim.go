package natfwd

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// A claim is the packets of one family that a rule takes, as far as rules are
// understood here: what another match would leave out is counted in.
type claim struct {
	proto Proto  // "": any
	iface string // by which they come in; "": any
	not   string // an interface by which they do not come in; "": none
	ports PortRange
	dst   netip.Prefix // the zero value: any
	from  netip.Prefix

	forward int // of whose it is, for own claims
}

// claims are what the forward takes in a family, one for each combination.
func (f Forward) claims(family Family, hairpin bool, at int) []claim {
	iface := f.Iface
	if hairpin {
		iface = ""
	}
	dsts, froms := hosts(f.Dst, family), ofFamily(f.From, family)
	var list []claim
	for _, ports := range f.Ports {
		ports.Last = ports.last()
		for _, dst := range orAny(dsts) {
			for _, from := range orAny(froms) {
				list = append(list, claim{proto: f.Proto, iface: iface, ports: ports, dst: dst, from: from, forward: at})
			}
		}
	}
	return list
}

// hosts are the addresses of a family, as prefixes of one address.
func hosts(addrs []netip.Addr, f Family) []netip.Prefix {
	var list []netip.Prefix
	for _, a := range addrs {
		if familyOf(a) == f {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return list
}

func ofFamily(prefixes []netip.Prefix, f Family) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range prefixes {
		if familyOf(p.Addr()) == f {
			list = append(list, p)
		}
	}
	return list
}

// orAny returns the prefixes, or the one that stands for all.
func orAny(prefixes []netip.Prefix) []netip.Prefix {
	if len(prefixes) == 0 {
		return []netip.Prefix{{}}
	}
	return prefixes
}

// both returns the packets that are in both claims, if there can be any.
func (c claim) both(o claim) (claim, bool) {
	all := c
	if c.proto == "" {
		all.proto = o.proto
	}
	if c.iface == "" {
		all.iface = o.iface
	}
	all.not = cmp.Or(c.not, o.not)
	all.ports = PortRange{max(c.ports.First, o.ports.First), min(c.ports.Last, o.ports.Last)}
	var dst, from bool
	all.dst, dst = within(c.dst, o.dst)
	all.from, from = within(c.from, o.from)
	return all, (c.proto == o.proto || c.proto == "" || o.proto == "") &&
		(c.iface == o.iface || c.iface == "" || o.iface == "") &&
		(all.iface == "" || all.iface != c.not && all.iface != o.not) &&
		all.ports.First <= all.ports.Last && dst && from
}

// within returns the longer one of two prefixes, if it lies in the other one.
func within(a, b netip.Prefix) (netip.Prefix, bool) {
	switch {
	case !a.IsValid():
		return b, true
	case !b.IsValid():
		return a, true
	case a.Bits() < b.Bits():
		return b, a.Overlaps(b)
	}
	return a, a.Overlaps(b)
}

// String returns the claim for a message, such as "tcp port 25 on ens5".
func (c claim) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s port %s", cmp.Or(string(c.proto), "any"), c.ports)
	if c.iface != "" {
		b.WriteString(" on " + c.iface)
	}
	if c.dst.IsValid() {
		b.WriteString(" to " + c.dst.Addr().String())
	}
	if c.from.IsValid() {
		b.WriteString(" from " + c.from.String())
	}
	return b.String()
}

// An index finds the claims that overlap another one without looking at all.
type index struct {
	claims []claim  // by first port
	last   []uint16 // the highest last port up to there
}

func newIndex(claims []claim) *index {
	x := &index{claims: slices.Clone(claims), last: make([]uint16, len(claims))}
	slices.SortStableFunc(x.claims, func(a, b claim) int { return cmp.Compare(a.ports.First, b.ports.First) })
	highest := uint16(0)
	for i, c := range x.claims {
		highest = max(highest, c.ports.Last)
		x.last[i] = highest
	}
	return x
}

// overlap returns a claim that overlaps c, among those that are wanted.
func (x *index) overlap(c claim, wanted func(claim) bool) (claim, bool) {
	end := sort.Search(len(x.claims), func(i int) bool { return x.claims[i].ports.First > c.ports.Last })
	for i := end - 1; i >= 0 && x.last[i] >= c.ports.First; i-- {
		if _, ok := x.claims[i].both(c); ok && wanted(x.claims[i]) {
			return x.claims[i], true
		}
	}
	return claim{}, false
}

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
	claims []claim
	groups []group
}

// A group is claims that differ by their ports only.
type group struct {
	any    claim    // all ports
	claims []claim  // by first port
	last   []uint16 // the highest last port up to there
}

func newIndex(claims []claim) *index {
	x := &index{claims: slices.SortedStableFunc(slices.Values(claims), func(a, b claim) int { return cmp.Compare(a.ports.First, b.ports.First) })}
	at := map[claim]int{}
	for _, c := range x.claims {
		key := c
		key.ports, key.forward = PortRange{0, 0xffff}, 0
		i, ok := at[key]
		if !ok {
			i = len(x.groups)
			at[key] = i
			x.groups = append(x.groups, group{any: key})
		}
		g, highest := &x.groups[i], c.ports.Last
		if n := len(g.last); n > 0 {
			highest = max(highest, g.last[n-1])
		}
		g.claims, g.last = append(g.claims, c), append(g.last, highest)
	}
	return x
}

// overlap returns a claim that overlaps c, among those that are wanted.
func (x *index) overlap(c claim, wanted func(claim) bool) (claim, bool) {
	for _, g := range x.groups {
		if _, ok := g.any.both(c); !ok {
			continue
		}
		end := sort.Search(len(g.claims), func(i int) bool { return g.claims[i].ports.First > c.ports.Last })
		for i := end - 1; i >= 0 && g.last[i] >= c.ports.First; i-- {
			if g.claims[i].ports.Last >= c.ports.First && wanted(g.claims[i]) {
				return g.claims[i], true
			}
		}
	}
	return claim{}, false
}

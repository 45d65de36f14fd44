package pfrules

import "slices"

// A placedRule is a rule in a file, with what the comparison of two rules needs
// often.
type placedRule struct {
	Rule
	pos      position
	fams     families
	from, to []interval // the ports; none is any
}

func newPlacedRule(st *statement, r Rule) placedRule {
	return placedRule{r, st.tokens[0].pos, r.families(), intervals(r.From.Ports), intervals(r.To.Ports)}
}

// size is how much there is to compare.
func (a *placedRule) size() int {
	return 1 + len(a.From.Hosts) + len(a.To.Hosts) + len(a.from) + len(a.to)
}

// covers reports whether it is certain that a matches every packet that b
// matches. Each part of a rule restricts the packets on its own, so it is enough
// that each part of a covers that of b.
func (a *placedRule) covers(b *placedRule) bool {
	return (a.Direction == 0 || a.Direction == b.Direction) &&
		b.fams&^a.fams == 0 &&
		coversAll(a.Ifaces, b.Ifaces, Iface.covers) &&
		coversAll(a.Protos, b.Protos, same[string]) &&
		coversAll(a.From.Hosts, b.From.Hosts, Host.covers) &&
		coversAll(a.To.Hosts, b.To.Hosts, Host.covers) &&
		coversAll(a.from, b.from, interval.covers) &&
		coversAll(a.to, b.to, interval.covers) &&
		coversAll(a.ICMPTypes, b.ICMPTypes, same[string]) &&
		a.coversFlags(b) &&
		(a.Tagged == "" || a.Tagged == b.Tagged && a.NotTagged == b.NotTagged)
}

// meets reports whether it is certain that some packet matches both, which is
// also what covers needs; it is the cheaper question.
func (a *placedRule) meets(b *placedRule) bool {
	return (a.Direction == 0 || b.Direction == 0 || a.Direction == b.Direction) &&
		a.fams&b.fams != 0 &&
		meetsAny(a.Ifaces, b.Ifaces, Iface.meets) &&
		meetsAny(a.Protos, b.Protos, same[string]) &&
		meetsAny(a.From.Hosts, b.From.Hosts, Host.meets) &&
		meetsAny(a.To.Hosts, b.To.Hosts, Host.meets) &&
		meetsAny(a.from, b.from, interval.meets) &&
		meetsAny(a.to, b.to, interval.meets) &&
		meetsAny(a.ICMPTypes, b.ICMPTypes, same[string]) &&
		(a.coversFlags(b) || b.coversFlags(a)) &&
		(a.Tagged == "" || a.Tagged == b.Tagged && a.NotTagged == b.NotTagged)
}

func same[T comparable](a, b T) bool { return a == b }

// coversAll reports whether each of bs is covered by one of as. No restriction,
// an empty list, covers everything, and is covered by nothing else.
func coversAll[T any](as, bs []T, covers func(a, b T) bool) bool {
	if len(as) == 0 {
		return true
	}
	return len(bs) > 0 && !slices.ContainsFunc(bs, func(b T) bool {
		return !slices.ContainsFunc(as, func(a T) bool { return covers(a, b) })
	})
}

func meetsAny[T any](as, bs []T, meets func(a, b T) bool) bool {
	return len(as) == 0 || len(bs) == 0 || slices.ContainsFunc(as, func(a T) bool {
		return slices.ContainsFunc(bs, func(b T) bool { return meets(a, b) })
	})
}

// covers knows that an interface's name ends in a digit and a group's does not
// (ifconfig(8)): "! em0" covers wg0, and says nothing of a group.
func (i Iface) covers(j Iface) bool {
	return i == j || i.Not && !j.Not && i.Name != j.Name && i.single() && j.single()
}

func (i Iface) meets(j Iface) bool { return i.covers(j) || j.covers(i) }

func (i Iface) single() bool { c := i.Name[len(i.Name)-1]; return '0' <= c && c <= '9' }

// covers compares prefixes by their addresses, all else by its name. A negated
// prefix is of one family too.
func (h Host) covers(o Host) bool {
	switch {
	case h == o:
		return true
	case !h.Prefix.IsValid() || !o.Prefix.IsValid() || h.Prefix.Addr().Is4() != o.Prefix.Addr().Is4():
		return false
	case h.Not && o.Not:
		return contains(o, h)
	case h.Not:
		return !h.Prefix.Overlaps(o.Prefix)
	}
	return !o.Not && contains(h, o)
}

func contains(h, o Host) bool {
	return h.Prefix.Bits() <= o.Prefix.Bits() && h.Prefix.Overlaps(o.Prefix)
}

func (h Host) meets(o Host) bool {
	if !h.Not && !o.Not && h.Prefix.IsValid() && o.Prefix.IsValid() {
		return h.Prefix.Overlaps(o.Prefix)
	}
	return h.covers(o) || o.covers(h)
}

// coversFlags: a rule that keeps state only takes the first packet of a TCP
// connection unless it says otherwise. For other protocols flags mean nothing.
func (a *placedRule) coversFlags(b *placedRule) bool {
	if len(b.Protos) > 0 && !slices.Contains(b.Protos, "tcp") {
		return true
	}
	flags := func(r *placedRule) string {
		if r.Flags == "" {
			return defaultFlags(r.Rule)
		}
		return r.Flags
	}
	return flags(a) == "any" || flags(a) == flags(b)
}

// An interval is ports, both ends included.
type interval struct{ first, last int }

func (p Port) intervals() []interval {
	f, l := int(p.First), int(p.Last)
	switch p.Op {
	case PortNot:
		return []interval{{0, f - 1}, {f + 1, 65535}}
	case PortBelow:
		return []interval{{0, f - 1}}
	case PortAtMost:
		return []interval{{0, f}}
	case PortAbove:
		return []interval{{f + 1, 65535}}
	case PortAtLeast:
		return []interval{{f, 65535}}
	case PortBetween:
		return []interval{{f + 1, l - 1}}
	case PortOutside:
		return []interval{{0, f - 1}, {l + 1, 65535}}
	}
	return []interval{{f, max(f, l)}}
}

// intervals returns the ports of a list in order, without overlaps.
func intervals(ports []Port) []interval {
	var all, merged []interval
	for _, p := range ports {
		for _, i := range p.intervals() {
			if i.first <= i.last {
				all = append(all, i)
			}
		}
	}
	slices.SortFunc(all, func(a, b interval) int { return a.first - b.first })
	for _, i := range all {
		if n := len(merged); n > 0 && i.first <= merged[n-1].last+1 {
			merged[n-1].last = max(merged[n-1].last, i.last)
		} else {
			merged = append(merged, i)
		}
	}
	return merged
}

func (i interval) covers(j interval) bool { return i.first <= j.first && j.last <= i.last }
func (i interval) meets(j interval) bool  { return i.first <= j.last && j.first <= i.last }

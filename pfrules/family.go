package pfrules

import (
	"net/netip"
	"slices"
)

// families is a set of address families.
type families uint8

const (
	four families = 1 << iota
	six
	both = four | six
)

func familyOf(a netip.Addr) families {
	if a.Is4() {
		return four
	}
	return six
}

// familyWord returns the family of a gateway, 0 for the zero Addr.
func familyWord(gw netip.Addr) Family {
	switch {
	case gw.Is4():
		return Inet
	case gw.IsValid():
		return Inet6
	}
	return 0
}

// families returns those that a packet can have that the rule matches.
func (r Rule) families() families {
	set := hostFamilies(r.From.Hosts) & hostFamilies(r.To.Hosts)
	switch r.Family {
	case Inet:
		set &= four
	case Inet6:
		set &= six
	}
	if r.Route.Gateway.IsValid() {
		set &= familyOf(r.Route.Gateway)
	}
	return set
}

// hostFamilies leaves both open for what is no address: only pfctl knows.
func hostFamilies(hosts []Host) families {
	if len(hosts) == 0 {
		return both
	}
	set := families(0)
	for _, h := range hosts {
		if h.Prefix.IsValid() {
			set |= familyOf(h.Prefix.Addr())
		} else {
			set = both
		}
	}
	return set
}

// certainFamilies returns the families of the rules that pfctl makes of this
// one, as far as they have one: it makes a rule for each combination, and one
// takes its family from the word inet or inet6, from the gateway, or from its
// addresses.
func (r Rule) certainFamilies() families {
	if r.Family != 0 || r.Route.Gateway.IsValid() {
		return r.families()
	}
	set := families(0)
	for _, h := range slices.Concat(r.From.Hosts, r.To.Hosts) {
		if h.Prefix.IsValid() {
			set |= familyOf(h.Prefix.Addr())
		}
	}
	return set & r.families()
}

func (r Rule) validFamily() error {
	value := r.Family.String()
	if r.Route.Gateway.IsValid() {
		value = r.Route.Gateway.String()
		if r.Family != 0 && (r.Family == Inet) != r.Route.Gateway.Is4() {
			return &ValueError{Field: "gateway", Value: value, Reason: "is not of the rule's family, " + r.Family.String()}
		}
	}
	if r.families() == 0 {
		return &ValueError{Field: "family", Value: value, Reason: "family, gateway and addresses have no address family in common"}
	}
	certain := r.certainFamilies()
	for _, proto := range r.Protos {
		if proto == "icmp" && certain&six != 0 || proto == "icmp6" && certain&four != 0 {
			return &ValueError{Field: "proto", Value: proto, Reason: "is not of the family of the rule, its addresses or its gateway"}
		}
	}
	return nil
}

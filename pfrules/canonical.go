package pfrules

import "slices"

// canonical returns the rule in the form that ParseRule gives: what is the
// default anyway is left out, what a gateway narrows is said, and empty lists are
// nil.
func (r Rule) canonical(d Dialect) Rule {
	if r.State == NoState && r.Action != Pass {
		r.State = KeepState // block and match rules have no state to begin with
	}
	if r.Family == 0 {
		r.Family = familyWord(r.Route.Gateway)
	}
	if d == OpenBSD && r.Route.Gateway.IsValid() {
		r.Route.Iface = ""
	}
	r.Ifaces, r.ICMPTypes, r.StateOptions = tidy(r.Ifaces), tidy(r.ICMPTypes), tidy(r.StateOptions)
	r.Protos = tidy(slices.Clone(r.Protos))
	for i, proto := range r.Protos {
		if name, ok := protoNames[proto]; ok {
			r.Protos[i] = name
		}
	}
	if r.Flags == defaultFlags(r) && (r.Protos == nil || slices.Contains(r.Protos, "tcp")) {
		r.Flags = ""
	}
	r.From, r.To = r.From.canonical(), r.To.canonical()
	return r
}

func (p Peer) canonical() Peer {
	p.Hosts, p.Ports = tidy(slices.Clone(p.Hosts)), tidy(slices.Clone(p.Ports))
	for i, h := range p.Hosts {
		if h.Prefix.IsValid() {
			p.Hosts[i].Prefix = h.Prefix.Masked() // as pfctl does
		}
	}
	for i, port := range p.Ports {
		if port.Op == PortRange && port.Last == port.First {
			p.Ports[i].Last = 0
		}
	}
	return p
}

func tidy[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// protoNames are numbers and aliases of protocols(5), and the name that pfctl
// prints.
var protoNames = map[string]string{
	"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "51": "ah",
	"58": "icmp6", "ipv6-icmp": "icmp6", "TCP": "tcp", "UDP": "udp", "ICMP": "icmp",
}

// defaultFlags are the flags that pf takes when a rule names none.
func defaultFlags(r Rule) string {
	if r.Action == Pass && r.State != NoState {
		return "S/SA"
	}
	return "any"
}

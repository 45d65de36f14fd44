package pfrules

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Lengths that pfctl allows, from net/if.h and net/pfvar.h, without the final NUL.
const (
	maxIface = 15
	maxTable = 31
	maxTag   = 63
	maxLabel = 63
)

// canonical returns the rule in the form that ParseRule gives: what is the
// default anyway is left out, and empty lists are nil.
func (r Rule) canonical(d Dialect) Rule {
	if r.State == NoState && r.Action != Pass {
		r.State = KeepState // block and match rules have no state to begin with
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
	p.Hosts, p.Ports = tidy(p.Hosts), tidy(slices.Clone(p.Ports))
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

// validate returns a *ValueError for what the dialect refuses, or reads as
// something else than the rule says.
func (r Rule) validate(d Dialect) error {
	if r.Action.String() == "" {
		return &ValueError{Field: "action", Value: strconv.Itoa(int(r.Action)), Reason: "a rule must pass, block or match"}
	}
	if r.Action == Match && d != OpenBSD {
		return &ValueError{Field: "action", Value: "match", Reason: d.String() + " has no match rules, or not in all releases"}
	}
	if int(r.Direction) >= len(directionWords) || r.Direction < 0 {
		return &ValueError{Field: "direction", Value: strconv.Itoa(int(r.Direction)), Reason: "is not In, Out or zero"}
	}
	if int(r.Family) >= len(familyWords) || r.Family < 0 {
		return &ValueError{Field: "family", Value: strconv.Itoa(int(r.Family)), Reason: "is not Inet, Inet6 or zero"}
	}
	for _, i := range r.Ifaces {
		if err := validIface("on", i.Name); err != nil {
			return err
		}
	}
	for _, check := range []func(Dialect) error{
		r.validRoute, r.validProtos, r.validPeers, r.validFamily, r.validICMP, r.validState, r.validNames,
	} {
		if err := check(d); err != nil {
			return err
		}
	}
	return nil
}

// isName reports whether a word is one for every dialect's lexer: letters,
// digits, "_", "." and "-", of which the last two not first.
func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '_' && (i == 0 || c != '.' && c != '-') {
			return false
		}
	}
	return s != ""
}

func validIface(field, name string) error {
	reason := ""
	switch {
	case !isName(name) || !isLetter(rune(name[0])):
		reason = "is not the name of an interface"
	case len(name) > maxIface:
		reason = fmt.Sprintf("an interface name has at most %d characters", maxIface)
	case anyKeyword(name):
		reason = "is a keyword"
	default:
		return nil
	}
	return &ValueError{Field: field, Value: name, Reason: reason}
}

func (r Rule) validRoute(d Dialect) error {
	kind := r.Route.Kind.String()
	refuse := func(reason string) error {
		return &ValueError{Field: "route", Value: strings.TrimSpace(kind + " " + r.Route.Iface), Reason: reason}
	}
	if r.Route.Kind == 0 {
		if r.Route != (Route{}) {
			return refuse("there is a gateway or an interface, and no kind")
		}
		return nil
	}
	gw := r.Route.Gateway
	switch {
	case kind == "":
		return refuse("is not ReplyTo, RouteTo or DupTo")
	case gw.IsValid() && (gw.Zone() != "" || gw.Is4In6()):
		return &ValueError{Field: "gateway", Value: gw.String(), Reason: "is not a plain IPv4 or IPv6 address"}
	case r.Direction == 0 && (d != OpenBSD || r.Route.Kind != DupTo):
		return refuse("a rule with a route option needs a direction")
	case d == OpenBSD && (r.Action != Pass):
		return refuse("OpenBSD has route options on pass rules only")
	case d == OpenBSD && r.State == NoState:
		return refuse("OpenBSD has route options with state only")
	case r.Route.Iface == "" && d == OpenBSD && gw.IsValid():
		return nil
	case r.Route.Iface == "" && d == OpenBSD:
		return refuse("needs a gateway")
	case r.Route.Iface == "":
		return refuse(d.String() + " needs the interface beside the gateway")
	}
	return validIface("route", r.Route.Iface)
}

func (r Rule) validProtos(d Dialect) error {
	for _, proto := range r.Protos {
		n, err := strconv.ParseUint(proto, 10, 8)
		numeric := strings.Trim(proto, "0123456789") == ""
		if !isName(proto) || anyKeyword(proto) || numeric && (err != nil || n == 0 || proto[0] == '0') {
			return &ValueError{Field: "proto", Value: proto, Reason: "is not a protocol from 1 to 255 or a name for one"}
		}
	}
	if r.Flags != "" {
		switch {
		case r.Flags != "any" && !validFlags(r.Flags):
			return &ValueError{Field: "flags", Value: r.Flags, Reason: `is neither "any" nor flags such as S/SA`}
		case r.Flags != "any" && r.Protos != nil && !slices.Contains(r.Protos, "tcp"):
			return &ValueError{Field: "flags", Value: r.Flags, Reason: "flags only apply to tcp"}
		}
	}
	return nil
}

func (r Rule) validPeers(d Dialect) error {
	for _, peer := range []struct {
		field string
		Peer
	}{{"from", r.From}, {"to", r.To}} {
		for _, h := range peer.Hosts {
			if err := h.validate(peer.field); err != nil {
				return err
			}
		}
		for _, port := range peer.Ports {
			if err := port.validate(peer.field + " port"); err != nil {
				return err
			}
		}
		if peer.Ports != nil && (r.Protos == nil || slices.ContainsFunc(r.Protos, func(p string) bool { return p != "tcp" && p != "udp" })) {
			return &ValueError{Field: peer.field + " port", Value: peer.Ports[0].text(),
				Reason: "a port needs proto tcp, udp or both, and no other"}
		}
	}
	return nil
}

func (h Host) validate(field string) error {
	reason, value := "", ""
	set := 0
	if h.Prefix != (netip.Prefix{}) {
		set++
		value = h.Prefix.String()
		if !h.Prefix.IsValid() {
			reason = "is not a network"
		}
	}
	if h.Table != "" {
		set++
		value = h.Table
		switch {
		case !isName(value) || !isLetter(rune(value[0])) || anyKeyword(value):
			reason = "is not the name of a table"
		case len(value) > maxTable:
			reason = fmt.Sprintf("the name of a table has at most %d characters", maxTable)
		}
	}
	if h.Iface != "" {
		set++
		value = h.Iface
		name, modifiers, _ := strings.Cut(value, ":")
		if err := validIface(field, name); err != nil {
			return err
		}
		reason = modifierReason(value, modifiers)
	}
	if h.Name != "" {
		set++
		value = h.Name
		name, modifiers, _ := strings.Cut(value, ":")
		switch {
		case !isName(name) || !strings.ContainsFunc(name, isLetter) || anyKeyword(name):
			reason = "is not the name of a host or interface"
		default:
			reason = modifierReason(value, modifiers)
		}
	}
	if set != 1 {
		reason = "a host has exactly one of Prefix, Table, Iface and Name"
	}
	if reason != "" {
		return &ValueError{Field: field, Value: value, Reason: reason}
	}
	return nil
}

// modifierReason says what is wrong with the modifiers of an interface, such as
// "network:0"; "" if nothing.
func modifierReason(whole, modifiers string) string {
	if !strings.Contains(whole, ":") {
		return ""
	}
	modes := 0
	for m := range strings.SplitSeq(modifiers, ":") {
		switch m {
		case "network", "broadcast", "peer":
			modes++
		case "0":
		default:
			return "an interface's modifiers are network, broadcast, peer and 0"
		}
	}
	if modes > 1 {
		return "only one of network, broadcast and peer"
	}
	return ""
}

func (p Port) validate(field string) error {
	reason := ""
	switch {
	case p.Op.String() == "":
		reason = "is no comparison of ports"
	case p.Op >= PortNot && p.Op <= PortAtLeast && p.Last != 0:
		reason = "this comparison has one port"
	case p.Op == PortRange && p.Last != 0 && p.First > p.Last, intervals([]Port{p}) == nil:
		reason = "holds no port"
	case p.Op == PortOutside && p.First > p.Last:
		reason = "holds all ports"
	default:
		return nil
	}
	return &ValueError{Field: field, Value: p.text(), Reason: reason}
}

func (r Rule) validICMP(d Dialect) error {
	if r.ICMPTypes == nil {
		return nil
	}
	value := strings.Join(r.ICMPTypes, " ")
	if len(r.Protos) != 1 || r.Protos[0] != "icmp" && r.Protos[0] != "icmp6" {
		return &ValueError{Field: "icmp-type", Value: value, Reason: "needs proto icmp or icmp6, and no other"}
	}
	if r.certainFamilies() == 0 {
		return &ValueError{Field: "icmp-type", Value: value, Reason: "needs an address family"}
	}
	for _, text := range r.ICMPTypes {
		if !readsAs(d, text, (*parser).icmpType) {
			return &ValueError{Field: "icmp-type", Value: text, Reason: `is not "TYPE" or "TYPE code CODE"`}
		}
	}
	return nil
}

func (r Rule) validState(d Dialect) error {
	state := r.State.String()
	switch {
	case state == "":
		return &ValueError{Field: "state", Value: strconv.Itoa(int(r.State)), Reason: "is no state"}
	case r.Action != Pass && (r.State != KeepState || r.StateOptions != nil):
		return &ValueError{Field: "state", Value: state, Reason: "only a pass rule keeps state"}
	case r.State == NoState && r.StateOptions != nil:
		return &ValueError{Field: "state", Value: state, Reason: "has no options"}
	case r.AllowOpts && r.Action != Pass:
		return &ValueError{Field: "allow-opts", Value: r.Action.String(), Reason: "allow-opts is for pass rules"}
	case r.State == NoState && d != OpenBSD && r.Tag+r.Tagged != "":
		return &ValueError{Field: "tag", Value: r.Tag + r.Tagged, Reason: d.String() + " has tags on pass rules with state only"}
	}
	for _, text := range r.StateOptions {
		if !readsAs(d, text, (*parser).stateOption) {
			return &ValueError{Field: "state option", Value: text, Reason: "is no state option of " + d.String() + ", written as in pf.conf(5)"}
		}
	}
	return nil
}

// readsAs reports whether a text is what the parser makes of it, no more and no
// less. So nothing else can hide in it.
func readsAs(d Dialect, text string, read func(*parser) (string, error)) bool {
	s := newScanner(d, text)
	if strings.ContainsAny(text, "\x00\n#$") || !s.next() || s.st.err != nil {
		return false
	}
	p := &parser{dialect: d, tokens: s.st.tokens}
	got, err := read(p)
	return err == nil && p.unknown == nil && p.i == len(p.tokens) && got == text
}

func (r Rule) validNames(d Dialect) error {
	for _, name := range []struct {
		field, value string
		max          int
	}{{"tag", r.Tag, maxTag}, {"tagged", r.Tagged, maxTag}, {"label", r.Label, maxLabel}} {
		reason := textReason(name.value)
		if len(name.value) > name.max {
			reason = fmt.Sprintf("has more than %d characters", name.max)
		}
		if reason != "" {
			return &ValueError{Field: name.field, Value: name.value, Reason: reason}
		}
	}
	if r.NotTagged && r.Tagged == "" {
		return &ValueError{Field: "tagged", Value: "", Reason: "which tag the packet must not have"}
	}
	return nil
}

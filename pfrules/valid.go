package pfrules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// validate returns a *ValueError for what the dialect refuses, or reads as
// something else than the rule says. Names are another matter: see validNames.
func (r Rule) validate(d Dialect) error {
	if r.Action.String() == "" {
		return &ValueError{Field: "action", Value: strconv.Itoa(int(r.Action)), Reason: "a rule must pass, block or match"}
	}
	if r.Action == Match && d != OpenBSD {
		return &ValueError{Field: "action", Value: "match", Reason: d.String() + " has no match rules, or not in all releases"}
	}
	if r.Direction != 0 && r.Direction.String() == "" {
		return &ValueError{Field: "direction", Value: strconv.Itoa(int(r.Direction)), Reason: "is not In, Out or zero"}
	}
	if r.Family != 0 && r.Family.String() == "" {
		return &ValueError{Field: "family", Value: strconv.Itoa(int(r.Family)), Reason: "is not Inet, Inet6 or zero"}
	}
	return cmp.Or(r.validRoute(d), r.validPorts(), r.validFlags(), r.validFamily(), r.validICMP(), r.validState(d))
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
	case r.Direction == 0 && (d != OpenBSD || r.Route.Kind != DupTo):
		return refuse("a rule with a route option needs a direction")
	case d == OpenBSD && r.Action != Pass:
		return refuse("OpenBSD has route options on pass rules only, not on block and match")
	case d == OpenBSD && r.State == NoState:
		return refuse("OpenBSD has route options with state only")
	case r.Route.Iface == "" && d != OpenBSD:
		return refuse(d.String() + " needs the interface beside the gateway")
	case r.Route.Iface == "" && !gw.IsValid():
		return refuse("needs a gateway")
	}
	return nil
}

func (r Rule) validFlags() error {
	reason := ""
	switch {
	case r.Flags == "" || r.Flags == "any":
	case !validFlags(r.Flags):
		reason = `is neither "any" nor flags such as S/SA`
	case r.Protos != nil && !slices.Contains(r.Protos, "tcp"):
		reason = "flags only apply to tcp"
	}
	if reason != "" {
		return &ValueError{Field: "flags", Value: r.Flags, Reason: reason}
	}
	return nil
}

func (r Rule) validPorts() error {
	for i, peer := range []Peer{r.From, r.To} {
		field := []string{"from port", "to port"}[i]
		for _, port := range peer.Ports {
			reason := port.reason()
			if reason == "" && (r.Protos == nil || slices.ContainsFunc(r.Protos, func(p string) bool { return p != "tcp" && p != "udp" })) {
				reason = "a port needs proto tcp, udp or both, and no other"
			}
			if reason != "" {
				return &ValueError{Field: field, Value: port.text(), Reason: reason}
			}
		}
	}
	return nil
}

// reason says what is wrong with a port, "" if nothing.
func (p Port) reason() string {
	switch {
	case p.Op.String() == "":
		return "is no comparison of ports"
	case p.Op >= PortNot && p.Op <= PortAtLeast && p.Last != 0:
		return "this comparison has one port"
	case p.Op == PortRange && p.Last != 0 && p.First > p.Last, intervals([]Port{p}) == nil:
		return "holds no port"
	case p.Op == PortOutside && p.First > p.Last:
		return "holds all ports"
	}
	return ""
}

func (r Rule) validICMP() error {
	reason := ""
	switch {
	case r.ICMPTypes == nil:
	case len(r.Protos) != 1 || r.Protos[0] != "icmp" && r.Protos[0] != "icmp6":
		reason = "needs proto icmp or icmp6, and no other"
	case r.certainFamilies() == 0:
		reason = "needs an address family"
	}
	if reason != "" {
		return &ValueError{Field: "icmp-type", Value: strings.Join(r.ICMPTypes, " "), Reason: reason}
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
	case r.State == NoState && d == NetBSD && r.Tag+r.Tagged != "":
		return &ValueError{Field: "tag", Value: r.Tag + r.Tagged, Reason: "NetBSD has tags on pass rules with state only"}
	case r.NotTagged && r.Tagged == "":
		return &ValueError{Field: "tagged", Value: "", Reason: "which tag the packet must not have"}
	}
	return nil
}

// Lengths that pfctl allows, from net/if.h and net/pfvar.h, without the final NUL.
const (
	maxIface = 15
	maxTable = 31
	maxTag   = 63
	maxLabel = 63
)

// validNames returns a *ValueError for a text that we do not write. pf takes more
// than this, but some of it only in quotes, or differently in each dialect.
func (r Rule) validNames(d Dialect) error {
	check := func(field, value, reason string) error {
		if reason == "" {
			return nil
		}
		return &ValueError{Field: field, Value: value, Reason: reason}
	}
	for _, i := range r.Ifaces {
		if err := check("on", i.Name, ifaceReason(i.Name)); err != nil {
			return err
		}
	}
	if r.Route.Iface != "" {
		if err := check("route", r.Route.Iface, ifaceReason(r.Route.Iface)); err != nil {
			return err
		}
	}
	gw := r.Route.Gateway
	if gw.Is4In6() {
		return check("gateway", gw.String(), "is an IPv4 address in IPv6 form: write "+gw.Unmap().WithZone("").String())
	}
	if gw.Zone() != "" {
		if err := check("gateway", gw.String(), ifaceReason(gw.Zone())); err != nil {
			return err
		}
	}
	for _, proto := range r.Protos {
		if err := check("proto", proto, protoReason(proto)); err != nil {
			return err
		}
	}
	for i, peer := range []Peer{r.From, r.To} {
		field := []string{"from", "to"}[i]
		for _, h := range peer.Hosts {
			if err := check(field, h.text(), h.reason()); err != nil {
				return err
			}
		}
	}
	for _, text := range r.ICMPTypes {
		if !readsAs(d, text, (*parser).icmpType) {
			return check("icmp-type", text, `is not "TYPE" or "TYPE code CODE"`)
		}
	}
	for _, text := range r.StateOptions {
		if !readsAs(d, text, (*parser).stateOption) {
			return check("state option", text, "is no state option of "+d.String()+", written as in pf.conf(5)")
		}
	}
	for _, name := range []struct {
		field, value string
		max          int
	}{{"tag", r.Tag, maxTag}, {"tagged", r.Tagged, maxTag}, {"label", r.Label, maxLabel}} {
		reason := textReason(name.value)
		if len(name.value) > name.max {
			reason = fmt.Sprintf("has more than %d characters", name.max)
		}
		if err := check(name.field, name.value, reason); err != nil {
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

// isBareName reports whether it can also be no number and no keyword.
func isBareName(s string) bool { return isName(s) && isLetter(rune(s[0])) && !anyKeyword(s) }

func ifaceReason(name string) string {
	switch {
	case !isBareName(name):
		return "is no name of an interface: use letters, digits, _, - and ., a letter first"
	case len(name) > maxIface:
		return fmt.Sprintf("is longer than %d bytes", maxIface)
	}
	return ""
}

func protoReason(proto string) string {
	if strings.Trim(proto, "0123456789") != "" {
		if !isName(proto) || anyKeyword(proto) {
			return "is not the name of a protocol"
		}
	} else if n, err := strconv.ParseUint(proto, 10, 8); err != nil || n == 0 || proto[0] == '0' {
		return "is not the number of a protocol, 1 to 255"
	}
	return ""
}

// reason says what is wrong with a host, "" if nothing.
func (h Host) reason() string {
	one := Host{Not: h.Not}
	switch {
	case h.Prefix.IsValid():
		one.Prefix = h.Prefix
	case h.Table != "":
		one.Table = h.Table
	case h.Iface != "":
		one.Iface = h.Iface
	default:
		one.Name = h.Name
	}
	name, modifiers, colon := strings.Cut(h.Iface+h.Name, ":")
	switch {
	case h != one:
		return "a host has exactly one of Prefix, Table, Iface and Name"
	case h.Prefix.IsValid():
		return ""
	case h.Table != "" && !isBareName(h.Table):
		return "is not the name of a table"
	case len(h.Table) > maxTable:
		return fmt.Sprintf("the name of a table has at most %d characters", maxTable)
	case h.Table != "":
		return ""
	case h.Iface != "" && ifaceReason(name) != "":
		return ifaceReason(name)
	case !isBareName(name):
		return "is not the name of a host or an interface"
	case colon:
		return modifierReason(modifiers)
	}
	return ""
}

// modifierReason says what is wrong with the modifiers of an interface, such as
// "network:0"; "" if nothing.
func modifierReason(modifiers string) string {
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

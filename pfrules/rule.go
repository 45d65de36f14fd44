package pfrules

import "net/netip"

// A Rule is one pass, block or match rule. A field's zero value leaves that part
// out, except that there must be an Action. A list matches what any of its
// elements matches.
type Rule struct {
	// Action is what happens to a packet.
	Action Action
	// Direction is In or Out; zero is both. A rule with a Route needs one.
	Direction Direction
	// Log sends the packet that makes the state to pflog.
	Log bool
	// Quick ends the evaluation: no later rule is looked at. Without it the last
	// rule that matches decides.
	Quick bool
	// Ifaces are the interfaces or groups that the packet passes; none is all.
	Ifaces []Iface
	// Route says where the packet, or the answer to it, is sent; the zero Route
	// leaves that to the routing table.
	Route Route
	// Family is Inet or Inet6; zero is both, unless an address or the gateway of
	// the Route is of one family.
	Family Family
	// Protos are protocols, as names of /etc/protocols or numbers; none is all.
	Protos []string
	// From is where the packet comes from.
	From Peer
	// To is where it goes.
	To Peer
	// Flags are the TCP flags, "S/SA" or "any". Empty is pf's default: S/SA for a
	// pass rule that keeps state, any flags else.
	Flags string
	// ICMPTypes are types of the one protocol icmp or icmp6, each with or without
	// a code: "echoreq", "unreach code needfrag". They need a known family.
	ICMPTypes []string
	// AllowOpts lets packets with IP options pass.
	AllowOpts bool
	// State is what a pass rule remembers of a connection; zero is keep state.
	State State
	// StateOptions are the options in parentheses after the state, each as in
	// pf.conf(5): "max-src-conn 10", "overload <bad> flush global".
	StateOptions []string
	// Tag marks the packets.
	Tag string
	// Tagged restricts the rule to packets that an earlier rule has marked.
	Tagged string
	// NotTagged makes it all packets but those.
	NotTagged bool
	// Label names the rule in statistics; pf expands $if, $proto and so on in it.
	Label string
}

// An Action is pass, block or match. The zero value is none.
type Action int

// The actions. Block follows "set block-policy"; the two after it do not.
const (
	Pass Action = iota + 1
	Block
	BlockDrop   // silently
	BlockReturn // with a TCP reset or an ICMP message
	Match       // changes the packet, decides nothing; OpenBSD
)

var actionWords = [...]string{Pass: "pass", Block: "block", BlockDrop: "block drop", BlockReturn: "block return", Match: "match"}

// String returns the words of pf.conf(5), such as "block return".
func (a Action) String() string { return wordOf(actionWords[:], int(a)) }

// A Direction is in or out. The zero value is both.
type Direction int

// The directions, as seen from the machine.
const (
	In Direction = iota + 1
	Out
)

var directionWords = [...]string{In: "in", Out: "out"}

// String returns "in", "out" or "".
func (d Direction) String() string { return wordOf(directionWords[:], int(d)) }

// A Family is an address family. The zero value is both.
type Family int

// The families.
const (
	Inet  Family = iota + 1 // IPv4
	Inet6                   // IPv6
)

var familyWords = [...]string{Inet: "inet", Inet6: "inet6"}

// String returns "inet", "inet6" or "".
func (f Family) String() string { return wordOf(familyWords[:], int(f)) }

// A State is what a pass rule remembers. The zero value is keep state, which pf
// implies for every pass rule (and S/SA with it for TCP). Block and match rules
// have none, and leave it zero.
type State int

// The states.
const (
	KeepState     State = iota
	NoState             // each packet is judged on its own, answers too
	ModulateState       // better sequence numbers for TCP
	SynproxyState       // pf completes the TCP handshake first
)

var stateWords = [...]string{"keep state", "no state", "modulate state", "synproxy state"}

// String returns the words of pf.conf(5), such as "keep state".
func (s State) String() string { return wordOf(stateWords[:], int(s)) }

// wordOf returns "" for a value that has no word.
func wordOf(words []string, i int) string {
	if i < 0 || i >= len(words) {
		return ""
	}
	return words[i]
}

// An Iface is an interface (wg0) or a group of interfaces (egress, wg).
type Iface struct {
	// Name has at most 15 characters.
	Name string
	// Not is every interface but this.
	Not bool
}

// A Route is one of route-to, reply-to and dup-to.
type Route struct {
	// Kind is zero for no route option at all.
	Kind RouteKind
	// Iface is the interface that packets leave through. NetBSD and FreeBSD need
	// it. OpenBSD does not write it beside a Gateway: there the routing table
	// says which interface leads to the gateway, and ParseRule leaves it empty.
	Iface string
	// Gateway is the next hop on Iface. It narrows the rule to its family, which
	// ParseRule and Format then say if the rule does not. The zero Addr is the far
	// end of a point-to-point Iface, written "reply-to wg0" or, on OpenBSD,
	// "reply-to (wg0:peer)". A link-local one may have its zone: fe80::1%wg0.
	Gateway netip.Addr
}

// A RouteKind is which of the route options. The zero value is none.
type RouteKind int

// The route options.
const (
	ReplyTo RouteKind = iota + 1 // answers to what came in go to the gateway
	RouteTo                      // packets go to the gateway
	DupTo                        // copies of the packets go to the gateway
)

var routeWords = [...]string{ReplyTo: "reply-to", RouteTo: "route-to", DupTo: "dup-to"}

// String returns "reply-to", "route-to", "dup-to" or "".
func (k RouteKind) String() string { return wordOf(routeWords[:], int(k)) }

// A Peer is one end of the packet's way. The zero value is any.
type Peer struct {
	// Hosts are the addresses; none is any.
	Hosts []Host
	// Ports need the protocols tcp or udp; none is any.
	Ports []Port
}

// A Host is an address, or a name for some. Exactly one of Prefix, Table, Iface
// and Name is set.
type Host struct {
	// Not is every address but these.
	Not bool
	// Prefix is a network, or one address with its full length.
	Prefix netip.Prefix
	// Table is the name of a table, without <>.
	Table string
	// Iface stands for the addresses that an interface has at any time, written
	// in parentheses. It may have modifiers: "wg0", "wg0:network", "wg0:0".
	Iface string
	// Name is what pfctl turns into addresses when it loads the file: a host
	// name, "self", or an interface without parentheses, with modifiers.
	Name string
}

// A Port is a set of ports. pf compares them as Op says.
type Port struct {
	// Op is how First and Last are meant; zero is all from First to Last.
	Op PortOp
	// First is the port, or the lower end.
	First uint16
	// Last is the upper end, for PortRange, PortBetween and PortOutside. In a
	// PortRange 0 means First. The others leave it 0.
	Last uint16
}

// A PortOp is a comparison of ports.
type PortOp int

// The comparisons.
const (
	PortRange   PortOp = iota // 80, or 80:90 with both ends
	PortNot                   // != 80
	PortBelow                 // < 80
	PortAtMost                // <= 80
	PortAbove                 // > 80
	PortAtLeast               // >= 80
	PortBetween               // 80 >< 90, without the ends
	PortOutside               // 80 <> 90, neither between nor at the ends
)

var portWords = [...]string{":", "!=", "<", "<=", ">", ">=", "><", "<>"}

// String returns the operator of pf.conf(5), ":" for PortRange.
func (o PortOp) String() string { return wordOf(portWords[:], int(o)) }

// ReplyVia returns the rule that passes what comes in through iface and sends
// the answers back through it to gw, whatever the default route is:
//
//	pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any
//
// Its family is gw's, so a host that answers in both needs two. The zero gw is
// the far end of a point-to-point iface, in both families. Without protos it
// holds for all protocols. It lets in everything that it matches: narrow To for
// less.
//
// It is not Quick. Any later rule that matches the packet, also a plain pass,
// takes the answers away from it, and so does a quick rule above. Put it at
// [FilterEnd], or set Quick and put it at [FilterStart]; [File.Check] tells if
// another rule makes it dead.
func ReplyVia(iface string, gw netip.Addr, protos ...string) Rule {
	return Rule{
		Action:    Pass,
		Direction: In,
		Ifaces:    []Iface{{Name: iface}},
		Route:     Route{Kind: ReplyTo, Iface: iface, Gateway: gw},
		Family:    familyWord(gw),
		Protos:    protos,
	}
}

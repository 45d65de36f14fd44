package natfwd

import (
	"net/netip"
)

// A Set is the forwards that are managed together, under a name.
type Set struct {
	// Name distinguishes the set from others on the same router: 1 to 16 of
	// [A-Za-z0-9_-], the first no "-". Its chains are called after it.
	Name string

	// Forwards are what is forwarded. None: the set forwards nothing; a set with
	// nothing but a name plans its own removal.
	Forwards []Forward

	// Masquerade are the interfaces out of which packets leave with the router's
	// own address, so that machines behind it reach the world. It is done in the
	// families in which the set forwards something; where it forwards nothing, in
	// IPv4.
	Masquerade []string

	// Hairpin makes the forwards work for who is behind the router too: a packet
	// to a forward's Dst (or, where it has none, to any of the router's own
	// addresses) is forwarded whatever interface it comes in by. Connections of a
	// target to itself are masqueraded, without which they would not be answered.
	Hairpin bool

	// HairpinFrom are networks on the same link as the targets, whose machines
	// would be answered directly and not through the router: with Hairpin, their
	// connections to the targets are masqueraded as well.
	HairpinFrom []netip.Prefix

	// Local makes the forwards work for programs on the router itself, when they
	// connect to a forward's Dst (or, where it has none, to any of the router's
	// own addresses but loopback).
	Local bool
}

// A Forward sends what arrives for some ports to a machine behind the router.
type Forward struct {
	Proto Proto

	// Iface is the interface by which packets arrive, such as "ens5". It may be
	// empty if Dst is given: without both, what the machines behind the router
	// send to the same ports of anybody would be forwarded as well.
	Iface string

	// Ports are what is forwarded. At least one.
	Ports []PortRange

	// Dst are the router's own addresses to which packets must be sent. None: any,
	// which is in conflict with rules of others for any other address, such as those
	// that Kubernetes makes for each service.
	// Behind a cloud's address translation packets arrive for the private address.
	Dst []netip.Addr

	// To is the machine that gets them: one address for each family.
	To []netip.Addr

	// ToPort is the port that they go to. 0 keeps the port. A range of ports keeps
	// its order, and begins at ToPort.
	ToPort uint16

	// From are the sources that are forwarded. None: everybody.
	From []netip.Prefix
}

// A Proto is a transport protocol.
type Proto string

// The protocols that have ports to forward.
const (
	TCP Proto = "tcp"
	UDP Proto = "udp"
)

// A PortRange is the ports from First to Last, both included. A Last of 0 means
// First.
type PortRange struct{ First, Last uint16 }

// A Family is a version of the Internet Protocol. The zero value is IPv4.
type Family int

// The two families.
const (
	IPv4 Family = iota
	IPv6
)

// String returns "IPv4" or "IPv6".
func (f Family) String() string {
	if f == IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

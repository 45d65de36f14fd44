package wgpeer

import (
	"net/netip"
	"time"
)

// An Interface is one end of a tunnel as that end sees it: what a file of wg(8) or
// wg-quick(8) says, and what a live device is to be.
type Interface struct {
	// Iface is the device's name, such as "wg0": at most 15 bytes.
	Iface string

	// PrivateKey is the end's own. Zero: it is not known here. A live device keeps
	// the key it has; a file refers to KeyFile.
	PrivateKey PrivateKey

	// KeyFile is the absolute path of the file that holds the private key on the
	// machine itself, as "wg genkey" writes it. It is used where PrivateKey is zero.
	KeyFile string

	// PublicKey is that of the private key, which need not be known here. Zero: not
	// known either. A device with another one is refused. Where only PrivateKey is
	// given, a device gets it whatever it had.
	PublicKey PublicKey

	// Addresses are the device's own, with the lengths of the networks' prefixes.
	// Only wg-quick and ifupdown know them: they are no part of a live device here.
	Addresses []netip.Prefix

	// ListenPort is the UDP port. 0: the kernel chooses one; a live device keeps the
	// one that it has.
	ListenPort uint16

	// FwMark marks the packets of the tunnel itself. 0: none; a live device keeps
	// the one that it has, which may be from wg-quick for a default route.
	FwMark int

	// MTU in bytes. 0: the program that makes the device decides. Not part of a
	// live device here.
	MTU int

	// Peers are the other ends, in the order in which a file has them.
	Peers []Peer
}

// A Peer is another end as an interface sees it.
type Peer struct {
	// Name is for people: a file has it as a comment before the peer's keys.
	Name string

	// Heartbeat is how often something passes besides our own Keepalive, such as the
	// peer's, so that an old handshake means that it is gone. 0: nothing has to. Only
	// Health asks; no file has it.
	Heartbeat time.Duration

	PublicKey PublicKey

	// PresharedKey is a second secret that both ends share. Zero: none.
	PresharedKey PresharedKey

	// Endpoint is where the peer is reached, "address:port", "[address]:port" or
	// "name:port". Empty: the peer has to speak first.
	Endpoint string

	// AllowedIPs are the addresses that the peer may use and that are sent to it.
	AllowedIPs []netip.Prefix

	// Keepalive is the time between packets that keep a path through an address
	// translator open, in whole seconds up to 65535. 0: off.
	Keepalive time.Duration
}

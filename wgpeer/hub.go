package wgpeer

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"
)

// A Hub is a router and the guests that have a tunnel to it. Both ends of every
// tunnel are made from it, so they cannot disagree.
type Hub struct {
	Router End
	Guests []End
}

// An End is one machine of a hub. Only its own files need its private key: for
// everybody else's the public one will do.
type End struct {
	// Name is for people and messages: letters, digits and "._-".
	Name string

	// Iface is the device's name on this machine. Empty: wg0.
	Iface string

	// PrivateKey is the end's own. Zero: it is not known here.
	PrivateKey PrivateKey

	// KeyFile is where the machine itself has its private key, used where PrivateKey
	// is zero: an absolute path.
	KeyFile string

	// PublicKey is that of the private key. Zero: it follows from PrivateKey.
	PublicKey PublicKey

	// PresharedKey is a second secret of a guest and the router. Zero: none. The
	// router itself has none.
	PresharedKey PresharedKey

	// Addresses are the device's own, with the lengths of the tunnel's prefixes. At
	// least one.
	Addresses []netip.Prefix

	// ListenPort is the UDP port. 0: the kernel chooses one, which will do for an end
	// that has no Endpoint.
	ListenPort uint16

	// Endpoint is where the other side reaches this end: "192.0.2.1:51820",
	// "[2001:db8::1]:51820" or "name:51820". Empty: it cannot, and this end has to
	// speak first.
	Endpoint string

	// AllowedIPs are the source addresses that the other side takes from this end,
	// and the destinations that it sends to it. Nil: this end's Addresses, each as
	// one address, and nothing else. A router that forwards what comes from anywhere
	// needs 0.0.0.0/0 and ::/0 here, since clients keep their addresses on the way.
	AllowedIPs []netip.Prefix

	// Keepalive is the time between packets that this end sends when there is nothing
	// to say, so that a translator of addresses in front of it keeps the path open:
	// whole seconds up to 65535. 0: off.
	Keepalive time.Duration

	// PingJob says that this guest, which has no keepalive, runs [Hub.PingJob] instead.
	PingJob bool

	// MTU of the device in bytes. 0: the program that makes the device decides.
	MTU int
}

// all returns the router and then the guests.
func (h Hub) all() []End { return append([]End{h.Router}, h.Guests...) }

// Interface returns one end's view of the hub: the router has every guest as a peer,
// a guest has the router. The error is Validate's, or wraps [os.ErrNotExist] if no
// end has the name.
func (h Hub) Interface(name string) (Interface, error) {
	if err := h.Validate().Err(); err != nil {
		return Interface{}, err
	}
	end, err := h.end(name)
	if err != nil {
		return Interface{}, err
	}
	i := Interface{
		Iface:      end.iface(),
		PrivateKey: end.PrivateKey,
		KeyFile:    end.KeyFile,
		PublicKey:  end.publicKey(),
		Addresses:  slices.Clone(end.Addresses),
		ListenPort: end.ListenPort,
		MTU:        end.MTU,
	}
	if name != h.Router.Name {
		i.Peers = []Peer{h.Router.peer(end, end.PresharedKey)}
		return i, nil
	}
	for _, guest := range h.Guests {
		i.Peers = append(i.Peers, guest.peer(h.Router, guest.PresharedKey))
	}
	return i, nil
}

func (h Hub) end(name string) (End, error) {
	for _, end := range h.all() {
		if end.Name == name {
			return end, nil
		}
	}
	return End{}, fmt.Errorf("%q: no such end of the hub: %w", name, os.ErrNotExist)
}

// peer is the end as the other side sees it.
func (e End) peer(other End, shared PresharedKey) Peer {
	return Peer{
		Name:         e.Name,
		Heartbeat:    e.heartbeat(other),
		PublicKey:    e.publicKey(),
		PresharedKey: shared,
		Endpoint:     e.Endpoint,
		AllowedIPs:   canonical(e.allowed()),
		Keepalive:    other.Keepalive,
	}
}

// heartbeat is how often something passes besides the other end's keepalive.
func (e End) heartbeat(other End) time.Duration {
	ping := e.PingJob || other.PingJob
	if ping && (e.Keepalive == 0 || e.Keepalive > time.Minute) {
		return time.Minute
	}
	return e.Keepalive
}

func (e End) iface() string {
	if e.Iface == "" {
		return "wg0"
	}
	return e.Iface
}

func (e End) publicKey() PublicKey {
	return Interface{PrivateKey: e.PrivateKey, PublicKey: e.PublicKey}.publicKey()
}

func (e End) allowed() []netip.Prefix {
	if e.AllowedIPs != nil {
		return e.AllowedIPs
	}
	var hosts []netip.Prefix
	for _, p := range e.Addresses {
		hosts = append(hosts, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
	}
	return hosts
}

// PingJob returns the line of the guest's crontab(5) that keeps its path to the
// router open where WireGuard itself cannot, as on NetBSD: every minute a ping(8) to
// the router's first address in the tunnel. The error wraps [os.ErrNotExist] if no
// guest has the name, or is a [*ValueError] if the router has no address.
func (h Hub) PingJob(name string) (string, error) {
	if !slices.ContainsFunc(h.Guests, func(e End) bool { return e.Name == name }) {
		return "", fmt.Errorf("%q: no such guest of the hub: %w", name, os.ErrNotExist)
	}
	if len(h.Router.Addresses) == 0 || !h.Router.Addresses[0].IsValid() {
		return "", &ValueError{Field: "Address", Value: h.Router.Name, Reason: "the router has none to ping"}
	}
	return pingJob(h.Router), nil
}

func pingJob(router End) string {
	addr := router.Addresses[0].Addr()
	ping := "/sbin/ping"
	if addr.Is6() {
		ping = "/sbin/ping6"
	}
	return fmt.Sprintf("* * * * * %s -n -c 1 %s >/dev/null 2>&1", ping, addr)
}

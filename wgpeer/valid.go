package wgpeer

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of an MTU. The least are those of the protocols inside the tunnel (RFC
// 791 and RFC 8200); the most is what an IP packet holds, less the 80 bytes that
// WireGuard and the packet around it take.
const (
	minMTU4   = 576
	minMTU6   = 1280
	maxMTU    = 65535 - overhead
	overhead  = 80
	usualMTU  = 1500 - overhead
	maxSecs   = 65535 // a keepalive has 16 bits
	maxIface  = 15    // IFNAMSIZ less the final NUL
	maxFwMark = 1<<32 - 1
)

var (
	// ifaceName leaves out what the kernel allows and a shell, sysctl or a file's
	// name would read as something else.
	ifaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

	// endName is a Hub's name for a machine.
	endName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

	// filePath is a path that reads the same in a shell, in wg-quick's PostUp, where
	// % stands for the device, and in ifupdown, where a backslash joins lines.
	filePath = regexp.MustCompile(`^/[A-Za-z0-9/._+@:-]*[A-Za-z0-9._+@:-]$`)
)

// valid refuses with a *ValueError what no file can hold or no device would take as
// it is meant.
func (i Interface) valid() error {
	if err := validIface(i.Iface); err != nil {
		return err
	}
	if i.KeyFile != "" && !filePath.MatchString(i.KeyFile) {
		return &ValueError{Field: "KeyFile", Value: i.KeyFile, Reason: "must be an absolute path of letters, digits and /._+@:-"}
	}
	if !i.PrivateKey.IsZero() && i.PublicKey != (PublicKey{}) && i.PrivateKey.Public() != i.PublicKey {
		return &ValueError{Field: "PublicKey", Value: i.PublicKey.String(), Reason: "is not that of the private key"}
	}
	for _, p := range i.Addresses {
		if err := validPrefix("Address", p); err != nil {
			return err
		}
	}
	if err := validMTU(i.MTU, hasFamily(i.Addresses, netip.Addr.Is6)); err != nil {
		return err
	}
	if int64(i.FwMark) < 0 || int64(i.FwMark) > maxFwMark {
		return &ValueError{Field: "FwMark", Value: strconv.Itoa(i.FwMark), Reason: "must have 32 bits"}
	}
	return i.validPeers()
}

func (i Interface) validPeers() error {
	own := i.publicKey()
	seen := make(map[PublicKey]bool, len(i.Peers))
	for _, p := range i.Peers {
		if err := p.valid(); err != nil {
			return err
		}
		if p.PublicKey == own {
			return ownKey(p)
		}
		if seen[p.PublicKey] {
			return &ValueError{Field: "PublicKey", Value: p.PublicKey.String(), Reason: "two peers have it"}
		}
		seen[p.PublicKey] = true
	}
	return disjoint(i.Peers)
}

// publicKey is the end's own as far as it is known.
func (i Interface) publicKey() PublicKey {
	if i.PublicKey == (PublicKey{}) && !i.PrivateKey.IsZero() {
		return i.PrivateKey.Public()
	}
	return i.PublicKey
}

// ownKey is what a device would ignore without a word.
func ownKey(p Peer) error {
	return &ValueError{Field: "PublicKey", Value: p.PublicKey.String(), Reason: "is the device's own: it is no peer of itself"}
}

func (p Peer) valid() error {
	if p.PublicKey == (PublicKey{}) {
		return &ValueError{Field: "PublicKey", Value: p.Name, Reason: "the peer has none"}
	}
	if strings.ContainsFunc(p.Name, unicode.IsControl) || !utf8.ValidString(p.Name) {
		return &ValueError{Field: "Name", Value: p.Name, Reason: "a comment is one line of text"}
	}
	if p.Endpoint != "" {
		if _, err := parseEndpoint(p.Endpoint); err != nil {
			return err
		}
	}
	for _, prefix := range p.AllowedIPs {
		if err := validPrefix("AllowedIPs", prefix); err != nil {
			return err
		}
	}
	return validKeepalive(p.Keepalive)
}

func validIface(name string) error {
	reason := ""
	switch {
	case len(name) > maxIface:
		reason = "is longer than 15 bytes"
	case !ifaceName.MatchString(name):
		reason = "is no name of an interface: use letters, digits, _, - and ., a letter or digit first"
	case name == "all" || name == "default":
		reason = "is sysctl's word for more than one device"
	default:
		return nil
	}
	return &ValueError{Field: "Iface", Value: name, Reason: reason}
}

func validPrefix(field string, p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return &ValueError{Field: field, Value: p.String(), Reason: "is no prefix"}
	case p.Addr().Is4In6():
		return &ValueError{Field: field, Value: p.String(), Reason: "is IPv4 written as IPv6"}
	case field == "Address" && (isDefault(p) || p.Addr().IsUnspecified() || p.Addr().IsMulticast()):
		return &ValueError{Field: field, Value: p.String(), Reason: "is no address of one machine"}
	}
	return nil
}

func validMTU(mtu int, ipv6 bool) error {
	least := minMTU4
	if ipv6 {
		least = minMTU6
	}
	if mtu != 0 && (mtu < least || mtu > maxMTU) {
		return &ValueError{Field: "MTU", Value: strconv.Itoa(mtu), Reason: fmt.Sprintf("must be from %d to %d", least, maxMTU)}
	}
	return nil
}

func validKeepalive(d time.Duration) error {
	if d < 0 || d%time.Second != 0 || d > maxSecs*time.Second {
		return &ValueError{Field: "PersistentKeepalive", Value: d.String(), Reason: "must be whole seconds, at most 65535"}
	}
	return nil
}

// hasFamily reports whether a prefix is of the family: Is4 or Is6.
func hasFamily(prefixes []netip.Prefix, family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return family(p.Addr()) })
}

// A claim is a prefix that a peer has.
type claim struct {
	prefix netip.Prefix
	peer   int
}

// disjoint refuses prefixes that lie in another peer's. Of two equal ones the device
// gives the last peer both; one within another takes addresses away from it. Only a
// default route may hold others' prefixes: it means what is left.
func disjoint(peers []Peer) error {
	var claims []claim
	for i, p := range peers {
		for _, prefix := range p.prefixes() {
			claims = append(claims, claim{prefix, i})
		}
	}
	// In this order a prefix follows all that hold it, and those are a stack.
	slices.SortFunc(claims, func(a, b claim) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(a.peer, b.peer))
	})
	var around []claim
	for _, c := range claims {
		for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(c.prefix) {
			around = around[:len(around)-1]
		}
		for _, outer := range around {
			if outer.peer != c.peer && collide(outer.prefix, c.prefix) {
				return overlap(c.prefix, peers[c.peer], outer.prefix, peers[outer.peer])
			}
		}
		around = append(around, c)
	}
	return nil
}

// collide reports whether two peers cannot both have these prefixes.
func collide(a, b netip.Prefix) bool {
	return a == b || a.Overlaps(b) && a.Bits() != 0 && b.Bits() != 0
}

func overlap(p netip.Prefix, peer Peer, q netip.Prefix, other Peer) error {
	return &ValueError{Field: "AllowedIPs", Value: p.String(), Reason: fmt.Sprintf("of peer %s overlaps %s of peer %s", peer.title(), q, other.title())}
}

// title is what messages call the peer.
func (p Peer) title() string {
	if p.Name != "" {
		return p.Name
	}
	return p.PublicKey.String()
}

// prefixes returns the AllowedIPs as a device has them: masked, each once, in order.
func (p Peer) prefixes() []netip.Prefix { return canonical(p.AllowedIPs) }

func canonical(prefixes []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.Masked()
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

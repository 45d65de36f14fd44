package wgpeer

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// A livePeer is a peer as a device has it, as far as a plan can change it.
type livePeer struct {
	preshared PresharedKey
	endpoint  netip.AddrPort // zero: none
	keepalive time.Duration
	prefixes  []netip.Prefix // canonical
}

// A peerChange is one peer before and after.
type peerChange struct {
	key   PublicKey
	name  string
	from  *livePeer // nil: it is added
	to    *livePeer // nil: it is removed
	again bool      // removed and added, which alone takes an endpoint away
}

// A wantedPeer is a peer as it should be.
type wantedPeer struct {
	Peer
	places []netip.AddrPort // all that Endpoint names
}

func (lookup resolver) wanted(ctx context.Context, p Peer) (wantedPeer, error) {
	w := wantedPeer{Peer: p}
	w.AllowedIPs = p.prefixes()
	if p.Endpoint == "" {
		return w, nil
	}
	var err error
	w.places, err = lookup.resolve(ctx, p.Endpoint)
	return w, err
}

func live(p wgtypes.Peer) *livePeer {
	l := &livePeer{preshared: presharedKey(p.PresharedKey), keepalive: p.PersistentKeepaliveInterval}
	if p.Endpoint != nil {
		at := p.Endpoint.AddrPort()
		l.endpoint = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	for _, n := range p.AllowedIPs {
		l.prefixes = append(l.prefixes, prefixOf(n))
	}
	l.prefixes = canonical(l.prefixes)
	return l
}

// change says what there is to do about the peer; ok is false if nothing. The device's
// peer is nil if there is none.
func (w wantedPeer) change(dev *wgtypes.Peer) (c peerChange, ok bool) {
	c = peerChange{key: w.PublicKey, name: w.Name}
	c.to = &livePeer{preshared: w.PresharedKey, keepalive: w.Keepalive, prefixes: w.AllowedIPs}
	if len(w.places) > 0 {
		c.to.endpoint = w.places[0]
	}
	if dev == nil {
		return c, true
	}
	c.from = live(*dev)
	switch {
	case slices.Contains(w.places, c.from.endpoint):
		c.to.endpoint = c.from.endpoint
	case w.Endpoint == "" && !dev.LastHandshakeTime.IsZero():
		c.to.endpoint = c.from.endpoint
	case w.Endpoint == "":
		c.again = c.from.endpoint.IsValid()
	}
	return c, c.from.endpoint != c.to.endpoint || !c.from.sameSettings(c.to)
}

// sameSettings compares all but the endpoint, which the peer itself can change.
func (l *livePeer) sameSettings(other *livePeer) bool {
	if l == nil || other == nil {
		return l == other
	}
	return l.preshared == other.preshared && l.keepalive == other.keepalive && slices.Equal(l.prefixes, other.prefixes)
}

// changes is the target of DiffPeer.
func (w wantedPeer) changes(dev *wgtypes.Device) (deviceChange, []peerChange, error) {
	if w.PublicKey == dev.PublicKey {
		return deviceChange{}, nil, ownKey(w.Peer)
	}
	var there *wgtypes.Peer
	for i, other := range dev.Peers {
		if other.PublicKey == w.PublicKey {
			there = &dev.Peers[i]
			continue
		}
		for _, n := range other.AllowedIPs {
			q := prefixOf(n)
			for _, p := range w.AllowedIPs {
				if collide(p, q) {
					return deviceChange{}, nil, overlap(p, w.Peer, q, Peer{PublicKey: other.PublicKey})
				}
			}
		}
	}
	if c, ok := w.change(there); ok {
		return deviceChange{}, []peerChange{c}, nil
	}
	return deviceChange{}, nil, nil
}

// removal is the target of DiffRemoval. A peer that is not there is removed.
func removal(key PublicKey) target {
	return func(dev *wgtypes.Device) (deviceChange, []peerChange, error) {
		for _, p := range dev.Peers {
			if p.PublicKey == key {
				return deviceChange{}, []peerChange{{key: key, from: live(p)}}, nil
			}
		}
		return deviceChange{}, nil, nil
	}
}

// A wholeDevice is a device as it should be. The interface is valid.
type wholeDevice struct {
	Interface
	peers []wantedPeer
}

// changes is the target of Diff.
func (w wholeDevice) changes(dev *wgtypes.Device) (deviceChange, []peerChange, error) {
	device, err := w.deviceChange(dev)
	if err != nil {
		return deviceChange{}, nil, err
	}
	there := make(map[PublicKey]*wgtypes.Peer, len(dev.Peers))
	for i := range dev.Peers {
		there[dev.Peers[i].PublicKey] = &dev.Peers[i]
	}
	var changes []peerChange
	for _, p := range w.peers {
		if p.PublicKey == cmp.Or(device.to.key, dev.PublicKey) {
			return deviceChange{}, nil, ownKey(p.Peer)
		}
		if c, ok := p.change(there[p.PublicKey]); ok {
			changes = append(changes, c)
		}
		delete(there, p.PublicKey)
	}
	for key, p := range there {
		changes = append(changes, peerChange{key: key, from: live(*p)})
	}
	return device, changes, nil
}

// A deviceChange is what changes on the device itself; what does not is zero in both.
type deviceChange struct {
	private  PrivateKey // zero: stays
	from, to deviceState
}

type deviceState struct {
	key          PublicKey // zero: none
	port, fwMark int
}

func (w wholeDevice) deviceChange(dev *wgtypes.Device) (deviceChange, error) {
	none := PublicKey{}
	has, known := dev.PublicKey, w.publicKey()
	// A device without a private key may report the public key of zeros.
	if dev.PrivateKey == (wgtypes.Key{}) && has == none.PublicKey() {
		has = none
	}
	var c deviceChange
	switch {
	case known == none || has == known:
	case has != none && w.PublicKey != none:
		return c, &ValueError{Field: "PublicKey", Value: has.String(), Reason: "is the device's, which is meant to have " + known.String()}
	case w.PrivateKey.IsZero():
		return c, &ValueError{Field: "PrivateKey", Reason: "the device has none, and it is not known here: set it with wg set, from its file"}
	default:
		c.private, c.from.key, c.to.key = w.PrivateKey, has, known
	}
	if w.ListenPort != 0 && int(w.ListenPort) != dev.ListenPort {
		c.from.port, c.to.port = dev.ListenPort, int(w.ListenPort)
	}
	if w.FwMark != 0 && w.FwMark != dev.FirewallMark {
		c.from.fwMark, c.to.fwMark = dev.FirewallMark, w.FwMark
	}
	return c, nil
}

func (c deviceChange) config() wgtypes.Config {
	var cfg wgtypes.Config
	if !c.private.IsZero() {
		cfg.PrivateKey = new(c.private.bytes())
	}
	if c.from.port != c.to.port {
		cfg.ListenPort = &c.to.port
	}
	if c.from.fwMark != c.to.fwMark {
		cfg.FirewallMark = &c.to.fwMark
	}
	return cfg
}

// config makes the peer as it should be. What it gains it gets beside what it has, so
// that nothing is lost on the way; what it loses it can only lose by having all
// replaced.
func (c peerChange) config() wgtypes.PeerConfig {
	cfg := wgtypes.PeerConfig{PublicKey: c.key, UpdateOnly: c.from != nil && !c.again}
	from := c.from
	if !cfg.UpdateOnly {
		from = &livePeer{}
		cfg.ReplaceAllowedIPs = true
	}
	if from.preshared != c.to.preshared {
		cfg.PresharedKey = new(c.to.preshared.bytes())
	}
	if from.keepalive != c.to.keepalive {
		cfg.PersistentKeepaliveInterval = &c.to.keepalive
	}
	if from.endpoint != c.to.endpoint && c.to.endpoint.IsValid() {
		cfg.Endpoint = net.UDPAddrFromAddrPort(c.to.endpoint)
	}
	lost, gained := difference(from.prefixes, c.to.prefixes)
	if len(lost) > 0 {
		cfg.ReplaceAllowedIPs = true
		gained = c.to.prefixes
	}
	for _, p := range gained {
		cfg.AllowedIPs = append(cfg.AllowedIPs, ipNet(p))
	}
	return cfg
}

// difference returns what is only in the first and only in the second of two canonical
// lists.
func difference(a, b []netip.Prefix) (onlyA, onlyB []netip.Prefix) {
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].Compare(b[0]); {
		case c < 0:
			onlyA, a = append(onlyA, a[0]), a[1:]
		case c > 0:
			onlyB, b = append(onlyB, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return append(onlyA, a...), append(onlyB, b...)
}

func (c deviceChange) write(b *strings.Builder) {
	field(b, "public-key", c.from.key, c.to.key)
	field(b, "listen-port", c.from.port, c.to.port)
	field(b, "fwmark", c.from.fwMark, c.to.fwMark)
}

func (c peerChange) write(b *strings.Builder) {
	sign, from, to := " ", c.from, c.to
	if from == nil {
		sign, from = "+", &livePeer{}
	}
	if to == nil {
		sign, to = "-", &livePeer{}
	}
	title := "peer " + c.key.String()
	if c.name != "" {
		title += " (" + c.name + ")"
	}
	if c.again {
		title += ", removed and added again"
	}
	b.WriteString(sign + title + "\n")
	field(b, "  preshared-key", from.preshared, to.preshared)
	field(b, "  endpoint", from.endpoint, to.endpoint)
	lost, gained := difference(from.prefixes, to.prefixes)
	for _, p := range lost {
		field(b, "  allowed-ips", p, netip.Prefix{})
	}
	for _, p := range gained {
		field(b, "  allowed-ips", netip.Prefix{}, p)
	}
	field(b, "  persistent-keepalive", int(from.keepalive/time.Second), int(to.keepalive/time.Second))
}

// field writes what a value was and what it will be; zero is none.
func field[T comparable](b *strings.Builder, name string, from, to T) {
	var none T
	if from != to && from != none {
		fmt.Fprintf(b, "-%s %v\n", name, from)
	}
	if from != to && to != none {
		fmt.Fprintf(b, "+%s %v\n", name, to)
	}
}

package wgpeer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// A Client reads and writes live devices: a *wgctrl.Client. Linux, FreeBSD and Windows
// let it do both, OpenBSD lets it read, and NetBSD's wg(4) it cannot reach; userspace
// devices it can everywhere. On FreeBSD wgctrl needs cgo. A device that is not there is [os.ErrNotExist].
type Client interface {
	Device(name string) (*wgtypes.Device, error)
	ConfigureDevice(name string, cfg wgtypes.Config) error
}

// A Plan is what is to change on one live device. Nothing has been changed yet.
type Plan struct {
	client Client
	iface  string
	target target
	device deviceChange
	peers  []peerChange // in order of their keys
}

// A target says how a device differs from what a plan works towards, without asking for
// names again.
type target func(*wgtypes.Device) (deviceChange, []peerChange, error)

// Diff compares the device with all of i but what no live device has, and plans to make
// it so: peers that i does not name are removed, see [Plan.Removes]. Peers that are as
// they should be are not touched, and those that change keep their counters and
// sessions. An endpoint that is a name may be any of its addresses; ctx bounds the time
// that is spent on asking for them. A peer without Endpoint keeps the one that it has if
// it ever shook hands, since that is where it is; if it never did, it is removed and
// added again, because WireGuard knows no other way.
//
// The error wraps [os.ErrNotExist] if there is no such device. It is a *[ValueError]
// if the device has another key than i.PublicKey, or for what the device would
// silently take as something else: prefixes of two peers that overlap (a default
// route may hold others'), or its own key as a peer.
func Diff(ctx context.Context, c Client, iface string, i Interface) (*Plan, error) {
	return resolver(net.DefaultResolver.LookupNetIP).diff(ctx, c, iface, i)
}

// DiffPeer compares one peer with p, and plans to add or change it. All others are
// left alone; p's prefixes must not overlap theirs. Otherwise it is like [Diff].
func DiffPeer(ctx context.Context, c Client, iface string, p Peer) (*Plan, error) {
	return resolver(net.DefaultResolver.LookupNetIP).diffPeer(ctx, c, iface, p)
}

// DiffRemoval plans to remove one peer. The error wraps [os.ErrNotExist] if the device
// or the peer is not there.
func DiffRemoval(ctx context.Context, c Client, iface string, key PublicKey) (*Plan, error) {
	p, err := newPlan(ctx, c, iface, removal(key))
	if err == nil && p.Empty() {
		return nil, fmt.Errorf("%s: peer %s: %w", iface, key, os.ErrNotExist)
	}
	return p, err
}

func (lookup resolver) diff(ctx context.Context, c Client, iface string, i Interface) (*Plan, error) {
	i.Iface = iface
	if err := i.valid(); err != nil {
		return nil, err
	}
	whole := wholeDevice{Interface: i}
	for _, p := range i.Peers {
		w, err := lookup.wanted(ctx, p)
		if err != nil {
			return nil, err
		}
		whole.peers = append(whole.peers, w)
	}
	return newPlan(ctx, c, iface, whole.changes)
}

func (lookup resolver) diffPeer(ctx context.Context, c Client, iface string, p Peer) (*Plan, error) {
	if err := p.valid(); err != nil {
		return nil, err
	}
	w, err := lookup.wanted(ctx, p)
	if err != nil {
		return nil, err
	}
	return newPlan(ctx, c, iface, w.changes)
}

func newPlan(ctx context.Context, c Client, iface string, t target) (*Plan, error) {
	p := &Plan{client: c, iface: iface, target: t}
	dev, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	if p.device, p.peers, err = t(dev); err != nil {
		return nil, fmt.Errorf("%s: %w", iface, err)
	}
	slices.SortFunc(p.peers, func(a, b peerChange) int { return strings.Compare(a.key.String(), b.key.String()) })
	return p, nil
}

func (p *Plan) read(ctx context.Context) (*wgtypes.Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dev, err := p.client.Device(p.iface)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", p.iface, err)
	}
	return dev, nil
}

// Empty reports whether the device is as it should be.
func (p *Plan) Empty() bool { return p.device.from == p.device.to && len(p.peers) == 0 }

// Removes lists the peers that are removed, in the order of their base64. A peer that
// is removed and added again is not among them.
func (p *Plan) Removes() []PublicKey {
	var keys []PublicKey
	for _, c := range p.peers {
		if c.to == nil {
			keys = append(keys, c.key)
		}
	}
	return keys
}

// String returns what changes, a line each with "-" for what is and "+" for what will
// be, under the device and the peer that it belongs to. It is the same for the same
// difference, whatever the order of peers, and shows no secret. It is "" if the plan is
// empty.
func (p *Plan) String() string {
	if p.Empty() {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, " interface %s\n", p.iface)
	p.device.write(&b)
	for _, c := range p.peers {
		c.write(&b)
	}
	return b.String()
}

// Apply changes the device as the plan says, in one call, and touches only the peers
// that change. It looks at the device again first. If there is nothing left to do, it
// does nothing; if something else is to be done than the plan says, or a setting that
// would be overwritten is not the one that it was, it returns [ErrStale]. What a device
// finds out by itself may have changed: the port that it chose, and where peers are. The
// call itself cannot be cancelled.
func Apply(ctx context.Context, p *Plan) error {
	if p.Empty() {
		return nil
	}
	now, err := newPlan(ctx, p.client, p.iface, p.target)
	if _, refused := errors.AsType[*ValueError](err); refused { // it was not when the plan was made
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	if err != nil || now.Empty() {
		return err
	}
	if !p.holds(now) {
		return fmt.Errorf("device %s: %w", p.iface, ErrStale)
	}
	if err := p.client.ConfigureDevice(p.iface, now.config()); err != nil {
		return fmt.Errorf("configure device %s: %w", p.iface, err)
	}
	return nil
}

// holds reports whether the plan that would be made now says the same.
func (p *Plan) holds(now *Plan) bool {
	return p.device.from.key == now.device.from.key && p.device.from.fwMark == now.device.from.fwMark &&
		slices.EqualFunc(p.peers, now.peers, func(a, b peerChange) bool { return a.from.sameSettings(b.from) }) &&
		reflect.DeepEqual(p.config(), now.config())
}

// config is the one call's argument. Removals come first: what they free, others get.
func (p *Plan) config() wgtypes.Config {
	cfg := p.device.config()
	for _, c := range p.peers {
		if c.from != nil && (c.to == nil || c.again) {
			cfg.Peers = append(cfg.Peers, wgtypes.PeerConfig{PublicKey: c.key, Remove: true})
		}
	}
	for _, c := range p.peers {
		if c.to != nil {
			cfg.Peers = append(cfg.Peers, c.config())
		}
	}
	return cfg
}

// prefixOf returns what a device's prefix is; its mask says of which family.
func prefixOf(n net.IPNet) netip.Prefix {
	ones, bits := n.Mask.Size()
	addr, _ := netip.AddrFromSlice(n.IP) // the zero Addr makes the zero Prefix
	if bits == 32 {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, ones).Masked()
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

package wgpeer

import (
	"maps"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/rehost/rehost/internal/lab"
)

// A fakeClient has one device, which takes a configuration as the kernel's does, with
// all that it accepts without a word. The contract tests hold it to that.
type fakeClient struct {
	name   string
	device wgtypes.Device
	peers  map[PublicKey]*wgtypes.Peer
	calls  []wgtypes.Config
}

func newFake(name string) *fakeClient {
	return &fakeClient{name: name, peers: map[PublicKey]*wgtypes.Peer{}}
}

func (f *fakeClient) Device(name string) (*wgtypes.Device, error) {
	if name != f.name {
		return nil, os.ErrNotExist
	}
	dev := f.device
	for p := range maps.Values(f.peers) { // in no order
		copied := *p
		copied.AllowedIPs = slices.Clone(p.AllowedIPs)
		dev.Peers = append(dev.Peers, copied)
	}
	return &dev, nil
}

func (f *fakeClient) ConfigureDevice(name string, cfg wgtypes.Config) error {
	if name != f.name {
		return os.ErrNotExist
	}
	f.calls = append(f.calls, cfg)
	if cfg.PrivateKey != nil {
		f.device.PrivateKey, f.device.PublicKey = *cfg.PrivateKey, cfg.PrivateKey.PublicKey()
		delete(f.peers, f.device.PublicKey)
	}
	if cfg.ListenPort != nil {
		f.device.ListenPort = *cfg.ListenPort
	}
	if cfg.FirewallMark != nil {
		f.device.FirewallMark = *cfg.FirewallMark
	}
	if cfg.ReplacePeers {
		clear(f.peers)
	}
	for _, c := range cfg.Peers {
		f.configurePeer(c)
	}
	return nil
}

func (f *fakeClient) configurePeer(c wgtypes.PeerConfig) {
	p, there := f.peers[c.PublicKey]
	switch {
	case c.Remove:
		delete(f.peers, c.PublicKey)
		return
	case c.PublicKey == f.device.PublicKey, !there && c.UpdateOnly:
		return
	case !there:
		p = &wgtypes.Peer{PublicKey: c.PublicKey}
		f.peers[c.PublicKey] = p
	}
	if c.PresharedKey != nil {
		p.PresharedKey = *c.PresharedKey
	}
	if c.Endpoint != nil {
		p.Endpoint = c.Endpoint
	}
	if c.PersistentKeepaliveInterval != nil {
		p.PersistentKeepaliveInterval = c.PersistentKeepaliveInterval.Truncate(time.Second)
	}
	if c.ReplaceAllowedIPs {
		p.AllowedIPs = nil
	}
	for _, n := range c.AllowedIPs {
		for _, other := range f.peers { // the last peer wins
			other.AllowedIPs = slices.DeleteFunc(other.AllowedIPs, func(have net.IPNet) bool { return prefixOf(have) == prefixOf(n) })
		}
		p.AllowedIPs = append(p.AllowedIPs, n)
	}
}

// onDevices runs a test on a fake device and on a real one in userspace, both fresh.
func onDevices(t *testing.T, test func(t *testing.T, c Client, iface string)) {
	t.Run("fake", func(t *testing.T) { test(t, newFake("wgdev"), "wgdev") })
	t.Run("userspace", func(t *testing.T) {
		test(t, startDevice(t, lab.NewHost(t, "wgdev"), "wgdev"), "wgdev")
	})
}

// startDevice makes a device in userspace, and the client for it.
func startDevice(t testing.TB, host lab.Host, iface string) Client {
	t.Helper()
	lab.StartWireGuard(t, host, iface)
	return realClient(t)
}

package wgpeer

import (
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"
)

// configPath is where wg-quick(8) looks for a device's file.
func (i Interface) configPath() string { return path.Join("/etc/wireguard", i.Iface+".conf") }

// WGQuick renders /etc/wireguard/IFACE.conf for wg-quick(8), which makes the device,
// its addresses and its routes: for a host whose tunnel systemd starts, as
// wg-quick@IFACE, or a person by hand. Where ifupdown is to do that, see
// [Interface.Setconf]: a host has one of the two, and the path is the same. A peer with
// a default route gets the answers to who came in over the old one as well: whoever is
// logged in that way is cut off.
//
// A *[ValueError] says what the file cannot hold, or that there is no private key.
func (i Interface) WGQuick() (Output, error) {
	if err := i.renderable(); err != nil {
		return Output{}, err
	}
	var b strings.Builder
	b.WriteString("[Interface]\n")
	if len(i.Addresses) > 0 {
		writeSetting(&b, "Address", list(i.Addresses))
	}
	if i.MTU != 0 {
		writeSetting(&b, "MTU", i.MTU)
	}
	i.wgSettings(&b)
	if i.PrivateKey.IsZero() {
		writeSetting(&b, "PostUp", "wg set %i private-key "+i.KeyFile)
	}
	i.wgPeers(&b)
	return i.config(&b), nil
}

// Setconf renders /etc/wireguard/IFACE.conf for "wg setconf", which knows keys, port
// and peers and nothing else: for a host where [Interface.Ifupdown] does the rest,
// or a script of one's own. Without PrivateKey such a file clears the device's key;
// the fragment of Ifupdown then sets it from KeyFile.
//
// A *[ValueError] says what the file cannot hold, or that there is no private key.
func (i Interface) Setconf() (Output, error) {
	if err := i.renderable(); err != nil {
		return Output{}, err
	}
	var b strings.Builder
	b.WriteString("[Interface]\n")
	i.wgSettings(&b)
	i.wgPeers(&b)
	return i.config(&b), nil
}

// Sysctl renders /etc/sysctl.d/60-IFACE.conf, with which a Linux router forwards the
// families of the device's addresses; "sysctl --system" or a boot reads it. A host
// that forwards IPv6 takes no more routes from router advertisements: if its own
// default route comes from one, as on many cloud instances, it needs
// net.ipv6.conf.UPLINK.accept_ra=2 as well. A *[ValueError] says that the
// device's name or an address is none.
func (i Interface) Sysctl() (Output, error) {
	if err := i.valid(); err != nil {
		return Output{}, err
	}
	var b strings.Builder
	if hasFamily(i.Addresses, netip.Addr.Is4) {
		b.WriteString("net.ipv4.ip_forward = 1\n")
	}
	if hasFamily(i.Addresses, netip.Addr.Is6) {
		b.WriteString("net.ipv6.conf.all.forwarding = 1\n")
	}
	return Output{Path: path.Join("/etc/sysctl.d", "60-"+i.Iface+".conf"), Mode: 0o644, Data: []byte(b.String())}, nil
}

// renderable refuses with a *ValueError what no file can hold, and a device that
// would have no key.
func (i Interface) renderable() error {
	if err := i.valid(); err != nil {
		return err
	}
	if i.PrivateKey.IsZero() && i.KeyFile == "" {
		return &ValueError{Field: "PrivateKey", Reason: i.Iface + " has none, and no file that holds it"}
	}
	return nil
}

// config is the file that holds the text. It may hold keys.
func (i Interface) config(text *strings.Builder) Output {
	return Output{Path: i.configPath(), Mode: 0o600, Data: []byte(text.String())}
}

// wgSettings writes what wg(8) knows of an interface.
func (i Interface) wgSettings(b *strings.Builder) {
	if !i.PrivateKey.IsZero() {
		writeSetting(b, "PrivateKey", i.PrivateKey.Reveal())
	}
	if i.ListenPort != 0 {
		writeSetting(b, "ListenPort", i.ListenPort)
	}
	if i.FwMark != 0 {
		writeSetting(b, "FwMark", fmt.Sprintf("%#x", i.FwMark))
	}
}

func (i Interface) wgPeers(b *strings.Builder) {
	for _, p := range i.Peers {
		b.WriteString("\n[Peer]\n")
		if p.Name != "" {
			b.WriteString("# " + p.Name + "\n")
		}
		writeSetting(b, "PublicKey", p.PublicKey)
		if !p.PresharedKey.IsZero() {
			writeSetting(b, "PresharedKey", p.PresharedKey.Reveal())
		}
		if p.Endpoint != "" {
			writeSetting(b, "Endpoint", p.Endpoint)
		}
		if len(p.AllowedIPs) > 0 { // an empty value is an error to wg
			writeSetting(b, "AllowedIPs", list(p.prefixes()))
		}
		if p.Keepalive != 0 {
			writeSetting(b, "PersistentKeepalive", int(p.Keepalive/time.Second))
		}
	}
}

func writeSetting(b *strings.Builder, key string, value any) { fmt.Fprintf(b, "%s = %v\n", key, value) }

func list(prefixes []netip.Prefix) string {
	words := make([]string, len(prefixes))
	for i, p := range prefixes {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}

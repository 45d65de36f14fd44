package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/wgpeer"
)

// prepare is phase 1: both ends of the tunnel, as far as their files go.
func (r *rehearsal) prepare(context.Context) error {
	r.tunnel(1)
	modules, err := r.file(1, r.Move.Guest.Name, "etc/modules.conf")
	if err == nil {
		err = loadsWireGuard(modules)
	}
	r.check("the guest loads wg(4) at every boot", "modules.conf read as rc.d/modules does", "", err)
	r.notTried("a handshake between both ends", "wg(4) and WireGuard of Linux", "it needs root on both machines")
	r.notTried("the guest has a system with wg(4)", "sysupgrade", "it needs a NetBSD; the runbook's steps do it")
	return nil
}

func loadsWireGuard(data []byte) error {
	f, err := netbsdcfg.ParseModules("modules.conf", data)
	if err != nil {
		return err
	}
	for m := range f.All() {
		if m.Name == "if_wg" {
			return nil
		}
	}
	return errors.New("there is no if_wg in modules.conf")
}

// tunnel compares what the two ends of the tunnel say of each other after a phase.
func (r *rehearsal) tunnel(phase int) {
	const check, how = "both ends of the tunnel agree: keys, endpoint, addresses", "wg0.conf read as wg does, ifconfig.wg0 as rc.d/network does"
	if r.Move.Tunnel.Guest.PublicKey == "" {
		r.notTried(check, how, "the guest's public key is not in the move file yet")
		return
	}
	router, err := r.routerEnd()
	if err != nil {
		r.check(check, how, "", err)
		return
	}
	guest, err := r.guestEnd(phase)
	if err != nil {
		r.check(check, how, "", err)
		return
	}
	r.check(check, how, fmt.Sprintf("the guest's peer is %s, which listens at %d", guest.endpoint, router.ListenPort), r.agree(router, guest))
}

func (r *rehearsal) routerEnd() (wgpeer.Interface, error) {
	name := "/etc/wireguard/" + r.Move.Tunnel.Iface + ".conf"
	data, err := r.file(1, r.Move.Router.Name, name)
	if err != nil {
		return wgpeer.Interface{}, err
	}
	f, err := wgpeer.Parse(name, data)
	if err != nil {
		return wgpeer.Interface{}, err
	}
	if err := f.Check().Err(); err != nil {
		return wgpeer.Interface{}, err
	}
	return f.Interface()
}

// A guestEnd is the tunnel as the commands of the guest's file make it.
type guestEnd struct {
	addrs    []netip.Prefix
	peer     string // its public key
	endpoint string
	allowed  []netip.Prefix
}

func (r *rehearsal) guestEnd(phase int) (guestEnd, error) {
	data, err := r.file(phase, r.Move.Guest.Name, tunnelFile(r.Move))
	if err != nil {
		return guestEnd{}, err
	}
	f, err := netbsdcfg.ParseIfconfig(tunnelFile(r.Move), data)
	if err != nil {
		return guestEnd{}, err
	}
	end := guestEnd{addrs: f.Addrs()}
	errs := []error{f.Check().Err()}
	for _, c := range f.Commands(r.Move.Tunnel.Iface) {
		if len(c.Argv) == 0 || path.Base(c.Argv[0]) != "wgconfig" {
			continue
		}
		errs = append(errs, netbsdcfg.ValidateWGConfig(c.Argv[1:]), end.read(c.Argv[1:]))
	}
	return end, errors.Join(errs...)
}

// read takes a wgconfig(8) command "IFACE add peer NAME KEY --option=value ...".
func (g *guestEnd) read(args []string) error {
	if len(args) < 5 || args[1] != "add" || args[2] != "peer" {
		return nil
	}
	g.peer = args[4]
	for _, arg := range args[5:] {
		option, value, _ := strings.Cut(arg, "=")
		switch option {
		case "--endpoint":
			g.endpoint = value
		case "--allowed-ips":
			for text := range strings.SplitSeq(value, ",") {
				prefix, err := netip.ParsePrefix(text)
				if err != nil {
					return err
				}
				g.allowed = append(g.allowed, prefix)
			}
		}
	}
	return nil
}

// agree finds what one end says of the other and the other does not know.
func (r *rehearsal) agree(router wgpeer.Interface, guest guestEnd) error {
	m := r.Move
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	key := m.Tunnel.Router.PublicKey
	if router.PublicKey != (wgpeer.PublicKey{}) {
		key = router.PublicKey.String()
	}
	if guest.peer != key {
		add("the guest's peer is %q, and the router's key is %q", guest.peer, key)
	}
	if want := netip.AddrPortFrom(m.Router.Address, router.ListenPort).String(); guest.endpoint != want {
		add("the guest's endpoint is %q, and the router listens at %q", guest.endpoint, want)
	}
	i := slices.IndexFunc(router.Peers, func(p wgpeer.Peer) bool { return p.PublicKey.String() == m.Tunnel.Guest.PublicKey })
	if i < 0 {
		add("the router has no peer %q, which is the guest's key", m.Tunnel.Guest.PublicKey)
		return errors.Join(errs...)
	}
	addrs := slices.Clone(guest.addrs)
	if m.Guest.Home.Address.IsValid() {
		addrs = append(addrs, m.Guest.Home.Address)
	}
	for _, a := range addrs {
		if !slices.ContainsFunc(router.Peers[i].AllowedIPs, func(p netip.Prefix) bool { return p.Contains(a.Addr()) }) {
			add("the router sends nothing to %s of the guest: it is in none of the peer's AllowedIPs", a.Addr())
		}
	}
	// Who is forwarded keeps the address, and so everything may come through the tunnel.
	for _, a := range guest.addrs {
		all := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if a.Addr().Is4() {
			all = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		if !slices.Contains(guest.allowed, all) {
			add("the guest takes no packets of clients: %s is not in its --allowed-ips", all)
		}
	}
	if len(guest.addrs) == 0 {
		add("the guest has no address in the tunnel")
	}
	return errors.Join(errs...)
}

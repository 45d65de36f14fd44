package move

import (
	"net/netip"
	"slices"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/rehost/rehost/natfwd"
	"github.com/rehost/rehost/wgpeer"
)

// Hub describes the tunnel: the router, which the guest reaches at its public
// address, and the guest, to which the router sends its own addresses and the one
// that it has at home. The guest takes and sends everything, since clients keep
// their addresses when they are forwarded. Keys other than the public ones are in
// files on the two machines, and are not read here.
func (m *Move) Hub() (wgpeer.Hub, error) {
	router, err := m.end("tunnel.router", m.Router.Name, m.Tunnel.Router)
	if err != nil {
		return wgpeer.Hub{}, err
	}
	guest, err := m.end("tunnel.guest", m.Guest.Name, m.Tunnel.Guest)
	if err != nil {
		return wgpeer.Hub{}, err
	}
	router.ListenPort = m.Tunnel.Port
	router.Endpoint = netip.AddrPortFrom(m.Router.Address, m.Tunnel.Port).String()
	router.AllowedIPs = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0)}
	if m.Tunnel.Guest.Addr(false).IsValid() {
		router.AllowedIPs = append(router.AllowedIPs, netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
	for _, p := range append(guest.Addresses, m.Guest.Home.Address) {
		if p.IsValid() {
			guest.AllowedIPs = append(guest.AllowedIPs, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		}
	}
	return wgpeer.Hub{Router: router, Guests: []wgpeer.End{guest}}, nil
}

func (m *Move) end(key, name string, e End) (wgpeer.End, error) {
	end := wgpeer.End{
		Name:      name,
		Iface:     m.Tunnel.Iface,
		KeyFile:   e.KeyFile,
		Addresses: e.Addresses,
		Keepalive: e.Keepalive.Duration,
		PingJob:   e.PingJob,
		MTU:       m.Tunnel.MTU,
	}
	if e.PublicKey == "" {
		return end, nil
	}
	var err error
	if end.PublicKey, err = wgtypes.ParseKey(e.PublicKey); err != nil {
		return end, m.Problem(key+".public_key", "%v", err)
	}
	return end, nil
}

// Forwards is what the router forwards to the guest, a set with the guest's name.
func (m *Move) Forwards() natfwd.Set {
	set := natfwd.Set{
		Name:       m.Guest.Name,
		Masquerade: []string{m.Router.Iface},
		Hairpin:    m.Router.Hairpin,
		Local:      m.Router.Local,
	}
	for _, s := range m.Services {
		if s.Via != Forward {
			continue
		}
		for _, proto := range s.Protos {
			set.Forwards = append(set.Forwards, natfwd.Forward{
				Proto: natfwd.Proto(proto),
				Iface: m.Router.Iface,
				Ports: []natfwd.PortRange{{First: s.Port}},
				To:    m.targets(),
				From:  s.Sources,
			})
		}
	}
	return set
}

// NginxPorts are the TCP ports that nginx on the router has to be reached at: those of
// the web sites, or the one of HTTP-01 alone, unless the guest gets that port.
func (m *Move) NginxPorts() []uint16 {
	guests := func(s Service) bool { return s.Via == Forward && s.Port == 80 }
	switch {
	case slices.ContainsFunc(m.Services, func(s Service) bool { return s.Via == Proxy }):
		return []uint16{80, 443}
	case len(m.Certificates) > 0 && !slices.ContainsFunc(m.Services, guests):
		return []uint16{80}
	}
	return nil
}

// targets are the guest's addresses that the world does not know. An IPv6 address
// out of the router's prefix is public: the router passes it on as it is.
func (m *Move) targets() []netip.Addr {
	to := []netip.Addr{m.Tunnel.Guest.Addr(true)}
	if a := m.Tunnel.Guest.Addr(false); a.IsValid() && !m.Router.Prefix6.Contains(a) {
		to = append(to, a)
	}
	return to
}

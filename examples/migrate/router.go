package main

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/internal/textfile"
	"github.com/rehost/rehost/natfwd"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/wgpeer"
)

// hubOf is the description that both ends of the tunnel are rendered from.
func hubOf(m *move.Move) (wgpeer.Hub, error) {
	hub, err := m.Hub()
	if err != nil {
		return hub, err
	}
	if m.Tunnel.Guest.PublicKey == "" {
		// Nobody has it before the upgrade, and the guest's own file does not hold it.
		hub.Guests[0].PublicKey = wgpeer.PublicKey{31: 1}
	}
	if err := hub.Validate().Err(); err != nil {
		return hub, m.Problem("tunnel", "%v", err)
	}
	return hub, nil
}

// guestEnd is the guest's end of the tunnel in the words of NetBSD.
func guestEnd(m *move.Move, hub wgpeer.Hub) (netbsdcfg.WireGuard, error) {
	end, err := hub.Interface(m.Guest.Name)
	if err != nil {
		return netbsdcfg.WireGuard{}, err
	}
	w := netbsdcfg.WireGuard{Addresses: end.Addresses, KeyFile: end.KeyFile, ListenPort: end.ListenPort}
	for _, p := range end.Peers {
		w.Peers = append(w.Peers, netbsdcfg.WGPeer{
			Name: p.Name, PublicKey: p.PublicKey.String(), PresharedKeyFile: m.Tunnel.PresharedKey,
			Endpoint: p.Endpoint, AllowedIPs: p.AllowedIPs,
		})
	}
	return w, nil
}

// routerTunnel is the step that makes the guest a peer of the router's.
func routerTunnel(m *move.Move, ms *machines, hub wgpeer.Hub) (step, error) {
	router, iface := m.Router.Name, m.Tunnel.Iface
	s := step{Title: "The router's end of the tunnel", Host: router}
	if m.Tunnel.Guest.PublicKey == "" {
		s.Do = "Put the guest's public key into the move file as tunnel.guest.public_key and render again: this step is written then."
		return s, nil
	}
	end, err := hub.Interface(router)
	if err != nil {
		return s, err
	}
	_, there := ms.files[router+wgConf(m)]
	if !there && end.KeyFile == "" {
		return s, m.Problem("tunnel.router.key_file", "is missing, and so is %s among the present files: one of the two says where the router has its private key", router+wgConf(m))
	}
	conf, err := edit(ms, router, wgConf(m), wgpeer.Parse, func(f *wgpeer.File) error {
		end, err = mergeEnd(m, f, end)
		return err
	})
	if err != nil {
		return s, err
	}
	conf.Mode = 0o600
	s.Files = []rendered{conf}
	s.Check = []check{
		isPeer(m, "`wg show "+iface+"` lists the peer "+m.Tunnel.Guest.PublicKey+"."),
		ownKey(m, "`wg show "+iface+" public-key` prints "+m.Tunnel.Router.PublicKey+"."),
	}
	s.Run = live(m, end)
	open := fmt.Sprintf(" The cloud has to let udp %d in, or the two ends never meet: step 2.2 opens it with all other ports, so do that one now.", m.Tunnel.Port)
	if quick(m, ms) {
		s.Do = "wg-quick makes the tunnel from this file, which has its other peers. The guest becomes one, with its addresses in the tunnel and at home." + open
		return s, nil
	}
	fragment, err := end.Ifupdown()
	if err != nil {
		return s, m.Problem("tunnel.router", "%v", err)
	}
	s.Files = append(s.Files, ms.take(router, fragment)...)
	s.Do = "The guest becomes a peer, with its addresses in the tunnel and at home, and ifupdown makes the tunnel with the addresses and routes of both families." + open
	if s.Files[1].Changes != "" {
		s.Do += " The fragment is rendered as a whole: take over what yours has besides."
	}
	if !there {
		s.Run = []string{"ifup " + iface}
	}
	return s, nil
}

// leaveRouter is the way back from routerTunnel's step.
func leaveRouter(m *move.Move, s step) string {
	iface := m.Tunnel.Iface
	first := fmt.Sprintf("`ifdown %s`", iface)
	if s.Files[0].before != nil { // the tunnel has other peers
		first = fmt.Sprintf("`wg set %s peer %s remove`, `ip route del %s dev %s`", iface, m.Tunnel.Guest.PublicKey, m.Guest.Home.Address.Addr(), iface)
	}
	for _, f := range s.Files {
		if f.before == nil {
			first += ", remove " + f.Path
		} else {
			first += ", put the old " + f.Path + " back"
		}
	}
	return first + "."
}

// mergeEnd adds the guest to the peers that the router's file has, and makes it the
// end that the hub describes. It returns what the file says then.
func mergeEnd(m *move.Move, f *wgpeer.File, end wgpeer.Interface) (wgpeer.Interface, error) {
	now, err := f.Interface()
	if err != nil {
		return now, err
	}
	if key := now.PrivateKey; !key.IsZero() && key.Public() != end.PublicKey {
		return now, m.Problem("tunnel.router.public_key", "%s is not that of the private key in %s, which is %s", end.PublicKey, wgConf(m), key.Public())
	}
	now.ListenPort = end.ListenPort
	if len(now.Addresses) > 0 { // it is wg-quick's
		now.Addresses, now.MTU = end.Addresses, end.MTU
	}
	if err := f.SetInterface(now); err != nil {
		return now, err
	}
	for _, p := range end.Peers {
		if err := f.SetPeer(p); err != nil {
			return now, err
		}
	}
	if now, err = f.Interface(); err != nil {
		return now, err
	}
	now.Iface, now.Addresses, now.MTU = end.Iface, end.Addresses, end.MTU
	if now.PrivateKey.IsZero() && now.KeyFile == "" {
		now.KeyFile = end.KeyFile
	}
	return now, nil
}

func wgConf(m *move.Move) string { return "/etc/wireguard/" + m.Tunnel.Iface + ".conf" }

// quick tells whether the router's file is wg-quick's: for wg(8) alone it has no
// addresses.
func quick(m *move.Move, ms *machines) bool {
	f, err := wgpeer.Parse(wgConf(m), ms.files[m.Router.Name+wgConf(m)])
	if err != nil {
		return false
	}
	end, err := f.Interface()
	return err == nil && len(end.Addresses) > 0
}

// live are the commands that do to a tunnel which is up what its next start does: the
// guest becomes a peer, without a word to the others.
func live(m *move.Move, end wgpeer.Interface) []string {
	var lines []string
	for _, p := range end.Peers {
		if p.Name != m.Guest.Name {
			continue
		}
		var allowed []string
		for _, prefix := range p.AllowedIPs {
			allowed = append(allowed, prefix.String())
		}
		words := "wg set " + end.Iface + " peer " + p.PublicKey.String()
		if m.Tunnel.PresharedKey != "" {
			words += " preshared-key " + m.Tunnel.PresharedKey
		}
		lines = append(lines, words+" allowed-ips "+strings.Join(allowed, ","))
	}
	for _, p := range end.Addresses {
		lines = append(lines, fmt.Sprintf("ip address replace %s dev %s", p, end.Iface))
	}
	return append(lines, fmt.Sprintf("ip route replace %s dev %s", m.Guest.Home.Address.Addr(), end.Iface))
}

// forwarding is the step that makes the router pass on what is for the guest.
func forwarding(m *move.Move, ms *machines) (step, error) {
	router := m.Router.Name
	sysctl, err := edit(ms, router, "/etc/sysctl.d/60-forwarding.conf", parseLinuxSysctl, func(f *netbsdcfg.Sysctl) error {
		// A Linux that forwards ignores router advertisements unless told
		// otherwise, and loses its own IPv6 default route.
		return errors.Join(f.Set("net.ipv4.ip_forward", "1"), f.Set("net.ipv6.conf.all.forwarding", "1"),
			f.Set("net.ipv6.conf."+m.Router.Iface+".accept_ra", "2"))
	})
	if err != nil {
		return step{}, err
	}
	hook, err := m.Forwards().Hook(m.Router.Iface)
	if err != nil {
		return step{}, m.Problem("service", "%v", err)
	}
	return step{Title: "Forwarding", Host: router,
		Do:    "The router passes packets on and sends the ports of the services into the tunnel. ifupdown runs the script with " + m.Router.Iface + ", at every start and stop; it may run as often as it likes.",
		Files: append([]rendered{sysctl}, ms.take(router, hook)...),
		Add:   inet6Fragment(m),
		Run:   []string{"sysctl --system", runHook(m, "start"), "iptables -t nat -S | grep rehost-" + m.Guest.Name},
		Check: append([]check{
			kernelForwards(m),
			rulesForward(m, "The last command lists every forwarded port, and MASQUERADE, each once."),
		}, reachable(m, m.Router.Address)...),
	}, nil
}

// runHook is the command that loads or removes the forwards by hand.
func runHook(m *move.Move, mode string) string {
	return fmt.Sprintf("IFACE=%s MODE=%s /etc/network/if-pre-up.d/rehost-%s", m.Router.Iface, mode, m.Guest.Name)
}

// console is the step that is done in the cloud's console, or by its program.
func console(m *move.Move, ms *machines) (step, error) {
	ports := []natfwd.Port{{Proto: natfwd.UDP, Port: m.Tunnel.Port}}
	for _, port := range m.NginxPorts() {
		ports = append(ports, natfwd.Port{Proto: natfwd.TCP, Port: port})
	}
	inbound, err := m.Forwards().InboundRules(ports...)
	if err != nil {
		return step{}, m.Problem("service", "%v", err)
	}
	const file = "/inbound.json"
	return step{Title: "The cloud's console",
		Do:    "If it was not done with phase 1: most clouds drop what they were not told about. In the console of " + m.Router.Name + ", or where it is Amazon's with the command below, from the folder of this runbook:",
		Files: []rendered{ms.create("cloud", file, inbound)},
		Add:   []addition{{To: "the inbound rules, for 0.0.0.0/0 and ::/0", Lines: inboundRules(m)}, {To: "the network interface", Lines: interfaceSettings(m)}},
		Run:   []string{"aws ec2 authorize-security-group-ingress --group-id GROUP --ip-permissions file://" + path.Join(bothPathsDir, "cloud", file)},
		Check: []check{mailLeaves(m.Router.Name, fmt.Sprintf("`nc -w 5 OTHER-MAIL-SERVER 25 </dev/null` on %s begins with 220: clouds block outbound port 25 until asked, and the answer takes days. Ask now.", m.Router.Name))}}, nil
}

func inboundRules(m *move.Move) []string {
	lines := []string{fmt.Sprintf("udp %d (the tunnel)", m.Tunnel.Port)}
	for _, s := range m.Services {
		if s.Via == move.Forward {
			lines = append(lines, fmt.Sprintf("%s %d (%s)", strings.Join(s.Protos, " and "), s.Port, s.Name))
		}
	}
	if ports := m.NginxPorts(); len(ports) > 0 {
		lines = append(lines, "tcp "+strings.ReplaceAll(strings.Trim(fmt.Sprint(ports), "[]"), " ", " and ")+" (nginx)")
	}
	return lines
}

func interfaceSettings(m *move.Move) []string {
	lines := []string{"source/destination check: off, since the router passes on what is not its own"}
	if m.Router.Prefix6.IsValid() {
		lines = append(lines, "IPv6 prefix: assign "+m.Router.Prefix6.String())
	}
	return lines
}

// inet6Fragment asks for the router's own IPv6 address.
func inet6Fragment(m *move.Move) []addition {
	if !m.Router.Prefix6.IsValid() {
		return nil
	}
	return []addition{{To: "/etc/network/interfaces.d/" + m.Router.Iface + "-inet6", Lines: []string{"iface " + m.Router.Iface + " inet6 dhcp"}}}
}

// take renders files that a package has rendered as a whole.
func (ms *machines) take(host string, files []textfile.Output) []rendered {
	var list []rendered
	for _, o := range files {
		r := ms.create(host, o.Path, o.Data)
		r.Mode, r.Link = o.Mode, o.Link
		if o.Link != "" {
			delete(ms.files, host+o.Path)
		}
		list = append(list, r)
	}
	return list
}

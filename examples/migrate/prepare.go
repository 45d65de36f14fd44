package main

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
)

// prepare is phase 1: the guest gets a system that has wg(4), and its end of the
// tunnel, while everything else stays as it is.
func prepare(m *move.Move, ms *machines) (phase, error) {
	guest := m.Guest.Name
	steps, err := upgrade(m)
	if err != nil {
		return phase{}, err
	}
	modules, err := edit(ms, guest, "/etc/modules.conf", netbsdcfg.ParseModules, func(f *netbsdcfg.Modules) error {
		return f.Add("if_wg")
	})
	if err != nil {
		return phase{}, err
	}
	if _, ok := ms.files[guest+tunnelPath(m)]; ok {
		return phase{}, m.Problem("tunnel.iface", "%s has %s already, and it would be rendered as a whole: choose another interface, or take it away", guest, tunnelPath(m))
	}
	address4 := slices.DeleteFunc(slices.Clone(m.Tunnel.Guest.Addresses), func(p netip.Prefix) bool { return p.Addr().Is6() })
	wg, commands, err := tunnelFile(m, ms, netbsdcfg.WireGuard{Addresses: address4})
	if err != nil {
		return phase{}, err
	}
	hub, err := hubOf(m)
	if err != nil {
		return phase{}, err
	}
	routerEnd, err := routerTunnel(m, ms, hub)
	if err != nil {
		return phase{}, err
	}
	ping, err := hub.PingJob(guest)
	if err != nil {
		return phase{}, err
	}
	keyFile := m.Tunnel.Guest.KeyFile
	keyCheck := "The last line is " + m.Tunnel.Guest.PublicKey + ", as in the move file."
	if m.Tunnel.Guest.PublicKey == "" {
		keyCheck = "The last line is in the move file as tunnel.guest.public_key, and everything is rendered again."
	}
	steps = append(steps,
		step{Title: "The guest's key", Host: guest,
			Do: "The private key is made on the guest and never leaves it. Its public half is tunnel.guest.public_key in the move file.",
			Run: []string{
				"mkdir -p -m 700 " + path.Dir(keyFile),
				"test -e " + keyFile + " || (umask 077; wg-keygen > " + keyFile + ")",
				"wg-keygen --pub < " + keyFile,
			},
			Check: []check{guestKey(m, keyCheck)}},
		routerEnd,
		step{Title: "The guest's end of the tunnel", Host: guest,
			Do:    "Load wg(4) at every boot and bring the tunnel up. The default route does not change, so nothing is lost if the tunnel does not work. Install the edited files, do not echo into modules.conf: that would wipe it.",
			Files: []rendered{modules, wg},
			Add: []addition{{To: "root's crontab (`crontab -e`), since wg(4) has no keepalive and the provider's NAT would forget the tunnel",
				Lines: []string{ping}}},
			Run: append([]string{"ifconfig -C | grep -qw wg || modload if_wg", "ifconfig " + m.Tunnel.Iface + " create"}, commands...),
			Check: []check{
				networkFits(m),
				tunnelAnswers(m, fmt.Sprintf("`ping -c 3 %s` is answered.", m.Tunnel.Router.Addr(true))),
				freshHandshake(m, guest, "`wgconfig "+m.Tunnel.Iface+"` shows a handshake younger than three minutes."),
				freshHandshake(m, m.Router.Name, fmt.Sprintf("On %s: `wg show %s` does so too.", m.Router.Name, m.Tunnel.Iface)),
			}})
	back := []string{fmt.Sprintf("On %s: `ifconfig %s destroy`, remove /etc/ifconfig.%s and the line in the crontab, and put the old modules.conf back.", guest, m.Tunnel.Iface, m.Tunnel.Iface)}
	if len(routerEnd.Files) > 0 {
		back = append(back, fmt.Sprintf("On %s: %s", m.Router.Name, leaveRouter(m, routerEnd)))
	}
	return phase{Dir: "01-prepare", Title: "Prepare",
		Goal:      fmt.Sprintf("%s runs NetBSD %s and reaches %s through the tunnel. All services answer as before.", guest, m.Guest.Upgrade.To, m.Router.Name),
		Steps:     steps,
		Back:      append(back, "The upgrade itself has no way back but the provider's snapshot: take one before the first step."),
		BackCheck: append([]check{networkFits(m)}, reachable(m, m.Guest.Old.Address)...)}, nil
}

func upgrade(m *move.Move) ([]step, error) {
	u := m.Guest.Upgrade
	steps := []step{{Title: "A snapshot", Host: m.Guest.Old.Host, Do: "Take a snapshot of the guest's disk at the provider, or a full dump(8). It is the way back from the upgrade."}}
	if u.From == u.To {
		return steps, nil
	}
	list, err := netbsdcfg.UpgradeSteps(u.From, u.To, u.URL)
	if err != nil {
		return nil, m.Problem("guest.upgrade", "%v", err)
	}
	for _, s := range list {
		st := step{
			Title: "Upgrade: " + strings.Join(s.Command[:2], " "), Host: m.Guest.Name,
			Do:  strings.ToUpper(s.Why[:1]) + s.Why[1:] + ".",
			Run: []string{strings.Join(s.Command, " ")},
		}
		if s.Reboot {
			st.Run[0] += " && shutdown -r now"
			st.Check = []check{byHand("The machine comes back, and the services answer."), runsRelease(m)}
		}
		steps = append(steps, st)
	}
	steps[1].Do += " sysupgrade is a package: `pkgin install sysupgrade`."
	return append(steps, step{Title: "Render again", Host: m.Guest.Name,
		Do: fmt.Sprintf("The upgrade has merged /etc. Collect the present files anew, set guest.upgrade.from to %s in the move file, and render into a fresh folder. Go on in the runbook there, with the guest's key: its files fit the machine as it is now.", u.To)}), nil
}

// tunnelFile renders the guest's ifconfig.wg0 for w, which says what changes
// from phase to phase: the addresses, and the routes. It also returns the
// commands that the file adds to what the phase before has run, so that nobody
// has to restart the network of a machine that he is logged in to.
func tunnelFile(m *move.Move, ms *machines, w netbsdcfg.WireGuard) (rendered, []string, error) {
	hub, err := hubOf(m)
	if err != nil {
		return rendered{}, nil, err
	}
	end, err := guestEnd(m, hub)
	if err != nil {
		return rendered{}, nil, m.Problem("tunnel", "%v", err)
	}
	w.KeyFile, w.ListenPort, w.Peers = end.KeyFile, end.ListenPort, end.Peers
	f, err := w.Ifconfig()
	if err != nil {
		return rendered{}, nil, m.Problem("tunnel", "%v", err)
	}
	old, err := netbsdcfg.ParseIfconfig(tunnelPath(m), ms.files[m.Guest.Name+tunnelPath(m)])
	if err != nil {
		return rendered{}, nil, err
	}
	before := commandLines(old, m.Tunnel.Iface)
	added := slices.DeleteFunc(commandLines(f, m.Tunnel.Iface), func(line string) bool { return slices.Contains(before, line) })
	return ms.create(m.Guest.Name, tunnelPath(m), f.Bytes()), added, nil
}

// commandLines are the commands that rc.d/network would run for the file.
func commandLines(f *netbsdcfg.Ifconfig, iface string) []string {
	var lines []string
	for _, c := range f.Commands(iface) {
		lines = append(lines, strings.Join(c.Argv, " ")) // no word of ours needs quotes
	}
	return lines
}

func tunnelPath(m *move.Move) string { return "/etc/ifconfig." + m.Tunnel.Iface }

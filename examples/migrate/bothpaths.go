package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/pfrules"
)

// bothPaths is phase 2: what arrives through the router is answered through the
// router, what arrives at the old address is answered there.
func bothPaths(m *move.Move, ms *machines) (phase, error) {
	guest, router := m.Guest.Name, m.Router.Name
	wg, commands, err := tunnelFile(m, ms, netbsdcfg.WireGuard{Address: m.Tunnel.Guest.Addresses})
	if err != nil {
		return phase{}, err
	}
	rc, err := edit(ms, guest, "/etc/rc.conf", netbsdcfg.ParseRC, func(f *netbsdcfg.RC) error {
		return f.Enable("pf", true)
	})
	if err != nil {
		return phase{}, err
	}
	pf, err := edit(ms, guest, "/etc/pf.conf", parsePF, func(f *pfrules.File) error {
		return f.SetBlock("both-paths", pfrules.FilterEnd, replyRules(m))
	})
	if err != nil {
		return phase{}, err
	}
	sysctl, err := edit(ms, router, "/etc/sysctl.d/60-forwarding.conf", parseLinuxSysctl, func(f *netbsdcfg.Sysctl) error {
		// A Linux that forwards ignores router advertisements unless told
		// otherwise, and loses its own IPv6 default route.
		return errors.Join(f.Set("net.ipv4.ip_forward", "1"), f.Set("net.ipv6.conf.all.forwarding", "1"),
			f.Set("net.ipv6.conf."+m.Router.Iface+".accept_ra", "2"))
	})
	if err != nil {
		return phase{}, err
	}
	steps := []step{
		{Title: "Answers go back the way the question came", Host: guest,
			Do:    fmt.Sprintf("pf sends the answers to what came in through %s back through it. The default route stays with the provider. Read the diff of pf.conf first: with pf on, the rules that were there hold as well.", m.Tunnel.Iface),
			Files: []rendered{wg, rc, pf},
			Run: append(commands,
				"nohup sh -c 'sleep 300; pfctl -d' >/dev/null 2>&1 &",
				"pfctl -nf /etc/pf.conf && /etc/rc.d/pf start",
				"pfctl -sr"),
			Check: []string{
				"The last command lists the rules with reply-to.",
				"The old address still answers from outside, to a new login too. Then `kill %1`: without it, pf goes off again after five minutes, which lets you back in if the rules lock you out.",
			}},
		{Title: "The cloud's console",
			Do:    "Most clouds drop what they were not told about. In the console of " + router + ":",
			Add:   []addition{{To: "the inbound rules, for 0.0.0.0/0 and ::/0", Lines: inboundRules(m)}, {To: "the network interface", Lines: interfaceSettings(m)}},
			Check: []string{fmt.Sprintf("`nc -vz -w 5 OTHER-MAIL-SERVER 25` on %s connects: clouds block outbound port 25 until asked, and the answer takes days. Ask now.", router)}},
		{Title: "Forwarding", Host: router,
			Do:    "The router passes packets on and sends the ports of the services into the tunnel. Put the lines below from iptables on into a script that runs once at boot, after the tunnel is up: run twice, -A doubles the rules.",
			Files: []rendered{sysctl},
			Add:   inet6Fragment(m),
			Run:   append([]string{"sysctl --system"}, forwardCommands(m)...),
			Check: slices.Concat(reachable(m, m.Router.Address), reachable(m, m.Guest.Old.Address), []string{
				"All of it again after a reboot of " + router + ", with a new login: nothing depends on it yet."})},
	}
	if web := proxied(m); len(web) > 0 {
		steps = append(steps, step{Title: "The web site", Host: router,
			Do:    "nginx answers for " + strings.Join(allNames(web), " and ") + " and asks the guest, with the visitor's address in X-Real-IP and X-Forwarded-For.",
			Files: []rendered{ms.create(router, "/etc/nginx/conf.d/"+guest+".conf", proxyBlock(m, web))},
			Run:   []string{"nginx -t && nginx -s reload"},
			Check: []string{fmt.Sprintf("`curl -sI -H 'Host: %s' http://%s/` is answered by the guest.", web[0].Names[0], m.Router.Address)}})
	}
	return phase{Dir: "02-both-paths", Title: "Both paths answer",
		Goal:  fmt.Sprintf("Every service answers at %s and at %s.", m.Guest.Old.Address, m.Router.Address),
		Steps: steps,
		Back: []string{
			fmt.Sprintf("On %s: `/etc/rc.d/pf stop`, and put rc.conf, pf.conf and ifconfig.%s back. The default route was never touched.", guest, m.Tunnel.Iface),
			fmt.Sprintf("On %s: delete the same rules with -D in place of -A, remove the nginx file and reload nginx. Nobody knows this path yet.", router),
		}}, nil
}

// replyRules are one rule per family that the tunnel has.
func replyRules(m *move.Move) []pfrules.Rule {
	var rules []pfrules.Rule
	for _, p := range m.Tunnel.Router.Addresses {
		rules = append(rules, pfrules.ReplyVia(m.Tunnel.Iface, p.Addr(), m.Protos()...))
	}
	return rules
}

func inboundRules(m *move.Move) []string {
	lines := []string{fmt.Sprintf("udp %d (the tunnel)", m.Tunnel.Port)}
	for _, s := range m.Services {
		if s.Via == move.Forward {
			lines = append(lines, fmt.Sprintf("%s %d (%s)", strings.Join(s.Protos, " and "), s.Port, s.Name))
		}
	}
	if len(proxied(m)) > 0 {
		lines = append(lines, "tcp 80 and 443 (nginx)")
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

func interfaceSettings(m *move.Move) []string {
	lines := []string{"source/destination check: off, since the router passes on what is not its own"}
	if m.Router.Prefix6.IsValid() {
		lines = append(lines, "IPv6 prefix: assign "+m.Router.Prefix6.String())
	}
	return lines
}

// forwardCommands send the forwarded ports to the guest, and route its IPv6
// address, which is public, into the tunnel.
func forwardCommands(m *move.Move) []string {
	var lines []string
	for _, s := range m.Services {
		if s.Via != move.Forward {
			continue
		}
		for _, proto := range s.Protos {
			lines = append(lines, fmt.Sprintf("iptables -t nat -A PREROUTING -i %s -p %s --dport %d -j DNAT --to-destination %s",
				m.Router.Iface, proto, s.Port, netip.AddrPortFrom(m.Tunnel.Guest.Addr(true), s.Port)))
		}
	}
	lines = append(lines, "iptables -t nat -A POSTROUTING -o "+m.Router.Iface+" -j MASQUERADE")
	for _, p := range m.Tunnel.Router.Addresses {
		if p.Addr().Is6() {
			lines = append(lines, fmt.Sprintf("ip -6 address replace %s dev %s", p, m.Tunnel.Iface))
		}
	}
	return lines
}

// reachable are the checks, from outside, that each forwarded port answers at an
// address. UDP has no handshake: only DNS can be asked without knowing more.
func reachable(m *move.Move, at netip.Addr) []string {
	var checks []string
	for _, s := range m.Services {
		if s.Via != move.Forward {
			continue
		}
		for _, proto := range s.Protos {
			switch {
			case proto == "tcp":
				checks = append(checks, fmt.Sprintf("From outside: `nc -vz %s %d` connects (%s).", at, s.Port, s.Name))
			case s.Port == 53:
				checks = append(checks, fmt.Sprintf("From outside: `dig +short soa %s @%s` answers (%s).", m.Domain, at, s.Name))
			default:
				checks = append(checks, fmt.Sprintf("From outside: udp port %d of %s answers a client of its own (%s).", s.Port, at, s.Name))
			}
		}
	}
	return checks
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/pfrules"
)

const bothPathsDir = "02-both-paths"

// bothPaths is phase 2: what arrives through the router is answered through the
// router, what arrives at the old address is answered there.
func bothPaths(m *move.Move, ms *machines) (phase, error) {
	guest, router := m.Guest.Name, m.Router.Name
	wg, commands, err := tunnelFile(m, ms, netbsdcfg.WireGuard{Addresses: m.Tunnel.Guest.Addresses})
	if err != nil {
		return phase{}, err
	}
	wasOn := false
	rc, err := edit(ms, guest, "/etc/rc.conf", netbsdcfg.ParseRC, func(f *netbsdcfg.RC) error {
		wasOn, _ = f.Enabled("pf")
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
	cloud, err := console(m, ms)
	if err != nil {
		return phase{}, err
	}
	forwards, err := forwarding(m, ms)
	if err != nil {
		return phase{}, err
	}
	start, lockedOut, undone := "/etc/rc.d/pf start", "pfctl -d", "pf goes off again"
	pfBack := "`/etc/rc.d/pf stop`, and put rc.conf, pf.conf and ifconfig.%s back."
	if wasOn && pf.before != nil { // a firewall that was there must not be gone after five minutes
		start, lockedOut, undone = "pfctl -f /etc/pf.conf", "pfctl -f /root/before/2/pf.conf", "the rules of before come back"
		pfBack = "put rc.conf, pf.conf and ifconfig.%s back, then `pfctl -f /etc/pf.conf`."
	}
	steps := []step{
		{Title: "Answers go back the way the question came", Host: guest,
			Do:    fmt.Sprintf("pf sends the answers to what came in through %s back through it. The default route stays with the provider. Read the diff of pf.conf first: with pf on, the rules that were there hold as well.", m.Tunnel.Iface),
			Files: []rendered{wg, rc, pf},
			Run: append(commands,
				"nohup sh -c 'sleep 300; "+lockedOut+"' >/dev/null 2>&1 &",
				"pfctl -nf /etc/pf.conf && "+start,
				"pfctl -sr"),
			Check: []check{
				networkFits(m),
				rulesReply(m, "The last command lists the rules with reply-to."),
				byHand("The old address still answers from outside, to a new login too. Then `kill %1`: without it, " + undone + " after five minutes, which lets you back in if the rules lock you out."),
			}},
		cloud,
		forwards,
		{Title: "After a reboot", Host: router,
			Do:    "Reboot it now: nothing depends on it yet. All of this has to come back by itself.",
			Check: slices.Concat([]check{kernelForwards(m), rulesForward(m, fmt.Sprintf("`iptables -t nat -S | grep rehost-%s` lists every forwarded port, and MASQUERADE, each once.", guest))}, reachable(m, m.Router.Address), reachable(m, m.Guest.Old.Address))},
	}
	reload := ""
	if web := proxied(m); len(web) > 0 {
		reload = ", and reload nginx"
		solver, err := challengeLocation(m, ms)
		if err != nil {
			return phase{}, err
		}
		steps = append(steps, step{Title: "The web site", Host: router,
			Do:    "nginx answers for " + strings.Join(allNames(web), " and ") + " and asks the guest, with the visitor's address in X-Real-IP and X-Forwarded-For.",
			Files: []rendered{solver, ms.create(router, sitesPath(m), proxyBlock(m, web, false))},
			Run:   []string{"nginx -t && nginx -s reload"},
			Check: append([]check{nginxTakes(m)}, webAnswers(m, web)...)})
	}
	return phase{Dir: bothPathsDir, Title: "Both paths answer",
		Goal:  fmt.Sprintf("Every service answers at %s and at %s.", m.Guest.Old.Address, m.Router.Address),
		Steps: steps,
		Back: []string{
			fmt.Sprintf("On %s: "+pfBack+" The default route was never touched.", guest, m.Tunnel.Iface),
			fmt.Sprintf("On %s: `%s`, then remove the script, its link and what else this phase has installed, or put the old one back%s. Nobody knows this path yet.", router, runHook(m, "stop"), reload),
		},
		BackCheck: append([]check{networkFits(m), rulesGone(m)}, reachable(m, m.Guest.Old.Address)...)}, nil
}

// replyRules are one rule per family that the tunnel has.
func replyRules(m *move.Move) []pfrules.Rule {
	var rules []pfrules.Rule
	for _, p := range m.Tunnel.Router.Addresses {
		rules = append(rules, pfrules.ReplyVia(m.Tunnel.Iface, p.Addr(), m.Protos()...))
	}
	return rules
}

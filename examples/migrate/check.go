package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/rehost/rehost/examples/internal/move"
)

// check is phase 7. Its checks are commands, each of which fails where the move has.
func check(m *move.Move, _ *machines) (phase, error) {
	guest, router := m.Guest.Name, m.Router.Name
	fromGuest := []string{"wgconfig " + m.Tunnel.Iface, "ping -c 3 " + m.Tunnel.Router.Addr(true).String(), "ping -c 3 OTHER-HOST"}
	fromOutside := outside(m, m.Router.Address)
	if a := m.Tunnel.Guest.Addr(false); a.IsValid() {
		fromGuest = append(fromGuest, "ping6 -c 3 OTHER-HOST")
		fromOutside = slices.Concat(fromOutside, []probe{{command: "ping -6 -c 3 " + a.String(), service: "the tunnel"}}, outside(m, a))
	}
	steps := []step{
		{Title: "The tunnel and the forwards", Host: router,
			Do:    "The programs tunnel and portfwd (`go build ./examples/tunnel ./examples/portfwd`) read the move file. In a cron job, the same two commands tell of what breaks later.",
			Run:   []string{"tunnel health -end " + router + " MOVE-FILE", "portfwd verify MOVE-FILE"},
			Check: []string{"Both exit with status 0: the handshake is fresh, every rule is there, and no other one is before it."}},
		{Title: "From the inside", Host: guest, Do: "Out through the tunnel, in both families.", Run: fromGuest,
			Check: []string{"The first command shows a handshake younger than three minutes."}},
		{Title: "From the outside", Do: "On a machine elsewhere that has both families: every forwarded port.", Run: commandsOf(fromOutside),
			Check: []string{"Each connects or answers."}},
	}
	if certificates := certificateProbes(m); len(certificates) > 0 {
		steps = append(steps, step{Title: "The certificates that are served", Host: router,
			Do: "Through the tunnel, since a reload that exits 0 proves nothing.", Run: commandsOf(certificates),
			Check: []string{"Each shows the new date.", "On both machines, `certsyncd check " + certsyncdPath + "` prints nothing."}})
	}
	steps = append(steps,
		step{Title: "Mail leaves", Host: router, Do: "Ask a mail server that is not yours.",
			Run:   []string{"nc -vz -w 5 OTHER-MAIL-SERVER 25"},
			Check: []string{"`mailq` on the guest is short, and gets shorter: a closed port 25 shows as hundreds of mails that wait."}},
		step{Title: "The old host", Do: "Keep the old disk for a week, switched off, then give it back. Then take the forwarding of /.well-known away."})
	return phase{Dir: "07-check", Title: "Check",
		Goal:  "Everything answers from home, and what was taken away can stay away.",
		Steps: steps,
		Back:  []string{"Until the old disk is given back: stop the guest at home, start it at " + m.Guest.Old.Host + ", and put the old address back into the zone. Mail that arrived since lies on the disk at home: copy it first."},
	}, nil
}

// A probe is a command that asks a service.
type probe struct {
	command string // "" where only a client of the service's own can ask
	service string
	text    string // what holds then
}

// outside are the probes, from elsewhere, of each forwarded port at an address. UDP
// has no handshake: only DNS can be asked without knowing more.
func outside(m *move.Move, at netip.Addr) []probe {
	var probes []probe
	for _, s := range m.Services {
		if s.Via != move.Forward {
			continue
		}
		for _, proto := range s.Protos {
			p := probe{service: s.Name, text: fmt.Sprintf("udp port %d of %s answers a client of its own", s.Port, at)}
			switch {
			case proto == "tcp":
				p.command, p.text = fmt.Sprintf("nc -vz -w 5 %s %d", at, s.Port), "connects"
			case s.Port == 53:
				p.command, p.text = fmt.Sprintf("dig +short soa %s @%s", m.Domain, at), "answers"
			}
			probes = append(probes, p)
		}
	}
	return probes
}

// reachable are the same as sentences.
func reachable(m *move.Move, at netip.Addr) []string {
	var checks []string
	for _, p := range outside(m, at) {
		what := p.text
		if p.command != "" {
			what = fmt.Sprintf("`%s` %s", p.command, p.text)
		}
		checks = append(checks, fmt.Sprintf("From outside: %s (%s).", what, p.service))
	}
	return checks
}

// commandsOf are the probes as lines to run.
func commandsOf(probes []probe) []string {
	var lines []string
	for _, p := range probes {
		if p.command == "" {
			lines = append(lines, "# by hand: "+p.text+" ("+p.service+")")
			continue
		}
		lines = append(lines, p.command+" # "+p.service)
	}
	return lines
}

// certificateProbes ask each service whose port is known for TLS, through the tunnel,
// for the certificate that it serves.
func certificateProbes(m *move.Move) []probe {
	var probes []probe
	for _, s := range m.Services {
		if slices.Contains([]uint16{443, 465, 993, 995}, s.Port) {
			probes = append(probes, probe{service: s.Name, text: "shows the new date",
				command: fmt.Sprintf("openssl s_client -connect %s:%d </dev/null | openssl x509 -noout -enddate", m.Tunnel.Guest.Addr(true), s.Port)})
		}
	}
	return probes
}

// certificateChecks are the same as sentences.
func certificateChecks(m *move.Move) []string {
	var checks []string
	for _, p := range certificateProbes(m) {
		checks = append(checks, fmt.Sprintf("On %s: `%s` %s (%s): a reload that exits 0 proves nothing.", m.Router.Name, p.command, p.text, p.service))
	}
	return checks
}

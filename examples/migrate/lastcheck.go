package main

import (
	"fmt"
	"net/netip"
	"path"
	"slices"

	"github.com/rehost/rehost/examples/internal/move"
)

// lastCheck is phase 7. Its checks are commands, each of which fails where the move has.
func lastCheck(m *move.Move, _ *machines) (phase, error) {
	guest, router := m.Guest.Name, m.Router.Name
	image := path.Join(path.Dir(guestFile(m)), m.Guest.VM.Disk)
	fromGuest := []string{"wgconfig " + m.Tunnel.Iface, "ping -c 3 " + m.Tunnel.Router.Addr(true).String(), "ping -c 3 OTHER-HOST"}
	fromOutside := forwardProbes(m, m.Router.Address)
	both, hasBoth := "", ""
	if a := m.Tunnel.Guest.Addr(false); a.IsValid() {
		fromGuest = append(fromGuest, "ping6 -c 3 OTHER-HOST")
		both, hasBoth = ", in both families", " that has both families"
		fromOutside = slices.Concat(fromOutside, []probe{{command: "ping -6 -c 3 " + a.String(), service: "the tunnel"}}, forwardProbes(m, a))
	}
	steps := []step{
		{Title: "The tunnel and the forwards", Host: router,
			Do:  "The programs tunnel and portfwd (`go build ./examples/tunnel ./examples/portfwd`) read the move file. In a cron job, the same two commands tell of what breaks later.",
			Run: []string{"tunnel health -end router MOVE-FILE", "portfwd verify MOVE-FILE"},
			Check: []check{
				freshHandshake(m, router, "The first exits with status 0: the handshake is fresh."),
				rulesForward(m, "So does the second: every rule is there, and no other one is before it."),
			}},
		{Title: "From the inside", Host: guest, Do: "Out through the tunnel" + both + ".", Run: fromGuest,
			Check: []check{
				freshHandshake(m, guest, "The first command shows a handshake younger than three minutes."),
				tunnelAnswers(m, "The second one is answered."),
				byHand("So are those to OTHER-HOST, which is one that is not yours."),
			}},
		{Title: "From the outside", Do: "On a machine elsewhere" + hasBoth + ": every forwarded port.", Run: commandsOf(fromOutside),
			Check: slices.Concat(reachable(m, m.Router.Address), reachable(m, m.Tunnel.Guest.Addr(false)))},
	}
	if certificates := certificateProbes(m); len(certificates) > 0 {
		steps = append(steps, step{Title: "The certificates that are served", Host: router,
			Do: "Through the tunnel, since a reload that exits 0 proves nothing.", Run: commandsOf(certificates),
			Check: append(servedByGuest(m), byHand("On both machines, `certsyncd check "+certsyncdPath+"` prints nothing."))})
	}
	steps = append(steps,
		step{Title: "Mail leaves", Host: router, Do: "Ask a mail server that is not yours.",
			Run: []string{"nc -w 5 OTHER-MAIL-SERVER 25 </dev/null"},
			Check: []check{
				mailLeaves(router, "It begins with 220."),
				mailLeaves(guest, fmt.Sprintf("On %s it does so too, through the tunnel.", guest)),
				queueShort(m, fmt.Sprintf("`mailq` on %s is short: a closed port 25 shows as hundreds of mails that wait.", guest)),
			}},
		step{Title: "The old host", Do: fmt.Sprintf("Keep the old disk for a week, switched off, then give it back. Take the old address out of the texts of the zone and the forwarding of /.well-known away, give $TTL and the TTLs that phase 4 has lowered their old values again, raise the serial and reload. On %s, `rm %s.journal`.", m.Hypervisor.Name, image),
			Check: []check{nothingLeft(m, fmt.Sprintf("On %s: nothing in %s names %s any more, texts included.", guest, m.DNS.Zone, m.Guest.Old.Address))}})
	return phase{Dir: "07-check", Title: "Check",
		Goal:  "Everything answers from home, and what was taken away can stay away.",
		Steps: steps,
		Back:  []string{"Until the old disk is given back: stop the guest at home, start it at " + m.Guest.Old.Host + ", and put the old address back into the zone. Mail that arrived since lies on the disk at home: copy it first."},

		BackCheck: reachable(m, m.Guest.Old.Address),
	}, nil
}

// A probe is a command that asks a service.
type probe struct {
	command string // "" where only a client of the service's own can ask
	service string
	text    string // what holds then

	net      string         // tcp or udp
	at       netip.AddrPort // where it is asked
	proto    string         // dns, tls, or "" for another one
	greeting string         // how the service begins, where it speaks first
}

// forwardProbes are the probes, from elsewhere, of each forwarded port at an address. UDP
// has no handshake: only DNS can be asked without knowing more.
func forwardProbes(m *move.Move, at netip.Addr) []probe {
	if !at.IsValid() { // of a family that the tunnel does not have
		return nil
	}
	var probes []probe
	for _, s := range m.Services {
		if s.Via != move.Forward {
			continue
		}
		for _, proto := range s.Protos {
			p := probe{service: s.Name, net: proto, at: netip.AddrPortFrom(at, s.Port), greeting: greeting(proto, s.Port),
				text: fmt.Sprintf("udp port %d of %s answers a client of its own", s.Port, at)}
			switch {
			case s.Port == 53 && proto == "tcp":
				p.proto, p.command, p.text = "dns", fmt.Sprintf("dig +tcp +short soa %s @%s", m.Domain, at), "answers"
			case s.Port == 53:
				p.proto, p.command, p.text = "dns", fmt.Sprintf("dig +short soa %s @%s", m.Domain, at), "answers"
			case proto == "tcp" && slices.Contains([]uint16{443, 465, 636, 853, 993, 995}, s.Port):
				p.proto, p.command, p.text = "tls", fmt.Sprintf("openssl s_client -connect '%s' </dev/null", p.at), "shows a certificate"
			case p.greeting != "":
				p.command, p.text = fmt.Sprintf("nc -w 5 %s %d </dev/null", at, s.Port), "begins with "+p.greeting
			case proto == "tcp":
				p.command, p.text = fmt.Sprintf("nc -vz -w 5 %s %d", at, s.Port), "connects"
			}
			probes = append(probes, p)
		}
	}
	return probes
}

// greeting is how a service begins that speaks first, or "".
func greeting(proto string, port uint16) string {
	if proto != "tcp" {
		return ""
	}
	return map[uint16]string{21: "220", 22: "SSH-", 25: "220", 110: "+OK", 143: "* OK", 587: "220"}[port]
}

// sentence says what holds, and by which command it is seen.
func (p probe) sentence() string {
	if p.command == "" {
		return p.text
	}
	return fmt.Sprintf("`%s` %s", p.command, p.text)
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

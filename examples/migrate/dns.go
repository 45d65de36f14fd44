package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/zone"
)

// shortTTL is how long caches may hold the names while they move.
const shortTTL = 5 * time.Minute

// dns is phase 4: the zone is edited twice, first for short TTLs, and when the
// old ones have drained for the new address.
func dns(m *move.Move, ms *machines) (phase, error) {
	guest, old, router := m.Guest.Name, m.Guest.Old.Address, m.Router.Address
	if _, ok := ms.files[guest+m.DNS.Zone]; !ok {
		return phase{}, m.Problem("dns.zone", "%s is not among the present files of %s", m.DNS.Zone, guest)
	}
	parse := func(name string, data []byte) (*zone.File, error) { return zone.Parse(name, m.Domain, data) }
	var timetable zone.Cutover
	var others, sixes []zone.Record
	lowered := publication{m: m, step: "4.2"}
	pointed := publication{m: m, step: "4.3", last: true}
	short, err := edit(ms, guest, m.DNS.Zone, parse, func(f *zone.File) (err error) {
		names := pointingTo(f, old)
		if timetable, err = f.Cutover(zone.Move{Names: names, At: m.DNS.Switch, TTL: shortTTL}, time.Time{}); err != nil {
			return err
		}
		if _, err := f.LowerTTLs(shortTTL); err != nil {
			return err
		}
		lowered.serial, err = f.Bump(zone.Increment, time.Time{})
		return err
	})
	if err != nil {
		return phase{}, err
	}
	short.Dir = guest + "-short-ttl" // the second edit is of the same file
	moved, err := edit(ms, guest, m.DNS.Zone, parse, func(f *zone.File) error {
		if err := repoint(f, old, router); err != nil {
			return err
		}
		others = f.References(old)
		for _, name := range timetable.Names {
			sixes = append(sixes, f.Lookup(name, "AAAA")...)
		}
		pointed.serial, err = f.Bump(zone.Increment, time.Time{})
		return err
	})
	if err != nil {
		return phase{}, err
	}
	// named passes over a file whose time is older than its last load, which a copy
	// that keeps times may have.
	load := []string{"touch " + m.DNS.Zone, "named-checkzone -i local " + m.Domain + " " + m.DNS.Zone + " && rndc reload " + m.Domain}
	served := func(old time.Duration) string {
		return fmt.Sprintf("`zonectl wait -drain %s -origin %s %s` names no server that lags behind, and says when caches have forgotten what was there before: rndc exits 0 for a zone that it could not load.", old, m.Domain, m.DNS.Zone)
	}
	lowered.oldTTL, lowered.moved, lowered.names = timetable.OldTTL, moved, timetable.Names
	pointed.oldTTL, pointed.moved, pointed.names = timetable.TTL, moved, timetable.Names
	steps := []step{
		{Title: "The timetable", Do: "It counts from dns.switch in the move file and the TTLs in the zone. When a step is done, what `zonectl wait` prints counts instead.",
			Show: strings.Split(strings.TrimSuffix(timetable.String(), "\n"), "\n")},
		{Title: "Short TTLs, well ahead", Host: guest,
			Do:    fmt.Sprintf("No TTL is above %s any more. Once that is served everywhere, caches keep what they have for up to %s.", shortTTL, timetable.OldTTL),
			Files: []rendered{short}, Run: load, Check: []check{lowered.served(served(timetable.OldTTL) + " Do not begin the next step before.")}},
		{Title: "The names point to the router", Host: guest,
			Do:    fmt.Sprintf("Every address record with %s has %s. If the zone has changed since the step before, edit it again instead.", old, router),
			Files: []rendered{moved}, Run: load,
			Check: []check{
				nothingLeft(m, fmt.Sprintf("No A record in %s has %s.", m.DNS.Zone, old), "A"),
				pointed.served(served(timetable.TTL)),
				pointed.same(fmt.Sprintf("Every server answers the names with %s, or whatever the file says since.", router)),
				byHand(fmt.Sprintf("`zonectl diff -origin %s %s @SERVER` finds no difference.", m.Domain, m.DNS.Zone)),
			}},
	}
	if len(sixes) > 0 {
		s := step{Title: "IPv6 addresses of the names that move", Host: guest,
			Do:   fmt.Sprintf("They are left as they are. Where one is at %s, nobody answers there after the stop: take it out", m.Guest.Old.Host),
			Show: shown(m, sixes)}
		if a := m.Tunnel.Guest.Addr(false); a.IsValid() {
			s.Do += fmt.Sprintf(", or make it %s, which leads through the tunnel", a)
		}
		s.Do += ". Then raise the serial and reload."
		steps = append(steps, s)
	}
	if len(others) > 0 {
		s := step{Title: "Texts that name the old address", Host: guest,
			Do: fmt.Sprintf("Mail leaves from %s until the first boot at home, and from %s from then on: let these records name both for now, and take the old one out after phase 7.", old, router)}
		if a := m.Tunnel.Guest.Addr(false); a.IsValid() {
			s.Do += fmt.Sprintf(" Over IPv6 it leaves from %s then: an SPF record needs that one, too.", a)
		}
		s.Show = shown(m, others)
		steps = append(steps, s)
	}
	return phase{Dir: "04-dns", Title: "DNS",
		Goal:  fmt.Sprintf("The world knows %s, and has forgotten %s.", router, old),
		lower: timetable.Lower,
		Steps: append(steps, registrar(m)),
		Back: []string{
			fmt.Sprintf("On %s: install the zone of step 4.2 once more, its serial made higher than that of all servers, which is %d or later, and load it as there: with a TTL of %s the way back takes as long.", guest, pointed.serial, shortTTL),
			"The glue at the registrar follows the parent's TTL, often two days: change it last.",
		},
		BackCheck: []check{pointed.returned(short)},
	}, nil
}

// shown are records with their places in the zone.
func shown(m *move.Move, records []zone.Record) []string {
	var list []string
	for _, r := range records {
		list = append(list, fmt.Sprintf("%s:%d: %s %s %s", m.DNS.Zone, r.Line, r.Owner, r.Type, r.Data))
	}
	return list
}

// late warns of a timetable that cannot be kept any more.
func (p *plan) late(m *move.Move, now time.Time) {
	for _, ph := range p.Phases {
		if ph.lower.IsZero() || now.Before(ph.lower) {
			continue
		}
		problem := m.Problem("dns.switch", "the short TTLs had to be served by %s, and it is %s: unless they were, choose %s or later, or caches go to the old address long after the switch",
			ph.lower.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), m.DNS.Switch.Add(now.Sub(ph.lower)).UTC().Truncate(time.Hour).Add(time.Hour).Format(time.RFC3339))
		problem.Severity = netbsdcfg.Warning
		p.Warnings = append(p.Warnings, problem)
	}
}

// pointingTo returns the names that have an IPv4 address.
func pointingTo(f *zone.File, addr netip.Addr) []string {
	var names []string
	for _, r := range f.References(addr) {
		if r.Type == "A" && !slices.Contains(names, r.Owner) {
			names = append(names, r.Owner)
		}
	}
	return names
}

// repoint gives names another address, and leaves the other addresses that they
// have.
func repoint(f *zone.File, from, to netip.Addr) error {
	for _, name := range pointingTo(f, from) {
		set := f.Lookup(name, "A")
		for i, r := range set {
			if r.Data == from.String() {
				set[i].Data = to.String()
			}
		}
		if err := f.Replace(name, "A", set...); err != nil {
			return err
		}
	}
	return nil
}

// registrar is what the zone file does not hold.
func registrar(m *move.Move) step {
	old, router := m.Guest.Old.Address, m.Router.Address
	return step{Title: "The registrar, and what else knows the address",
		Do: "These are not in the zone file:",
		Add: []addition{
			{To: "the registrar", Lines: []string{
				fmt.Sprintf("glue of the name servers below %s: %s becomes %s", m.Domain, old, router),
				fmt.Sprintf("the secondaries' primary: %s becomes %s", old, router),
			}},
			{To: "the cloud", Lines: []string{fmt.Sprintf("reverse name (PTR) of %s: %s.%s", router, m.Guest.Name, m.Domain)}},
			{To: "the list of whom to tell", Lines: []string{"SPF records of other domains and allow lists of partners that name " + old.String()}},
		},
		Check: []check{byHand(fmt.Sprintf("`dig +norecurse ns %s @PARENT` shows the new glue.", m.Domain)), byHand(fmt.Sprintf("`dig +short -x %s` answers with the guest's name.", router)),
			byHand(fmt.Sprintf("When the TTLs of zone and glue have passed, the glue's being often two days, `tcpdump -n dst host %s` on %s shows nobody who still asks there.", old, m.Guest.Name))}}
}

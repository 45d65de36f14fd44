package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/zone"
)

// patience is how long a server may take to follow, or to answer: long, since what has
// stopped refuses at once, and a slow machine is no fault of the move.
const patience = 10 * time.Second

// shortTTLs is the first edit of phase 4.
func (r *rehearsal) shortTTLs(ctx context.Context) error {
	f := r.edit(ctx, "short TTLs", r.Move.Guest.Name+"-short-ttl")
	if f == nil {
		return nil
	}
	var err error
	if longest := f.MaxTTL(); longest > r.ShortTTL {
		err = fmt.Errorf("a TTL of %s is above %s", report.Seconds(longest), report.Seconds(r.ShortTTL))
	}
	r.check("no TTL is longer than while the names move", "every RRset of the rendered zone", fmt.Sprintf("%s, and %s today", report.Seconds(f.MaxTTL()), report.Seconds(r.present.MaxTTL())), err)
	return ctx.Err()
}

// moveNames is the second one, after which nobody is to be sent to the old address.
func (r *rehearsal) moveNames(ctx context.Context) error {
	f := r.edit(ctx, "the names point to the router", r.Move.Guest.Name)
	// The secondaries' primary has another address now.
	r.secondary.follow(r.router.dns.addr)
	if f == nil {
		return nil
	}
	old, router := r.Move.Guest.Old.Address, r.Move.Router.Address
	names := r.names()
	var errs []error
	for _, name := range names {
		for _, server := range r.servers() {
			errs = append(errs, moved(ctx, server, name, old, router))
		}
	}
	r.check(fmt.Sprintf("every name that had %s has %s", old, router), "A records asked of both servers", fmt.Sprintf("%d names", len(names)), errors.Join(errs...))
	r.check("nothing but texts names the old address", "every record of the rendered zone", r.texts(f, old), addresses(f, old))
	r.notTried("the reverse name, the glue and the secondaries' primary are changed", "dig at the parent", "they are not in the zone: the registrar and the cloud have them")
	return ctx.Err()
}

// edit loads a rendered zone on the primary, as the runbook has it, and sees to it that the
// secondary follows. It returns nil if there is nothing to load.
func (r *rehearsal) edit(ctx context.Context, what, dir string) *zone.File {
	const how = "the rendered zone against the one before"
	data, err := r.rendered(4, dir, r.Move.DNS.Zone)
	var f *zone.File
	if err == nil {
		f, err = zone.Parse(r.Move.DNS.Zone, r.Move.Domain, data)
	}
	if err == nil {
		err = f.Check().Err()
	}
	var before, serial uint32
	if err == nil {
		before, err = r.zone.Serial()
	}
	if err == nil {
		serial, err = f.Serial()
	}
	if err != nil {
		r.check(what+": named loads the zone", how, "", err)
		return nil
	}
	if order, ok := zone.CompareSerial(serial, before); !ok || order <= 0 {
		err = fmt.Errorf("it is %d, and was %d: no secondary will ever know", serial, before)
	}
	r.check(what+": the serial is raised", how, fmt.Sprintf("%d, and was %d", serial, before), err)
	oldTTL := r.zone.MaxTTL(r.names()...)
	r.load(ctx, what, f, serial, oldTTL)
	return f
}

// load has the primary load a zone, and waits for both servers.
func (r *rehearsal) load(ctx context.Context, what string, f *zone.File, serial uint32, oldTTL time.Duration) {
	servers := r.servers()
	r.zone = f
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := r.guest.dns.load(f)
	if err == nil {
		err = r.guest.dns.notify(limited, r.secondary.addr)
	}
	came, waited := zone.WaitSerial(limited, f.Origin(), serial, servers, nil)
	if err = errors.Join(err, waited); err == nil {
		err = r.same(limited, f, servers)
	}
	r.check(fmt.Sprintf("%s: both servers serve what the file says, serial %d", what, serial), "NOTIFY, SOA and AXFR", "", err)
	if _, ok := came.Drain(oldTTL); ok {
		r.notTried(what+": caches have forgotten what was before", "waiting", fmt.Sprintf("it takes %s, which nobody waits for here", report.Seconds(oldTTL)))
	}
}

// same compares what each server gives with the file.
func (r *rehearsal) same(ctx context.Context, f *zone.File, servers []netip.AddrPort) error {
	var errs []error
	for i, server := range servers {
		records, err := zone.AXFR(ctx, f.Origin(), server, nil)
		if err == nil {
			if changes := zone.Diff(f.All(), slices.Values(records)); len(changes) > 0 {
				err = fmt.Errorf("the %s serves something else:\n%s", []string{"primary", "secondary"}[i], changes)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// forgottenSerial is an edit whose serial nobody has raised. The primary loads it, and the
// secondary never asks for it; the check of the runbook is to find that.
func (r *rehearsal) forgottenSerial(ctx context.Context) error {
	const check, how = "a serial that is not raised is noticed", "an edit without it, then AXFR from both servers against the file"
	f, err := zone.Parse(r.Move.DNS.Zone, r.Move.Domain, r.zone.Bytes())
	if err != nil {
		return err
	}
	if err := f.Add(zone.Record{Owner: "rehearsal", Type: "TXT", Data: `"the serial was forgotten"`}); err != nil {
		r.notTried(check, how, "the zone takes no record more: "+err.Error())
		return nil
	}
	if err := errors.Join(r.guest.dns.load(f), r.guest.dns.notify(ctx, r.secondary.addr)); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	servers := r.servers()
	if err = r.same(limited, f, servers[:1]); err == nil && r.same(limited, r.zone, servers[1:]) != nil {
		err = errors.New("the secondary does not have what was there before")
	}
	r.check(check, how, "the secondary stays behind", err)
	return r.guest.dns.load(r.zone)
}

// servers are the primary and the secondary, by the path that the world has.
func (r *rehearsal) servers() []netip.AddrPort {
	return []netip.AddrPort{r.guest.dns.addr, r.secondary.addr}
}

// names are those that have the old address today.
func (r *rehearsal) names() []string {
	var names []string
	for _, record := range r.present.References(r.Move.Guest.Old.Address) {
		if record.Type == "A" && !slices.Contains(names, record.Owner) {
			names = append(names, record.Owner)
		}
	}
	return names
}

// moved asks a server for a name's addresses.
func moved(ctx context.Context, server netip.AddrPort, name string, old, router netip.Addr) error {
	answer, err := ask(ctx, "tcp", server, name, dns.TypeA)
	if err != nil {
		return err
	}
	there := false
	for _, rr := range answer {
		a, ok := rr.(*dns.A)
		if !ok {
			continue
		}
		addr, _ := netip.AddrFromSlice(a.A.To4())
		if addr == old {
			return fmt.Errorf("%s still gives %s for %s", server, old, name)
		}
		there = there || addr == router
	}
	if !there {
		return fmt.Errorf("%s does not give %s for %s", server, router, name)
	}
	return nil
}

// addresses are an error if address records still have the old one.
func addresses(f *zone.File, old netip.Addr) error {
	var errs []error
	for _, record := range f.References(old) {
		if record.Type == "A" {
			errs = append(errs, fmt.Errorf("line %d: %s A %s", record.Line, record.Owner, record.Data))
		}
	}
	return errors.Join(errs...)
}

// texts are the records that name the old address, and for which the runbook has a step.
func (r *rehearsal) texts(f *zone.File, old netip.Addr) string {
	left := ""
	for _, record := range f.References(old) {
		left += fmt.Sprintf("; line %d: %s %s %s", record.Line, record.Owner, record.Type, record.Data)
	}
	if left == "" {
		return "none is left"
	}
	return "left for the runbook's own step" + left
}

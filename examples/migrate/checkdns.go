package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/internal/textfile"
	"github.com/rehost/rehost/zone"
)

// A publication is a zone that a step has served.
type publication struct {
	m      *move.Move
	step   string // such as 4.2
	serial uint32
	oldTTL time.Duration // how long caches may hold what was there before
	moved  rendered      // the last zone of the phase, which has the router's address
	last   bool          // this one is it
	names  []string      // that point to the old address today
}

// served is that every server has the serial, and that caches have forgotten what was
// there before. The instant of that is kept: only who saw the servers follow knows it.
func (p publication) served(text string) check {
	return check{Text: text, How: fmt.Sprintf("the SOA record of every server of the NS set, for serial %d", p.serial),
		Try: func(ctx context.Context, st *station) (string, error) {
			servers, err := p.servers(ctx, st)
			if err != nil {
				return "", err
			}
			// The rest of the patience is for saying which of them lag.
			ctx, cancel := context.WithTimeout(ctx, patience*3/4)
			defer cancel()
			seen, err := zone.WaitSerial(ctx, p.m.Domain, p.serial, servers, &zone.WaitOptions{Timeout: patience / 4})
			if err != nil {
				return "", fmt.Errorf("%w: \"rndc reload %[2]s\" on %[3]s, and look at its log; a secondary has to be allowed to transfer, and \"rndc retransfer %[2]s\" there does not wait",
					err, p.m.Domain, p.m.Guest.Name)
			}
			return p.drained(ctx, st, seen)
		}}
}

// drained keeps the drain of a report, or finds the one that was kept.
func (p publication) drained(ctx context.Context, st *station, seen zone.Report) (string, error) {
	path := filepath.Join(st.out, "drain-"+p.step+".json")
	var drain zone.Drain
	data, err := os.ReadFile(path)
	if err == nil {
		if err = json.Unmarshal(data, &drain); err != nil {
			return "", fmt.Errorf("%s: %w: remove it", path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	all := plural(len(seen.Servers), "server has it", "servers have it")
	ahead := func(s zone.ServerState) bool { return s.Serial != p.serial }
	switch {
	case drain.Serial == p.serial:
	case slices.ContainsFunc(seen.Servers, ahead):
		return "", untried(all + ", or a later one; since when is not in " + path + ": run this where it was run before, or trust the timetable")
	default:
		drain, _ = seen.Drain(p.oldTTL)
		if data, err = json.Marshal(drain); err != nil {
			return "", err
		}
		if _, err := (textfile.Output{Path: filepath.Base(path), Mode: 0o644, Data: append(data, '\n')}).Save(ctx, st.out); err != nil {
			return "", err
		}
	}
	if left := drain.Remaining(st.now); left > 0 {
		what := "do not begin the next step before"
		if !p.last && slices.ContainsFunc(seen.Servers, ahead) {
			what = "the TTLs were lowered too late, and the names point to the router already: keep everything at the old address until then"
		}
		return "", fmt.Errorf("%s, but caches may hold what was there before until %s, which is in %s: %s", all, drain.Until.UTC().Format(time.RFC3339), short(left), what)
	}
	return all + "; " + drain.String(), nil
}

// servers are those of the NS set. Where the guest serves by the router's address, it is
// asked through the tunnel from where that is not to be reached: on the two ends.
func (p publication) servers(ctx context.Context, st *station) ([]netip.AddrPort, error) {
	f, err := zone.Parse(p.m.DNS.Zone, p.m.Domain, p.moved.data)
	if err != nil {
		return nil, err
	}
	servers, err := f.Servers(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("the NS set: %w", err)
	}
	if !st.at(outside) {
		for i, s := range servers {
			if s.Addr() == p.m.Router.Address {
				servers[i] = netip.AddrPortFrom(p.m.Tunnel.Guest.Addr(true), s.Port())
			}
		}
	}
	return servers, nil
}

// same is that the servers answer what the file says: with a serial that was not raised,
// secondaries keep the old records for good.
func (p publication) same(text string) check {
	return check{Text: text, How: "the addresses of the names that move, from every server",
		Try: func(ctx context.Context, st *station) (string, error) {
			path := p.m.DNS.Zone
			f, err := zone.Parse(path, p.m.Domain, p.moved.data)
			if st.host == p.m.Guest.Name {
				path = st.path(path)
				f, err = st.openZone(path)
			}
			if err != nil {
				return "", err
			}
			if err := p.raised(f, path); err != nil {
				return "", err
			}
			return p.compareAll(ctx, st, f, path)
		}}
}

// returned is that the servers answer as they did before the phase.
func (p publication) returned(before rendered) check {
	return check{Text: "Every server answers with " + p.m.Guest.Old.Address.String() + " again.", How: "the addresses of the names that have moved, from every server",
		Try: func(ctx context.Context, st *station) (string, error) {
			f, err := zone.Parse(p.m.DNS.Zone, p.m.Domain, before.data)
			if err != nil {
				return "", err
			}
			return p.compareAll(ctx, st, f, p.m.DNS.Zone)
		}}
}

// openZone reads the zone. An $INCLUDE of a disk that is mounted elsewhere could lead to
// this machine's own files.
func (st *station) openZone(path string) (*zone.File, error) {
	if st.root != "/" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(bytes.ToUpper(data), []byte("$INCLUDE")) {
			return nil, untried(path + " has an $INCLUDE: look at it on " + st.host + " itself")
		}
	}
	return zone.Open(path, st.m.Domain, &zone.Options{Dir: filepath.Dir(path)})
}

// compareAll asks every server for the names: one that is mute delays no other.
func (p publication) compareAll(ctx context.Context, st *station, f *zone.File, path string) (string, error) {
	servers, err := p.servers(ctx, st)
	if err != nil {
		return "", err
	}
	want := map[string][]zone.Record{} // a File is not for several goroutines
	for _, name := range p.names {
		want[name] = f.Lookup(name, "A")
	}
	soa := soaLine(f)
	errs := make([]error, len(servers))
	var wait sync.WaitGroup
	for i, server := range servers {
		wait.Go(func() { errs[i] = compare(ctx, want, path, soa, server) })
	}
	wait.Wait()
	return fmt.Sprintf("%s, %s", plural(len(p.names), "name", "names"), plural(len(servers), "server", "servers")), errors.Join(errs...)
}

// raised is that the file's serial is at least the one that was rendered.
func (p publication) raised(f *zone.File, path string) error {
	serial, err := f.Serial()
	if err != nil {
		return err
	}
	if order, ok := zone.CompareSerial(serial, p.serial); !ok || order < 0 {
		return fmt.Errorf("%s:%d: the serial is %d, and was not raised: secondaries keep the old records; make it %d and reload", path, soaLine(f), serial, p.serial)
	}
	return nil
}

func soaLine(f *zone.File) int {
	for r := range f.All() {
		if r.Type == "SOA" {
			return r.Line
		}
	}
	return 0
}

// compare asks one server for the addresses of names.
func compare(ctx context.Context, records map[string][]zone.Record, path string, soa int, server netip.AddrPort) error {
	for _, name := range slices.Sorted(maps.Keys(records)) {
		var want, got []string
		line := 0
		for _, r := range records[name] {
			want, line = append(want, r.Data), r.Line
		}
		answer, err := exchange(ctx, "udp", new(miekg.Msg).SetQuestion(name, miekg.TypeA), server)
		if err != nil {
			return fmt.Errorf("%w: look at named there", err)
		}
		for _, rr := range answer.Answer {
			if a, ok := rr.(*miekg.A); ok {
				got = append(got, a.A.String())
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			return fmt.Errorf("%s:%d: %s has %s, and %s answers %s: raise the serial in line %d, and reload", path, line,
				name, strings.Join(want, " "), server, strings.Join(got, " "), soa)
		}
	}
	return nil
}

// nothingLeft is that no record of the zone file has the old address; types are those
// that are looked at, none being all.
func nothingLeft(m *move.Move, text string, types ...string) check {
	return check{Text: text, On: m.Guest.Name, Files: true, How: "the zone file is read",
		Try: func(_ context.Context, st *station) (string, error) {
			path := st.path(m.DNS.Zone)
			f, err := st.openZone(path)
			if err != nil {
				return "", err
			}
			var errs []error
			for _, r := range f.References(m.Guest.Old.Address) {
				if len(types) == 0 || slices.Contains(types, r.Type) {
					errs = append(errs, fmt.Errorf("%s:%d: %s %s still has %s: change it, raise the serial and reload", r.File, r.Line, r.Owner, r.Type, m.Guest.Old.Address))
				}
			}
			return "", errors.Join(errs...)
		}}
}

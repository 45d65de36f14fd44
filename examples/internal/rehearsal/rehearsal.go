// Package rehearsal makes a move in small on one machine: the DNS servers, the authority,
// the publisher, the service and its disk are all in this process, and their files are
// those that were rendered for the real ones. It needs no root and no installation.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/zone"
)

// Options say what is rehearsed, and where.
type Options struct {
	Move     *move.Move
	Phases   []Phase                          // all seven, in order
	ShortTTL time.Duration                    // that no TTL is above while the names move
	Present  fs.FS                            // the machines' files of today: HOST/PATH
	Rendered fs.FS                            // the phases' files: PHASE/HOST/PATH
	Dir      string                           // an empty folder for all that is made; it is left empty
	DiskSize int64                            // of the guest's disk, in bytes, at least a MiB; 0: 256 MiB
	Progress func(phase string, part float64) // is told how far the present phase is, from 0 to 1; nil: nobody
}

// A Phase is one of the runbook.
type Phase struct {
	Dir   string // of its files, in Options.Rendered
	Title string
}

// Run rehearses the move. The report is there as far as it came also with an error, which
// is that the rehearsal itself could not go on; what did not hold is in the report.
func Run(ctx context.Context, opt Options) (*report.Report, error) {
	r := &rehearsal{Options: opt, least: time.Second, link: 3 * time.Second}
	return r.run(ctx, r.bars())
}

// A rehearsal is one that is under way.
type rehearsal struct {
	Options
	least  time.Duration // that a phase lasts, for the watch to see something of it
	link   time.Duration // that the whole disk needs while the guest runs
	report *report.Report
	watch  *report.Watch
	client client
	stages int // of the present bar
	over   int // those of them that are over

	present   *zone.File        // the zone of today
	zone      *zone.File        // that the primary has loaded
	authority *certsync.LocalCA // that phase 3 begins with
	certs     *certsync.Dir     // the guest's
	published *certsync.Dir     // the router's
	guest     *guest            // that answers; nil while it is stopped
	secondary *nameServer       // at the registrar
	router    *router           // with its tunnel; nil before phase 2
	delivered uint64            // the last message that a client had an answer for before the stop

	silentFrom report.Seconds // when the guest was stopped; 0: it was not
	silentTo   report.Seconds // when it answered again; 0: it did not
}

// A bar of the timeline has stages, one after the other.
type bar struct {
	number int
	title  string
	stages []func(context.Context) error
}

func (r *rehearsal) bars() []bar {
	title := func(n int) string { return r.Phases[n-1].Title }
	return []bar{
		{1, title(1), []func(context.Context) error{r.prepare}},
		{2, title(2), []func(context.Context) error{r.newPath, r.filters, r.forwards, r.site(2)}},
		{3, title(3), []func(context.Context) error{r.certificateFiles, r.firstCertificates, r.site(3), r.renewal, r.refusals}},
		{4, title(4), []func(context.Context) error{r.shortTTLs, r.moveNames, r.forgottenSerial}},
		{5, title(5) + ", live", []func(context.Context) error{r.livePass, r.secondPass}},
		{5, "The final pass", []func(context.Context) error{r.stopGuest, r.finalPass}},
		{6, title(6), []func(context.Context) error{r.boot, r.bootFiles, r.homeNetwork}},
		{7, title(7), []func(context.Context) error{r.lastCheck}},
	}
}

func (r *rehearsal) run(ctx context.Context, bars []bar) (*report.Report, error) {
	defer r.clear()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.report = report.New(r.Move.Guest.Name, "this machine, "+runtime.GOOS+", in one process", time.Now())
	r.report.Network = network(r.Move)
	if err := r.setUp(ctx); err != nil {
		return r.report, fmt.Errorf("set up the rehearsal: %w", err)
	}
	r.report.Started = time.Now()
	r.startWatch(ctx)
	err := r.play(ctx, bars)
	r.report.End(time.Now())
	r.watch.Stop(r.report)
	if err == nil {
		r.silence()
	}
	return r.report, err
}

// play is all phases. What takes no time takes as long as the watch needs to see it.
func (r *rehearsal) play(ctx context.Context, bars []bar) error {
	for i, b := range bars {
		r.report.Begin(b.number, b.title, time.Now())
		r.watch.Phase(i)
		least := time.After(r.least)
		r.stages = len(b.stages)
		for k, stage := range b.stages {
			r.over = k
			r.tell(0)
			phase := &r.report.Phases[i]
			sure := len(phase.Findings)
			err := stage(ctx)
			if ctx.Err() != nil {
				phase.Findings = phase.Findings[:sure] // what was cut off has not failed
				return ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("phase %d: %w", b.number, err)
			}
		}
		r.over = r.stages
		r.tell(0)
		if r.guest == nil {
			continue // nobody is to wait longer than needed
		}
		select {
		case <-least:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// setUp starts what there is before the move: the guest with its disk, its zone and its
// certificates, and the secondary.
func (r *rehearsal) setUp(ctx context.Context) (err error) {
	if r.present, err = r.zoneOfToday(); err != nil {
		return err
	}
	r.zone = r.present
	if err := makeImage(ctx, r.oldDisk(), r.size()); err != nil {
		return err
	}
	r.published = &certsync.Dir{Path: filepath.Join(r.Dir, "published")}
	r.certs = &certsync.Dir{Path: filepath.Join(r.Dir, "certificates")}
	if r.authority, err = certsync.NewLocalCA(nil); err != nil {
		return err
	}
	before, err := certsync.NewLocalCA(nil)
	if err != nil {
		return err
	}
	r.client = newClient(r.Move, before, r.authority)
	old, err := issueAll(ctx, before, r.certificates())
	if err != nil {
		return err
	}
	if r.guest, err = startGuest(r.oldDisk(), r.present, r.certs, r.certificates(), old); err != nil {
		return err
	}
	if r.secondary, err = startNameServer(r.present.Origin()); err != nil {
		return err
	}
	r.secondary.follow(r.guest.dns.addr)
	return r.guest.dns.notify(ctx, r.secondary.addr)
}

// clear stops all that runs, and takes away all that was made.
func (r *rehearsal) clear() {
	if r.guest != nil {
		r.guest.stop()
	}
	if r.router != nil {
		r.router.stop()
	}
	if r.secondary != nil {
		r.secondary.stop()
	}
	entries, _ := os.ReadDir(r.Dir)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(r.Dir, e.Name()))
	}
}

func (r *rehearsal) size() int64 {
	if r.DiskSize == 0 {
		return 256 << 20
	}
	return r.DiskSize
}

func (r *rehearsal) oldDisk() string  { return filepath.Join(r.Dir, "old.img") }
func (r *rehearsal) homeDisk() string { return filepath.Join(r.Dir, "home.img") }

// tell reports how far the present stage is.
func (r *rehearsal) tell(part float64) {
	if r.Progress == nil {
		return
	}
	phases := r.report.Phases
	r.Progress(phases[len(phases)-1].Title, (float64(r.over)+part)/float64(r.stages))
}

// now is the time of the report's clock.
func (r *rehearsal) now() report.Seconds { return report.Seconds(time.Since(r.report.Started)) }

// check reports what a check has found: it held, with a detail, or err says why not.
func (r *rehearsal) check(check, how, detail string, err error) {
	f := report.Finding{Check: check, How: how, Outcome: report.Held, Detail: detail}
	if err != nil {
		f.Outcome, f.Detail = report.Failed, err.Error()
	}
	r.report.Add(f)
}

func (r *rehearsal) notTried(check, how, why string) {
	r.report.Add(report.Finding{Check: check, How: how, Outcome: report.NotTried, Detail: why})
}

// silence is what the watch has seen: nobody was to be left without an answer but while
// the guest was stopped.
func (r *rehearsal) silence() {
	asked, stopped := 0, 0
	for _, p := range r.report.Probes {
		asked += p.Asked
	}
	var errs []error
	for _, o := range r.report.Outages {
		if r.silentFrom > 0 && o.From >= r.silentFrom && (r.silentTo == 0 || o.To <= r.silentTo) {
			stopped += o.Failed
			continue
		}
		errs = append(errs, fmt.Errorf("%s by %s: %d of its answers failed, from %s to %s: %s", o.Service, o.Path, o.Failed, o.From, o.To, o.Error))
	}
	r.check("every service answers all the time, but for the stop", "each asked ten times a second by each of its paths",
		fmt.Sprintf("%d questions; %d without an answer, all of them in the stop", asked, stopped), errors.Join(errs...))
}

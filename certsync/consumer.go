package certsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Consumer keeps a machine's certificates those of a source, and its daemons told.
//
// It needs no memory of what it was doing: a run compares what is installed with what the
// source has, and what each daemon was last told with what is installed. So a crash at any
// instant costs at most one reload too many.
type Consumer struct {
	Source       Source
	Dir          *Dir
	Certificates []Certificate
	// Policy is what each must be. Its Names and Installed are set for each.
	Policy  Policy
	Daemons []Daemon
	// Rollback goes back to the certificate of before if a daemon does not serve the new
	// one after its reload, and serves the old one after another. The new one is not
	// tried again for a day.
	Rollback bool
	// Force installs a certificate also if it ends before the installed one, as the first
	// of a shorter profile does, or was rolled back.
	Force bool
	// State is a file that keeps what the daemons were told. Empty: state.json in
	// .certsync in the Dir. Consumers that share a Dir and have not the same certificates and
	// daemons need one each.
	State string
	// Interval is the time between two runs of Run, more or less a tenth. 0: an hour. What
	// failed is tried again after a minute, then after two, and so on.
	Interval time.Duration
	// Alarm is how long before its end a certificate must be replaced: until then it is a
	// Warning that it cannot be fetched. 0: 14 days, or a fifth of the lifetime if that is
	// less.
	Alarm time.Duration
	// Wake has Run do its work at once when it receives, as a channel does that was given
	// to signal.Notify. Nil: never.
	Wake <-chan os.Signal
	// Notify gets the events of a run if one of them is more than a Warning. An error that
	// stays is told once a day. Its context ends after five minutes, and not with that of the
	// run: what has happened is told. Nil: nobody.
	Notify func(ctx context.Context, events []Event) error
	// Log gets every event. Nil: nobody.
	Log *slog.Logger
}

// Sync does one run: it fetches every certificate that has changed, validates and installs
// it, and tells the daemons that serve it. It returns an event for each certificate to
// which something happened. The error joins those of events that are no Warning, and what
// kept the run from working at all. Two runs at once, of two processes too, wait for each
// other.
func (c *Consumer) Sync(ctx context.Context) ([]Event, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	own, err := c.Dir.ownership()
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, c.statePath()+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	run := &syncRun{Consumer: c, own: own, installed: map[string]Fingerprint{}, events: map[string]*Event{}}
	if err := readState(c.statePath(), &run.state); err != nil {
		return nil, err
	}
	for _, cert := range c.Certificates {
		if err := ctx.Err(); err != nil {
			return run.finish(ctx, err)
		}
		run.update(ctx, cert)
	}
	return run.finish(ctx, run.tell(ctx))
}

// Run calls Sync at once and then at every interval until the context ends, and returns
// why it has. Errors of Sync are logged.
func (c *Consumer) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	return loop(ctx, cmp.Or(c.Interval, time.Hour), c.Wake, func(ctx context.Context) error {
		_, err := c.Sync(ctx)
		if err != nil {
			loggerOf(c.Log).ErrorContext(ctx, "sync failed", "err", err)
		}
		return err
	})
}

// check refuses a consumer that cannot do what it is for.
func (c *Consumer) check() error {
	if c.Source == nil || c.Dir == nil {
		return errors.New("a consumer needs a Source and a Dir")
	}
	names, err := namesOf(c.Certificates)
	if err != nil {
		return err
	}
	daemons := map[string]bool{}
	for _, d := range c.Daemons {
		if d.Name == "" || daemons[d.Name] {
			return &ValueError{Field: "daemon", Value: d.Name, Reason: "every daemon needs a name of its own"}
		}
		daemons[d.Name] = true
		for _, name := range d.Names {
			if !names[name] {
				return &ValueError{Field: "daemon " + d.Name, Value: name, Reason: "it is not one of the certificates"}
			}
		}
	}
	return nil
}

func (c *Consumer) statePath() string {
	return cmp.Or(c.State, filepath.Join(c.Dir.Path, hidden, "state.json"))
}

// consumerState is what survives a run.
type consumerState struct {
	Checked  time.Time                         `json:"checked"`            // when the last whole run ended
	Told     map[string]map[string]Fingerprint `json:"told"`               // by daemon and certificate
	Rejected map[string]rejection              `json:"rejected,omitempty"` // by certificate
	Failures map[string]failure                `json:"failures,omitempty"` // by certificate
	Known    map[string]known                  `json:"known,omitempty"`    // by certificate
}

// A rejection is a bundle that was rolled back.
type rejection struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	Until       time.Time   `json:"until"`
}

// What is known of an installed bundle, so that in most runs, for each of many names, it
// need not be read again.
type known struct {
	Stamp       string      `json:"stamp"` // of the files in which all this was found
	Fingerprint Fingerprint `json:"fingerprint"`
	NotBefore   time.Time   `json:"not_before"`
	NotAfter    time.Time   `json:"not_after"`
}

// A failure is why a certificate is not as it should be.
type failure struct {
	Succeeded time.Time `json:"succeeded,omitzero"` // before
	Problem   string    `json:"problem"`
	Notified  time.Time `json:"notified,omitzero"`
}

// rejectedFor is how long a bundle that was rolled back is not tried again: the daemon may
// have been at fault, and the old certificate ends.
const rejectedFor = day

// A syncRun is one run of Sync.
type syncRun struct {
	*Consumer
	own       ownership
	state     consumerState
	installed map[string]Fingerprint // by certificate
	events    map[string]*Event      // by certificate
}

// event is that of a certificate, made when something happens.
func (r *syncRun) event(name string) *Event {
	e := r.events[name]
	if e == nil {
		e = &Event{Name: name, Old: r.installed[name], New: r.installed[name]}
		r.events[name] = e
	}
	return e
}

// fail adds an error to a certificate's event.
func (r *syncRun) fail(name string, err error, warning bool) {
	e := r.event(name)
	e.Warning = warning && (e.Err == nil || e.Warning)
	e.Err = errors.Join(e.Err, err)
}

// finish keeps the state, and tells who wants to know. A run that was ended before it had
// looked at everything says nothing of the rest.
func (r *syncRun) finish(ctx context.Context, errs ...error) ([]Event, error) {
	events := make([]Event, 0, len(r.events))
	var news bool
	var overdue []string // of whose error nobody was told for a day
	now := time.Now()
	failures := r.state.Failures
	if failures == nil {
		failures = map[string]failure{}
	}
	maps.DeleteFunc(failures, func(name string, _ failure) bool {
		_, looked := r.installed[name]
		return looked && (r.events[name] == nil || r.events[name].Err == nil)
	})
	for _, name := range slices.Sorted(maps.Keys(r.events)) {
		e := *r.events[name]
		events = append(events, e)
		e.log(ctx, r.Log)
		news = news || e.Old != e.New || len(e.Daemons) > 0
		if e.Err == nil {
			continue
		}
		f, failedBefore := failures[name]
		if !failedBefore && !r.installed[name].IsZero() {
			f.Succeeded = r.state.Checked
		}
		f.Problem = e.Err.Error()
		if !e.Warning {
			errs = append(errs, fmt.Errorf("%s: %w", name, e.Err))
			if !ahead(f.Notified.Add(day)) {
				overdue, news = append(overdue, name), true
			}
		}
		failures[name] = f
	}
	r.state.Failures = failures
	if len(r.installed) == len(r.Certificates) {
		r.state.Checked = now
	}
	r.cleanState()
	errs = append(errs, writeState(r.statePath(), r.state))
	if news && r.Notify != nil {
		errs = append(errs, r.notify(ctx, events, overdue))
	}
	return events, errors.Join(errs...)
}

// notify tells of the events, and keeps of whose errors it did. What could not be told of
// is told of by the next run.
func (r *syncRun) notify(ctx context.Context, events []Event, overdue []string) error {
	if err := notify(ctx, r.Notify, events); err != nil {
		return err
	}
	if len(overdue) == 0 {
		return nil
	}
	for _, name := range overdue {
		f := r.state.Failures[name]
		f.Notified = time.Now()
		r.state.Failures[name] = f
	}
	return writeState(r.statePath(), r.state)
}

// cleanState removes what is not configured any more.
func (r *syncRun) cleanState() {
	configured := map[string]bool{}
	for _, cert := range r.Certificates {
		configured[cert.Name] = true
	}
	maps.DeleteFunc(r.state.Rejected, func(name string, _ rejection) bool { return !configured[name] })
	maps.DeleteFunc(r.state.Failures, func(name string, _ failure) bool { return !configured[name] })
	maps.DeleteFunc(r.state.Known, func(name string, _ known) bool { return !configured[name] })
	maps.DeleteFunc(r.state.Told, func(daemon string, told map[string]Fingerprint) bool {
		maps.DeleteFunc(told, func(name string, _ Fingerprint) bool { return !configured[name] })
		return !slices.ContainsFunc(r.Daemons, func(d Daemon) bool { return d.Name == daemon })
	})
}

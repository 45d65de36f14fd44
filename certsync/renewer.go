package certsync

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// A Renewer keeps certificates valid. One that is missing or broken, and cannot be put right
// from the version that the Dir keeps, is due at once, and so is one that does not cover its
// domains. Any other is due at an instant drawn from the window that the issuer says, if it
// is a [RenewalInformer], or else when a third of its lifetime is left, more or less. The
// instant is kept, and drawn anew only if the certificate or the window changes.
type Renewer struct {
	Issuer       Issuer
	Dir          *Dir // where they are kept, and published from
	Certificates []Certificate
	// Policy is what each must be. Its Names are set for each. Installed is not asked for: a
	// certificate that is due may be replaced by one with a shorter life.
	Policy Policy
	// Force renews what is not due too, and does not wait after what failed. A failure is
	// no Warning then. Run refuses it.
	Force bool
	// State is a file that keeps when each is to be renewed, and what failed. Without it
	// all is tried at once. Empty: renewals.json in .certsync in the Dir.
	State string
	// Interval is the time between two runs of Run, more or less a tenth. 0: six hours.
	Interval time.Duration
	// Alarm is how long before the end of a certificate a failure is no Warning any more.
	// 0: 14 days, or a fifth of the lifetime if that is less.
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

// A RetryError is an Issuer's that says when to try again. A [Renewer] does not before, but
// waits for a day at most.
type RetryError struct {
	After time.Duration
	Err   error
}

// Error returns that of Err, with the time.
func (e *RetryError) Error() string { return fmt.Sprintf("%v (try again after %s)", e.Err, e.After) }

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }

// Renew gets what is due, validates it and installs it. It returns an event for each
// certificate that was renewed, or should have been. The error joins those of events that
// are no Warning, and what kept the run from working at all.
//
// What failed is not tried again by the next runs, which repeat the error, until a quarter
// of an hour is over, then twice that, up to six hours: authorities count failures. They
// count successes too, and so are not asked for what the Dir could not keep. Two runs at
// once, of two processes too, wait for each other, and the second finds nothing due.
func (r *Renewer) Renew(ctx context.Context) ([]Event, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, r.statePath()+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	run := &renewRun{Renewer: r}
	if err := readState(r.statePath(), &run.state); err != nil {
		return nil, err
	}
	if run.state.Renewals == nil {
		run.state.Renewals = map[string]*renewal{}
	}
	for _, cert := range r.Certificates {
		run.renew(ctx, cert)
		if err := ctx.Err(); err != nil {
			return run.finish(ctx, err)
		}
	}
	run.state.Checked = time.Now()
	return run.finish(ctx, nil)
}

// Run calls Renew at once and then at every interval until the context ends, and returns
// why it has. Errors of Renew are logged.
func (r *Renewer) Run(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.Force {
		return errors.New("a renewer with Force cannot run: it would renew all at every interval")
	}
	return loop(ctx, cmp.Or(r.Interval, 6*time.Hour), r.Wake, func(ctx context.Context) error {
		_, err := r.Renew(ctx)
		if err != nil {
			loggerOf(r.Log).ErrorContext(ctx, "renewal failed", "err", err)
		}
		return err
	})
}

// Status says how each certificate is, from the files alone: it asks no issuer, and waits
// for no lock.
func (r *Renewer) Status(ctx context.Context) ([]Status, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var state renewerState
	if err := readState(r.statePath(), &state); err != nil {
		return nil, err
	}
	list := make([]Status, len(r.Certificates))
	for i, cert := range r.Certificates {
		s := statusOf(ctx, r.Dir, cert, r.Policy, r.Alarm)
		if known := state.Renewals[cert.Name]; known != nil {
			s.Succeeded = state.Checked
			if known.Problem != "" {
				s.Succeeded = known.Succeeded
				s.problem(known.Problem)
			}
			if known.Fingerprint == s.Fingerprint {
				s.RenewAt = known.At
			}
		}
		list[i] = s
	}
	return list, nil
}

// check refuses a renewer that cannot do what it is for.
func (r *Renewer) check() error {
	if r.Issuer == nil || r.Dir == nil {
		return errors.New("a renewer needs an Issuer and a Dir")
	}
	_, err := namesOf(r.Certificates)
	return err
}

func (r *Renewer) statePath() string {
	return cmp.Or(r.State, filepath.Join(r.Dir.Path, hidden, "renewals.json"))
}

// renewerState is what survives a run.
type renewerState struct {
	Checked  time.Time           `json:"checked"` // when the last whole run ended
	Renewals map[string]*renewal `json:"renewals"`
}

// A renewal is when a certificate is to be renewed, and what became of it.
type renewal struct {
	Fingerprint Fingerprint `json:"fingerprint"` // of the bundle that the times are for
	Start       time.Time   `json:"start,omitzero"`
	End         time.Time   `json:"end,omitzero"`
	At          time.Time   `json:"at,omitzero"`  // drawn between the two
	Ask         time.Time   `json:"ask,omitzero"` // when to ask for the window again

	Failures  int       `json:"failures,omitempty"` // in a row
	Problem   string    `json:"problem,omitempty"`  // of the last
	Retry     time.Time `json:"retry,omitzero"`     // not before
	Succeeded time.Time `json:"succeeded,omitzero"` // before it failed
	Notified  time.Time `json:"notified,omitzero"`
}

// The times between two tries of what failed. Let's Encrypt allows five failed validations
// of a name in an hour.
const (
	firstTry = 15 * time.Minute
	lastTry  = 6 * time.Hour
)

// A renewRun is one run of Renew.
type renewRun struct {
	*Renewer
	state  renewerState
	events []Event
	errs   []error
	news   bool       // there is something to notify of
	untold []*renewal // of whose error nobody was told for a day
}

// renew gets one certificate, if it is due.
func (r *renewRun) renew(ctx context.Context, cert Certificate) {
	s := r.state.Renewals[cert.Name]
	if s == nil {
		s = &renewal{}
		r.state.Renewals[cert.Name] = s
	}
	if err := r.Dir.mend(ctx, cert.Name); err != nil {
		r.add(ctx, s, Event{Name: cert.Name, Err: err})
		return
	}
	old, leaf, err := r.installed(ctx, cert)
	if err != nil {
		r.add(ctx, s, Event{Name: cert.Name, Err: err})
		return
	}
	event := Event{Name: cert.Name}
	if old != nil {
		event.Old, event.New = old.Fingerprint(), old.Fingerprint()
	}
	now := time.Now()
	if leaf != nil {
		r.schedule(ctx, s, old, leaf)
		if now.Before(s.At) && !r.Force {
			s.settle()
			return
		}
		event.Warning = !r.Force && leaf.NotAfter.Sub(now) > alarmBefore(leaf.NotBefore, leaf.NotAfter, r.Alarm)
	}
	if ahead(s.Retry) && !r.Force {
		event.Err = fmt.Errorf("not tried again before %s: %s", s.Retry.Format(time.RFC3339), s.Problem)
		r.add(ctx, s, event)
		return
	}
	if err := r.rehearse(); err != nil { // no reason to wait, as nobody was asked
		event.Err = err
		r.add(ctx, s, event)
		return
	}
	b, err := r.issue(ctx, cert, old)
	switch {
	case err != nil && ctx.Err() != nil:
		return // nobody's failure
	case err != nil:
		s.fail(err, r.state.Checked)
		event.Err = err
	default:
		s.settle()
		event.New, event.Warning = b.Fingerprint(), false
		if leaf, err := b.Leaf(); err == nil {
			r.schedule(ctx, s, b, leaf)
		}
	}
	r.add(ctx, s, event)
	// At once, as what was asked of the issuer counts there too.
	if err := writeState(r.statePath(), r.state); err != nil {
		r.errs = append(r.errs, err)
	}
}

// installed returns the bundle in place, and its leaf if it is as it should be. Neither, if
// there is nothing of use. An error says that this cannot be known, and so that there is no
// reason to ask for another.
func (r *renewRun) installed(ctx context.Context, cert Certificate) (*Bundle, *x509.Certificate, error) {
	b, err := r.Dir.Fetch(ctx, cert.Name, Fingerprint{})
	if useless(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if b.Validate(r.policy(cert)) != nil {
		return b, nil, nil
	}
	leaf, err := b.Leaf()
	return b, leaf, err
}

func (r *renewRun) policy(cert Certificate) Policy {
	p := r.Policy
	p.Names, p.Installed = domains(cert.Name, cert.Domains), nil
	return p
}

// rehearse reports whether the outcome could be kept: it writes the state, and more than a
// bundle takes, with the owner and mode of one.
func (r *renewRun) rehearse() error {
	own, err := r.Dir.ownership()
	if err != nil {
		return err
	}
	dir := filepath.Join(r.Dir.Path, hidden)
	if err := errors.Join(makeDir(r.Dir.Path, ownership{-1, -1, 0o755}), makeDir(dir, private.directory())); err != nil {
		return err
	}
	path := filepath.Join(dir, tempPrefix+"rehearsal")
	err = replaceFile(path, own, make([]byte, 64<<10))
	return errors.Join(err, os.RemoveAll(path), writeState(r.statePath(), r.state))
}

// issue gets a certificate in the place of the one that is there.
func (r *renewRun) issue(ctx context.Context, cert Certificate, old *Bundle) (*Bundle, error) {
	b, err := r.Issuer.Issue(ctx, Request{Name: cert.Name, Domains: domains(cert.Name, cert.Domains), Previous: old})
	if err == nil && b == nil {
		err = errNoBundle
	}
	if err != nil {
		return nil, err
	}
	if err := b.Validate(r.policy(cert)); err != nil {
		return nil, err
	}
	// The authority has counted it: it is not thrown away because the program ends.
	return b, r.Dir.Install(context.WithoutCancel(ctx), b)
}

// fail keeps what went wrong, and when to try again.
func (s *renewal) fail(err error, checked time.Time) {
	if s.Failures == 0 {
		s.Succeeded = checked
	}
	s.Failures++
	s.Problem = err.Error()
	wait := jitter(min(firstTry<<min(s.Failures-1, 10), lastTry))
	if retry, ok := errors.AsType[*RetryError](err); ok {
		wait = min(max(wait, retry.After), day)
	}
	s.Retry = time.Now().Add(wait)
}

// settle forgets what went wrong before.
func (s *renewal) settle() {
	s.Failures, s.Problem = 0, ""
	s.Retry, s.Succeeded, s.Notified = time.Time{}, time.Time{}, time.Time{}
}

// add reports an event.
func (r *renewRun) add(ctx context.Context, s *renewal, e Event) {
	e.log(ctx, r.Log)
	r.events = append(r.events, e)
	r.news = r.news || e.Old != e.New
	if e.Err == nil || e.Warning {
		return
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %w", e.Name, e.Err))
	if !ahead(s.Notified.Add(day)) {
		r.untold, r.news = append(r.untold, s), true
	}
}

// finish keeps the state, and tells who wants to know. What could not be told of is told of
// by the next run.
func (r *renewRun) finish(ctx context.Context, err error) ([]Event, error) {
	errs := append(r.errs, err, writeState(r.statePath(), r.state))
	if r.news && r.Notify != nil {
		err := notify(ctx, r.Notify, r.events)
		if err == nil && len(r.untold) > 0 {
			for _, s := range r.untold {
				s.Notified = time.Now()
			}
			err = writeState(r.statePath(), r.state)
		}
		errs = append(errs, err)
	}
	return r.events, errors.Join(errs...)
}

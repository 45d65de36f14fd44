package certsync

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// serves reports whether a certificate is one of the daemon's.
func (d Daemon) serves(name string) bool { return d.Names == nil || slices.Contains(d.Names, name) }

// pending returns those of a daemon's certificates that it has not been told of as they are
// installed.
func (s *consumerState) pending(d Daemon, installed map[string]Fingerprint) []string {
	var list []string
	for name, fp := range installed {
		if d.serves(name) && !fp.IsZero() && s.Told[d.Name][name] != fp {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// told keeps that a daemon serves its certificates as they are installed.
func (s *consumerState) told(d Daemon, names []string, installed map[string]Fingerprint) {
	if s.Told == nil {
		s.Told = map[string]map[string]Fingerprint{}
	}
	if s.Told[d.Name] == nil {
		s.Told[d.Name] = map[string]Fingerprint{}
	}
	for _, name := range names {
		s.Told[d.Name][name] = installed[name]
	}
}

// forget has the daemons told again of a bundle, as if it were new.
func (s *consumerState) forget(b *Bundle) (changed bool) {
	for _, told := range s.Told {
		if told[b.Name] == b.Fingerprint() {
			delete(told, b.Name)
			changed = true
		}
	}
	return changed
}

// tell tells the daemons what has changed. A rollback for one is a change for others that
// were told before it, so there is a second round.
func (r *syncRun) tell(ctx context.Context) error {
	failed := map[string]bool{}
	var unkept error
	for range 2 {
		for _, d := range r.Daemons {
			names := r.state.pending(d, r.installed)
			if len(names) == 0 || failed[d.Name] {
				continue
			}
			if err := r.tellOne(ctx, d, names); err != nil {
				failed[d.Name] = true
				for _, name := range names {
					r.fail(name, fmt.Errorf("%s: %w", d.Name, err), false)
				}
			}
			// At once: a crash later in this run must not have it told, or what it refused
			// installed, again.
			if err := writeState(r.statePath(), r.state); err != nil {
				unkept = err // and the others are told all the same
			}
		}
	}
	return unkept
}

// tellOne reloads a daemon and looks at what it serves, and goes back if it has to.
func (r *syncRun) tellOne(ctx context.Context, d Daemon, names []string) error {
	err := r.reload(ctx, d)
	if err == nil {
		r.state.told(d, names, r.installed)
		for _, name := range names {
			e := r.event(name)
			e.Daemons = append(e.Daemons, d.Name)
		}
		return nil
	}
	if _, unserved := errors.AsType[*notServedError](err); !unserved || !r.Rollback {
		return err
	}
	rejected, failed := r.goBack(ctx, names)
	if failed != nil || len(rejected) == 0 {
		return errors.Join(err, failed)
	}
	if again := r.reload(ctx, d); again != nil {
		// It does not serve the old one either, so the new one is not to blame.
		return errors.Join(err, r.restore(ctx, rejected))
	}
	if r.state.Rejected == nil {
		r.state.Rejected = map[string]rejection{}
	}
	for _, b := range rejected {
		r.state.Rejected[b.Name] = rejection{b.Fingerprint(), time.Now().Add(rejectedFor)}
		e := r.event(b.Name)
		e.New, e.Daemons = r.installed[b.Name], nil // who was told of b is told again
	}
	r.state.told(d, names, r.installed)
	return fmt.Errorf("rolled back: %w", err)
}

// goBack puts the certificates of before back, where there are any, and returns those that
// it took away: if it fails, none. It goes back to none that has ended, and not further
// after it has gone back once: the certificate is not to blame then.
func (r *syncRun) goBack(ctx context.Context, names []string) (taken []*Bundle, err error) {
	for _, name := range names {
		if _, back := r.state.Rejected[name]; back {
			continue
		}
		b, err := r.Dir.Fetch(ctx, name, Fingerprint{})
		if err != nil {
			return nil, errors.Join(err, r.restore(ctx, taken))
		}
		err = r.Dir.Rollback(ctx, name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		taken = append(taken, b)
		var old *Bundle
		if err == nil {
			old, err = r.Dir.Fetch(ctx, name, Fingerprint{})
		}
		if err == nil {
			err = old.Validate(Policy{Names: []string{}, Roots: r.Policy.Roots})
		}
		if err != nil {
			return nil, errors.Join(err, r.restore(ctx, taken))
		}
		r.installed[name] = old.Fingerprint()
	}
	return taken, nil
}

// restore undoes goBack.
func (r *syncRun) restore(ctx context.Context, taken []*Bundle) (errs error) {
	for _, b := range taken {
		if err := r.Dir.Install(ctx, b); err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		r.installed[b.Name] = b.Fingerprint()
	}
	return errs
}

// A notServedError is a daemon that was reloaded and does not serve what is installed.
type notServedError struct{ err error }

func (e *notServedError) Error() string { return e.err.Error() }
func (e *notServedError) Unwrap() error { return e.err }

// reload has a daemon read its certificates and waits until it serves one of them.
func (r *syncRun) reload(ctx context.Context, d Daemon) error {
	if d.Reload != nil {
		limit, cancel := context.WithTimeout(ctx, hookTimeout)
		defer cancel()
		if err := d.Reload(limit); err != nil {
			return fmt.Errorf("reload: %w", err)
		}
	}
	if d.Probe == nil {
		return nil
	}
	var leaves []*x509.Certificate
	for name := range r.installed {
		if !d.serves(name) {
			continue
		}
		if leaf := r.leaf(ctx, name); leaf != nil {
			leaves = append(leaves, leaf)
		}
	}
	patience, cancel := context.WithTimeout(ctx, cmp.Or(d.Patience, 10*time.Second))
	defer cancel()
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	var last error
	for {
		served, err := d.Probe(patience)
		switch {
		case err != nil && last != nil && errors.Is(err, context.DeadlineExceeded):
			// What was wrong before says more than that there was no time for another try.
		case err != nil:
			last = err
		case served == nil:
			last = errUnsaid
		case slices.ContainsFunc(leaves, served.Equal):
			return nil
		default:
			last = fmt.Errorf("it serves another certificate: %s, valid until %s", subject(served), served.NotAfter.Format(time.RFC3339))
		}
		select {
		case <-again.C:
		case <-patience.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &notServedError{fmt.Errorf("probe: %w", last)}
		}
	}
}

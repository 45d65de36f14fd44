package zone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// An RNDC controls one named through rndc(8). The zero value is rndc as it is
// configured on this host.
//
// The exit code of rndc says little: a broken zone, a serial that was not raised
// and a file that named takes for old news all give 0. So the methods here look
// at the zone's status afterwards. They can be run again after a crash.
//
// Errors are one of the Err values below, mostly together with the
// [*CommandError] that holds what rndc said.
type RNDC struct {
	Command string // the program; "" is rndc
	Config  string // rndc.conf (-c); "" is rndc's own
	Key     string // the file of the key (-k); "" is rndc's own
	Server  string // address or name (-s); "" is the configured one
	Port    uint16 // of the control channel (-p); 0 is the configured one
	View    string // needed where the zone is in several views

	// Wait is how long WhileFrozen waits for named to write the file before the
	// edit, and to load it after: 0 is a minute, which is plenty for ten million
	// records.
	Wait time.Duration
}

// What can be wrong with a zone. The texts say what to do.
var (
	ErrUnreachable = errors.New("named cannot be controlled: it does not run, is elsewhere, or has another key")
	ErrUnknownZone = errors.New("named does not have the zone")
	ErrUnknownView = errors.New("named does not have the view")
	ErrViews       = errors.New("the zone is in several views: name the view, and reload each")
	ErrSecondary   = errors.New("the zone is not primary there: reload the primary, and wait for this server")
	ErrDynamic     = errors.New("the zone is dynamic: edit it while it is frozen, or named's own copy wins")
	ErrFrozen      = errors.New("the zone is frozen already: somebody edits it, or an edit crashed and left it to be thawed (rndc thaw)")
	ErrStatic      = errors.New("the zone is not dynamic: there is nothing to freeze")
	ErrNotLoaded   = errors.New("named has not loaded the file: its log says why, and so may named-checkzone -i local")
	ErrNotRaised   = errors.New("named has loaded its file, and that has another serial: is it the file that was edited?")
	ErrUpToDate    = errors.New("named takes its file for loaded, by the time of its last change: is it the file that was edited? Else touch it")
	ErrUndefined   = errors.New("the serial served is exactly 2^31 away: secondaries cannot tell which is newer, so raise it in two steps (RFC 1982)")
)

// A ServedError says that a zone is not served as it should be: Err, which is
// ErrNotLoaded, ErrNotRaised, ErrUpToDate or ErrUndefined, and the serials.
type ServedError struct {
	Origin string
	Want   uint32 // at least this serial was to be served
	Loaded bool   // whether the zone is served at all
	Served uint32 // the serial served, if it is
	Err    error
}

// Error names the zone, both serials and the reason.
func (e *ServedError) Error() string {
	served := "nothing"
	if e.Loaded {
		served = strconv.FormatUint(uint64(e.Served), 10)
	}
	return fmt.Sprintf("%s: serial %d is wanted and %s served: %v", e.Origin, e.Want, served, e.Err)
}

// Unwrap returns Err.
func (e *ServedError) Unwrap() error { return e.Err }

// Reload has named load the zone from its file, and returns nil when at least
// the serial is served, as RFC 1982 compares. If it is served already, nothing is
// done, so that Reload can be run again after a crash. With inline signing the
// serial is the one in the file; what the world sees is [Status.Served].
//
// named loads in its own time and reports a broken zone in its log alone. So
// Reload looks until ctx ends, which should therefore have a deadline; the error
// is then ErrNotLoaded, in a [*ServedError], together with that of ctx.
func (r *RNDC) Reload(ctx context.Context, origin string, serial uint32) error {
	before, err := r.Status(ctx, origin)
	loaded := err == nil
	if loaded {
		if atLeast(before.Serial, serial) {
			return nil
		}
		if err := reloadable(before, serial); err != nil {
			return err
		}
	} else if !errors.Is(err, ErrNotLoaded) {
		return err
	}
	said, err := r.run(ctx, "reload", origin)
	if err != nil {
		// Without old data there is nothing to serve meanwhile, and named tells
		// at once what is wrong with the file.
		if command, unknown := err.(*CommandError); unknown && !loaded && ctx.Err() == nil {
			err = &ServedError{Origin: dns.Fqdn(origin), Want: serial, Err: fmt.Errorf("%w: %w", ErrNotLoaded, command)}
		}
		return err
	}
	if strings.Contains(said, "refresh queued") {
		return fmt.Errorf("%s: %w", dns.Fqdn(origin), ErrSecondary)
	}
	var verdict error // on a file that named does not load again
	if upToDate(said) {
		verdict = ErrUpToDate
	}
	failed := &ServedError{Origin: dns.Fqdn(origin), Want: serial, Loaded: loaded, Served: before.Serial}
	began, asked := time.Now(), false
	return poll(ctx, func() (bool, error) {
		now, err := r.Status(ctx, origin)
		if errors.Is(err, ErrNotLoaded) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		failed.Loaded, failed.Served = true, now.Serial
		switch {
		case atLeast(now.Serial, serial):
			// The signed copy follows in a moment.
			return !now.InlineSigning || !loaded || now.SignedSerial != before.SignedSerial, nil
		case verdict != nil:
			failed.Err = verdict
			return false, failed
		case !asked && (now.LastLoaded.After(before.LastLoaded) || time.Since(began) > time.Second):
			// A second reload tells a file that is loaded from one that is broken,
			// and does nothing while the first goes on.
			asked = true
			said, err := r.run(ctx, "reload", origin)
			if err == nil && upToDate(said) {
				verdict = ErrNotRaised
			}
			return false, err
		}
		return false, nil
	}, func(ended error) error {
		failed.Err = fmt.Errorf("%w (%w)", ErrNotLoaded, ended)
		return failed
	})
}

func upToDate(said string) bool { return strings.Contains(said, "up-to-date") }

// reloadable says why a reload would not bring the serial.
func reloadable(s Status, serial uint32) error {
	switch _, ok := CompareSerial(s.Serial, serial); {
	case s.Type != "primary":
		return fmt.Errorf("%s: %w", s.Origin, ErrSecondary)
	case s.Dynamic && !s.Frozen:
		return fmt.Errorf("%s: %w", s.Origin, ErrDynamic)
	case !ok:
		return &ServedError{Origin: s.Origin, Want: serial, Loaded: true, Served: s.Serial, Err: ErrUndefined}
	}
	return nil
}

// poll asks until the answer is true or an error, with growing pauses. At the end
// of ctx, which may be why asking failed, it returns what giveUp makes of the
// reason.
func poll(ctx context.Context, ask func() (bool, error), giveUp func(ended error) error) error {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		done, err := ask()
		if err == nil && done || err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return giveUp(context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// run has named do something with the zone, and returns what rndc printed.
func (r *RNDC) run(ctx context.Context, verb, origin string) (string, error) {
	if _, ok := dns.IsDomainName(origin); !ok || origin == "" || strings.ContainsAny(origin, " \t\r\n;\"{}") || strings.HasPrefix(origin, "-") {
		return "", &ValueError{Field: "zone", Value: origin, Reason: "is no name of a zone"}
	}
	args := []string{verb, dns.Fqdn(origin)}
	if r.View != "" {
		args = append(args, "IN", r.View)
	}
	said, err := r.command(ctx, args...)
	if errors.Is(err, ErrViews) {
		err = fmt.Errorf("%w (%s)", err, strings.Join(r.viewsOf(ctx, origin), ", "))
	}
	return said, err
}

func (r *RNDC) command(ctx context.Context, args ...string) (string, error) {
	argv := []string{r.Command}
	if r.Command == "" {
		argv[0] = "rndc"
	}
	if r.Config != "" {
		argv = append(argv, "-c", r.Config)
	}
	if r.Key != "" {
		argv = append(argv, "-k", r.Key)
	}
	if r.Server != "" {
		argv = append(argv, "-s", r.Server)
	}
	if r.Port != 0 {
		argv = append(argv, "-p", strconv.Itoa(int(r.Port)))
	}
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second // for a program that leaves children with its pipes
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return stdout.String(), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx) // rather than "signal: killed"
	}
	err = &CommandError{Args: argv, Stderr: strings.TrimSpace(stderr.String()), Err: err}
	for _, known := range refusals {
		if strings.Contains(stderr.String(), known.text) {
			return "", fmt.Errorf("%w: %w", known.err, err)
		}
	}
	return "", err
}

// refusals is how named's refusals read. rndc has one exit code for all of them,
// and nothing but its text tells one from another: there is no status to look at
// where the zone or the view is not known, not loaded or not reached, and of two
// who freeze at once only the refusal knows. All that a status does tell is taken
// from there. A text that is not listed, as of another version of BIND, is a
// [*CommandError] alone: less is known then, and nothing taken for a success.
var refusals = []struct {
	text string
	err  error
}{
	{"connect failed", ErrUnreachable},
	{"connection to remote host closed", ErrUnreachable},
	{"timed out", ErrUnreachable},
	{"no matching view", ErrUnknownView},
	{"no matching zone", ErrUnknownZone},
	{"failed: multiple", ErrViews},
	{"failed: zone not loaded", ErrNotLoaded},
	{"failed: already frozen", ErrFrozen},
}

// viewsOf returns the views that have the zone, as far as they can be told. Only
// a command about something else lists the views.
func (r *RNDC) viewsOf(ctx context.Context, origin string) []string {
	listed, err := r.command(ctx, "validation", "status")
	if err != nil {
		return []string{"which views could not be told"}
	}
	var views []string
	for line := range strings.Lines(listed) {
		_, view, found := strings.Cut(strings.TrimSpace(line), "(view ")
		if !found {
			continue
		}
		view = strings.TrimSuffix(view, ")")
		one := *r
		one.View = view
		if _, err := one.Status(ctx, origin); err == nil || errors.Is(err, ErrNotLoaded) {
			views = append(views, view)
		}
	}
	return views
}

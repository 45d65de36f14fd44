package certsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// A Renewer keeps certificates valid.
type Renewer struct {
	Issuer       Issuer
	Dir          *Dir // where they are kept, and published from
	Certificates []Certificate
	// Policy is what each must be, as in a Consumer.
	Policy Policy
	// State is a file that keeps when each is to be renewed. Empty: renewals.json in
	// Dir.Path/.certsync.
	State string
	// Interval is the time between two runs, with a tenth of jitter. 0: six hours.
	Interval time.Duration
	// Alarm is how long before the end of a certificate a failure is no Warning any more.
	// 0: 14 days, or a fifth of the lifetime if that is less.
	Alarm time.Duration
	// Wake has Run do its work at once when it receives; nil: never.
	Wake <-chan os.Signal
	// Notify gets the events of a run, if one is not a Warning alone.
	Notify func(ctx context.Context, events []Event) error
	// Log gets what happens. Nil: nobody.
	Log *slog.Logger
}

// Renew makes what is due.
func (r *Renewer) Renew(ctx context.Context) ([]Event, error) { return nil, errors.New("to come") }

// Run calls Renew until the context ends, and returns the reason.
func (r *Renewer) Run(ctx context.Context) error { return errors.New("to come") }

// Status says how each certificate is, from the files alone.
func (r *Renewer) Status(ctx context.Context) ([]Status, error) { return nil, errors.New("to come") }

// A RetryError is an Issuer's that says when to try again. A [Renewer] does not before.
type RetryError struct {
	After time.Duration
	Err   error
}

// Error returns that of Err, with the time.
func (e *RetryError) Error() string { return fmt.Sprintf("%v (try again after %s)", e.Err, e.After) }

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }

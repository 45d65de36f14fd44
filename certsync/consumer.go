package certsync

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"
)

// A Consumer keeps a machine's certificates those of a source, and its daemons told.
type Consumer struct {
	Source       Source
	Dir          *Dir
	Certificates []Certificate
	// Policy is what each must be. Its Names, Installed and Now are set for each.
	Policy  Policy
	Daemons []Daemon
	// Rollback goes back to the certificate of before if a daemon does not serve the new
	// one after its reload, and serves the old one after another.
	Rollback bool
	// Force installs a certificate also if it ends before the installed one, or was
	// rolled back.
	Force bool
	// State is a file that keeps what the daemons were told. Empty: state.json in
	// Dir.Path/.certsync.
	State string
	// Interval is the time between two runs, with a tenth of jitter. 0: an hour.
	Interval time.Duration
	// Alarm is how long before its end a certificate must be replaced: until then it is a
	// Warning that a source cannot be reached. 0: 14 days, or a fifth of the lifetime if that
	// is less.
	Alarm time.Duration
	// Wake has Run do its work at once when it receives; nil: never. What signal.Notify
	// fills will do.
	Wake <-chan os.Signal
	// Notify gets the events of a run, if one is not a Warning alone.
	Notify func(ctx context.Context, events []Event) error
	// Log gets what happens. Nil: nobody.
	Log *slog.Logger
}

// Sync does one run.
func (c *Consumer) Sync(ctx context.Context) ([]Event, error) { return nil, errors.New("to come") }

// Run calls Sync until the context ends, and returns the reason.
func (c *Consumer) Run(ctx context.Context) error { return errors.New("to come") }

// Status says how each certificate is, from the files alone.
func (c *Consumer) Status(ctx context.Context) ([]Status, error) { return nil, errors.New("to come") }

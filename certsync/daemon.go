package certsync

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// A Daemon serves certificates, and is told when they change.
type Daemon struct {
	Name  string   // in events and in the status
	Names []string // of the certificates that it serves; nil: all that the consumer has
	// Reload has it read its certificates again. Nil: it does so by itself.
	Reload Reload
	// Probe says what it serves. Nil: a reload that does not fail counts.
	Probe Probe
	// Patience is how long after a reload the probe may still see the old certificate, or
	// nothing. 0: ten seconds.
	Patience time.Duration
}

// A Reload has a daemon read its certificates again. See [ReloadCommand], [ReloadSignal].
type Reload func(ctx context.Context) error

// ReloadCommand runs a program with its arguments. No shell reads them.
func ReloadCommand(argv ...string) Reload {
	return func(ctx context.Context) error { return errors.New("to come") }
}

// ReloadSignal sends a signal to the process whose number stands in the file.
func ReloadSignal(pidFile string, sig syscall.Signal) Reload {
	return func(ctx context.Context) error { return errors.New("to come") }
}

package certsync

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
)

// An Event is what happened to one certificate in one run.
type Event struct {
	Name     string
	Old, New Fingerprint // equal: nothing was installed
	Daemons  []string    // that were told, and serve New if they are probed
	Err      error       // what failed
	// Warning says that Err can wait: the certificate in place is good for long enough.
	Warning bool
}

// String returns the event as a line for people.
func (e Event) String() string {
	var parts []string
	if e.Old != e.New {
		parts = append(parts, "a new certificate")
	}
	if len(e.Daemons) > 0 {
		parts = append(parts, "told "+strings.Join(e.Daemons, " and "))
	}
	if e.Err != nil {
		parts = append(parts, oneLine(e.Err.Error()))
	}
	if len(parts) == 0 {
		parts = []string{"the files were put right"}
	}
	return e.Name + ": " + strings.Join(parts, ", ")
}

// oneLine is a text without line ends and what else a terminal obeys: servers and
// certificates have a say in errors.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, strings.ReplaceAll(text, "\n", "; "))
}

// hookTimeout ends a Reload or a Notify that hangs: the next certificate must not wait for
// it.
const hookTimeout = 5 * time.Minute

// notify tells of events, also when the run was cancelled: what has happened has happened.
func notify(ctx context.Context, tell func(context.Context, []Event) error, events []Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookTimeout)
	defer cancel()
	if err := tell(ctx, events); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// log logs the event, by how much it matters.
func (e Event) log(ctx context.Context, log *slog.Logger) {
	level := slog.LevelInfo
	if e.Err != nil {
		level = slog.LevelError
	}
	if e.Warning {
		level = slog.LevelWarn
	}
	loggerOf(log).Log(ctx, level, e.String())
}

// loggerOf is a logger to which nobody listens, if there is none.
func loggerOf(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

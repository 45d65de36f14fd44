package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/rehost/rehost/blockcopy"
)

// A display shows how a copy goes on: as a bar on a terminal, as a line every few
// seconds elsewhere, or as a log in JSON for programs.
type display struct {
	log            *slog.Logger
	json, terminal bool
	shown          time.Duration // how long it had taken at the last line
}

const lineEvery = 5 * time.Second

func newDisplay(asJSON bool) *display {
	if asJSON {
		return &display{json: true, log: slog.New(slog.NewJSONHandler(os.Stdout, nil))}
	}
	return &display{log: slog.New(slog.NewTextHandler(os.Stderr, nil)), terminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

func (d *display) progress(p blockcopy.Progress) {
	part := float64(p.Durable) / float64(max(1, p.Size))
	line := fmt.Sprintf("%5.1f %% of %s, %s/s", 100*part, size(p.Size), size(int64(p.Rate)))
	if p.Remaining >= 0 {
		line += fmt.Sprintf(", %s left", p.Remaining.Round(time.Second))
	}
	switch {
	case d.json:
		d.log.Info("progress", counts(p)...)
	case d.terminal:
		fmt.Fprintf(os.Stderr, "\r[%-24s]%s\x1b[K", strings.Repeat("=", int(24*part)), line)
	case p.Elapsed-d.shown >= lineEvery:
		d.shown = p.Elapsed
		fmt.Fprintf(os.Stderr, "%s: %s\n", line, shares(p))
	}
}

// clear takes the bar away.
func (d *display) clear() {
	if d.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

// counts are the attributes of a progress for a log.
func counts(p blockcopy.Progress) []any {
	attrs := []any{"size", p.Size, "read", p.Read, "sent", p.Sent, "same", p.Same, "zero", p.Zero, "moved", p.Moved,
		"resumed", p.Resumed, "durable", p.Durable, "elapsed", p.Elapsed.Seconds(), "rate", p.Rate}
	if p.Remaining >= 0 {
		attrs = append(attrs, "remaining", p.Remaining.Seconds())
	}
	return attrs
}

func shares(p blockcopy.Progress) string {
	return fmt.Sprintf("%s moved, %s the same, %s zero, %s done before", size(p.Moved), size(p.Same), size(p.Zero), size(p.Resumed))
}

func size(n int64) string {
	unit, value := "B", float64(n)
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		unit, value = larger, value/1024
	}
	return strings.Replace(fmt.Sprintf("%.1f %s", value, unit), ".0 ", " ", 1)
}

func stateName(s blockcopy.State) string {
	return map[blockcopy.State]string{blockcopy.Incomplete: "incomplete", blockcopy.Dirty: "dirty", blockcopy.Complete: "complete"}[s]
}

package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/rehost/rehost/blockcopy"
)

// A display shows how a copy goes on: as a bar on a terminal, as a line every few
// seconds elsewhere, or as JSON for programs.
type display struct {
	mu             sync.Mutex // progress and logs come from different goroutines
	stdout, stderr *os.File
	json, terminal bool
	bar            *progressbar.ProgressBar // made when the size is known
	shown          time.Duration            // how long it had taken at the last line
}

const lineEvery = 5 * time.Second

func newDisplay(stdout, stderr *os.File, asJSON bool) *display {
	return &display{stdout: stdout, stderr: stderr, json: asJSON, terminal: !asJSON && term.IsTerminal(int(stderr.Fd()))}
}

func (d *display) progress(p blockcopy.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	due := p.Elapsed-d.shown >= lineEvery
	switch {
	case d.json:
		json.NewEncoder(d.stdout).Encode(progressJSON("progress", p)) //nolint:errcheck // the result will tell
	case d.terminal:
		if d.bar == nil {
			// Its own forecast would take what an earlier run has done for speed.
			d.bar = progressbar.NewOptions64(max(1, p.Size), progressbar.OptionSetWriter(d.stderr), progressbar.OptionSetPredictTime(false),
				progressbar.OptionSetElapsedTime(false), progressbar.OptionFullWidth(), progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionClearOnFinish())
		}
		d.bar.Describe(pace(p))
		d.bar.Set64(min(p.Durable, p.Size-1)) //nolint:errcheck // the last byte is the result's
	case due:
		fmt.Fprintf(d.stderr, "%5.1f %% of %s, %s: %s\n", 100*float64(p.Durable)/float64(max(1, p.Size)), size(p.Size), pace(p), shares(p))
	}
	if due {
		d.shown = p.Elapsed
	}
}

func (d *display) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		d.bar.Clear() //nolint:errcheck
	}
}

// Write takes a line of the log, and does not write it into the bar.
func (d *display) Write(line []byte) (int, error) {
	d.clear()
	return d.stderr.Write(line)
}

// logs is the handler of the log: lines for a person, or JSON.
func (d *display) logs() slog.Handler {
	if d.json {
		return slog.NewJSONHandler(d, nil)
	}
	return slog.NewTextHandler(d, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

// pace is "35 MiB/s, 3m20s left".
func pace(p blockcopy.Progress) string {
	text := size(int64(p.Rate)) + "/s"
	if p.Remaining >= 0 {
		text += fmt.Sprintf(", %s left", p.Remaining.Round(time.Second))
	}
	return text
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

func verifiedName(v blockcopy.Verification) string {
	return map[blockcopy.Verification]string{blockcopy.NotVerified: "no", blockcopy.VerifiedCached: "read back, perhaps from the page cache",
		blockcopy.VerifiedCold: "read back past the page cache"}[v]
}

// An event is a line of -json. Sizes are bytes, times are seconds.
type event struct {
	Event     string   `json:"event"` // progress or result
	Size      int64    `json:"size"`
	Read      int64    `json:"read"`
	Sent      int64    `json:"sent"`
	Same      int64    `json:"same"`
	Zero      int64    `json:"zero"`
	Moved     int64    `json:"moved"`
	Resumed   int64    `json:"resumed"`
	Durable   int64    `json:"durable"`
	Elapsed   float64  `json:"elapsed"`
	Rate      float64  `json:"rate"`
	Remaining *float64 `json:"remaining,omitempty"` // missing while it is unknown

	*outcome
}

// An outcome is what the last event has in addition.
type outcome struct {
	State    string            `json:"state"`
	Digest   *blockcopy.Digest `json:"digest,omitempty"` // BLAKE3
	SHA256   string            `json:"sha256,omitempty"`
	Verified string            `json:"verified"`
	Bad      []blockcopy.Range `json:"bad,omitempty"`
	Next     string            `json:"next,omitempty"` // the command that ends what a live pass began
	Error    string            `json:"error,omitempty"`
}

func progressJSON(name string, p blockcopy.Progress) event {
	e := event{Event: name, Size: p.Size, Read: p.Read, Sent: p.Sent, Same: p.Same, Zero: p.Zero, Moved: p.Moved,
		Resumed: p.Resumed, Durable: p.Durable, Elapsed: p.Elapsed.Seconds(), Rate: p.Rate}
	if left := p.Remaining.Seconds(); left >= 0 {
		e.Remaining = &left
	}
	return e
}

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A display shows how a rehearsal goes on: as a bar on a terminal, as a line for each phase
// elsewhere.
type display struct {
	w        io.Writer
	terminal bool
	phase    string // of the last line
}

func newDisplay(w io.Writer) *display {
	f, ok := w.(*os.File)
	return &display{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func (d *display) progress(phase string, part float64) {
	switch {
	case d.terminal:
		fmt.Fprintf(d.w, "\rrehearsing [%-24s] %s\x1b[K", strings.Repeat("=", int(24*min(part, 1))), phase)
	case phase != d.phase:
		fmt.Fprintf(d.w, "rehearsing: %s\n", phase)
	}
	d.phase = phase
}

// clear takes the bar away.
func (d *display) clear() {
	if d.terminal {
		fmt.Fprint(d.w, "\r\x1b[K")
	}
}

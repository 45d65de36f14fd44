package main

import (
	"io/fs"
	"slices"
	"time"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
)

// A plan is the whole move: the phases in order, with every file they install.
type plan struct {
	Guest    string             `json:"guest"`
	Phases   []phase            `json:"phases"`
	Warnings netbsdcfg.Problems `json:"warnings,omitempty"` // in the files of today or of a phase
}

// A phase is a leg of the move that can be left standing over night. It is a
// list of steps, and it has a way back.
type phase struct {
	Dir   string   `json:"dir"` // the folder of its files, such as 02-both-paths
	Title string   `json:"title"`
	Goal  string   `json:"goal"` // what holds when it is done
	Steps []step   `json:"steps"`
	Back  []string `json:"back"` // how to undo the phase as a whole

	BackCheck []check `json:"back_check,omitempty"` // what must hold once that is done

	lower time.Time // the latest moment for the short TTLs; zero: the phase has none
}

// A step is one entry of the runbook. Its files are installed first, then the
// additions are made, then its commands run on its host, in order.
type step struct {
	Title string     `json:"title"`
	Host  string     `json:"host,omitempty"` // "" where a person acts elsewhere, as in a web console
	Do    string     `json:"do"`             // what it does and why
	Show  []string   `json:"show,omitempty"` // lines to keep in sight, such as a timetable
	Files []rendered `json:"files,omitempty"`
	Add   []addition `json:"add,omitempty"`
	Run   []string   `json:"run,omitempty"`
	Check []check    `json:"check,omitempty"` // what must hold before the next step
}

// An addition is what a person puts into a file, a console or a form by hand.
type addition struct {
	To    string   `json:"to"`
	Lines []string `json:"lines"`
}

// A rendered file is one that a step installs on its host.
type rendered struct {
	Dir     string      `json:"dir"`  // below the phase's folder: the host, or a variant of it
	Path    string      `json:"path"` // on the host
	Mode    fs.FileMode `json:"mode"`
	Changes string      `json:"changes,omitempty"` // against the file as the phase before left it; "" for a new one
	Link    string      `json:"link,omitempty"`    // the file is a symbolic link to it
	data    []byte
	before  []byte // as the phase before left it; nil: it was not there
}

// makePlan renders every phase. Each takes the machines' files as the one before
// left them, and leaves files that their programs read without an error: nothing
// that cannot work is written, and no edit hides what is wrong today.
func makePlan(m *move.Move, ms *machines) (*plan, error) {
	p := &plan{Guest: m.Guest.Name}
	if err := p.review(append(ms.check(m, ms.from), gatesToday(m, ms)...)); err != nil {
		return nil, err
	}
	for _, render := range []func(*move.Move, *machines) (phase, error){
		prepare, bothPaths, certificates, dns, disk, firstBoot, lastCheck,
	} {
		ph, err := render(m, ms)
		if err != nil {
			return nil, err
		}
		if err := p.review(ms.check(m, ph.Dir)); err != nil {
			return nil, err
		}
		p.Phases = append(p.Phases, ph)
	}
	return p, nil
}

// review keeps the warnings that are new, and returns the errors.
func (p *plan) review(problems netbsdcfg.Problems) error {
	for _, found := range problems {
		known := slices.ContainsFunc(p.Warnings, func(w netbsdcfg.Problem) bool { return w.Message == found.Message })
		if found.Severity == netbsdcfg.Warning && !known {
			p.Warnings = append(p.Warnings, found)
		}
	}
	return problems.Err()
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/lab"
)

// A labMove is the sample's move while it is rehearsed on the lab's machines.
type labMove struct {
	t         *testing.T
	dir       string // of the sample: m.toml, in and out
	out       outDir
	programs  string // folder of those that were built
	move      *move.Move
	plan      *plan
	phase     *phase // of the plan
	net       *labNetwork
	authority *lab.PebbleServer
	report    *report.Report
	watch     *report.Watch
	disk      *labDisk
	away      atomic.Bool // the guest is to be stopped, or does not answer everywhere yet
	stopped   time.Time   // when it was told to
	answering time.Time   // when everything answered again
}

// begin begins a bar of the timeline, and takes the steps from a phase of the plan.
func (l *labMove) begin(number int, title string) {
	l.report.Begin(number, title, time.Now())
	l.watch.Phase(len(l.report.Phases) - 1)
	l.phase = &l.plan.Phases[number-1]
	l.t.Logf("%s  %d %s", time.Since(l.report.Started).Round(time.Millisecond), number, title)
}

// step is an entry of the runbook, on its machine.
func (l *labMove) step(title string) step {
	for _, s := range l.phase.Steps {
		if s.Title == title {
			return s
		}
	}
	require.Fail(l.t, "the phase has no such step", "%s: %s", l.phase.Title, title)
	return step{}
}

func (l *labMove) machine(s step) *labMachine {
	for _, m := range []*labMachine{l.net.senate, l.net.ingress, l.net.garage, l.net.starkiller} {
		if m.name == s.Host {
			return m
		}
	}
	require.Fail(l.t, "no such machine", "%q of %q", s.Host, s.Title)
	return nil
}

// instead says what is done for lines of the runbook that cannot run here: a function, or
// a reason for nothing.
type instead map[string]any

// take does what the runbook says: it installs the files of a step, runs its lines, and
// tries its checks.
func (l *labMove) take(title string, other instead) {
	l.t.Helper()
	l.install(l.step(title))
	l.runLines(title, other)
	l.tryChecks(title)
}

// runLines runs the lines of a step, and returns what the last one prints.
func (l *labMove) runLines(title string, other instead) (out string) {
	l.t.Helper()
	s := l.step(title)
	var ran []string
	for _, line := range s.Run {
		switch other := other[line].(type) {
		case nil:
			out = l.run(l.machine(s), line)
			ran = append(ran, line)
		case func():
			other()
			ran = append(ran, line)
		case string:
			l.notTried(title, line, other)
		}
	}
	if len(ran) > 0 {
		l.held(title, strings.Join(ran, "; "), "")
	}
	return out
}

// skip says why nothing is done for a step.
func (l *labMove) skip(title, reason string) {
	l.t.Helper()
	l.notTried(title, strings.Join(l.step(title).Run, "; "), reason)
}

// run runs a line of the runbook. Those with -n say that there is something to do.
func (l *labMove) run(m *labMachine, line string) string {
	l.t.Helper()
	if strings.HasSuffix(line, "nginx -s reload") {
		defer l.awaitReload(m)()
	}
	out, err := m.try(line)
	exit, _ := errors.AsType[*exec.ExitError](err)
	if strings.Contains(line, " -n ") && exit != nil && exit.ExitCode() == 3 {
		return out
	}
	if err != nil {
		l.t.Fatalf("%s: %s: %v\n%s%s%s", m.name, line, err, out, m.logs(), l.net.ingress.logs())
	}
	return out
}

// awaitReload waits until no worker is left of those that nginx has now: it reloads after it
// has said so.
func (l *labMove) awaitReload(m *labMachine) func() {
	const workers = "ps -o pid= --ppid $(cat /run/nginx.pid)"
	old := strings.Fields(m.sh(l.t, workers))
	return func() {
		labAwait(l.t, "nginx has reloaded", func() error {
			for _, pid := range strings.Fields(m.sh(l.t, workers)) {
				if slices.Contains(old, pid) {
					return fmt.Errorf("worker %s is still there", pid)
				}
			}
			return nil
		})
	}
}

// install copies the files of a step from the folder that was rendered.
func (l *labMove) install(s step) {
	l.t.Helper()
	for _, f := range s.Files {
		if s.Host == "" {
			continue // for a console
		}
		m := l.machine(s)
		if f.Link != "" {
			require.NoError(l.t, os.Symlink(f.Link, m.path(f.Path)))
			continue
		}
		m.write(l.t, f.Mode, f.Path, string(l.out.read(l.t, filepath.Join(l.phase.Dir, f.Dir, f.Path))))
	}
}

// added are the lines that a step has a person write, to the place whose name begins so.
func (l *labMove) added(title, to string) string {
	l.t.Helper()
	for _, a := range l.step(title).Add {
		if strings.HasPrefix(a.To, to) {
			return strings.Join(a.Lines, "\n") + "\n"
		}
	}
	require.Fail(l.t, "nothing to add", "%s: %s", title, to)
	return ""
}

func (l *labMove) held(check, how, detail string) {
	l.report.Add(report.Finding{Check: check, How: how, Outcome: report.Held, Detail: detail})
}

func (l *labMove) notTried(check, how, reason string) {
	l.report.Add(report.Finding{Check: check, How: how, Outcome: report.NotTried, Detail: reason})
}

// check adds what a check of the test's own has found.
func (l *labMove) check(check, how string, err error) {
	l.t.Helper()
	if err == nil {
		l.held(check, how, "")
		return
	}
	l.report.Add(report.Finding{Check: check, How: how, Outcome: report.Failed, Detail: err.Error()})
	l.t.Errorf("%s: %v", check, err)
}

// edit replaces a text in a file of a machine, as a person does with an editor.
func (l *labMove) edit(m *labMachine, file string, replace ...string) {
	l.t.Helper()
	rewrite(l.t, m.path(file), replace...)
	// A moment passes before the next command: Postfix waits until nobody has written to
	// its file for two seconds.
	past := time.Now().Add(-time.Minute)
	require.NoError(l.t, os.Chtimes(m.path(file), past, past))
}

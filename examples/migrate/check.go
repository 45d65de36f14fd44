package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
)

// A check is what must hold before the next step. In the plan's JSON it is its text.
type check struct {
	Text string // in the runbook
	On   string // the machine that it is tried on, or outside; "": any
	How  string // it is tried

	// Files says that it is about files, which may be those of a disk that is mounted
	// elsewhere. All others ask the machine itself.
	Files bool

	// Patience is for an answer; 0: patience.
	Patience time.Duration

	// OldPath says that it asks the guest where it runs today: phase 5 ends that.
	OldPath bool

	// Try returns figures, if there are any. Its error is that the check has failed, or
	// an untried. Nil: only a person can look.
	Try func(context.Context, *station) (detail string, err error)
}

// outside is where the world is: any machine but the guest and the router, which reach
// the router's public address by other ways. No host's name has a space.
const outside = "a machine outside"

// MarshalText returns the text.
func (c check) MarshalText() ([]byte, error) { return []byte(c.Text), nil }

// byHand is a check that a person makes.
func byHand(text string) check { return check{Text: text} }

const byPerson = "by a person"

// An untried is why a check could not be tried where the command stands.
type untried string

func (u untried) Error() string { return string(u) }

// A station is where the checks are tried from.
type station struct {
	m    *move.Move
	p    *plan
	host string // one of the move's, or elsewhere
	root string // where its files are
	out  string // where instants are kept that a later run needs
	now  time.Time

	mailServer string // somebody else's; "": none is asked
	all        bool   // phases are tried one after the other, to find how far the move is
}

const elsewhere = "elsewhere"

// patience is for one check, and for the answers that it waits for. slowGreeting is for
// servers that let a client wait before they greet it, as postscreen does for six seconds.
const (
	patience     = 3 * time.Second
	slowGreeting = 10 * time.Second
)

// whereWeAre is the machine that the command runs on, or is told to take for its own.
func whereWeAre(m *move.Move, on string) (string, error) {
	hosts := []string{m.Guest.Name, m.Router.Name, m.Hypervisor.Name, m.Guest.Old.Host, elsewhere}
	if on != "" {
		if !slices.Contains(hosts, on) {
			return "", fmt.Errorf("-on %q: the move knows %s", on, strings.Join(hosts, ", "))
		}
		return on, nil
	}
	name, err := os.Hostname()
	short, _, _ := strings.Cut(name, ".")
	for _, host := range hosts {
		if strings.EqualFold(short, host) {
			return host, nil
		}
	}
	if err != nil {
		return "", err
	}
	return byAddress(m)
}

// byAddress is for a guest or a router whose hostname is another: what they find out about
// their own addresses is not what the world finds.
func byAddress(m *move.Move) (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range addresses {
		p, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil:
		case p.Addr() == m.Tunnel.Guest.Addr(true) || p.Addr() == m.Guest.Old.Address:
			return m.Guest.Name, nil
		case p.Addr() == m.Tunnel.Router.Addr(true) || p.Addr() == m.Router.Address:
			return m.Router.Name, nil
		}
	}
	return elsewhere, nil
}

// A tried is a phase whose checks were tried.
type tried struct {
	report.Phase
	steps     []string       // of each finding, such as "4.2 Short TTLs, well ahead"
	elsewhere []bool         // of each finding: it wants another machine
	other     map[string]int // the checks that want another machine, by its name
}

// Count is how many checks came out in one way.
func (t tried) Count(o report.Outcome) int {
	return (&report.Report{Phases: []report.Phase{t.Phase}}).Count(o)
}

// try tries a phase, one step of it, or its way back.
func (st *station) try(ctx context.Context, number, step int, back bool) tried {
	ph := st.p.Phases[number-1]
	t := tried{Phase: report.Phase{Number: number, Title: ph.Title, From: report.Seconds(time.Since(st.now)), Findings: []report.Finding{}}, other: map[string]int{}}
	if back {
		st.tryAll(ctx, &t, fmt.Sprintf("%d The way back", number), append(st.undone(number), ph.BackCheck...))
	}
	for i, s := range ph.Steps {
		if !back && (step == 0 || step == i+1) {
			st.tryAll(ctx, &t, fmt.Sprintf("%d.%d %s", number, i+1, s.Title), append(st.installed(number, i), s.Check...))
		}
	}
	t.To = report.Seconds(time.Since(st.now))
	return t
}

// tryAll tries the checks of a step, all at once: most of them wait for an answer.
func (st *station) tryAll(ctx context.Context, t *tried, step string, checks []check) {
	found := make([]report.Finding, len(checks))
	var wait sync.WaitGroup
	for i, c := range checks {
		wait.Go(func() { found[i] = st.find(ctx, c) })
	}
	wait.Wait()
	for i, c := range checks {
		away := c.Try != nil && !st.at(c.On)
		if away {
			t.other[c.On]++
		}
		t.elsewhere = append(t.elsewhere, away)
		t.steps = append(t.steps, step)
		t.Findings = append(t.Findings, found[i])
	}
}

func (st *station) find(ctx context.Context, c check) (f report.Finding) {
	f = report.Finding{Check: c.Text, How: c.How, Outcome: report.NotTried}
	switch {
	case c.Try == nil:
		f.How, f.Detail = byPerson, "look for yourself"
		return f
	case !st.at(c.On):
		f.Detail = "only on " + c.On
		return f
	case st.root != "/" && !c.Files && c.On == st.host:
		f.Detail = "the machine itself has to be asked, and not files below " + st.root
		return f
	case c.OldPath && st.all:
		f.Detail = "phase 5 ends this path, so it is asked for only where the phase is named"
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Patience, patience))
	defer cancel()
	detail, err := c.Try(ctx, st)
	defer func() { f.Detail = strings.Map(printable, f.Detail) }()
	reason, skipped := err.(untried) // not one among others, which may be failures
	switch {
	case skipped:
		f.Detail = string(reason)
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		f.Detail = err.Error() + ": run it as root"
	case err != nil:
		f.Outcome, f.Detail = report.Failed, err.Error()
	default:
		f.Outcome, f.Detail = report.Held, detail
	}
	return f
}

// printable keeps what strangers say from steering the terminal.
func printable(r rune) rune {
	if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
		return unicode.ReplacementChar
	}
	return r
}

// at reports whether the command stands on a machine.
func (st *station) at(host string) bool {
	if host == outside {
		return st.host != st.m.Guest.Name && st.host != st.m.Router.Name
	}
	return host == "" || host == st.host
}

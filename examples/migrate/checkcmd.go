package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
)

const checkUsage = `usage: migrate check [-move FILE -in DIR] [-out DIR] [-on HOST] [-root DIR]
                     [-mail-server HOST] [-back] [-json] [PHASE[.STEP]]

Check tries what the runbook wants checked, from the machine that it is run on,
and says whether the phase may go on. It changes no machine.

    migrate check 2                  all of phase 2
    migrate check 4.2                one step of it, before the next is begun
    migrate check                    how far is the move?
    migrate check -back 2            is all as it was before phase 2?

Each check has a place: the guest's files are looked at on the guest, rules and
handshakes on the router, the journal of the disk on the hypervisor, and whether
a port answers the world is asked from outside, on any other machine. So run it
on each of them, with the same move file and the same present files: without
-move it is the sample that is looked for. What could not be tried is listed with
the reason, and never counts as good. Without PHASE, the phases are tried in
order, up to the first one that must not go on.

With -root the files are those of a disk that is mounted elsewhere, and programs
are not asked, but for the certificates that they serve on this machine.

Step 4.2 is over when caches have forgotten the old TTLs. When all servers have
the zone, the instant is kept in drain-4.2.json in -out, and the step must not
go on before: run it again from the same place.

Flags:
`

const checkExits = `
Exit status: 0 something was tried and nothing has failed; 1 it could not be
tried at all; 2 wrong usage; 3 the phase must not go on: a check has failed, or
none could be tried here.
`

// A checking is the command line of migrate check.
type checking struct {
	on, root, mailServer string
	back                 bool
	phase, step          int // from 1; 0: all
}

func (c *checking) flags(f *flag.FlagSet) {
	f.StringVar(&c.on, "on", "", "the machine `HOST` that this is: one of the move's, or elsewhere; without it, by its name, or else its addresses")
	f.StringVar(&c.root, "root", "/", "`DIR` where that machine's file system is")
	f.StringVar(&c.mailServer, "mail-server", "", "`HOST` of another's mail server, to see that mail can leave")
	f.BoolVar(&c.back, "back", false, "try the way back of the phase")
}

// parse reads PHASE or PHASE.STEP.
func (c *checking) parse(args []string) error {
	if len(args) > 1 && strings.HasPrefix(args[1], "-") {
		return fmt.Errorf("%s stands after %s: flags come first", args[1], args[0])
	}
	if len(args) > 1 {
		return fmt.Errorf("unexpected argument %q", args[1])
	}
	if len(args) == 1 {
		phase, step, some := strings.Cut(args[0], ".")
		var err error
		if c.phase, err = strconv.Atoi(phase); err == nil && some {
			c.step, err = strconv.Atoi(step)
		}
		if err != nil || c.phase < 1 || some && c.step < 1 {
			return fmt.Errorf("%q is no phase such as 2, nor a step such as 4.2", args[0])
		}
	}
	if c.back && (c.phase == 0 || c.step != 0) {
		return errors.New("-back needs a phase")
	}
	return nil
}

// runChecks tries the checks of a phase, or of all, from where it stands, and reports
// whether the move may go on.
func runChecks(ctx context.Context, m *move.Move, p *plan, opt options, stdout io.Writer) (ok bool, err error) {
	c := opt.check
	st := &station{m: m, p: p, root: c.root, out: opt.out, now: time.Now(), mailServer: c.mailServer, all: c.phase == 0}
	if st.host, err = whereWeAre(m, c.on); err != nil {
		return false, err
	}
	if c.phase > len(p.Phases) || c.step > 0 && c.step > len(p.Phases[c.phase-1].Steps) {
		return false, fmt.Errorf("the runbook has no phase or step %s", opt.args[0])
	}
	var found []tried
	for i := range p.Phases {
		if c.phase != 0 && c.phase != i+1 {
			continue
		}
		found = append(found, st.try(ctx, i+1, c.step, c.back))
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if found[len(found)-1].Count(report.Failed) > 0 {
			break
		}
	}
	if opt.json {
		phases := make([]report.Phase, len(found))
		for i, t := range found {
			phases[i] = t.Phase
		}
		err = printJSON(stdout, phases)
	} else {
		err = st.print(stdout, found, c)
	}
	return mayGoOn(found), err
}

// mayGoOn says whether something has held, and nothing has failed.
func mayGoOn(found []tried) bool {
	held := 0
	for _, t := range found {
		if t.Count(report.Failed) > 0 {
			return false
		}
		held += t.Count(report.Held)
	}
	return held > 0
}

// print is for a person: each step with what was found, and whether to go on.
func (st *station) print(w io.Writer, found []tried, c checking) error {
	var b strings.Builder
	for i, t := range found {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "Phase %d of the move of %s, %s, from %s\n", t.Number, st.m.Guest.Name, t.Title, st.host)
		step := ""
		for k, f := range t.Findings {
			if t.elsewhere[k] {
				continue // the last lines count them
			}
			if step != t.steps[k] {
				step = t.steps[k]
				fmt.Fprintf(&b, "\n%s\n", step)
			}
			word := map[report.Outcome]string{report.Held: "holds", report.Failed: "FAILS", report.NotTried: "not tried"}[f.Outcome]
			if f.How == byPerson {
				word, f.Detail = "by hand", ""
			}
			fmt.Fprintf(&b, "  %-11s%s\n", word, f.Check)
			for line := range strings.Lines(f.Detail) {
				fmt.Fprintf(&b, "             %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
		fmt.Fprintf(&b, "\n%s\n", t.verdict(c))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict is the last line: what came out, and where there is more to try.
func (t tried) verdict(c checking) string {
	name, argument := fmt.Sprintf("Phase %d", t.Number), strconv.Itoa(t.Number)
	switch {
	case c.step > 0:
		name, argument = fmt.Sprintf("Step %d.%d", t.Number, c.step), fmt.Sprintf("%d.%d", t.Number, c.step)
	case c.back:
		name, argument = "The way back from "+strings.ToLower(name), "-back "+argument
	}
	mustNot, may := "must not go on", "may go on"
	if c.back {
		mustNot, may = "is not complete", "is complete"
	}
	held, failed := t.Count(report.Held), t.Count(report.Failed)
	var b strings.Builder
	switch {
	case failed > 0:
		fmt.Fprintf(&b, "%s %s: %s, and %d held.", name, mustNot, plural(failed, "check has failed", "checks have failed"), held)
	case held == 0:
		fmt.Fprintf(&b, "%s: nothing could be tried here.", name)
	default:
		fmt.Fprintf(&b, "%s %s, as far as can be seen from here: %s.", name, may, plural(held, "check holds", "checks hold"))
	}
	byHand, left := 0, 0
	for i, f := range t.Findings {
		switch {
		case f.Outcome != report.NotTried || t.elsewhere[i]:
		case f.How == byPerson:
			byHand++
		default:
			left++
		}
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n%s not tried, for the reasons above.", plural(left, "check was", "checks were"))
	}
	if byHand > 0 {
		fmt.Fprintf(&b, "\n%s to be made by hand.", plural(byHand, "check is", "checks are"))
	}
	for _, host := range slices.Sorted(maps.Keys(t.other)) {
		fmt.Fprintf(&b, "\n%s %s: run \"migrate check %s\" there.", plural(t.other[host], "check wants", "checks want"), host, argument)
	}
	return b.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

package report

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textWidth is that of a terminal that nobody has made wider, in columns.
const textWidth = 80

// Text prints the report for a person: what was checked in each phase, then, at the end
// and so in sight, the timeline, what did not hold or was not tried, and the figures.
func (r *Report) Text(w io.Writer) error {
	var t text
	title := "Rehearsal of the move of " + r.Guest + ", " + r.Started.UTC().Format("2006-01-02 15:04 UTC") + "."
	if r.Where != "" {
		title += " It ran on " + r.Where + "."
	}
	t.item("", 0, title)
	for _, p := range r.Phases {
		t.line("")
		t.item(fmt.Sprintf("%-3d", p.Number), 3, p.Title)
		for _, f := range p.Findings {
			s := f.Check
			if f.How != "" {
				s += " (" + f.How + ")"
			}
			if f.Outcome == Held && f.Detail != "" {
				s += ": " + oneLine(f.Detail)
			}
			t.item(fmt.Sprintf("   %-11s", mark(f.Outcome)), 14, s)
		}
	}
	t.timeline(r)
	t.list(r, "Failed", Failed)
	t.list(r, "Not tried", NotTried)
	t.figures(r)
	_, err := io.WriteString(w, t.String())
	return err
}

// mark is how an outcome is printed, so that a failure catches the eye.
func mark(o Outcome) string {
	if o == Failed {
		return "FAILED"
	}
	return string(o)
}

// A text is printed in lines of 80 columns.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) {
	t.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// item prints a head and what it is about, in as many lines as it takes, all but the
// first of them indented.
func (t *text) item(head string, indent int, about string) {
	line := strings.Map(printable, head)
	width := utf8.RuneCountInString(line)
	begun := false
	for _, word := range strings.Fields(strings.Map(printable, about)) {
		n := utf8.RuneCountInString(word)
		switch {
		case begun && width+1+n > textWidth:
			t.line("%s", line)
			line, width = strings.Repeat(" ", indent), indent
		case begun:
			line, width = line+" ", width+1
		}
		line, width, begun = line+word, width+n, true
	}
	t.line("%s", line)
}

// oneLine keeps the lines of a detail apart, such as several errors.
func oneLine(detail string) string {
	detail = strings.TrimSpace(detail)
	return strings.NewReplacer(":\n", ": ", "\n", "; ").Replace(detail)
}

// printable takes the place of what would move a terminal's cursor, or worse.
func printable(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case !unicode.IsPrint(r):
		return utf8.RuneError
	}
	return r
}

// fit cuts what is too long for a column of a table.
func fit(s string, width int) string {
	runes := []rune(strings.Map(printable, s))
	if len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return string(runes)
}

func (t *text) timeline(r *Report) {
	if len(r.Phases) == 0 {
		return
	}
	t.line("\n%-33s %10s %12s %5s %6s %9s", "Timeline", "from", "took", "held", "failed", "not tried")
	for _, p := range r.Phases {
		t.line("%-3d%-30s %10v %12v %5d %6d %9d", p.Number, fit(p.Title, 30), p.From, p.To-p.From,
			len(p.named(Held)), len(p.named(Failed)), len(p.named(NotTried)))
	}
}

// list prints the checks of one outcome by their names, with the reason.
func (t *text) list(r *Report, title string, o Outcome) {
	if r.Count(o) == 0 {
		return
	}
	t.line("\n%s", title)
	for _, f := range r.Named(o) {
		s := f.Check
		if f.Detail != "" {
			s += ": " + oneLine(f.Detail)
		}
		t.item(fmt.Sprintf("%-3d", f.Number), 3, s)
	}
}

func (t *text) figures(r *Report) {
	if _, failed := sum(r.Probes); failed > 0 {
		t.line("\n%-26s %-10s %-15s %s", "Probes that failed in", "by path", "of those asked", "services")
		for _, g := range r.groups() {
			if g.Failed > 0 {
				t.item(fmt.Sprintf("%-26s %-10s %-15s ", fit(r.phase(g.Phase).name(), 26), fit(g.Path, 10), fmt.Sprintf("%d of %d", g.Failed, g.Asked)), 54, g.Services)
			}
		}
	}
	t.line("")
	t.item("Failed probes  ", 15, missed(r.Probes))
	t.item("Stop           ", 15, r.stopped())
	if d := r.Disk; d.Size > 0 {
		t.item("Disk           ", 15, fmt.Sprintf("%s; %s moved while the guest ran, %s not moved again after the interruption, %s moved by the final pass", Size(d.Size), Size(d.Live), Size(d.Resumed), Size(d.Final)))
		if d.Digest != "" {
			t.item("Digest         ", 15, d.Digest)
		}
	} else {
		t.line("Disk           not copied")
	}
	t.line("")
	t.item("", 0, r.Outcome()+" It took "+r.Took.String()+".")
}

package report

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

// A page is what page.html shows.
type page struct {
	*Report
	Verdict       Outcome // of all; not tried where nothing held either
	Stopped       string
	Missed        string // probes
	Map, Timeline *picture
	Paths         []string
	Probed        []probed
}

// probed is a row of the table of probes: a phase, and a cell for each path, which is nil
// where it was not asked.
type probed struct {
	Phase string
	Cells []*group
}

// Page prints the report as a page of HTML that needs nothing else: no script, and no
// font, image or style from elsewhere.
func (r *Report) Page(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{"size": Size}).Parse(pageHTML)
	if err != nil {
		return err
	}
	p := page{Report: r, Verdict: Held, Stopped: r.stopped(), Missed: missed(r.Probes), Map: r.drawNetwork(), Timeline: r.drawTimeline(), Paths: r.paths(), Probed: r.probed()}
	switch {
	case r.Count(Failed) > 0:
		p.Verdict = Failed
	case r.Count(Held) == 0:
		p.Verdict = NotTried
	}
	var out strings.Builder
	if err := t.Execute(&out, p); err != nil {
		return err
	}
	_, err = io.WriteString(w, strings.Map(func(c rune) rune {
		if c == '\n' {
			return c
		}
		return printable(c)
	}, out.String()))
	return err
}

// probed has a row for each phase in which a service was asked.
func (r *Report) probed() []probed {
	var rows []probed
	last := 0
	paths := r.paths()
	for _, g := range r.groups() {
		if len(rows) == 0 || g.Phase != last {
			rows = append(rows, probed{r.phase(g.Phase).name(), make([]*group, len(paths))})
			last = g.Phase
		}
		rows[len(rows)-1].Cells[slices.Index(paths, g.Path)] = &g
	}
	return rows
}

// Took is how long the phase took.
func (p Phase) Took() Seconds { return p.To - p.From }

// Class names the outcome for the style sheet.
func (o Outcome) Class() string {
	switch o {
	case Held, Failed:
		return string(o)
	}
	return "not-tried"
}

// A Named finding has its phase with it.
type Named struct {
	Phase
	Finding
}

// Named are the findings of one outcome, in the order of the phases.
func (r *Report) Named(o Outcome) []Named {
	var list []Named
	for _, p := range r.Phases {
		for _, f := range p.named(o) {
			list = append(list, Named{p, f})
		}
	}
	return list
}

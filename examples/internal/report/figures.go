package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Outcome says in a sentence how the move came out. What was not tried, and probes that
// got no good answer, make it no failure: they are figures, unless a check is about them.
func (r *Report) Outcome() string {
	held, failed, not := r.Count(Held), r.Count(Failed), r.Count(NotTried)
	rest := "all were tried"
	switch {
	case not == 1:
		rest = "1 was not tried"
	case not > 1:
		rest = fmt.Sprintf("%d were not tried", not)
	}
	switch {
	case failed > 0:
		return fmt.Sprintf("Failed: %d of %s did not hold, %d held, %s.", failed, plural(held+failed+not, "check"), held, rest)
	case held+not == 0:
		return "Nothing was checked."
	case held == 0:
		return fmt.Sprintf("Nothing was shown: of %s none held and none failed, %s.", plural(not, "check"), rest)
	}
	return fmt.Sprintf("Held: %s held, none failed, %s.", plural(held, "check"), rest)
}

// stopped says how long the stop was.
func (r *Report) stopped() string {
	switch asked, _ := sum(r.Probes); {
	case r.Stop.Service != "":
		stopped := fmt.Sprintf("%s stopped for %v", r.Stop.Service, r.Stop.To-r.Stop.From)
		if r.Stop.Others > 0 {
			stopped += fmt.Sprintf(", the longest of %d services", r.Stop.Others+1)
		}
		return stopped
	case asked == 0:
		return "not measured: no service was asked"
	}
	return "no service stopped"
}

// missed says how many probes failed.
func missed(probes []Probes) string {
	asked, failed := sum(probes)
	if asked == 0 {
		return "none was asked"
	}
	return fmt.Sprintf("%d of %d", failed, asked)
}

// sum is how many probes were asked, and how many of them failed.
func sum(probes []Probes) (asked, failed int) {
	for _, p := range probes {
		asked += p.Asked
		failed += p.Failed
	}
	return asked, failed
}

// A group is of the probes of all services by one path in one phase.
type group struct {
	Phase         int // index in Report.Phases
	Path          string
	Asked, Failed int
	Services      string // that failed, and how often
}

// groups are in the order of the phases.
func (r *Report) groups() []group {
	var list []group
	for _, p := range r.Probes {
		i := slices.IndexFunc(list, func(g group) bool { return g.Phase == p.Phase && g.Path == p.Path })
		if i < 0 {
			i, list = len(list), append(list, group{Phase: p.Phase, Path: p.Path})
		}
		g := &list[i]
		g.Asked += p.Asked
		if g.Failed += p.Failed; p.Failed > 0 {
			g.Services = strings.TrimPrefix(fmt.Sprintf("%s, %s %d", g.Services, p.Service, p.Failed), ", ")
		}
	}
	slices.SortStableFunc(list, func(a, b group) int { return cmp.Compare(a.Phase, b.Phase) })
	return list
}

// paths are those by which a service was asked, in the order in which they came to be.
func (r *Report) paths() []string {
	var list []string
	for _, g := range r.groups() {
		if !slices.Contains(list, g.Path) {
			list = append(list, g.Path)
		}
	}
	return list
}

// phase is the one at an index, by which probes name it.
func (r *Report) phase(index int) Phase {
	if index < 0 || index >= len(r.Phases) {
		return Phase{Title: "no phase"}
	}
	return r.Phases[index]
}

func (p Phase) name() string { return fmt.Sprintf("%d %s", p.Number, p.Title) }

// named are the findings of one outcome.
func (p Phase) named(o Outcome) []Finding {
	var list []Finding
	for _, f := range p.Findings {
		if f.Outcome == o {
			list = append(list, f)
		}
	}
	return list
}

// String prints the time as a person says it: 0.4 ms, 3.42 s, 2 min 05 s, 1 h 30 min.
func (s Seconds) String() string {
	d := time.Duration(s)
	switch {
	case d >= 50*time.Microsecond && d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < 100*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
}

// Size prints a number of bytes with the binary unit that suits it.
func Size(n int64) string {
	if n < 1<<10 {
		return plural(int(n), "byte")
	}
	f, unit := float64(n)/(1<<10), 0
	for f >= 1<<10 && unit < 4 {
		f, unit = f/(1<<10), unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + string("KMGTP"[unit]) + "iB"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

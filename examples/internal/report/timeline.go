package report

import (
	"fmt"
	"strconv"
	"time"
)

// The timeline has a row for each phase and, below, one for each path, so that no label
// meets another however short a phase is. What it took or how much failed stands at the
// right.
const (
	allWidth   = 860 // unless the names are long
	leastPlot  = 360
	resultSpan = 200
	rowPitch   = 26
	bar        = 14
)

// A timeline is a picture with a scale.
type timeline struct {
	picture
	plot, width int     // where the axis begins, and how long it is
	total       Seconds // at its end
}

func (r *Report) drawTimeline() *picture {
	t := &timeline{total: r.end()}
	if t.total <= 0 {
		return nil
	}
	paths := r.paths()
	names := 0
	for _, p := range r.Phases {
		names = max(names, widthOf(fit(p.name(), 40)))
	}
	for _, path := range paths {
		names = max(names, widthOf(fit(path, 40)))
	}
	t.plot = names + margin
	t.width = max(leastPlot, allWidth-t.plot-resultSpan)
	lanes := 3*margin + len(r.Phases)*rowPitch
	bottom := lanes + len(paths)*rowPitch
	if len(paths) > 0 {
		lanes, bottom = lanes+margin, bottom+margin
	}
	t.picture = picture{ID: "timeline", Title: "The phases on a time axis", Width: t.plot + t.width + resultSpan, Height: bottom + margin}
	t.Desc = fmt.Sprintf("%s in %v. Stop: %s.", plural(len(r.Phases), "phase"), r.Took, r.stopped())

	for _, tick := range ticks(t.total) {
		t.path("tick", "M%d %dV%d", t.x(tick), 2*margin, bottom)
		t.text("label middle", t.x(tick), 2*margin-6, tickLabel(tick))
	}
	if r.Stop.Service != "" {
		t.stop(r, bottom)
		t.Height += 2 * margin
	}
	for i, p := range r.Phases {
		y := 3*margin + i*rowPitch
		class, result := "bar", (p.To - p.From).String()
		if n := len(p.named(Failed)); n > 0 {
			class, result = "bar broken", fmt.Sprintf("%s, %d failed", result, n)
		}
		t.text("data", 0, y+11, fit(p.name(), 40))
		t.span(class, p.From, p.To, y, bar, fmt.Sprintf("%s: %v to %v", p.name(), p.From, p.To))
		t.text("data", t.plot+t.width+margin, y+11, result)
	}
	for i, path := range paths {
		t.lane(r, path, lanes+i*rowPitch)
	}
	return &t.picture
}

// end is when the last thing ended.
func (r *Report) end() Seconds {
	end := max(r.Took, r.Stop.To)
	for _, p := range r.Phases {
		end = max(end, p.To)
	}
	for _, o := range r.Outages {
		end = max(end, o.To)
	}
	return end
}

// lane shows when a path was asked, and when it gave no good answer.
func (t *timeline) lane(r *Report, path string, y int) {
	asked, failed := 0, 0
	for _, g := range r.groups() {
		if g.Path != path {
			continue
		}
		asked, failed = asked+g.Asked, failed+g.Failed
		t.span("lane", r.phase(g.Phase).From, r.phase(g.Phase).To, y+4, bar-8, "")
	}
	for _, o := range r.Outages {
		if o.Path == path {
			t.span("outage", o.From, o.To, y, bar, fmt.Sprintf("%s by %s, %v to %v, %d failed: %s", o.Service, o.Path, o.From, o.To, o.Failed, o.Error))
		}
	}
	t.text("data", 0, y+11, fit(path, 40))
	t.text("data", t.plot+t.width+margin, y+11, fmt.Sprintf("%d of %d failed", failed, asked))
}

// stop marks the stop from top to bottom, with its length below it.
func (t *timeline) stop(r *Report, bottom int) {
	from, to := t.x(r.Stop.From), t.x(r.Stop.To)
	t.rect("stop", from, 2*margin, max(to-from, 2), bottom-2*margin+6, "")
	label := r.stopped()
	half := widthOf(label) / 2
	t.text("data middle stopped", max(half, min((from+to)/2, t.Width-half)), bottom+2*margin, label)
}

// span is a bar between two times, and never too small to be seen.
func (t *timeline) span(class string, from, to Seconds, y, h int, note string) {
	t.rect(class, t.x(from), y, max(t.x(to)-t.x(from), 2), h, note)
}

// x is where a time is.
func (t *timeline) x(at Seconds) int {
	return t.plot + int(float64(at)/float64(t.total)*float64(t.width))
}

// ticks are at most eight, at times that a person would choose.
func ticks(total Seconds) []Seconds {
	step := Seconds(time.Millisecond)
	for _, next := range []time.Duration{
		10 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	} {
		if total/step < 8 {
			break
		}
		step = Seconds(next)
	}
	for total/step >= 8 {
		step *= 2
	}
	var list []Seconds
	for at := Seconds(0); at <= total; at += step {
		list = append(list, at)
	}
	return list
}

func tickLabel(at Seconds) string {
	d := time.Duration(at)
	switch {
	case d >= time.Hour && d%time.Minute == 0:
		return strconv.FormatFloat(d.Hours(), 'g', 3, 64) + " h"
	case d >= time.Minute && d%(10*time.Second) == 0:
		return strconv.FormatFloat(d.Minutes(), 'g', 3, 64) + " min"
	}
	return strconv.FormatFloat(d.Seconds(), 'g', 6, 64) + " s"
}

package main

import (
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/report"
)

// The bars of the timeline, where others name them.
const (
	labPrepare      = "Prepare"
	labCertificates = "Certificates"
	labDNS          = "DNS"
	labLivePass     = "The disk, live"
	labFinalPass    = "The final pass"
	labCheck        = "Check"
)

// judge ends the rehearsal, prints its report, and says what of it was not to be.
func (l *labMove) judge() {
	l.report.End(time.Now())
	l.watch.Stop(l.report)
	var text strings.Builder
	require.NoError(l.t, l.report.Text(&text))
	l.t.Logf("%s", &text)

	assert.Zero(l.t, l.report.Count(report.Failed), "checks that failed")
	l.everyStep()
	l.everyQuestion()
	// From the questions on that the stop may meet, to the last service that is back.
	from, to := l.report.Phases[l.bar(labFinalPass)].From, report.Seconds(l.answering.Sub(l.report.Started))
	for _, o := range l.report.Outages {
		if o.From < from || o.To > to {
			l.t.Errorf("%s (%s) gave no good answer from %v to %v, %d times; all were to answer until %v and from %v on: %s",
				o.Service, o.Path, o.From, o.To, o.Failed, from, to, o.Error)
		}
	}
}

// everyStep checks that the report has something of each step of the runbook.
func (l *labMove) everyStep() {
	for i, phase := range l.plan.Phases {
		for _, step := range phase.Steps {
			assert.True(l.t, slices.ContainsFunc(l.report.Phases, func(p report.Phase) bool {
				return p.Number == i+1 && slices.ContainsFunc(p.Findings, func(f report.Finding) bool { return f.Check == step.Title })
			}), "nothing was done for the step %q of phase %d", step.Title, i+1)
		}
	}
}

// everyQuestion checks that each service was asked by each path in all phases in which it
// had to answer, and that it was found out that none does while the guest is stopped.
func (l *labMove) everyQuestion() {
	for _, asked := range []struct {
		path     string
		services []string
		from, to string // the first and the last bar
	}{
		{"old", labOld, labPrepare, labLivePass},
		{"new", labNew, labCertificates, labCheck},
		{"new", []string{"web/tls"}, labDNS, labCheck},
		{"new, IPv6", labForwarded, labCheck, labCheck},
		{"tunnel", []string{"imaps"}, labCertificates, labCheck},
	} {
		for _, service := range asked.services {
			for phase := l.bar(asked.from); phase <= l.bar(asked.to); phase++ {
				i := slices.IndexFunc(l.report.Probes, func(p report.Probes) bool {
					return p.Service == service && p.Path == asked.path && p.Phase == phase
				})
				title := l.report.Phases[phase].Title
				if assert.NotEqual(l.t, -1, i, "%s (%s) was not asked: %s", service, asked.path, title) && title == labFinalPass {
					assert.NotZero(l.t, l.report.Probes[i].Failed, "%s (%s) has answered while the guest was stopped", service, asked.path)
				}
			}
		}
	}
}

// bar is the index of a bar of the timeline.
func (l *labMove) bar(title string) int {
	i := slices.IndexFunc(l.report.Phases, func(p report.Phase) bool { return p.Title == title })
	require.NotEqual(l.t, -1, i, title)
	return i
}

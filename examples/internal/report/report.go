// Package report is what the rehearsal of a move has shown: its phases with
// what was checked and how, who got no answer and when, how long the stop was, and what
// became of the disk. It is printed as text, as JSON and as a page of HTML.
package report

import (
	"encoding/json"
	"math"
	"time"
)

// A Report is of one move. Its times count from Started.
type Report struct {
	Guest   string    `json:"guest"`
	Where   string    `json:"where"` // what it ran on, such as "network namespaces, with named, nginx and postfix"
	Started time.Time `json:"started"`
	Took    Seconds   `json:"took_seconds"`
	Network Network   `json:"network"`
	Phases  []Phase   `json:"phases"`

	Probes  []Probes `json:"probes"` // by service, path and phase
	Outages []Outage `json:"outages,omitempty"`
	Stop    Stop     `json:"stop"`
	Disk    Disk     `json:"disk"`
}

// A Phase is a bar of the timeline: a phase of the move, or a part of one that is looked
// at for itself, as the final pass over the disk.
type Phase struct {
	Number   int       `json:"number"` // as in the runbook
	Title    string    `json:"title"`
	From     Seconds   `json:"from_seconds"`
	To       Seconds   `json:"to_seconds"`
	Findings []Finding `json:"findings"`
}

// A Finding is what one check has found.
type Finding struct {
	Check   string  `json:"check"` // what is to hold, such as "every server has serial 2026112102"
	How     string  `json:"how"`   // by which it was tried, such as "SOA over UDP from 2 servers"
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail,omitempty"` // figures; why it failed and what to do; why it was not tried
}

// An Outcome is how a check came out.
type Outcome string

const (
	Held     Outcome = "held"
	Failed   Outcome = "failed"
	NotTried Outcome = "not tried" // nor is it a failure: something that is needed is not here
)

// Probes count what was asked of a service by one path while a phase lasted.
type Probes struct {
	Service string `json:"service"`
	Path    string `json:"path"`
	Phase   int    `json:"phase"` // index in Report.Phases
	Asked   int    `json:"asked"`
	Failed  int    `json:"failed"`
}

// An Outage is a time in which a service gave no good answer by one path: from the first
// question that failed to the last of the row.
type Outage struct {
	Service string  `json:"service"`
	Path    string  `json:"path"`
	From    Seconds `json:"from_seconds"`
	To      Seconds `json:"to_seconds"`
	Failed  int     `json:"failed"`
	Error   string  `json:"error"` // of the first one
}

// A Stop is the longest time in which a service gave no good answer by any path: from its
// last good answer to the next one.
type Stop struct {
	Service string  `json:"service,omitempty"` // "": none stopped
	Others  int     `json:"others,omitempty"`  // services that stopped too, for no longer
	From    Seconds `json:"from_seconds"`
	To      Seconds `json:"to_seconds"`
}

// A Disk is what became of the guest's disk. Sizes are in bytes.
type Disk struct {
	Size    int64  `json:"size"`
	Live    int64  `json:"live_moved"`  // by all live passes together
	Resumed int64  `json:"resumed"`     // what an interrupted pass had not to do again
	Final   int64  `json:"final_moved"` // by the final pass, while the guest was stopped
	Digest  string `json:"digest"`      // BLAKE3, as b3sum prints it, of both disks
}

// A Network is what is drawn.
type Network struct {
	Domain string `json:"domain"`
	Old    Host   `json:"old"`    // the host of today
	Router Host   `json:"router"` // in the cloud
	Home   Host   `json:"home"`   // the hypervisor at home
	Tunnel struct {
		Router []string `json:"router"` // addresses of its end
		Guest  []string `json:"guest"`
	} `json:"tunnel"`
	Services []Service `json:"services"`
}

// A Host is a machine, with the addresses by which it is known to the world or at home.
type Host struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
}

// A Service is reached by the router in one of three ways.
type Service struct {
	Name string `json:"name"`
	Port string `json:"port"` // such as "tcp+udp 53"
	Via  string `json:"via"`  // forward, proxy or tunnel
}

// Seconds are a time. In JSON they are a number, with milliseconds.
type Seconds time.Duration

// MarshalJSON prints the number.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(math.Round(time.Duration(s).Seconds()*1000) / 1000)
}

// New begins a report at now.
func New(guest, where string, now time.Time) *Report {
	return &Report{Guest: guest, Where: where, Started: now, Phases: []Phase{}, Probes: []Probes{}}
}

// Begin ends the phase before at now, and begins the next.
func (r *Report) Begin(number int, title string, now time.Time) {
	r.End(now)
	r.Phases = append(r.Phases, Phase{Number: number, Title: title, From: Seconds(now.Sub(r.Started)), Findings: []Finding{}})
}

// End ends the last phase, and with it the report, at now.
func (r *Report) End(now time.Time) {
	r.Took = Seconds(now.Sub(r.Started))
	if n := len(r.Phases); n > 0 {
		r.Phases[n-1].To = r.Took
	}
}

// Add puts findings into the phase that was begun last.
func (r *Report) Add(found ...Finding) {
	p := &r.Phases[len(r.Phases)-1]
	p.Findings = append(p.Findings, found...)
}

// Count is how many checks came out in one way.
func (r *Report) Count(o Outcome) int {
	n := 0
	for _, p := range r.Phases {
		for _, f := range p.Findings {
			if f.Outcome == o {
				n++
			}
		}
	}
	return n
}

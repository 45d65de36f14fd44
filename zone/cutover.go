package zone

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A Move is the wish to point names elsewhere at a given moment.
type Move struct {
	Names []string      // the owners whose records will change, absolute or relative to the zone's origin
	At    time.Time     // when the records are to change; zero is as soon as it is safe
	TTL   time.Duration // what TTLs are lowered to before; 0 is five minutes
	Delay time.Duration // how long the servers may take to follow; 0 is the SOA's refresh and retry, which holds without NOTIFY too
}

// A Cutover is the timetable of a move: first the TTLs are lowered, and what
// caches hold with the old ones drains; then the records change; then what caches
// hold with the low TTLs drains, and nobody asks for the old address any more.
//
// It takes the zone as it is, so ask before the TTLs are lowered. As each step is
// taken, [Report.Drain] gives the true instants.
type Cutover struct {
	Names   []string      // absolute
	New     []string      // those of them that do not exist yet, of which caches remember that, or what a wildcard said
	Servers []string      // those of them that are name servers of the zone: their glue in the zone above must change too, and has a TTL of its own
	OldTTL  time.Duration // the longest that caches may hold what the zone says now
	TTL     time.Duration // the longest with which the names are served once they are lowered
	Delay   time.Duration // how long the servers may take to follow

	Lower  time.Time // the latest moment to load the zone with low TTLs; zero if no TTL is above them
	Switch time.Time // when the records change: as wished, or later if that would not be safe
	Off    time.Time // when the old address can be switched off
	Late   bool      // Switch is later than what was wished
}

// Cutover plans a move. The error is a [*ValueError] for a name that is none or
// not in the zone, and if there is no name at all.
func (f *File) Cutover(m Move, now time.Time) (Cutover, error) {
	if m.TTL == 0 {
		m.TTL = 5 * time.Minute
	}
	c := Cutover{Delay: m.Delay}
	soa := f.Lookup("@", "SOA")
	if len(soa) == 0 {
		return c, errNoSOA
	}
	negative, err := NegativeTTL(soa[0])
	if err != nil {
		return c, err
	}
	if c.Delay == 0 {
		if c.Delay, err = SecondaryDelay(soa[0]); err != nil {
			return c, err
		}
	}
	if len(m.Names) == 0 {
		return c, &ValueError{Field: "names", Reason: "none is to move"}
	}
	servers := f.Lookup("@", "NS")
	for _, owner := range m.Names {
		name, err := absoluteName([]byte(owner), f.apex.text)
		if err != nil || !below(name, f.apex.text) {
			return c, &ValueError{Field: "name", Value: owner, Reason: "not a name in the zone " + f.apex.text}
		}
		c.Names = append(c.Names, name)
		ttl := f.MaxTTL(name)
		if len(f.Lookup(name, "ANY")) == 0 {
			c.New = append(c.New, name)
			ttl = max(negative, f.MaxTTL(wildcards(name)...))
		}
		c.OldTTL, c.TTL = max(c.OldTTL, ttl), max(c.TTL, min(ttl, m.TTL))
		if slices.ContainsFunc(servers, func(r Record) bool { return strings.EqualFold(r.Data, name) }) {
			c.Servers = append(c.Servers, name)
		}
	}
	safe := now
	if c.OldTTL > c.TTL {
		safe = now.Add(c.Delay + c.OldTTL)
	}
	c.Switch, c.Late = m.At, !m.At.IsZero() && m.At.Before(safe)
	if m.At.Before(safe) {
		c.Switch = safe
	}
	if c.OldTTL > c.TTL {
		c.Lower = c.Switch.Add(-c.Delay - c.OldTTL)
	}
	c.Off = c.Switch.Add(c.Delay + c.TTL)
	return c, nil
}

// wildcards returns the name, and the owners that it may be answered from while it
// has no records. It takes no heed of names in between, which rule a wildcard out:
// to wait too long does no harm.
func wildcards(name string) []string {
	owners := []string{name}
	for _, i := range dns.Split(name)[1:] {
		owners = append(owners, "*."+name[i:])
	}
	return owners
}

// String returns the timetable, a line for each step.
func (c Cutover) String() string {
	var b strings.Builder
	line := func(at time.Time, format string, args ...any) {
		fmt.Fprintf(&b, "%s  %s\n", at.Format("2006-01-02 15:04:05 MST"), fmt.Sprintf(format, args...))
	}
	if !c.Lower.IsZero() {
		line(c.Lower, "at the latest: TTLs lowered to %s, serial raised, zone loaded (the servers follow within %s, caches hold the old TTL for %s)", c.TTL, c.Delay, c.OldTTL)
	}
	late := ""
	if c.Late {
		late = "; the moment that was wished is too early"
	}
	line(c.Switch, "switch: records changed, serial raised, zone loaded%s", late)
	line(c.Off, "the old address can be switched off (the servers follow within %s, caches hold the old records for %s)", c.Delay, c.TTL)
	for _, name := range c.Servers {
		fmt.Fprintf(&b, "%s is a name server of the zone: change its glue in the zone above at the switch, and keep the old address until its TTL there has passed\n", name)
	}
	return b.String()
}

// MarshalJSON writes times as RFC 3339 has them, and durations as whole seconds, such as
// "ttl_seconds": 300. Lower is left out if it is zero.
func (c Cutover) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Names   []string  `json:"names"`
		New     []string  `json:"new,omitempty"`
		Servers []string  `json:"servers,omitempty"`
		OldTTL  int64     `json:"old_ttl_seconds"`
		TTL     int64     `json:"ttl_seconds"`
		Delay   int64     `json:"delay_seconds"`
		Lower   time.Time `json:"lower,omitzero"`
		Switch  time.Time `json:"switch"`
		Off     time.Time `json:"off"`
		Late    bool      `json:"late"`
	}{c.Names, c.New, c.Servers, seconds(c.OldTTL), seconds(c.TTL), seconds(c.Delay), c.Lower, c.Switch, c.Off, c.Late})
}

package zone

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/miekg/dns"
)

// A Drain says until when a resolver may still have the old records: they may
// have come from the last server to follow just before it did, and stay for
// their own TTL, not the new one. A resolver that serves stale data (RFC 8767)
// knows no bound.
//
// Keep it, as JSON, beside the zone. There OldTTL is a string, such as
// "1h30m0s", that [time.ParseDuration] reads.
type Drain struct {
	Serial uint32        // the one that all servers serve
	OldTTL time.Duration // of the RRset that was replaced; or NegativeTTL where the name was new
	Until  time.Time     // the last server's instant, and OldTTL after it
}

// Drain returns when the old records are gone, given the TTL that their RRset
// had. It is false if not all servers have reached the serial: then nothing
// drains yet.
//
// For a name that did not exist before, oldTTL is the NegativeTTL of the SOA
// record as it was. Of servers that were not asked, such as hidden ones without
// NOTIFY, add the SecondaryDelay.
func (r Report) Drain(oldTTL time.Duration) (Drain, bool) {
	if !r.Reached() || oldTTL < 0 {
		return Drain{}, false
	}
	var last time.Time
	for _, s := range r.Servers {
		if s.At.After(last) {
			last = s.At
		}
	}
	return Drain{Serial: r.Serial, OldTTL: oldTTL, Until: last.Add(oldTTL)}, true
}

// Remaining returns how long the old records may still be seen, and 0 when they
// are gone.
func (d Drain) Remaining(now time.Time) time.Duration { return max(0, d.Until.Sub(now)) }

// Done reports whether the old records are gone. The zero value, which is of no
// drain, is never done.
func (d Drain) Done(now time.Time) bool { return !d.Until.IsZero() && !now.Before(d.Until) }

// String returns "serial 7: the old records are gone after 2026-01-02T15:04:05Z".
func (d Drain) String() string {
	return fmt.Sprintf("serial %d: the old records are gone after %s", d.Serial, d.Until.Format(time.RFC3339))
}

type drainJSON struct {
	Serial uint32    `json:"serial"`
	OldTTL int64     `json:"old_ttl_seconds"`
	Until  time.Time `json:"until"`
}

// MarshalJSON writes {"serial": 7, "old_ttl_seconds": 3600, "until": "2026-01-02T15:04:05Z"}.
func (d Drain) MarshalJSON() ([]byte, error) {
	return json.Marshal(drainJSON{d.Serial, seconds(d.OldTTL), d.Until})
}

// UnmarshalJSON reads what MarshalJSON writes. An object without until is an
// error: it would be taken for a drain that is over.
func (d *Drain) UnmarshalJSON(data []byte) error {
	var j drainJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	if j.OldTTL < 0 || j.OldTTL > math.MaxUint32 {
		return fmt.Errorf("old_ttl_seconds: %d is no TTL", j.OldTTL)
	}
	if j.Until.IsZero() {
		return errors.New("until is missing")
	}
	*d = Drain{j.Serial, time.Duration(j.OldTTL) * time.Second, j.Until}
	return nil
}

// seconds are those in which all of d has passed.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// NegativeTTL returns how long resolvers may remember that a name, or a type of
// it, does not exist: the lesser of the SOA record's TTL and its minimum field
// (RFC 2308, section 5). A SOA record without a TTL has its minimum.
func NegativeTTL(soa Record) (time.Duration, error) {
	rr, err := asSOA(soa)
	if err != nil {
		return 0, err
	}
	minimum := time.Duration(rr.Minttl) * time.Second
	if soa.TTL != nil {
		minimum = min(minimum, *soa.TTL)
	}
	return minimum, nil
}

// SecondaryDelay returns how long a secondary may take to follow if no NOTIFY
// reaches it: its refresh interval, and a retry for a question that was lost.
func SecondaryDelay(soa Record) (time.Duration, error) {
	rr, err := asSOA(soa)
	if err != nil {
		return 0, err
	}
	return time.Duration(rr.Refresh)*time.Second + time.Duration(rr.Retry)*time.Second, nil
}

func asSOA(r Record) (*dns.SOA, error) {
	rr, err := r.RR()
	if err != nil {
		return nil, err
	}
	soa, ok := rr.(*dns.SOA)
	if !ok {
		return nil, &ValueError{Field: "SOA record", Value: r.Type, Reason: "is another type"}
	}
	return soa, nil
}

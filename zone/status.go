package zone

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A Status is what named says about a zone it has loaded (rndc zonestatus).
type Status struct {
	Origin        string    `json:"origin"` // with its final dot
	Type          string    `json:"type"`   // "primary", "secondary" and so on
	Files         []string  `json:"files"`  // the zone's and those it includes, relative to named's working directory
	Serial        uint32    `json:"serial"` // with inline signing, that of the file
	SignedSerial  uint32    `json:"signed_serial,omitempty"`
	InlineSigning bool      `json:"inline_signing"` // what is served is a signed copy with a serial of its own, SignedSerial
	Dynamic       bool      `json:"dynamic"`        // named itself writes the file
	Frozen        bool      `json:"frozen"`         // but not now
	Nodes         int       `json:"nodes"`          // names in the zone
	LastLoaded    time.Time `json:"last_loaded,omitzero"`
	NextRefresh   time.Time `json:"next_refresh,omitzero"` // when a secondary asks its primary again
	Expires       time.Time `json:"expires,omitzero"`      // when a secondary stops to answer if no primary does
}

// Served returns the serial that the world sees.
func (s Status) Served() uint32 {
	if s.InlineSigning {
		return s.SignedSerial
	}
	return s.Serial
}

// Status asks named about a zone. The error is ErrNotLoaded if named has the
// zone, and nothing to answer with.
func (r *RNDC) Status(ctx context.Context, origin string) (Status, error) {
	text, err := r.run(ctx, "zonestatus", origin)
	if err != nil {
		return Status{}, err
	}
	return parseStatus(text)
}

func parseStatus(text string) (Status, error) {
	var s Status
	var errs []error
	number := func(value string) uint32 {
		n, err := strconv.ParseUint(value, 10, 32)
		errs = append(errs, err)
		return uint32(n)
	}
	instant := func(value string) time.Time {
		t, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", value)
		errs = append(errs, err)
		return t.UTC()
	}
	serial := false
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "name":
			s.Origin = dns.Fqdn(value)
		case "type":
			// Older versions of BIND, as on machines that are to move, say master.
			s.Type = strings.NewReplacer("master", "primary", "slave", "secondary").Replace(value)
		case "files":
			s.Files = strings.Split(value, ", ")
		case "serial":
			s.Serial, serial = number(value), true
		case "signed serial":
			s.SignedSerial = number(value)
		case "inline signing":
			s.InlineSigning = value == "yes"
		case "dynamic":
			s.Dynamic = value == "yes"
		case "frozen":
			s.Frozen = value == "yes"
		case "nodes":
			s.Nodes = int(number(value))
		case "last loaded":
			s.LastLoaded = instant(value)
		case "next refresh":
			s.NextRefresh = instant(value)
		case "expires":
			s.Expires = instant(value)
		}
	}
	if !serial {
		errs = append(errs, errors.New("no serial"))
	}
	if err := errors.Join(errs...); err != nil {
		return Status{}, fmt.Errorf("rndc zonestatus printed what it does not with BIND 9.18: %q: %w", text, err)
	}
	return s, nil
}

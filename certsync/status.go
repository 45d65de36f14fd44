package certsync

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Status is how a certificate is.
type Status struct {
	Name        string      `json:"name"`
	Fingerprint Fingerprint `json:"fingerprint"`      // zero: none is installed
	Serial      string      `json:"serial,omitempty"` // of the leaf, in hexadecimal, as openssl shows it
	NotBefore   time.Time   `json:"not_before,omitzero"`
	NotAfter    time.Time   `json:"not_after,omitzero"`
	RenewAt     time.Time   `json:"renew_at,omitzero"`  // drawn by a Renewer; zero in a Consumer
	Due         bool        `json:"due"`                // it should have been replaced by now
	Daemons     []string    `json:"daemons,omitempty"`  // that serve it
	Pending     []string    `json:"pending,omitempty"`  // of those, who have yet to be told
	Succeeded   time.Time   `json:"succeeded,omitzero"` // when a run last found it, or made it, as it should be
	Problem     string      `json:"problem,omitempty"`  // what is wrong with it, or failed in the last run
}

// Status says how each certificate is, from the files alone: it asks no source, no daemon,
// and waits for no lock.
func (c *Consumer) Status(ctx context.Context) ([]Status, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	var state consumerState
	if err := readState(c.statePath(), &state); err != nil {
		return nil, err
	}
	installed := map[string]Fingerprint{}
	list := make([]Status, len(c.Certificates))
	for i, cert := range c.Certificates {
		list[i] = statusOf(ctx, c.Dir, cert, c.Policy, c.Alarm)
		installed[cert.Name] = list[i].Fingerprint
		if f, failed := state.Failures[cert.Name]; failed {
			list[i].Succeeded = f.Succeeded
			list[i].problem(f.Problem)
		} else if !list[i].Fingerprint.IsZero() {
			list[i].Succeeded = state.Checked
		}
	}
	for _, d := range c.Daemons {
		pending := map[string]bool{}
		for _, name := range state.pending(d, installed) {
			pending[name] = true
		}
		for i := range list {
			if d.serves(list[i].Name) {
				list[i].Daemons = append(list[i].Daemons, d.Name)
			}
			if pending[list[i].Name] {
				list[i].Pending = append(list[i].Pending, d.Name)
			}
		}
	}
	return list, nil
}

// statusOf is what the files tell of a certificate.
func statusOf(ctx context.Context, dir *Dir, cert Certificate, policy Policy, alarm time.Duration) Status {
	s := Status{Name: cert.Name}
	b, err := dir.Fetch(ctx, cert.Name, Fingerprint{})
	if errors.Is(err, ErrNotFound) {
		s.Due = true
		s.problem("it is not installed")
		return s
	}
	if err == nil {
		s.Fingerprint = b.Fingerprint()
		policy.Names, policy.Installed = domains(cert.Name, cert.Domains), nil
		err = b.Validate(policy)
		if leaf, err := b.Leaf(); err == nil {
			s.Serial = fmt.Sprintf("%X", leaf.SerialNumber.Bytes())
			s.NotBefore, s.NotAfter = leaf.NotBefore, leaf.NotAfter
		}
	}
	if err != nil {
		s.problem(err.Error())
	}
	s.Due = time.Until(s.NotAfter) <= alarmBefore(s.NotBefore, s.NotAfter, alarm)
	return s
}

// problem adds one, on one line.
func (s *Status) problem(text string) {
	text = oneLine(text)
	if s.Problem != "" && s.Problem != text {
		text = s.Problem + "; " + text
	}
	s.Problem = text
}

package certsync

import "time"

// Status is how a certificate is.
type Status struct {
	Name        string      `json:"name"`
	Fingerprint Fingerprint `json:"fingerprint"`      // zero: none is installed
	Serial      string      `json:"serial,omitempty"` // of the leaf, in hexadecimal, as openssl shows it
	NotBefore   time.Time   `json:"not_before,omitzero"`
	NotAfter    time.Time   `json:"not_after,omitzero"`
	RenewAt     time.Time   `json:"renew_at,omitzero"`  // drawn by a Renewer; zero in a Consumer
	Daemons     []string    `json:"daemons,omitempty"`  // that serve it
	Pending     []string    `json:"pending,omitempty"`  // of those, who have yet to be told
	Succeeded   time.Time   `json:"succeeded,omitzero"` // when a run last found it, or made it, as it should be
	Problem     string      `json:"problem,omitempty"`  // what is wrong with what is installed, or failed in the last run
}

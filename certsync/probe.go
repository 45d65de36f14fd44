package certsync

import (
	"context"
	"crypto/x509"
	"errors"
)

// A Probe returns the leaf that a daemon serves.
type Probe func(ctx context.Context) (*x509.Certificate, error)

// ProbeTLS asks a server that speaks TLS from the start: 443, 465, 993.
func ProbeTLS(addr, serverName string) Probe {
	return func(ctx context.Context) (*x509.Certificate, error) { return nil, errors.New("to come") }
}

// ProbeSMTP asks by STARTTLS (RFC 3207): 25, 587.
func ProbeSMTP(addr, serverName string) Probe { return ProbeTLS(addr, serverName) }

// ProbeIMAP asks by STARTTLS (RFC 9051, section 6.2.1): 143.
func ProbeIMAP(addr, serverName string) Probe { return ProbeTLS(addr, serverName) }

// Probes asks all, and returns the leaf that every one of them serves: the ports of one
// daemon.
func Probes(list ...Probe) Probe {
	return func(ctx context.Context) (*x509.Certificate, error) { return nil, errors.New("to come") }
}

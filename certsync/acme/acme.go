// Package acme gets certificates from an authority that speaks ACME (RFC 8555), such as
// Let's Encrypt, with the lego library.
package acme

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/go-acme/lego/v4/challenge"

	"github.com/rehost/rehost/certsync"
)

// Config says from whom and how certificates are got.
type Config struct {
	// Directory is the authority's URL. Empty: Let's Encrypt.
	Directory string
	// AcceptTerms says that the account's owner agrees to the authority's terms of service.
	AcceptTerms bool
	// Email is the account's; it may be empty.
	Email string
	// Path is the directory in which the account is kept, laid out as the lego program
	// does in its --path, so that an existing account goes on.
	Path string
	// KeyID and HMAC bind the account to one at the authority (EAB, RFC 8555, section
	// 7.3.4); the HMAC is in base64url. Empty: not bound.
	KeyID string
	HMAC  HMAC
	// Profile is one that the directory offers. Empty: the authority's default.
	Profile string
	// PreferredChain is the common name of the issuer of the chain to take, where there
	// are several. Empty: the default chain.
	PreferredChain string
	// KeyType of certificates. Empty: certsync.ECDSAP256.
	KeyType certsync.KeyType
	// ReuseKey keeps the key of the certificate that is replaced.
	ReuseKey bool
	// HTTP01 is where the solver of HTTP-01 listens, behind a proxy that passes port 80's
	// /.well-known/acme-challenge/ on; TLSALPN01 likewise, behind what passes port 443 on;
	// DNS01 is a provider. One of the three must be set.
	HTTP01, TLSALPN01 netip.AddrPort
	DNS01             challenge.Provider
	// HTTP does the requests. Nil: one with the roots of the system.
	HTTP *http.Client
	// Log gets what happens. Nil: nobody.
	Log *slog.Logger
}

// HMAC is a secret that prints as "redacted".
type HMAC struct{ text *string }

// An Issuer gets certificates. It is a certsync.RenewalInformer too.
type Issuer struct{}

// New returns an issuer. It does not connect to the authority.
func New(cfg Config) (*Issuer, error) { return nil, errors.New("to come") }

// Issue gets a certificate.
func (i *Issuer) Issue(ctx context.Context, req certsync.Request) (*certsync.Bundle, error) {
	return nil, errors.New("to come")
}

// RenewalInfo asks the authority when a certificate should be renewed (RFC 9773).
func (i *Issuer) RenewalInfo(ctx context.Context, b *certsync.Bundle) (certsync.RenewalInfo, error) {
	return certsync.RenewalInfo{}, errors.New("to come")
}

// Package acme gets certificates from an authority that speaks ACME (RFC 8555), such as
// Let's Encrypt, with the lego library. It compiles none of that library's DNS providers:
// a program that wants one imports it and passes it in.
package acme

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/go-acme/lego/v4/challenge"
	"github.com/go-acme/lego/v4/challenge/dns01"
	legolog "github.com/go-acme/lego/v4/log"

	"github.com/rehost/rehost/certsync"
)

// LetsEncrypt and LetsEncryptStaging are the directories of Let's Encrypt. Certificates of
// the second are trusted by nobody, and its limits are wide: for trying things out.
const (
	LetsEncrypt        = "https://acme-v02.api.letsencrypt.org/directory"
	LetsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

// A Config says from whom and how certificates are got.
type Config struct {
	// Directory is the authority's URL. Empty: [LetsEncrypt].
	Directory string
	// AcceptTerms says that the account's owner agrees to the authority's terms of service.
	AcceptTerms bool
	// Email is the account's; it may be empty.
	Email string
	// Path is the directory in which the account is kept, laid out as the lego program
	// does in its --path, so that an existing account goes on. Issuers with the same Path
	// work one after the other.
	Path string
	// KeyID and HMAC bind the account to one at the authority (EAB, RFC 8555, section
	// 7.3.4) when it is registered. Empty: not bound.
	KeyID string
	HMAC  HMAC
	// Profile is one that the directory offers. Empty: the authority's default.
	Profile string
	// PreferredChain is the common name of the issuer of the last certificate of the chain
	// to take, where there are several. Empty, or none has it: the default chain.
	PreferredChain string
	// KeyType of certificates. Empty: certsync.ECDSAP256. Ed25519 is refused.
	KeyType certsync.KeyType
	// ReuseKey keeps the key of the certificate that is replaced, if it is of KeyType.
	ReuseKey bool
	// HTTP01 is where the solver of HTTP-01 listens, behind a proxy that passes port 80's
	// /.well-known/acme-challenge/ on; TLSALPN01 likewise, behind what passes port 443 on;
	// DNS01 is a provider. At least one of the three must be set; of several that the
	// authority offers for a name, TLS-ALPN-01 comes first and DNS-01 last. Wildcards need
	// DNS-01.
	HTTP01, TLSALPN01 netip.AddrPort
	DNS01             challenge.Provider
	// DNS01Options say how it is checked that the provider's record has spread, before the
	// authority is asked to look. Nil: at all name servers of the zone.
	DNS01Options []dns01.ChallengeOption
	// HTTP does the requests, each in a minute if it has no Timeout. Nil: one with the roots
	// of the system.
	HTTP *http.Client
	// Log gets what happens. Nil: nobody.
	Log *slog.Logger
}

// An HMAC is a secret that binds an account. The zero value is none. It prints, marshals and
// logs as "redacted".
type HMAC struct {
	// A pointer, as fmt follows those in unexported fields of other structs only to
	// structs, arrays, slices and maps.
	text *string
}

// ParseHMAC reads a secret in base64url (RFC 4648, section 5), as authorities give it. Its
// error does not show the text.
func ParseHMAC(text string) (HMAC, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	if key, err := base64.RawURLEncoding.DecodeString(text); err != nil || len(key) == 0 {
		return HMAC{}, &certsync.ValueError{Field: "HMAC", Value: redacted, Reason: "it is not in base64url"}
	}
	return HMAC{&text}, nil
}

// IsZero reports whether there is none.
func (h HMAC) IsZero() bool { return h.text == nil }

// Reveal returns the secret in base64url, or "" if there is none.
func (h HMAC) Reveal() string {
	if h.IsZero() {
		return ""
	}
	return *h.text
}

const redacted = "redacted"

// String returns "redacted".
func (HMAC) String() string { return redacted }

// Format prints "redacted", whatever the verb.
func (HMAC) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText returns "redacted".
func (HMAC) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// An Issuer gets certificates. It is a [certsync.RenewalInformer] too. It may be used by
// several goroutines, which wait for each other.
type Issuer struct {
	cfg  Config
	host string // of the directory
	log  *slog.Logger
}

// New returns an issuer, or a [*certsync.ValueError]. It does not connect to the authority.
func New(cfg Config) (*Issuer, error) {
	if cfg.Directory == "" {
		cfg.Directory = LetsEncrypt
	}
	if cfg.KeyType == "" {
		cfg.KeyType = certsync.ECDSAP256
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	i := &Issuer{cfg: cfg, log: cfg.Log}
	if i.log == nil {
		i.log = slog.New(slog.DiscardHandler)
	}
	directory, err := url.Parse(cfg.Directory)
	switch {
	case err != nil || directory.Scheme != "https" || directory.Host == "":
		return nil, refuse("directory", cfg.Directory, "it is not the https URL of an authority's directory")
	case !cfg.AcceptTerms:
		return nil, refuse("terms", "false", "the authority's terms of service must be accepted")
	case cfg.Path == "":
		return nil, refuse("path", "", "the account needs a directory")
	case (cfg.KeyID == "") != cfg.HMAC.IsZero():
		return nil, refuse("key id", cfg.KeyID, "it and an HMAC go together")
	}
	i.host = directory.Host
	if cfg.Email != "" {
		address, err := mail.ParseAddress(cfg.Email)
		// It becomes the name of a directory.
		if err != nil || address.Address != cfg.Email || strings.ContainsAny(cfg.Email, "/\x00") {
			return nil, refuse("email", cfg.Email, "it is not a plain address")
		}
	}
	switch cfg.KeyType {
	case certsync.ECDSAP256, certsync.ECDSAP384, certsync.RSA2048, certsync.RSA3072, certsync.RSA4096:
	default:
		return nil, refuse("key type", string(cfg.KeyType), "no authority signs it")
	}
	for field, addr := range map[string]netip.AddrPort{"HTTP-01": cfg.HTTP01, "TLS-ALPN-01": cfg.TLSALPN01} {
		if addr.IsValid() && addr.Port() == 0 {
			return nil, refuse(field, addr.String(), "a proxy must know the port")
		}
	}
	if !cfg.HTTP01.IsValid() && !cfg.TLSALPN01.IsValid() && cfg.DNS01 == nil {
		return nil, refuse("challenges", "", "one of HTTP-01, TLS-ALPN-01 and DNS-01 must be set")
	}
	quietLego()
	return i, nil
}

func refuse(field, value, reason string) error {
	return &certsync.ValueError{Field: field, Value: value, Reason: reason}
}

// quietLego keeps lego from writing to standard error. It has one logger for the whole
// process and no way to give it another for one client, so a variable of lego's is set,
// once, and before this package calls anything in lego that logs. A program that uses lego
// itself and has set a logger there keeps it; one that wants lego's own logger, and this
// package too, sets log.Logger after New. What lego logs is lost: the errors that it
// returns say enough.
var quietLego = sync.OnceFunc(func() {
	if own, ok := legolog.Logger.(*log.Logger); ok && own.Writer() == os.Stderr {
		legolog.Logger = log.New(io.Discard, "", 0)
	}
})

package certsync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Source has bundles by name: a [Client], a [Dir], or a caller's own.
type Source interface {
	// Fetch returns the bundle of that name, [ErrNotModified] if it is the one whose
	// fingerprint the caller has (zero: none), or [ErrNotFound].
	Fetch(ctx context.Context, name string, have Fingerprint) (*Bundle, error)
}

// errNoBundle is a Source or an Issuer of a caller's own that returns neither a bundle nor an
// error.
var errNoBundle = errors.New("there is neither a bundle nor an error")

// An Issuer makes certificates. If it is a [RenewalInformer] too, it says when to renew.
type Issuer interface {
	Issue(ctx context.Context, req Request) (*Bundle, error)
}

// A Request is what an Issuer is asked for.
type Request struct {
	Name     string   // of the bundle
	Domains  []string // that the certificate must cover; nil: Name
	Previous *Bundle  // what the new one replaces; nil: nothing
}

// A RenewalInformer knows when a certificate should be renewed (ACME Renewal
// Information, RFC 9773). Its error may be errors.ErrUnsupported.
type RenewalInformer interface {
	RenewalInfo(ctx context.Context, b *Bundle) (RenewalInfo, error)
}

// A RenewalInfo is the time in which a certificate should be renewed (RFC 9773, section
// 4.2). It may move: an authority that revokes moves it to the past.
type RenewalInfo struct {
	Start, End time.Time     // the suggested window
	RetryAfter time.Duration // when to ask again; 0: the caller's own interval
}

// A Certificate is one that a [Renewer] keeps valid or a [Consumer] installed.
type Certificate struct {
	Name    string   // of the bundle, as sources and directories know it
	Domains []string // that it must cover; nil: Name
}

// namesOf returns the names of certificates, which must be good and different.
func namesOf(list []Certificate) (map[string]bool, error) {
	names := map[string]bool{}
	for _, c := range list {
		if err := checkName(c.Name); err != nil {
			return nil, err
		}
		if names[c.Name] {
			return nil, &ValueError{Field: "certificate", Value: c.Name, Reason: "it is there twice"}
		}
		names[c.Name] = true
	}
	return names, nil
}

// domains are what a certificate must cover.
func domains(name string, list []string) []string {
	if list == nil {
		return []string{name}
	}
	return list
}

// checkName refuses a name that could be another file than the one that it names. A name
// is most often the first domain of its certificate: letters, digits, ".", "-", "_" and,
// in front, "*.". It begins with no dot, and so is never a hidden file or "..".
func checkName(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "it is empty"
	case len(name) > 200: // a file name has 255, with an ending
		reason = "it is longer than 200 bytes"
	case name[0] == '.' || name[0] == '-':
		reason = fmt.Sprintf("it begins with %q", name[:1])
	case name == "*.":
		reason = "it is a wildcard of nothing"
	case strings.HasPrefix(name, "_."):
		reason = `the files of "*." are called like this`
	}
	rest := strings.TrimPrefix(name, "*.")
	for i := 0; i < len(rest) && reason == ""; i++ {
		c := rest[i]
		if !(c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			reason = fmt.Sprintf("it may not hold %q", c)
		}
	}
	if reason == "" {
		return nil
	}
	return &ValueError{Field: "name", Value: name, Reason: reason}
}

// fileName is the name as files have it. Certbot and lego write a wildcard like this too.
func fileName(name string) string { return strings.Replace(name, "*", "_", 1) }

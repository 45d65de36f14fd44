package acme

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
	"github.com/go-acme/lego/v4/certificate"
	"github.com/go-acme/lego/v4/challenge/resolver"

	"github.com/rehost/rehost/certsync"
)

const (
	requestTimeout = time.Minute
	// orderTimeout is how long the authority may take to sign after it has validated.
	orderTimeout = 2 * time.Minute
	// issueTimeout ends an Issue, since lego sleeps for as long as the authority tells it to.
	// Many names by DNS take an hour.
	issueTimeout = 2 * time.Hour
	// maxAnswer is more than any chain takes, and less than hurts.
	maxAnswer = 1 << 20
	userAgent = "rehost-certsync"
)

// Issue gets a certificate. It waits while another Issue with the same Path is under way, in
// this process or another, since two cannot listen on one port. The account is registered if
// there is none. If the request has a bundle that is replaced, the authority is told so,
// which exempts the order from some limits (RFC 9773, section 5).
//
// When the context ends, or two hours are over, Issue returns and the port is free. A DNS-01
// provider, which knows of no context, is left to finish and to clean up by itself, and lego
// to notice, which takes it seconds as a rule. The next Issue waits for that.
//
// An error of the authority has its type in the message, and errors.As finds a
// *acme.ProblemDetails of lego's in it; if the authority says when to try again, also a
// [*certsync.RetryError].
func (i *Issuer) Issue(ctx context.Context, req certsync.Request) (*certsync.Bundle, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, issueTimeout, fmt.Errorf("no certificate after %s", issueTimeout))
	defer cancel()
	key, err := i.key(req.Previous)
	if err != nil {
		return nil, err
	}
	signer, err := key.Signer()
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, i.cfg.Path)
	if err != nil {
		return nil, err
	}
	solvers, err := i.listen()
	if err != nil {
		unlock()
		return nil, err
	}
	defer solvers.close()
	chain, err := abandon(ctx, func() ([]byte, error) {
		// Not before the last file of the account is written, the last record is cleaned up
		// and the port is free.
		defer unlock()
		defer solvers.close()
		core, err := i.connect(ctx)
		if err != nil {
			return nil, err
		}
		return i.obtain(ctx, core, solvers, req, signer)
	})
	if err != nil {
		return nil, i.explain(ctx, err)
	}
	return &certsync.Bundle{Name: req.Name, Chain: chain, Key: key, From: i.host}, nil
}

// abandon returns what f does, or the context's error if that comes first. lego knows of no
// context. Its requests do, by their transport; but between them it sleeps, for seconds, and
// is left behind in that: the next request fails, and so ends what it does.
func abandon(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	type result struct {
		chain []byte
		err   error
	}
	done := make(chan result, 1)
	go func() {
		chain, err := f()
		done <- result{chain, err}
	}()
	select {
	case r := <-done:
		return r.chain, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// key is the one of the new certificate.
func (i *Issuer) key(previous *certsync.Bundle) (certsync.PrivateKey, error) {
	if i.cfg.ReuseKey && previous != nil {
		if t, err := previous.Key.Type(); err == nil && t == i.cfg.KeyType {
			return previous.Key, nil
		}
	}
	return certsync.NewPrivateKey(i.cfg.KeyType)
}

// connect reads the directory and makes the account ready.
func (i *Issuer) connect(ctx context.Context) (*api.Core, error) {
	a, err := i.loadAccount(ctx)
	if err != nil {
		return nil, err
	}
	if a.Registration == nil {
		if err := i.register(ctx, a); err != nil {
			return nil, err
		}
	}
	return api.New(i.client(ctx), userAgent, i.cfg.Directory, a.Registration.URI, a.key)
}

func (i *Issuer) obtain(ctx context.Context, core *api.Core, solvers *solvers, req certsync.Request, key crypto.Signer) ([]byte, error) {
	manager := resolver.NewSolversManager(core)
	if err := solvers.use(manager, i.cfg); err != nil {
		return nil, err
	}
	certifier := certificate.NewCertifier(core, resolver.NewProber(manager), certificate.CertifierOptions{Timeout: orderTimeout})
	order := certificate.ObtainRequest{
		Domains:        req.Domains,
		PrivateKey:     key,
		Bundle:         true,
		PreferredChain: i.cfg.PreferredChain,
		Profile:        i.cfg.Profile,
		ReplacesCertID: replaces(req.Previous),
	}
	if order.Domains == nil {
		order.Domains = []string{req.Name}
	}
	i.log.InfoContext(ctx, "asking for a certificate", "name", req.Name, "authority", i.host)
	got, err := certifier.Obtain(order)
	// The one that is replaced may be of another authority or another account, and only this
	// authority can tell. It refuses the order then, before anything is validated, and with
	// whatever type of problem it likes.
	if problem, ok := errors.AsType[*legoacme.ProblemDetails](err); ok && order.ReplacesCertID != "" &&
		problem.URL == core.GetDirectory().NewOrderURL && problem.HTTPStatus < 500 && problem.Type != legoacme.RateLimitedErr {
		i.log.InfoContext(ctx, "the order was refused, asking again without the certificate that it replaces", "name", req.Name, "error", err)
		order.ReplacesCertID = ""
		got, err = certifier.Obtain(order)
	}
	if err != nil {
		return nil, err
	}
	return got.Certificate, nil
}

// replaces identifies a certificate to the authority (RFC 9773, section 4.1). Empty: there
// is none, or it does not say whose it is.
func replaces(previous *certsync.Bundle) string {
	if previous == nil {
		return ""
	}
	leaf, err := previous.Leaf()
	if err != nil || len(leaf.AuthorityKeyId) == 0 {
		return ""
	}
	id, err := certificate.MakeARICertID(leaf)
	if err != nil {
		return ""
	}
	return id
}

// RenewalInfo asks the authority when a certificate should be renewed (RFC 9773). If it has
// no such service the error is [errors.ErrUnsupported]. No account is needed.
func (i *Issuer) RenewalInfo(ctx context.Context, b *certsync.Bundle) (certsync.RenewalInfo, error) {
	var info certsync.RenewalInfo
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	leaf, err := b.Leaf()
	if err != nil {
		return info, err
	}
	core, err := api.New(i.client(ctx), userAgent, i.cfg.Directory, "", nil)
	if err != nil {
		return info, i.explain(ctx, err)
	}
	got, err := certificate.NewCertifier(core, nil, certificate.CertifierOptions{}).
		GetRenewalInfo(certificate.RenewalInfoRequest{Cert: leaf})
	if errors.Is(err, api.ErrNoARI) {
		return info, errors.ErrUnsupported
	}
	if err != nil {
		return info, i.explain(ctx, err)
	}
	info = certsync.RenewalInfo{Start: got.SuggestedWindow.Start, End: got.SuggestedWindow.End, RetryAfter: got.RetryAfter}
	// lego does not look at the status: an answer such as 404 has no window.
	if info.Start.IsZero() || !info.End.After(info.Start) {
		return info, fmt.Errorf("%s says no time to renew the certificate of %s", i.host, b.Name)
	}
	return info, nil
}

// client does requests as long as the context lasts.
func (i *Issuer) client(ctx context.Context) *http.Client {
	client := *i.cfg.HTTP // lego replaces its transport
	client.Transport = carrier{ctx, client.Transport}
	if client.Timeout == 0 {
		client.Timeout = requestTimeout
	}
	return &client
}

// A carrier brings a context into the requests of a library that has none. It lives as long
// as one call of Issue or RenewalInfo, at whose end the context is cancelled.
type carrier struct {
	ctx  context.Context
	base http.RoundTripper
}

func (c carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	// The request has a context of its own, with the timeout of the client.
	ctx, cancel := context.WithCancel(c.ctx)
	context.AfterFunc(req.Context(), cancel)
	base := c.base
	if base == nil {
		base = http.DefaultTransport
	}
	response, err := base.RoundTrip(req.WithContext(ctx))
	if err == nil { // lego reads whatever comes
		response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	}
	return response, err
}

// explain brings an error of lego's, which has lines, into one, says whose it is, and tells
// when to try again if the authority has.
func (i *Issuer) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", i.host, context.Cause(ctx))
	}
	err = fmt.Errorf("%s: %w", i.host, oneLine{err})
	if limit, ok := errors.AsType[*legoacme.RateLimitedError](err); ok {
		if after, bad := api.ParseRetryAfter(limit.RetryAfter); bad == nil && after > 0 {
			return &certsync.RetryError{After: after, Err: err}
		}
	}
	return err
}

// oneLine is an error without what does not print, since some of it is the authority's own
// words, and not more of it than is worth reading: a proxy answers with pages of HTML.
type oneLine struct{ error }

func (e oneLine) Error() string {
	const enough = 2000
	text := []rune(strings.Join(strings.FieldsFunc(e.error.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), " "))
	if len(text) > enough {
		text = append(text[:enough], '…')
	}
	return string(text)
}

func (e oneLine) Unwrap() error { return e.error }

package certsync

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Client fetches bundles from a [Handler] or from the plain files of a web server. It is
// a [Source]. It may be used by several goroutines, and its fields must not be changed
// once it is used.
type Client struct {
	// URL is below what the names lie: https://ingress.example.net/certs/ has the bundle
	// senate.example.net at https://ingress.example.net/certs/senate.example.net.
	URL string
	// Layout is how the files of a plain web server lie: [Combined] (NAME.sha256, then
	// NAME.pem) or [Pair] (NAME.crt and NAME.key, which must belong together). The zero
	// value is for a Handler.
	Layout Layout
	// HTTP does the requests: its Transport has the pool of roots and the client's
	// certificate. Redirects are not followed, whatever it says. Nil: one with the roots of
	// the system and without a proxy.
	HTTP *http.Client
	// Plain are the addresses to which a URL may lead without TLS, such as those of a
	// tunnel. Nil: none. The URL's host must be an address then, not a name, and is not
	// reached through the proxy of an [*http.Transport].
	Plain []netip.Prefix
	// Timeout is for each request. 0: 30 seconds.
	Timeout time.Duration
	// MaxSize is that of an answer, in bytes. 0: 256 KiB.
	MaxSize int64
	// Retries is how often a bundle is asked for again if the network or the server failed
	// (5xx, 429), or if what came is not whole: after a second, then each time twice as late,
	// and so much after the time that the server says (Retry-After), but never later than a
	// minute. 0: three times; negative: never.
	Retries int
	// Log gets the retries. Nil: nobody.
	Log *slog.Logger

	once sync.Once
	http *http.Client

	mu      sync.Mutex
	failing bool      // the last bundle could not be had, however often it was asked for
	down    error     // since the server did not answer
	till    time.Time // and is not asked again before
}

const (
	defaultTimeout = 30 * time.Second
	defaultMaxSize = 256 << 10
	defaultRetries = 3
	firstBackoff   = time.Second
	maxBackoff     = time.Minute
)

// downFor is how long a server that does not answer is not asked again.
const downFor = 30 * time.Second

// Fetch asks for a bundle, whose digest and key it checks. Errors name the URL, without
// password and query. One that cannot be used is a [*ValueError], before anything is sent.
// After a bundle that could not be had with all retries, others are asked for once, until an
// answer comes that needs no retry; and if the server had not answered at all, what is asked
// for in the next half minute fails at once.
func (c *Client) Fetch(ctx context.Context, name string, have Fingerprint) (*Bundle, error) {
	base, err := c.locate(name)
	if err != nil {
		return nil, err
	}
	fetch := c.fetchBundle
	switch c.Layout {
	case Combined:
		fetch = c.fetchCombined
	case Pair:
		fetch = c.fetchPair
	}
	retries, err := c.patience()
	if err != nil {
		return nil, err
	}
	for wait := firstBackoff; ; wait = min(2*wait, maxBackoff) {
		b, err := fetch(ctx, base, name, have)
		failure, passing := errors.AsType[*transientError](err)
		if !passing || retries == 0 || ctx.Err() != nil {
			if ctx.Err() == nil {
				c.learn(failure)
			}
			return b, err
		}
		retries--
		pause := min(max(failure.retryAfter, 0)+jitter(wait), maxBackoff)
		if c.Log != nil {
			c.Log.WarnContext(ctx, "fetch failed, and is tried again", "name", name, "err", err, "after", pause)
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// patience is how often to try again, or why the server is not asked at all: a run of a
// thousand names would wait a thousand times for the same thing.
func (c *Client) patience() (retries int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.down != nil && time.Now().Before(c.till):
		return 0, fmt.Errorf("not asked, since a moment ago: %w", c.down)
	case c.failing:
		return 0, nil
	}
	return max(cmp.Or(c.Retries, defaultRetries), 0), nil
}

// learn keeps how the last bundle failed; nil: not by the server or the network.
func (c *Client) learn(failure *transientError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing, c.down = failure != nil, nil
	if failure != nil && failure.unanswered {
		c.down, c.till = failure, time.Now().Add(downFor)
	}
}

// locate checks name and URL, and returns what the names lie below.
func (c *Client) locate(name string) (*url.URL, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	base, err := url.Parse(c.URL)
	if err != nil { // which quotes the password
		return nil, &ValueError{Field: "URL", Reason: "it cannot be read as one"}
	}
	reason := ""
	host, err := netip.ParseAddr(base.Hostname())
	switch {
	case base.Host == "":
		reason = "it has no host"
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		reason = "names cannot lie below a query or a fragment"
	case base.Scheme == "https":
	case base.Scheme != "http":
		reason = "it is neither https nor http"
	case err != nil || !within(c.Plain, host):
		reason = "a private key would cross the network without TLS, and the host is none of the addresses for which that is allowed"
	}
	if reason != "" {
		return nil, &ValueError{Field: "URL", Value: withoutSecrets(base), Reason: reason}
	}
	return base, nil
}

// fetchBundle asks a Handler.
func (c *Client) fetchBundle(ctx context.Context, base *url.URL, name string, have Fingerprint) (*Bundle, error) {
	at := base.JoinPath(name)
	data, err := c.get(ctx, at, have)
	if err != nil {
		return nil, err
	}
	if _, _, ok := cutDigest(data); !ok {
		return nil, transient(failed(at, errors.New("it does not begin with a digest"+whatItIs(data))))
	}
	b, err := ParseBundle(name, withoutSecrets(at), data)
	return whole(b, have, err)
}

// fetchCombined asks a web server for the digest, and for the bundle if it is another one.
func (c *Client) fetchCombined(ctx context.Context, base *url.URL, name string, have Fingerprint) (*Bundle, error) {
	at := base.JoinPath(fileName(name) + ".sha256")
	line, err := c.get(ctx, at, Fingerprint{})
	if err != nil {
		return nil, err
	}
	digits, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	want, err := ParseFingerprint(string(digits))
	if err != nil || want.IsZero() {
		return nil, transient(failed(at, errors.New("it holds no SHA-256 digest"+whatItIs(line))))
	}
	if want == have {
		return nil, ErrNotModified
	}
	at = base.JoinPath(fileName(name) + ".pem")
	data, err := c.get(ctx, at, Fingerprint{})
	if err != nil {
		return nil, err
	}
	b, err := ParseBundle(name, withoutSecrets(at), data)
	// The digest is the fingerprint, or that of a file which somebody has made by hand.
	if err == nil && b.Fingerprint() != want && sha256.Sum256(data) != want {
		err = failed(at, errors.New("its digest is not the one that lies beside it"))
	}
	return whole(b, have, err)
}

// fetchPair asks a web server for chain and key.
func (c *Client) fetchPair(ctx context.Context, base *url.URL, name string, have Fingerprint) (*Bundle, error) {
	chainAt, keyAt := base.JoinPath(fileName(name)+".crt"), base.JoinPath(fileName(name)+".key")
	chain, err := c.get(ctx, chainAt, Fingerprint{})
	if err != nil {
		return nil, err
	}
	key, err := c.get(ctx, keyAt, Fingerprint{})
	if err != nil {
		return nil, err
	}
	b, err := ParsePair(name, withoutSecrets(chainAt), chain, withoutSecrets(keyAt), key)
	return whole(b, have, err)
}

// whole checks a bundle that was read. If anything is wrong, the publisher may have been at
// work: the next answer may be good.
func whole(b *Bundle, have Fingerprint, err error) (*Bundle, error) {
	b, err = checked(b, have, err)
	if err != nil && err != ErrNotModified {
		return nil, transient(err) // which says where the bundle is from
	}
	return b, err
}

// get does one request, which is conditional if there is something to have.
func (c *Client) get(ctx context.Context, at *url.URL, have Fingerprint) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Timeout, defaultTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, failed(at, err)
	}
	// A proxy that compresses what passes would have to weaken the ETag.
	req.Header.Set("Accept-Encoding", "identity")
	if !have.IsZero() {
		req.Header.Set("If-None-Match", entityTag(have))
	}
	resp, err := c.client().Do(req)
	if err != nil {
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			return nil, failed(at, err) // and will go on to
		}
		failure := transient(failed(at, err))
		failure.unanswered = true
		return nil, failure
	}
	defer resp.Body.Close()
	limit := cmp.Or(c.MaxSize, defaultMaxSize)
	// All of it is read, whatever the status: what is left would cost the connection.
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, limit))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch status := resp.StatusCode; {
	case status == http.StatusNotModified && !have.IsZero():
		return nil, ErrNotModified
	case status == http.StatusNotFound:
		return nil, failed(at, ErrNotFound)
	case status == http.StatusForbidden:
		return nil, failed(at, errors.New("the server does not allow this machine to have it (403 Forbidden)"))
	case status == http.StatusTooManyRequests || status >= 500:
		failure := transient(failed(at, errors.New(statusLine(status))))
		failure.retryAfter = retryAfter(resp.Header)
		return nil, failure
	case status != http.StatusOK:
		return nil, failed(at, fmt.Errorf("unexpected status %s", statusLine(status)))
	case tooLarge:
		return nil, failed(at, fmt.Errorf("the answer is larger than %d bytes", limit))
	case err != nil: // such as less than Content-Length
		return nil, transient(failed(at, err))
	}
	return body, nil
}

// client is made once, since its Transport keeps the connections.
func (c *Client) client() *http.Client {
	c.once.Do(func() {
		own := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}}
		if c.HTTP != nil {
			own = *c.HTTP
		}
		// Where the redirect would lead, no one has allowed the key to come from.
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if t, ok := cmp.Or(own.Transport, http.DefaultTransport).(*http.Transport); ok {
			own.Transport = withoutProxyForPlain(t)
		}
		c.http = &own
	})
	return c.http
}

// withoutProxyForPlain keeps what goes without TLS in the tunnel.
func withoutProxyForPlain(t *http.Transport) *http.Transport {
	proxy := t.Proxy
	if proxy == nil {
		return t
	}
	t = t.Clone()
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme == "http" {
			return nil, nil
		}
		return proxy(r)
	}
	return t
}

// A transientError may be gone the next time.
type transientError struct {
	error
	retryAfter time.Duration // what the server asks for; 0: nothing
	unanswered bool          // the server did not say a word
}

func (e *transientError) Unwrap() error { return e.error }

func transient(err error) *transientError { return &transientError{error: err} }

// failed says of which URL an error is.
func failed(at *url.URL, err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	return fmt.Errorf("%s: %w", withoutSecrets(at), err)
}

// withoutSecrets is a URL without what may be secret in it: the user's name and password,
// also where a missing "https://" has hidden them from url.Parse, and a query.
func withoutSecrets(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return bare.String()
}

// statusLine says what a status means. What the server says may be megabytes, or more than
// a terminal should see.
func statusLine(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// retryAfter reads when to come again (RFC 9110, section 10.2.3): seconds, or a date.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 16); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return time.Until(at)
}

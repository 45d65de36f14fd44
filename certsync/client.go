package certsync

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// A Client fetches bundles from a [Handler] or from the plain files of a web server. It is
// a [Source]. It may be used by several goroutines.
type Client struct {
	// URL is below what the names lie: https://ingress.example.net/certs/ has the bundle
	// senate.example.net at https://ingress.example.net/certs/senate.example.net.
	URL string
	// Layout is how the files of a plain web server lie: [Combined] (NAME.sha256, then
	// NAME.pem) or [Pair] (NAME.crt and NAME.key, which must belong together). The zero
	// value is for a Handler.
	Layout Layout
	// HTTP does the requests: its Transport has the pool of roots and the client's
	// certificate. Nil: one with the roots of the system.
	HTTP *http.Client
	// Plain are the addresses to which a URL may lead without TLS, such as those of a
	// tunnel. Nil: none. The URL's host must be an address then, not a name.
	Plain []netip.Prefix
	// Timeout is for each request. 0: 30 seconds.
	Timeout time.Duration
	// MaxSize is that of an answer, in bytes. 0: 256 KiB.
	MaxSize int64
	// Retries is how often a request is tried again that failed by the network or by the
	// server (5xx, 429). 0: three times; negative: never.
	Retries int
	// Log gets the retries. Nil: nobody.
	Log *slog.Logger
}

// Fetch asks for a bundle.
func (c *Client) Fetch(ctx context.Context, name string, have Fingerprint) (*Bundle, error) {
	return nil, errors.New("to come")
}

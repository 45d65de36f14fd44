package certsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClientRetries(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	good := Handler(newPubSource(b), pubEverybody)
	answer := func(status int, retryAfter string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(status)
		}
	}
	for _, tt := range []struct {
		name     string
		retries  int
		answers  []http.HandlerFunc
		min, max time.Duration // that it takes
		err      string
	}{
		{"good at once", 0, nil, 0, 0, ""},
		{"once", 0, []http.HandlerFunc{answer(503, "")}, 900 * time.Millisecond, 1100 * time.Millisecond, ""},
		{"three times, twice as late each time", 0, []http.HandlerFunc{answer(503, ""), answer(429, ""), answer(502, "")}, 6300 * time.Millisecond, 7700 * time.Millisecond, ""},
		{"too often", 0, []http.HandlerFunc{answer(503, ""), answer(503, ""), answer(503, ""), answer(500, "")}, 6300 * time.Millisecond, 7700 * time.Millisecond, "500 Internal"},
		{"never", -1, []http.HandlerFunc{answer(503, "")}, 0, 0, "503 Service"},
		{"not before the server says", 1, []http.HandlerFunc{answer(429, "20")}, 20900 * time.Millisecond, 21100 * time.Millisecond, ""},
		{"a date", 1, []http.HandlerFunc{answer(503, "Sat, 01 Jan 2000 00:00:30 GMT")}, 30900 * time.Millisecond, 31100 * time.Millisecond, ""},
		{"a date that is over", 1, []http.HandlerFunc{answer(503, "Fri, 01 Jan 1999 00:00:00 GMT")}, 900 * time.Millisecond, 1100 * time.Millisecond, ""},
		{"but not for ever", 1, []http.HandlerFunc{answer(503, "3600")}, time.Minute, time.Minute, ""},
		{"nor for longer than that", 1, []http.HandlerFunc{answer(503, "99999999999999999999")}, time.Minute, time.Minute, ""},
		{"nonsense", 1, []http.HandlerFunc{answer(503, "-5 minutes")}, 900 * time.Millisecond, 1100 * time.Millisecond, ""},
		{"often", 8, []http.HandlerFunc{answer(503, ""), answer(503, ""), answer(503, ""), answer(503, ""), answer(503, ""), answer(503, ""), answer(503, ""), answer(503, "")}, 167 * time.Second, 190 * time.Second, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // begins at midnight of 1 January 2000
				begin, answers := time.Now(), tt.answers
				c := &Client{URL: "https://ingress.example.net", Retries: tt.retries, HTTP: pubHandler(func(w http.ResponseWriter, r *http.Request) {
					if len(answers) > 0 {
						answers[0](w, r)
						answers = answers[1:]
						return
					}
					good.ServeHTTP(w, r)
				})}
				got, err := c.Fetch(t.Context(), b.Name, Fingerprint{})
				took := time.Since(begin)
				assert.GreaterOrEqual(t, took, tt.min)
				assert.LessOrEqual(t, took, tt.max)
				if tt.err != "" {
					assert.ErrorContains(t, err, tt.err)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, b.Fingerprint(), got.Fingerprint())
			})
		})
	}
}

// A run of many names does not wait for each of them when the server is at fault.
func TestClientLosesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, answer, status := 0, errors.New("no route to host"), http.StatusServiceUnavailable
		c := &Client{URL: "https://192.0.2.1/", HTTP: &http.Client{Transport: pubFunc(func(r *http.Request) (*http.Response, error) {
			asked++
			if answer != nil {
				return nil, answer
			}
			return &http.Response{StatusCode: status, Body: http.NoBody}, nil
		})}}
		fetch := func(names int) (int, time.Duration) {
			before, start := asked, time.Now()
			for range names {
				_, err := c.Fetch(t.Context(), "example.net", Fingerprint{})
				require.Error(t, err)
			}
			return asked - before, time.Since(start)
		}
		tries, took := fetch(1000)
		assert.Equal(t, 4, tries)
		assert.Less(t, took, 10*time.Second)
		_, err := c.Fetch(t.Context(), "example.net", Fingerprint{})
		assert.EqualError(t, err, "not asked, since a moment ago: https://192.0.2.1/example.net: no route to host")

		time.Sleep(downFor)
		answer = nil
		tries, took = fetch(1000)
		assert.Equal(t, 1000, tries, "each once")
		assert.Zero(t, took)

		status = http.StatusNotFound
		fetch(1)
		status = http.StatusServiceUnavailable
		tries, _ = fetch(1)
		assert.Equal(t, 4, tries, "it had been well again")
	})
}

// pubFunc is a transport.
type pubFunc func(*http.Request) (*http.Response, error)

func (f pubFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestClientEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := &Client{URL: "https://ingress.example.net", HTTP: pubHandler(func(w http.ResponseWriter, _ *http.Request) {
			time.AfterFunc(500*time.Millisecond, func() { cancel(reason) })
			w.WriteHeader(503)
		})}
		begin := time.Now()
		_, err := c.Fetch(ctx, "senate.example.net", Fingerprint{})
		assert.ErrorIs(t, err, reason)
		assert.ErrorContains(t, err, "503 Service Unavailable")
		assert.Equal(t, 500*time.Millisecond, time.Since(begin), "while it waited")
	})
}

func TestClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		hangs := pubHandler(func(_ http.ResponseWriter, r *http.Request) {
			asked++
			<-r.Context().Done()
		})
		for timeout, total := range map[time.Duration]float64{0: 61, 5 * time.Second: 11} {
			asked = 0
			c := &Client{URL: "https://ingress.example.net", Retries: 1, Timeout: timeout, HTTP: hangs}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := c.Fetch(ctx, "senate.example.net", Fingerprint{})
			cancel()
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 1, asked, "for the caller has no more time, which is not the server's fault:")
			begin := time.Now()
			_, err = c.Fetch(t.Context(), "senate.example.net", Fingerprint{})
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 3, asked)
			assert.InDelta(t, total, time.Since(begin).Seconds(), 0.1)
		}
	})
}

// Nothing may be sent before the URL is known to be safe for a key.
func TestClientPlainOnlyWhereAllowed(t *testing.T) {
	tunnel := []netip.Prefix{netip.MustParsePrefix("172.16.1.0/24"), netip.MustParsePrefix("fd77::/64"), netip.MustParsePrefix("fe80::/10")}
	for _, tt := range []struct {
		url    string
		plain  []netip.Prefix
		reason string // empty: it is asked
	}{
		{"https://ingress.example.net/certs/", nil, ""},
		{"https://192.0.2.1", nil, ""},
		{"http://172.16.1.1/certs/", tunnel, ""},
		{"http://172.16.1.1:8080", tunnel, ""},
		{"HTTP://172.16.1.1", tunnel, ""},
		{"http://[fd77::1]/certs/", tunnel, ""},
		{"http://[::ffff:172.16.1.1]/certs/", tunnel, ""},
		{"http://[fe80::1%25wg0]/certs/", tunnel, ""},
		{"http://172.16.1.1/", nil, "without TLS"},
		{"http://172.16.2.1/", tunnel, "without TLS"},
		{"http://[fd77:0:0:1::1]/", tunnel, "without TLS"},
		{"http://ingress.example.net/", tunnel, "without TLS"},
		{"http://172.16.1.1.example.net/", tunnel, "without TLS"},
		{"http://172.16.1.1@192.0.2.1/", tunnel, "without TLS"},
		{"http://2886729985/", tunnel, "without TLS"}, // 172.16.1.1 to some resolvers
		{"http://localhost/", pubLoopback, "without TLS"},
		{"ftp://172.16.1.1/", tunnel, "neither https nor http"},
		{"file:///etc/", tunnel, "no host"},
		{"172.16.1.1/certs", tunnel, "no host"},
		{"", tunnel, "no host"},
		{"https:opaque", tunnel, "no host"},
		{"https://ingress.example.net/?dir=", nil, "a query or a fragment"},
		{"https://ingress.example.net/?token=hunter2", nil, "a query or a fragment"},
		{"https://ingress.example.net/?", nil, "a query or a fragment"},
		{"user:hunter2@ingress.example.net/certs/", nil, "no host"}, // user is the scheme
		{"https://ingress.example.net/#", nil, ""},                  // parsed away
		{"https://ingress.example.net/#x", nil, "a query or a fragment"},
		{"https://user:hunter2/@ingress.example.net/", nil, "cannot be read"},
		{"http://user:hunter2@ingress.example.net/", nil, "without TLS"},
	} {
		t.Run(tt.url, func(t *testing.T) {
			asked := 0
			c := &Client{URL: tt.url, Plain: tt.plain, HTTP: pubHandler(func(w http.ResponseWriter, r *http.Request) {
				asked++
				http.NotFound(w, r)
			})}
			_, err := c.Fetch(t.Context(), "senate.example.net", Fingerprint{})
			if tt.reason == "" {
				assert.ErrorIs(t, err, ErrNotFound)
				assert.Equal(t, 1, asked)
				return
			}
			assert.ErrorAs(t, err, new(*ValueError))
			assert.ErrorContains(t, err, tt.reason)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Zero(t, asked)
		})
	}
	c := &Client{URL: "https://ingress.example.net", HTTP: pubHandler(func(http.ResponseWriter, *http.Request) { t.Error("asked") })}
	for _, name := range []string{"", "..", "a/b", "../x", ".hidden", "a?b", "a%2fb", "a\x00"} {
		_, err := c.Fetch(t.Context(), name, Fingerprint{})
		assert.ErrorAs(t, err, new(*ValueError), name)
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	defer elsewhere.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(elsewhere.URL+"/senate.example.net", http.StatusTemporaryRedirect))
	defer server.Close()
	own := server.Client()
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
	_, err := (&Client{URL: server.URL, HTTP: own}).Fetch(t.Context(), b.Name, Fingerprint{})
	assert.ErrorContains(t, err, "unexpected status 307 Temporary Redirect")
}

// A proxy would see the keys that leave the machine without TLS.
func TestClientTunnelWithoutProxy(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	server := httptest.NewServer(Handler(newPubSource(b), pubEverybody))
	defer server.Close()
	asked := 0
	proxied := &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		asked++
		return nil, errors.New("asked for a proxy")
	}}
	c := &Client{URL: server.URL, Plain: pubLoopback, HTTP: &http.Client{Transport: proxied}}
	_, err := c.Fetch(t.Context(), b.Name, Fingerprint{})
	require.NoError(t, err)
	assert.Zero(t, asked)
	c = &Client{URL: "https://127.0.0.1:1", HTTP: &http.Client{Transport: proxied}, Retries: -1}
	_, err = c.Fetch(t.Context(), b.Name, Fingerprint{})
	assert.ErrorContains(t, err, "asked for a proxy")

	// Its own transport, and not the default one, which has the proxy of the environment.
	own, ok := (&Client{HTTP: &http.Client{}}).client().Transport.(*http.Transport)
	require.True(t, ok)
	proxy, err := own.Proxy(httptest.NewRequest("GET", "http://172.16.1.1/", nil))
	assert.NoError(t, err)
	assert.Nil(t, proxy)
	assert.NotSame(t, http.DefaultTransport, own)
}

func TestClientWrongCAIsNotTriedAgain(t *testing.T) {
	server := httptest.NewUnstartedServer(Handler(newPubSource(), pubEverybody))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	var connections atomic.Int32
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	_, err := (&Client{URL: server.URL}).Fetch(t.Context(), "senate.example.net", Fingerprint{})
	assert.ErrorContains(t, err, "unknown authority")
	assert.EqualValues(t, 1, connections.Load())
}

// pubMany is a server with n names, and counts its connections.
func pubMany(t testing.TB, n int) (server *httptest.Server, prints map[string]Fingerprint, connections *atomic.Int32) {
	t.Helper()
	one := pubIssue(t, pubCA(t, nil), "senate.example.net")
	src := newPubSource()
	for i := range n {
		b := *one
		b.Name = fmt.Sprintf("n%d.example.net", i)
		src.put(&b)
	}
	connections = new(atomic.Int32)
	server = httptest.NewUnstartedServer(Handler(src, AllowFrom(pubLoopback...)))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server, src.prints, connections
}

// In a bubble no time passes while somebody waits for the network. Package http gives up a
// connection that is answered, if it does not hear within 50 ms that the request was written.
func TestClientKeepsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, prints, connections := pubMany(t, 1000)
		c := &Client{URL: server.URL, Plain: pubLoopback, Retries: -1}
		for name, have := range prints {
			_, err := c.Fetch(t.Context(), name, have)
			require.Equal(t, ErrNotModified, err)
		}
		for name := range prints {
			_, err := c.Fetch(t.Context(), name, Fingerprint{})
			require.NoError(t, err)
			_, err = c.Fetch(t.Context(), "missing-"+name, Fingerprint{})
			require.ErrorIs(t, err, ErrNotFound)
		}
		assert.EqualValues(t, 1, connections.Load())
	})
}

// BenchmarkClientUnchanged compares 1,000 names with nothing to do to 1,000 bare
// conditional requests of package http, each through one connection, in turns:
//
//	go test -run '^$' -bench ClientUnchanged ./certsync
func BenchmarkClientUnchanged(b *testing.B) {
	server, prints, connections := pubMany(b, 1000)
	c := &Client{URL: server.URL, Plain: pubLoopback}
	var bare, own time.Duration
	for b.Loop() {
		begin := time.Now()
		for name, have := range prints {
			r, err := http.NewRequestWithContext(b.Context(), "GET", server.URL+"/"+name, nil)
			require.NoError(b, err)
			r.Header.Set("If-None-Match", entityTag(have))
			resp, err := server.Client().Do(r)
			require.NoError(b, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusNotModified {
				b.Fatal(resp.Status)
			}
		}
		bare += time.Since(begin)
		begin = time.Now()
		for name, have := range prints {
			if _, err := c.Fetch(b.Context(), name, have); err != ErrNotModified {
				b.Fatal(err)
			}
		}
		own += time.Since(begin)
	}
	b.ReportMetric(own.Seconds()/bare.Seconds(), "ratio")
	b.ReportMetric(float64(connections.Load()), "connections")
}

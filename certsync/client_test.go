package certsync

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var pubLoopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// pubPages is a web server with these answers, the last of which stays.
type pubPages map[string][]string

func (p pubPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list := p[r.URL.Path]
	if len(list) == 0 {
		http.NotFound(w, r)
		return
	}
	io.WriteString(w, list[0])
	if len(list) > 1 {
		p[r.URL.Path] = list[1:]
	}
}

// pubTransport answers with a handler, without a network and without real time.
type pubTransport struct{ http.Handler }

func (t pubTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	arrived := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.RequestURI(), nil)
	arrived.Header = r.Header
	w := httptest.NewRecorder()
	t.ServeHTTP(w, arrived)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func pubOf(h http.Handler) *http.Client { return &http.Client{Transport: pubTransport{h}} }

func pubHandler(f func(http.ResponseWriter, *http.Request)) *http.Client {
	return pubOf(http.HandlerFunc(f))
}

func TestClientFetchesFromAHandler(t *testing.T) {
	ca := pubCA(t, nil)
	own, err := pubIssue(t, ca, "localhost", "127.0.0.1").TLS()
	require.NoError(t, err)
	for _, name := range []string{"senate.example.net", "*.example.net"} {
		b := pubIssue(t, ca, name)
		src := newPubSource(b)
		h := http.StripPrefix("/certs", Handler(src, AllowFrom(pubLoopback...)))
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "HTTP/2.0", r.Proto)
			assert.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
			h.ServeHTTP(w, r)
		}))
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
		server.StartTLS()
		defer server.Close()
		for _, path := range []string{"/certs", "/certs/"} {
			c := &Client{URL: server.URL + path, HTTP: pubHTTP(t, ca)}
			got, err := c.Fetch(t.Context(), name, Fingerprint{})
			require.NoError(t, err)
			assert.Equal(t, b.Combined(), got.Combined())
			assert.Equal(t, name, got.Name)
			assert.Equal(t, server.URL+"/certs/"+name, got.From)

			_, err = c.Fetch(t.Context(), name, b.Fingerprint())
			assert.Equal(t, ErrNotModified, err)
			_, err = c.Fetch(t.Context(), "missing.example.net", Fingerprint{})
			assert.ErrorIs(t, err, ErrNotFound)
			assert.EqualError(t, err, server.URL+"/certs/missing.example.net: not found")
			assert.Equal(t, []string{name, name + " " + b.Fingerprint().String(), "missing.example.net"}, src.wasAsked(), "each once")
		}
	}
}

// The faults of scripts that fetch with curl and install what comes, and some of servers.
func TestClientRefusesWhatIsNotTheBundle(t *testing.T) {
	ca := pubCA(t, nil)
	b, renewed := pubIssue(t, ca, "senate.example.net"), pubIssue(t, ca, "senate.example.net")
	text, next := string(b.Combined()), string(renewed.Combined())
	mismatched := &Bundle{Name: b.Name, Chain: renewed.Chain, Key: b.Key}
	write := func(s string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
	}
	status := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			io.WriteString(w, text)
		}
	}
	for _, tt := range []struct {
		name    string
		answer  func(http.ResponseWriter, *http.Request)
		have    Fingerprint
		want    string
		retried bool
	}{
		{"a 404 page with status 200", write("<!DOCTYPE html><h1>Not Found</h1>"), Fingerprint{}, "it does not begin with a digest: it is a page of HTML", true},
		{"an empty body", write(""), Fingerprint{}, "it does not begin with a digest: it is empty", true},
		{"no digest", write(text[strings.Index(text, "\n")+1:]), Fingerprint{}, "it does not begin with a digest", true},
		{"a truncated body", write(text[:len(text)-100]), Fingerprint{}, "it is cut off, or was changed", true},
		{"truncated between certificates", write(text[:strings.LastIndex(text, "-----BEGIN")]), Fingerprint{}, "it is cut off, or was changed", true},
		{"half a renewal", write(text[:len(text)/2] + next[len(text)/2:]), Fingerprint{}, "it is cut off, or was changed", true},
		{"the digest of another", write(next[:strings.Index(next, "\n")] + text[strings.Index(text, "\n"):]), Fingerprint{}, "it is cut off, or was changed", true},
		{"a mismatched pair", write(string(mismatched.Combined())), Fingerprint{}, "the private key belongs to another certificate", true},
		{"more than the limit", write(text + strings.Repeat("\n", 8<<10-len(text)+1)), Fingerprint{}, "the answer is larger than 8192 bytes", false},
		{"304 without a condition", status(304), Fingerprint{}, "unexpected status 304 Not Modified", false},
		{"302", status(302), Fingerprint{}, "unexpected status 302 Found", false},
		{"206", status(206), Fingerprint{}, "unexpected status 206 Partial Content", false},
		{"401", status(401), Fingerprint{}, "unexpected status 401 Unauthorized", false},
		{"403", status(403), Fingerprint{}, "does not allow this machine to have it (403 Forbidden)", false},
		{"404", status(404), Fingerprint{}, "not found", false},
		{"429", status(429), Fingerprint{}, "429 Too Many Requests", true},
		{"500", status(500), b.Fingerprint(), "500 Internal Server Error", true},
		{"503", status(503), b.Fingerprint(), "503 Service Unavailable", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				var log bytes.Buffer
				c := &Client{URL: "https://user:hunter2@ingress.example.net/certs/", MaxSize: 8 << 10, Log: slog.New(slog.NewTextHandler(&log, nil)),
					HTTP: pubHandler(func(w http.ResponseWriter, r *http.Request) { asked++; tt.answer(w, r) })}
				got, err := c.Fetch(t.Context(), "senate.example.net", tt.have)
				assert.Nil(t, got)
				require.ErrorContains(t, err, tt.want)
				assert.ErrorContains(t, err, "https://ingress.example.net/certs/senate.example.net:")
				assert.Equal(t, map[bool]int{false: 1, true: 1 + defaultRetries}[tt.retried], asked)
				for _, said := range []string{err.Error(), log.String()} {
					assert.NotContains(t, said, "hunter2")
					assert.NotContains(t, said, "PRIVATE")
					assert.NotContains(t, said, pubSecret(b))
				}
			})
		})
	}
}

func TestClientTakesAnAnswerOfExactlyTheLimit(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	h := pubOf(Handler(newPubSource(b), pubEverybody))
	size := int64(len(b.Combined()))
	for _, limit := range []int64{size, math.MaxInt64} {
		_, err := (&Client{URL: "https://ingress.example.net", HTTP: h, MaxSize: limit, Retries: -1}).Fetch(t.Context(), b.Name, Fingerprint{})
		assert.NoError(t, err)
	}
	_, err := (&Client{URL: "https://ingress.example.net", HTTP: h, MaxSize: size - 1}).Fetch(t.Context(), b.Name, Fingerprint{})
	assert.ErrorContains(t, err, fmt.Sprintf("the answer is larger than %d bytes", size-1))
}

// A server that promises more than it sends, on a real connection.
func TestClientContentLength(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	var short atomic.Bool
	short.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := b.Combined()
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		if short.Swap(false) {
			text = text[:len(text)-1]
		}
		w.Write(text)
	}))
	defer server.Close()
	c := &Client{URL: server.URL, Plain: pubLoopback, Retries: -1}
	_, err := c.Fetch(t.Context(), b.Name, Fingerprint{})
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	got, err := c.Fetch(t.Context(), b.Name, Fingerprint{})
	require.NoError(t, err)
	assert.Equal(t, b.Fingerprint(), got.Fingerprint())
}

// What a server writes beside its status goes to no log and no terminal.
func TestClientQuotesNoStatusLine(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(conn))
			fmt.Fprintf(conn, "HTTP/1.1 500 \x1b[2J\r%s\r\nContent-Length: 0\r\n\r\n", strings.Repeat("x", 10000))
			conn.Close()
		}
	}()
	c := &Client{URL: "http://" + listener.Addr().String(), Plain: pubLoopback, Retries: -1}
	_, err = c.Fetch(t.Context(), "senate.example.net", Fingerprint{})
	assert.EqualError(t, err, c.URL+"/senate.example.net: 500 Internal Server Error")
}

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

func TestClientReadsPlainFiles(t *testing.T) {
	ca := pubCA(t, nil)
	b, next := pubIssue(t, ca, "*.example.net"), pubIssue(t, ca, "*.example.net")
	text := string(b.Combined())
	digest := b.Fingerprint().String()
	key := string(b.Key.Reveal())
	byHand := "made by hand\r\n" + string(b.Chain) + key
	for _, tt := range []struct {
		name   string
		layout Layout
		pages  pubPages
		have   Fingerprint
		want   string // in the error; empty: b
	}{
		{"combined", Combined, pubPages{"/_.example.net.sha256": {digest + "  _.example.net.pem\n"}, "/_.example.net.pem": {text}}, Fingerprint{}, ""},
		{"a bare digest", Combined, pubPages{"/_.example.net.sha256": {digest}, "/_.example.net.pem": {text}}, Fingerprint{}, ""},
		{"binary, as sha256sum -b", Combined, pubPages{"/_.example.net.sha256": {digest + " *_.example.net.pem\n"}, "/_.example.net.pem": {text}}, Fingerprint{}, ""},
		{"unchanged: one request", Combined, pubPages{"/_.example.net.sha256": {digest + "  x"}}, b.Fingerprint(), "not modified"},
		{"a file made by hand", Combined, pubPages{"/_.example.net.sha256": {fmt.Sprintf("%x", sha256.Sum256([]byte(byHand)))}, "/_.example.net.pem": {byHand}}, Fingerprint{}, ""},
		{"the same, unchanged", Combined, pubPages{"/_.example.net.sha256": {fmt.Sprintf("%x", sha256.Sum256([]byte(byHand)))}, "/_.example.net.pem": {byHand}}, b.Fingerprint(), "not modified"},
		{"publisher renews between two GETs", Combined, pubPages{"/_.example.net.sha256": {next.Fingerprint().String(), digest}, "/_.example.net.pem": {text}}, Fingerprint{}, ""},
		{"which never go together", Combined, pubPages{"/_.example.net.sha256": {next.Fingerprint().String()}, "/_.example.net.pem": {text}}, Fingerprint{}, "its digest is not the one that lies beside it"},
		{"a page for a digest", Combined, pubPages{"/_.example.net.sha256": {"<html>"}, "/_.example.net.pem": {text}}, Fingerprint{}, "it holds no SHA-256 digest: it is a page of HTML"},
		{"an empty digest", Combined, pubPages{"/_.example.net.sha256": {"\n"}, "/_.example.net.pem": {text}}, Fingerprint{}, "it holds no SHA-256 digest: it is empty"},
		{"no digest", Combined, pubPages{"/_.example.net.pem": {text}}, Fingerprint{}, "_.example.net.sha256: not found"},
		{"no bundle", Combined, pubPages{"/_.example.net.sha256": {digest}}, Fingerprint{}, "_.example.net.pem: not found"},
		{"a 404 page with status 200", Combined, pubPages{"/_.example.net.sha256": {digest}, "/_.example.net.pem": {"<html>"}}, Fingerprint{}, "it is a page of HTML"},

		{"pair", Pair, pubPages{"/_.example.net.crt": {string(b.Chain)}, "/_.example.net.key": {key}}, Fingerprint{}, ""},
		{"pair unchanged", Pair, pubPages{"/_.example.net.crt": {string(b.Chain)}, "/_.example.net.key": {key}}, b.Fingerprint(), "not modified"},
		{"pair caught half-way", Pair, pubPages{"/_.example.net.crt": {string(next.Chain), string(b.Chain)}, "/_.example.net.key": {key}}, Fingerprint{}, ""},
		{"pair caught while it is written", Pair, pubPages{"/_.example.net.crt": {"", string(b.Chain[:100]), string(b.Chain)}, "/_.example.net.key": {key[:20], key}}, Fingerprint{}, ""},
		{"mismatched pair", Pair, pubPages{"/_.example.net.crt": {string(next.Chain)}, "/_.example.net.key": {key}}, Fingerprint{}, "the private key belongs to another certificate"},
		{"no key", Pair, pubPages{"/_.example.net.crt": {string(b.Chain)}}, Fingerprint{}, "_.example.net.key: not found"},
		{"a page for a chain", Pair, pubPages{"/_.example.net.crt": {"<html>"}, "/_.example.net.key": {key}}, Fingerprint{}, "_.example.net.crt:1:1: it holds no PEM block: it is a page of HTML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{URL: "https://ingress.example.net", Layout: tt.layout, HTTP: pubOf(tt.pages)}
				got, err := c.Fetch(t.Context(), "*.example.net", tt.have)
				if tt.want != "" {
					assert.ErrorContains(t, err, tt.want)
					assert.Nil(t, got)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, b.Fingerprint(), got.Fingerprint())
			})
		})
	}
}

// FuzzClient tries that no answer of a server makes a bundle of what does not belong
// together.
func FuzzClient(f *testing.F) {
	b := pubIssue(f, pubCA(f, nil), "senate.example.net")
	text, digest := b.Combined(), b.Fingerprint().String()
	f.Add(0, 200, "", text, []byte(nil))
	f.Add(0, 304, "1", []byte(nil), []byte(nil))
	f.Add(0, 503, "Fri, 31 Dec 1999 23:59:59 GMT", []byte("<html>"), []byte(nil))
	f.Add(1, 200, "", []byte(digest+"  x\n"), text)
	f.Add(1, 200, "", []byte(digest), b.body())
	f.Add(2, 200, "", b.Chain, b.Key.Reveal())
	f.Add(2, 200, "", b.Key.Reveal(), text[:len(text)/2])
	f.Fuzz(func(t *testing.T, layout, status int, retryAfter string, first, second []byte) {
		if status < 200 || status > 999 {
			return // package http does not let it through
		}
		answers := [][]byte{first, second}
		c := &Client{URL: "https://ingress.example.net", Layout: Layout(layout), Retries: -1, HTTP: pubHandler(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(status)
			if len(answers) > 0 {
				w.Write(answers[0])
				answers = answers[1:]
			}
		})}
		got, err := c.Fetch(t.Context(), b.Name, Fingerprint{})
		if err != nil {
			assert.Nil(t, got)
			assert.NotContains(t, err.Error(), pubSecret(b))
			return
		}
		assert.Equal(t, 200, status)
		_, err = got.TLS()
		assert.NoError(t, err)
		switch c.Layout {
		case Combined:
			assert.True(t, bytes.Contains(first, []byte(got.Fingerprint().String())) || bytes.Contains(first, fmt.Appendf(nil, "%x", sha256.Sum256(second))))
		case Pair:
		default:
			want, rest, _ := cutDigest(first)
			assert.Equal(t, want, Fingerprint(sha256.Sum256(rest)))
		}
	})
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

func TestClientKeepsOneConnection(t *testing.T) {
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

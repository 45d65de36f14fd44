package certsync

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
	f.Add(1, 200, "", []byte(strings.ToUpper(digest)), b.body())
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
			said := bytes.ToLower(first) // hexadecimal digits are of either case
			assert.True(t, bytes.Contains(said, []byte(got.Fingerprint().String())) || bytes.Contains(said, fmt.Appendf(nil, "%x", sha256.Sum256(second))))
		case Pair:
		default:
			want, rest, _ := cutDigest(first)
			assert.Equal(t, want, Fingerprint(sha256.Sum256(rest)))
		}
	})
}

package certsync

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A pubSource is a Source in memory.
type pubSource struct {
	mu      sync.Mutex
	bundles map[string]*Bundle
	prints  map[string]Fingerprint
	err     error    // instead of any bundle
	asked   []string // the names, with the fingerprint that the caller has
}

func newPubSource(bundles ...*Bundle) *pubSource {
	s := &pubSource{bundles: map[string]*Bundle{}, prints: map[string]Fingerprint{}}
	for _, b := range bundles {
		s.put(b)
	}
	return s
}

func (s *pubSource) put(b *Bundle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bundles[b.Name], s.prints[b.Name] = b, b.Fingerprint()
}

func (s *pubSource) Fetch(_ context.Context, name string, have Fingerprint) (*Bundle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, strings.TrimSpace(name+" "+have.String()))
	switch {
	case s.err != nil:
		return nil, s.err
	case s.bundles[name] == nil:
		return nil, ErrNotFound
	case s.prints[name] == have:
		return nil, ErrNotModified
	}
	return s.bundles[name], nil
}

func (s *pubSource) wasAsked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func pubCA(t testing.TB, opt *LocalCAOptions) *LocalCA {
	t.Helper()
	ca, err := NewLocalCA(opt)
	require.NoError(t, err)
	return ca
}

func pubIssue(t testing.TB, ca *LocalCA, name string, domains ...string) *Bundle {
	t.Helper()
	b, err := ca.Issue(t.Context(), Request{Name: name, Domains: domains})
	require.NoError(t, err)
	return b
}

func pubEverybody(*http.Request, string) bool { return true }

// pubAnswer is what a handler answers to a request with these header lines, "Name: value".
func pubAnswer(t testing.TB, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func pubBody(t testing.TB, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(data)
}

func TestHandlerServesABundle(t *testing.T) {
	ca := pubCA(t, nil)
	for _, name := range []string{"senate.example.net", "*.example.net", "a_b-c"} {
		b := pubIssue(t, ca, name, "senate.example.net")
		h := Handler(newPubSource(b), pubEverybody)
		got := pubAnswer(t, h, "GET", "/"+name)
		assert.Equal(t, http.StatusOK, got.StatusCode)
		assert.Equal(t, string(b.Combined()), pubBody(t, got))
		assert.Equal(t, http.Header{
			"Cache-Control":          {"no-store"},
			"Content-Length":         {strconv.Itoa(len(b.Combined()))},
			"Content-Type":           {"application/x-pem-file"},
			"Etag":                   {`"` + b.Fingerprint().String() + `"`},
			"X-Content-Type-Options": {"nosniff"},
		}, got.Header)
	}
}

// Raw requests, since a client of package http would not send most of them.
func TestHandlerTakesOnlyPlainNames(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	src := newPubSource(b)
	server := httptest.NewServer(Handler(src, pubEverybody))
	defer server.Close()
	for _, tt := range []struct {
		line   string
		status int
	}{
		{"GET /senate.example.net", 200},
		{"HEAD /senate.example.net", 200},
		{"GET /other.example.net", 404},
		{"GET /SENATE.example.net", 404},
		{"GET /", 404},
		{"GET //", 404},
		{"GET //senate.example.net", 404},
		{"GET /senate.example.net/", 404},
		{"GET /./senate.example.net", 404},
		{"GET /x/../senate.example.net", 404},
		{"GET /../senate.example.net", 404},
		{"GET /%2e%2e/senate.example.net", 404},
		{"GET /..", 404},
		{"GET /.certsync", 404},
		{"GET /senate%2eexample.net", 404},
		{"GET /%73enate.example.net", 404},
		{"GET /%2fsenate.example.net", 404},
		{"GET /senate.example.net%00", 404},
		{"GET /senate.example.net%0a", 404},
		{`GET /..\senate.example.net`, 404},
		{`GET /senate.example.net\`, 404},
		{"GET /senate.example.net?", 404},
		{"GET /senate.example.net?x=1", 404},
		{"GET /senate.example.net;x", 404},
		{"GET /senate.example.net#x", 404},
		{"GET /%2a.example.net", 404},
		{"GET http://senate.example.net/senate.example.net", 404},
		{"GET https://user@x/senate.example.net", 404},
		{"OPTIONS *", 200}, // package http answers by itself
		{"GET *", 404},
		{"GET senate.example.net", 400},
		{"CONNECT senate.example.net", 404},
		{"POST /senate.example.net", 405},
		{"PUT /senate.example.net", 405},
		{"DELETE /senate.example.net", 405},
		{"OPTIONS /senate.example.net", 405},
		{"PROPFIND /senate.example.net", 405},
		{"get /senate.example.net", 405},
		{"POST /../senate.example.net", 404},
		{"GET /" + strings.Repeat("a", 201), 404},
	} {
		t.Run(tt.line, func(t *testing.T) {
			src.wasAsked()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, tt.line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			require.NoError(t, err)
			method, _, _ := strings.Cut(tt.line, " ")
			got, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
			require.NoError(t, err)
			assert.Equal(t, tt.status, got.StatusCode)
			if body := pubBody(t, got); method == "GET" && tt.status == 200 {
				assert.Equal(t, string(b.Combined()), body)
			} else {
				assert.NotContains(t, body, "PRIVATE")
			}
			if tt.status == 405 {
				assert.Equal(t, "GET, HEAD", got.Header.Get("Allow"))
			}
			if plain := tt.status == 200 && method != "OPTIONS" || strings.HasSuffix(tt.line, " /other.example.net") || strings.Contains(tt.line, "SENATE"); !plain {
				assert.Empty(t, src.wasAsked())
			}
		})
	}
}

func TestHandlerLogsAreShort(t *testing.T) {
	long := strings.Repeat("X", 1<<16)
	for _, request := range [][2]string{{"GET", "/" + long}, {long, "/senate.example.net"}} {
		var log bytes.Buffer
		pubAnswer(t, &Publisher{Source: newPubSource(), Log: slog.New(slog.NewTextHandler(&log, nil))}, request[0], request[1])
		assert.Contains(t, log.String(), "refused")
		assert.Less(t, log.Len(), 1000)
	}
}

func TestHandlerHead(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	server := httptest.NewServer(Handler(newPubSource(b), pubEverybody))
	defer server.Close()
	got, err := http.Head(server.URL + "/senate.example.net")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, got.StatusCode)
	assert.EqualValues(t, len(b.Combined()), got.ContentLength)
	assert.Equal(t, entityTag(b.Fingerprint()), got.Header.Get("ETag"))
	assert.Empty(t, pubBody(t, got))
}

func TestHandlerConditional(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	hex := b.Fingerprint().String()
	tag := entityTag(b.Fingerprint())
	other := entityTag(Fingerprint{1})
	for _, tt := range []struct {
		name   string
		header []string
		status int
		asked  string // with which fingerprint
	}{
		{"nothing", nil, 200, ""},
		{"the same", []string{tag}, 304, hex},
		{"the same, weak: the comparison is", []string{"W/" + tag}, 304, hex},
		{"another", []string{other}, 200, strings.Trim(other, `"`)},
		{"a list with it", []string{other + ", " + tag}, 304, ""},
		{"a list with it, weak, without blanks", []string{other + ",W/" + tag + ",,"}, 304, ""},
		{"a list in two lines", []string{other, tag}, 304, ""},
		{"a list without it", []string{other + `, "x"`}, 200, ""},
		{"whatever there is", []string{"*"}, 304, ""},
		{"a tag of nginx", []string{`"5f0c-1a2b"`}, 200, ""},
		{"no quotes", []string{hex}, 200, ""},
		{"capitals", []string{strings.ToUpper(tag)}, 200, ""},
		{"half of it", []string{tag[:33] + `"`}, 200, ""},
		{"a small w", []string{"w/" + tag}, 200, ""},
		{"empty", []string{""}, 200, ""},
		{"an empty tag", []string{`""`}, 200, ""},
		{"within another tag", []string{`"x,` + hex + `,y"`}, 200, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				src := newPubSource(b)
				var header []string
				for _, value := range tt.header {
					header = append(header, "If-None-Match: "+value)
				}
				got := pubAnswer(t, Handler(src, pubEverybody), method, "/senate.example.net", header...)
				assert.Equal(t, tt.status, got.StatusCode)
				assert.Equal(t, tag, got.Header.Get("ETag"))
				assert.Equal(t, "no-store", got.Header.Get("Cache-Control"))
				assert.Equal(t, []string{strings.TrimSpace("senate.example.net " + tt.asked)}, src.wasAsked())
				if tt.status == 304 {
					assert.Empty(t, pubBody(t, got))
				}
			})
		}
	}
	got := pubAnswer(t, Handler(newPubSource(b), pubEverybody), "GET", "/senate.example.net", "Range: bytes=0-9")
	assert.Equal(t, http.StatusOK, got.StatusCode, "no ranges")
	assert.Equal(t, string(b.Combined()), pubBody(t, got))
}

func TestHandlerAsksAllowFirst(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "senate.example.net")
	for name, allow := range map[string]func(*http.Request, string) bool{
		"nil allows no one": nil,
		"no prefixes":       AllowFrom(),
		"another name":      func(_ *http.Request, name string) bool { return name == "curia.example.net" },
	} {
		t.Run(name, func(t *testing.T) {
			src := newPubSource(b)
			there := pubAnswer(t, Handler(src, allow), "GET", "/senate.example.net", "If-None-Match: *")
			missing := pubAnswer(t, Handler(src, allow), "GET", "/missing.example.net", "If-None-Match: *")
			assert.Equal(t, http.StatusForbidden, there.StatusCode)
			assert.Equal(t, missing.StatusCode, there.StatusCode)
			assert.Equal(t, missing.Header, there.Header)
			assert.Equal(t, pubBody(t, missing), pubBody(t, there))
			assert.Empty(t, src.wasAsked())
		})
	}
}

func TestHandlerNeverSendsABrokenPair(t *testing.T) {
	ca := pubCA(t, nil)
	mixed := pubIssue(t, ca, "senate.example.net")
	mixed.Key = pubIssue(t, ca, "senate.example.net").Key
	for name, b := range map[string]*Bundle{
		"another key": mixed,
		"no key":      {Name: mixed.Name, Chain: mixed.Chain},
		"no chain":    {Name: mixed.Name, Key: mixed.Key},
		"half a page": {Name: mixed.Name, Key: mixed.Key, Chain: []byte("<html>")},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := &Publisher{Source: newPubSource(b), Allow: pubEverybody, Log: slog.New(slog.NewTextHandler(&log, nil))}
			got := pubAnswer(t, h, "GET", "/senate.example.net")
			assert.Equal(t, http.StatusInternalServerError, got.StatusCode)
			assert.Equal(t, "Internal Server Error\n", pubBody(t, got))
			assert.Empty(t, got.Header.Get("ETag"))
			assert.Contains(t, log.String(), "not sent: ")
			assert.NotContains(t, log.String(), "PRIVATE")
		})
	}
}

func TestHandlerSourceFails(t *testing.T) {
	for name, err := range map[string]error{
		"an error":                     errors.New("/etc/secret/place: permission denied"),
		"not modified, but from what?": ErrNotModified,
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			src := newPubSource()
			src.err = err
			h := &Publisher{Source: src, Allow: pubEverybody, Log: slog.New(slog.NewTextHandler(&log, nil))}
			got := pubAnswer(t, h, "GET", "/senate.example.net")
			assert.Equal(t, http.StatusInternalServerError, got.StatusCode)
			assert.Equal(t, "Internal Server Error\n", pubBody(t, got))
			assert.Equal(t, "no-store", got.Header.Get("Cache-Control"))
			assert.Contains(t, log.String(), err.Error())
		})
	}
}

func TestHandlerBelowAPath(t *testing.T) {
	b := pubIssue(t, pubCA(t, nil), "*.example.net")
	h := http.StripPrefix("/certs", Handler(newPubSource(b), pubEverybody))
	assert.Equal(t, 200, pubAnswer(t, h, "GET", "/certs/*.example.net").StatusCode)
	assert.Equal(t, 404, pubAnswer(t, h, "GET", "/certs/%2a.example.net").StatusCode)
	assert.Equal(t, 404, pubAnswer(t, h, "GET", "/certs//*.example.net").StatusCode)
	assert.Equal(t, 404, pubAnswer(t, h, "GET", "/certs*.example.net").StatusCode)
}

func TestAllowFrom(t *testing.T) {
	for _, tt := range []struct {
		prefixes, peer string
		want           bool
	}{
		{"172.16.1.0/24", "172.16.1.4:40000", true},
		{"172.16.1.0/24", "172.16.2.4:40000", false},
		{"172.16.1.4/32", "172.16.1.4:1", true},
		{"172.16.1.9/24", "172.16.1.4:1", true}, // bits of a host
		{"172.16.1.0/24", "[::ffff:172.16.1.4]:40000", true},
		{"::ffff:172.16.1.0/120", "172.16.1.4:40000", true},
		{"::ffff:172.16.1.0/120", "[::ffff:172.16.1.4]:40000", true},
		{"::ffff:172.16.1.0/120", "172.16.2.4:40000", false},
		{"::ffff:0.0.0.0/96", "198.51.100.1:1", true},
		{"::ffff:0.0.0.0/95", "198.51.100.1:1", false}, // more than IPv4
		{"::/0", "172.16.1.4:40000", false},            // IPv6 alone
		{"::/0", "[::ffff:172.16.1.4]:40000", false},
		{"0.0.0.0/0", "[2001:db8::1]:1", false},
		{"fd77::/64", "[fd77::2]:40000", true},
		{"fd77::/64", "[fd77:0:0:1::2]:40000", false},
		{"fe80::/10", "[fe80::1%eth0]:40000", true},
		{"10.0.0.0/8,fd77::/64", "[fd77::2]:40000", true},
		{"", "127.0.0.1:1", false},
		{"0.0.0.0/0", "172.16.1.4", false}, // not as package http writes it
		{"0.0.0.0/0", "@", false},          // a Unix socket
		{"0.0.0.0/0", "", false},
	} {
		t.Run(tt.prefixes+" "+tt.peer, func(t *testing.T) {
			var prefixes []netip.Prefix
			for p := range strings.SplitSeq(tt.prefixes, ",") {
				if p != "" {
					a, bits, _ := strings.Cut(p, "/")
					n, err := strconv.Atoi(bits)
					require.NoError(t, err)
					prefixes = append(prefixes, netip.PrefixFrom(netip.MustParseAddr(a), n))
				}
			}
			r := httptest.NewRequest("GET", "/senate.example.net", nil)
			r.RemoteAddr = tt.peer
			assert.Equal(t, tt.want, AllowFrom(prefixes...)(r, "senate.example.net"))
			// What anybody may write into a header changes nothing.
			for _, a := range []string{"172.16.1.4", "127.0.0.1", "fd77::2"} {
				r.Header = http.Header{"X-Forwarded-For": {a}, "Forwarded": {"for=" + a}, "X-Real-Ip": {a}}
				assert.Equal(t, tt.want, AllowFrom(prefixes...)(r, "senate.example.net"))
			}
		})
	}
	list := []netip.Prefix{netip.MustParsePrefix("172.16.1.0/24")}
	allow := AllowFrom(list...)
	list[0] = netip.MustParsePrefix("0.0.0.0/0")
	assert.False(t, allow(&http.Request{RemoteAddr: "198.51.100.1:1"}, "x"), "what was allowed stays")
	assert.False(t, AllowFrom(netip.Prefix{})(&http.Request{RemoteAddr: "127.0.0.1:1"}, "x"), "an invalid prefix")
}

// pubMutualTLS is a server that asks for a certificate of the same authority, and gives
// each client the bundle of the name in it.
func pubMutualTLS(t *testing.T, ca *LocalCA, log *slog.Logger, bundles ...*Bundle) *httptest.Server {
	t.Helper()
	own, err := pubIssue(t, ca, "localhost", "127.0.0.1").TLS()
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(&Publisher{Source: newPubSource(bundles...), Log: log, Allow: func(r *http.Request, name string) bool {
		return r.TLS.VerifiedChains[0][0].VerifyHostname(name) == nil
	}})
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Roots()}
	server.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// pubHTTP is a client that trusts the authority, and shows these bundles.
func pubHTTP(t testing.TB, ca *LocalCA, own ...*Bundle) *http.Client {
	t.Helper()
	config := &tls.Config{RootCAs: ca.Roots()}
	for _, b := range own {
		c, err := b.TLS()
		require.NoError(t, err)
		config.Certificates = append(config.Certificates, c)
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestWhoMayFetchWhat(t *testing.T) {
	ca, stranger := pubCA(t, nil), pubCA(t, nil)
	senate, curia := pubIssue(t, ca, "senate.example.net"), pubIssue(t, ca, "curia.example.net")
	var log pubLog
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mutual := pubMutualTLS(t, ca, logger, senate, curia)
	// Two servers that look at addresses, behind each of which the same two bundles lie.
	byAddress := func(prefix string) *httptest.Server {
		server := httptest.NewServer(&Publisher{Source: newPubSource(senate, curia), Log: logger, Allow: AllowFrom(netip.MustParsePrefix(prefix))})
		t.Cleanup(server.Close)
		return server
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, tt := range []struct {
		name   string
		client *Client
		ask    string
		want   string // in the error; empty: allowed
		logged string
	}{
		{"its own name", &Client{URL: mutual.URL, HTTP: pubHTTP(t, ca, senate)}, "senate.example.net", "", "msg=sent"},
		{"another name", &Client{URL: mutual.URL, HTTP: pubHTTP(t, ca, senate)}, "curia.example.net", "403 Forbidden", "path=/curia.example.net status=403"},
		{"a name that is not there", &Client{URL: mutual.URL, HTTP: pubHTTP(t, ca, senate)}, "missing.example.net", "403 Forbidden", "path=/missing.example.net status=403"},
		{"no client certificate", &Client{URL: mutual.URL, HTTP: pubHTTP(t, ca)}, "senate.example.net", "tls: certificate required", "client didn't provide a certificate"},
		{"a certificate of another authority", &Client{URL: mutual.URL, HTTP: pubHTTP(t, ca, pubIssue(t, stranger, "senate.example.net"))}, "senate.example.net", "tls: ", "signed by unknown authority"},
		{"wrong CA", &Client{URL: mutual.URL, HTTP: pubHTTP(t, stranger, senate)}, "senate.example.net", "signed by unknown authority", "bad certificate"},
		{"an address", &Client{URL: byAddress("127.0.0.0/8").URL, Plain: loopback}, "senate.example.net", "", "msg=sent"},
		{"another address", &Client{URL: byAddress("192.0.2.0/24").URL, Plain: loopback}, "senate.example.net", "403 Forbidden", "path=/senate.example.net status=403"},
		{"traversal", &Client{URL: byAddress("127.0.0.0/8").URL, Plain: loopback}, "../senate.example.net", "begins with", ""},
		{"below another path", &Client{URL: byAddress("127.0.0.0/8").URL + "/certs/", Plain: loopback}, "senate.example.net", "not found", "path=/certs/senate.example.net status=404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.client.Retries = -1
			log.cut()
			b, err := tt.client.Fetch(t.Context(), tt.ask, Fingerprint{})
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, senate.Fingerprint(), b.Fingerprint())
			} else {
				require.ErrorContains(t, err, tt.want)
				assert.Nil(t, b)
			}
			logged := log.await(t, tt.logged)
			assert.NotContains(t, logged, "PRIVATE")
			assert.NotContains(t, logged, pubSecret(senate))
			assert.NotContains(t, logged, pubSecret(curia))
		})
	}
}

// pubSecret is a line of the key.
func pubSecret(b *Bundle) string { return strings.Split(string(b.Key.Reveal()), "\n")[1] }

// A pubLog is written to by a server while a test reads it.
type pubLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *pubLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *pubLog) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// await waits for a text in the log: a server writes it after it has answered.
func (l *pubLog) await(t testing.TB, text string) (whole string) {
	t.Helper()
	assert.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		whole = l.text.String()
		return strings.Contains(whole, text)
	}, 10*time.Second, time.Millisecond, text)
	return whole
}

// FuzzHandlerPath tries that no path reaches the source with what is no name, or gets
// anything but the bundle of that name.
func FuzzHandlerPath(f *testing.F) {
	bundles := map[string]*Bundle{}
	ca := pubCA(f, nil)
	for _, name := range []string{"senate.example.net", "*.example.net"} {
		bundles[name] = pubIssue(f, ca, name)
	}
	for _, target := range []string{"/senate.example.net", "/*.example.net", "/%2a.example.net", "//senate.example.net", "/../senate.example.net", "/senate.example.net/", "http://x/senate.example.net", "/senate.example.net?x", "/a%00", `/\`, "*"} {
		f.Add("GET", target, `"x", *`)
		f.Add("HEAD", target, entityTag(bundles["senate.example.net"].Fingerprint()))
		f.Add("POST", target, "")
	}
	f.Fuzz(func(t *testing.T, method, target, tags string) {
		// The request line is read as package http's server does.
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil {
			return
		}
		r.Header.Set("If-None-Match", tags)
		src := newPubSource(bundles["senate.example.net"], bundles["*.example.net"])
		w := httptest.NewRecorder()
		Handler(src, pubEverybody).ServeHTTP(w, r)
		got := w.Result()
		for _, asked := range src.wasAsked() {
			name, _, _ := strings.Cut(asked, " ")
			assert.NoError(t, checkName(name))
			assert.Equal(t, "/"+name, r.RequestURI)
			assert.Contains(t, []string{"GET", "HEAD"}, r.Method)
		}
		assert.Equal(t, "no-store", got.Header.Get("Cache-Control"))
		b := bundles[strings.TrimPrefix(r.RequestURI, "/")]
		switch got.StatusCode {
		case http.StatusOK:
			require.NotNil(t, b)
			assert.Equal(t, string(b.Combined()), w.Body.String())
			assert.Equal(t, entityTag(b.Fingerprint()), got.Header.Get("ETag"))
		case http.StatusNotModified:
			require.NotNil(t, b)
			assert.Equal(t, entityTag(b.Fingerprint()), got.Header.Get("ETag"))
			assert.Empty(t, w.Body.String())
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			assert.NotContains(t, w.Body.String(), "PRIVATE")
		default:
			t.Errorf("status %d", got.StatusCode)
		}
	})
}

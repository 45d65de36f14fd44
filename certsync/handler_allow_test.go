package certsync

import (
	"bufio"
	"crypto/tls"
	"log/slog"
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
	}, 30*time.Second, time.Millisecond, text)
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

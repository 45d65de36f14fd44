package certsync

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

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

// pubSecret is a line of the key.
func pubSecret(b *Bundle) string { return strings.Split(string(b.Key.Reveal()), "\n")[1] }

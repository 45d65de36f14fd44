package acme_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/certsync/acme"
	"github.com/rehost/rehost/internal/lab"
)

func TestProblemsOfTheAuthority(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	t.Run("blocked name", func(t *testing.T) {
		t.Parallel()
		_, err := issuer(t, dnsConfig(t, p)).Issue(t.Context(), certsync.Request{Name: "blocked.example"})
		assert.ErrorContains(t, err, "urn:ietf:params:acme:error:rejectedIdentifier")
		var problem *legoacme.ProblemDetails
		assert.ErrorAs(t, err, &problem)
	})
	t.Run("wrong answer", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, p)
		cfg.HTTP01 = netip.AddrPortFrom(p.HTTP01.Addr(), 8181)
		site := &http.Server{Handler: http.NotFoundHandler()} // of a proxy that does not pass on
		l, err := net.Listen("tcp", p.HTTP01.String())
		require.NoError(t, err)
		go site.Serve(l)
		t.Cleanup(func() { site.Close() })
		_, err = issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
		require.ErrorContains(t, err, "senate.example.net")
		assert.ErrorContains(t, err, "urn:ietf:params:acme:error:unauthorized")
		assert.NotContains(t, err.Error(), "\n")
	})
	for name, after := range map[string]string{"seconds": "7200", "date": time.Now().Add(2 * time.Hour).UTC().Format(http.TimeFormat)} {
		t.Run("rate limit in "+name, func(t *testing.T) {
			t.Parallel()
			cfg := dnsConfig(t, p)
			limited := &rateLimit{base: p.HTTP.Transport, after: after}
			cfg.HTTP = &http.Client{Transport: limited}
			ca, err := certsync.NewLocalCA(nil)
			require.NoError(t, err)
			req := certsync.Request{Name: "senate.example.net"}
			req.Previous, err = ca.Issue(t.Context(), req)
			require.NoError(t, err)
			_, err = issuer(t, cfg).Issue(t.Context(), req)
			assert.Equal(t, 1, limited.orders, "it asks no second time, without the certificate that is replaced")
			assert.ErrorContains(t, err, "urn:ietf:params:acme:error:rateLimited")
			var limit *certsync.RetryError
			require.ErrorAs(t, err, &limit)
			assert.InDelta(t, 2, limit.After.Hours(), 0.5)
		})
	}
}

// A rateLimit refuses every order, as Let's Encrypt does.
type rateLimit struct {
	base   http.RoundTripper
	after  string
	orders int
}

func (r *rateLimit) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.Contains(req.URL.Path, "order") {
		return r.base.RoundTrip(req)
	}
	r.orders++
	return &http.Response{
		StatusCode: http.StatusTooManyRequests, Request: req,
		Header: http.Header{"Retry-After": {r.after}},
		Body:   readCloser{strings.NewReader(`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates"}`)},
	}, nil
}

func TestAuthorityIsDown(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := config(t, p)
	p.Stop()
	_, err := issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
	assert.ErrorContains(t, err, "connection refused")
	assert.ErrorContains(t, err, strings.TrimSuffix(strings.TrimPrefix(p.Directory, "https://"), "/dir"))
}

// This and what else listens again on a port are not parallel: the programs that other tests
// start have a port open that was closed here, until they are loaded.
func TestTwoIssuesWaitForEachOther(t *testing.T) {
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := config(t, p)
	var both sync.WaitGroup
	for _, name := range []string{"senate.example.net", "mail.example.net"} {
		both.Go(func() { issue(t, p, cfg, certsync.Request{Name: name}) })
	}
	both.Wait()
	assert.Contains(t, p.Log(), "There are now 1 accounts in memory")
	assert.NotContains(t, p.Log(), "There are now 2 accounts in memory")
}

func TestAnotherProcessHasTheLock(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	f, err := os.Create(filepath.Join(path, ".lock"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = issuer(t, acme.Config{AcceptTerms: true, Path: path, DNS01: txtProvider{}}).Issue(ctx, certsync.Request{Name: "senate.example.net"})
	assert.ErrorContains(t, err, "another process has it")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, set := range map[string]func(*acme.Config, netip.AddrPort){
		"HTTP-01":     func(c *acme.Config, a netip.AddrPort) { c.HTTP01 = a },
		"TLS-ALPN-01": func(c *acme.Config, a netip.AddrPort) { c.TLSALPN01 = a },
	} {
		cfg := acme.Config{Directory: "https://acme.invalid/dir", AcceptTerms: true, Path: t.TempDir()}
		set(&cfg, netip.MustParseAddrPort(taken.Addr().String()))
		_, err = issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
		assert.ErrorContains(t, err, "address already in use", name)
	}
}

func TestPortIsFreeAfterAnErrorAtOnce(t *testing.T) {
	free, taken := "127.0.0.2:8181", "127.0.0.2:8443" // which nobody else uses here
	other, err := net.Listen("tcp", taken)
	require.NoError(t, err)
	defer other.Close()
	i := issuer(t, acme.Config{AcceptTerms: true, Path: t.TempDir(),
		HTTP01: netip.MustParseAddrPort(free), TLSALPN01: netip.MustParseAddrPort(taken)})
	for range 100 {
		_, err := i.Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
		require.ErrorContains(t, err, taken)
		l, err := net.Listen("tcp", free)
		require.NoError(t, err)
		l.Close()
	}
}

// hang takes connections at an address, says nothing, and tells of the first.
func hang(t testing.TB, addr netip.AddrPort) (l net.Listener, connected <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	first := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		close(first)
		<-t.Context().Done()
	}()
	return l, first
}

func TestCancelledIssueFreesThePort(t *testing.T) {
	p := lab.StartPebble(t, lab.Pebble{})
	proxy, validating := hang(t, p.HTTP01)
	cfg := config(t, p)
	cfg.HTTP01 = netip.AddrPortFrom(p.HTTP01.Addr(), 8181)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	i := issuer(t, cfg)
	go func() {
		_, err := i.Issue(ctx, certsync.Request{Name: "senate.example.net"})
		failed <- err
	}()
	<-validating // lego polls, and sleeps
	response, err := http.Get("http://" + cfg.HTTP01.String() + "/.well-known/acme-challenge/other")
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
	cancel()
	assert.ErrorIs(t, <-failed, context.Canceled)
	l, err := net.Listen("tcp", cfg.HTTP01.String())
	require.NoError(t, err)
	l.Close()
	proxy.Close()
	cfg.HTTP01 = p.HTTP01
	b, _ := issue(t, p, cfg, certsync.Request{Name: "senate.example.net"})

	_, err = i.RenewalInfo(ctx, b)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestCancelledWhileTheAuthorityIsSilent(t *testing.T) {
	t.Parallel()
	authority, asked := hang(t, netip.MustParseAddrPort("127.0.0.1:0"))
	cfg := acme.Config{Directory: "https://" + authority.Addr().String() + "/dir", AcceptTerms: true, Path: t.TempDir(), DNS01: txtProvider{}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := issuer(t, cfg).Issue(ctx, certsync.Request{Name: "senate.example.net"})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestTLSSolverAnswersNobodyElse(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	_, validating := hang(t, p.TLSALPN01)
	cfg := config(t, p)
	cfg.HTTP01, cfg.TLSALPN01 = netip.AddrPort{}, netip.AddrPortFrom(p.TLSALPN01.Addr(), 8443)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := issuer(t, cfg).Issue(ctx, certsync.Request{Name: "senate.example.net"})
		failed <- err
	}()
	<-validating
	for protocol, ok := range map[string]bool{"acme-tls/1": true, "http/1.1": false, "": false} {
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "senate.example.net"}
		if protocol != "" {
			client.NextProtos = []string{protocol}
		}
		conn, err := tls.Dial("tcp", cfg.TLSALPN01.String(), client)
		assert.Equal(t, ok, err == nil, "%q: %v", protocol, err)
		if err == nil {
			conn.Close()
		}
	}
	cancel()
	assert.ErrorIs(t, <-failed, context.Canceled)
}

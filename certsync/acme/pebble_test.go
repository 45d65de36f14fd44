package acme_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/certsync/acme"
	"github.com/rehost/rehost/internal/lab"
)

// config is for a pebble that looks for answers at the solver itself.
func config(t testing.TB, p *lab.PebbleServer) acme.Config {
	t.Helper()
	return acme.Config{
		Directory: p.Directory, AcceptTerms: true, Email: "hostmaster@example.net",
		Path: filepath.Join(t.TempDir(), "lego"), Profile: "default",
		HTTP01: p.HTTP01, HTTP: p.HTTP,
	}
}

// dnsConfig needs no port, so that several can work at once.
func dnsConfig(t testing.TB, p *lab.PebbleServer) acme.Config {
	cfg := config(t, p)
	cfg.HTTP01 = netip.AddrPort{}
	cfg.DNS01 = txtProvider{p}
	// pebble-challtestsrv is no name server of any zone.
	cfg.DNS01Options = []dns01.ChallengeOption{dns01.WrapPreCheck(func(_, _, _ string, _ dns01.PreCheckFunc) (bool, error) { return true, nil })}
	return cfg
}

// A txtProvider sets records in pebble-challtestsrv.
type txtProvider struct{ p *lab.PebbleServer }

func (d txtProvider) Present(domain, _, keyAuth string) error {
	info := dns01.GetChallengeInfo(domain, keyAuth)
	return d.p.Set(d.p.Challenges+"/set-txt", map[string]string{"host": info.FQDN, "value": info.Value})
}

func (d txtProvider) CleanUp(domain, _, keyAuth string) error {
	return d.p.Set(d.p.Challenges+"/clear-txt", map[string]string{"host": dns01.GetChallengeInfo(domain, keyAuth).FQDN})
}

func (txtProvider) Timeout() (timeout, interval time.Duration) { return time.Second, 0 }

func issuer(t testing.TB, cfg acme.Config) *acme.Issuer {
	t.Helper()
	i, err := acme.New(cfg)
	require.NoError(t, err)
	return i
}

// issue gets a certificate that is as it should be.
func issue(t testing.TB, p *lab.PebbleServer, cfg acme.Config, req certsync.Request) (*certsync.Bundle, *x509.Certificate) {
	t.Helper()
	b, err := issuer(t, cfg).Issue(t.Context(), req)
	require.NoError(t, err, "%s", p.Log())
	require.NoError(t, b.Validate(certsync.Policy{Names: req.Domains, Roots: p.Pool()}))
	leaf, err := b.Leaf()
	require.NoError(t, err)
	return b, leaf
}

func TestHTTP01ThroughNginx(t *testing.T) {
	t.Parallel()
	for name, location := range map[string]func(solver netip.AddrPort) string{
		"as rendered": func(solver netip.AddrPort) string {
			out, err := certsync.Nginx(certsync.NginxOptions{Path: "/etc/nginx/snippets/certsync.conf", Solver: solver})
			require.NoError(t, err)
			return string(out.Data)
		},
		// Many do not pass it on. lego's own solver answers "TEST" then.
		"without the Host header": func(solver netip.AddrPort) string {
			return fmt.Sprintf("location /.well-known/acme-challenge/ { proxy_pass http://%s; }", solver)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := lab.StartPebble(t, lab.Pebble{})
			cfg := config(t, p)
			cfg.HTTP01 = netip.AddrPortFrom(p.HTTP01.Addr(), 8181)
			lab.StartNginx(t, fmt.Sprintf("server { listen %s; %s location / { return 404; } }", p.HTTP01, location(cfg.HTTP01)))
			b, _ := issue(t, p, cfg, certsync.Request{Name: "senate.example.net"})
			assert.Equal(t, "senate.example.net", b.Name)
		})
	}
}

func TestSeveralNames(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	domains := []string{"senate.example.net", "mail.example.net"}
	_, leaf := issue(t, p, config(t, p), certsync.Request{Name: "senate", Domains: domains})
	assert.ElementsMatch(t, domains, leaf.DNSNames)
	assert.InDelta(t, 90*24, leaf.NotAfter.Sub(leaf.NotBefore).Hours(), 1)
}

func TestTLSALPN01(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := config(t, p)
	cfg.HTTP01, cfg.TLSALPN01 = netip.AddrPort{}, p.TLSALPN01
	issue(t, p, cfg, certsync.Request{Name: "senate.example.net"})
}

func TestDNS01(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	_, leaf := issue(t, p, dnsConfig(t, p), certsync.Request{Name: "*.senate.example.net"})
	assert.Equal(t, []string{"*.senate.example.net"}, leaf.DNSNames)
}

func TestKeyTypesAndProfiles(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	for _, key := range []certsync.KeyType{certsync.ECDSAP256, certsync.ECDSAP384, certsync.RSA2048, certsync.RSA3072, certsync.RSA4096} {
		t.Run(string(key), func(t *testing.T) {
			t.Parallel()
			cfg := dnsConfig(t, p)
			cfg.KeyType, cfg.Profile = key, "shortlived"
			b, leaf := issue(t, p, cfg, certsync.Request{Name: string(key) + ".example.net"})
			got, err := b.Key.Type()
			require.NoError(t, err)
			assert.Equal(t, key, got)
			assert.InDelta(t, 6*24, leaf.NotAfter.Sub(leaf.NotBefore).Hours(), 1)
		})
	}
	t.Run("unknown profile", func(t *testing.T) {
		t.Parallel()
		cfg := dnsConfig(t, p)
		cfg.Profile = "eternal"
		_, err := issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
		assert.ErrorContains(t, err, "urn:ietf:params:acme:error:invalidProfile")
	})
}

func TestPreferredChain(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{AlternateRoots: 1})
	for name, want := range map[string]struct {
		prefer string
		root   int
	}{
		"none":      {"", 0},
		"alternate": {p.Roots[1].Subject.CommonName, 1},
		"unknown":   {"No Such Root", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := dnsConfig(t, p)
			cfg.PreferredChain = want.prefer
			b, _ := issue(t, p, cfg, certsync.Request{Name: name + ".example.net"})
			chain, err := b.Certificates()
			require.NoError(t, err)
			assert.Equal(t, p.Roots[want.root].Subject.CommonName, chain[len(chain)-1].Issuer.CommonName)
		})
	}
}

func TestExternalAccount(t *testing.T) {
	t.Parallel()
	const secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	p := lab.StartPebble(t, lab.Pebble{ExternalAccounts: map[string]string{"kid-1": secret}})
	var logged lockedLog
	cfg := dnsConfig(t, p)
	cfg.Log = slog.New(slog.NewTextHandler(&logged, nil))
	_, err := issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
	assert.ErrorContains(t, err, "urn:ietf:params:acme:error:externalAccountRequired")

	cfg.KeyID = "kid-1"
	cfg.HMAC, err = acme.ParseHMAC("d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmc")
	require.NoError(t, err)
	_, err = issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
	require.ErrorContains(t, err, "urn:ietf:params:acme:error:")
	assert.NotContains(t, err.Error(), cfg.HMAC.Reveal())

	cfg.HMAC, err = acme.ParseHMAC(secret)
	require.NoError(t, err)
	issue(t, p, cfg, certsync.Request{Name: "senate.example.net"})
	assert.NotContains(t, logged.String(), secret)
}

func TestRenewalOfAReplacedCertificate(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := dnsConfig(t, p)
	cfg.ReuseKey = true
	req := certsync.Request{Name: "senate.example.net"}
	first, leaf := issue(t, p, cfg, req)

	info, err := issuer(t, cfg).RenewalInfo(t.Context(), first)
	require.NoError(t, err)
	assert.True(t, info.Start.After(leaf.NotBefore) && info.End.After(info.Start) && info.End.Before(leaf.NotAfter), "%v", info)
	assert.Equal(t, 6*time.Hour, info.RetryAfter)

	req.Previous = first
	second, _ := issue(t, p, cfg, req)
	assert.Equal(t, first.Key.Reveal(), second.Key.Reveal())
	assert.NotEqual(t, first.Fingerprint(), second.Fingerprint())
	assert.Equal(t, 1, strings.Count(p.Log(), "is a replacement of"))

	// One after the other: pebble-challtestsrv clears the records of a name together.
	t.Run("replaced already", func(t *testing.T) {
		issue(t, p, cfg, req)
	})
	t.Run("another key type", func(t *testing.T) {
		cfg := dnsConfig(t, p)
		cfg.ReuseKey, cfg.KeyType = true, certsync.ECDSAP384
		// The account is another one too, to which the authority does not let replace it.
		b, _ := issue(t, p, cfg, req)
		assert.NotEqual(t, first.Key.Reveal(), b.Key.Reveal())
	})
	t.Run("of another authority", func(t *testing.T) {
		ca, err := certsync.NewLocalCA(nil)
		require.NoError(t, err)
		foreign, err := ca.Issue(t.Context(), req)
		require.NoError(t, err)
		_, err = issuer(t, cfg).RenewalInfo(t.Context(), foreign)
		require.ErrorContains(t, err, "no time to renew")
		issue(t, p, dnsConfig(t, p), certsync.Request{Name: req.Name, Previous: foreign})
	})
}

func TestRenewerRenewsWhenTheAuthorityRevokes(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	r := &certsync.Renewer{
		Issuer:       issuer(t, dnsConfig(t, p)),
		Dir:          &certsync.Dir{Path: t.TempDir()},
		Certificates: []certsync.Certificate{{Name: "senate", Domains: []string{"senate.example.net", "mail.example.net"}}},
		Policy:       certsync.Policy{Roots: p.Pool()},
	}
	renewed := func(want int) {
		t.Helper()
		r.State = filepath.Join(t.TempDir(), "state.json") // so that it asks at once
		events, err := r.Renew(t.Context())
		require.NoError(t, err, "%s", p.Log())
		require.Len(t, events, want)
	}
	renewed(1)
	renewed(0)
	b, err := r.Dir.Fetch(t.Context(), "senate", certsync.Fingerprint{})
	require.NoError(t, err)
	leaf, err := b.Leaf()
	require.NoError(t, err)
	window, err := json.Marshal(map[string]any{"suggestedWindow": map[string]time.Time{"start": time.Now().Add(-2 * time.Hour), "end": time.Now().Add(-time.Hour)}})
	require.NoError(t, err)
	require.NoError(t, p.Set(p.Management+"/set-renewal-info/", map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})),
		"ariResponse": string(window),
	}))
	renewed(1)
	renewed(0)
	assert.Contains(t, p.Log(), "is a replacement of")
}

func TestRenewalInfoIsUnsupported(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := config(t, p)
	cfg.HTTP = &http.Client{Transport: withoutARI{p.HTTP.Transport}}
	ca, err := certsync.NewLocalCA(nil)
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
	require.NoError(t, err)
	_, err = issuer(t, cfg).RenewalInfo(t.Context(), b)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}

// withoutARI takes the service out of the directory, which no pebble leaves out.
type withoutARI struct{ base http.RoundTripper }

func (w withoutARI) RoundTrip(req *http.Request) (*http.Response, error) {
	response, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	response.Body.Close()
	response.Body = readCloser{strings.NewReader(strings.Replace(body.String(), `"renewalInfo"`, `"other"`, 1))}
	return response, err
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

type lockedLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

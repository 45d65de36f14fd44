package acme_test

import (
	"context"
	"crypto/x509"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

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

func issuer(t testing.TB, cfg acme.Config) *acme.Issuer {
	t.Helper()
	i, err := acme.New(cfg)
	require.NoError(t, err)
	return i
}

// issue gets a certificate that is as it should be.
func issue(t testing.TB, p *lab.PebbleServer, cfg acme.Config, req certsync.Request) (*certsync.Bundle, *x509.Certificate) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := issuer(t, cfg).Issue(ctx, req)
	require.NoError(t, err, "%s", p.Log())
	require.NoError(t, b.Validate(certsync.Policy{Names: req.Domains, Roots: p.Pool()}))
	leaf, err := b.Leaf()
	require.NoError(t, err)
	return b, leaf
}

func TestHTTP01(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	b, leaf := issue(t, p, config(t, p), certsync.Request{Name: "senate.example.net", Domains: []string{"senate.example.net", "mail.example.net"}})
	assert.Equal(t, "senate.example.net", b.Name)
	assert.Equal(t, []string{"mail.example.net", "senate.example.net"}, leaf.DNSNames)
	assert.InDelta(t, 90*24, leaf.NotAfter.Sub(leaf.NotBefore).Hours(), 1)
}

var _ = netip.AddrPort{}

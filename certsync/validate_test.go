package certsync_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// A signed is a certificate with its key.
type signed struct {
	cert *x509.Certificate
	key  certsync.PrivateKey
}

// sign makes a certificate that is good but for what change does to it. Without an issuer
// it signs itself.
func sign(t *testing.T, issuer *signed, kind certsync.KeyType, change func(*x509.Certificate)) *signed {
	t.Helper()
	key, err := certsync.NewPrivateKey(kind)
	require.NoError(t, err)
	own, err := key.Signer()
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "example.net"},
		DNSNames:              []string{"example.net"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(90 * 24 * time.Hour),
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	change(template)
	parent, parentKey := template, crypto.Signer(own)
	if issuer != nil {
		parent = issuer.cert
		parentKey, err = issuer.key.Signer()
		require.NoError(t, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), parentKey)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &signed{cert, key}
}

func asAuthority(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.DNSNames, c.ExtKeyUsage = pkix.Name{CommonName: name}, nil, nil
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	}
}

func bundleOf(leaf *signed, others ...*signed) *certsync.Bundle {
	b := &certsync.Bundle{Name: "example.net", From: "https://192.0.2.1/example.net", Key: leaf.key}
	for _, s := range append([]*signed{leaf}, others...) {
		b.Chain = append(b.Chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})...)
	}
	return b
}

func TestValidate(t *testing.T) {
	root := sign(t, nil, "", asAuthority("Root"))
	between := sign(t, root, "", asAuthority("Intermediate"))
	other := sign(t, nil, "", asAuthority("Intermediate")) // of the same name
	ended := sign(t, root, "", func(c *x509.Certificate) {
		asAuthority("Ended")(c)
		c.NotAfter = time.Now().Add(-time.Minute)
	})
	as := func(change func(*x509.Certificate)) *signed { return sign(t, between, "", change) }
	good := as(func(*x509.Certificate) {})
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	roots := func(list ...*signed) *x509.CertPool {
		pool := x509.NewCertPool()
		for _, s := range list {
			pool.AddCert(s.cert)
		}
		return pool
	}
	many := as(func(c *x509.Certificate) {
		c.DNSNames = []string{"example.net", "*.example.net"}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}
	})
	for _, test := range []struct {
		title  string
		bundle *certsync.Bundle
		policy certsync.Policy
		rules  []certsync.Rule // that are broken
	}{
		{"good", bundleOf(good, between), certsync.Policy{}, nil},
		{"with its root", bundleOf(good, between, root), certsync.Policy{}, nil},
		{"to a known root", bundleOf(good, between), certsync.Policy{Roots: roots(root)}, nil},
		{"from a root, which is known", bundleOf(sign(t, root, "", func(*x509.Certificate) {})), certsync.Policy{Roots: roots(root)}, nil},

		{"leaf alone", bundleOf(good), certsync.Policy{}, []certsync.Rule{certsync.RuleChain}},
		{"leaf alone, known root", bundleOf(good), certsync.Policy{Roots: roots(root)}, []certsync.Rule{certsync.RuleChain}},
		{"another's intermediate", bundleOf(good, other), certsync.Policy{}, []certsync.Rule{certsync.RuleChain}},
		{"intermediate twice", bundleOf(good, between, between), certsync.Policy{}, []certsync.Rule{certsync.RuleChain}},
		{"another root", bundleOf(good, between), certsync.Policy{Roots: roots(other)}, []certsync.Rule{certsync.RuleChain}},
		{"self-signed", bundleOf(sign(t, nil, "", func(*x509.Certificate) {})), certsync.Policy{}, []certsync.Rule{certsync.RuleChain}},
		{"signed by a leaf", bundleOf(sign(t, good, "", func(*x509.Certificate) {}), good, between), certsync.Policy{}, []certsync.Rule{certsync.RuleChain}},

		{"intermediate first", bundleOf(&signed{between.cert, good.key}, good), certsync.Policy{}, []certsync.Rule{certsync.RuleKey, certsync.RuleLeaf, certsync.RuleNames, certsync.RuleChain}},
		{"an authority's", bundleOf(as(func(c *x509.Certificate) { c.IsCA = true }), between), certsync.Policy{}, []certsync.Rule{certsync.RuleLeaf}},
		{"for clients", bundleOf(as(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), between), certsync.Policy{}, []certsync.Rule{certsync.RuleLeaf}},
		{"for anything", bundleOf(as(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), between), certsync.Policy{}, nil},
		{"another's key", bundleOf(&signed{good.cert, many.key}, between), certsync.Policy{}, []certsync.Rule{certsync.RuleKey}},
		{"a key of another type", bundleOf(&signed{good.cert, sign(t, nil, certsync.Ed25519, func(*x509.Certificate) {}).key}, between), certsync.Policy{}, []certsync.Rule{certsync.RuleKey}},
		{"no key", bundleOf(&signed{cert: good.cert}, between), certsync.Policy{}, []certsync.Rule{certsync.RuleKey}},

		{"all names", bundleOf(many, between), certsync.Policy{Names: []string{"example.net", "EXAMPLE.NET", "www.example.net", "*.example.net", "192.0.2.1", "2001:db8::1"}}, nil},
		{"no names asked", bundleOf(as(func(c *x509.Certificate) { c.DNSNames = []string{"example.org"} }), between), certsync.Policy{Names: []string{}}, nil},
		{"another name", bundleOf(as(func(c *x509.Certificate) { c.DNSNames = []string{"example.org"} }), between), certsync.Policy{}, []certsync.Rule{certsync.RuleNames}},
		{"a common name is none", bundleOf(as(func(c *x509.Certificate) { c.DNSNames = nil }), between), certsync.Policy{}, []certsync.Rule{certsync.RuleNames}},
		{"two levels", bundleOf(many, between), certsync.Policy{Names: []string{"a.b.example.net"}}, []certsync.Rule{certsync.RuleNames}},
		{"another wildcard", bundleOf(many, between), certsync.Policy{Names: []string{"*.example.org", "*.b.example.net"}}, []certsync.Rule{certsync.RuleNames, certsync.RuleNames}},
		{"another address", bundleOf(many, between), certsync.Policy{Names: []string{"192.0.2.2"}}, []certsync.Rule{certsync.RuleNames}},

		{"expired", bundleOf(as(func(c *x509.Certificate) { c.NotAfter = in(-time.Minute) }), between), certsync.Policy{}, []certsync.Rule{certsync.RuleExpired}},
		{"expired, known root", bundleOf(as(func(c *x509.Certificate) { c.NotAfter = in(-time.Minute) }), between), certsync.Policy{Roots: roots(root)}, []certsync.Rule{certsync.RuleExpired}},
		{"its issuer has expired", bundleOf(sign(t, ended, "", func(*x509.Certificate) {}), ended), certsync.Policy{}, []certsync.Rule{certsync.RuleExpired}},
		{"a clock that is slow", bundleOf(as(func(c *x509.Certificate) { c.NotBefore = in(4 * time.Minute) }), between), certsync.Policy{Roots: roots(root)}, nil},
		{"too slow", bundleOf(as(func(c *x509.Certificate) { c.NotBefore = in(6 * time.Minute) }), between), certsync.Policy{}, []certsync.Rule{certsync.RuleNotYet}},
		{"as slow as allowed", bundleOf(as(func(c *x509.Certificate) { c.NotBefore = in(6 * time.Minute) }), between), certsync.Policy{Tolerance: time.Hour}, nil},
		{"no tolerance", bundleOf(as(func(c *x509.Certificate) { c.NotBefore = in(time.Minute) }), between), certsync.Policy{Tolerance: -1}, []certsync.Rule{certsync.RuleNotYet}},
		{"at another time", bundleOf(good, between), certsync.Policy{Now: in(91 * 24 * time.Hour)}, []certsync.Rule{certsync.RuleExpired, certsync.RuleExpired}},

		{"older", bundleOf(good, between), certsync.Policy{Installed: as(func(c *x509.Certificate) { c.NotAfter = in(91 * 24 * time.Hour) }).cert}, []certsync.Rule{certsync.RuleOlder}},
		{"as old", bundleOf(good, between), certsync.Policy{Installed: good.cert}, nil},
		{"newer", bundleOf(good, between), certsync.Policy{Installed: as(func(c *x509.Certificate) { c.NotAfter = in(89 * 24 * time.Hour) }).cert}, nil},

		{"key type allowed", bundleOf(good, between), certsync.Policy{KeyTypes: []certsync.KeyType{certsync.RSA2048, certsync.ECDSAP256}}, nil},
		{"key type not allowed", bundleOf(good, between), certsync.Policy{KeyTypes: []certsync.KeyType{certsync.RSA2048}}, []certsync.Rule{certsync.RuleKeyType}},
		{"RSA", bundleOf(sign(t, between, certsync.RSA2048, func(*x509.Certificate) {}), between), certsync.Policy{KeyTypes: []certsync.KeyType{certsync.RSA2048}}, nil},

		{"not PEM", &certsync.Bundle{Name: "example.net", Chain: []byte("<html>"), Key: good.key}, certsync.Policy{}, []certsync.Rule{certsync.RulePEM}},
	} {
		t.Run(test.title, func(t *testing.T) {
			err := test.bundle.Validate(test.policy)
			var broken []certsync.Rule
			for _, err := range each(err) {
				invalid, ok := errors.AsType[*certsync.InvalidError](err)
				require.True(t, ok, "%v", err)
				broken = append(broken, invalid.Rule)
			}
			slices.Sort(broken)
			slices.Sort(test.rules)
			assert.Equal(t, test.rules, broken, "%v", err)
		})
	}
}

// each returns the errors that were joined.
func each(err error) []error {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		return list.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func TestErrorsNameFileSubjectAndRule(t *testing.T) {
	root := sign(t, nil, "", asAuthority("Root"))
	leaf := sign(t, root, "", func(c *x509.Certificate) {
		c.Subject = pkix.Name{}
		c.NotAfter = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
		c.NotBefore = c.NotAfter.Add(-time.Hour)
	})
	err := bundleOf(leaf, root).Validate(certsync.Policy{Names: []string{"example.org"}})
	assert.EqualError(t, err, `https://192.0.2.1/example.net: CN=example.net: names: "example.org" is not covered
https://192.0.2.1/example.net: CN=example.net: expired: not valid after 2024-02-29T12:00:00Z`)
}

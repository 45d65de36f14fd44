package acme_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	legolog "github.com/go-acme/lego/v4/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/certsync/acme"
)

func ExampleNew() {
	issuer, err := acme.New(acme.Config{
		Directory:   acme.LetsEncryptStaging,
		AcceptTerms: true,
		Email:       "hostmaster@example.net",
		Path:        "/var/lib/certsync/lego",
		// nginx has port 80, and passes /.well-known/acme-challenge/ on.
		HTTP01: netip.MustParseAddrPort("127.0.0.1:8181"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	renewer := certsync.Renewer{
		Issuer:       issuer,
		Dir:          &certsync.Dir{Path: "/var/lib/certsync/live"},
		Certificates: []certsync.Certificate{{Name: "senate.example.net"}},
	}
	_ = renewer // its Run keeps the certificate valid
}

func TestNewRefuses(t *testing.T) {
	hmac, err := acme.ParseHMAC("c2VjcmV0")
	require.NoError(t, err)
	good := acme.Config{AcceptTerms: true, Path: t.TempDir(), HTTP01: netip.MustParseAddrPort("127.0.0.1:8181")}
	_, err = acme.New(good)
	require.NoError(t, err)
	for name, change := range map[string]func(*acme.Config){
		"directory":   func(c *acme.Config) { c.Directory = "http://acme.example.net/" },
		"terms":       func(c *acme.Config) { c.AcceptTerms = false },
		"path":        func(c *acme.Config) { c.Path = "" },
		"key id":      func(c *acme.Config) { c.HMAC = hmac },
		"email":       func(c *acme.Config) { c.Email = `"../.."@example.net` },
		"key type":    func(c *acme.Config) { c.KeyType = certsync.Ed25519 },
		"HTTP-01":     func(c *acme.Config) { c.HTTP01 = netip.MustParseAddrPort("127.0.0.1:0") },
		"TLS-ALPN-01": func(c *acme.Config) { c.TLSALPN01 = netip.MustParseAddrPort("[::1]:0") },
		"challenges":  func(c *acme.Config) { c.HTTP01 = netip.AddrPort{} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			change(&cfg)
			_, err := acme.New(cfg)
			var refused *certsync.ValueError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, name, refused.Field)
		})
	}
	cfg := good
	cfg.KeyID = "kid-1"
	_, err = acme.New(cfg)
	assert.ErrorContains(t, err, "HMAC")
}

func TestHMACPrintsAsRedacted(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldA"
	hmac, err := acme.ParseHMAC(secret + "==\n")
	require.NoError(t, err)
	assert.Equal(t, secret, hmac.Reveal())
	cfg := acme.Config{HMAC: hmac}
	nested := struct{ inner acme.Config }{cfg}
	text, err := json.Marshal(struct{ HMAC acme.HMAC }{hmac})
	require.NoError(t, err)
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v %s %q %x", hmac, hmac, hmac, hmac, hmac, hmac),
		fmt.Sprintf("%v %+v", cfg, cfg), fmt.Sprintf("%v %+v %#v", nested, nested, nested), string(text)} {
		assert.NotContains(t, printed, secret)
		assert.NotContains(t, printed, fmt.Sprintf("%x", secret))
	}
	_, err = acme.ParseHMAC("not base64: " + secret)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), secret)
	assert.True(t, acme.HMAC{}.IsZero())
	assert.Empty(t, acme.HMAC{}.Reveal())
}

func TestLegoIsQuiet(t *testing.T) {
	_, err := acme.New(acme.Config{AcceptTerms: true, Path: t.TempDir(), HTTP01: netip.MustParseAddrPort("127.0.0.1:8181")})
	require.NoError(t, err)
	assert.Equal(t, io.Discard, legolog.Logger.(*log.Logger).Writer())
}

// Lego's providers are two hundred, with the libraries of their clouds.
func TestCompilesNoProviderAndNoCommandLine(t *testing.T) {
	list := func(pkg string) []string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.Fields(string(out))
	}
	deps := list(".")
	assert.Contains(t, deps, "github.com/go-acme/lego/v4/certificate")
	for _, dep := range deps {
		for _, unwanted := range []string{"github.com/go-acme/lego/v4/providers", "github.com/go-acme/lego/v4/cmd", "github.com/go-acme/lego/v4/lego", "github.com/urfave/cli", "github.com/aws"} {
			assert.False(t, strings.HasPrefix(dep, unwanted+"/") || dep == unwanted, dep)
		}
	}
	for _, dep := range list("..") {
		assert.NotContains(t, dep, "lego", "certsync itself")
	}
}

package acme_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-acme/lego/v4/registration"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/lab"
)

// accountFiles are where the lego program has them.
func accountFiles(p *lab.PebbleServer, root, user string) (account, key string) {
	host := strings.ReplaceAll(strings.Split(p.Directory, "/")[2], ":", "_")
	dir := filepath.Join(root, "accounts", host, user)
	return filepath.Join(dir, "account.json"), filepath.Join(dir, "keys", user+".key")
}

func readRegistration(t testing.TB, path string) registration.Resource {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var account struct {
		Email        string
		Registration registration.Resource
	}
	require.NoError(t, json.Unmarshal(data, &account))
	return account.Registration
}

func TestAccountLiesWhereLegoHasIt(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := dnsConfig(t, p)
	cfg.Email = ""
	req := certsync.Request{Name: "senate.example.net"}
	issue(t, p, cfg, req)
	account, key := accountFiles(p, cfg.Path, "noemail@example.com")
	for path, mode := range map[string]os.FileMode{account: 0o600, key: 0o600, filepath.Dir(account): 0o700, filepath.Dir(key): 0o700, cfg.Path: 0o700} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), path)
	}
	first := readRegistration(t, account)
	assert.Equal(t, "valid", first.Body.Status)
	assert.NotEmpty(t, first.URI)

	// A crash after the key was written, and before the account was.
	require.NoError(t, os.Remove(account))
	issue(t, p, cfg, req)
	assert.Equal(t, first.URI, readRegistration(t, account).URI)
	assert.NotContains(t, p.Log(), "There are now 2 accounts in memory")
}

// lego had RSA keys once, and writes them in PKCS #1.
func TestAccountOfLegoGoesOn(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := dnsConfig(t, p)
	account, key := accountFiles(p, cfg.Path, cfg.Email)
	require.NoError(t, os.MkdirAll(filepath.Dir(key), 0o700))
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(own)})
	require.NoError(t, os.WriteFile(key, text, 0o600))
	req := certsync.Request{Name: "senate.example.net"}
	issue(t, p, cfg, req)
	written, err := os.ReadFile(account)
	require.NoError(t, err)

	issue(t, p, cfg, req)
	for path, want := range map[string][]byte{key: text, account: written} {
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
	}
	assert.Equal(t, 1, strings.Count(p.Log(), "accounts in memory"))
}

func TestAccountThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := lab.StartPebble(t, lab.Pebble{})
	cfg := dnsConfig(t, p)
	account, key := accountFiles(p, cfg.Path, cfg.Email)
	require.NoError(t, os.MkdirAll(filepath.Dir(key), 0o700))
	for _, path := range []string{key, account} {
		require.NoError(t, os.WriteFile(path, []byte("secret nonsense"), 0o600))
		_, err := issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
		var broken *certsync.ParseError
		require.ErrorAs(t, err, &broken)
		assert.Equal(t, path, broken.File)
		assert.NotContains(t, err.Error(), "secret nonsense")
		if path == key {
			text, err := certsync.NewPrivateKey("")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(key, text.Reveal(), 0o600))
		}
	}
}

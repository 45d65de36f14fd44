package certsync

import (
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLocalCAIssues(t *testing.T) {
	for _, tt := range []struct {
		name  string
		opt   *LocalCAOptions
		req   Request
		chain int
	}{
		{"without options", nil, Request{Name: "senate.example.net"}, 2},
		{"a wildcard", nil, Request{Name: "*.example.net"}, 2},
		{"several names and addresses", nil, Request{Name: "senate", Domains: []string{"senate.example.net", "192.0.2.1", "2001:db8::1"}}, 2},
		{"without an intermediate", &LocalCAOptions{NoIntermediate: true}, Request{Name: "senate.example.net"}, 1},
		{"another type of key", &LocalCAOptions{KeyType: ECDSAP384}, Request{Name: "senate.example.net"}, 2},
		{"no backdate", &LocalCAOptions{Backdate: -1}, Request{Name: "senate.example.net"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca, err := NewLocalCA(tt.opt)
			require.NoError(t, err)
			b, err := ca.Issue(t.Context(), tt.req)
			require.NoError(t, err)
			assert.Equal(t, tt.req.Name, b.Name)
			assert.NoError(t, b.Validate(Policy{Names: tt.req.Domains, Roots: ca.Roots()}))
			chain, err := b.Certificates()
			require.NoError(t, err)
			assert.Len(t, chain, tt.chain)
			assert.Equal(t, ca.opt.Lifetime+max(ca.opt.Backdate, 0), chain[0].NotAfter.Sub(chain[0].NotBefore).Round(time.Minute))
			if tt.opt != nil && tt.opt.KeyType != "" {
				have, err := b.Key.Type()
				require.NoError(t, err)
				assert.Equal(t, tt.opt.KeyType, have)
			}
		})
	}
}

func TestLocalCARefuses(t *testing.T) {
	_, err := NewLocalCA(&LocalCAOptions{KeyType: "dsa"})
	assert.ErrorContains(t, err, `key type: "dsa"`)
	ca, err := NewLocalCA(nil)
	require.NoError(t, err)
	_, err = ca.Issue(t.Context(), Request{Name: "../senate"})
	assert.ErrorAs(t, err, new(*ValueError))
	other, err := NewLocalCA(nil)
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), Request{Name: "senate.example.net"})
	require.NoError(t, err)
	assert.ErrorContains(t, b.Validate(Policy{Roots: other.Roots()}), "it does not lead to a trusted root")
}

func TestLocalCAIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private", "ca")
	first, err := NewLocalCA(&LocalCAOptions{Path: path, Organization: "Senate"})
	require.NoError(t, err)
	again, err := NewLocalCA(&LocalCAOptions{Path: path})
	require.NoError(t, err)
	assert.Equal(t, first.Root(), again.Root())
	root, err := first.root.Leaf()
	require.NoError(t, err)
	assert.Equal(t, "CN=Senate Root,O=Senate", root.Subject.String())

	b, err := again.Issue(t.Context(), Request{Name: "senate.example.net"})
	require.NoError(t, err)
	assert.NoError(t, b.Validate(Policy{Roots: first.Roots()}))

	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	files, err := os.ReadDir(path)
	require.NoError(t, err)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), f.Name())
	}
	assert.Len(t, files, 2, "the authority and its lock")
}

func TestLocalCAIsMadeOnceByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca")
	roots := make([]string, 8)
	var all sync.WaitGroup
	for i := range roots {
		all.Go(func() {
			ca, err := NewLocalCA(&LocalCAOptions{Path: path})
			if assert.NoError(t, err) {
				roots[i] = string(ca.Root())
			}
		})
	}
	all.Wait()
	for _, root := range roots {
		assert.Equal(t, roots[0], root)
	}
}

// A crash leaves a temporary file. If ever it were to leave a part of the authority, that
// must not be taken for one, and not be replaced by another one.
func TestLocalCAIsNeverHalf(t *testing.T) {
	path := t.TempDir()
	left := filepath.Join(path, tempPrefix+"crash")
	require.NoError(t, os.WriteFile(left, []byte("-----BEGIN PRIVATE KEY-----\n"), 0o600))
	ca, err := NewLocalCA(&LocalCAOptions{Path: path})
	require.NoError(t, err)
	assert.NoFileExists(t, left)

	file := filepath.Join(path, authorityFile)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for n := 0; n < len(whole)-1; n += 7 {
		require.NoError(t, os.WriteFile(file, whole[:n], 0o600))
		_, err := NewLocalCA(&LocalCAOptions{Path: path})
		require.ErrorContains(t, err, "local authority: "+file, "%d bytes", n)
	}
	require.NoError(t, os.WriteFile(file, append(whole, ca.Root()...), 0o600))
	_, err = NewLocalCA(&LocalCAOptions{Path: path})
	require.ErrorContains(t, err, "it does not hold the keys and certificates")
	require.NoError(t, os.WriteFile(file, whole, 0o600))
	again, err := NewLocalCA(&LocalCAOptions{Path: path})
	require.NoError(t, err)
	assert.Equal(t, ca.Root(), again.Root())
}

func TestLocalCAMakesNoAuthorities(t *testing.T) {
	ca, err := NewLocalCA(nil)
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), Request{Name: "senate.example.net"})
	require.NoError(t, err)
	chain, err := b.Certificates()
	require.NoError(t, err)
	assert.False(t, chain[0].IsCA)
	assert.True(t, chain[1].MaxPathLenZero)
	assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, chain[0].ExtKeyUsage)
}

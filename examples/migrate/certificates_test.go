package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/certconf"
)

// TestCertsyncdTakesBothFiles reads what is rendered as the program does that it is for.
func TestCertsyncdTakesBothFiles(t *testing.T) {
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	load := func(host string) *certconf.Config {
		path := filepath.Join(dir, "out/03-certificates", host, certsyncdPath)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		c, err := certconf.Load(path, data)
		require.NoError(t, err)
		return c
	}
	router, guest := load("ingress"), load("senate")
	assert.Equal(t, router.Certificates, guest.Certificates)
	assert.Equal(t, "http://"+router.Publish.Listen.String()+"/", guest.Fetch.URL)
	assert.Equal(t, "172.16.1.1:8182", router.Publish.Listen.String(), "no address that the world reaches")
	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("172.16.1.4/32")}, router.Publish.Allow)
	assert.Equal(t, "127.0.0.1:8181", router.Issue.HTTP01.String())
	assert.Equal(t, certconf.Mode(0o440), guest.Install.Mode)
	assert.Equal(t, "mail", guest.Install.Group)
	require.Len(t, guest.Daemons, 2)
	assert.Len(t, guest.Daemons[0].Probes, 3)
	require.Len(t, router.Daemons, 1)
	assert.Equal(t, "nginx-web", router.Daemons[0].Name)
	assert.Equal(t, router.Publish.Dir, router.Fetch.Dir)
}

func TestADirectoryOfTheMoveFileReachesTheRouter(t *testing.T) {
	dir := sampleDir(t)
	text := strings.Replace(string(sampleMove), "accept_terms = true", "accept_terms = true\ndirectory = \"https://ca.example.net/directory\"", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "m.toml"), []byte(text), 0o600))
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	data, err := os.ReadFile(filepath.Join(dir, "out/03-certificates/ingress", certsyncdPath))
	require.NoError(t, err)
	assert.Contains(t, string(data), `directory = "https://ca.example.net/directory"`)
}

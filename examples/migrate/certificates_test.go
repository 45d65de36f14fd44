package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/certconf"
	"github.com/rehost/rehost/internal/lab"
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
	assert.Equal(t, fs.FileMode(0o440), guest.Install.Mode.FileMode)
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

// TestTheRouterGetsAndServesItsCertificates follows the runbook on a router whose names
// point to it, with a pebble for the authority: nginx passes the challenges on as phase 2
// has it, and serves over TLS as phase 3 has it once certsyncd has told it.
func TestTheRouterGetsAndServesItsCertificates(t *testing.T) {
	lab.NeedIsolation(t)
	lab.Need(t, "go", "nginx")
	pebble := lab.StartPebble(t, lab.Pebble{HTTPPort: 80})
	dir := sampleDir(t)
	text := strings.Replace(string(sampleMove), "accept_terms = true", fmt.Sprintf("accept_terms = true\ndirectory = %q", pebble.Directory), 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "m.toml"), []byte(text), 0o600))
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)

	program, file := filepath.Join(dir, "certsyncd"), filepath.Join(dir, "certsyncd.toml")
	runOK(t, "go", "build", "-o", program, "../certsyncd")
	data, err := os.ReadFile(filepath.Join(dir, "out/03-certificates/ingress", certsyncdPath))
	require.NoError(t, err)
	text = strings.NewReplacer("/var/lib/certsyncd", dir+"/lib", "/run/nginx.pid", dir+"/pid",
		"accept_terms = true", fmt.Sprintf("accept_terms = true\nca = \"%s/ca.pem\"", dir)).Replace(string(data))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), authorityOf(t, pebble.Directory), 0o600))

	nginx := lookPath(t, "nginx")
	conf := nginxConf(t, dir, "02-both-paths")
	stop := startNginx(t, nginx, dir, conf)
	defer stop()
	runOK(t, program, "issue", file)
	nginxConf(t, dir, "03-certificates", nginxCertificates, dir+"/lib/nginx")
	runOK(t, program, "sync", "-untold", file)
	runOK(t, nginx, "-t", "-p", dir, "-c", conf)
	assert.Equal(t, "senate.example.net: told nginx-web\n", runOK(t, program, "sync", file))
	assert.Empty(t, runOK(t, program, "check", file))
	conn, err := tls.Dial("tcp", "127.0.0.1:443", &tls.Config{ServerName: "www.example.net", RootCAs: pebble.Pool()})
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func runOK(t *testing.T, argv ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%v: %s%s", argv, out, &stderr)
	return string(out)
}

// authorityOf is the certificate that a server signed itself.
func authorityOf(t *testing.T, at string) []byte {
	t.Helper()
	u, err := url.Parse(at)
	require.NoError(t, err)
	conn, err := tls.Dial("tcp", u.Host, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer conn.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})
}

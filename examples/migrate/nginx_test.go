package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// proxyConf renders the sample, and a whole configuration with a phase's proxy block.
func proxyConf(t *testing.T, phase string, replace ...string) (dir, conf string) {
	t.Helper()
	dir = sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	return dir, nginxConf(t, dir, phase, replace...)
}

// nginxConf wraps the router's proxy block, as a phase has rendered it, into a whole
// configuration that a test can run: pairs of replacements move it from the router's
// places and ports to the test's own.
func nginxConf(t *testing.T, dir, phase string, replace ...string) string {
	t.Helper()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // nginx's workers are another user
	require.NoError(t, os.Chmod(dir, 0o755))
	block, err := os.ReadFile(filepath.Join(dir, "out", phase, "ingress/etc/nginx/conf.d/senate.conf"))
	require.NoError(t, err)
	location, err := os.ReadFile(filepath.Join(dir, "out/02-both-paths/ingress"+challenges))
	require.NoError(t, err)
	block = bytes.ReplaceAll(block, []byte("include "+challenges+";"), location)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, string(block), replace[i])
		block = bytes.ReplaceAll(block, []byte(replace[i]), []byte(replace[i+1]))
	}
	block = bytes.ReplaceAll(block, []byte("/var/cache/"), []byte(dir+"/cache-"))
	conf := filepath.Join(dir, "nginx.conf")
	// What a package sets, its own user and folders, is not for whoever runs tests.
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%[1]s;\n", kind, dir)
	}
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "daemon off;\nuser root;\npid %s/pid;\nerror_log stderr notice;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n", dir, temp.String(), block), 0o600))
	return conf
}

func TestNginxAcceptsTheProxyBlock(t *testing.T) {
	program := lookPath(t, "nginx")
	for _, phase := range []string{"02-both-paths", "03-certificates"} {
		dir, conf := proxyConf(t, phase, siteFiles(t, phase)...)
		out, err := exec.CommandContext(t.Context(), program, "-t", "-p", dir, "-c", conf).CombinedOutput()
		assert.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "test is successful")
		assert.NotContains(t, string(out), "[warn]")
	}
}

// siteFiles are the replacements that lead nginx to a certificate of a test's own, where
// the phase has one.
func siteFiles(t *testing.T, phase string) []string {
	t.Helper()
	if phase == "02-both-paths" {
		return nil
	}
	dir := certsync.Dir{Path: filepath.Join(t.TempDir(), "nginx")}
	ca, err := certsync.NewLocalCA(nil)
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), certsync.Request{Name: "senate.example.net", Domains: []string{"example.net", "www.example.net"}})
	require.NoError(t, err)
	require.NoError(t, dir.Install(t.Context(), b))
	return []string{nginxCertificates, dir.Path}
}

// TestNginxPassesTheVisitorOn runs nginx with the rendered block between a
// visitor and a site.
func TestNginxPassesTheVisitorOn(t *testing.T) {
	program := lookPath(t, "nginx")
	var asked []http.Header
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "the site for %s", r.Host)
	}))
	defer site.Close()
	solver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the solver for %s", r.Host)
	}))
	defer solver.Close()
	socket := filepath.Join(t.TempDir(), "nginx.sock")
	dir, conf := proxyConf(t, "02-both-paths",
		"listen 80;", "listen unix:"+socket+";", "\tlisten [::]:80;\n", "set_real_ip_from unix:; real_ip_header X-Test-Visitor;",
		"http://172.16.1.4:80", site.URL, "http://127.0.0.1:8181", solver.URL)

	stop := startNginx(t, program, dir, conf)
	defer stop()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // nginx quits when the last connection is gone
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	get := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://www.example.net"+path, nil)
		require.NoError(t, err)
		req.Header.Set("X-Test-Visitor", "198.51.100.7")
		req.Header.Set("X-Forwarded-For", "192.0.2.66")
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	assert.Equal(t, "the solver for www.example.net", get("/.well-known/acme-challenge/token"))
	assert.Equal(t, "the site for www.example.net", get("/"))
	assert.Equal(t, "the site for www.example.net", get("/"))
	require.Len(t, asked, 1, "the second answer comes from the cache")
	assert.Equal(t, "198.51.100.7", asked[0].Get("X-Real-IP"))
	assert.Equal(t, "198.51.100.7", asked[0].Get("X-Forwarded-For"), "what a visitor claims is not passed on")
}

// startNginx returns when nginx serves, and gives the function that ends it.
func startNginx(t *testing.T, program, dir, conf string) (stop func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-p", dir, "-c", conf)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var log strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "start worker process ") {
		fmt.Fprintln(&log, lines.Text())
	}
	return func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGQUIT))
		for lines.Scan() {
			fmt.Fprintln(&log, lines.Text())
		}
		assert.NoError(t, cmd.Wait(), log.String())
	}
}

func TestCheckNginx(t *testing.T) {
	tests := map[string][]string{
		"proxy_set_header X-Real-IP $remote_addr;":                       nil,
		"# proxy_set_header X-Real_IP $remote_addr;":                     nil,
		"proxy_set_header X-Real_IP $remote_addr;":                       {"1:18"},
		"a { b c; }\n\tproxy_set_header\n  \"X-Real_IP\" $remote_addr;}": {"3:3"},
		"log_format x '$a # b;';proxy_set_header A_B c;":                 {"1:41"},
		"return 200 \"a\\\";b\nproxy_set_header A_B c;\";":               nil,
		"proxy_set_header": nil,
	}
	for text, want := range tests {
		var places []string
		for _, p := range checkNginx("f", []byte(text)) {
			places = append(places, fmt.Sprintf("%d:%d", p.Line, p.Col))
		}
		assert.Equal(t, want, places, text)
	}
}

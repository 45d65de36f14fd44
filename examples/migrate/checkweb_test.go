package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/lab"
)

// TestTheSiteIsAskedThroughNginx has nginx with the rendered site, without its guest, and
// with one; and a server that is not meant.
func TestTheSiteIsAskedThroughNginx(t *testing.T) {
	dir := renderedDir(t)
	haveAddress(t, routerAddress)
	site, err := os.ReadFile(filepath.Join(dir, "out/02-both-paths/ingress/etc/nginx/conf.d/senate.conf"))
	require.NoError(t, err)
	rendered := strings.NewReplacer("/var/cache/nginx-senate", t.TempDir(), "include "+challenges+";", "", "172.16.1.4:80", "127.0.0.1:9",
		"\tlisten 80;\n", "\tlisten 203.0.113.63:80;\n", "\tlisten [::]:80;\n", "").Replace(string(site))
	nginx := lab.StartNginx(t, rendered)
	look := func() report.Finding {
		found, _ := checked(t, dir, "-on", elsewhere, "2.5")
		return finding(t, found, "X-Cache-Status: MISS")
	}
	f := look()
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "status 502, X-Cache-Status \"MISS\": nginx answers, and has no good answer from the guest")

	guest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }))
	defer guest.Close()
	nginx.Reload(t, strings.ReplaceAll(rendered, "127.0.0.1:9", guest.Listener.Addr().String()))
	for range 2 {
		f = look()
		assert.Equal(t, report.Held, f.Outcome, f.Detail)
	}
	guest.Close()
	assert.Equal(t, report.Failed, look().Outcome, "the cache is not asked")

	for _, status := range []string{"200", "301", "404"} {
		nginx.Reload(t, "server { listen 203.0.113.63:80; location / { return "+status+"; } }")
		f = look()
		assert.Equal(t, report.Failed, f.Outcome)
		assert.Contains(t, f.Detail, "status "+status+" without X-Cache-Status: another server has answered")
	}
}

// TestChallengesReachTheSolver has nginx pass them on, or answer by itself.
func TestChallengesReachTheSolver(t *testing.T) {
	dir := renderedDir(t)
	haveAddress(t, tunnelRouter)
	haveAddress(t, netip.MustParseAddr("198.51.100.25"))
	const servers = "server { listen 172.16.1.1:80; listen 198.51.100.25:80; location / { %s } }"
	nginx := lab.StartNginx(t, fmt.Sprintf(servers, "proxy_pass http://127.0.0.1:8181;"))
	look := func(step, words string) report.Finding {
		found, _ := checked(t, dir, "-on", "ingress", step)
		return finding(t, found, words)
	}
	for range 2 {
		f := look("3.2", "says 502")
		assert.Equal(t, report.Held, f.Outcome, f.Detail)
		f = look("3.3", "says 502 for each")
		assert.Equal(t, report.Held, f.Outcome, f.Detail)
		assert.Equal(t, "5 names", f.Detail)
	}
	for _, other := range []string{"return 200;", "return 502;", "proxy_pass http://127.0.0.1:9;"} {
		nginx.Reload(t, fmt.Sprintf(servers, other))
		f := look("3.2", "says 502")
		assert.Equal(t, report.Failed, f.Outcome)
		assert.Contains(t, f.Detail, "and not the solver's word")
		assert.Contains(t, f.Detail, "include /etc/nginx/snippets/certsync.conf")
		assert.Contains(t, look("3.3", "says 502 for each").Detail, "pass it on in the server block or virtual host that does, on senate")
	}
	listen(t, netip.MustParseAddrPort("127.0.0.1:8181"), "")
	assert.Contains(t, look("3.2", "says 502").Detail, "somebody listens at 127.0.0.1:8181")
	assert.Equal(t, report.NotTried, look("3.2", "says 502").Outcome)
}

// TestKeysAreGivenToTheTunnelAlone has the publisher where the world reaches it.
func TestKeysAreGivenToTheTunnelAlone(t *testing.T) {
	lab.Need(t, "ss")
	dir := renderedDir(t)
	haveAddress(t, tunnelRouter)
	look := func(host, words string) report.Finding {
		found, _ := checked(t, dir, "-on", host, "3.6")
		return finding(t, found, words)
	}
	assert.Equal(t, report.NotTried, look(elsewhere, "8182` does not").Outcome, "nothing is there to ask")
	haveAddress(t, routerAddress)
	assert.Equal(t, report.Held, look(elsewhere, "8182` does not").Outcome, "it is refused")
	assert.Contains(t, look("ingress", "no other address").Detail, `listens at [], and should at 172.16.1.1:8182 alone`)
	listen(t, netip.AddrPortFrom(tunnelRouter, 8182), "")
	f := look("ingress", "no other address")
	assert.Equal(t, report.Held, f.Outcome, f.Detail)
	listen(t, netip.AddrPortFrom(routerAddress, 8182), "")
	assert.Contains(t, look("ingress", "no other address").Detail, `"203.0.113.63:8182"`)
	f = look(elsewhere, "8182` does not")
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "203.0.113.63:8182 is open: it gives keys away")

	lab.Need(t, "iptables")
	runOK(t, "iptables", "-I", "INPUT", "-p", "tcp", "--dport", "8182", "-j", "DROP")
	t.Cleanup(func() { exec.Command("iptables", "-D", "INPUT", "1").Run() })
	f = look(elsewhere, "8182` does not")
	assert.Equal(t, report.NotTried, f.Outcome, f.Detail)
	assert.Contains(t, f.Detail, "tell a closed port from a machine out of reach")
	listen(t, netip.AddrPortFrom(routerAddress, 25), "")
	f = look(elsewhere, "8182` does not")
	assert.Equal(t, report.Held, f.Outcome, f.Detail)
	assert.Equal(t, "port 25 answers, and this one does not", f.Detail)
}

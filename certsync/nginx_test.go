package certsync

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func nginxText(t testing.TB, opt NginxOptions) string {
	t.Helper()
	opt.Path = "/etc/nginx/snippets/certs.conf"
	o, err := Nginx(opt)
	require.NoError(t, err)
	assert.Equal(t, "/etc/nginx/snippets/certs.conf (0644)", o.String())
	return string(o.Data)
}

func TestNginxRefuses(t *testing.T) {
	local := netip.MustParseAddrPort("127.0.0.1:8181")
	for _, tt := range []struct {
		name, field string
		opt         NginxOptions
	}{
		{"no path", "path", NginxOptions{Path: "-"}},
		{"a relative path", "path", NginxOptions{Path: "certs.conf"}},
		{"a solver without a port", "solver", NginxOptions{Solver: netip.MustParseAddrPort("127.0.0.1:0")}},
		{"a solver anywhere", "solver", NginxOptions{Solver: netip.MustParseAddrPort("[::]:8181")}},
		{"a solver with a zone", "solver", NginxOptions{Solver: netip.MustParseAddrPort("[fe80::1%eth0;]:8181")}},
		{"a publisher that is a group", "publisher", NginxOptions{Publisher: netip.MustParseAddrPort("224.0.0.1:80")}},
		{"a publisher and a directory", "certs", NginxOptions{Publisher: local, Certs: "/srv/certs"}},
		{"no prefix", "allow", NginxOptions{Certs: "/srv/certs", Allow: []netip.Prefix{{}}}},
		{"allowed what?", "allow", NginxOptions{Solver: local, Allow: pubLoopback}},
		{"relative", "certs", NginxOptions{Certs: "srv/certs"}},
		{"the root", "certs", NginxOptions{Certs: "/"}},
		{"a final slash", "certs", NginxOptions{Certs: "/srv/certs/"}},
		{"dot segments", "certs", NginxOptions{Certs: "/srv/../etc"}},
		{"a blank", "certs", NginxOptions{Certs: "/srv/my certs"}},
		{"a semicolon", "certs", NginxOptions{Certs: "/srv/certs;root"}},
		{"a brace", "certs", NginxOptions{Certs: "/srv/certs{"}},
		{"a closing brace", "certs", NginxOptions{Certs: "/srv/certs}"}},
		{"a variable", "certs", NginxOptions{Certs: "/srv/$arg_x"}},
		{"a quote", "certs", NginxOptions{Certs: `/srv/"certs`}},
		{"an apostrophe", "certs", NginxOptions{Certs: "/srv/'certs"}},
		{"a backslash", "certs", NginxOptions{Certs: `/srv/\certs`}},
		{"a comment", "certs", NginxOptions{Certs: "/srv/#certs"}},
		{"a new line", "certs", NginxOptions{Certs: "/srv/certs\n"}},
		{"a NUL", "certs", NginxOptions{Certs: "/srv/certs\x00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			switch tt.opt.Path {
			case "-":
				tt.opt.Path = ""
			case "":
				tt.opt.Path = "/etc/nginx/snippets/certs.conf"
			}
			_, err := Nginx(tt.opt)
			var bad *ValueError
			require.ErrorAs(t, err, &bad)
			assert.Equal(t, tt.field, bad.Field)
		})
	}
}

// nginx reads all forms without a word.
func TestNginxAccepts(t *testing.T) {
	for _, opt := range []NginxOptions{
		{},
		{Solver: netip.MustParseAddrPort("127.0.0.1:8181")},
		{Solver: netip.MustParseAddrPort("[::1]:8181"), Certs: "/srv/certs"},
		{Solver: netip.MustParseAddrPort("[::ffff:127.0.0.1]:8181"), Publisher: netip.MustParseAddrPort("[fd77::1]:8182"), Allow: []netip.Prefix{netip.MustParsePrefix("fd77::2/64")}},
		{Certs: "/srv/.lego/certificates_1-2+3@4~5", Allow: []netip.Prefix{
			netip.MustParsePrefix("172.16.1.9/24"), netip.MustParsePrefix("fd77::/64"), netip.MustParsePrefix("::ffff:192.0.2.0/120"), netip.MustParsePrefix("::ffff:0.0.0.0/95"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
		}},
	} {
		text := nginxText(t, opt)
		assert.Empty(t, lab.CheckNginx(t, "server { listen 127.0.0.1:80; "+text+" }"), text)
	}
}

// nginxServer has a server block on port 5002 of 127.0.0.1 and ::1 in which much is wrong for
// certificates, and the locations.
func nginxServer(dir, locations string) string {
	return `open_file_cache max=100; open_file_cache_valid 60m;
proxy_cache_path ` + dir + `/cache keys_zone=all:1m;
server {
	listen 127.0.0.1:5002; listen [::1]:5002;
	root ` + dir + `;
	autoindex on;
	expires 30d;
	proxy_cache all; proxy_cache_valid any 1h; proxy_ignore_headers Cache-Control;
	gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; gzip_http_version 1.0;
	types { text/html pem sha256 crt key; }
	satisfy any;
	auth_basic "password"; auth_basic_user_file ` + dir + `/users;
	location / { auth_basic off; }
	location ~ \.(pem|key|crt|sha256)$ { auth_basic off; }
	location ~ /\. { deny all; }
	` + locations + `
}
`
}

// nginxGet asks from an address, with a path that is sent as it is.
func nginxGet(t testing.TB, from, to, method, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true}
	r, err := http.NewRequest(method, "http://"+to, nil)
	require.NoError(t, err)
	r.URL.Opaque = path
	for name, values := range header {
		r.Header[name] = values
	}
	r.Host = header.Get("Host")
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// nginxPut lays a bundle down as the layouts have it: each file is whole.
func nginxPut(t testing.TB, dir string, b *Bundle) {
	file := filepath.Join(dir, fileName(b.Name))
	for _, f := range []struct {
		ending string
		data   []byte
	}{
		{".pem", b.Combined()},
		{".sha256", fmt.Appendf(nil, "%s  %s.pem\n", b.Fingerprint(), fileName(b.Name))},
		{".key", b.Key.Reveal()},
		{".crt", b.Chain},
	} {
		assert.NoError(t, replaceFile(file+f.ending, ownership{-1, -1, 0o640}, f.data))
	}
}

func TestNginxChallenge(t *testing.T) {
	lab.NeedIsolation(t)
	solver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Host, r.URL)
	}))
	defer solver.Close()
	text := nginxText(t, NginxOptions{Solver: netip.MustParseAddrPort(solver.Listener.Addr().String())})
	servers := nginxServer(t.TempDir(), "deny all; "+text)
	s := lab.StartNginx(t, servers)
	t.Run("satisfy any", func(t *testing.T) { nginxTryChallenge(t) })
	t.Run("satisfy all", func(t *testing.T) {
		s.Reload(t, strings.Replace(servers, "satisfy any;", "", 1))
		nginxTryChallenge(t)
	})
	assert.NotContains(t, s.ErrorLog(t), "[warn]")
}

func nginxTryChallenge(t *testing.T) {
	for _, tt := range []struct{ from, to, host string }{
		{"127.0.0.2", "127.0.0.1:5002", "senate.example.net"},
		{"::1", "[::1]:5002", "senate.example.net"},
		{"127.0.0.2", "127.0.0.1:5002", "[2001:db8::1]"}, // a certificate for an address
		{"127.0.0.2", "127.0.0.1:5002", "192.0.2.1"},
	} {
		resp, body := nginxGet(t, tt.from, tt.to, "GET", "/.well-known/acme-challenge/to.ken-_", http.Header{"Host": {tt.host}})
		assert.Equal(t, 200, resp.StatusCode)
		assert.Equal(t, tt.host+" /.well-known/acme-challenge/to.ken-_", body)
	}
	resp, _ := nginxGet(t, "127.0.0.2", "127.0.0.1:5002", "GET", "/.well-known/other", http.Header{"Host": {"x"}})
	assert.Contains(t, []int{401, 403}, resp.StatusCode, "no other place")
}

func TestNginxCertificates(t *testing.T) {
	lab.NeedIsolation(t)
	ca := pubCA(t, nil)
	b, wildcard := pubIssue(t, ca, "senate.example.net"), pubIssue(t, ca, "*.example.net")
	root := t.TempDir()
	dir := filepath.Join(root, "published")
	for _, hidden := range []string{".certsync", ".certsync-temp", "senate.example.net"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, hidden), 0o755))
		nginxPut(t, filepath.Join(dir, hidden), b)
	}
	nginxPut(t, dir, b)
	nginxPut(t, dir, wildcard)
	nginxPut(t, root, b)
	web := filepath.Join(root, "web")
	require.NoError(t, os.MkdirAll(filepath.Join(web, "certs", ".certsync"), 0o755))
	nginxPut(t, filepath.Join(web, "certs"), b) // where the server's own root would have them
	nginxPut(t, filepath.Join(web, "certs", ".certsync"), b)
	for name, text := range map[string]string{".hidden.pem": "PRIVATE", "senate.example.net.json": "PRIVATE", "x.pem.bak": "PRIVATE", ".pem": "PRIVATE", "-x.pem": "PRIVATE"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(web, "users"), []byte("user:{PLAIN}hunter2\n"), 0o600))

	publisher := httptest.NewServer(Handler(newPubSource(b, wildcard), AllowFrom(pubLoopback...)))
	defer publisher.Close()
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("::1/128")}
	files := nginxText(t, NginxOptions{Certs: dir, Allow: allow})
	proxy := nginxText(t, NginxOptions{Publisher: netip.MustParseAddrPort(publisher.Listener.Addr().String()), Allow: allow})
	const friend, stranger = "127.0.0.2", "127.0.0.3"
	// What the server asks for otherwise, with satisfy any: both would let a stranger in.
	const satisfied = "auth_request /auth; location = /auth { return 204; } "
	s := lab.StartNginx(t, nginxServer(web, satisfied+files))
	password := http.Header{"Authorization": {"Basic dXNlcjpodW50ZXIy"}}
	forwarded := http.Header{"X-Forwarded-For": {friend}, "X-Real-Ip": {friend}, "Forwarded": {"for=" + friend}}
	type row struct {
		from, method, path string
		header             http.Header
		status             int
	}
	try := func(t *testing.T, rows []row) {
		for _, tt := range rows {
			header := http.Header{"Accept-Encoding": {"gzip"}}
			maps.Copy(header, tt.header)
			resp, body := nginxGet(t, tt.from, "127.0.0.1:5002", tt.method, tt.path, header)
			assert.Equal(t, tt.status, resp.StatusCode, "%s %s %s", tt.from, tt.method, tt.path)
			if tt.status == 200 {
				assert.Equal(t, []string{"no-store"}, resp.Header["Cache-Control"], tt.path)
				assert.Empty(t, resp.Header["Expires"], tt.path)
				assert.Equal(t, "application/x-pem-file", resp.Header.Get("Content-Type"), tt.path)
				assert.Equal(t, []string{"nosniff"}, resp.Header["X-Content-Type-Options"], tt.path)
				assert.Empty(t, resp.Header["Content-Encoding"], tt.path)
			} else {
				assert.NotContains(t, body, "PRIVATE", tt.path)
				assert.NotContains(t, body, "Index of", tt.path)
			}
		}
	}
	t.Run("files", func(t *testing.T) {
		try(t, []row{
			{friend, "GET", "/certs/senate.example.net.pem", nil, 200},
			{friend, "HEAD", "/certs/senate.example.net.pem", nil, 200},
			{friend, "GET", "/certs/senate.example.net.sha256", nil, 200},
			{friend, "GET", "/certs/senate.example.net.crt", nil, 200},
			{friend, "GET", "/certs/senate.example.net.key", nil, 200},
			{friend, "GET", "/certs/_.example.net.pem", nil, 200},
			{friend, "GET", "/certs/missing.example.net.pem", nil, 404},
			{stranger, "GET", "/certs/senate.example.net.pem", nil, 403},
			{stranger, "GET", "/certs/senate.example.net.pem", password, 403},
			{stranger, "GET", "/certs/senate.example.net.pem", forwarded, 403},
			{stranger, "GET", "/certs/missing.example.net.pem", nil, 403},
			{friend, "POST", "/certs/senate.example.net.pem", nil, 403},
			{friend, "PUT", "/certs/senate.example.net.pem", nil, 403},
			{friend, "DELETE", "/certs/senate.example.net.pem", nil, 403},
			{friend, "GET", "/certs/", nil, 404},
			{friend, "GET", "/certs/senate.example.net", nil, 404},
			{friend, "GET", "/certs/senate.example.net/", nil, 404},
			{friend, "GET", "/certs/senate.example.net/senate.example.net.pem", nil, 404},
			{friend, "GET", "/certs/.certsync/senate.example.net.pem", nil, 404},
			{friend, "GET", "/certs/.certsync-temp/senate.example.net.pem", nil, 404},
			{friend, "GET", "/certs/.certsync%2fsenate.example.net.pem", nil, 404},
			{friend, "GET", "/certs/.hidden.pem", nil, 404},
			{friend, "GET", "/certs/%2ehidden.pem", nil, 404},
			{friend, "GET", "/certs/.pem", nil, 404},
			{friend, "GET", "/certs/-x.pem", nil, 404},
			{friend, "GET", "/certs/senate.example.net.json", nil, 404},
			{friend, "GET", "/certs/x.pem.bak", nil, 404},
			{friend, "GET", "/certs/..%2fsenate.example.net.pem", nil, 404}, // decoded, then a dot segment: /senate.example.net.pem
			{friend, "GET", "/certs/senate.example.net.pem%0a", nil, 404},
			{friend, "GET", "/certs/senate.example.net.pem%00", nil, 400},
			{friend, "GET", "/certs/../../senate.example.net.pem", nil, 400},
		})
	})
	t.Run("publisher", func(t *testing.T) {
		s.Reload(t, nginxServer(web, satisfied+proxy))
		try(t, []row{
			{friend, "GET", "/certs/senate.example.net", nil, 200},
			{friend, "HEAD", "/certs/senate.example.net", nil, 200},
			{friend, "GET", "/certs/senate.example.net", http.Header{"If-None-Match": {entityTag(b.Fingerprint())}}, 304},
			{friend, "GET", "/certs/*.example.net", nil, 200},
			{friend, "GET", "/certs/missing.example.net", nil, 404},
			{friend, "GET", "/certs/senate.example.net.pem", nil, 404},
			{friend, "GET", "/certs/", nil, 404},
			{friend, "POST", "/certs/senate.example.net", nil, 403},
			{stranger, "GET", "/certs/senate.example.net", nil, 403},
			{stranger, "GET", "/certs/senate.example.net", password, 403},
			{stranger, "GET", "/certs/senate.example.net", forwarded, 403},
		})
	})
	cached, err := os.ReadDir(filepath.Join(web, "cache"))
	require.NoError(t, err)
	assert.Empty(t, cached)
	logged := s.AccessLog(t) + s.ErrorLog(t)
	assert.Contains(t, logged, "access forbidden by rule")
	assert.NotContains(t, logged, "PRIVATE")
	assert.NotContains(t, logged, pubSecret(b))
	assert.NotContains(t, logged, "[warn]")
}

// A Client reads from the real nginx, while two bundles are swapped all the time.
func TestNginxClientNeverGetsAMixedBundle(t *testing.T) {
	lab.NeedIsolation(t)
	ca := pubCA(t, nil)
	first, second := pubIssue(t, ca, "senate.example.net"), pubIssue(t, ca, "senate.example.net")
	known := []Fingerprint{first.Fingerprint(), second.Fingerprint()}
	dir := t.TempDir()
	nginxPut(t, dir, first)
	lab.StartNginx(t, nginxServer(t.TempDir(), nginxText(t, NginxOptions{Certs: dir, Allow: pubLoopback})))

	stop, swaps := make(chan struct{}), 0
	var writer sync.WaitGroup
	writer.Go(func() {
		for list := []*Bundle{second, first}; ; swaps++ {
			select {
			case <-stop:
				return
			default:
				nginxPut(t, dir, list[swaps%2])
			}
		}
	})
	halt := sync.OnceFunc(func() { close(stop); writer.Wait() })
	defer halt()
	for name, layout := range map[string]Layout{"combined": Combined, "pair": Pair} {
		var log pubLog
		c := &Client{URL: "http://127.0.0.1:5002/certs/", Plain: pubLoopback, Layout: layout, Retries: -1}
		got, refused, changed := 0, 0, 0
		var have Fingerprint
		for got < 300 {
			require.Less(t, got+refused, 10000, "most do not go together")
			b, err := c.Fetch(t.Context(), "senate.example.net", have)
			switch {
			case err == nil:
				got++
				_, err := b.TLS()
				require.NoError(t, err)
				require.Contains(t, known, b.Fingerprint())
				if b.Fingerprint() != have {
					changed++
				}
				have = b.Fingerprint()
			case err == ErrNotModified:
				have = Fingerprint{} // the next one counts
			default:
				require.Regexp(t, "belongs to another certificate|is not the one that lies beside it", err.Error())
				refused++
			}
		}
		assert.Positive(t, changed)
		t.Logf("%s: %d bundles, none of them mixed; %d times parts of two were refused%s", name, got, refused, log.text.String())
	}
	halt()
	t.Logf("%d swaps", swaps)
}

// FuzzNginx tries that whatever is not refused is the same directives as ever, with other
// values in the same places.
func FuzzNginx(f *testing.F) {
	f.Add("/etc/nginx/certs.conf", "/srv/certs", "127.0.0.1:8181", "", "172.16.1.0/24", "fd77::/64")
	f.Add("/x", "", "[::1]:8181", "[fd77::1]:8182", "::ffff:192.0.2.1/128", "")
	f.Add("/x", "/srv/a;}\nserver{", "[fe80::1%;}]:1", "", "", "")
	f.Add("/x", "/srv/$1\"", "", "127.0.0.1:1", "0.0.0.0/0", "::/0")
	f.Fuzz(func(t *testing.T, path, certs, solver, publisher, allow1, allow2 string) {
		opt := NginxOptions{Path: path, Certs: certs}
		opt.Solver, _ = netip.ParseAddrPort(solver)
		opt.Publisher, _ = netip.ParseAddrPort(publisher)
		for _, p := range []string{allow1, allow2} {
			if prefix, err := netip.ParsePrefix(p); err == nil {
				opt.Allow = append(opt.Allow, prefix)
			}
		}
		o, err := Nginx(opt)
		if err != nil {
			assert.ErrorAs(t, err, new(*ValueError))
			return
		}
		// What is left when the values are as they may be is what every file has.
		text := regexp.MustCompile(`(?m)^(\tallow [0-9a-f.:]+/[0-9]+;\n)+`).ReplaceAllString(string(o.Data), "")
		text = regexp.MustCompile(`http://([0-9.]+|\[[0-9a-f.:]+\]):[0-9]+(/?;)`).ReplaceAllString(text, "http://UPSTREAM$2")
		if certs != "" {
			assert.Regexp(t, `^(/[A-Za-z0-9._+@~-]+)+$`, certs)
			text = strings.Replace(text, "\t\talias "+certs+"/$1;\n", "\t\talias CERTS/$1;\n", 1)
		}
		want := "# Made by rehost, to be included in a server block.\n"
		if solver := opt.Solver; solver != (netip.AddrPort{}) {
			want += strings.Replace(challengeLocation, "SOLVER", "UPSTREAM", 1)
		}
		head := strings.Replace(certsHead, "ALLOW", "", 1)
		switch {
		case opt.Publisher != (netip.AddrPort{}):
			want += head + strings.Replace(certsProxy, "PUBLISHER", "UPSTREAM", 1)
		case certs != "":
			want += head + certsFiles
		}
		assert.Equal(t, want, text)
	})
}

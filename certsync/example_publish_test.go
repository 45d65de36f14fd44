package certsync_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"

	"github.com/rehost/rehost/certsync"
)

// memory is a source of the caller's own. A Dir is one too.
type memory map[string]*certsync.Bundle

func (m memory) Fetch(_ context.Context, name string, have certsync.Fingerprint) (*certsync.Bundle, error) {
	switch b := m[name]; {
	case b == nil:
		return nil, certsync.ErrNotFound
	case b.Fingerprint() == have:
		return nil, certsync.ErrNotModified
	default:
		return b, nil
	}
}

// A private authority makes a certificate, and those who trust its root trust it.
func ExampleNewLocalCA() {
	ca, err := certsync.NewLocalCA(&certsync.LocalCAOptions{Organization: "Senate"})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := ca.Issue(context.Background(), certsync.Request{Name: "senate", Domains: []string{"senate.example.net", "172.16.1.4"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	leaf, err := b.Leaf()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(leaf.DNSNames, leaf.IPAddresses, "by", leaf.Issuer)
	fmt.Println(b.Key)
	fmt.Println(b.Validate(certsync.Policy{Names: []string{"senate.example.net"}, Roots: ca.Roots()}))
	// Output:
	// [senate.example.net] [172.16.1.4] by CN=Senate Intermediate,O=Senate
	// redacted
	// <nil>
}

// The router publishes to the addresses of the tunnel, and to nobody else.
func ExampleHandler() {
	ca, err := certsync.NewLocalCA(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := ca.Issue(context.Background(), certsync.Request{Name: "senate.example.net"})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := certsync.Handler(memory{b.Name: b}, certsync.AllowFrom(netip.MustParsePrefix("172.16.1.0/24")))
	for _, from := range []string{"172.16.1.4:40000", "198.51.100.7:40000"} {
		for _, path := range []string{"/senate.example.net", "/curia.example.net", "/"} {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = from
			r.Header.Set("X-Forwarded-For", "172.16.1.4") // is not believed
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			fmt.Println(from, path, w.Code)
		}
	}
	// Output:
	// 172.16.1.4:40000 /senate.example.net 200
	// 172.16.1.4:40000 /curia.example.net 404
	// 172.16.1.4:40000 / 404
	// 198.51.100.7:40000 /senate.example.net 403
	// 198.51.100.7:40000 /curia.example.net 403
	// 198.51.100.7:40000 / 404
}

// With certificates for clients, each may fetch what its own one is for.
func ExamplePublisher() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	p := &certsync.Publisher{Source: memory{}, Log: log, Allow: func(r *http.Request, name string) bool {
		return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && r.TLS.VerifiedChains[0][0].VerifyHostname(name) == nil
	}}
	// http.Server{Handler: p, TLSConfig: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, …}}
	r := httptest.NewRequest("GET", "/senate.example.net", nil)
	p.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// level=WARN msg=refused from=192.0.2.1:1234 method=GET path=/senate.example.net status=403
}

// A guest asks for what it has already, until there is another one.
func ExampleClient() {
	ca, err := certsync.NewLocalCA(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := ca.Issue(context.Background(), certsync.Request{Name: "senate.example.net"})
	if err != nil {
		fmt.Println(err)
		return
	}
	own, err := ca.Issue(context.Background(), certsync.Request{Name: "ingress", Domains: []string{"127.0.0.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	certificate, err := own.TLS()
	if err != nil {
		fmt.Println(err)
		return
	}
	router := httptest.NewUnstartedServer(certsync.Handler(memory{b.Name: b}, certsync.AllowFrom(netip.MustParsePrefix("127.0.0.0/8"))))
	router.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	router.StartTLS()
	defer router.Close()

	c := &certsync.Client{
		URL:  router.URL, // such as https://ingress.example.net/certs/
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Roots()}}},
	}
	got, err := c.Fetch(context.Background(), "senate.example.net", certsync.Fingerprint{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(bytes.Equal(got.Combined(), b.Combined()))
	_, err = c.Fetch(context.Background(), "senate.example.net", got.Fingerprint())
	fmt.Println(err)
	_, err = c.Fetch(context.Background(), "curia.example.net", certsync.Fingerprint{})
	fmt.Println(errors.Is(err, certsync.ErrNotFound))

	// Keys do not cross a network without TLS by mistake.
	plain := &certsync.Client{URL: "http://192.0.2.1/certs/"}
	_, err = plain.Fetch(context.Background(), "senate.example.net", certsync.Fingerprint{})
	fmt.Println(err)
	// Output:
	// true
	// not modified
	// true
	// URL: "http://192.0.2.1/certs/": a private key would cross the network without TLS, and the host is none of the addresses for which that is allowed
}

// What a server block of nginx on the router includes.
func ExampleNginx() {
	o, err := certsync.Nginx(certsync.NginxOptions{
		Path:   "/etc/nginx/snippets/certs.conf",
		Solver: netip.MustParseAddrPort("127.0.0.1:8181"),
		Certs:  "/srv/certs",
		Allow:  []netip.Prefix{netip.MustParsePrefix("172.16.1.4/32"), netip.MustParsePrefix("fd77::4/128")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(o)
	os.Stdout.Write(o.Data)
	// Output:
	// /etc/nginx/snippets/certs.conf (0644)
	// # Made by rehost, to be included in a server block.
	//
	// location ^~ /.well-known/acme-challenge/ {
	//	allow all;
	//	auth_basic off;
	//	proxy_pass http://127.0.0.1:8181;
	//	proxy_set_header Host $host;
	//	proxy_cache off;
	// }
	//
	// location ^~ /certs/ {
	//	allow 172.16.1.4/32;
	//	allow fd77::4/128;
	//	deny all;
	//	satisfy all;
	//	auth_basic off;
	//	add_header Cache-Control no-store always;
	//	add_header X-Content-Type-Options nosniff always;
	//	expires off;
	//	gzip off;
	//	open_file_cache off;
	//	autoindex off;
	//	location ~ "^/certs/([A-Za-z0-9_][A-Za-z0-9._-]*\.(?:pem|sha256|crt|key))\z" {
	//		limit_except GET {
	//			deny all;
	//		}
	//		types {
	//		}
	//		default_type application/x-pem-file;
	//		alias /srv/certs/$1;
	//	}
	//	return 404;
	// }
}

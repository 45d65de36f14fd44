package main

import (
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/lab"
)

// Addresses of the sample.
var (
	routerAddress = netip.MustParseAddr("203.0.113.63")
	tunnelRouter  = netip.MustParseAddr("172.16.1.1")
	tunnelGuest   = netip.MustParseAddr("172.16.1.4")
)

// haveAddress gives this machine an address of the sample for as long as the test lasts.
func haveAddress(t *testing.T, at netip.Addr) {
	t.Helper()
	lab.NeedIsolation(t)
	lab.Need(t, "ip")
	host := netip.PrefixFrom(at, at.BitLen()).String()
	runOK(t, "ip", "addr", "add", host, "dev", "lo")
	t.Cleanup(func() {
		out, err := exec.Command("ip", "addr", "del", host, "dev", "lo").CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
}

// renderedZone is a zone of phase 4.
func renderedZone(t *testing.T, dir, host string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "out/04-dns", host, "etc/namedb/example.net"))
	require.NoError(t, err)
	return string(data)
}

// serveZone serves a zone at an address, by a real named.
func serveZone(t *testing.T, at netip.Addr, text string) *lab.NamedServer {
	t.Helper()
	lab.Need(t, "named")
	haveAddress(t, at)
	return lab.StartNamed(t, lab.Named{
		Addr:   netip.AddrPortFrom(at, 53),
		Config: `zone "example.net" { type primary; file "example.net"; };`,
		Files:  map[string]string{"example.net": text},
	})
}

// sampleDomains are what the certificates of the sample cover.
var sampleDomains = map[string][]string{
	"senate.example.net": {"senate.example.net", "example.net", "www.example.net", "ingress.example.net"},
	"example.org":        {"example.org"},
}

// withCertificates is a guest that has got its certificates, and one mistake.
func withCertificates(spoil func(t *testing.T, dir string)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		installPhases(t, dir, "senate", "03-certificates")
		for name := range sampleDomains {
			installCertificate(t, filepath.Join(dir, "root", guestCertificates), name)
		}
		spoil(t, dir)
	}
}

// installCertificate gets a new certificate, and installs it.
func installCertificate(t *testing.T, dir, name string) *certsync.Bundle {
	t.Helper()
	ca, err := certsync.NewLocalCA(nil)
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), certsync.Request{Name: name, Domains: sampleDomains[name]})
	require.NoError(t, err)
	require.NoError(t, (&certsync.Dir{Path: dir, Mode: 0o440}).Install(t.Context(), b))
	return b
}

// otherKey puts the key of another generation beside the certificate.
func otherKey(t *testing.T, dir string) {
	b := installCertificate(t, filepath.Join(dir, "other"), "senate.example.net")
	add("root/etc/certificates/senate.example.net/live/privkey.pem", string(b.Key.Reveal()))(t, dir)
}

// serveOld has the port of IMAPS serve a certificate of before.
func serveOld(t *testing.T, dir string) {
	serveTLS(t, "127.0.0.1:993", installCertificate(t, filepath.Join(dir, "other"), "senate.example.net"))
}

// serveTLS shakes hands, and no more, until the test ends.
func serveTLS(t *testing.T, at string, b *certsync.Bundle) {
	t.Helper()
	lab.NeedIsolation(t)
	pair, err := b.TLS()
	require.NoError(t, err)
	l, err := tls.Listen("tcp", at, &tls.Config{Certificates: []tls.Certificate{pair}})
	require.NoError(t, err)
	acceptAll(t, l, func(conn net.Conn) { conn.(*tls.Conn).HandshakeContext(t.Context()) })
}

// acceptAll gives each connection to a function, and closes it.
func acceptAll(t *testing.T, l net.Listener, serve func(net.Conn)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

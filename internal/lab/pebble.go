package lab

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Pebble says how a real pebble is started: an authority that speaks ACME, for tests.
type Pebble struct {
	// Addr is what every name resolves to, and where all of it listens. The zero value is a
	// loopback address of its own, so that several do not compete for ports.
	Addr     netip.Addr
	Host     Host           // where it runs; the zero value: here
	Resolver netip.AddrPort // who tells it addresses; the zero value: its own, at DNS
	HTTPPort uint16         // where it looks for answers to HTTP-01; 0: 5002
	TLSPort  uint16         // likewise for TLS-ALPN-01; 0: 5001

	// ExternalAccounts are those that an account must be bound to: the HMAC, in base64url,
	// by the key's id. Nil: none is asked for.
	ExternalAccounts map[string]string
	AlternateRoots   int                      // further roots, each with a chain of its own
	Profiles         map[string]time.Duration // how long certificates are valid; nil: default, 90 days, and shortlived, 6 days
}

// A PebbleServer is a pebble that runs, with the pebble-challtestsrv that it asks for
// addresses. There are no IPv6 addresses, since pebble tries the first one alone.
type PebbleServer struct {
	Directory  string              // its URL
	HTTP       *http.Client        // trusts it
	CertFile   string              // path of its own certificate, which has signed itself
	Roots      []*x509.Certificate // that sign, the default one first
	Management string              // URL of pebble's own settings, such as /set-renewal-info/
	Challenges string              // URL of pebble-challtestsrv's settings, such as /set-txt

	HTTP01, TLSALPN01 netip.AddrPort // where it looks for answers
	DNS               netip.AddrPort // pebble-challtestsrv

	host Host
	cmd  *exec.Cmd
	log  lockedBuffer
}

// StartPebble starts a pebble that lives as long as the test.
func StartPebble(t testing.TB, p Pebble) *PebbleServer {
	t.Helper()
	Need(t, "pebble", "pebble-challtestsrv")
	if !p.Addr.IsValid() {
		p.Addr = ownLoopback(t)
	}
	if p.Profiles == nil {
		p.Profiles = map[string]time.Duration{"default": 90 * 24 * time.Hour, "shortlived": 6 * 24 * time.Hour}
	}
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(p.Addr, port) }
	listen, manage, challenges := at(14000), at(15000), at(8055)
	s := &PebbleServer{
		Directory:  fmt.Sprintf("https://%s/dir", listen),
		Management: fmt.Sprintf("https://%s", manage),
		Challenges: fmt.Sprintf("http://%s", challenges),
		HTTP01:     at(cmp.Or(p.HTTPPort, 5002)),
		TLSALPN01:  at(cmp.Or(p.TLSPort, 5001)),
		DNS:        at(8053),
		host:       p.Host,
	}
	if !p.Resolver.IsValid() {
		p.Resolver = s.DNS
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	s.CertFile = certFile
	s.HTTP = s.client(t, selfSigned(t, p.Addr, certFile, keyFile))
	profiles := map[string]any{}
	for name, valid := range p.Profiles {
		profiles[name] = map[string]any{"description": name, "validityPeriod": int(valid.Seconds())}
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen.String(), "managementListenAddress": manage.String(),
		"certificate": certFile, "privateKey": keyFile,
		"httpPort": s.HTTP01.Port(), "tlsPort": s.TLSALPN01.Port(),
		"externalAccountBindingRequired": p.ExternalAccounts != nil, "externalAccountMACKeys": p.ExternalAccounts,
		// Asked for the parent of a name that it blocks, pebble panics.
		"domainBlocklist": []string{"blocked.example"},
		"retryAfter":      map[string]int{"authz": 1, "order": 1},
		"keyAlgorithm":    "ecdsa", "profiles": profiles,
	}})
	if err != nil {
		t.Fatal(err)
	}
	configFile := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, nil, "pebble-challtestsrv", "-management", challenges.String(), "-dnsserver", s.DNS.String(),
		"-defaultIPv4", p.Addr.String(), "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	// Without these it sleeps before a validation, refuses nonces and skips validations, all
	// at random.
	env := []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0",
		fmt.Sprintf("PEBBLE_ALTERNATE_ROOTS=%d", p.AlternateRoots)}
	s.cmd = s.start(t, env, "pebble", "-config", configFile, "-dnsserver", p.Resolver.String())
	s.await(t, s.Directory)
	s.await(t, s.Challenges)
	for i := range p.AlternateRoots + 1 {
		block, _ := pem.Decode(s.await(t, fmt.Sprintf("%s/roots/%d", s.Management, i)))
		if block == nil {
			t.Fatalf("pebble shows no root %d", i)
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		s.Roots = append(s.Roots, root)
	}
	return s
}

// Pool holds the roots.
func (s *PebbleServer) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, root := range s.Roots {
		pool.AddCert(root)
	}
	return pool
}

// Set posts to one of the settings, such as Challenges + "/set-txt".
func (s *PebbleServer) Set(url string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	response, err := s.HTTP.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// Log returns what pebble and pebble-challtestsrv have logged.
func (s *PebbleServer) Log() string { return s.log.String() }

// Stop ends pebble before the test ends: an authority that is down.
func (s *PebbleServer) Stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *PebbleServer) start(t testing.TB, env []string, argv ...string) *exec.Cmd {
	t.Helper()
	if s.host.Netns != "" {
		argv = s.host.Command(argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// await gets a page of a server that may not listen yet.
func (s *PebbleServer) await(t testing.TB, url string) []byte {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	limit := time.After(30 * time.Second)
	for {
		response, err := s.HTTP.Get(url)
		if err == nil {
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			return body
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("%v\n%s", err, s.Log())
		}
	}
}

// ownLoopback returns an address that nobody listens on. Only Linux has more than 127.0.0.1,
// unless somebody has added them.
func ownLoopback(t testing.TB) netip.Addr {
	t.Helper()
	for range 100 {
		addr := netip.AddrFrom4([4]byte{127, byte(1 + mathrand.N(254)), byte(mathrand.N(256)), byte(1 + mathrand.N(254))})
		if runtime.GOOS != "linux" {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 14000).String())
		if err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no loopback address is free")
	return netip.Addr{}
}

// client returns one that trusts pebble, and dials from where pebble is.
func (s *PebbleServer) client(t testing.TB, trusted *x509.CertPool) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	if s.host.Netns != "" {
		transport.DialContext = func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			err = s.host.Do(func() (err error) {
				conn, err = new(net.Dialer).DialContext(ctx, network, addr)
				return err
			})
			return conn, err
		}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// selfSigned writes a certificate of a server at an address, and returns it as a pool.
func selfSigned(t testing.TB, addr netip.Addr, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(10 * 365 * 24 * time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{addr.AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// A lockedBuffer takes the output of several programs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

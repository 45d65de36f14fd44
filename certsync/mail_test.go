package certsync_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/lab"
)

const mailName = "mail.example.net"

// A mailHost has a consumer that fetches from a router, on loopback.
type mailHost struct {
	*certsync.Consumer
	ca     *certsync.LocalCA
	router certsync.Dir
}

func newMailHost(t *testing.T, dir *certsync.Dir, keys certsync.KeyType) *mailHost {
	t.Helper()
	lab.NeedIsolation(t)
	h := &mailHost{router: certsync.Dir{Path: filepath.Join(t.TempDir(), "router")}}
	var err error
	h.ca, err = certsync.NewLocalCA(&certsync.LocalCAOptions{KeyType: keys})
	require.NoError(t, err)
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: certsync.Handler(&h.router, certsync.AllowFrom(loopback))}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	h.Consumer = &certsync.Consumer{
		Source:       &certsync.Client{URL: "http://" + listener.Addr().String() + "/", Plain: []netip.Prefix{loopback}},
		Dir:          dir,
		Certificates: []certsync.Certificate{{Name: mailName}},
		Policy:       certsync.Policy{Roots: h.ca.Roots()},
	}
	h.renew(t)
	_, err = h.Sync(t.Context())
	require.NoError(t, err, "before any daemon runs")
	return h
}

// renew publishes a new certificate, and returns its leaf.
func (h *mailHost) renew(t *testing.T) *x509.Certificate {
	t.Helper()
	b := issue(t, h.ca, mailName)
	require.NoError(t, h.router.Install(t.Context(), b))
	leaf, err := b.Leaf()
	require.NoError(t, err)
	return leaf
}

// live is the path of a file of the version in use.
func (h *mailHost) live(name string) string {
	return filepath.Join(h.Dir.Path, mailName, "live", name)
}

func (h *mailHost) pending(t *testing.T) []string {
	t.Helper()
	status, err := h.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status, 1)
	return status[0].Pending
}

func (h *mailHost) postfix(t *testing.T, config string) *lab.MailServer {
	t.Helper()
	return lab.StartPostfix(t, lab.Postfix{Chain: h.live("combined.pem"), Config: config})
}

func (h *mailHost) dovecot(t *testing.T) *lab.MailServer {
	t.Helper()
	return lab.StartDovecot(t, lab.Dovecot{Chain: h.live("fullchain.pem"), Key: h.live("privkey.pem")})
}

// mailDaemon is a server as a Consumer knows it, which has the time that a busy machine needs.
func mailDaemon(name string, s *lab.MailServer) certsync.Daemon {
	starttls := certsync.ProbeSMTP
	if s.Reload[0] == "doveadm" {
		starttls = certsync.ProbeIMAP
	}
	return certsync.Daemon{
		Name:     name,
		Reload:   certsync.ReloadCommand(s.Reload...),
		Probe:    certsync.Probes(starttls(s.Plain.String(), mailName), certsync.ProbeTLS(s.TLS.String(), mailName)),
		Patience: time.Minute,
	}
}

// mailServes waits until a daemon serves the leaf on all its ports: after a reload an old
// process may take a connection when a new one has answered already.
func mailServes(t *testing.T, d certsync.Daemon, leaf *x509.Certificate) {
	t.Helper()
	mailEventually(t, func() bool {
		served, err := d.Probe(t.Context())
		return err == nil && leaf.Equal(served)
	}, d.Name)
}

// mailSerials is what another client than the probes sees: openssl.
func mailSerials(t *testing.T, servers ...*lab.MailServer) []string {
	t.Helper()
	lab.Need(t, "openssl")
	var serials []string
	for _, s := range servers {
		protocol := "smtp"
		if s.Reload[0] == "doveadm" {
			protocol = "imap"
		}
		for _, args := range [][]string{{s.Plain.String(), "-starttls", protocol}, {s.TLS.String()}} {
			out, err := exec.CommandContext(t.Context(), "openssl", append([]string{"s_client", "-connect"}, args...)...).Output()
			require.NoError(t, err, "%s", args)
			x509 := exec.CommandContext(t.Context(), "openssl", "x509", "-noout", "-serial")
			x509.Stdin = strings.NewReader(string(out))
			serial, err := x509.Output()
			require.NoError(t, err)
			serials = append(serials, strings.TrimSpace(string(serial)))
		}
	}
	return serials
}

// A mailSession is an IMAP session that is logged in.
type mailSession struct {
	conn *tls.Conn
	r    *bufio.Reader
}

func newMailSession(t *testing.T, s *lab.MailServer) *mailSession {
	t.Helper()
	conn, err := tls.Dial("tcp", s.TLS.String(), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	session := &mailSession{conn, bufio.NewReader(conn)}
	session.do(t, "LOGIN who x")
	session.do(t, "SELECT INBOX")
	return session
}

func (s *mailSession) do(t *testing.T, command string) {
	t.Helper()
	s.conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, err := fmt.Fprintf(s.conn, "a %s\r\n", command)
	require.NoError(t, err)
	for {
		line, err := s.r.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, "a ") {
			require.Contains(t, line, "a OK ", command)
			return
		}
	}
}

func TestMailServersServeWhatWasIssued(t *testing.T) {
	t.Parallel()
	h := newMailHost(t, &certsync.Dir{Path: filepath.Join(t.TempDir(), "certs")}, "")
	combined := h.postfix(t, "")
	pair := lab.StartPostfix(t, lab.Postfix{Chain: h.live("fullchain.pem"), Key: h.live("privkey.pem")})
	dovecot := lab.StartDovecot(t, lab.Dovecot{Chain: h.live("fullchain.pem"), Key: h.live("privkey.pem"),
		Config: "shutdown_clients = no"}) // else it ends sessions six seconds after a reload
	h.Daemons = []certsync.Daemon{mailDaemon("postfix", combined), mailDaemon("postfix-pair", pair), mailDaemon("dovecot", dovecot)}
	all := []string{"postfix", "postfix-pair", "dovecot"}

	events, err := h.Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 1, "nothing is new, but nobody has been told yet")
	assert.Equal(t, events[0].Old, events[0].New)
	assert.Equal(t, all, events[0].Daemons)

	session := newMailSession(t, dovecot)
	for range 2 {
		leaf := h.renew(t)
		events, err = h.Sync(t.Context())
		require.NoError(t, err)
		require.Len(t, events, 1)
		assert.NotEqual(t, events[0].Old, events[0].New)
		assert.Equal(t, all, events[0].Daemons)
		for _, d := range h.Daemons {
			mailServes(t, d, leaf)
		}
		serial := fmt.Sprintf("serial=%X", leaf.SerialNumber.Bytes())
		mailEventually(t, func() bool {
			return slices.Equal(slices.Repeat([]string{serial}, 6), mailSerials(t, combined, pair, dovecot))
		}, "openssl")
		session.do(t, "NOOP")
	}
	session.do(t, "LOGOUT")
	events, err = h.Sync(t.Context())
	require.NoError(t, err)
	assert.Empty(t, events, "everybody has been told")
}

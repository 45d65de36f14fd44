package certsync_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/lab"
)

// TestMailReloadThatFailsIsPending stops the daemons, as a host does that is being updated.
func TestMailReloadThatFailsIsPending(t *testing.T) {
	t.Parallel()
	h := newMailHost(t, &certsync.Dir{Path: filepath.Join(t.TempDir(), "certs")}, "")
	postfix, dovecot := h.postfix(t, ""), h.dovecot(t)
	h.Daemons = []certsync.Daemon{mailDaemon("postfix", postfix), mailDaemon("dovecot", dovecot)}
	_, err := h.Sync(t.Context())
	require.NoError(t, err)

	postfix.Stop(t)
	dovecot.Stop(t)
	leaf := h.renew(t)
	for range 2 {
		_, err = h.Sync(t.Context())
		require.ErrorContains(t, err, "postfix: reload: postfix -c ") // which says why in its log alone
		require.ErrorContains(t, err, "dovecot: reload: doveadm -c ")
		assert.ElementsMatch(t, []string{"postfix", "dovecot"}, h.pending(t))
	}
	for i, status := range []int{1, 75} {
		var exit *exec.ExitError
		require.ErrorAs(t, h.Daemons[i].Reload(t.Context()), &exit)
		assert.Equal(t, status, exit.ExitCode(), h.Daemons[i].Name)
	}

	dovecot.Start(t)
	events, err := h.Sync(t.Context())
	require.Error(t, err)
	require.Len(t, events, 1)
	assert.Equal(t, []string{"dovecot"}, events[0].Daemons)
	assert.Equal(t, []string{"postfix"}, h.pending(t))

	postfix.Start(t)
	events, err = h.Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.Equal(t, []string{"postfix"}, events[0].Daemons, "and dovecot is not told twice")
	assert.Empty(t, h.pending(t))
	for _, d := range h.Daemons {
		mailServes(t, d, leaf)
	}
}

// TestMailReloadThatExitsZeroWithADeadService puts by hand in place what a script might, which
// both daemons reload without a word, and has the probes find it.
func TestMailReloadThatExitsZeroWithADeadService(t *testing.T) {
	t.Parallel()
	h := newMailHost(t, &certsync.Dir{Path: filepath.Join(t.TempDir(), "certs")}, "")
	postfix := lab.StartPostfix(t, lab.Postfix{Chain: h.live("fullchain.pem"), Key: h.live("privkey.pem")})
	dovecot := h.dovecot(t)
	h.Daemons = []certsync.Daemon{mailDaemon("postfix", postfix), mailDaemon("dovecot", dovecot)}
	_, err := h.Sync(t.Context())
	require.NoError(t, err)

	other, err := certsync.NewPrivateKey("")
	require.NoError(t, err)
	wants := []string{
		postfix.Plain.String() + ": STARTTLS: the server said \"454 4.7.0 TLS not available due to local problem\"",
		dovecot.Plain.String() + ": TLS handshake: the server said in the clear \"* BYE ", // after it agreed to STARTTLS
	}
	for _, fault := range []struct {
		name, file string
		content    []byte
	}{
		{"a page as certificate", "fullchain.pem", []byte("<html><h1>404 Not Found</h1></html>\n")},
		{"a mismatched pair", "privkey.pem", other.Reveal()},
	} {
		good := read(t, h.live(fault.file))
		require.NoError(t, os.WriteFile(h.live(fault.file), fault.content, 0o600))
		for i, d := range h.Daemons {
			require.NoError(t, d.Reload(t.Context()), "%s: %s", fault.name, d.Name)
			// An old process may answer on one port when a new one has the other already.
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				_, err := d.Probe(t.Context())
				assert.ErrorContains(c, err, wants[i])
			}, 30*time.Second, 10*time.Millisecond, "%s: %s", fault.name, d.Name)
		}
		require.NoError(t, os.WriteFile(h.live(fault.file), []byte(good), 0o600))
		for _, d := range h.Daemons {
			require.NoError(t, d.Reload(t.Context()))
			mailEventually(t, func() bool {
				_, err := d.Probe(t.Context())
				return err == nil
			}, d.Name)
		}
	}
}

// mailPatience is with a daemon that does not come to serve what it should, so that it passes
// whole. A machine that stands still for seconds must leave time for a probe.
const mailPatience = 10 * time.Second

// TestMailServerThatDiesOfAReloadIsToldAgain has a script break what was installed before the daemon reads
// it. The next run repairs it.
func TestMailServerThatDiesOfAReloadIsToldAgain(t *testing.T) {
	t.Parallel()
	h := newMailHost(t, &certsync.Dir{Path: filepath.Join(t.TempDir(), "certs")}, "")
	d := mailDaemon("postfix", h.postfix(t, ""))
	d.Patience = mailPatience
	reload := d.Reload
	d.Reload = func(ctx context.Context) error {
		if err := os.WriteFile(h.live("combined.pem"), []byte("<html>\n"), 0o600); err != nil {
			return err
		}
		return reload(ctx)
	}
	h.Daemons = []certsync.Daemon{d}
	leaf := h.renew(t)
	_, err := h.Sync(t.Context())
	require.ErrorContains(t, err, "postfix: probe: probe 1 of 2: ")
	require.ErrorContains(t, err, "454 4.7.0 TLS not available")

	h.Daemons[0].Reload, h.Daemons[0].Patience = reload, time.Minute
	events, err := h.Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.Equal(t, []string{"postfix"}, events[0].Daemons)
	mailServes(t, d, leaf)
	assert.Empty(t, h.pending(t))
}

// TestMailRollbackOfAKeyThatADaemonRefuses has an authority change to keys that the daemon's TLS
// cannot use: ECDSA where only RSA is configured, and RSA of fewer bits than OpenSSL takes.
func TestMailRollbackOfAKeyThatADaemonRefuses(t *testing.T) {
	t.Parallel()
	h := newMailHost(t, &certsync.Dir{Path: filepath.Join(t.TempDir(), "certs")}, certsync.RSA2048)
	h.Rollback = true
	h.Policy.Roots = nil
	postfix := mailDaemon("postfix", h.postfix(t, "smtpd_tls_protocols = TLSv1.2\nsmtpd_tls_ciphers = high\ntls_high_cipherlist = aRSA"))
	dovecot := mailDaemon("dovecot", h.dovecot(t))
	for _, test := range []struct {
		daemon  certsync.Daemon
		refused func() *certsync.Bundle
		want    string
	}{
		{postfix, func() *certsync.Bundle { return issue(t, authority(t), mailName) }, "TLS handshake: remote error: tls: handshake failure"},
		{dovecot, func() *certsync.Bundle { return mailWeakBundle(t) }, "TLS handshake: "},
	} {
		test.daemon.Patience = mailPatience
		h.Daemons = []certsync.Daemon{test.daemon}
		leaf := h.renew(t)
		_, err := h.Sync(t.Context())
		require.NoError(t, err, test.daemon.Name)

		require.NoError(t, h.router.Install(t.Context(), test.refused()))
		events, err := h.Sync(t.Context())
		require.ErrorContains(t, err, test.daemon.Name+": rolled back: probe: ")
		assert.ErrorContains(t, err, test.want)
		require.Len(t, events, 1)
		assert.Equal(t, events[0].Old, events[0].New)
		mailServes(t, test.daemon, leaf)
		assert.Empty(t, h.pending(t))

		events, err = h.Sync(t.Context())
		require.NoError(t, err, "it is not tried again today")
		require.Len(t, events, 1)
		assert.True(t, events[0].Warning)
		assert.Empty(t, events[0].Daemons)
	}
}

// mailWeakBundle is one that nobody issues any more.
func mailWeakBundle(t *testing.T) *certsync.Bundle {
	t.Helper()
	keys := make([]*rsa.PrivateKey, 2) // of the leaf and the authority
	for i, bits := range []int{1024, 2048} {
		var err error
		keys[i], err = rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
	}
	end := time.Now().Add(365 * 24 * time.Hour)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Weak CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{mailName}, NotBefore: ca.NotBefore, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	var chain []byte
	for i, c := range []*x509.Certificate{leaf, ca} {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, keys[i].Public(), keys[1])
		require.NoError(t, err)
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err := certsync.PrivateKeyOf(keys[0])
	require.NoError(t, err)
	return &certsync.Bundle{Name: mailName, Chain: chain, Key: key}
}

// TestMailCombinedFileOfAGroup is for daemons that read one file, digest and all, and for the
// group that may.
func TestMailCombinedFileOfAGroup(t *testing.T) {
	t.Parallel()
	lab.NeedRoot(t)
	lab.Need(t, "cat")
	mail, err := user.LookupGroup("mail")
	require.NoError(t, err)
	gid, err := strconv.Atoi(mail.Gid)
	require.NoError(t, err)
	dir := t.TempDir()
	for _, open := range []string{dir, filepath.Dir(dir)} {
		require.NoError(t, os.Chmod(open, 0o755))
	}
	h := newMailHost(t, &certsync.Dir{Path: filepath.Join(dir, "certs"), Layout: certsync.Combined, Group: "mail", Mode: 0o440}, "")
	path := filepath.Join(h.Dir.Path, mailName+".pem")
	require.Regexp(t, "^# sha256 [0-9a-f]{64}\n-----BEGIN PRIVATE KEY-----\n", read(t, path))
	for reader, allowed := range map[int]bool{gid: true, 65534: false} {
		cat := exec.Command("cat", path)
		cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: uint32(reader)}}
		assert.Equal(t, allowed, cat.Run() == nil, reader)
	}
	https := lab.FreeAddr(t)
	nginx := lab.StartNginx(t, fmt.Sprintf("server { listen %s ssl; ssl_certificate %s; ssl_certificate_key %[2]s; }", https, path))
	h.Daemons = []certsync.Daemon{
		mailDaemon("postfix", lab.StartPostfix(t, lab.Postfix{Chain: path})),
		mailDaemon("dovecot", lab.StartDovecot(t, lab.Dovecot{Chain: path})),
		{
			Name:     "nginx",
			Reload:   certsync.ReloadSignal(filepath.Join(nginx.Dir, "pid"), syscall.SIGHUP),
			Probe:    certsync.ProbeTLS(https.String(), mailName),
			Patience: time.Minute,
		},
	}
	leaf := h.renew(t)
	events, err := h.Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.Equal(t, []string{"postfix", "dovecot", "nginx"}, events[0].Daemons)
	for _, d := range h.Daemons {
		mailServes(t, d, leaf)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o440), info.Mode())
}

// mailEventually waits for a real program.
func mailEventually(t *testing.T, condition func() bool, name string) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: it has not come to pass in half a minute", name)
		}
	}
}

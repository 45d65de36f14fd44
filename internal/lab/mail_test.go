package lab

import (
	"bufio"
	"crypto/tls"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMailServersStopAndStart(t *testing.T) {
	Need(t, "openssl")
	dir := t.TempDir()
	chain, key := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", key, "-out", chain, "-subj", "/CN=mail.example.net", "-days", "3")
	for name, server := range map[string]struct {
		start    func() *MailServer
		greeting string
	}{
		"Postfix": {func() *MailServer { return StartPostfix(t, Postfix{Chain: chain, Key: key}) }, "220 mail.example.net ESMTP Postfix"},
		"Dovecot": {func() *MailServer { return StartDovecot(t, Dovecot{Chain: chain, Key: key}) }, "* OK"},
	} {
		s := server.start()
		greeted := func(conn net.Conn, err error) {
			t.Helper()
			require.NoError(t, err, "%s: %s", name, s.Log())
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			line, err := bufio.NewReader(conn).ReadString('\n')
			require.NoError(t, err, "%s: %s", name, s.Log())
			assert.Contains(t, line, server.greeting)
		}
		for range 2 {
			greeted(net.Dial("tcp", s.Plain.String()))
			greeted(tls.Dial("tcp", s.TLS.String(), &tls.Config{InsecureSkipVerify: true}))
			require.NoError(t, exec.Command(s.Reload[0], s.Reload[1:]...).Run())
			s.Stop(t)
			_, err := net.Dial("tcp", s.Plain.String())
			require.Error(t, err)
			require.Error(t, exec.Command(s.Reload[0], s.Reload[1:]...).Run(), "%s: nobody is there to reload", name)
			s.Start(t)
		}
	}
}

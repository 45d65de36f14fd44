package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postfix says how a real Postfix is started, which takes no mail but speaks TLS.
type Postfix struct {
	Chain  string // path of the certificates
	Key    string // path of their key; empty: it is in Chain, in front of them
	Config string // lines of main.cf
}

// Dovecot says how a real Dovecot is started. Every user's password is "x".
type Dovecot struct {
	Chain  string // path of the certificates
	Key    string // path of their key; empty: it is in Chain too
	Config string // lines of dovecot.conf
}

// A MailServer is a Postfix or a Dovecot that runs.
type MailServer struct {
	Plain  netip.AddrPort // SMTP or IMAP with STARTTLS
	TLS    netip.AddrPort // the same within TLS from the start
	Reload []string       // the command that has it read its certificates again
	Dir    string         // where all its files are

	command []string // that runs it
	pid     string   // path of the file with the number of its first process
	ended   chan struct{}
}

// StartPostfix starts a Postfix that lives as long as the test.
func StartPostfix(t testing.TB, p Postfix) *MailServer {
	t.Helper()
	Need(t, "postfix", "postconf")
	s := newMailServer(t)
	daemons, err := exec.Command("postconf", "-dh", "daemon_directory").Output()
	if err != nil {
		t.Fatal(err)
	}
	certificates := "smtpd_tls_chain_files = " + p.Chain
	if p.Key != "" {
		certificates = fmt.Sprintf("smtpd_tls_cert_file = %s\nsmtpd_tls_key_file = %s", p.Chain, p.Key)
	}
	etc, data := s.mkdir(t, "etc"), s.mkdir(t, "data")
	s.mkdir(t, "spool")
	s.pid = filepath.Join(s.Dir, "spool/pid/master.pid")
	run(t, "chown", "postfix", data)
	s.write(t, "etc/main.cf", `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
daemon_directory = %[2]s
myhostname = mail.example.net
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
notify_classes =
alias_maps =
alias_database =
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
smtpd_tls_security_level = may
%[3]s
%[4]s
`, s.Dir, strings.TrimSpace(string(daemons)), certificates, p.Config)
	s.write(t, "etc/master.cf", `%s inet n - n - - smtpd
%s inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`, s.Plain, s.TLS)
	s.command = []string{"postfix", "-c", etc, "start-fg"}
	s.Reload = []string{"postfix", "-c", etc, "reload"}
	s.Start(t)
	return s
}

// StartDovecot starts a Dovecot that lives as long as the test.
func StartDovecot(t testing.TB, d Dovecot) *MailServer {
	t.Helper()
	Need(t, "dovecot", "doveadm")
	s := newMailServer(t)
	if d.Key == "" {
		d.Key = d.Chain
	}
	s.pid = filepath.Join(s.Dir, "run/master.pid")
	run(t, "chown", "65534", s.mkdir(t, "mail")) // the uid below
	conf := s.write(t, "dovecot.conf", `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = imap
listen = 127.0.0.1
mail_location = maildir:%[1]s/mail/%%u
ssl = yes
ssl_cert = <%[2]s
ssl_key = <%[3]s
service imap-login {
  chroot =
  inet_listener imap {
    port = %[4]d
  }
  inet_listener imaps {
    port = %[5]d
    ssl = yes
  }
}
passdb {
  driver = static
  args = password=x
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=%[1]s/mail/%%u
}
%[6]s
`, s.Dir, d.Chain, d.Key, s.Plain.Port(), s.TLS.Port(), d.Config)
	s.command = []string{"dovecot", "-F", "-c", conf}
	s.Reload = []string{"doveadm", "-c", conf, "reload"}
	s.Start(t)
	return s
}

// newMailServer makes the folder of a server that runs as several users.
func newMailServer(t testing.TB) *MailServer {
	t.Helper()
	NeedIsolation(t)
	NeedRoot(t)
	s := &MailServer{Dir: t.TempDir(), Plain: FreeAddr(t), TLS: FreeAddr(t)}
	for _, dir := range []string{s.Dir, filepath.Dir(s.Dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of %s:\n%s", s.command[0], s.Log())
		}
		s.Stop(t)
	})
	return s
}

func (s *MailServer) mkdir(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *MailServer) write(t testing.TB, name, format string, args ...any) string {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o644); err != nil {
		t.Fatal(err)
	}
	// Postfix waits until nobody has written to main.cf for two seconds.
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Start starts it again after Stop.
func (s *MailServer) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// A child, so that its end is known, and no pipe, which its own children might hold.
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	s.await(t, "started", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s does not start:\n%s", s.command[0], s.Log())
		default:
		}
		return greets(s.Plain)
	})
}

// Stop ends it before the test ends. If it has ended already, nothing is done.
func (s *MailServer) Stop(t testing.TB) {
	t.Helper()
	if s.ended == nil {
		return // it was never started
	}
	s.await(t, "stopped", func() bool {
		select {
		case <-s.ended:
			// Its children end a moment later than itself.
			return !listens(s.Plain) && !listens(s.TLS)
		default:
		}
		// Of Postfix the child is only a shell that waits for it. Right after its start the
		// file may not be there yet.
		if text, err := os.ReadFile(s.pid); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 1 {
				syscall.Kill(pid, syscall.SIGTERM)
			}
		}
		return false
	})
}

func (s *MailServer) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s has not %s within half a minute:\n%s", s.command[0], what, s.Log())
		}
	}
}

// greets reports whether there is a greeting: a Dovecot that has just begun to listen, and
// is told to stop, needs six seconds for it.
func greets(addr netip.AddrPort) bool {
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}

func listens(addr netip.AddrPort) bool {
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// Log returns what it has logged.
func (s *MailServer) Log() string {
	text, err := os.ReadFile(filepath.Join(s.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func run(t testing.TB, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

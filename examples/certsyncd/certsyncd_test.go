package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/certsyncd/service"
	"github.com/rehost/rehost/examples/internal/certconf"
	"github.com/rehost/rehost/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Isolate()
	testscript.Main(m, map[string]func(){"certsyncd": main})
}

func TestScript(t *testing.T) {
	lab.NeedIsolation(t)
	lab.Need(t, "openssl")
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await, "listens": listens},
		Setup: func(e *testscript.Env) error {
			// With the race detector, each program would sleep a second at its end.
			e.Vars = append(e.Vars, "GORACE=atexit_sleep_ms=0")
			return nil
		},
	})
}

// exits is a command of the scripts: exits STATUS PROGRAM [ARGUMENT...].
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if status, err := statusOf(ts, args); err != nil || status != args[0] {
		ts.Fatalf("%s exits with %s (%v), and not with status %s", strings.Join(args[1:], " "), status, err, args[0])
	}
}

// await is the same for what takes a while.
func await(ts *testscript.TestScript, _ bool, args []string) {
	again(ts, func() bool {
		status, err := statusOf(ts, args)
		return err == nil && status == args[0]
	})
}

// listens waits until somebody listens at an address.
func listens(ts *testscript.TestScript, _ bool, args []string) {
	again(ts, func() bool {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", args[0])
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func statusOf(ts *testscript.TestScript, args []string) (string, error) {
	err := ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return strconv.Itoa(failed.ExitCode()), nil
	}
	return "0", err
}

func again(ts *testscript.TestScript, done func() bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !done(); <-tick.C {
		if time.Now().After(deadline) {
			ts.Fatalf("it has not come to that in 30 seconds")
		}
	}
}

func TestSamplesMakeBothEnds(t *testing.T) {
	router, err := load("router.toml")
	require.NoError(t, err)
	consumer, err := router.consumer()
	require.NoError(t, err)
	assert.Equal(t, "/var/lib/certsyncd/state/state.json", consumer.State)
	assert.Equal(t, &certsync.Dir{Path: "/var/lib/certsyncd/published"}, consumer.Source)
	require.Len(t, consumer.Daemons, 1)
	assert.NotNil(t, consumer.Daemons[0].Reload)
	assert.NotNil(t, consumer.Daemons[0].Probe)
	guest, err := load("guest.toml")
	require.NoError(t, err)
	consumer, err = guest.consumer()
	require.NoError(t, err)
	assert.Empty(t, consumer.State)
	assert.True(t, consumer.Rollback)
	assert.Equal(t, 20*time.Second, consumer.Daemons[1].Patience)
	assert.Equal(t, "senate.example.net", guest.serverName(guest.Daemons[0]))
}

// TestAPrivateAuthority gets a certificate from a pebble that is trusted for its file only,
// and wants accounts to be bound to one of its own.
func TestAPrivateAuthority(t *testing.T) {
	lab.NeedIsolation(t)
	const secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	pebble := lab.StartPebble(t, lab.Pebble{ExternalAccounts: map[string]string{"kid-1": secret}})
	dir := t.TempDir()
	conn, err := tls.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(pebble.Directory, "https://"), "/dir"), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer conn.Close()
	files := map[string]string{
		"ca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})),
		"hmac":   secret + "\n",
		"c.toml": fmt.Sprintf(`[issue]
directory = %q
ca = "%[2]s/ca.pem"
accept_terms = true
account = "%[2]s/account"
eab_key_id = "kid-1"
eab_hmac_file = "%[2]s/hmac"
profile = "default"
http01 = %[3]q
[publish]
dir = "%[2]s/published"
[[certificate]]
name = "senate.example.net"
`, pebble.Directory, dir, pebble.HTTP01),
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, (&flags{}).issue(t.Context(), []string{filepath.Join(dir, "c.toml")}))
	c, err := load(filepath.Join(dir, "c.toml"))
	require.NoError(t, err)
	b, err := c.published().Fetch(t.Context(), "senate.example.net", certsync.Fingerprint{})
	require.NoError(t, err)
	assert.NoError(t, b.Validate(certsync.Policy{Roots: pebble.Pool()}))
}

// TestNothingOfAnEventGetsIntoTheHeader gives the mail an error of several lines, of which
// one looks like a header, as what a server answers may.
func TestNothingOfAnEventGetsIntoTheHeader(t *testing.T) {
	to := &certconf.Notify{To: []string{"hostmaster@example.net"}, From: "certsyncd@senate.example.net"}
	events := []certsync.Event{{Name: "example.net", Err: errors.New("no\r\n\r\nBcc: x@example.org\nand \xff")}, {Name: "example.org", New: certsync.Fingerprint{1}}}
	text := string(message(to, "/etc/certsyncd.toml", events, time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)))
	m, err := mail.ReadMessage(strings.NewReader(text))
	require.NoError(t, err)
	at, err := m.Header.Date()
	require.NoError(t, err)
	assert.Equal(t, "2026-11-23T04:05:06Z", at.UTC().Format(time.RFC3339))
	assert.Equal(t, "<hostmaster@example.net>", must(m.Header.AddressList("To"))[0].String())
	assert.Contains(t, m.Header.Get("Subject"), "need a look")
	assert.Empty(t, m.Header.Get("Bcc"))
	assert.Contains(t, text, "\n\nexample.net: no ;  ; Bcc: x@example.org; and \ufffd\nexample.org: a new certificate\n")
}

// TestAMailerMayDeliverInTheBackground has one that leaves a process behind, which keeps
// what it has open.
func TestAMailerMayDeliverInTheBackground(t *testing.T) {
	dir := t.TempDir()
	mailer := filepath.Join(dir, "sendmail")
	require.NoError(t, os.WriteFile(mailer, []byte("#!/bin/sh\nsleep 1000 &\necho $! >"+dir+"/pid\ncat >"+dir+"/mail\n"), 0o700))
	to := &certconf.Notify{To: []string{"hostmaster@example.net"}, From: "certsyncd@senate.example.net", Sendmail: mailer}
	require.NoError(t, sendMail(t.Context(), to, "/etc/certsyncd.toml", []certsync.Event{{Name: "example.net", New: certsync.Fingerprint{1}}}, time.Now()))
	assert.FileExists(t, filepath.Join(dir, "mail"))
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	require.NoError(t, err)
	process, err := os.FindProcess(must(strconv.Atoi(strings.TrimSpace(string(pid)))))
	require.NoError(t, err)
	assert.NoError(t, process.Kill(), "it was still there")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestSystemdTakesTheUnits verifies them as they are, but for the program's place.
func TestSystemdTakesTheUnits(t *testing.T) {
	lab.Need(t, "systemd-analyze")
	program, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, name := range []string{"certsyncd-issue.service", "certsyncd-issue.timer", "certsyncd-serve.service", "certsyncd-run.service"} {
		text, err := service.Files.ReadFile(name)
		require.NoError(t, err)
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/certsyncd", program)), 0o600))
		args = append(args, path)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.Empty(t, string(out))
}

// TestShellsTakeTheScript asks two shells, and shellcheck besides what rc.subr reads.
func TestShellsTakeTheScript(t *testing.T) {
	for _, argv := range [][]string{{"sh", "-n"}, {"dash", "-n"}, {"shellcheck", "-s", "sh", "-e", "SC1091,SC2034"}} {
		lab.Need(t, argv[0])
		out, err := exec.CommandContext(t.Context(), argv[0], append(argv[1:], "service/certsyncd")...).CombinedOutput()
		assert.NoError(t, err, "%v: %s", argv, out)
	}
}

// TestTheScriptStarts gives it an rc.subr that starts what is not running as NetBSD's does,
// and programs that say how they were called.
func TestTheScriptStarts(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"rc.subr": "load_rc_config() { :; }\nrun_rc_command() {\n[ \"$1\" = start ] && [ -z \"$start_cmd\" ] && [ -x \"$command\" ] || return 1\necho \"Starting $name.\"\neval $command $rc_flags $command_args\n}\n",
		"program": "#!/bin/sh\necho \"$@\"\necho failed >&2\n",
		"logger":  "#!/bin/sh\ncat >" + dir + "/log\n",
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
	script, err := service.Files.ReadFile("certsyncd")
	require.NoError(t, err)
	text := strings.NewReplacer("/etc/rc.subr", dir+"/rc.subr", "/usr/local/bin/${name}", dir+"/program").Replace(string(script))
	cmd := exec.CommandContext(t.Context(), "sh", "-c", text+"\nwait", "certsyncd", "start")
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "Starting certsyncd.\n", string(out))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		log, err := os.ReadFile(filepath.Join(dir, "log"))
		require.NoError(c, err)
		assert.Equal(c, "run /etc/certsyncd.toml\nfailed\n", string(log))
	}, 30*time.Second, 20*time.Millisecond)
}

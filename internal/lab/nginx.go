package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An NginxServer is an nginx that runs.
type NginxServer struct {
	Dir string // its folder

	cmd *exec.Cmd
}

// StartNginx starts an nginx that lives as long as the test, with these server blocks, and
// whatever else stands in an http block. Its workers are root, so that they can read what a
// test keeps in its folders. It is a place of its own that needs none of the files of
// the system's nginx.
func StartNginx(t testing.TB, servers string) *NginxServer {
	t.Helper()
	s := newNginx(t, servers)
	if said := s.check(t); strings.Contains(said, "[emerg]") {
		t.Fatal(said)
	}
	s.cmd = s.command("-g", "daemon off;")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The master ends its workers only if it is asked.
		s.cmd.Process.Signal(syscall.SIGTERM)
		stuck := time.AfterFunc(10*time.Second, func() { s.cmd.Process.Kill() })
		s.cmd.Wait()
		stuck.Stop()
	})
	s.await(t, workerStarted, 1)
	return s
}

// CheckNginx returns what nginx -t says against the server blocks, also where it only
// warns, or "".
func CheckNginx(t testing.TB, servers string) string {
	t.Helper()
	return newNginx(t, servers).check(t)
}

func (s *NginxServer) check(t testing.TB) string {
	t.Helper()
	out, err := s.command("-t", "-q").CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	return string(out)
}

func newNginx(t testing.TB, servers string) *NginxServer {
	t.Helper()
	Need(t, "nginx")
	s := &NginxServer{Dir: t.TempDir()}
	s.write(t, servers)
	return s
}

func (s *NginxServer) write(t testing.TB, servers string) {
	t.Helper()
	var user string
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`%[2]s
worker_processes 1;
pid %[1]s/pid;
error_log %[1]s/error.log notice;
events { }
http {
	access_log %[1]s/access.log;
	client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp;
	uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
	%[3]s
}
`, s.Dir, user, servers)
	if err := os.WriteFile(s.Path("nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *NginxServer) command(args ...string) *exec.Cmd {
	return exec.Command("nginx", append([]string{"-p", s.Dir, "-e", "stderr", "-c", s.Path("nginx.conf")}, args...)...)
}

// Reload has it take up other server blocks, and waits until no worker is left that has the
// old ones.
func (s *NginxServer) Reload(t testing.TB, servers string) {
	t.Helper()
	s.write(t, servers)
	gone := len(workerGone.FindAllString(s.ErrorLog(t), -1))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.await(t, workerGone, gone+1)
}

// How the master logs the start and the end of a worker. The manager and the loader of a
// cache come and go as well, and answer nobody.
var (
	workerStarted = regexp.MustCompile(`start worker process \d`)
	workerGone    = regexp.MustCompile(`worker process \d+ exited with code 0`)
)

// await waits until the error log has so many matches.
func (s *NginxServer) await(t testing.TB, event *regexp.Regexp, times int) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	limit := time.After(30 * time.Second)
	for len(event.FindAllString(s.ErrorLog(t), -1)) < times {
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("nginx does not log %q:\n%s", event, s.ErrorLog(t))
		}
	}
}

// AccessLog returns what nginx has logged of requests. It logs one after it was answered.
func (s *NginxServer) AccessLog(t testing.TB) string { return s.log(t, "access.log") }

// ErrorLog returns what else nginx has logged.
func (s *NginxServer) ErrorLog(t testing.TB) string { return s.log(t, "error.log") }

func (s *NginxServer) log(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.Path(name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// Path returns the path of a file in its folder.
func (s *NginxServer) Path(name string) string { return filepath.Join(s.Dir, name) }

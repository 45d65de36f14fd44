package lab

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// SSHD says how a real sshd is started.
type SSHD struct {
	Addr   netip.AddrPort // where it listens; the zero value is a free place on loopback
	Prefix []string       // words before sshd, such as [LinkEnd.Command] gives
	Config string         // lines of sshd_config(5)
	Client string         // lines of ssh_config(5)
}

// StartSSHD starts an sshd that lives as long as the test, with keys, configurations
// and known hosts of its own. It returns the words of an ssh that logs in there as
// the present user, and takes nothing from that user's files; what is to run is
// appended.
func StartSSHD(t testing.TB, s SSHD) []string {
	t.Helper()
	Need(t, "sshd", "ssh", "ssh-keygen")
	server, err := exec.LookPath("sshd")
	if err != nil {
		t.Fatal(err)
	}
	// sshd refuses a relative name, as it starts itself again for each connection.
	if server, err = filepath.Abs(server); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		// In a user namespace that a user has made, root may not change its groups, as
		// sshd does.
		if groups, err := os.ReadFile("/proc/self/setgroups"); err == nil && string(groups) == "deny\n" {
			skip(t, "sshd needs a root who is that of the machine")
		}
		// Debian's unit makes it and removes it. Here it stays: the sshd of another
		// test may need it.
		if err := os.Mkdir("/run/sshd", 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if !s.Addr.IsValid() {
		s.Addr = FreeAddr(t)
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", path(key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	public, err := os.ReadFile(path("host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	// The first value that is found counts, in both files.
	files := map[string]string{
		"known_hosts": "lab " + string(public),
		"sshd_config": fmt.Sprintf(`%s
ListenAddress %s
HostKey %s
AuthorizedKeysFile %s
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PidFile none
MaxStartups 100
`, s.Config, s.Addr, path("host"), path("user.pub")),
		"ssh_config": fmt.Sprintf(`%s
Host lab
HostName %s
Port %d
User %s
HostKeyAlias lab
IdentityFile %s
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile %s
GlobalKnownHostsFile none
StrictHostKeyChecking yes
BatchMode yes
ServerAliveInterval 10
`, s.Client, s.Addr.Addr(), s.Addr.Port(), me.Username, path("user"), path("known_hosts")),
	}
	for name, text := range files {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	argv := append(append([]string(nil), s.Prefix...), server, "-D", "-e", "-f", path("sshd_config"))
	cmd := exec.Command(argv[0], argv[1:]...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, ended := make(chan struct{}), make(chan struct{})
	var log []string
	go func() {
		defer close(ended)
		begun := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if !begun {
				log = append(log, lines.Text())
			}
			if !begun && strings.HasPrefix(lines.Text(), "Server listening on ") {
				begun = true
				close(listening)
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill() // which ends the listener; a connection ends with its client
		cmd.Wait()
	})
	select {
	case <-listening:
	case <-ended:
		t.Fatalf("sshd did not start:\n%s", strings.Join(log, "\n"))
	}
	return []string{"ssh", "-F", path("ssh_config"), "lab"}
}

package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Host is a network namespace, known by its name: a machine of a test, with
// interfaces, routes and packet filters of its own. Processes it shares with all
// others, and files too, unless [Host.OwnFiles] has given it some.
type Host struct {
	Netns string
	Root  string // folder that is "/" for what runs there; "": the files are everybody's
}

// NewHost makes a host that lasts as long as the test, with nothing but loopback.
// It needs [Isolate].
func NewHost(t testing.TB, name string) Host {
	t.Helper()
	NeedIsolation(t)
	Need(t, "ip")
	h := Host{Netns: name}
	if err := ip("netns", "add", name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(endAll(name), ip("netns", "delete", name)); err != nil {
			t.Error(err)
		}
	})
	h.Run(t, "ip", "link", "set", "lo", "up")
	// Nobody else can have our addresses, and no test wants to wait for the proof.
	h.Sysctl(t, "net.ipv6.conf.all.accept_dad", "0")
	h.Sysctl(t, "net.ipv6.conf.default.accept_dad", "0")
	return h
}

// Command returns the words that run a program on the host.
func (h Host) Command(argv ...string) []string {
	words := []string{"ip", "netns", "exec", h.Netns}
	if h.Root != "" {
		words = append(words, "chroot", h.Root)
	}
	return append(words, argv...)
}

// Run runs a program on the host, and returns what it prints on both its outputs.
// The test fails if it fails.
func (h Host) Run(t testing.TB, argv ...string) string {
	t.Helper()
	words := h.Command(argv...)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", h.Netns, strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// Sysctl sets a parameter of the host's network, such as "net.ipv4.ip_forward".
func (h Host) Sysctl(t testing.TB, key, value string) {
	t.Helper()
	path := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
	if err := h.Do(func() error { return os.WriteFile(path, []byte(value), 0) }); err != nil {
		t.Fatal(err)
	}
}

// A NIC is an interface of a host.
type NIC struct {
	Host  Host
	Iface string
	Addrs []string // with the lengths of the networks' prefixes, such as "192.0.2.1/24"
}

// Join lays a cable between two hosts: it makes the two interfaces, gives them
// their addresses and sets them up.
func Join(t testing.TB, a, b NIC) {
	t.Helper()
	if err := ip("link", "add", a.Iface, "netns", a.Host.Netns, "type", "veth", "peer", "name", b.Iface, "netns", b.Host.Netns); err != nil {
		t.Fatal(err)
	}
	for _, nic := range []NIC{a, b} {
		for _, addr := range nic.Addrs {
			nic.Host.Run(t, "ip", "address", "add", addr, "dev", nic.Iface)
		}
		nic.Host.Run(t, "ip", "link", "set", nic.Iface, "up")
	}
}

// StartWireGuard makes a WireGuard interface in userspace that lasts as long as the
// test. It is down and has no keys; wg(8) and wgctrl find it by its socket
// /run/wireguard/IFACE.sock, from every host that has no files of its own: a test gives
// each end another name.
func StartWireGuard(t testing.TB, host Host, iface string) {
	t.Helper()
	Need(t, "wireguard")
	words := host.Command("wireguard", "-f", iface)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "LOG_LEVEL=verbose")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder // a warning that a kernel module would be faster, or why it failed
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if strings.HasSuffix(lines.Text(), "UAPI listener started") {
				close(listening)
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		cmd.Wait()
		os.Remove(host.Root + "/run/wireguard/" + iface + ".sock")
	})
	select {
	case <-listening:
	case <-ended:
		cmd.Wait()
		t.Fatalf("wireguard did not start:\n%s", &stderr)
	}
}

// WireGuardIP returns a script for a file called ip, which stands in for a kernel that can
// make WireGuard devices, where the one at hand cannot: it starts the userspace daemon for
// exactly the one command, and leaves all others to the real ip. A daemon ends when its
// device is deleted, and a little later its socket is gone.
func WireGuardIP(t testing.TB) string {
	t.Helper()
	Need(t, "wireguard", "ip")
	var paths []any
	for _, program := range []string{"wireguard", "ip"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return fmt.Sprintf(`#!/bin/sh
case "$*" in
"link add dev $4 type wireguard")
	timeout 30 sh -c 'while test -e "$1"; do :; done' - "/run/wireguard/$4.sock" || exit 1
	exec %s "$4" >/dev/null 2>&1 ;;
esac
exec %s "$@"
`, paths...)
}

func ip(words ...string) error {
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(words, " "), err, out)
	}
	return nil
}

// endAll ends what still runs in a namespace, such as the session of an sshd whose
// client's last packet is on its way. It looks again until nothing is there: what is
// killed may have started another one before.
func endAll(netns string) error {
	for {
		out, err := exec.Command("ip", "netns", "pids", netns).Output()
		fields := strings.Fields(string(out))
		if err != nil || len(fields) == 0 {
			return err
		}
		for _, field := range fields {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			program, err := os.FindProcess(pid)
			if err != nil {
				return err
			}
			if err := program.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
	}
}

package lab

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Named says how a real named is started.
type Named struct {
	Addr    netip.AddrPort    // where it listens; the zero value is a free place
	Options string            // lines inside the options statement
	Config  string            // zones, views and keys
	Files   map[string]string // files in its folder, which file statements are relative to
}

// A NamedServer is a named that runs.
type NamedServer struct {
	Addr netip.AddrPort // answers over UDP and TCP
	Dir  string         // its working directory

	RNDCHost string // the arguments -s, -p and -k of rndc
	RNDCPort uint16
	RNDCKey  string

	cmd   *exec.Cmd
	mu    sync.Mutex
	grown *sync.Cond // the log has a new line, or is at its end
	log   []string
	ended bool
}

// Notify is for the options of a primary whose secondaries are to follow within
// a test's patience.
const Notify = "notify-delay 0; startup-notify-rate 1000; notify-rate 1000; serial-query-rate 1000;"

// StartNamed starts a named that lives as long as the test.
func StartNamed(t testing.TB, n Named) *NamedServer {
	t.Helper()
	Need(t, "named", "rndc")
	if !n.Addr.IsValid() {
		n.Addr = FreeAddr(t)
	}
	control := FreeAddr(t)
	s := &NamedServer{Addr: n.Addr, Dir: t.TempDir(), RNDCHost: control.Addr().String(), RNDCPort: control.Port()}
	s.grown = sync.NewCond(&s.mu)
	s.RNDCKey = filepath.Join(s.Dir, "rndc.key")
	config := filepath.Join(s.Dir, "named.conf")
	host := n.Addr.Addr()
	files := map[string]string{
		"rndc.key": "key \"rndc-key\" {\n\talgorithm hmac-sha256;\n\tsecret \"bG9vcGJhY2sgb25seSwgZm9yIG9uZSB0ZXN0IG9ubHk=\";\n};\n",
		"named.conf": fmt.Sprintf(`include %q;
controls { inet %s port %d allow { any; } keys { "rndc-key"; }; };
options {
	directory %q;
	managed-keys-directory %q;
	pid-file none; session-keyfile none;
	listen-on port %d { %s; }; listen-on-v6 { none; };
	query-source address %[7]s; transfer-source %[7]s; notify-source %[7]s;
	recursion no; dnssec-validation no; empty-zones-enable no; notify explicit;
	%[8]s
};
%[9]s
`, s.RNDCKey, control.Addr(), control.Port(), s.Dir, s.Dir, n.Addr.Port(), host, n.Options, n.Config),
	}
	for name, text := range n.Files {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd = exec.Command("named", "-g", "-4", "-n", "1", "-c", config)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.follow(bufio.NewScanner(stderr))
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-done
		s.cmd.Wait()
	})
	// Earlier lines speak of what it is running on.
	if !s.await(func(line string) bool { return strings.HasSuffix(line, " running") }) {
		t.Fatalf("named did not start:\n%s", s.Log())
	}
	return s
}

func (s *NamedServer) follow(lines *bufio.Scanner) {
	for lines.Scan() {
		s.mu.Lock()
		s.log = append(s.log, lines.Text())
		s.mu.Unlock()
		s.grown.Broadcast()
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.grown.Broadcast()
}

// Await waits for a line of the log that holds the text. It returns false if
// named ends before, or half a minute is over: a test that hangs until go test
// ends it leaves its servers behind.
func (s *NamedServer) Await(text string) bool {
	return s.await(func(line string) bool { return strings.Contains(line, text) })
}

func (s *NamedServer) await(wanted func(line string) bool) bool {
	over := false
	limit := time.AfterFunc(30*time.Second, func() {
		s.mu.Lock()
		over = true
		s.mu.Unlock()
		s.grown.Broadcast()
	})
	defer limit.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(s.log); seen++ {
			if wanted(s.log[seen]) {
				return true
			}
		}
		if s.ended || over {
			return false
		}
		s.grown.Wait()
	}
}

// Log returns what named has logged.
func (s *NamedServer) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// Path returns the path of a file in its folder.
func (s *NamedServer) Path(name string) string { return filepath.Join(s.Dir, name) }

// Stop ends it before the test ends.
func (s *NamedServer) Stop() {
	s.cmd.Process.Kill()
	s.mu.Lock()
	for !s.ended {
		s.grown.Wait()
	}
	s.mu.Unlock()
}

// FreeAddr returns a loopback address and a port that are free for UDP and TCP, and that it
// has not returned before: it may take a moment until somebody listens there. It is always
// 127.0.0.1: named listens only on addresses that an interface has.
func FreeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+atomic.AddUint32(&nextPort, 1)%ports)
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			continue // another program's
		}
		udp, err := net.ListenPacket("udp", addr)
		tcp.Close()
		if err != nil {
			continue // another program's, for UDP
		}
		udp.Close()
		return netip.MustParseAddrPort(addr)
	}
	t.Fatal("no port is free for both UDP and TCP")
	return netip.AddrPort{}
}

// The ports that FreeAddr chooses from are below those that systems give to clients: such
// a one could be some client's before the server takes it. They come one after the other,
// so that two servers that start together have two, and begin anywhere, for tests of other
// packages run at the same time.
const firstPort, ports = 10240, 20000

var nextPort = rand.Uint32N(ports)

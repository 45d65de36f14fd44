package certsync_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// A mill is what the killed process works on: a directory from which certificates are
// published, and two in which they are installed.
type mill struct {
	Root      string // of the directories
	Publisher string // URL of a Handler over the first
	Daemon    string // URL that has the daemon read its files again
	Addr      string // where the daemon serves TLS
}

const milled = "example.net"

func (m mill) published() *certsync.Dir {
	return &certsync.Dir{Path: filepath.Join(m.Root, "published"), Layout: certsync.Combined}
}

func (m mill) installed(layout certsync.Layout) *certsync.Dir {
	return &certsync.Dir{Path: filepath.Join(m.Root, "installed", strconv.Itoa(int(layout))), Layout: layout, Mode: 0o440, Keep: 20}
}

// renew issues and publishes.
func (m mill) renew(ctx context.Context) error {
	ca, err := certsync.NewLocalCA(&certsync.LocalCAOptions{Path: filepath.Join(m.Root, "ca")})
	if err != nil {
		return err
	}
	b, err := ca.Issue(ctx, certsync.Request{Name: milled})
	if err != nil {
		return err
	}
	return m.published().Install(ctx, b)
}

// sync fetches and installs. The daemon reads what lies in the first of the layouts.
func (m mill) sync(ctx context.Context) error {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for layout := range certsync.Pair + 1 {
		c := certsync.Consumer{
			Source:       &certsync.Client{URL: m.Publisher, Plain: loopback},
			Dir:          m.installed(layout),
			Certificates: []certsync.Certificate{{Name: milled}},
			Force:        true, // lifetimes are counted in seconds, and many certificates are made in one
		}
		if layout == certsync.Versions {
			c.Daemons = []certsync.Daemon{{Name: "daemon", Reload: m.reload, Probe: certsync.ProbeTLS(m.Addr, milled)}}
		}
		if _, err := c.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m mill) reload(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Daemon, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// run is the process that is killed: it renews and syncs without a pause.
func (m mill) run() error {
	fmt.Println("begun")
	for {
		if err := errors.Join(m.renew(context.Background()), m.sync(context.Background())); err != nil {
			return err
		}
	}
}

// A miller starts the process, and reads as daemons do while it works.
type miller struct {
	mill
	reading      sync.Mutex
	served       atomic.Pointer[tls.Certificate]
	reloads      atomic.Int64
	notReloaded  atomic.Int64 // a pair that did not go together: the old one is served on
	rotations    atomic.Int64 // versions that the reader of live has seen
	reads        atomic.Int64
	twoPathMixed atomic.Int64
	gone         atomic.Int64 // missing when they were read
	broken       chan string
}

func newMiller(t *testing.T) *miller {
	m := &miller{mill: mill{Root: t.TempDir()}, broken: make(chan string, 1)}
	publisher := httptest.NewServer(certsync.Handler(m.published(), certsync.AllowFrom(netip.MustParsePrefix("127.0.0.1/32"))))
	t.Cleanup(publisher.Close)
	m.Publisher = publisher.URL
	control := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { m.read() }))
	t.Cleanup(control.Close)
	m.Daemon = control.URL
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m.Addr = listener.Addr().String()
	daemon := &http.Server{ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair := m.served.Load(); pair != nil {
				return pair, nil
			}
			return nil, errors.New("nothing to serve")
		},
	}}
	var serving sync.WaitGroup
	serving.Go(func() { daemon.ServeTLS(listener, "", "") })
	t.Cleanup(func() { daemon.Close(); serving.Wait() })
	return m
}

// read reads the two paths, as daemons do at a reload, and says nothing if they do not go
// together. One reload comes after the other: what a process asked for before it was killed
// must not end, with older files, after what the next one asked for.
func (m *miller) read() {
	m.reading.Lock()
	defer m.reading.Unlock()
	m.reloads.Add(1)
	live := filepath.Join(m.installed(certsync.Versions).Path, milled, "live")
	pair, err := tls.LoadX509KeyPair(filepath.Join(live, "fullchain.pem"), filepath.Join(live, "privkey.pem"))
	if err != nil {
		m.notReloaded.Add(1)
		return
	}
	m.served.Store(&pair)
}

// watch reads all the time until it is told to stop.
func (m *miller) watch(stop <-chan struct{}) {
	dir := filepath.Join(m.installed(certsync.Versions).Path, milled)
	readers := []func() error{
		m.readResolved(dir),
		func() error {
			return readCombined(filepath.Join(m.installed(certsync.Combined).Path, milled+".pem"), 0o440)
		},
		func() error { return readCombined(filepath.Join(m.published().Path, milled+".pem"), 0o600) },
		func() error { return readCombined(filepath.Join(dir, "live", "combined.pem"), 0o440) },
		func() error { // allowed to be mixed
			live := filepath.Join(dir, "live")
			if _, err := tls.LoadX509KeyPair(filepath.Join(live, "fullchain.pem"), filepath.Join(live, "privkey.pem")); err != nil {
				m.twoPathMixed.Add(1)
			}
			return nil
		},
	}
	for {
		for _, read := range readers {
			select {
			case <-stop:
				return
			default:
			}
			m.reads.Add(1)
			if err := read(); errors.Is(err, fs.ErrNotExist) {
				m.gone.Add(1)
			} else if err != nil {
				select {
				case m.broken <- err.Error():
				default:
				}
			}
		}
	}
}

// readResolved resolves live once, and then reads both files.
func (m *miller) readResolved(dir string) func() error {
	last := ""
	return func() error {
		version, err := os.Readlink(filepath.Join(dir, "live"))
		if err != nil {
			return err
		}
		if version != last {
			m.rotations.Add(1)
			last = version
		}
		_, err = tls.LoadX509KeyPair(filepath.Join(dir, version, "fullchain.pem"), filepath.Join(dir, version, "privkey.pem"))
		return err
	}
}

// readCombined reads one file, which must be whole, and be as it should from the instant at
// which it can be seen.
func readCombined(path string, mode fs.FileMode) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode() != mode {
		return fmt.Errorf("%s has mode %s", path, info.Mode())
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(data), "# sha256 ") {
		return fmt.Errorf("%s has no digest", path)
	}
	b, err := certsync.ParseBundle(milled, path, data)
	if err != nil {
		return err
	}
	_, err = b.TLS()
	return err
}

// killOnce starts the process and kills it at a random instant.
func (m *miller) killOnce(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CERTSYNC_MILL="+strings.Join([]string{m.Root, m.Publisher, m.Daemon, m.Addr}, " "), "GORACE=atexit_sleep_ms=0")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 6))
	require.NoError(t, err)
	<-time.After(rand.N(200 * time.Millisecond))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Empty(t, said.String(), "it failed before it was killed")
}

// A process that renews, publishes, fetches, installs and reloads without a pause is killed
// at random instants, while others read all the time. Who resolves live once, or reads one
// combined file, never sees a pair that does not go together, or a part. Who opens two paths
// may, until the reload after which the daemon serves what is installed. REHOST_KILLS says
// how often, 50 times if it does not.
func TestKilledAtAnyInstant(t *testing.T) {
	kills := 50
	if n, err := strconv.Atoi(os.Getenv("REHOST_KILLS")); err == nil {
		kills = n
	}
	m := newMiller(t)
	m.converges(t)
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { m.watch(stop) })
	for i := range kills {
		m.killOnce(t)
		if i%5 == 0 { // what a kill has left is made whole by the next run
			m.converges(t)
		}
	}
	close(stop)
	watching.Wait()
	m.converges(t)
	select {
	case seen := <-m.broken:
		t.Fatal(seen)
	default:
	}
	require.Greater(t, m.rotations.Load(), int64(kills)/5)
	assert.Zero(t, m.gone.Load())
	t.Logf("%d kills, %d rotations seen by a reader; %d reads, of which mismatched, partial or missing 0; two paths mixed %d; %d reloads, of which %d met a mixed pair",
		kills, m.rotations.Load(), m.reads.Load(), m.twoPathMixed.Load(), m.reloads.Load(), m.notReloaded.Load())
}

// converges does a run that is not killed, after which all is as it should be.
func (m *miller) converges(t *testing.T) {
	t.Helper()
	require.NoError(t, m.renew(t.Context()))
	require.NoError(t, m.sync(t.Context()))
	want, err := m.published().Fetch(t.Context(), milled, certsync.Fingerprint{})
	require.NoError(t, err)
	for layout := range certsync.Pair + 1 {
		_, err := m.installed(layout).Fetch(t.Context(), milled, want.Fingerprint())
		assert.ErrorIs(t, err, certsync.ErrNotModified, "layout %d", layout)
	}
	leaf, err := want.Leaf()
	require.NoError(t, err)
	served, err := certsync.ProbeTLS(m.Addr, milled)(t.Context())
	require.NoError(t, err)
	assert.True(t, leaf.Equal(served))
	require.NoError(t, filepath.WalkDir(m.Root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), ".certsync-") {
			t.Errorf("left behind: %s", path)
		}
		return err
	}))
}

package certsync_test

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"net"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// A crowd is a consumer of many names that are all installed, and a publisher beside it.
type crowd struct {
	*certsync.Consumer
	url         string
	connections atomic.Int64
	tags        map[string]string // of each name
}

func newCrowd(tb testing.TB, names int) *crowd {
	tb.Helper()
	ca := authority(tb)
	published := &certsync.Dir{Path: filepath.Join(tb.TempDir(), "published"), Layout: certsync.Combined}
	c := &crowd{tags: map[string]string{}}
	server := httptest.NewUnstartedServer(certsync.Handler(published, certsync.AllowFrom(netip.MustParsePrefix("127.0.0.0/8"))))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.connections.Add(1)
		}
	}
	server.Start()
	tb.Cleanup(server.Close)
	c.url = server.URL
	c.Consumer = &certsync.Consumer{
		Source:  &certsync.Client{URL: server.URL, Plain: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Dir:     &certsync.Dir{Path: filepath.Join(tb.TempDir(), "installed")},
		Daemons: []certsync.Daemon{{Name: "nginx"}},
	}
	b := issue(tb, ca, "host0.example.net")
	require.NoError(tb, published.Install(tb.Context(), b))
	require.NoError(tb, c.Dir.Install(tb.Context(), b))
	for i := range names {
		name := fmt.Sprintf("host%d.example.net", i)
		if i > 0 { // as Install would leave them
			require.NoError(tb, os.Link(filepath.Join(published.Path, b.Name+".pem"), filepath.Join(published.Path, name+".pem")))
			linkTree(tb, filepath.Join(c.Dir.Path, b.Name), filepath.Join(c.Dir.Path, name))
		}
		c.tags[name] = `"` + b.Fingerprint().String() + `"`
		c.Certificates = append(c.Certificates, certsync.Certificate{Name: name})
	}
	_, err := c.Sync(tb.Context())
	require.NoError(tb, err)
	return c
}

// linkTree makes a directory like another, with the same files.
func linkTree(tb testing.TB, from, to string) {
	tb.Helper()
	require.NoError(tb, filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		at := to + strings.TrimPrefix(path, from)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.Mkdir(at, 0o700)
		}
		return os.Link(path, at) // of the symbolic link too
	}))
}

// ask is what there is to do at least: a conditional request for each name, one after the
// other on one connection.
func (c *crowd) ask(tb testing.TB, client *http.Client) {
	for _, cert := range c.Certificates {
		req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, c.url+"/"+cert.Name, nil)
		require.NoError(tb, err)
		req.Header.Set("If-None-Match", c.tags[cert.Name])
		resp, err := client.Do(req)
		require.NoError(tb, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(tb, err)
		require.NoError(tb, resp.Body.Close())
		require.Equal(tb, http.StatusNotModified, resp.StatusCode)
	}
}

// In a bubble no time passes while somebody waits for the network. Package http gives up a
// connection that is answered, if it does not hear within 50 ms that the request was written.
func TestNothingToDoIsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 50)
		before := c.connections.Load()
		for range 3 {
			events, err := c.Sync(t.Context())
			require.NoError(t, err)
			assert.Empty(t, events)
		}
		assert.Equal(t, before, c.connections.Load())
		assert.EqualValues(t, 1, before)
	})
}

// BenchmarkSync is a run with nothing to do beside as many bare conditional requests.
func BenchmarkSync(b *testing.B) {
	for _, names := range []int{1000, 10000} {
		b.Run(fmt.Sprint(names, " names"), func(b *testing.B) {
			c := newCrowd(b, names)
			client := &http.Client{Transport: &http.Transport{}}
			c.ask(b, client)
			var bare, ours time.Duration
			var before, after runtime.MemStats
			var peak uint64
			runtime.GC()
			runtime.ReadMemStats(&before)
			b.ResetTimer()
			for range b.N {
				start := time.Now()
				c.ask(b, client)
				bare += time.Since(start)
				start = time.Now()
				events, err := c.Sync(b.Context())
				ours += time.Since(start)
				require.NoError(b, err)
				require.Empty(b, events)
				runtime.ReadMemStats(&after)
				peak = max(peak, after.HeapInuse)
			}
			b.ReportMetric(ours.Seconds()/bare.Seconds(), "ours/bare")
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N*names), "us/name")
			b.ReportMetric(float64(peak)/(1<<20), "MiB-heap")
		})
	}
}

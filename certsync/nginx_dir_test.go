package certsync

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// The router keeps its certificates in a Dir that nginx serves.
func TestNginxServesADir(t *testing.T) {
	lab.NeedIsolation(t)
	ca := pubCA(t, nil)
	path := t.TempDir()
	lab.StartNginx(t, nginxServer(t.TempDir(), nginxText(t, NginxOptions{Certs: path, Allow: pubLoopback})))
	for _, layout := range []Layout{Combined, Pair} {
		for _, name := range []string{"senate.example.net", "*.example.net"} {
			dir := &Dir{Path: path, Layout: layout, Mode: 0o640}
			c := &Client{URL: "http://127.0.0.1:5002/certs/", Plain: pubLoopback, Layout: layout, Retries: -1}
			_, err := c.Fetch(t.Context(), name+".missing", Fingerprint{})
			require.ErrorIs(t, err, ErrNotFound)
			for range 3 {
				b := pubIssue(t, ca, name)
				require.NoError(t, dir.Install(t.Context(), b))
				got, err := c.Fetch(t.Context(), name, Fingerprint{})
				require.NoError(t, err)
				assert.Equal(t, b.Fingerprint(), got.Fingerprint())
				_, err = c.Fetch(t.Context(), name, b.Fingerprint())
				assert.Equal(t, ErrNotModified, err)
			}
		}
	}
}

// ETag of nginx is mtime and size: two bundles of the same size in the same second have the
// same one, and a Client sees the difference.
func TestNginxETagCollides(t *testing.T) {
	lab.NeedIsolation(t)
	ca, path := pubCA(t, nil), t.TempDir()
	first := pubIssue(t, ca, "senate.example.net")
	second := first
	for second == first || len(second.Combined()) != len(first.Combined()) || len(second.Chain) != len(first.Chain) {
		second = pubIssue(t, ca, "senate.example.net")
	}
	lab.StartNginx(t, nginxServer(t.TempDir(), nginxText(t, NginxOptions{Certs: path, Allow: pubLoopback})))
	combined := &Client{URL: "http://127.0.0.1:5002/certs/", Plain: pubLoopback, Layout: Combined, Retries: -1}
	pair := &Client{URL: combined.URL, Plain: pubLoopback, Layout: Pair, Retries: -1}
	var have Fingerprint
	tags, mtime := map[string]bool{}, time.Now()
	for _, b := range []*Bundle{first, second} {
		nginxPut(t, path, b)
		require.NoError(t, os.Chtimes(filepath.Join(path, "senate.example.net.pem"), mtime, mtime))
		resp, _ := nginxGet(t, "127.0.0.1", "127.0.0.1:5002", "HEAD", "/certs/senate.example.net.pem", nil)
		tags[resp.Header.Get("ETag")] = true
		for _, c := range []*Client{combined, pair} {
			got, err := c.Fetch(t.Context(), b.Name, have)
			require.NoError(t, err)
			assert.Equal(t, b.Fingerprint(), got.Fingerprint())
		}
		have = b.Fingerprint()
	}
	assert.Len(t, tags, 1)
}

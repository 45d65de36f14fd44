package certsync_test

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// A shelf is a Source in memory.
type shelf struct {
	mu      sync.Mutex // a run of Run may come while a test puts something there
	bundles map[string]*certsync.Bundle
	err     error // of every Fetch
}

func (s *shelf) Fetch(_ context.Context, name string, have certsync.Fingerprint) (*certsync.Bundle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bundles[name]
	switch {
	case s.err != nil:
		return nil, s.err
	case b == nil:
		return nil, certsync.ErrNotFound
	case b.Fingerprint() == have:
		return nil, certsync.ErrNotModified
	}
	return b, nil
}

func (s *shelf) put(b *certsync.Bundle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bundles[b.Name] = b
}

// A server is a daemon that reads its files when it is reloaded, as Postfix and Dovecot do,
// and goes on with the old ones if it does not like the new.
type server struct {
	dir     *certsync.Dir
	name    string
	reloads int
	leaf    *x509.Certificate
	fail    error                             // of a reload
	refuse  func(leaf *x509.Certificate) bool // a reload that exits 0 and serves nothing
}

func (s *server) daemon(name string) certsync.Daemon {
	return certsync.Daemon{Name: name, Names: []string{s.name}, Reload: s.reload, Probe: s.probe, Patience: time.Second}
}

func (s *server) reload(ctx context.Context) error {
	s.reloads++
	if s.fail != nil {
		return s.fail
	}
	b, err := s.dir.Fetch(ctx, s.name, certsync.Fingerprint{})
	if err != nil {
		return err
	}
	if s.leaf, err = b.Leaf(); err != nil {
		return err
	}
	if s.refuse != nil && s.refuse(s.leaf) {
		s.leaf = nil
	}
	return nil
}

func (s *server) probe(context.Context) (*x509.Certificate, error) {
	if s.leaf == nil {
		return nil, errors.New("454 TLS not available")
	}
	return s.leaf, nil
}

// A guest is a consumer with all that is around it.
type guest struct {
	*certsync.Consumer
	ca     *certsync.LocalCA
	source *shelf
	server *server
	told   [][]certsync.Event // by Notify
}

func newGuest(t testing.TB, opt *certsync.LocalCAOptions) *guest {
	t.Helper()
	ca, err := certsync.NewLocalCA(opt)
	require.NoError(t, err)
	g := &guest{ca: ca, source: &shelf{bundles: map[string]*certsync.Bundle{}}}
	dir := &certsync.Dir{Path: filepath.Join(t.TempDir(), "certs")}
	g.server = &server{dir: dir, name: "example.net"}
	g.Consumer = &certsync.Consumer{
		Source:       g.source,
		Dir:          dir,
		Certificates: []certsync.Certificate{{Name: "example.net"}},
		Daemons:      []certsync.Daemon{g.server.daemon("postfix")},
		Notify: func(_ context.Context, events []certsync.Event) error {
			g.told = append(g.told, events)
			return nil
		},
	}
	g.renew(t)
	return g
}

// renew puts a new certificate on the shelf.
func (g *guest) renew(t testing.TB) *certsync.Bundle {
	t.Helper()
	b := issue(t, g.ca, "example.net")
	g.source.put(b)
	return b
}

func (g *guest) installed(t testing.TB) certsync.Fingerprint {
	t.Helper()
	b, err := g.Dir.Fetch(t.Context(), "example.net", certsync.Fingerprint{})
	require.NoError(t, err)
	return b.Fingerprint()
}

func (g *guest) status(t testing.TB) certsync.Status {
	t.Helper()
	list, err := g.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

func TestSync(t *testing.T) {
	g := newGuest(t, nil)
	assert.Equal(t, certsync.Status{Name: "example.net", Due: true, Daemons: []string{"postfix"}, Problem: "it is not installed"}, g.status(t))

	first := g.source.bundles["example.net"].Fingerprint()
	events, err := g.Sync(t.Context())
	require.NoError(t, err)
	want := certsync.Event{Name: "example.net", New: first, Daemons: []string{"postfix"}}
	assert.Equal(t, []certsync.Event{want}, events)
	assert.Equal(t, [][]certsync.Event{{want}}, g.told)
	status := g.status(t)
	assert.Equal(t, first, status.Fingerprint)
	assert.False(t, status.Due)
	assert.Empty(t, status.Problem)
	assert.WithinDuration(t, time.Now(), status.Succeeded, time.Minute)
	leaf, err := g.source.bundles["example.net"].Leaf()
	require.NoError(t, err)
	assert.Equal(t, strings.ToUpper(hex.EncodeToString(leaf.SerialNumber.Bytes())), status.Serial)

	events, err = g.Sync(t.Context())
	require.NoError(t, err)
	assert.Empty(t, events)
	assert.Equal(t, 1, g.server.reloads, "once per change")

	second := g.renew(t).Fingerprint()
	events, err = g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []certsync.Event{{Name: "example.net", Old: first, New: second, Daemons: []string{"postfix"}}}, events)
	assert.Equal(t, 2, g.server.reloads)
	assert.Len(t, g.told, 2)
}

func TestADaemonIsToldOnceForAllItsCertificates(t *testing.T) {
	g := newGuest(t, nil)
	g.source.put(issue(t, g.ca, "www.example.net"))
	g.source.put(issue(t, g.ca, "example.org"))
	g.Certificates = []certsync.Certificate{{Name: "example.net"}, {Name: "www.example.net"}, {Name: "example.org"}}
	other := &server{dir: g.Dir, name: "example.org"}
	g.Daemons[0].Names = []string{"example.net", "www.example.net"}
	g.Daemons = append(g.Daemons, other.daemon("dovecot"))
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1}, []int{g.server.reloads, other.reloads})
	g.source.put(issue(t, g.ca, "example.org"))
	_, err = g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, []int{g.server.reloads, other.reloads}, "only who serves it")
}

// What a source offers is refused, and nothing is touched.
func TestFaultsOfASource(t *testing.T) {
	for _, test := range []struct {
		fault string
		offer func(t *testing.T, g *guest) *certsync.Bundle
		rule  certsync.Rule
	}{
		{"mismatched pair", func(t *testing.T, g *guest) *certsync.Bundle {
			return &certsync.Bundle{Name: "example.net", Chain: issue(t, g.ca, "example.net").Chain, Key: issue(t, g.ca, "example.net").Key}
		}, certsync.RuleKey},
		{"wrong names", func(t *testing.T, g *guest) *certsync.Bundle {
			return issue(t, g.ca, "example.net", "example.org")
		}, certsync.RuleNames},
		{"expired", func(t *testing.T, g *guest) *certsync.Bundle {
			b := issue(t, g.ca, "example.net")
			time.Sleep(91 * 24 * time.Hour)
			return b
		}, certsync.RuleExpired},
		{"not yet valid", func(t *testing.T, g *guest) *certsync.Bundle {
			late, err := certsync.NewLocalCA(&certsync.LocalCAOptions{Backdate: -1})
			require.NoError(t, err)
			b := issue(t, late, "example.net")
			g.Policy.Now = time.Now().Add(-10 * time.Minute)
			return b
		}, certsync.RuleNotYet},
		{"older", func(t *testing.T, g *guest) *certsync.Bundle {
			short, err := certsync.NewLocalCA(&certsync.LocalCAOptions{Lifetime: 24 * time.Hour})
			require.NoError(t, err)
			return issue(t, short, "example.net")
		}, certsync.RuleOlder},
		{"no intermediate", func(t *testing.T, g *guest) *certsync.Bundle {
			flat, err := certsync.NewLocalCA(&certsync.LocalCAOptions{NoIntermediate: true})
			require.NoError(t, err)
			return issue(t, flat, "example.net")
		}, certsync.RuleChain},
		{"wrong root", func(t *testing.T, g *guest) *certsync.Bundle {
			g.Policy.Roots = g.ca.Roots()
			return issue(t, authority(t), "example.net")
		}, certsync.RuleChain},
		{"wrong key type", func(t *testing.T, g *guest) *certsync.Bundle {
			g.Policy.KeyTypes = []certsync.KeyType{certsync.RSA2048}
			return issue(t, g.ca, "example.net")
		}, certsync.RuleKeyType},
		{"a page of HTML", func(t *testing.T, g *guest) *certsync.Bundle {
			return &certsync.Bundle{Name: "example.net", Chain: []byte("<!DOCTYPE html><h1>404</h1>"), Key: issue(t, g.ca, "example.net").Key}
		}, certsync.RulePEM},
	} {
		t.Run(test.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuest(t, nil)
				_, err := g.Sync(t.Context())
				require.NoError(t, err)
				before, version := g.installed(t), tree(t, filepath.Join(g.Dir.Path, "example.net"))

				g.source.put(test.offer(t, g))
				events, err := g.Sync(t.Context())
				invalid, ok := errors.AsType[*certsync.InvalidError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, test.rule, invalid.Rule)
				require.Len(t, events, 1)
				assert.Error(t, events[0].Err)
				assert.Equal(t, before, events[0].New)
				assert.Equal(t, before, g.installed(t))
				assert.Equal(t, version, tree(t, filepath.Join(g.Dir.Path, "example.net")))
				assert.Equal(t, 1, g.server.reloads)
				assert.Contains(t, g.status(t).Problem, string(test.rule))
			})
		})
	}
}

func TestForceInstallsAnOlderOne(t *testing.T) {
	g := newGuest(t, nil)
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	short, err := certsync.NewLocalCA(&certsync.LocalCAOptions{Lifetime: 48 * time.Hour})
	require.NoError(t, err)
	older := issue(t, short, "example.net")
	g.source.put(older)
	g.Force = true
	_, err = g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, older.Fingerprint(), g.installed(t))
}

// A source that cannot be reached is a warning while the certificate is good, and an error
// that is told once a day when its end comes near.
func TestAnUnreachableSourceCanWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		g.source.err = errors.New("connection refused")
		events, err := g.Sync(t.Context())
		require.NoError(t, err)
		require.Len(t, events, 1)
		assert.True(t, events[0].Warning)
		assert.Equal(t, "connection refused", g.status(t).Problem)
		assert.Len(t, g.told, 1, "not of a warning")

		time.Sleep(77 * 24 * time.Hour) // 90 days, of which an hour had passed; 14 before the end
		for range 48 {
			events, err = g.Sync(t.Context())
			require.ErrorContains(t, err, "example.net: connection refused")
			assert.False(t, events[0].Warning)
			time.Sleep(time.Hour)
		}
		assert.Len(t, g.told, 3, "once a day")
		status := g.status(t)
		assert.True(t, status.Due)
		assert.Equal(t, time.Since(status.Succeeded).Round(24*time.Hour), 79*24*time.Hour)

		g.source.err = nil
		g.renew(t)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		assert.Empty(t, g.status(t).Problem)
	})
}

// A source that answers and never has anything newer is not forgotten.
func TestASourceThatDoesNotRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		time.Sleep(60 * 24 * time.Hour)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		time.Sleep(17 * 24 * time.Hour)
		_, err = g.Sync(t.Context())
		assert.ErrorContains(t, err, "the source has no newer one")
		assert.Len(t, g.told, 2)
	})
}

func (nothing) Fetch(context.Context, string, certsync.Fingerprint) (*certsync.Bundle, error) {
	return nil, nil
}

func (nothing) Issue(context.Context, certsync.Request) (*certsync.Bundle, error) { return nil, nil }

func TestConsumersThatCannotWork(t *testing.T) {
	for title, change := range map[string]func(*certsync.Consumer){
		"no source":      func(c *certsync.Consumer) { c.Source = nil },
		"no directory":   func(c *certsync.Consumer) { c.Dir = nil },
		"a bad name":     func(c *certsync.Consumer) { c.Certificates[0].Name = "../x" },
		"twice":          func(c *certsync.Consumer) { c.Certificates = append(c.Certificates, c.Certificates[0]) },
		"unnamed daemon": func(c *certsync.Consumer) { c.Daemons[0].Name = "" },
		"unknown name":   func(c *certsync.Consumer) { c.Daemons[0].Names = []string{"example.org"} },
	} {
		t.Run(title, func(t *testing.T) {
			g := newGuest(t, nil)
			change(g.Consumer)
			_, err := g.Sync(t.Context())
			assert.Error(t, err)
			_, err = g.Status(t.Context())
			assert.Error(t, err)
			assert.Error(t, g.Run(t.Context()))
		})
	}
}

func TestNotifyFails(t *testing.T) {
	g := newGuest(t, nil)
	g.Notify = func(context.Context, []certsync.Event) error { return errors.New("sendmail: not found") }
	_, err := g.Sync(t.Context())
	assert.ErrorContains(t, err, "notify: sendmail: not found")
	assert.Empty(t, g.status(t).Pending)
}

// A set-up with the lego program goes on as it is: its tree is what is published.
func TestTreeOfTheLegoProgramIsASource(t *testing.T) {
	g := newGuest(t, nil)
	tree := filepath.Join(t.TempDir(), ".lego", "certificates")
	require.NoError(t, os.MkdirAll(tree, 0o700))
	run := func() *certsync.Bundle { // lego run, and lego renew
		b := issue(t, g.ca, "*.example.net")
		for ending, data := range map[string][]byte{".crt": b.Chain, ".issuer.crt": b.Chain, ".key": b.Key.Reveal(), ".json": []byte("{}")} {
			require.NoError(t, os.WriteFile(filepath.Join(tree, "_.example.net"+ending), data, 0o600))
		}
		return b
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	router := httptest.NewServer(certsync.Handler(&certsync.Dir{Path: tree, Layout: certsync.Pair}, certsync.AllowFrom(loopback...)))
	defer router.Close()
	g.Source = &certsync.Client{URL: router.URL, Plain: loopback, Retries: -1}
	g.Certificates = []certsync.Certificate{{Name: "*.example.net"}}
	g.server.name = "*.example.net"
	g.Daemons = []certsync.Daemon{g.server.daemon("postfix")}

	first := run()
	events, err := g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []certsync.Event{{Name: "*.example.net", New: first.Fingerprint(), Daemons: []string{"postfix"}}}, events)
	second := run()
	events, err = g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []certsync.Event{{Name: "*.example.net", Old: first.Fingerprint(), New: second.Fingerprint(), Daemons: []string{"postfix"}}}, events)

	// Half a renewal: lego was killed between .crt and .key.
	require.NoError(t, os.WriteFile(filepath.Join(tree, "_.example.net.crt"), first.Chain, 0o600))
	events, err = g.Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.True(t, events[0].Warning)
	assert.Equal(t, second.Fingerprint(), events[0].New)
}

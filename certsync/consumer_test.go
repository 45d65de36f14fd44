package certsync_test

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

func TestReloadThatFailsStaysPending(t *testing.T) {
	g := newGuest(t, nil)
	g.server.fail = errors.New("exit status 75")
	_, err := g.Sync(t.Context())
	require.ErrorContains(t, err, "example.net: postfix: reload: exit status 75")
	assert.Equal(t, []string{"postfix"}, g.status(t).Pending)
	_, err = g.Sync(t.Context())
	require.Error(t, err)
	assert.Equal(t, 2, g.server.reloads, "tried again, though nothing is new")
	assert.Len(t, g.told, 1, "told once a day")

	g.server.fail = nil
	events, err := g.Sync(t.Context())
	require.NoError(t, err)
	fp := g.installed(t)
	assert.Equal(t, []certsync.Event{{Name: "example.net", Old: fp, New: fp, Daemons: []string{"postfix"}}}, events)
	assert.Empty(t, g.status(t).Pending)
}

// A Probe and a Source of a caller's own may do what they like.
func TestOddProbesAndSources(t *testing.T) {
	g := newGuest(t, nil)
	g.source.bundles["example.net"].Name = "../../another"
	g.Daemons[0].Probe = func(context.Context) (*x509.Certificate, error) { return nil, nil }
	g.Daemons[0].Patience = time.Millisecond
	_, err := g.Sync(t.Context())
	assert.ErrorContains(t, err, "postfix: probe: it says nothing of what is served")
	assert.Equal(t, g.source.bundles["example.net"].Fingerprint(), g.installed(t))

	g.Source = nothing{}
	_, err = g.Sync(t.Context())
	assert.ErrorContains(t, err, "postfix: probe")
	assert.Contains(t, g.status(t).Problem, "neither a bundle nor an error")
	answer := httptest.NewRecorder()
	certsync.Handler(nothing{}, func(*http.Request, string) bool { return true }).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/example.net", nil))
	assert.Equal(t, http.StatusInternalServerError, answer.Code)
	r, _ := newRenewer(t)
	r.Issuer = nothing{}
	_, err = r.Renew(t.Context())
	assert.ErrorContains(t, err, "neither a bundle nor an error")
}

// nothing is a Source and an Issuer that returns nothing at all.
type nothing struct{}

func (nothing) Fetch(context.Context, string, certsync.Fingerprint) (*certsync.Bundle, error) {
	return nil, nil
}

func (nothing) Issue(context.Context, certsync.Request) (*certsync.Bundle, error) { return nil, nil }

// What was broken by hand is put right, and daemons are told: they may have read it.
func TestMendedFilesAreToldAgain(t *testing.T) {
	g := newGuest(t, nil)
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	fp := g.installed(t)
	require.NoError(t, os.WriteFile(filepath.Join(g.Dir.Path, "example.net/live/combined.pem"), []byte("<html>"), 0o600))
	status := g.status(t)
	assert.True(t, status.Due)
	assert.Contains(t, status.Problem, "combined.pem")
	events, err := g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []certsync.Event{{Name: "example.net", New: fp, Daemons: []string{"postfix"}}}, events)
	assert.Equal(t, 2, g.server.reloads)
}

// Postfix and Dovecot both reload with status 0 and serve nothing.
func TestReloadThatExits0WithADeadService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.server.refuse = func(*x509.Certificate) bool { return true }
		_, err := g.Sync(t.Context())
		require.ErrorContains(t, err, "postfix: probe: 454 TLS not available")
		assert.Equal(t, []string{"postfix"}, g.status(t).Pending)
	})
}

func TestRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.Rollback = true
		dovecot := &server{dir: g.Dir, name: "example.net"}
		g.Daemons = []certsync.Daemon{dovecot.daemon("dovecot"), g.server.daemon("postfix")}
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		old := g.installed(t)
		bad := g.renew(t)
		badLeaf, err := bad.Leaf()
		require.NoError(t, err)
		g.server.refuse = badLeaf.Equal

		events, err := g.Sync(t.Context())
		require.ErrorContains(t, err, "postfix: rolled back: probe: 454 TLS not available")
		require.Len(t, events, 1)
		assert.Equal(t, old, events[0].New)
		assert.Equal(t, []string{"dovecot"}, events[0].Daemons)
		assert.Equal(t, old, g.installed(t))
		assert.False(t, dovecot.leaf.Equal(badLeaf), "who was told before is told again")
		assert.False(t, g.server.leaf.Equal(badLeaf))
		assert.Empty(t, g.status(t).Pending)

		reloads := g.server.reloads
		events, err = g.Sync(t.Context())
		require.NoError(t, err)
		require.Len(t, events, 1)
		assert.True(t, events[0].Warning)
		assert.ErrorContains(t, events[0].Err, "was rolled back")
		assert.Equal(t, reloads, g.server.reloads)

		good := g.renew(t)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		assert.Equal(t, good.Fingerprint(), g.installed(t), "another one is tried at once")
	})
}

// A rejection ends after a day: the daemon may have been at fault.
func TestARejectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.Rollback = true
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		bad := g.renew(t)
		leaf, err := bad.Leaf()
		require.NoError(t, err)
		g.server.refuse = leaf.Equal
		_, err = g.Sync(t.Context())
		require.Error(t, err)
		g.server.refuse = nil
		time.Sleep(23 * time.Hour)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, bad.Fingerprint(), g.installed(t))
		time.Sleep(time.Hour)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		assert.Equal(t, bad.Fingerprint(), g.installed(t))
	})
}

// A daemon that serves neither has trouble of its own: the new certificate stays.
func TestNoRollbackForADeadDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.Rollback = true
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		next := g.renew(t)
		g.server.refuse = func(*x509.Certificate) bool { return true }
		_, err = g.Sync(t.Context())
		require.ErrorContains(t, err, "454")
		assert.Equal(t, next.Fingerprint(), g.installed(t))
		assert.Equal(t, []string{"postfix"}, g.status(t).Pending)
		g.server.refuse = nil
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		assert.Empty(t, g.status(t).Pending)
	})
}

func TestNoRollbackToWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.Rollback = true
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		time.Sleep(91 * 24 * time.Hour)
		next := g.renew(t)
		leaf, err := next.Leaf()
		require.NoError(t, err)
		g.server.refuse = leaf.Equal
		_, err = g.Sync(t.Context())
		require.ErrorContains(t, err, "454")
		assert.Equal(t, next.Fingerprint(), g.installed(t))
	})
}

// The caller's end of a run is no fault of a certificate.
func TestACancelledRunRollsNothingBack(t *testing.T) {
	g := newGuest(t, nil)
	g.Rollback = true
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	next := g.renew(t)
	ctx, cancel := context.WithCancel(t.Context())
	g.Daemons[0].Probe = func(ctx context.Context) (*x509.Certificate, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err = g.Sync(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, next.Fingerprint(), g.installed(t))
	assert.Equal(t, []string{"postfix"}, g.status(t).Pending)
}

// A clock that jumps by months, as after a suspend or a dead battery, leads to one run that
// does what is due.
func TestAClockThatJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		assert.Equal(t, 1, g.server.reloads)

		next := g.renew(t)
		time.Sleep(66 * time.Minute)
		synctest.Wait()
		assert.Equal(t, next.Fingerprint(), g.installed(t))
		assert.Equal(t, 2, g.server.reloads)

		time.Sleep(120 * 24 * time.Hour)
		next = g.renew(t)
		time.Sleep(66 * time.Minute)
		synctest.Wait()
		assert.Equal(t, next.Fingerprint(), g.installed(t))
		assert.Empty(t, g.status(t).Problem)

		// A clock that was set back finds a certificate that is not valid yet.
		g.Policy.Now = time.Now().Add(-48 * time.Hour)
		kept := g.installed(t)
		g.renew(t)
		time.Sleep(66 * time.Minute)
		synctest.Wait()
		assert.Equal(t, kept, g.installed(t))
		assert.Contains(t, g.status(t).Problem, "not yet valid")
		g.Policy.Now = time.Time{}
		g.renew(t)
		time.Sleep(66 * time.Minute)
		synctest.Wait()
		assert.NotEqual(t, kept, g.installed(t))

		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
}

func TestRunIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		wake := make(chan os.Signal)
		g.Wake = wake
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		next := g.renew(t)
		wake <- os.Interrupt
		synctest.Wait()
		assert.Equal(t, next.Fingerprint(), g.installed(t))
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
}

// What failed is tried again after a minute, two, four, and so on up to the interval.
func TestRunTriesAgainSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		var reloads atomic.Int64
		g.Daemons[0].Reload = func(context.Context) error {
			reloads.Add(1)
			return errors.New("not running")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		time.Sleep(35 * time.Minute) // 1 + 2 + 4 + 8 + 16 = 31, more or less a tenth
		synctest.Wait()
		assert.EqualValues(t, 6, reloads.Load())
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		assert.InDelta(t, 6+24, reloads.Load(), 3)
		cancel()
		<-done
	})
}

func TestTwoConsumersOnOneDirectory(t *testing.T) {
	g := newGuest(t, nil)
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := g.Sync(t.Context())
			errs <- err
		}()
	}
	for range 8 {
		assert.NoError(t, <-errs)
	}
	assert.Equal(t, 1, g.server.reloads)
	assert.Len(t, g.told, 1)
}

func TestAnotherRunHasTheLock(t *testing.T) {
	g := newGuest(t, nil)
	inside, leave := make(chan bool), make(chan bool)
	g.Daemons[0].Reload = func(context.Context) error {
		inside <- true
		<-leave
		return errors.New("whatever")
	}
	done := make(chan error)
	go func() { _, err := g.Sync(t.Context()); done <- err }()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := g.Sync(ctx)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "another process has it")
	leave <- true
	assert.Error(t, <-done)
}

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

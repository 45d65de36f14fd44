package certsync_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

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

package certsync_test

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// What never was installed cannot wait, however long the alarm is.
func TestNothingInstalledIsNoWarning(t *testing.T) {
	g := newGuest(t, nil)
	g.Alarm = 7 * 24 * time.Hour
	g.source.err = errors.New("connection refused")
	events, err := g.Sync(t.Context())
	require.ErrorContains(t, err, "connection refused")
	assert.False(t, events[0].Warning)
	assert.Len(t, g.told, 1)
}

// A run that was ended early says nothing of what it did not look at.
func TestACancelledRunKeepsWhatFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		time.Sleep(80 * 24 * time.Hour)
		g.source.err = errors.New("connection refused")
		_, err = g.Sync(t.Context())
		require.ErrorContains(t, err, "connection refused")
		before := g.status(t)
		time.Sleep(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = g.Sync(ctx)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, before, g.status(t))
		told := len(g.told)
		_, err = g.Sync(t.Context())
		require.Error(t, err)
		assert.Len(t, g.told, told, "it was told an hour ago")
	})
}

// Who could not be told of an error is told of it by the next run.
func TestAnErrorThatNobodyWasToldOf(t *testing.T) {
	g := newGuest(t, nil)
	g.source.err = errors.New("connection refused")
	notify := g.Notify
	g.Notify = func(context.Context, []certsync.Event) error { return errors.New("sendmail: not found") }
	_, err := g.Sync(t.Context())
	require.ErrorContains(t, err, "sendmail: not found")
	g.Notify = notify
	for range 2 {
		_, err = g.Sync(t.Context())
		require.Error(t, err)
	}
	assert.Len(t, g.told, 1)
}

// A clock that was a year ahead when an error was told, or a certificate rolled back, does
// not have the consumer keep still for a year.
func TestAClockThatWasAhead(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.json")
	dir := filepath.Join(t.TempDir(), "certs")
	var ca *certsync.LocalCA
	var bad *certsync.Bundle
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, &certsync.LocalCAOptions{Lifetime: 730 * days})
		g.State, g.Dir.Path, g.Rollback = state, dir, true
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		time.Sleep(365 * days)
		ca, bad = g.ca, issue(t, g.ca, "example.net")
		leaf, err := bad.Leaf()
		require.NoError(t, err)
		g.source.put(bad)
		g.server.refuse = leaf.Equal
		_, err = g.Sync(t.Context())
		require.ErrorContains(t, err, "rolled back")
		assert.Len(t, g.told, 2)
	})
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.State, g.Dir.Path, g.ca = state, dir, ca
		// Nothing but the times in the state is wrong now.
		g.Policy.Now = time.Now().Add(366 * days)
		g.source.put(bad)
		g.server.fail = errors.New("exit status 1")
		_, err := g.Sync(t.Context())
		require.ErrorContains(t, err, "exit status 1")
		assert.Len(t, g.told, 1)
		assert.Equal(t, bad.Fingerprint(), g.installed(t))
	})
}

// A reload, or a mail, that never ends does not keep the machine from its next certificate.
func TestWhatNeverEndsIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		dovecot := &server{dir: g.Dir, name: "example.net"}
		g.Daemons[0].Reload = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		g.Daemons = append(g.Daemons, dovecot.daemon("dovecot"))
		g.Notify = func(ctx context.Context, _ []certsync.Event) error { <-ctx.Done(); return ctx.Err() }
		_, err := g.Sync(t.Context())
		require.ErrorContains(t, err, "postfix: reload: ")
		require.ErrorContains(t, err, "notify: ")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, dovecot.reloads)
		assert.Equal(t, []string{"postfix"}, g.status(t).Pending)
	})
}

func TestAnIntervalThatIsNone(t *testing.T) {
	g := newGuest(t, nil)
	g.Interval = -time.Hour
	_, ok := errors.AsType[*certsync.ValueError](g.Run(t.Context()))
	assert.True(t, ok)
}

// A state that cannot be kept costs reloads, but no daemon is forgotten.
func TestAStateThatCannotBeWritten(t *testing.T) {
	g := newGuest(t, nil)
	dovecot := &server{dir: g.Dir, name: "example.net"}
	g.Daemons = append(g.Daemons, dovecot.daemon("dovecot"))
	g.State = filepath.Join(t.TempDir(), "state.json")
	reload := g.Daemons[0].Reload
	g.Daemons[0].Reload = func(ctx context.Context) error {
		os.Mkdir(g.State, 0o700) // nothing can be renamed over it
		return reload(ctx)
	}
	_, err := g.Sync(t.Context())
	require.Error(t, err)
	assert.Equal(t, []int{1, 1}, []int{g.server.reloads, dovecot.reloads})
}

// A bundle that was installed twice, as after a change of mode, is gone back from all the
// same.
func TestRollbackOfWhatWasMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		old := g.installed(t)
		bad := g.renew(t)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		g.Dir.Mode = 0o640
		leaf, err := bad.Leaf()
		require.NoError(t, err)
		g.server.refuse, g.Rollback = leaf.Equal, true
		_, err = g.Sync(t.Context())
		require.ErrorContains(t, err, "rolled back")
		assert.Equal(t, old, g.installed(t))
	})
}

// What was rolled back is not gone back from again because another daemon has trouble with
// it: that would lead to older and older ones.
func TestOneRollbackIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.Rollback = true
		dovecot := &server{dir: g.Dir, name: "example.net"}
		g.Daemons = []certsync.Daemon{dovecot.daemon("dovecot"), g.server.daemon("postfix")}
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		good := g.renew(t)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		goodLeaf, err := good.Leaf()
		require.NoError(t, err)
		bad := g.renew(t)
		badLeaf, err := bad.Leaf()
		require.NoError(t, err)
		g.server.refuse = badLeaf.Equal
		dovecot.refuse = goodLeaf.Equal // by now
		for range 3 {
			_, err = g.Sync(t.Context())
			require.Error(t, err)
			assert.Equal(t, good.Fingerprint(), g.installed(t))
			assert.Equal(t, []string{"dovecot"}, g.status(t).Pending)
			assert.False(t, g.server.leaf.Equal(badLeaf))
		}
	})
}

// A rollback of several certificates that fails at one of them is undone at all.
func TestRollbackIsUndoneAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, nil)
		g.Rollback = true
		g.Certificates = append(g.Certificates, certsync.Certificate{Name: "www.example.net"})
		g.Daemons[0].Names = nil
		next := func() *certsync.Bundle {
			b := issue(t, g.ca, "www.example.net")
			g.source.put(b)
			return b
		}
		next()
		_, err := g.Sync(t.Context())
		require.NoError(t, err)
		first, www := g.renew(t), next()
		leaf, err := first.Leaf()
		require.NoError(t, err)
		g.server.refuse = func(c *x509.Certificate) bool {
			// The version to go back to is damaged.
			old, err := filepath.Glob(filepath.Join(g.Dir.Path, "www.example.net", "000001-*", "privkey.pem"))
			require.NoError(t, err)
			require.Len(t, old, 1)
			require.NoError(t, os.WriteFile(old[0], nil, 0o600))
			return c.Equal(leaf)
		}
		_, err = g.Sync(t.Context())
		require.ErrorContains(t, err, "454")
		assert.Equal(t, first.Fingerprint(), g.installed(t))
		_, err = g.Dir.Fetch(t.Context(), "www.example.net", www.Fingerprint())
		assert.ErrorIs(t, err, certsync.ErrNotModified)
	})
}

// A pair of two halves, as a crash leaves, is put right though the source cannot be reached
// or has only what was rolled back.
func TestAMixedPairIsMendedWithoutTheSource(t *testing.T) {
	for title, layout := range map[string]certsync.Layout{"combined": certsync.Combined, "pair": certsync.Pair} {
		t.Run(title, func(t *testing.T) {
			g := newGuest(t, nil)
			g.Dir.Layout = layout
			_, err := g.Sync(t.Context())
			require.NoError(t, err)
			fp := g.installed(t)
			path := filepath.Join(g.Dir.Path, "example.net.pem")
			if layout == certsync.Pair {
				path = filepath.Join(g.Dir.Path, "example.net.key")
			}
			require.NoError(t, os.WriteFile(path, issue(t, g.ca, "example.net").Key.Reveal(), 0o600))
			g.source.err = errors.New("connection refused")
			events, err := g.Sync(t.Context())
			assert.ErrorContains(t, err, "connection refused")
			require.Len(t, events, 1)
			assert.Equal(t, fp, events[0].New)
			assert.Equal(t, fp, g.installed(t))
			assert.Equal(t, 2, g.server.reloads)
		})
	}
}

// What cannot be read may be newer than what was in its place before.
func TestWhatCannotBeReadIsLeftWithoutTheSource(t *testing.T) {
	g := newGuest(t, nil)
	g.Dir.Layout = certsync.Pair
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	key := filepath.Join(g.Dir.Path, "example.net.key")
	require.NoError(t, os.Remove(key))
	require.NoError(t, os.Symlink(key, key)) // which root cannot read either
	g.source.err = errors.New("connection refused")
	_, err = g.Sync(t.Context())
	assert.ErrorContains(t, err, "connection refused")
	_, err = os.Readlink(key)
	assert.NoError(t, err, "it is still there")
}

// What a server says stays on its line, and moves no cursor.
func TestAnErrorIsOneLine(t *testing.T) {
	g := newGuest(t, nil)
	g.source.err = errors.New("454 no\r\n\x1b[2Jexample.net: all is well\u009b")
	events, err := g.Sync(t.Context())
	require.Error(t, err)
	for _, text := range []string{events[0].String(), g.status(t).Problem} {
		assert.Contains(t, text, "454 no ;  [2Jexample.net: all is well ")
		assert.NotContains(t, text, "\x1b")
	}
}

// What is changed between two runs is put right by the second, by content, owner and mode.
func TestAChangeOfModeIsSeen(t *testing.T) {
	g := newGuest(t, nil)
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	_, err = g.Sync(t.Context())
	require.NoError(t, err)
	for _, file := range []string{".", "live", "live/privkey.pem"} {
		path := filepath.Join(g.Dir.Path, "example.net", file)
		before, err := os.Stat(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, before.Mode().Perm()|0o004))
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
		after, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, before.Mode(), after.Mode(), file)
		_, err = g.Sync(t.Context())
		require.NoError(t, err)
	}
	assert.Equal(t, 4, g.server.reloads, "once each")

	g.Daemons = nil
	require.NoError(t, os.Chmod(filepath.Join(g.Dir.Path, "example.net/live/privkey.pem"), 0o644))
	events, err := g.Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.Equal(t, "example.net: the files were put right", events[0].String())
}

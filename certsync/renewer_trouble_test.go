package certsync_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

func TestAuthorityDownIsAWarningUntilTheAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notified [][]certsync.Event
		var logged bytes.Buffer
		r, c := newRenewer(t)
		r.Notify = func(_ context.Context, events []certsync.Event) error {
			notified = append(notified, events)
			return nil
		}
		r.Log = slog.New(slog.NewTextHandler(&logged, nil))
		require.Equal(t, 1, renewed(t, r))
		require.Len(t, notified, 1)
		c.err = errors.New("connection refused")
		status := renewalStatus(t, r)
		time.Sleep(time.Until(status.RenewAt))
		for time.Until(status.NotAfter) > 14*days {
			events, err := r.Renew(t.Context())
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.True(t, events[0].Warning)
			require.ErrorContains(t, events[0].Err, "connection refused")
			time.Sleep(6 * time.Hour)
		}
		assert.Len(t, notified, 1)
		assert.Contains(t, logged.String(), "level=WARN")
		assert.NotContains(t, logged.String(), "level=ERROR")
		assert.Equal(t, "connection refused", renewalStatus(t, r).Problem)

		for range 3 { // three days, told once on each
			for range 24 {
				events, err := r.Renew(t.Context())
				require.ErrorContains(t, err, "senate.example.net: ")
				require.ErrorContains(t, err, "connection refused")
				require.False(t, events[0].Warning)
				time.Sleep(time.Hour)
			}
		}
		assert.Len(t, notified, 4)
		assert.Contains(t, logged.String(), "level=ERROR")

		c.err = nil
		time.Sleep(7 * time.Hour)
		require.Equal(t, 1, renewed(t, r))
		assert.Empty(t, renewalStatus(t, r).Problem)
	})
}

func TestFailingAuthorityIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		c.err = errors.New("urn:ietf:params:acme:error:unauthorized")
		start := time.Now()
		for time.Since(start) < 4*days {
			again := *r // a cron job every minute; later less often, as the test would take long
			_, err := again.Renew(t.Context())
			require.ErrorContains(t, err, "unauthorized")
			if time.Since(start) < 2*time.Hour {
				time.Sleep(time.Minute)
			} else {
				time.Sleep(30 * time.Minute)
			}
		}
		var first []time.Time
		for i, at := range c.times {
			if at.Sub(start) < time.Hour {
				first = append(first, at)
			}
			if i > 6 {
				pause := at.Sub(c.times[i-1])
				assert.True(t, 5*time.Hour < pause && pause < 8*time.Hour, "%s", pause)
			}
		}
		assert.LessOrEqual(t, len(first), 3, "five failed validations are allowed in an hour")
		assert.Greater(t, len(c.times), 3*4, "it does not give up")

		c.err = &certsync.RetryError{After: 20 * time.Hour, Err: errors.New("rate limited")}
		time.Sleep(7 * time.Hour)
		_, err := r.Renew(t.Context())
		require.ErrorContains(t, err, "rate limited")
		c.err = nil
		time.Sleep(19 * time.Hour)
		_, err = r.Renew(t.Context())
		require.ErrorContains(t, err, "not tried again before")
		time.Sleep(time.Hour)
		assert.Equal(t, 1, renewed(t, r))
	})
}

// Somebody sets a clock right that was ahead by a year when a renewal failed.
func TestClockThatWasAhead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(365 * days)
		r, c := newRenewer(t)
		r.State = path
		c.err = errors.New("connection refused")
		r.Notify = func(context.Context, []certsync.Event) error { return nil }
		_, err := r.Renew(t.Context())
		require.Error(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		r.State = path
		c.err = errors.New("connection refused")
		told := false
		r.Notify = func(context.Context, []certsync.Event) error { told = true; return nil }
		_, err := r.Renew(t.Context())
		require.Error(t, err)
		assert.Len(t, c.requests, 1)
		assert.True(t, told)
	})
}

// Likewise after it asked for a window: it does not wait for a year to ask again.
func TestClockThatWasAheadWhenItAsked(t *testing.T) {
	var ca *certsync.LocalCA
	synctest.Test(t, func(t *testing.T) {
		var err error
		ca, err = certsync.NewLocalCA(&certsync.LocalCAOptions{Backdate: 366 * days})
		require.NoError(t, err)
	})
	dir := &certsync.Dir{Path: t.TempDir()}
	for _, ahead := range []time.Duration{365 * days, 0} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(ahead)
			r, c := newRenewer(t)
			r.Dir, c.ca = dir, ca
			c.info = func() (certsync.RenewalInfo, error) {
				return certsync.RenewalInfo{Start: time.Now().Add(days), End: time.Now().Add(2 * days)}, nil
			}
			_, err := r.Renew(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 1, c.asked)
			assert.WithinRange(t, renewalStatus(t, r).RenewAt, time.Now().Add(days), time.Now().Add(2*days))
		})
	}
}

func TestRunRetriesSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		c.err = errors.New("connection refused")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		require.ErrorIs(t, r.Run(ctx), context.DeadlineExceeded)
		assert.GreaterOrEqual(t, len(c.times), 3)

		// And at once when it is woken.
		wake := make(chan os.Signal, 1)
		r.Wake = wake
		c.err = nil
		time.Sleep(7 * time.Hour)
		require.Equal(t, 1, renewed(t, r))
		ctx, cancel = context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		go func() {
			time.Sleep(time.Minute)
			assert.NoError(t, os.RemoveAll(filepath.Join(r.Dir.Path, "senate.example.net")))
			wake <- os.Interrupt
		}()
		before := len(c.times)
		require.ErrorIs(t, r.Run(ctx), context.DeadlineExceeded)
		assert.Len(t, c.times, before+1)
	})
}

func TestNewCertificateIsValidatedBeforeItIsInstalled(t *testing.T) {
	for name, test := range map[string]struct {
		make func(b *certsync.Bundle)
		want string
	}{
		"mixed pair": {func(b *certsync.Bundle) { b.Key, _ = certsync.NewPrivateKey("") }, "the private key belongs to another certificate"},
		"expired": {func(b *certsync.Bundle) {
			past, _ := certsync.NewLocalCA(&certsync.LocalCAOptions{Lifetime: -time.Minute})
			other, _ := past.Issue(context.Background(), certsync.Request{Name: b.Name})
			*b = *other
		}, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := newRenewer(t)
				require.Equal(t, 1, renewed(t, r))
				before := renewalStatus(t, r)
				time.Sleep(time.Until(before.RenewAt))
				c.make = test.make
				events, err := r.Renew(t.Context())
				require.NoError(t, err)
				require.Len(t, events, 1)
				assert.ErrorContains(t, events[0].Err, test.want)
				assert.Equal(t, events[0].Old, events[0].New)
				assert.Equal(t, before.Fingerprint, renewalStatus(t, r).Fingerprint)
			})
		})
	}
}

// What a crash has left between two renames is put right by a run in which nothing is due,
// and costs no certificate. What only another program has written is left alone.
func TestHalfAStepIsPutRight(t *testing.T) {
	for title, test := range map[string]struct {
		layout certsync.Layout
		file   string // of which the crash has kept the successor out of place
	}{
		"digest": {certsync.Combined, "senate.example.net.sha256"},
		"bundle": {certsync.Combined, "senate.example.net.pem"},
		"chain":  {certsync.Pair, "senate.example.net.crt"},
	} {
		t.Run(title, func(t *testing.T) {
			r, c := newRenewer(t)
			r.Dir.Layout = test.layout
			path := filepath.Join(r.Dir.Path, test.file)
			require.Equal(t, 1, renewed(t, r))
			before := read(t, path)
			r.Force = true
			require.Equal(t, 1, renewed(t, r))
			r.Force = false
			after := read(t, path)
			require.NotEqual(t, before, after)
			require.NoError(t, os.WriteFile(path, []byte(before), 0o600))
			assert.Zero(t, renewed(t, r))
			assert.Len(t, c.requests, 2)
			switch test.file {
			case "senate.example.net.pem": // which goes together with its digest, and is a whole bundle
				assert.Equal(t, before, read(t, path))
			default:
				assert.Equal(t, after, read(t, path))
			}
			if test.layout == certsync.Combined {
				digest, _, _ := strings.Cut(strings.TrimPrefix(read(t, r.Dir.Path, "senate.example.net.pem"), "# sha256 "), "\n")
				assert.Equal(t, digest+"\n", read(t, r.Dir.Path, "senate.example.net.sha256"))
			}
		})
	}
	r, c := newRenewer(t)
	r.Dir.Layout = certsync.Combined
	require.Equal(t, 1, renewed(t, r))
	path := filepath.Join(r.Dir.Path, "senate.example.net.pem")
	whole := read(t, path)
	for _, spoil := range []func() error{
		func() error { return os.Truncate(path, 500) },
		func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path, []byte("<html>404"), 0o600) },
	} {
		require.NoError(t, spoil())
		assert.Zero(t, renewed(t, r))
		assert.Equal(t, whole, read(t, path))
	}
	assert.Len(t, c.requests, 1)

	r, c = newRenewer(t)
	r.Dir.Layout = certsync.Pair
	b := issue(t, c.ca, "senate.example.net")
	key, err := b.Key.Signer()
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	require.NoError(t, err)
	foreign := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	require.NoError(t, os.WriteFile(filepath.Join(r.Dir.Path, "senate.example.net.crt"), b.Chain, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(r.Dir.Path, "senate.example.net.key"), []byte(foreign), 0o600))
	assert.Zero(t, renewed(t, r))
	assert.Equal(t, foreign, read(t, r.Dir.Path, "senate.example.net.key"))
}

func fingerprint(t *testing.T, dir *certsync.Dir) certsync.Fingerprint {
	t.Helper()
	b, err := dir.Fetch(t.Context(), "senate.example.net", certsync.Fingerprint{})
	require.NoError(t, err)
	return b.Fingerprint()
}

// They may be newer than any version: another program renews too.
func TestFilesThatCannotBeReadAreLeft(t *testing.T) {
	r, c := newRenewer(t)
	r.Dir.Layout = certsync.Pair
	require.Equal(t, 1, renewed(t, r))
	key := filepath.Join(r.Dir.Path, "senate.example.net.key")
	require.NoError(t, os.Remove(key))
	require.NoError(t, os.Symlink(key, key)) // which root cannot read either
	_, err := r.Renew(t.Context())
	assert.ErrorIs(t, err, syscall.ELOOP)
	_, err = os.Readlink(key)
	assert.NoError(t, err, "it is still there")
	assert.Len(t, c.requests, 1)
}

func TestNotifyThatFails(t *testing.T) {
	r, _ := newRenewer(t)
	r.Notify = func(context.Context, []certsync.Event) error { return errors.New("no sendmail") }
	events, err := r.Renew(t.Context())
	assert.ErrorContains(t, err, "notify: no sendmail")
	assert.Len(t, events, 1)
}

// What could not be told of is told of by the next run, also of one that was stopped.
func TestErrorsAreToldUntilSomebodyIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		c.err = errors.New("unauthorized")
		told, fails := 0, errors.New("sendmail: not found")
		r.Notify = func(ctx context.Context, events []certsync.Event) error {
			require.NoError(t, ctx.Err())
			told++
			return fails
		}
		_, err := r.Renew(t.Context())
		require.ErrorContains(t, err, "notify: sendmail: not found")
		_, err = r.Renew(t.Context())
		require.ErrorContains(t, err, "sendmail")
		assert.Equal(t, 2, told)
		fails = nil
		for range 3 {
			_, err = r.Renew(t.Context())
			require.ErrorContains(t, err, "unauthorized")
		}
		assert.Equal(t, 3, told)

		c.err = nil
		ctx, cancel := context.WithCancel(t.Context())
		c.make = func(*certsync.Bundle) { cancel() }
		r.Force = true
		events, err := r.Renew(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, events, 1)
		assert.Equal(t, 4, told)
	})
}

func TestRenewerThatCannotWork(t *testing.T) {
	good, _ := newRenewer(t)
	for name, spoil := range map[string]func(*certsync.Renewer){
		"no issuer": func(r *certsync.Renewer) { r.Issuer = nil },
		"no dir":    func(r *certsync.Renewer) { r.Dir = nil },
		"name":      func(r *certsync.Renewer) { r.Certificates = []certsync.Certificate{{Name: "../etc"}} },
		"twice":     func(r *certsync.Renewer) { r.Certificates = append(r.Certificates[:1:1], r.Certificates[0]) },
		"state": func(r *certsync.Renewer) {
			r.State = filepath.Join(t.TempDir(), "state.json")
			require.NoError(t, os.WriteFile(r.State, []byte("{"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := *good
			spoil(&r)
			_, err := r.Renew(t.Context())
			assert.Error(t, err)
			_, err = r.Status(t.Context())
			assert.Error(t, err)
		})
	}
}

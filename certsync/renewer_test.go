package certsync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

const days = 24 * time.Hour

func ExampleRenewer() {
	dir, err := os.MkdirTemp("", "certsync")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ca, err := certsync.NewLocalCA(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	renewer := certsync.Renewer{
		Issuer: ca,
		Dir:    &certsync.Dir{Path: dir},
		Certificates: []certsync.Certificate{
			{Name: "senate.example.net", Domains: []string{"senate.example.net", "mail.example.net"}},
		},
		Policy: certsync.Policy{Roots: ca.Roots()},
	}
	for range 2 {
		events, err := renewer.Renew(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(events), "renewed")
	}
	status, err := renewer.Status(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	left := status[0].NotAfter.Sub(status[0].RenewAt)
	fmt.Println("a third of 90 days is left:", 26*24*time.Hour < left && left <= 31*24*time.Hour)
	// Output:
	// 1 renewed
	// 0 renewed
	// a third of 90 days is left: true
}

// A counter is an Issuer that counts what it is asked for, and can be made to fail.
type counter struct {
	ca *certsync.LocalCA

	mu       sync.Mutex
	requests []certsync.Request
	times    []time.Time
	err      error                                // of every Issue
	make     func(*certsync.Bundle)               // changes what is made
	hold     func(ctx context.Context)            // before it is made
	info     func() (certsync.RenewalInfo, error) // nil: unsupported
	asked    int
}

func (c *counter) Issue(ctx context.Context, req certsync.Request) (*certsync.Bundle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, req)
	c.times = append(c.times, time.Now())
	if c.hold != nil {
		c.hold(ctx)
	}
	if err := errors.Join(ctx.Err(), c.err); err != nil {
		return nil, err
	}
	b, err := c.ca.Issue(ctx, req)
	if err == nil && c.make != nil {
		c.make(b)
	}
	return b, err
}

func (c *counter) RenewalInfo(context.Context, *certsync.Bundle) (certsync.RenewalInfo, error) {
	if c.info == nil {
		return certsync.RenewalInfo{}, errors.ErrUnsupported
	}
	c.asked++
	return c.info()
}

// newRenewer has one certificate to keep valid.
func newRenewer(t testing.TB) (*certsync.Renewer, *counter) {
	t.Helper()
	ca, err := certsync.NewLocalCA(nil)
	require.NoError(t, err)
	c := &counter{ca: ca}
	return &certsync.Renewer{
		Issuer:       c,
		Dir:          &certsync.Dir{Path: t.TempDir()},
		Certificates: []certsync.Certificate{{Name: "senate.example.net"}},
	}, c
}

// renewed asserts that a run works, and returns how many it renewed.
func renewed(t testing.TB, r *certsync.Renewer) int {
	t.Helper()
	events, err := r.Renew(t.Context())
	require.NoError(t, err)
	n := 0
	for _, e := range events {
		require.NoError(t, e.Err)
		if e.Old != e.New {
			n++
		}
	}
	return n
}

func renewalStatus(t testing.TB, r *certsync.Renewer) certsync.Status {
	t.Helper()
	list, err := r.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

func TestRenewerDrawsAnInstantOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		assert.Equal(t, "it is not installed", renewalStatus(t, r).Problem)
		start := time.Now()
		require.Equal(t, 1, renewed(t, r))
		status := renewalStatus(t, r)
		life := status.NotAfter.Sub(status.NotBefore)
		latest := status.NotAfter.Add(-life/3 + life/30)
		assert.False(t, status.RenewAt.Before(status.NotAfter.Add(-life/3)) || status.RenewAt.After(latest), "%s", status.RenewAt)
		assert.WithinDuration(t, start, status.Succeeded, 0)

		for range 20 { // each as after a restart
			time.Sleep(time.Hour)
			again := *r
			require.Zero(t, renewed(t, &again))
			require.Equal(t, status.RenewAt, renewalStatus(t, &again).RenewAt)
		}
		time.Sleep(time.Until(status.RenewAt) - time.Second)
		require.Zero(t, renewed(t, r))
		time.Sleep(time.Second)
		require.Equal(t, 1, renewed(t, r))
		require.Len(t, c.requests, 2)
		assert.Nil(t, c.requests[0].Previous)
		assert.Equal(t, status.Fingerprint, c.requests[1].Previous.Fingerprint())
		assert.Equal(t, []string{"senate.example.net"}, c.requests[1].Domains)
		assert.NotEqual(t, status.RenewAt, renewalStatus(t, r).RenewAt)
	})
}

func TestRenewerRunsForMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		r.Certificates = append(r.Certificates, certsync.Certificate{Name: "*.example.net", Domains: []string{"*.example.net", "example.net"}})
		ctx, cancel := context.WithTimeout(t.Context(), 200*days)
		defer cancel()
		assert.ErrorIs(t, r.Run(ctx), context.DeadlineExceeded)
		assert.Len(t, c.requests, 2*4) // at once, and about every 61 days
	})
}

func TestRenewerAsksTheAuthorityWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		begin := time.Now().Add(40 * days)
		window := certsync.RenewalInfo{Start: begin, End: begin.Add(2 * days), RetryAfter: 10 * time.Hour}
		var fail error
		c.info = func() (certsync.RenewalInfo, error) { return window, fail }
		require.Equal(t, 1, renewed(t, r))
		at := renewalStatus(t, r).RenewAt
		assert.False(t, at.Before(window.Start) || at.After(window.End), "%s", at)
		require.Equal(t, 1, c.asked)

		time.Sleep(9 * time.Hour)
		require.Zero(t, renewed(t, r))
		require.Equal(t, 1, c.asked, "too early to ask again")
		time.Sleep(time.Hour)
		require.Zero(t, renewed(t, r))
		require.Equal(t, 2, c.asked)
		assert.Equal(t, at, renewalStatus(t, r).RenewAt, "the window is the same")

		fail = errors.New("503")
		time.Sleep(10 * time.Hour)
		require.Zero(t, renewed(t, r))
		require.Equal(t, 3, c.asked)
		assert.Equal(t, at, renewalStatus(t, r).RenewAt, "what it said last holds")

		fail, window.Start, window.End = nil, window.End.Add(days), window.End.Add(2*days)
		time.Sleep(6 * time.Hour) // the default, as an error says nothing
		require.Zero(t, renewed(t, r))
		at = renewalStatus(t, r).RenewAt
		assert.False(t, at.Before(window.Start) || at.After(window.End), "%s", at)

		// It revokes.
		window.Start, window.End = time.Now().Add(-2*days), time.Now().Add(-days)
		time.Sleep(10 * time.Hour)
		require.Equal(t, 1, renewed(t, r))
	})
}

// RFC 9773, section 4.3.2.
func TestAuthorityIsAskedAgainWithinLimits(t *testing.T) {
	for says, want := range map[time.Duration]time.Duration{-time.Hour: time.Minute, time.Second: time.Minute, 100 * days: days, 0: 6 * time.Hour} {
		t.Run(says.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := newRenewer(t)
				begin := time.Now().Add(40 * days)
				c.info = func() (certsync.RenewalInfo, error) {
					return certsync.RenewalInfo{Start: begin, End: begin.Add(days), RetryAfter: says}, nil
				}
				require.Equal(t, 1, renewed(t, r))
				time.Sleep(want - time.Second)
				require.Zero(t, renewed(t, r))
				assert.Equal(t, 1, c.asked)
				time.Sleep(time.Second)
				require.Zero(t, renewed(t, r))
				assert.Equal(t, 2, c.asked)
			})
		})
	}
}

func TestWindowThatMakesNoSense(t *testing.T) {
	for name, window := range map[string]func(now time.Time) certsync.RenewalInfo{
		"empty":     func(time.Time) certsync.RenewalInfo { return certsync.RenewalInfo{} },
		"backwards": func(now time.Time) certsync.RenewalInfo { return certsync.RenewalInfo{Start: now, End: now.Add(-days)} },
		"too late": func(now time.Time) certsync.RenewalInfo {
			return certsync.RenewalInfo{Start: now, End: now.Add(1000 * days)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := newRenewer(t)
				c.info = func() (certsync.RenewalInfo, error) { return window(time.Now()), nil }
				require.Equal(t, 1, renewed(t, r))
				left := time.Until(renewalStatus(t, r).RenewAt)
				assert.True(t, 59*days < left && left < 64*days, "%s", left)
			})
		})
	}
}

func TestDueAtOnce(t *testing.T) {
	file := func(r *certsync.Renewer) string { return filepath.Join(r.Dir.Path, "senate.example.net.pem") }
	for name, spoil := range map[string]func(t *testing.T, r *certsync.Renewer, c *counter){
		"missing": func(t *testing.T, r *certsync.Renewer, _ *counter) { require.NoError(t, os.Remove(file(r))) },
		"unreadable": func(t *testing.T, r *certsync.Renewer, _ *counter) {
			require.NoError(t, os.WriteFile(file(r), []byte("<html>404"), 0o600))
		},
		"truncated": func(t *testing.T, r *certsync.Renewer, _ *counter) { require.NoError(t, os.Truncate(file(r), 500)) },
		"mixed": func(t *testing.T, r *certsync.Renewer, _ *counter) {
			b, err := r.Dir.Fetch(t.Context(), "senate.example.net", certsync.Fingerprint{})
			require.NoError(t, err)
			other, err := certsync.NewPrivateKey("")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file(r), append(other.Reveal(), b.Chain...), 0o600))
		},
		"lacks a domain": func(_ *testing.T, r *certsync.Renewer, _ *counter) {
			r.Certificates[0].Domains = []string{"senate.example.net", "mail.example.net"}
		},
		"key type": func(_ *testing.T, r *certsync.Renewer, c *counter) {
			r.Policy.KeyTypes = []certsync.KeyType{certsync.RSA2048}
			c.make = func(b *certsync.Bundle) {
				ca, err := certsync.NewLocalCA(&certsync.LocalCAOptions{KeyType: certsync.RSA2048})
				if err == nil {
					var other *certsync.Bundle
					if other, err = ca.Issue(context.Background(), certsync.Request{Name: b.Name}); err == nil {
						*b = *other
					}
				}
				if err != nil {
					panic(err)
				}
			}
		},
		"the clock has jumped ahead by months": func(*testing.T, *certsync.Renewer, *counter) { time.Sleep(200 * days) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := newRenewer(t)
				r.Dir.Layout = certsync.Combined
				require.Equal(t, 1, renewed(t, r))
				require.Zero(t, renewed(t, r))
				require.NoError(t, os.RemoveAll(filepath.Join(r.Dir.Path, ".certsync", "versions"))) // else it is mended
				spoil(t, r, c)
				require.Equal(t, 1, renewed(t, r))
				require.Zero(t, renewed(t, r))
				assert.Empty(t, renewalStatus(t, r).Problem)
			})
		})
	}
}

func TestForceRenewsWhatIsNotDueAndDoesNotWait(t *testing.T) {
	r, authority := newRenewer(t)
	require.Equal(t, 1, renewed(t, r))
	require.Equal(t, 0, renewed(t, r))
	r.Force = true
	assert.Equal(t, 1, renewed(t, r))
	authority.err = errors.New("out of order")
	events, err := r.Renew(t.Context())
	assert.ErrorContains(t, err, "out of order", "somebody has asked for it")
	require.Len(t, events, 1)
	assert.False(t, events[0].Warning)
	authority.err = nil
	assert.Equal(t, 1, renewed(t, r), "without a wait after the failure")
	assert.ErrorContains(t, r.Run(t.Context()), "cannot run")
	r.Force = false
	assert.Equal(t, 0, renewed(t, r))
}

// A directory that cannot be read is no reason to ask for certificates.
func TestDirectoryThatCannotBeRead(t *testing.T) {
	r, c := newRenewer(t)
	r.State = filepath.Join(t.TempDir(), "state.json")
	blocked := filepath.Join(r.Dir.Path, "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	r.Dir.Path = blocked
	_, err := r.Renew(t.Context())
	assert.ErrorContains(t, err, "not a directory")
	assert.Empty(t, c.requests)
}

// Let's Encrypt makes five of the same names in a week, whatever becomes of them.
func TestNobodyIsAskedForWhatCannotBeKept(t *testing.T) {
	r, c := newRenewer(t)
	r.Dir.Group = "no-such-group"
	for range 2 {
		_, err := r.Renew(t.Context())
		require.ErrorContains(t, err, "no such group")
	}
	assert.Empty(t, c.requests)
	r.Dir.Group = ""
	assert.Equal(t, 1, renewed(t, r), "without a wait")
	left, err := filepath.Glob(filepath.Join(r.Dir.Path, ".certsync", ".*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestShorterLifeReplacesALongerOne(t *testing.T) {
	r, c := newRenewer(t)
	require.Equal(t, 1, renewed(t, r))
	short, err := certsync.NewLocalCA(&certsync.LocalCAOptions{Lifetime: 6 * days})
	require.NoError(t, err)
	c.ca, r.Force = short, true
	require.Equal(t, 1, renewed(t, r))
	assert.Less(t, time.Until(renewalStatus(t, r).NotAfter), 7*days)
}

// Another program may go on to renew what a Renewer has renewed.
func TestWhatAnotherProgramRenewsStays(t *testing.T) {
	for title, layout := range map[string]certsync.Layout{"pair": certsync.Pair, "combined": certsync.Combined} {
		t.Run(title, func(t *testing.T) {
			r, c := newRenewer(t)
			r.Dir.Layout = layout
			require.Equal(t, 1, renewed(t, r))
			ours := fingerprint(t, r.Dir)
			newer := issue(t, c.ca, "senate.example.net")
			path := filepath.Join(r.Dir.Path, "senate.example.net")
			if layout == certsync.Pair {
				require.NoError(t, os.WriteFile(path+".crt", newer.Chain, 0o600))
				require.NoError(t, os.WriteFile(path+".key", newer.Key.Reveal(), 0o600))
			} else {
				require.NoError(t, os.WriteFile(path+".pem", append(newer.Key.Reveal(), newer.Chain...), 0o600))
			}
			for range 2 {
				assert.Zero(t, renewed(t, r))
				assert.Equal(t, newer.Fingerprint(), fingerprint(t, r.Dir))
			}
			assert.Len(t, c.requests, 1)

			// Halves that it leaves are replaced by what it had before.
			ending := map[certsync.Layout]string{certsync.Pair: ".crt", certsync.Combined: ".pem"}[layout]
			require.NoError(t, os.WriteFile(path+ending, issue(t, c.ca, "senate.example.net").Chain, 0o600))
			assert.Zero(t, renewed(t, r))
			assert.Equal(t, newer.Fingerprint(), fingerprint(t, r.Dir))

			require.NoError(t, r.Dir.Rollback(t.Context(), "senate.example.net"))
			assert.Equal(t, ours, fingerprint(t, r.Dir))
			assert.Zero(t, renewed(t, r))
			assert.Equal(t, ours, fingerprint(t, r.Dir), "what was rolled back stays so")
		})
	}
}

package certsync_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

func TestTwoRenewersAtOnce(t *testing.T) {
	r, c := newRenewer(t)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			again := *r
			_, err := again.Renew(t.Context())
			assert.NoError(t, err)
		})
	}
	both.Wait()
	assert.Len(t, c.requests, 1)
}

func TestRenewerThatIsStoppedHasNotFailed(t *testing.T) {
	r, c := newRenewer(t)
	r.Certificates = append(r.Certificates, certsync.Certificate{Name: "mail.example.net"})
	ctx, cancel := context.WithCancel(t.Context())
	c.hold = func(context.Context) { cancel() }
	events, err := r.Renew(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, events)
	assert.Len(t, c.requests, 1)
	c.hold = nil
	assert.Equal(t, 2, renewed(t, r))
}

func TestCertificateIsKeptThatWasMadeBeforeTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRenewer(t)
		ctx, cancel := context.WithCancel(t.Context())
		c.make = func(*certsync.Bundle) {
			cancel()
			f, err := os.Create(filepath.Join(r.Dir.Path, ".certsync", "lock"))
			require.NoError(t, err)
			require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
			go func() { // somebody installs something else
				time.Sleep(time.Minute)
				f.Close()
			}()
		}
		_, err := r.Renew(ctx)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Zero(t, renewed(t, r))
		assert.Len(t, c.requests, 1)
	})
}

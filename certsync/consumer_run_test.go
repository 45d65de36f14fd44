package certsync_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

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

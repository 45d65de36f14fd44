package report

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWatch has a service with two paths, of which one is refused from 2 s on, and both
// between 3 s and 5 s.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New("senate", "a test", time.Now())
		refusedAt := func(from, to time.Duration) func(context.Context) error {
			return func(context.Context) error {
				if at := time.Since(r.Started); at >= from && at < to {
					return errors.New("refused")
				}
				return nil
			}
		}
		r.Begin(1, "Prepare", time.Now())
		w := StartWatch(t.Context(), 100*time.Millisecond, time.Second,
			Question{"web", "old", refusedAt(2*time.Second, time.Hour)},
			Question{"web", "new", refusedAt(3*time.Second, 5*time.Second)})
		time.Sleep(2050 * time.Millisecond) // the bubble's clock
		r.Begin(2, "Both paths", time.Now())
		w.Phase(1)
		w.End("old")
		time.Sleep(4 * time.Second)
		r.End(time.Now())
		w.Stop(r)

		assert.Equal(t, []Probes{
			{Service: "web", Path: "old", Phase: 0, Asked: 21, Failed: 1},
			{Service: "web", Path: "new", Phase: 0, Asked: 21},
			{Service: "web", Path: "new", Phase: 1, Asked: 40, Failed: 20},
		}, r.Probes)
		require.Len(t, r.Outages, 2)
		assert.Equal(t, Outage{Service: "web", Path: "new", From: Seconds(3 * time.Second), To: Seconds(4900 * time.Millisecond), Failed: 20, Error: "refused"}, r.Outages[1])
		assert.Equal(t, Stop{Service: "web", From: Seconds(2900 * time.Millisecond), To: Seconds(5 * time.Second)}, r.Stop)
		assert.Equal(t, Seconds(6050*time.Millisecond), r.Took)
	})
}

// TestWatchLosesPatience has a service that never answers.
func TestWatchLosesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New("senate", "a test", time.Now())
		w := StartWatch(t.Context(), time.Second, 3*time.Second, Question{"dns", "new", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		time.Sleep(9500 * time.Millisecond)
		w.Stop(r)
		assert.Equal(t, []Probes{{Service: "dns", Path: "new", Asked: 10, Failed: 10}}, r.Probes, "the last ones get their time too")
		assert.Equal(t, Stop{Service: "dns", To: Seconds(12 * time.Second)}, r.Stop)
	})
}

// TestTheStopEndsWithTheAnswer has a service that keeps what is asked while it is stopped,
// as a connection does that is tried again.
func TestTheStopEndsWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New("senate", "a test", time.Now())
		w := StartWatch(t.Context(), 100*time.Millisecond, 5*time.Second, Question{"web", "old", func(context.Context) error {
			switch at := time.Since(r.Started); {
			case at < time.Second || at >= 4*time.Second:
				return nil
			case at < 2*time.Second:
				return errors.New("refused")
			default:
				time.Sleep(4*time.Second - at)
				return nil
			}
		}})
		time.Sleep(5050 * time.Millisecond)
		w.Stop(r)
		assert.Equal(t, Stop{Service: "web", From: Seconds(900 * time.Millisecond), To: Seconds(4 * time.Second)}, r.Stop)
	})
}

// TestSettle stops a service that is slow to answer, and cuts nobody off.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New("senate", "a test", time.Now())
		stopped := make(chan struct{})
		slow := func(context.Context) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-stopped:
				return errors.New("cut off")
			}
		}
		w := StartWatch(t.Context(), 100*time.Millisecond, 3*time.Second, Question{"web", "old", slow}, Question{"dns", "old", slow})
		time.Sleep(2 * time.Second)
		w.End("old")
		w.Settle()
		close(stopped)
		w.Stop(r)
		require.Len(t, r.Probes, 2)
		assert.Zero(t, r.Probes[0].Failed)
		assert.Empty(t, r.Outages)
	})
}

// TestWatchCountsWhoStopped has three services, of which two stop.
func TestWatchCountsWhoStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New("senate", "a test", time.Now())
		away := func(from, to time.Duration) func(context.Context) error {
			return func(context.Context) error {
				if at := time.Since(r.Started); at >= from && at < to {
					return errors.New("refused")
				}
				return nil
			}
		}
		w := StartWatch(t.Context(), 100*time.Millisecond, time.Second,
			Question{"mail", "old", away(time.Second, 3*time.Second)}, Question{"web", "old", away(time.Second, 4*time.Second)}, Question{"dns", "old", away(0, 0)})
		time.Sleep(5050 * time.Millisecond)
		w.Stop(r)
		assert.Equal(t, Stop{Service: "web", Others: 1, From: Seconds(900 * time.Millisecond), To: Seconds(4 * time.Second)}, r.Stop)
		assert.Equal(t, "web stopped for 3.10 s, the longest of 2 services", r.stopped())
	})
}

package certsync

import (
	"context"
	"math/rand/v2"
	"os"
	"time"
)

// firstRetry is how soon what failed is tried again; each time twice as late, up to the
// interval.
const firstRetry = time.Minute

// loop calls run at once, then every interval, more or less a tenth of it, so that many
// machines do not ask in the same second. It returns why the context has ended. A negative
// interval is a [*ValueError].
func loop(ctx context.Context, every time.Duration, wake <-chan os.Signal, run func(context.Context) error) error {
	if every < 0 {
		return &ValueError{Field: "interval", Value: every.String(), Reason: "it is negative"}
	}
	retry := firstRetry
	for {
		wait := every
		if err := run(ctx); err == nil {
			retry = firstRetry
		} else {
			wait = min(retry, every)
			retry = min(2*retry, every)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pause := time.NewTimer(jitter(wait))
		select {
		case <-pause.C:
		case <-wake:
			pause.Stop()
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// jitter is a time that differs from d by a tenth at most.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

const day = 24 * time.Hour

// ahead reports whether a time in a state is still to come. None is kept that is more than a
// day away: what looks so was written before the clock was set.
func ahead(t time.Time) bool {
	wait := time.Until(t)
	return wait > 0 && wait <= day
}

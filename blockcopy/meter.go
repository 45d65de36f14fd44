package blockcopy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A meter counts what a copy does. The counters are those of Progress.
type meter struct {
	size                                            int64
	read, sent, same, zero, moved, resumed, durable atomic.Int64
	begun                                           time.Time

	mu      sync.Mutex
	samples []sample // of the last ten seconds, oldest first
}

// A sample says how many bytes had been made durable by this run at some time.
type sample struct {
	at      time.Time
	durable int64
}

const (
	window      = 10 * time.Second
	reportEvery = 250 * time.Millisecond
)

func newMeter(size int64) *meter {
	now := time.Now()
	return &meter{size: size, begun: now, samples: []sample{{at: now}}}
}

// progress returns what has been counted. Bytes of earlier runs were there at once:
// they say nothing about how long the others will take.
func (m *meter) progress(now time.Time) Progress {
	p := Progress{
		Size: m.size, Read: m.read.Load(), Sent: m.sent.Load(), Same: m.same.Load(), Zero: m.zero.Load(),
		Moved: m.moved.Load(), Resumed: m.resumed.Load(), Durable: m.durable.Load(),
		Elapsed: now.Sub(m.begun), Remaining: -1,
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples = append(m.samples, sample{now, p.Durable - p.Resumed})
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= window {
		m.samples = m.samples[1:]
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	if t := last.at.Sub(first.at); t > 0 {
		p.Rate = float64(last.durable-first.durable) / t.Seconds()
	}
	switch {
	case p.Durable >= p.Size:
		p.Remaining = 0
	case p.Rate > 0:
		p.Remaining = time.Duration(float64(p.Size-p.Durable) / p.Rate * float64(time.Second))
	}
	return p
}

// report calls f until the returned function is called, which calls it a last time.
func (m *meter) report(f func(Progress)) (stop func()) {
	if f == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f(m.progress(time.Now()))
			case <-ctx.Done():
				f(m.progress(time.Now()))
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// A pacer spreads bytes over time. A nil pacer does not.
type pacer struct {
	rate int64 // bytes per second

	mu   sync.Mutex
	next time.Time // when the next bytes may go
}

func newPacer(rate int64) *pacer {
	if rate <= 0 {
		return nil
	}
	return &pacer{rate: rate}
}

// wait returns when n bytes may go, or with the context's error.
func (p *pacer) wait(ctx context.Context, n int) error {
	if p == nil {
		return ctx.Err()
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	turn := p.next
	p.next = turn.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	p.mu.Unlock()
	select {
	case <-time.After(turn.Sub(now)):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

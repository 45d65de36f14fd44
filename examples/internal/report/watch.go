package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Question asks a service by one of its paths. Its error says that there was no good
// answer; it gives up when its context ends.
type Question struct {
	Service, Path string
	Ask           func(context.Context) error
}

// A Watch asks services without a pause, and keeps what they answer.
type Watch struct {
	every, patience time.Duration

	mu      sync.Mutex
	phase   int
	started time.Time
	asked   []*asked
	done    sync.WaitGroup
	waiting *sync.WaitGroup // for the answers to what was asked since the last Settle
}

// asked is what became of one question.
type asked struct {
	Question
	stop    context.CancelFunc // ends the asking, and leaves what was asked its time
	counts  map[int]*Probes    // by phase
	answers []answer
}

// An answer is to a question that was asked at a time, and came at another.
type answer struct {
	at, came time.Time
	err      error
}

// StartWatch asks each question every so often, from now on, also while the ones before
// wait for their answers; an answer that takes longer than patience is none.
func StartWatch(ctx context.Context, every, patience time.Duration, questions ...Question) *Watch {
	w := &Watch{every: every, patience: patience, started: time.Now(), waiting: new(sync.WaitGroup)}
	for _, q := range questions {
		w.start(ctx, q)
	}
	return w
}

// start is also for a path that has come to be.
func (w *Watch) start(ctx context.Context, q Question) {
	asking, stop := context.WithCancel(ctx)
	a := &asked{Question: q, stop: stop, counts: map[int]*Probes{}}
	w.mu.Lock()
	w.asked = append(w.asked, a)
	w.mu.Unlock()
	w.done.Go(func() {
		tick := time.NewTicker(w.every)
		defer tick.Stop()
		for {
			w.ask(ctx, asking, a)
			select {
			case <-asking.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// ask does not wait for the answer. Nothing is asked once asking has ended.
func (w *Watch) ask(ctx, asking context.Context, a *asked) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if asking.Err() != nil {
		return
	}
	at, phase := time.Now(), w.phase
	w.waiting.Go(func() { w.await(ctx, a, at, phase) })
}

func (w *Watch) await(ctx context.Context, a *asked, at time.Time, phase int) {
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	err := a.Ask(limited)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return // it was taken back, not refused
	}
	count := a.counts[phase]
	if count == nil {
		count = &Probes{Service: a.Service, Path: a.Path, Phase: phase}
		a.counts[phase] = count
	}
	count.Asked++
	if err != nil {
		count.Failed++
	}
	a.answers = append(a.answers, answer{at, time.Now(), err})
}

// Begin asks one more question from now on.
func (w *Watch) Begin(ctx context.Context, q Question) { w.start(ctx, q) }

// End stops asking by a path, which is to answer no more. What was asked still waits for
// its answer: see Settle.
func (w *Watch) End(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.asked {
		if a.Path == path {
			a.stop()
		}
	}
}

// Phase counts what is asked from now on for the phase at an index of Report.Phases.
func (w *Watch) Phase(index int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = index
}

// Settle returns when all that was asked until now has its answer, or has waited for too
// long; asking goes on meanwhile. Whoever stops a service on purpose calls it first, so
// that nobody is cut off who asked in time.
func (w *Watch) Settle() {
	w.mu.Lock()
	before := w.waiting
	w.waiting = new(sync.WaitGroup)
	w.mu.Unlock()
	before.Wait()
}

// Stop ends the watch when the last answer is there, and puts what it has seen into the
// report.
func (w *Watch) Stop(r *Report) {
	for _, a := range w.asked {
		a.stop()
	}
	w.done.Wait()
	w.Settle()
	byService := map[string][]answer{}
	for _, a := range w.asked {
		slices.SortFunc(a.answers, inTime)
		for _, phase := range slices.Sorted(maps.Keys(a.counts)) {
			r.Probes = append(r.Probes, *a.counts[phase])
		}
		r.Outages = append(r.Outages, a.outages(r.Started)...)
		byService[a.Service] = append(byService[a.Service], a.answers...)
	}
	slices.SortStableFunc(r.Probes, func(a, b Probes) int { return cmp.Compare(a.Phase, b.Phase) })
	slices.SortStableFunc(r.Outages, func(a, b Outage) int { return cmp.Compare(a.From, b.From) })
	stopped := 0
	for _, service := range slices.Sorted(maps.Keys(byService)) {
		stop := w.longest(byService[service], r.Started)
		if stop.To > stop.From {
			stopped++
		}
		if stop.Service = service; stop.To-stop.From > r.Stop.To-r.Stop.From {
			r.Stop = stop
		}
	}
	r.Stop.Others = max(stopped-1, 0)
}

func inTime(a, b answer) int { return a.at.Compare(b.at) }

// outages are the rows of failures.
func (a *asked) outages(started time.Time) []Outage {
	var list []Outage
	failing := false
	for _, answer := range a.answers {
		at := Seconds(answer.at.Sub(started))
		if answer.err != nil && !failing {
			list = append(list, Outage{Service: a.Service, Path: a.Path, From: at, Error: answer.err.Error()})
		}
		if failing = answer.err != nil; failing {
			last := &list[len(list)-1]
			last.To, last.Failed = at, last.Failed+1
		}
	}
	return list
}

// longest is the longest time in which no good answer came, all paths taken together. What
// is not longer than the time between two questions is none.
func (w *Watch) longest(answers []answer, started time.Time) Stop {
	var stop Stop
	slices.SortFunc(answers, func(a, b answer) int { return a.came.Compare(b.came) })
	last, failed := w.started, false
	for i, answer := range answers {
		failed = failed || answer.err != nil
		if answer.err != nil && i < len(answers)-1 {
			continue
		}
		from, to := Seconds(last.Sub(started)), Seconds(answer.came.Sub(started))
		if failed && to-from > Seconds(w.every)*3/2 && to-from > stop.To-stop.From {
			stop = Stop{From: from, To: to}
		}
		last, failed = answer.came, false
	}
	return stop
}

package blockcopy

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pingAfter  = 5 * time.Second  // without having sent anything
	deadAfter  = 30 * time.Second // without having got anything, while waiting for it
	helloAfter = 2 * time.Minute  // as long may a login take that asks a person
	watchEvery = 500 * time.Millisecond

	// lastWords is how long an end that gives up tries to say why, and waits for the other
	// one to hear it; a dead link holds it no longer.
	lastWords = 400 * time.Millisecond

	mostQueued  = 4 << 20  // bytes of frames that wait to be written
	mostOnLink  = 64 << 20 // bytes of answers that the receiver has not done with
	ackEvery    = 1 << 20  // bytes of answers
	rateOver    = 1 << 20  // bytes over which the link's rate is measured
	linkIsBusy  = mostQueued / 4
	writeBuffer = 64 << 10
)

// A link is one end of the stream. One goroutine only reads: it hands what comes to the
// handler, which never waits for writing, so that two ends that both write cannot wait for
// each other. Another goroutine writes what is in the queue. A third one watches the clock.
type link struct {
	rw      io.ReadWriteCloser
	m       *meter
	pace    *pacer
	begun   time.Time
	ctx     context.Context // ends when the link does
	cancel  context.CancelCauseFunc
	handle  func(kind frameKind, payload []byte, buf *[mostFrame]byte) error
	awaited func() string // what the other end owes, for errors; called with mu held
	takes   bool          // meter.sent counts what is read, not what is written

	reading, writing  chan struct{} // closed when the goroutine has ended
	waiting, lastSent atomic.Int64  // when the pending Read began, or 0; when Write ended
	greeted           atomic.Bool

	mu      sync.Mutex
	changed *sync.Cond // anything here, or in the end that shares mu
	err     error      // the first failure: the link has ended
	tell    bool       // and the other end shall know it
	queue   []frame
	queued  int   // their weight
	onLink  int64 // bytes of answers that are not acknowledged
	ping    bool  // one is due
	written bool  // all of the queue is
	rate    float64
	report  func() ack // nil unless this end acknowledges; called with mu held
	acked   ack        // what the last acknowledgement said
}

func newLink(rw io.ReadWriteCloser, rate int64, m *meter) *link {
	l := &link{
		rw: rw, m: m, pace: newPacer(rate), begun: time.Now(),
		reading: make(chan struct{}), writing: make(chan struct{}),
	}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// start says hello and begins to read and to write. The link ends with ctx.
func (l *link) start(parent context.Context, h hello) (stop func() bool, err error) {
	f, err := textFrame(frameHello, h)
	if err != nil {
		return nil, err
	}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(parent))
	go l.read()
	go l.write(append(appendGreeting(nil), f.p...))
	go l.watch()
	return context.AfterFunc(parent, func() {
		err := parent.Err()
		if cause := context.Cause(parent); cause != err {
			err = fmt.Errorf("%w: %w", err, cause)
		}
		l.fail(err)
	}), nil
}

// fail ends the link, for the first error it is told.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	_, remote := errors.AsType[*RemoteError](err)
	_, lost := errors.AsType[*streamError](err)
	l.tell = !remote && !lost && l.greeted.Load()
	l.cancel(err)
	l.changed.Broadcast()
}

// put queues a frame. mu is held: what a frame says and what this end notes of it change
// together. Whoever makes many frames waits until room returns true first.
func (l *link) put(f frame) {
	l.queue = append(l.queue, f)
	l.queued += f.weight()
	l.written = false
	l.changed.Broadcast()
}

func (l *link) room() bool { return l.queued < mostQueued && l.onLink < mostOnLink }

// wait returns when ready does, called with mu held, or with the link's error.
func (l *link) wait(ready func() bool) error {
	for l.err == nil && !ready() {
		l.changed.Wait()
	}
	return l.err
}

// watch sees to it that something is sent now and then, and that something comes.
func (l *link) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Since(l.begun)
		limit := helloAfter
		if l.greeted.Load() {
			limit = deadAfter
		}
		if since := time.Duration(l.waiting.Load()); since > 0 && now-since >= limit {
			l.mu.Lock()
			what := l.awaited()
			l.mu.Unlock()
			l.fail(fmt.Errorf("nothing came from the other end for %v, while waiting for %s: %w", limit, what, os.ErrDeadlineExceeded))
			return
		}
		l.mu.Lock()
		if now-time.Duration(l.lastSent.Load()) >= pingAfter {
			l.ping = true
		}
		l.changed.Broadcast() // for an acknowledgement that is due
		l.mu.Unlock()
	}
}

// read hands on what comes until the stream ends. After a failure it goes on reading, so
// that the other end does not wait for ever before it hears of it.
func (l *link) read() {
	defer close(l.reading)
	r := bufio.NewReaderSize(linkReader{l}, writeBuffer)
	if err := readGreeting(r); err != nil {
		l.failRead(err)
		return
	}
	l.greeted.Store(true)
	frames := frameReader{r: r}
	for {
		kind, payload, buf, err := frames.next()
		if err != nil {
			l.failRead(err)
			if _, ok := errors.AsType[*ProtocolError](err); ok {
				io.Copy(io.Discard, r) // it ends when the stream does
			}
			return
		}
		l.mu.Lock()
		over := l.err != nil
		l.mu.Unlock()
		switch {
		case over && buf != nil:
			frameBuffers.Put(buf)
		case over:
		case kind == framePing:
		case kind == frameError:
			var f *failure
			if f, err = decodeText[failure](kind, payload); err == nil {
				err = f.err()
			}
		default:
			err = l.handle(kind, payload, buf)
		}
		if err != nil {
			l.fail(err)
		}
	}
}

// failRead says what was waited for when the stream ended.
func (l *link) failRead(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if _, ok := errors.AsType[*ProtocolError](err); !ok {
		l.mu.Lock()
		err = &streamError{"the stream ended while waiting for " + l.awaited(), err}
		l.mu.Unlock()
	}
	l.fail(err)
}

// A streamError says that the stream failed, not one of its ends.
type streamError struct {
	what string
	err  error
}

func (e *streamError) Error() string { return e.what + ": " + e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

// write writes the hello and then the queue until the link ends, and then why it has.
func (l *link) write(hello []byte) {
	defer close(l.writing)
	w := bufio.NewWriterSize(linkWriter{l}, writeBuffer)
	w.Write(hello) // the next call returns the error again
	for {
		f, more := l.next(w.Buffered() > 0)
		var err error
		if f.p == nil {
			if err = w.Flush(); err == nil {
				l.flushed()
			}
		} else {
			_, err = w.Write(f.p)
			f.free()
		}
		if err != nil {
			// The other end has perhaps said why, and what it said is still to be read.
			select {
			case <-l.reading:
			case <-l.ctx.Done():
			case <-time.After(lastWords):
			}
			l.fail(&streamError{"writing to the other end", err})
			return
		}
		if !more && w.Buffered() == 0 {
			return
		}
	}
}

func (l *link) flushed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = len(l.queue) == 0
	l.changed.Broadcast()
}

// next returns what is to be written next; an empty frame if what is buffered is to be
// flushed. more is false if nothing follows.
func (l *link) next(buffered bool) (f frame, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.err != nil {
			if l.tell {
				l.tell = false
				f, err := textFrame(frameError, newFailure(l.err))
				if err == nil {
					return f, false
				}
			}
			return frame{}, false
		}
		if l.report != nil {
			if a := l.report(); a.taken-l.acked.taken >= ackEvery || a.durable != l.acked.durable {
				l.acked = a
				return frame{p: appendAck(nil, a)}, true
			}
		}
		switch {
		case len(l.queue) > 0:
			f := l.queue[0]
			l.queue = l.queue[1:]
			l.queued -= f.weight()
			l.changed.Broadcast()
			return f, true
		case l.ping:
			l.ping = false
			return frame{p: sealFrame(beginFrame(nil, framePing))}, true
		case buffered:
			return frame{}, true
		}
		l.changed.Wait()
	}
}

// close closes the stream and returns why the link has ended, nil if that is because all
// is done.
func (l *link) close() error {
	l.mu.Lock()
	err := l.err
	l.mu.Unlock()
	_, lost := errors.AsType[*streamError](err)
	_, remote := errors.AsType[*RemoteError](err)
	if err != nil && !lost && !remote && l.greeted.Load() {
		l.ended(lastWords)
	}
	l.mu.Lock()
	l.err, l.tell = cmp.Or(err, errLinkClosed), false
	l.cancel(l.err)
	l.changed.Broadcast()
	l.mu.Unlock()
	if closing := l.rw.Close(); lost && closing != nil && !errors.Is(err, closing) { // such as what ssh wrote to stderr
		err = fmt.Errorf("%w: %w", err, closing)
	}
	if err != nil {
		l.ended(lastWords)
	}
	// Otherwise all is said, and a Read that Close does not end, as that of a standard
	// input, is left behind.
	return err
}

// ended waits until nothing is read nor written any more, or for so long.
func (l *link) ended(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, end := range []chan struct{}{l.writing, l.reading} {
		select {
		case <-end:
		case <-ctx.Done():
		}
	}
}

var errLinkClosed = errors.New("the link is closed")

// linkReader reads for a link and tells its watch what it waits for.
type linkReader struct{ l *link }

func (r linkReader) Read(p []byte) (int, error) {
	l := r.l
	l.waiting.Store(int64(max(1, time.Since(l.begun))))
	defer l.waiting.Store(0)
	for {
		n, err := l.rw.Read(p)
		if n == 0 && err == nil && len(p) > 0 {
			if l.ctx.Err() == nil {
				continue // still nothing, for the watch too
			}
			err = io.ErrNoProgress
		}
		if l.takes {
			l.m.sent.Add(int64(n))
		}
		return n, err
	}
}

// linkWriter writes for a link at the rate that it may have, and measures the rate that it
// gets.
type linkWriter struct{ l *link }

func (w linkWriter) Write(p []byte) (n int, err error) {
	l := w.l
	piece := len(p)
	if l.pace != nil { // so that a slow link is a slow link and not one that stops for a minute
		piece = int(min(int64(piece), max(1<<10, l.pace.rate/20)))
	}
	begun := time.Now()
	for n < len(p) && err == nil {
		end := min(n+piece, len(p))
		l.pace.wait(l.ctx, end-n) // the last words of a link that has ended need not wait
		var wrote int
		wrote, err = l.rw.Write(p[n:end])
		n += wrote
		if !l.takes {
			l.m.sent.Add(int64(wrote))
		}
		l.lastSent.Store(int64(time.Since(l.begun)))
	}
	l.measure(n, time.Since(begun))
	return n, err
}

// measure notes that the link took n bytes in a time.
func (l *link) measure(n int, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := took.Seconds(); s > 0 && n > 0 {
		weight := min(1, float64(n)/rateOver)
		l.rate = cmp.Or(l.rate, float64(n)/s)
		l.rate = 1 / ((1-weight)/l.rate + weight*s/float64(n))
	}
}

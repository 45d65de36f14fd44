package blockcopy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Copy copies src to dst: every block is read, tested for zeros, digested, compared with
// what the target holds, written where it differs, flushed, read back, and noted in the
// journal. The target is as long as the source, or longer; what lies behind stays.
//
// Nothing is written if the target is too small (*SizeError), is the source in another
// guise (ErrSameDevice), or if the journal is of another copy (*JournalError). What goes
// wrong later is an *IOError or a *ChecksumError, each with its offset, or ErrChanged;
// then State is Incomplete, and calling Copy again with the same journal goes on. So it
// does after the context was cancelled, which ends Copy within a second.
//
// A device that is written during a Full or a Final pass is not noticed without
// Options.Recheck; a regular file is, by its size and times.
func Copy(ctx context.Context, dst Target, src Source, opt *Options) (Result, error) {
	o, err := opt.withDefaults()
	if err != nil {
		return Result{}, err
	}
	if err := checkSize(src); err != nil {
		return Result{}, err
	}
	if t, ok := dst.(interface{ CheckSource(Source) error }); ok {
		if err := t.CheckSource(src); err != nil {
			return Result{}, err
		}
	}
	before, err := version(src)
	if err != nil {
		return Result{}, err
	}
	m := newMeter(src.Size())
	s, err := openSink(dst, src.Size(), sourceID{identityOf(src), before}, o, m)
	if err != nil {
		return Result{}, err
	}
	defer s.close()
	c := &copier{sink: s, reader: newReader(src, o, newPacer(o.Rate), m), opt: o}
	stop := m.report(o.Progress)
	r, err := c.run(ctx, before)
	if errors.Is(err, ErrChanged) {
		err = errors.Join(err, s.changed())
	}
	stop()
	r.Progress = m.progress(time.Now())
	r.Verified = s.readBack
	r.Bad = c.reader.badRanges()
	return r, err
}

// withDefaults checks the options, and returns them with what they leave open.
func (opt *Options) withDefaults() (*Options, error) {
	var o Options
	if opt != nil {
		o = *opt
	}
	switch {
	case o.Pass < Full || o.Pass > Final:
		return nil, &ValueError{Field: "Pass", Value: strconv.Itoa(int(o.Pass)), Reason: "there is no such pass"}
	case o.Rate < 0 || o.Workers < 0 || o.Streams < 0:
		return nil, &ValueError{Field: "Rate, Workers, Streams", Value: "negative", Reason: "zero chooses"}
	case o.TrustJournal && o.Rewrite:
		return nil, &ValueError{Field: "TrustJournal", Value: "true", Reason: "Rewrite compares with nothing"}
	}
	o.Workers = cmp.Or(o.Workers, max(8, min(runtime.GOMAXPROCS(0), 16))) // disks want several requests at once
	o.Streams = cmp.Or(o.Streams, 1)
	o.unsynced = cmp.Or(o.unsynced, 128<<20)
	if o.openJournal == nil {
		o.openJournal = openJournal
	}
	return &o, nil
}

func checkSize(src Source) error {
	if size := src.Size(); size < 0 || size > math.MaxInt64-blockSize {
		return &ValueError{Field: "source", Value: strconv.FormatInt(size, 10), Reason: "no image has that many bytes"}
	}
	return nil
}

// A copier runs one Copy.
type copier struct {
	sink   *sink
	reader *reader
	opt    *Options
}

func (c *copier) run(ctx context.Context, before string) (Result, error) {
	if err := c.blocks(ctx); err != nil {
		return Result{}, err
	}
	d, whole := c.sink.root()
	if !whole {
		return Result{}, c.reader.unreadable()
	}
	if err := c.reader.unchanged(ctx, before, d, c.sink.sha256); err != nil {
		return Result{}, err
	}
	r := Result{Digest: d}
	if c.opt.SHA256 {
		var err error
		if r.SHA256, err = c.sink.sha256(ctx); err != nil {
			return Result{}, err
		}
	}
	state, err := c.sink.complete(d)
	if err != nil {
		return Result{}, err
	}
	r.State = state
	return r, nil
}

// blocks brings every block to the target, and makes them durable.
func (c *copier) blocks(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var checkpoints, workers sync.WaitGroup
	try := func(f func(context.Context) error) func() {
		return func() {
			if err := f(ctx); err != nil {
				cancel(err)
			}
		}
	}
	checkpoints.Go(try(c.sink.run))
	if ranges, ok := c.reader.src.(RangeReader); ok {
		work := make(chan job, c.opt.Workers)
		for range c.opt.Workers {
			workers.Go(try(func(ctx context.Context) error { return c.takeFrom(ctx, work) }))
		}
		c.readRanges(ctx, ranges, work, try)
		close(work)
	} else {
		var next atomic.Int64
		for range c.opt.Workers {
			workers.Go(try(func(ctx context.Context) error { return c.takeNext(ctx, &next) }))
		}
	}
	workers.Wait()
	if ctx.Err() == nil {
		cancel(c.sink.finish())
	}
	checkpoints.Wait()
	if err := context.Cause(ctx); err != context.Canceled || parent.Err() != nil {
		return err
	}
	return nil
}

// takeNext copies block after block until none is left.
func (c *copier) takeNext(ctx context.Context, next *atomic.Int64) error {
	buf, old := newBuffer(), newBuffer()
	defer freeBuffer(buf)
	defer freeBuffer(old)
	for {
		block := next.Add(1) - 1
		if block >= blocksOf(c.reader.size) {
			return nil
		}
		done, err := c.resumed(ctx, block, old[:])
		if err == nil && !done {
			err = c.copyBlock(ctx, block, buf[:], old[:])
		}
		if err != nil {
			return err
		}
	}
}

// resumed hands on a block that an earlier run has done.
func (c *copier) resumed(ctx context.Context, block int64, buf []byte) (bool, error) {
	d, ok, err := c.sink.examineDone(block, buf)
	if ok && err == nil {
		err = c.sink.done(ctx, finished{block: block, value: d, resumed: true})
	}
	return ok, err
}

// copyBlock reads a block and brings it to the target.
func (c *copier) copyBlock(ctx context.Context, block int64, buf, old []byte) error {
	p, bad, err := c.reader.read(ctx, block, buf)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return c.sink.writeGood(block, p, bad)
	}
	return c.put(ctx, block, p, old)
}

// put makes the target hold p as the block. It writes the grains that differ.
func (c *copier) put(ctx context.Context, block int64, p, old []byte) error {
	f := finished{block: block}
	have, left, err := c.sink.examineOld(block, true, old, nil)
	if err != nil {
		return err
	}
	if have == holdsTrusted {
		f.g = new(sums)
		if f.value = sumBlock(p, block*blockSize, c.sink.size, f.g); f.value != left {
			have, _, err = c.sink.examineOld(block, false, old, nil)
		}
	}
	zeros, all := zeroGrains(p), allGrains(len(p))
	switch have {
	case holdsUnknown:
		f.mask = all
	case holdsZeros:
		f.mask = all &^ zeros
	case holdsOld:
		f.mask = differing(p, old)
	}
	switch {
	case err != nil || f.g != nil:
	case f.mask == 0:
		f.g = new(sums)
		f.value, err = c.sink.valueOf(block, p, f.g)
	default:
		f.g = new(sums)
		f.value = sumBlock(p, block*blockSize, c.sink.size, f.g)
	}
	if err != nil {
		return err
	}
	if f.mask == 0 {
		f.g = nil // many such blocks may wait for the journal
	}
	f.count(len(p), zeros, have)
	if err := c.sink.write(block, p, f.mask, zeros); err != nil {
		return err
	}
	return c.sink.done(ctx, f)
}

// A job is a block that was read, in a buffer that goes back when it is done.
type job struct {
	block int64
	buf   *[blockSize]byte // nil: an earlier run has done the block
}

// takeFrom copies the blocks that others read.
func (c *copier) takeFrom(ctx context.Context, work <-chan job) error {
	buf, old := newBuffer(), newBuffer()
	defer freeBuffer(buf)
	defer freeBuffer(old)
	for j := range work {
		if j.buf != nil {
			err := c.put(ctx, j.block, j.buf[:c.sink.length(j.block)], old[:])
			freeBuffer(j.buf)
			if err != nil {
				return err
			}
			continue
		}
		done, err := c.resumed(ctx, j.block, old[:])
		if err == nil && !done {
			err = c.copyBlock(ctx, j.block, buf[:], old[:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readRanges reads the source as so many ranges at once as Options.Streams says, and
// skips what an earlier run has done.
func (c *copier) readRanges(ctx context.Context, src RangeReader, work chan<- job, try func(func(context.Context) error) func()) {
	var wg sync.WaitGroup
	blocks, streams := blocksOf(c.sink.size), int64(c.opt.Streams)
	for i := range streams {
		first, end := blocks*i/streams, blocks*(i+1)/streams
		wg.Go(try(func(ctx context.Context) error {
			for first < end {
				todo := first
				for todo < end && !c.sink.doneBefore(todo) {
					todo++
				}
				if err := c.readRange(ctx, src, first, todo, work); err != nil {
					return err
				}
				for first = todo; first < end && c.sink.doneBefore(first); first++ {
					if err := send(ctx, work, job{block: first}); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
	wg.Wait()
}

// readRange reads the blocks from first up to end.
func (c *copier) readRange(ctx context.Context, src RangeReader, first, end int64, work chan<- job) (err error) {
	off := first * blockSize
	n := min(end*blockSize, c.sink.size) - off
	if n <= 0 {
		if first < end { // the one block of an empty image
			return send(ctx, work, job{first, newBuffer()})
		}
		return nil
	}
	r, err := src.ReadRange(ctx, off, n)
	if err != nil {
		return failed("read", off, n, err)
	}
	defer func() {
		if e := r.Close(); err == nil && e != nil {
			err = failed("read", off, n, e)
		}
	}()
	for block := first; block < end; block++ {
		buf := newBuffer()
		want := c.sink.length(block)
		if err := c.reader.pace.wait(ctx, want); err != nil {
			return err
		}
		if got, err := io.ReadFull(r, buf[:want]); err != nil {
			return failed("read", block*blockSize+int64(got), int64(want-got), err)
		}
		c.reader.m.read.Add(int64(want))
		if err := send(ctx, work, job{block, buf}); err != nil {
			return err
		}
	}
	return nil
}

func send(ctx context.Context, work chan<- job, j job) error {
	select {
	case work <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

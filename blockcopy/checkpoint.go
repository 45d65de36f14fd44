package blockcopy

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"sync"
	"time"
)

// finished is a block that is as it shall be, but not yet durable.
type finished struct {
	block             int64
	value             Digest
	g                 *sums  // of its grains; nil if none was written
	mask              uint16 // grains that were written
	same, zero, moved int64  // bytes, for the meter
	resumed           bool   // an earlier run had done it
}

const (
	checkpointEvery = 500 * time.Millisecond
	enoughUnflushed = 64 << 20 // not to wait for the half second
	leastUnsynced   = 16 << 20
	mostUnsynced    = 1 << 30
)

// done hands a block to the next checkpoint. It waits while too much is not durable:
// what would be lost in a crash, and what a flush would take, is bounded.
func (s *sink) done(ctx context.Context, f finished) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.room.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.unsynced >= s.most && s.failed == nil && ctx.Err() == nil {
		s.room.Wait()
	}
	if err := cmp.Or(s.failed, context.Cause(ctx)); err != nil {
		return err
	}
	s.pending = append(s.pending, f)
	s.unsynced += f.written()
	s.unflushed += f.written()
	if s.unflushed >= min(s.most/2, enoughUnflushed) {
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
	s.m.same.Add(f.same)
	s.m.zero.Add(f.zero)
	s.m.moved.Add(f.moved)
	return nil
}

// count splits the n bytes of a block into those that were the same, zeros and moved.
func (f *finished) count(n int, zeros uint16, have holding) {
	for i := 0; i*grainSize < n; i++ {
		size := int64(min(grainSize, n-i*grainSize))
		bit := uint16(1) << i
		switch {
		case zeros&bit != 0 && (f.mask&bit != 0 || have == holdsZeros):
			f.zero += size
		case f.mask&bit != 0:
			f.moved += size
		default:
			f.same += size
		}
	}
}

// written returns how much the block adds to what a crash could undo: what was written,
// and a grain's worth of work in any case, which bounds how many blocks wait.
func (f finished) written() int64 { return int64(1+bits.OnesCount16(f.mask)) * grainSize }

// run makes checkpoints until finish is called or the context ends. While one batch of
// blocks is read back and noted, the next one is flushed.
func (s *sink) run(ctx context.Context) error {
	defer close(s.ended)
	flushed := make(chan []finished)
	var settling sync.WaitGroup
	settling.Go(func() {
		for all := range flushed {
			if s.failure() == nil {
				s.fail(s.settle(ctx, all))
			}
		}
	})
	s.fail(s.flushAll(ctx, flushed))
	close(flushed)
	settling.Wait()
	return s.failure()
}

func (s *sink) fail(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = cmp.Or(s.failed, err)
	s.room.Broadcast()
}

func (s *sink) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// flushAll flushes what is done, every half second and whenever much is.
func (s *sink) flushAll(ctx context.Context, flushed chan<- []finished) error {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for last := false; !last && s.failure() == nil; {
		select {
		case <-tick.C:
		case <-s.full:
		case <-s.closing:
			last = true
		case <-ctx.Done():
			return ctx.Err()
		}
		all, err := s.flush()
		if err != nil {
			return err
		}
		if len(all) > 0 {
			flushed <- all
		}
	}
	return nil
}

// flush makes durable what was done before it began, and returns that. Blocks that are
// equal count only after a flush too: a run that was killed may have written them.
func (s *sink) flush() ([]finished, error) {
	s.mu.Lock()
	all := s.pending
	s.pending, s.unflushed = nil, 0
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b finished) int { return cmp.Compare(a.block, b.block) })
	written, dirty := int64(0), !s.synced
	for _, f := range all {
		written += f.written()
		dirty = dirty || f.mask != 0
	}
	if len(all) == 0 || !dirty {
		return all, nil
	}
	begun := time.Now()
	if err := s.dst.Sync(); err != nil {
		return nil, &IOError{"sync", all[0].block * blockSize, written, err}
	}
	s.synced = true
	s.mu.Lock()
	defer s.mu.Unlock()
	if took := time.Since(begun); took > checkpointEvery { // as much as it can flush in that time, and no more
		s.most = max(leastUnsynced, int64(float64(written)*float64(checkpointEvery)/float64(took)))
	} else if written >= s.most/4 { // less says little
		s.most = min(2*s.most, mostUnsynced)
	}
	return all, nil
}

// settle reads back what was flushed, and notes it in the journal.
func (s *sink) settle(ctx context.Context, all []finished) error {
	if !s.opt.SkipVerify {
		if err := s.verify(ctx, all); err != nil {
			return err
		}
	}
	if s.journal != nil {
		if err := s.journal.record(all); err != nil {
			return err
		}
	}
	var written int64
	for _, f := range all {
		written += f.written()
		s.tree.add(f.block, f.value)
		if !f.resumed {
			s.m.durable.Add(int64(s.length(f.block)))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced -= written
	s.room.Broadcast()
	return nil
}

// verify reads back the grains that were written, several blocks at once.
func (s *sink) verify(ctx context.Context, all []finished) error {
	var (
		mu    sync.Mutex
		next  int
		first error
		wg    sync.WaitGroup
	)
	take := func() *finished {
		mu.Lock()
		defer mu.Unlock()
		for ; next < len(all) && first == nil && ctx.Err() == nil; next++ {
			if f := &all[next]; f.mask != 0 {
				next++
				return f
			}
		}
		return nil
	}
	for range s.opt.Workers {
		wg.Go(func() {
			buf := newBuffer()
			defer freeBuffer(buf)
			for f := take(); f != nil; f = take() {
				how, err := s.verifyBlock(f, buf[:])
				mu.Lock()
				first = cmp.Or(first, err)
				if s.readBack == NotVerified || how < s.readBack {
					s.readBack = how
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return cmp.Or(first, ctx.Err())
}

func (s *sink) verifyBlock(f *finished, buf []byte) (how Verification, err error) {
	base := f.block * blockSize
	p := buf[:min(blockSize, s.size-base)]
	how = VerifiedCold
	err = runs(f.mask, len(p), func(from, to int) error {
		off := base + int64(from)
		h, err := s.readCold(p[from:to], off)
		how = min(how, h)
		if err != nil {
			return failed("verify", off, int64(to-from), err)
		}
		for at := from; at < to; at += grainSize {
			g := p[at:min(at+grainSize, to)]
			want, got := f.g[at/grainSize], sumGrain(g, base+int64(at))
			if got != want {
				// The page cache may have what was written, and the next run would compare
				// with that.
				if c, ok := s.dst.(interface{ dropCache() error }); ok {
					c.dropCache()
				}
				return &ChecksumError{Offset: base + int64(at), Length: int64(len(g)), Want: want, Got: got}
			}
		}
		return nil
	})
	return how, err
}

// finish makes the last checkpoint.
func (s *sink) finish() error {
	close(s.closing)
	<-s.ended
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

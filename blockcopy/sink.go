package blockcopy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// A sink is the target's side of every copy, local or remote. It says what the target
// holds, takes what shall be there, and makes it durable: every half second it takes
// the blocks that are done, flushes the target, reads back what was written, and only
// then notes them in the journal.
type sink struct {
	dst     Target
	size    int64
	opt     *Options
	m       *meter
	journal *journal // nil: none
	holes   *holes
	tree    *tree

	mu       sync.Mutex
	room     *sync.Cond // unsynced has shrunk, or the sink has failed
	pending  []finished
	unsynced int64 // bytes that the next flushes must take
	most     int64 // of them, before workers wait
	failed   error

	full    chan struct{} // a checkpoint is due before its time
	closing chan struct{}
	ended   chan struct{}

	synced   bool // once at least, in this run
	readBack Verification
}

// A sourceID says which source it is, and in which version; "" is unknown.
type sourceID struct{ identity, version string }

// What the target holds in a block.
type holding int

const (
	holdsUnknown holding = iota // not looked at
	holdsZeros                  // nothing: a hole
	holdsOld                    // something, which was read
	holdsTrusted                // what the journal says; not read
	holdsDone                   // what this pass has put there in an earlier run
)

// finished is a block that is as it shall be, but not yet durable.
type finished struct {
	block             int64
	value             Digest
	g                 *sums  // of its grains; nil if there is nothing to read back
	mask              uint16 // grains that were written
	check             uint16 // grains to read back
	same, zero, moved int64  // bytes, for the meter
	resumed           bool   // an earlier run had done it
}

const (
	checkpointEvery = 500 * time.Millisecond
	leastUnsynced   = 16 << 20
	mostUnsynced    = 1 << 30
)

// openSink makes the target ready for an image of the given size: it opens the journal,
// and refuses what does not fit before anything is written.
func openSink(dst Target, size int64, src sourceID, opt *Options, m *meter) (*sink, error) {
	s := &sink{
		dst: dst, size: size, opt: opt, m: m, tree: newTree(blocksOf(size)), most: opt.unsynced,
		full: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	s.room = sync.NewCond(&s.mu)
	resizer, _ := dst.(Resizer)
	if dst.Size() < size && (dst.Size() >= 0 || resizer == nil) {
		return nil, &SizeError{Source: size, Target: dst.Size()}
	}
	if opt.Journal != "" {
		j, err := opt.openJournal(opt.Journal, header{
			Size: size, Block: blockSize, Source: src.identity, Target: identityOf(dst), Version: src.version, Pass: opt.Pass,
		})
		if err != nil {
			return nil, err
		}
		s.journal = j
		if err := s.resume(); err != nil {
			s.close()
			return nil, err
		}
	}
	if dst.Size() < 0 {
		if err := resizer.Resize(size); err != nil {
			s.close()
			return nil, err
		}
	}
	s.holes = newHoles(dst, size)
	return s, nil
}

// resume counts what an earlier run of the pass has done.
func (s *sink) resume() error {
	if !s.journal.resumed {
		return nil
	}
	done, err := s.journal.head.done(s.journal.f)
	if err != nil {
		return err
	}
	s.m.resumed.Add(done)
	s.m.durable.Add(done)
	if s.opt.Log != nil {
		s.opt.Log.Info("the copy goes on", "journal", s.journal.path, "done", done, "size", s.size)
	}
	return nil
}

// close lets go of the journal.
func (s *sink) close() {
	if s.journal != nil {
		s.journal.f.Close() // what counts was flushed
	}
}

// length returns how many bytes a block has.
func (s *sink) length(block int64) int { return int(min(blockSize, s.size-block*blockSize)) }

// examine tells what the target holds in a block. Old content is read into buf. g, if not
// nil, gets the values of the grains of holdsOld. With trust false the
// answer is never holdsTrusted.
func (s *sink) examine(block int64, trust bool, buf []byte, g *sums) (holding, Digest, error) {
	d, done, err := s.examineDone(block, buf)
	if done || err != nil {
		return holdsDone, d, err
	}
	return s.examineOld(block, trust, buf, g)
}

// examineOld is examine for a block that no earlier run has done.
func (s *sink) examineOld(block int64, trust bool, buf []byte, g *sums) (holding, Digest, error) {
	off := block * blockSize
	p := buf[:s.length(block)]
	if s.opt.Rewrite {
		return holdsUnknown, Digest{}, nil
	}
	if trust && s.journal != nil && s.opt.TrustJournal && s.journal.trusted != 0 {
		d, number, err := s.journal.slot(block)
		if err != nil || number == s.journal.trusted {
			return holdsTrusted, d, err
		}
	}
	hole, err := s.holes.cover(off, int64(len(p)))
	if err != nil {
		return holdsUnknown, Digest{}, failed("read target", off, int64(len(p)), err)
	}
	if hole {
		return holdsZeros, Digest{}, nil
	}
	if err := readFull(s.dst, p, off); err != nil {
		return holdsUnknown, Digest{}, failed("read target", off, int64(len(p)), err)
	}
	if g == nil {
		return holdsOld, Digest{}, nil
	}
	return holdsOld, sumBlock(p, off, s.size, g), nil
}

// doneBefore reports whether an earlier run of this pass has done the block.
func (s *sink) doneBefore(block int64) bool {
	if s.journal == nil || !s.journal.resumed {
		return false
	}
	_, number, err := s.journal.slot(block)
	return err == nil && number == s.journal.head.Number
}

// examineDone reports whether an earlier run of this pass has done a block, and reads
// it: the target may have been used since, by a guest that was booted too early.
func (s *sink) examineDone(block int64, buf []byte) (Digest, bool, error) {
	if !s.doneBefore(block) {
		return Digest{}, false, nil
	}
	d, _, err := s.journal.slot(block)
	if err != nil || s.opt.TrustJournal {
		return d, err == nil, err
	}
	off, p := block*blockSize, buf[:s.length(block)]
	if _, err := s.readCold(p, off); err != nil {
		return d, false, failed("read target", off, int64(len(p)), err)
	}
	var g sums
	if sumBlock(p, off, s.size, &g) == d {
		return d, true, nil
	}
	s.m.resumed.Add(-int64(len(p)))
	s.m.durable.Add(-int64(len(p)))
	return d, false, nil
}

// readCold reads the target past the page cache if it can.
func (s *sink) readCold(p []byte, off int64) (Verification, error) {
	if c, ok := s.dst.(ColdReader); ok {
		n, err := c.ReadCold(p, off)
		if n == len(p) {
			return VerifiedCold, nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return VerifiedCold, cmp.Or(err, io.ErrUnexpectedEOF)
		}
	}
	return VerifiedCached, readFull(s.dst, p, off)
}

// write writes those grains of the block p that are in mask; those in zeros too are
// made zero with less work where the target can.
func (s *sink) write(block int64, p []byte, mask, zeros uint16) error {
	off := block * blockSize
	z, ok := s.dst.(Zeroer)
	if !ok {
		zeros = 0
	}
	err := runs(mask&zeros, len(p), func(from, to int) error {
		if err := z.Zero(off+int64(from), int64(to-from)); err != nil {
			return failed("zero", off+int64(from), int64(to-from), err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return runs(mask&^zeros, len(p), func(from, to int) error {
		return s.writeAt(p[from:to], off+int64(from))
	})
}

func (s *sink) writeAt(p []byte, off int64) error {
	n, err := s.dst.WriteAt(p, off)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return failed("write", off+int64(n), int64(len(p)-n), err)
	}
	return nil
}

// writeGood writes what could be read of a block, around the bad ranges.
func (s *sink) writeGood(block int64, p []byte, bad []Range) error {
	base := block * blockSize
	at := base
	for _, r := range append(bad, Range{Offset: base + int64(len(p))}) {
		if r.Offset > at {
			if err := s.writeAt(p[at-base:r.Offset-base], at); err != nil {
				return err
			}
		}
		at = r.Offset + r.Length
	}
	return nil
}

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
		select {
		case s.full <- struct{}{}:
		default:
		}
		s.room.Wait()
	}
	if err := cmp.Or(s.failed, context.Cause(ctx)); err != nil {
		return err
	}
	f.check = f.mask
	if f.same > 0 && s.journal != nil && s.journal.resumed {
		f.check = allGrains(s.length(f.block)) // what a killed run wrote was not read back
	}
	s.pending = append(s.pending, f)
	s.unsynced += f.written()
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

// written returns how much the block adds to what a crash could undo.
func (f finished) written() int64 { return f.moved + grainSize/16 }

// run makes checkpoints until finish is called or the context ends.
func (s *sink) run(ctx context.Context) error {
	defer close(s.ended)
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-s.full:
		case <-s.closing:
			last = true
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.checkpoint(ctx); err != nil {
			s.mu.Lock()
			s.failed = err
			s.room.Broadcast()
			s.mu.Unlock()
			return err
		}
	}
	return nil
}

// checkpoint makes durable what was done before it began. Blocks that are equal count
// only after a flush too: a run that was killed may have written them.
func (s *sink) checkpoint(ctx context.Context) error {
	s.mu.Lock()
	all := s.pending
	s.pending = nil
	s.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b finished) int { return cmp.Compare(a.block, b.block) })
	var written int64
	dirty := !s.synced
	for _, f := range all {
		written += f.written()
		dirty = dirty || f.mask != 0
	}
	begun := time.Now()
	if dirty {
		if err := s.dst.Sync(); err != nil {
			return &IOError{"sync", all[0].block * blockSize, written, err}
		}
		s.synced = true
	}
	took := time.Since(begun)
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
	for _, f := range all {
		s.tree.add(f.block, f.value)
		if !f.resumed {
			s.m.durable.Add(min(blockSize, s.size-f.block*blockSize))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced -= written
	if took > checkpointEvery { // as much as it can flush in that time, and no more
		s.most = max(leastUnsynced, int64(float64(written)*float64(checkpointEvery)/float64(took)))
	} else {
		s.most = min(2*s.most, mostUnsynced)
	}
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
			if f := &all[next]; f.check != 0 && f.g != nil {
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
	err = runs(f.check, len(p), func(from, to int) error {
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

// root returns the digest of the image, after finish; false if a block is missing.
func (s *sink) root() (Digest, bool) { return s.tree.root() }

// complete notes that the pass has ended.
func (s *sink) complete(d Digest) (State, error) {
	state := Complete
	if s.opt.Pass == Live {
		state = Dirty
	}
	if s.journal != nil {
		if err := s.journal.end(state, d); err != nil {
			return Incomplete, err
		}
	}
	return state, nil
}

// changed notes that the source changed while it was copied.
func (s *sink) changed() error {
	if s.journal == nil {
		return nil
	}
	return s.journal.changed()
}

// sha256 reads the target from the beginning to the end: SHA-256 has no other order.
func (s *sink) sha256(ctx context.Context) ([]byte, error) {
	h := sha256.New()
	buf := newBuffer()
	defer freeBuffer(buf)
	for off := int64(0); off < s.size; off += blockSize {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := buf[:min(blockSize, s.size-off)]
		if err := readFull(s.dst, p, off); err != nil {
			return nil, failed("read target", off, int64(len(p)), err)
		}
		h.Write(p)
	}
	return h.Sum(nil), nil
}

package blockcopy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
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

	mu        sync.Mutex
	room      *sync.Cond // unsynced has shrunk, or the sink has failed
	pending   []finished
	unflushed int64 // bytes that the next flush must take
	unsynced  int64 // and those that are flushed but not yet in the journal
	most      int64 // of them, before workers wait
	failed    error

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
		left, err := version(dst)
		if err != nil {
			return nil, err
		}
		j, err := opt.openJournal(opt.Journal, header{
			Size: size, Block: blockSize, Source: src.identity, Target: identityOf(dst), Version: src.version, Pass: opt.Pass, Left: left,
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
func (s *sink) length(block int64) int { return lengthOf(block, s.size) }

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
	if trust && s.opt.TrustJournal {
		d, ok, err := s.journal.left(block)
		if ok || err != nil {
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
	if s.journal != nil && s.journal.torn {
		// After a flush that failed the cache may hold, as clean, what the disk does not.
		_, err = s.readCold(p, off)
	} else {
		err = readFull(s.dst, p, off)
	}
	if err != nil {
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

// valueOf returns the value of a block p that is equal to what the target holds. If nobody
// has written the target since a pass ended, its journal has it; else it is computed, and
// g gets those of the grains.
func (s *sink) valueOf(block int64, p []byte, g *sums) (Digest, error) {
	if s.journal != nil && s.journal.intact {
		d, ok, err := s.journal.left(block)
		if ok || err != nil {
			return d, err
		}
	}
	return sumBlock(p, block*blockSize, s.size, g), nil
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

// root returns the digest of the image, after finish; false if a block is missing.
func (s *sink) root() (Digest, bool) { return s.tree.root() }

// complete notes that the pass has ended.
func (s *sink) complete(d Digest) (State, error) {
	state := Complete
	if s.opt.Pass == Live {
		state = Dirty
	}
	if s.journal != nil {
		left, err := version(s.dst)
		if err != nil {
			return Incomplete, err
		}
		if err := s.journal.end(state, d, left); err != nil {
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

package blockcopy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// claimWindow is how many blocks the receiver may be ahead of the first one that has no
// answer: 1 GiB of the image, so that a long link is full, and a few megabytes of values.
const claimWindow = 4096

// Send is the source's end of rw, whose other end is Receive, as in
//
//	rw, err := blockcopy.Command(ctx, "ssh", "host.example.net", "diskmove", "agent", …)
//
// The receiver tells what the target holds, and Send answers with what differs. The
// Result has the Digest and the State of the target: both ends return the same. Of opt,
// Recheck, SkipBad, Rate, Workers, Progress and SHA256 concern this end; Pass must be
// the other end's.
//
// Send closes rw before it returns. When ctx ends it does so within a second. What went
// wrong at the other end is a *RemoteError.
func Send(ctx context.Context, rw io.ReadWriteCloser, src Source, opt *Options) (Result, error) {
	o, err := opt.withDefaults()
	if err != nil {
		rw.Close()
		return Result{}, err
	}
	before, err := version(src)
	if err != nil {
		rw.Close()
		return Result{}, err
	}
	m := newMeter(src.Size())
	s := &sender{
		link: newLink(rw, o.Rate, m), opt: o, reader: newReader(src, o, nil, m), size: src.Size(),
		tree: newTree(blocksOf(src.Size())), compression: newCompression(),
		asked: map[int64]bool{}, open: make([]bool, min(claimWindow, blocksOf(src.Size()))),
	}
	s.link.handle, s.awaited = s.take, s.owed
	stop, err := s.start(ctx, hello{
		Role: sending, Pass: o.Pass.String(), SHA256: o.SHA256,
		Size: s.size, Source: identityOf(src), Version: before,
	})
	if err != nil {
		rw.Close()
		return Result{}, err
	}
	defer stop()
	report := m.report(o.Progress)
	r, err := s.run(before)
	if err != nil {
		s.fail(err)
		err = s.close()
	} else {
		s.close() // nothing that comes after the result matters
	}
	report()
	r.Progress = m.progress(time.Now())
	r.Bad = s.reader.badRanges()
	return r, err
}

// A sender is the source's end.
type sender struct {
	*link
	opt         *Options
	reader      *reader
	size        int64
	compression *compression

	// mu of the link guards what follows.
	peer    *hello
	claims  []claim
	next    int64          // the block that the receiver claims next
	base    int64          // the first one without an answer
	open    []bool         // whether base+i, at (base+i) % len, has no answer yet; claimed ones only
	asked   map[int64]bool // blocks that it claims once more
	sent    int64          // bytes of answers
	acked   int64          // of these
	tree    *tree
	ended   bool
	outcome *outcome
}

func (s *sender) run(before string) (Result, error) {
	s.mu.Lock()
	err := s.wait(func() bool { return s.peer != nil })
	s.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	var wg sync.WaitGroup
	for range s.opt.Workers {
		wg.Go(func() {
			if err := s.work(); err != nil {
				s.fail(err)
			}
		})
	}
	wg.Wait()
	s.mu.Lock()
	err = s.err
	d, whole := s.tree.root()
	s.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	if whole {
		err = s.reader.unchanged(s.ctx, before, d, nil)
	} else {
		err = s.reader.unreadable()
	}
	o, ended := s.end(d, err)
	if err := cmp.Or(err, ended); err != nil {
		return Result{}, err
	}
	s.m.durable.Store(s.size)
	return Result{Digest: d, SHA256: o.SHA256, State: o.State, Verified: o.Verified}, nil
}

// end says that all blocks are answered, and how the pass has ended here, and takes the
// receiver's result.
func (s *sender) end(d Digest, failed error) (*outcome, error) {
	e := ending{Digest: d}
	want := Complete
	switch {
	case failed != nil:
		e.Failure = newFailure(failed)
		want = Incomplete
	case s.opt.Pass == Live:
		want = Dirty
	}
	f, err := textFrame(frameEnd, e)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.put(f)
	err = s.wait(func() bool { return s.outcome != nil })
	asked := failed == nil && s.opt.SHA256
	switch o := s.outcome; {
	case o == nil:
		return nil, err
	case o.State != want:
		return nil, broken("the state of the target is %d at the end of the pass, not %d", o.State, want)
	case failed == nil && o.Digest != d:
		return nil, &ChecksumError{Length: s.size, Want: d, Got: o.Digest}
	case len(o.SHA256) != sha256.Size && (asked || len(o.SHA256) > 0):
		return nil, broken("the result has %d bytes of SHA-256", len(o.SHA256))
	case o.Verified < NotVerified || o.Verified > VerifiedCold:
		return nil, broken("the result is verified in the way %d", o.Verified)
	}
	return s.outcome, nil
}

// owed tells what the receiver owes.
func (s *sender) owed() string {
	switch {
	case s.peer == nil:
		return "its hello"
	case s.ended:
		return "its result"
	}
	return "what the target holds"
}

// take handles a frame of the receiver.
func (s *sender) take(kind frameKind, p []byte, buf *[mostFrame]byte) error {
	if buf != nil {
		frameBuffers.Put(buf)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	switch {
	case kind == frameHello && s.peer == nil:
		peer, err := decodeText[hello](kind, p)
		if err == nil {
			err = hello{Role: sending, Pass: s.opt.Pass.String()}.fits(*peer)
		}
		if err == nil {
			s.peer = peer
		}
		return err
	case kind == frameClaim && s.peer != nil:
		c, err := decodeClaim(p, s.size)
		if err != nil {
			return err
		}
		return s.claim(c)
	case kind == frameAck && s.peer != nil:
		a, err := decodeAck(p, s.size)
		if err != nil {
			return err
		}
		if a.taken < s.acked || a.taken > s.sent {
			return broken("%d bytes are acknowledged of %d, after %d", a.taken, s.sent, s.acked)
		}
		s.acked, s.onLink = a.taken, s.sent-a.taken
		s.m.durable.Store(a.durable)
		s.m.resumed.Store(a.resumed)
		return nil
	case kind == frameResult && s.ended && s.outcome == nil:
		o, err := decodeText[outcome](kind, p)
		s.outcome = o
		return err
	}
	return broken("a frame of kind %d came while waiting for %s", kind, s.owed())
}

// claim notes a claim. Blocks come in order, but for those that were asked for.
func (s *sender) claim(c claim) error {
	switch {
	case s.asked[c.block] && (c.have == holdsUnknown || c.have == holdsZeros || c.have == holdsOld):
		delete(s.asked, c.block)
	case c.block != s.next:
		return broken("block %d was claimed, it was the turn of %d", c.block, s.next)
	case c.block-s.base >= int64(len(s.open)):
		return broken("block %d was claimed before %d has an answer", c.block, s.base)
	default:
		s.next++
		s.open[c.block%int64(len(s.open))] = true
	}
	if c.have == holdsDone {
		s.tree.add(c.block, c.value)
		s.answered(c.block)
		return nil
	}
	s.claims = append(s.claims, c)
	return nil
}

// answered notes that a block is done with.
func (s *sender) answered(block int64) {
	n := int64(len(s.open))
	s.open[block%n] = false
	for s.base < s.next && !s.open[s.base%n] {
		s.base++
	}
}

// work answers claims until all blocks are answered.
func (s *sender) work() error {
	compressor, err := newCompressor()
	if err != nil {
		return err
	}
	buf := newBuffer()
	defer freeBuffer(buf)
	for {
		c, ok, err := s.nextClaim()
		if err != nil || !ok {
			return err
		}
		if err := s.answer(c, buf[:], compressor); err != nil {
			return err
		}
	}
}

func (s *sender) nextClaim() (c claim, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := blocksOf(s.size)
	err = s.wait(func() bool { return s.base == all || len(s.claims) > 0 && s.room() })
	if err != nil || s.base == all {
		return c, false, err
	}
	c = s.claims[0]
	s.claims = s.claims[1:]
	return c, true, nil
}

// answer reads the block once: what is hashed is what is sent, however the source changes.
func (s *sender) answer(c claim, buf []byte, compressor *zstd.Encoder) error {
	p, bad, err := s.reader.read(s.ctx, c.block, buf)
	if err != nil {
		return err
	}
	var g sums
	a := answer{block: c.block, bad: bad, value: sumBlock(p, c.block*blockSize, s.size, &g)}
	zeros, all := zeroGrains(p), allGrains(len(p))
	switch {
	case bad != nil || c.have == holdsUnknown:
		a.sent = all
	case c.have == holdsZeros:
		a.sent = all &^ zeros
	case c.have == holdsOld:
		for i := range grainsOf(len(p)) {
			if [shortSum]byte(g[i][:shortSum]) != c.short[i] {
				a.sent |= 1 << i
			}
		}
	case c.value != a.value:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[c.block] = true
		s.put(frame{p: appendAsk(nil, c.block)})
		return nil
	}
	a.zeros = a.sent & zeros
	if bad == nil {
		f := finished{mask: a.sent}
		f.count(len(p), zeros, c.have)
		s.m.same.Add(f.same)
		s.m.zero.Add(f.zero)
		s.m.moved.Add(f.moved)
	}
	f := s.frame(&a, gather(p, a.sent&^a.zeros), compressor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad == nil {
		s.tree.add(a.block, a.value)
	}
	s.sent += int64(len(f.p))
	s.onLink = s.sent - s.acked
	s.put(f)
	s.answered(a.block)
	return nil
}

// frame returns the frame of an answer with that content, compressed if it pays.
func (s *sender) frame(a *answer, content []byte, compressor *zstd.Encoder) frame {
	if len(content) == 0 && a.bad == nil {
		return frame{p: sealFrame(appendAnswer(nil, a))}
	}
	buf := frameBuffers.Get().(*[mostFrame]byte)
	s.mu.Lock()
	link := s.rate
	if s.queued < linkIsBusy {
		link = 0
	}
	s.mu.Unlock()
	if len(content) > 0 && s.compression.pays(link) {
		a.packed = true
		p := appendAnswer(buf[:0], a)
		begun := time.Now()
		packed := compressor.EncodeAll(content, p)
		if s.compression.tried(len(content), len(packed)-len(p), time.Since(begun)) {
			return frame{sealFrame(packed), buf}
		}
		a.packed = false
	}
	return frame{sealFrame(append(appendAnswer(buf[:0], a), content...)), buf}
}

package blockcopy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// mostTaken bounds the answers that wait for the target's disk, in bytes of memory.
const mostTaken = 8 << 20

// mostBadRanges bounds the list of what the sender cannot read.
const mostBadRanges = 1 << 16

// Receive is the target's end of rw, whose other end is Send. A Resizer, such as what
// OpenTarget returns for a size below 0, gets the source's size. Of opt, all but
// Recheck, SkipBad and Rate concern this end; Pass must be the other end's.
//
// What came is compared with the values of the sender, read back from the target unless
// SkipVerify is set, and compared as a whole at the end. The Result is the same at both
// ends. When the stream is lost, what is on the target is noted in the journal first, and
// the next Receive goes on from there.
//
// Receive closes rw before it returns. When ctx ends it does so within a second. What
// went wrong at the other end is a *RemoteError. An error together with the State Complete
// or Dirty says that the target is as it shall be, and that the sender could not be told.
func Receive(ctx context.Context, rw io.ReadWriteCloser, dst Target, opt *Options) (Result, error) {
	o, err := opt.withDefaults()
	if err != nil {
		rw.Close()
		return Result{}, err
	}
	m := newMeter(0)
	r := &receiver{link: newLink(rw, 0, m), opt: o}
	r.takes, r.link.handle, r.awaited = true, r.take, r.owed
	stop, err := r.start(ctx, hello{Role: receiving, Pass: o.Pass.String(), SHA256: o.SHA256})
	if err != nil {
		rw.Close()
		return Result{}, err
	}
	defer stop()
	result, err := r.run(ctx, dst)
	if err != nil && !r.told {
		r.fail(err)
		return result, r.close()
	}
	select { // the sender closes the stream once it has the result
	case <-r.ctx.Done():
	case <-time.After(deadAfter):
	}
	r.close() // nothing is left to be said
	return result, err
}

// A receiver is the target's end.
type receiver struct {
	*link
	opt  *Options
	sink *sink
	told bool // the sender has the result

	// mu of the link guards what follows.
	peer    *hello
	slots   []slot // of the blocks from base on, at block % len
	base    int64  // the first block that is not settled
	next    int64  // the block to be examined next
	claimed int64  // the block to be claimed next: claims go in order
	asked   []int64
	answers []taken
	waiting int   // memory that they take
	taken   int64 // bytes of answers that are settled
	bad     []Range
	ending  *ending
}

// A slot is what is known of a block from when it is examined until it is settled.
type slot struct {
	stage stage
	have  holding
	value Digest
	g     sums // of holdsOld
}

type stage uint8

const (
	untouched stage = iota
	examining
	examined
	claimed
	answered
	settled
)

// taken is an answer, and the buffer that its content lies in, if it has any.
type taken struct {
	answer
	buf  *[mostFrame]byte
	size int64 // of the frame
}

func (t taken) weight() int { return frame{buf: t.buf}.weight() }

func (r *receiver) run(ctx context.Context, dst Target) (result Result, err error) {
	r.mu.Lock()
	err = r.wait(func() bool { return r.peer != nil })
	r.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	r.m.size = r.peer.Size
	r.sink, err = openSink(dst, r.peer.Size, sourceID{r.peer.Source, r.peer.Version}, r.opt, r.m)
	if err != nil {
		return Result{}, err
	}
	defer r.sink.close()
	report := r.m.report(r.opt.Progress)
	result, err = r.pass(ctx)
	report()
	result.Progress = r.m.progress(time.Now())
	result.Verified = r.sink.readBack
	result.Bad = r.badRanges()
	return result, err
}

// pass brings all blocks to the target, and ends the pass if the target is then as the
// sender says.
func (r *receiver) pass(ctx context.Context) (Result, error) {
	if err := r.blocks(ctx); err != nil {
		return Result{}, err
	}
	r.mu.Lock()
	err := r.wait(func() bool { return r.ending != nil })
	r.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	if f := r.ending.Failure; f != nil {
		err := f.err()
		if errors.Is(err, ErrChanged) {
			err = errors.Join(err, r.sink.changed())
		}
		return Result{}, cmp.Or(r.tellOutcome(outcome{}), err)
	}
	d, whole := r.sink.root()
	if !whole {
		return Result{}, broken("the sender has ended, and some blocks could not be read")
	}
	if d != r.ending.Digest {
		return Result{}, &ChecksumError{Length: r.sink.size, Want: r.ending.Digest, Got: d}
	}
	o := outcome{Digest: d, Verified: r.sink.readBack}
	if r.opt.SHA256 || r.peer.SHA256 {
		if o.SHA256, err = r.sink.sha256(r.ctx); err != nil {
			return Result{}, err
		}
	}
	if o.State, err = r.sink.complete(d); err != nil {
		return Result{}, err
	}
	return Result{Digest: d, SHA256: o.SHA256, State: o.State}, r.tellOutcome(o)
}

// tellOutcome returns when the stream has the result.
func (r *receiver) tellOutcome(o outcome) error {
	f, err := textFrame(frameResult, o)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.put(frame{p: appendAck(nil, r.progress())})
	r.put(f)
	err = r.wait(func() bool { return r.written })
	r.mu.Unlock()
	if err != nil {
		r.ended(lastWords) // the sender, which has the result, may have closed the stream already
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told = r.written; r.told {
		return nil
	}
	return err
}

// blocks settles every block. What is on the target is made durable when the stream is
// lost too.
func (r *receiver) blocks(parent context.Context) error {
	keep, stop := context.WithCancel(parent)
	defer stop()
	var checkpoints, workers sync.WaitGroup
	try := func(f func() error) func() {
		return func() {
			if err := f(); err != nil {
				r.fail(err)
			}
		}
	}
	r.mu.Lock()
	r.slots = make([]slot, min(claimWindow, blocksOf(r.sink.size)))
	r.link.report = r.progress
	r.mu.Unlock()
	checkpoints.Go(try(func() error { return r.sink.run(keep) }))
	for range r.opt.Workers {
		workers.Go(try(r.examineBlocks))
		workers.Go(try(r.settleBlocks))
	}
	workers.Wait()
	if parent.Err() == nil {
		if err := r.sink.finish(); err != nil {
			r.fail(err)
		}
	}
	stop()
	checkpoints.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.answers {
		frame{buf: t.buf}.free()
	}
	return r.err
}

// progress is what acknowledgements say.
func (r *receiver) progress() ack {
	return ack{r.taken, r.m.durable.Load(), r.m.resumed.Load()}
}

// owed tells what the sender owes.
func (r *receiver) owed() string {
	switch {
	case r.peer == nil:
		return "its hello"
	case r.slots != nil && r.base == blocksOf(r.sink.size):
		return "its end"
	}
	return "what differs"
}

// take handles a frame of the sender.
func (r *receiver) take(kind frameKind, p []byte, buf *[mostFrame]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.changed.Broadcast()
	switch {
	case kind == frameHello && r.peer == nil:
		peer, err := decodeText[hello](kind, p)
		if err == nil {
			err = hello{Role: receiving, Pass: r.opt.Pass.String()}.fits(*peer)
		}
		if err == nil {
			r.peer = peer
		}
		return err
	case kind == frameBlock && r.slots != nil:
		a, err := decodeAnswer(p, r.sink.size)
		if err == nil {
			err = r.answer(taken{a, buf, int64(frameHead + len(p))})
		}
		if err != nil {
			frame{buf: buf}.free()
		}
		return err
	case kind == frameAsk && r.slots != nil:
		block, err := blockNumber(p, r.sink.size)
		if err != nil {
			return err
		}
		s := r.slot(block)
		if len(p) != 8 || s == nil || s.stage != claimed || s.have != holdsTrusted {
			return broken("block %d was asked for, which was not claimed as trusted", block)
		}
		s.stage = examining
		r.asked = append(r.asked, block)
		return nil
	case kind == frameEnd && r.slots != nil && r.ending == nil && r.allAnswered():
		e, err := decodeText[ending](kind, p)
		r.ending = e
		return err
	}
	frame{buf: buf}.free()
	return broken("a frame of kind %d came while waiting for %s", kind, r.owed())
}

// answer queues an answer. It waits while the disk is behind: then the link waits too.
func (r *receiver) answer(t taken) error {
	s := r.slot(t.block)
	all := allGrains(lengthOf(t.block, r.sink.size))
	switch {
	case s == nil || s.stage != claimed:
		return broken("block %d was answered, which was not claimed or has an answer", t.block)
	case s.have == holdsUnknown && t.sent != all, s.have == holdsTrusted && t.sent != 0 && t.bad == nil:
		return broken("block %d was answered with the grains %016b, which does not fit its claim", t.block, t.sent)
	case len(r.bad)+len(t.bad) > mostBadRanges:
		return broken("more than %d ranges of the source cannot be read", mostBadRanges)
	}
	s.stage = answered
	r.bad = append(r.bad, t.bad...)
	if err := r.wait(func() bool { return r.waiting < mostTaken }); err != nil {
		return err
	}
	r.waiting += t.weight()
	r.answers = append(r.answers, t)
	return nil
}

// slot returns that of a block; nil if the block is not in the window.
func (r *receiver) slot(block int64) *slot {
	n := int64(len(r.slots))
	if block < r.base || block >= r.base+n {
		return nil
	}
	return &r.slots[block%n]
}

func (r *receiver) allAnswered() bool {
	for block := r.base; block < blocksOf(r.sink.size); block++ {
		if s := r.slot(block); s == nil || s.stage < answered {
			return false
		}
	}
	return true
}

// examineBlocks tells what the target holds, block by block, until all are settled.
func (r *receiver) examineBlocks() error {
	buf := newBuffer()
	defer freeBuffer(buf)
	for {
		block, again, err := r.nextBlock()
		if err != nil || block < 0 {
			return err
		}
		s := &r.slots[block%int64(len(r.slots))] // the stage keeps others away from it
		s.have, s.value, err = r.sink.examine(block, !again, buf[:], &s.g)
		if err == nil && s.have == holdsDone {
			err = r.sink.done(r.ctx, finished{block: block, value: s.value, resumed: true})
		}
		if err != nil {
			return err
		}
		r.examined(block, again)
	}
}

// nextBlock returns the block to be examined, and whether that is again; -1 if there is
// none left.
func (r *receiver) nextBlock() (block int64, again bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := blocksOf(r.sink.size)
	err = r.wait(func() bool {
		return r.base == all || r.room() && (len(r.asked) > 0 || r.next < all && r.next < r.base+int64(len(r.slots)))
	})
	switch {
	case err != nil || r.base == all:
		return -1, false, err
	case len(r.asked) > 0:
		block = r.asked[0]
		r.asked = r.asked[1:]
		return block, true, nil
	}
	block = r.next
	r.next++
	r.slot(block).stage = examining
	return block, false, nil
}

// examined claims what has been examined, in order.
func (r *receiver) examined(block int64, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slot(block)
	s.stage = examined
	if again {
		r.claim(block, s)
		return
	}
	for s := r.slot(r.claimed); s != nil && s.stage == examined && r.claimed < r.next; s = r.slot(r.claimed) {
		r.claim(r.claimed, s)
		r.claimed++
	}
}

func (r *receiver) claim(block int64, s *slot) {
	r.put(frame{p: appendClaim(nil, block, s.have, s.value, &s.g, r.sink.length(block))})
	s.stage = claimed
	if s.have == holdsDone {
		r.settled(block)
	}
}

// settled notes that a block is done with. mu is held.
func (r *receiver) settled(block int64) {
	r.slot(block).stage = settled
	for s := r.slot(r.base); s.stage == settled; s = r.slot(r.base) {
		s.stage = untouched
		r.base++
	}
	r.changed.Broadcast()
}

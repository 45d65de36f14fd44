package blockcopy

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// filled is a source of any size in which no block is zeros.
type filled int64

func (f filled) Size() int64 { return int64(f) }
func (f filled) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte(i>>8) | 1
	}
	return len(p), nil
}

// TestAnswersOnTheLinkAreBounded: a receiver that takes all and acknowledges nothing.
func TestAnswersOnTheLinkAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks = 2 * mostOnLink / blockSize
		a, b := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		says := greet(hello{Role: receiving, Pass: "full"})
		for block := range int64(blocks) {
			says = append(says, appendClaim(nil, block, holdsUnknown, Digest{}, nil, 0)...)
		}
		go b.Write(says)
		sum := make(chan int)
		go func() {
			io.ReadFull(b, make([]byte, len(appendGreeting(nil))))
			frames, n := frameReader{r: b}, 0
			for {
				kind, p, buf, err := frames.next()
				frame{buf: buf}.free()
				if err != nil {
					sum <- n
					return
				}
				if kind == frameBlock {
					n += frameHead + len(p)
				}
				if kind == framePing { // nothing was sent for a while
					cancel()
				}
			}
		}()
		_, err := Send(ctx, a, filled(blocks*blockSize), &Options{Workers: 2})
		require.ErrorIs(t, err, context.Canceled)
		n := <-sum
		assert.GreaterOrEqual(t, n, mostOnLink)
		assert.LessOrEqual(t, n, mostOnLink+2*mostFrame)
	})
}

// blocked is a target whose writes wait.
type blocked struct {
	endless
	release <-chan struct{}
}

func (b blocked) WriteAt(p []byte, off int64) (int, error) { <-b.release; return len(p), nil }

// TestAnswersThatWaitForTheDiskAreBounded: then the receiver stops reading.
func TestAnswersThatWaitForTheDiskAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks = 3 * mostTaken / blockSize
		a, b := net.Pipe()
		defer b.Close()
		ctx, cancel := context.WithCancel(t.Context())
		src := filled(blocks * blockSize)
		go b.Write(greet(hello{Role: sending, Pass: "full", Size: src.Size()}))
		sent := 0
		go func() {
			io.ReadFull(b, make([]byte, len(appendGreeting(nil))))
			frames := frameReader{r: b}
			for claims := 0; claims < blocks; {
				kind, _, _, err := frames.next()
				if err != nil {
					return
				}
				if kind == frameClaim {
					claims++
				}
			}
			go io.Copy(io.Discard, b)
			p := make([]byte, blockSize)
			src.ReadAt(p, 0)
			for ; sent < blocks; sent++ {
				var g sums
				off := int64(sent) * blockSize
				answer := &answer{block: int64(sent), value: sumBlock(p, off, src.Size(), &g), sent: allGrains(blockSize)}
				if _, err := b.Write(sealFrame(append(appendAnswer(nil, answer), p...))); err != nil {
					return
				}
			}
		}()
		release := make(chan struct{})
		done := make(chan error)
		go func() {
			_, err := Receive(ctx, a, blocked{endless(src.Size()), release}, &Options{Rewrite: true, Workers: 2})
			done <- err
		}()
		synctest.Wait()
		assert.GreaterOrEqual(t, sent, mostTaken/mostFrame)
		assert.LessOrEqual(t, sent, mostTaken/mostFrame+2+3, "what waits, what the workers are at, and what is being read")
		cancel()
		close(release)
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// TestAClaimBeyondTheWindow is refused.
func TestAClaimBeyondTheWindow(t *testing.T) {
	s := &sender{link: newLink(nil, 0, newMeter(0)), size: 2 * claimWindow * blockSize, open: make([]bool, claimWindow)}
	for block := range int64(claimWindow) {
		require.NoError(t, s.claim(claim{block: block}))
	}
	assert.ErrorContains(t, s.claim(claim{block: claimWindow}), "block 4096 was claimed before 0 has an answer")
	s.answered(0)
	assert.NoError(t, s.claim(claim{block: claimWindow}))
}

// TestBadRangesAreBounded in all, not only in a block.
func TestBadRangesAreBounded(t *testing.T) {
	r := &receiver{link: newLink(nil, 0, newMeter(0)), sink: &sink{size: 9}, slots: []slot{{stage: claimed}}}
	a := answer{sent: 1, bad: []Range{{0, 1}}}
	r.bad = make([]Range, mostBadRanges)
	assert.ErrorContains(t, r.answer(taken{answer: a}), "more than 65536 ranges of the source cannot be read")
	r.bad = r.bad[1:]
	assert.NoError(t, r.answer(taken{answer: a}))
}

// TestAcknowledgementsOnlyGrow, up to what was sent.
func TestAcknowledgementsOnlyGrow(t *testing.T) {
	s := &sender{link: newLink(nil, 0, newMeter(9)), size: 9, peer: &hello{}, sent: 100}
	for _, c := range []struct {
		taken int64
		ok    bool
	}{{60, true}, {59, false}, {60, true}, {101, false}, {100, true}} {
		err := s.take(frameAck, appendAck(nil, ack{taken: c.taken})[frameHead:], nil)
		assert.Equal(t, c.ok, err == nil, "%d: %v", c.taken, err)
	}
	assert.Zero(t, s.onLink)
}

// empty is a stream that has nothing to say, and does not wait.
type empty struct{ reads atomic.Int64 }

func (e *empty) Read(p []byte) (int, error)  { e.reads.Add(1); runtime.Gosched(); return 0, nil }
func (e *empty) Write(p []byte) (int, error) { return len(p), nil }
func (e *empty) Close() error                { return nil }

// TestNobodyReadsAnEmptyStreamForEver: not after the end.
func TestNobodyReadsAnEmptyStreamForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		rw := new(empty)
		_, err := Send(ctx, rw, filled(9), nil)
		require.ErrorIs(t, err, context.Canceled)
		reads := rw.reads.Load()
		for range 1000 {
			runtime.Gosched()
		}
		assert.Equal(t, reads, rw.reads.Load())
	})
}

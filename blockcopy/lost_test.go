package blockcopy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A middle stands between two ends and takes what they say apart into frames; the
// greeting is the first one. meddle returns what goes on to the other end; nil ends the
// stream.
type middle struct {
	a, b   io.ReadWriteCloser // for the ends
	meddle func(fromSender bool, n int, frame []byte) []byte
}

func newMiddle(t *testing.T, meddle func(fromSender bool, n int, frame []byte) []byte) *middle {
	a, sender := net.Pipe()
	b, receiver := net.Pipe()
	m := &middle{a, b, meddle}
	var wg sync.WaitGroup
	wg.Go(func() { m.relay(sender, receiver, true) })
	wg.Go(func() { m.relay(receiver, sender, false) })
	t.Cleanup(wg.Wait)
	return m
}

func (m *middle) relay(from, to net.Conn, fromSender bool) {
	defer from.Close()
	defer to.Close()
	r := bufio.NewReader(from)
	frame, err := r.ReadBytes('\n')
	for n := 0; err == nil; n++ {
		if frame = m.meddle(fromSender, n, frame); frame == nil {
			return
		}
		if len(frame) > 0 {
			if _, err := to.Write(frame); err != nil {
				return
			}
		}
		head := make([]byte, frameHead)
		if _, err = io.ReadFull(r, head); err != nil {
			return
		}
		frame = append(head, make([]byte, binary.LittleEndian.Uint32(head))...)
		_, err = io.ReadFull(r, frame[frameHead:])
	}
}

// overMiddle is overPipe with a middle.
func overMiddle(t *testing.T, src Source, dst Target, receive *Options, meddle func(fromSender bool, n int, frame []byte) []byte) (e ends) {
	synctest.Test(t, func(t *testing.T) {
		m := newMiddle(t, meddle)
		e = over(t.Context(), m.a, m.b, src, dst, nil, receive)
	})
	return e
}

const smallSize = 4*blockSize + 777

// TestAConnectionLostAtEveryFrame cuts before each frame, in both directions: neither end
// says that the copy is whole, and the next one completes it.
func TestAConnectionLostAtEveryFrame(t *testing.T) {
	src := image(1, smallSize)
	for _, fromSender := range []bool{true, false} {
		cut := true
		for at := 0; cut; at++ {
			cut = false
			journal := filepath.Join(t.TempDir(), "journal")
			dst := newDisk(never(), image(2, smallSize))
			e := overMiddle(t, src, dst, &Options{Journal: journal}, func(from bool, n int, frame []byte) []byte {
				if from == fromSender && n == at {
					cut = true
					return nil
				}
				return frame
			})
			if !cut {
				e.whole(t, src, dst, Complete)
				break
			}
			require.ErrorIs(t, e.sendErr, io.ErrUnexpectedEOF, "frame %d", at)
			if e.receiveErr == nil { // only the result was lost
				require.False(t, fromSender)
				require.Equal(t, Complete, e.received.State)
			}
			e = overPipe(t, src, dst, nil, &Options{Journal: journal})
			e.whole(t, src, dst, Complete)
		}
	}
}

// TestAFlippedBitOnTheWire flips a bit in each frame in turn: the end that gets it says so.
func TestAFlippedBitOnTheWire(t *testing.T) {
	src := image(1, smallSize)
	for _, fromSender := range []bool{true, false} {
		flipped := true
		for at := 0; flipped; at++ {
			flipped = false
			dst := newDisk(never(), image(2, smallSize))
			e := overMiddle(t, src, dst, nil, func(from bool, n int, frame []byte) []byte {
				if from == fromSender && n == at {
					flipped = true
					bit := at * 7919 % (8 * (len(frame) - 4))
					if n > 0 {
						bit += 32 // not of the length: a longer frame would be waited for
					}
					frame[bit/8] ^= 1 << (bit % 8)
				}
				return frame
			})
			if !flipped {
				break
			}
			err := e.receiveErr
			if !fromSender {
				err = e.sendErr
			}
			var broken *ProtocolError
			require.ErrorAs(t, err, &broken, "frame %d", at)
		}
	}
}

// TestADeadLinkIsNoticed is half of trap 10: a link that takes everything and gives nothing.
func TestADeadLinkIsNoticed(t *testing.T) {
	for _, dead := range []int{2, 5, 7} { // from this frame of the sender on
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			m := newMiddle(t, func(fromSender bool, n int, frame []byte) []byte {
				if fromSender && n >= dead {
					return []byte{} // lost
				}
				return frame
			})
			e := over(t.Context(), m.a, m.b, image(1, smallSize), newDisk(never(), image(2, smallSize)), nil, nil)
			require.ErrorIs(t, e.receiveErr, os.ErrDeadlineExceeded)
			assert.ErrorContains(t, e.receiveErr, "nothing came from the other end for 30s")
			assert.Error(t, e.sendErr)
			assert.LessOrEqual(t, time.Since(begun), 32*time.Second)
		})
	}
}

// silent is a stream on which nothing ever comes.
type silent struct {
	closed chan struct{}
	once   sync.Once
}

func (s *silent) Read(p []byte) (int, error)  { <-s.closed; return 0, os.ErrClosed }
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }
func (s *silent) Close() error                { s.once.Do(func() { close(s.closed) }); return nil }

func TestALoginMayTakeLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		_, err := Send(t.Context(), &silent{closed: make(chan struct{})}, image(1, 9), nil)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.ErrorContains(t, err, "waiting for its hello")
		assert.InDelta(t, helloAfter.Seconds(), time.Since(begun).Seconds(), 1)
	})
}

// patient is a source or target that takes a minute for each block, and longer than a dead
// link would be allowed.
type patient struct{ *disk }

func (p patient) WriteAt(b []byte, off int64) (int, error) {
	<-time.After(time.Minute)
	return p.disk.WriteAt(b, off)
}

// TestASlowDiskIsNoDeadLink: pings keep the link alive while an end is busy.
func TestASlowDiskIsNoDeadLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := image(1, smallSize), newDisk(never(), image(2, smallSize))
		a, b := net.Pipe()
		e := over(t.Context(), a, b, src, patient{dst}, nil, nil)
		e.whole(t, src, dst, Complete)
	})
}

// stopping is a target that calls stop at the third write.
type stopping struct {
	*disk
	writes atomic.Int32
	stop   func()
}

func (s *stopping) WriteAt(p []byte, off int64) (int, error) {
	if s.writes.Add(1) == 3 {
		s.stop()
	}
	return s.disk.WriteAt(p, off)
}

func TestCancelOfAStreamEndsWithinASecond(t *testing.T) {
	for _, first := range []string{"sender", "receiver"} {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			other := context.Background()
			var began time.Time
			stop := &stopping{disk: newDisk(never(), image(2, testSize)), stop: func() {
				began = time.Now()
				cancel()
			}}
			var e ends
			done := make(chan struct{})
			sctx, rctx := ctx, other
			if first == "receiver" {
				sctx, rctx = other, ctx
			}
			go func() {
				defer close(done)
				e.received, e.receiveErr = Receive(rctx, b, stop, nil)
			}()
			e.sent, e.sendErr = Send(sctx, a, image(1, testSize), nil)
			<-done
			mine, others := e.sendErr, e.receiveErr
			if first == "receiver" {
				mine, others = others, mine
			}
			require.ErrorIs(t, mine, context.Canceled)
			var remote *RemoteError
			require.ErrorAs(t, others, &remote)
			assert.LessOrEqual(t, time.Since(began), time.Second)
			assert.Equal(t, Incomplete, e.received.State)
		})
	}
}

// stuck never lets go of a Read or a Write, not even when it is closed.
type stuck struct{ release chan struct{} }

func (s stuck) Read(p []byte) (int, error)  { <-s.release; return 0, io.EOF }
func (s stuck) Write(p []byte) (int, error) { <-s.release; return 0, io.EOF }
func (s stuck) Close() error                { return nil }

func TestCancelLeavesAStuckStreamBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rw := stuck{make(chan struct{})}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		_, err := Send(ctx, rw, image(1, 9), nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(begun), time.Minute+time.Second)
		close(rw.release)
	})
}

// TestBothEndsWrite is trap 11: over pipes of one page, with all kinds of work in both
// directions at once, nothing waits for ever.
func TestBothEndsWrite(t *testing.T) {
	src, dst := image(1, 64*blockSize), newDisk(never(), image(2, 64*blockSize))
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	var conns [2]net.Conn
	for i, fd := range pair {
		require.NoError(t, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096))
		f := os.NewFile(uintptr(fd), "pair")
		conns[i], err = net.FileConn(f)
		require.NoError(t, err)
		f.Close()
	}
	e := over(t.Context(), conns[0], conns[1], src, dst, &Options{Workers: 4}, &Options{Workers: 4})
	e.whole(t, src, dst, Complete)
}

// TestErrorsTravel is what each end says of what goes wrong at the other one.
func TestErrorsTravel(t *testing.T) {
	small := newDisk(never(), make(memory, 5))
	e := overPipe(t, image(1, smallSize), small, nil, nil)
	want := &SizeError{Source: smallSize, Target: 5}
	for _, err := range []error{e.sendErr, e.receiveErr} {
		got, ok := errors.AsType[*SizeError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, want, got)
	}
	assert.Zero(t, small.count)

	journal := filepath.Join(t.TempDir(), "journal")
	dst := newDisk(never(), image(2, testSize))
	e = overPipe(t, &changing{memory: image(1, testSize)}, dst, nil, &Options{Journal: journal})
	require.ErrorIs(t, e.sendErr, ErrChanged)
	require.ErrorIs(t, e.receiveErr, ErrChanged)
	state, err := ReadState(journal)
	require.NoError(t, err)
	assert.Equal(t, Incomplete, state.State)
	e = overPipe(t, image(3, testSize), dst, nil, &Options{Journal: journal})
	e.whole(t, image(3, testSize), dst, Complete)
	assert.Zero(t, e.received.Resumed, "nothing of the changed source counts")

	full := &failing{disk: newDisk(never(), make(memory, testSize)), write: syscall.ENOSPC, from: 3 * blockSize}
	e = overPipe(t, image(1, testSize), full, nil, nil)
	require.ErrorIs(t, e.receiveErr, syscall.ENOSPC)
	var remote *RemoteError
	require.ErrorAs(t, e.sendErr, &remote)
	assert.Contains(t, remote.Message, "no space left on device")
}

// TestRecheckOfAStream notices a device that was written during the pass.
func TestRecheckOfAStream(t *testing.T) {
	src, dst := &rewritten{memory: image(1, testSize)}, newDisk(never(), make(memory, testSize))
	opt := &Options{Journal: filepath.Join(t.TempDir(), "journal")}
	e := overPipe(t, src, dst, &Options{Recheck: true, Workers: 1}, opt)
	require.ErrorIs(t, e.sendErr, ErrChanged)
	require.ErrorIs(t, e.receiveErr, ErrChanged)
	e = overPipe(t, src.memory, dst, nil, opt)
	e.whole(t, src.memory, dst, Complete)
	assert.Zero(t, e.received.Resumed, "nothing of the changed source counts")
}

// TestBadSectorsOverAStream is trap 9: both ends list them, the rest is copied, and the next
// copy tries them again.
func TestBadSectorsOverAStream(t *testing.T) {
	bad := []Range{{512, 1024}, {3*blockSize - 512, 1024}}
	src := badSectors{memory: image(1, testSize), bad: bad}
	dst := newDisk(never(), image(2, testSize))
	opt := &Options{Journal: filepath.Join(t.TempDir(), "journal"), SkipBad: true}
	e := overPipe(t, src, dst, opt, opt)
	require.ErrorIs(t, e.sendErr, syscall.EIO)
	require.Error(t, e.receiveErr)
	want := bytes.Clone(src.memory)
	for _, b := range bad {
		copy(want[b.Offset:], image(2, testSize)[b.Offset:b.Offset+b.Length])
	}
	assert.True(t, bytes.Equal(want, dst.cache), "the target keeps what it had there")
	assert.Equal(t, bad, e.sent.Bad)
	assert.Equal(t, bad, e.received.Bad)
	e = overPipe(t, src.memory, dst, nil, opt)
	e.whole(t, src.memory, dst, Complete)
	assert.Equal(t, int64(3*blockSize), e.sent.Read)
}

// torn is a source that another program writes: no two reads give the same.
type torn struct {
	memory
	reads *atomic.Uint64
}

func (s torn) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, s.memory[off:])
	binary.LittleEndian.PutUint64(p, s.reads.Add(1))
	return n, nil
}

// TestALiveSourceDoesNotTear is trap 1: what is hashed is what is sent.
func TestALiveSourceDoesNotTear(t *testing.T) {
	for _, trust := range []bool{false, true} {
		journal := filepath.Join(t.TempDir(), "journal")
		dst := newDisk(never(), make(memory, testSize))
		src := torn{image(1, testSize), new(atomic.Uint64)}
		for range 3 {
			opt := &Options{Pass: Live, Journal: journal, TrustJournal: trust}
			e := overPipe(t, src, dst, opt, opt)
			require.NoError(t, e.sendErr)
			require.NoError(t, e.receiveErr)
			d, err := Sum(t.Context(), memory(dst.media))
			require.NoError(t, err)
			assert.Equal(t, d, e.sent.Digest)
		}
	}
}

func TestSHA256OverAStream(t *testing.T) {
	src, dst := image(1, smallSize), newDisk(never(), make(memory, smallSize))
	e := overPipe(t, src, dst, &Options{SHA256: true}, nil)
	e.whole(t, src, dst, Complete)
	assert.Len(t, e.sent.SHA256, 32)
	assert.Equal(t, e.sent.SHA256, e.received.SHA256)
}

// TestRateOfAStream: what is put on the wire is spread over time, and pings go on.
func TestRateOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := image(1, smallSize), newDisk(never(), make(memory, smallSize))
		a, b := net.Pipe()
		e := over(t.Context(), a, b, src, dst, &Options{Rate: 4000}, nil)
		e.whole(t, src, dst, Complete)
		assert.InDelta(t, float64(e.sent.Sent)/4000, e.sent.Elapsed.Seconds(), 5)
	})
}

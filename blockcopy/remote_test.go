package blockcopy

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"
)

// ends is what the two ends of a stream returned.
type ends struct {
	sent, received      Result
	sendErr, receiveErr error
}

// over runs Send at one end of a stream and Receive at the other one.
func over(ctx context.Context, a, b io.ReadWriteCloser, src Source, dst Target, send, receive *Options) (e ends) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.received, e.receiveErr = Receive(ctx, b, dst, receive)
	}()
	e.sent, e.sendErr = Send(ctx, a, src, send)
	<-done
	return e
}

// overPipe is over a pipe, in a time that passes only while all wait: an end that gives up
// says why for less than half a second, in which a busy machine may not run the other one.
func overPipe(t *testing.T, src Source, dst Target, send, receive *Options) (e ends) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		e = over(t.Context(), a, b, src, dst, send, receive)
	})
	return e
}

// whole requires that both ends say that the target is the source, and that it is.
func (e ends) whole(t *testing.T, src memory, dst *disk, state State) {
	t.Helper()
	require.NoError(t, e.sendErr)
	require.NoError(t, e.receiveErr)
	for _, r := range []Result{e.sent, e.received} {
		assert.Equal(t, Digest(blake3.Sum256(src)), r.Digest)
		assert.Equal(t, state, r.State)
		assert.Equal(t, src.Size(), r.Durable)
		assert.Equal(t, src.Size(), r.Same+r.Zero+r.Moved+r.Resumed)
		assert.Empty(t, r.Bad)
	}
	assert.Equal(t, e.sent.Verified, e.received.Verified)
	assert.True(t, bytes.Equal(src, dst.media[:len(src)]))
}

func TestSendAndReceiveOfEverySize(t *testing.T) {
	for _, size := range sizes() {
		for name, old := range map[string]memory{"zeros": make(memory, size+9), "another": image(2, size+9), "the same": append(image(1, size), "and more"...)} {
			for _, rewrite := range []bool{false, true} {
				src, dst := image(1, size), newDisk(never(), old)
				e := overPipe(t, src, dst, nil, &Options{Rewrite: rewrite})
				e.whole(t, src, dst, Complete)
				assert.True(t, bytes.Equal(old[size:], dst.media[size:]), "what lies behind stays")
				if name == "the same" && !rewrite {
					assert.Zero(t, e.received.Moved)
				}
				if t.Failed() {
					t.Fatalf("size %d over %s, rewrite %t", size, name, rewrite)
				}
			}
		}
	}
}

// stdio is a stream of two pipes, such as a program's standard input and output.
type stdio struct {
	io.ReadCloser
	io.WriteCloser
}

func (s stdio) Close() error {
	s.WriteCloser.Close()
	return s.ReadCloser.Close()
}

func TestSendAndReceiveOverPipesOfTheSystem(t *testing.T) {
	r1, w1, err := os.Pipe()
	require.NoError(t, err)
	r2, w2, err := os.Pipe()
	require.NoError(t, err)
	src, dst := image(1, testSize), newDisk(never(), make(memory, testSize))
	e := over(t.Context(), stdio{r1, w2}, stdio{r2, w1}, src, dst, nil, nil)
	e.whole(t, src, dst, Complete)
}

// TestLiveThenFinalOverAStream is trap 2: a live pass is dirty at both ends.
func TestLiveThenFinalOverAStream(t *testing.T) {
	for _, trust := range []bool{false, true} {
		journal := filepath.Join(t.TempDir(), "journal")
		src, dst := image(1, testSize), newDisk(never(), make(memory, testSize))
		e := overPipe(t, src, dst, &Options{Pass: Live}, &Options{Pass: Live, Journal: journal})
		e.whole(t, src, dst, Dirty)
		src = changed(src, 9)
		e = overPipe(t, src, dst, &Options{Pass: Final}, &Options{Pass: Final, Journal: journal, TrustJournal: trust})
		e.whole(t, src, dst, Complete)
		assert.LessOrEqual(t, e.sent.Moved, int64(20*grainSize), "only what differs moves")
		assert.Less(t, e.received.Sent, e.received.Moved+30_000, "and the link has little else")
		state, err := ReadState(journal)
		require.NoError(t, err)
		assert.Equal(t, Complete, state.State)
	}
}

// TestASlowLinkIsCompressed: text shrinks, random data is left alone, and both arrive.
func TestASlowLinkIsCompressed(t *testing.T) {
	text := memory(bytes.Repeat([]byte("all is well and has been for a while\n"), 500_000))
	for name, src := range map[string]memory{"text": text, "random": image(1, 4<<20)} {
		synctest.Test(t, func(t *testing.T) {
			dst := newDisk(never(), make(memory, len(src)))
			a, b := net.Pipe()
			e := over(t.Context(), a, b, src, dst, &Options{Rate: 1 << 20}, nil)
			e.whole(t, src, dst, Complete)
			if name == "text" {
				assert.Less(t, e.sent.Sent, src.Size()/2)
			} else {
				assert.Less(t, e.sent.Sent, src.Size()+10_000)
			}
		})
	}
}

// stale is a target whose cache has what the disk lost: a flush failed, and the next one
// found nothing to do.
type stale struct{ *disk }

func (s stale) ReadCold(p []byte, off int64) (int, error) { return copy(p, s.media[off:]), nil }

// TestWhatAnInterruptedRunWroteIsReadCold: blocks that seem to be the source's already were
// perhaps written by the run before, which did not come to look at the disk.
func TestWhatAnInterruptedRunWroteIsReadCold(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	src, dst := image(1, smallSize), newDisk(never(), image(2, smallSize))
	e := overPipe(t, badSectors{memory: src, bad: []Range{{blockSize, 512}}}, dst, &Options{Workers: 1}, &Options{Journal: journal})
	require.ErrorIs(t, e.sendErr, syscall.EIO)
	const lost = 3 * blockSize
	copy(dst.cache[lost:], src[lost:])
	copy(dst.media[lost:], image(2, smallSize)[lost:])
	e = overPipe(t, src, stale{dst}, nil, &Options{Journal: journal})
	e.whole(t, src, dst, Complete)
}

// TestAStreamThatEndsWithTheResult: nothing that comes after it makes a copy that is whole
// a failed one.
func TestAStreamThatEndsWithTheResult(t *testing.T) {
	src := image(1, 9)
	for range 100 {
		e := overMiddle(t, src, newDisk(never(), make(memory, 9)), nil, func(fromSender bool, n int, frame []byte) []byte {
			if !fromSender && frameKind(frame[4]) == frameResult {
				return append(frame, framed(77, nil)...)
			}
			return frame
		})
		require.NoError(t, e.sendErr)
		require.Equal(t, Complete, e.sent.State)
	}
}

// complaining is a stream whose Close alone tells what went wrong.
type complaining struct{ io.Reader }

func (complaining) Write(p []byte) (int, error) { return len(p), nil }
func (complaining) Close() error {
	return &CommandError{Args: []string{"ssh"}, Stderr: "no route to host", Err: io.EOF}
}

// TestWhatTheCommandSaidIsInTheError, whenever it ends.
func TestWhatTheCommandSaidIsInTheError(t *testing.T) {
	hi := string(greet(hello{Role: receiving, Pass: "full"}))
	file := filepath.Join(t.TempDir(), "hello")
	require.NoError(t, os.WriteFile(file, []byte(hi), 0o600))
	const fails = "; echo no route to host >&2; exit 255"
	for _, script := range []string{"true" + fails, "cat $0" + fails, "cat $0; head -c 20 >/dev/null" + fails, "cat $0; exec <&-; read x <$1" + fails} {
		rw, err := Command(t.Context(), "sh", "-c", script, file, file)
		require.NoError(t, err)
		_, err = Send(t.Context(), rw, image(1, 50), nil)
		assert.ErrorContains(t, err, "no route to host", script)
	}
	_, err := Send(t.Context(), complaining{strings.NewReader(hi)}, image(1, 50), nil)
	assert.ErrorContains(t, err, "no route to host")
	assert.ErrorContains(t, err, "what the target holds")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// TestALostStreamLeavesItsWorkInTheJournal, that of the last half second too.
func TestALostStreamLeavesItsWorkInTheJournal(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	synctest.Test(t, func(t *testing.T) {
		var once sync.Once
		written := make(chan struct{})
		opt := &Options{Journal: journal, Progress: func(p Progress) {
			if p.Same+p.Zero+p.Moved >= smallSize-blockSize { // all but one block
				once.Do(func() {
					assert.Zero(t, p.Durable, "no checkpoint was due, or this test shows nothing")
					close(written)
				})
			}
		}}
		m := newMiddle(t, func(fromSender bool, n int, frame []byte) []byte {
			if fromSender && n == 6 { // the last block, after greeting and hello
				<-written
				return nil
			}
			return frame
		})
		e := over(t.Context(), m.a, m.b, image(1, smallSize), newDisk(never(), image(2, smallSize)), nil, opt)
		require.ErrorIs(t, e.receiveErr, io.ErrUnexpectedEOF)
	})
	state, err := ReadState(journal)
	require.NoError(t, err)
	assert.Equal(t, Incomplete, state.State)
	assert.GreaterOrEqual(t, state.Durable, int64(smallSize-blockSize))
}

package blockcopy

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

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

func overPipe(t *testing.T, src Source, dst Target, send, receive *Options) ends {
	a, b := net.Pipe()
	return over(t.Context(), a, b, src, dst, send, receive)
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

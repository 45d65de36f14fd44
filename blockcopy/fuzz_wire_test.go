package blockcopy

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// said is an end whose words are all there from the beginning, and which then closes.
type said struct{ io.Reader }

func (said) Write(p []byte) (int, error) { return len(p), nil }
func (said) Close() error                { return nil }

// sealAll gives the frames of a text the right CRC, so that fuzzing gets past it.
func sealAll(p []byte) []byte {
	p = bytes.Clone(p)
	rest := p[bytes.IndexByte(p, '\n')+1:]
	for len(rest) >= frameHead {
		n := frameHead + int(rest[0]) + int(rest[1])<<8 + int(rest[2])<<16
		if rest[3] != 0 || n > len(rest) {
			break
		}
		sealFrame(rest[:n])
		rest = rest[n:]
	}
	return p
}

func FuzzFrames(f *testing.F) {
	f.Add(framed(framePing, nil), int64(1))
	f.Add(appendClaim(nil, 1, holdsOld, Digest{}, &sums{}, 5), int64(twoBlocks))
	f.Add(sealFrame(append(appendAnswer(nil, &answer{block: 1, sent: 1}), 1, 2, 3, 4, 5)), int64(twoBlocks))
	f.Add(jsonFrame(frameHello, hello{Role: sending}), int64(0))
	f.Fuzz(func(t *testing.T, p []byte, size int64) {
		if size < 0 || size > 1<<62 {
			return
		}
		frames := frameReader{r: bytes.NewReader(sealAll(append([]byte("\n"), p...))[1:])}
		for {
			kind, payload, buf, err := frames.next()
			if err != nil {
				return
			}
			require.LessOrEqual(t, len(payload), kind.most())
			if c, err := decodeClaim(payload, size); err == nil {
				require.Less(t, c.block, blocksOf(size))
			}
			if a, err := decodeAnswer(payload, size); err == nil {
				require.Less(t, a.block, blocksOf(size))
				require.Equal(t, payload, sealFrame(append(appendAnswer(nil, &a), a.content...))[frameHead:], "one way to say it")
			}
			decodeAck(payload, size)              //nolint:errcheck // it must not panic
			decodeText(kind, payload, new(hello)) //nolint:errcheck
			frame{buf: buf}.free()
		}
	})
}

// FuzzSender lets any receiver talk to Send. Only the right digest at the right place ends
// well.
func FuzzSender(f *testing.F) {
	src := image(1, 700)
	want, _ := Sum(context.Background(), src)
	hi := greet(hello{Role: receiving, Pass: "full"})
	need := appendClaim(nil, 0, holdsUnknown, Digest{}, nil, 0)
	f.Add(join(hi, need))
	f.Add(join(hi, appendClaim(nil, 0, holdsTrusted, Digest{}, nil, 0), need, appendAck(nil, ack{})))
	f.Add(join(hi, appendClaim(nil, 0, holdsDone, want, nil, 0), jsonFrame(frameResult, outcome{Digest: want, State: Complete})))
	f.Add(join(hi, appendClaim(nil, 0, holdsOld, Digest{}, &sums{}, 700), jsonFrame(frameError, newFailure(ErrChanged))))
	f.Fuzz(func(t *testing.T, p []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := Send(ctx, said{bytes.NewReader(sealAll(p))}, src, nil)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		if err == nil {
			require.Equal(t, want, r.Digest)
		} else {
			require.Equal(t, Incomplete, r.State)
		}
	})
}

// FuzzReceiver lets any sender talk to Receive, which says that the target is complete only if
// it has what the sender's digest says.
func FuzzReceiver(f *testing.F) {
	src := image(1, 700)
	want, _ := Sum(context.Background(), src)
	hi := greet(hello{Role: sending, Pass: "full", Size: 700})
	a := sealFrame(append(appendAnswer(nil, &answer{sent: 1, value: want, content: src}), src...))
	f.Add(join(hi, a, jsonFrame(frameEnd, ending{Digest: want})))
	f.Add(join(hi, a, a))
	f.Add(join(hi, appendAsk(nil, 0), framed(framePing, nil)))
	f.Add(join(hi, jsonFrame(frameEnd, ending{Failure: newFailure(ErrChanged)})))
	f.Fuzz(func(t *testing.T, p []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		dst := newDisk(never(), make(memory, 1000))
		r, err := Receive(ctx, afterOneClaim(sealAll(p)), dst, nil)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		if r.State == Incomplete {
			require.Error(t, err)
			return
		}
		d, err := Sum(ctx, memory(dst.media[:r.Size]))
		require.NoError(t, err)
		require.Equal(t, d, r.Digest)
	})
}

// afterOneClaim says hello, waits for the first claim, or for the other end to give up, and
// says the rest.
func afterOneClaim(p []byte) io.ReadWriteCloser {
	n := bytes.IndexByte(p, '\n') + 1
	if len(p) >= n+frameHead {
		n = min(len(p), n+frameHead+int(p[n])+int(p[n+1])<<8)
	}
	return &saidLater{first: bytes.NewReader(p[:n]), rest: bytes.NewReader(p[n:]), claimed: make(chan struct{})}
}

type saidLater struct {
	first, rest *bytes.Reader
	claimed     chan struct{}
	once        sync.Once
}

func (s *saidLater) Read(p []byte) (int, error) {
	if s.first.Len() > 0 {
		return s.first.Read(p)
	}
	<-s.claimed
	return s.rest.Read(p)
}

func (s *saidLater) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte(greetingWord)) {
		return len(p), nil
	}
	return len(p), s.Close()
}

func (s *saidLater) Close() error {
	s.once.Do(func() { close(s.claimed) })
	return nil
}

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
			decodeAck(payload, size) // it must not panic
			decodeText[hello](kind, payload)
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
// says the rest. It does not wait if what it says first is not a hello.
func afterOneClaim(p []byte) io.ReadWriteCloser {
	n := bytes.IndexByte(p, '\n') + 1
	s := &saidLater{claimed: make(chan struct{}), heard: make(chan struct{})}
	if hello := p[n:]; len(hello) > frameHead && frameKind(hello[4]) == frameHello && hello[2] == 0 && hello[3] == 0 {
		n += frameHead + int(hello[0]) + int(hello[1])<<8
	} else {
		s.claim()
	}
	n = min(n, len(p))
	s.first, s.rest = bytes.NewReader(p[:n]), bytes.NewReader(p[n:])
	if s.waits = endsWithEnd(p[n:]); n == len(p) {
		s.claim()
	}
	return s
}

type saidLater struct {
	first, rest *bytes.Reader
	waits       bool          // rest ends with an end: the stream is not closed before a result
	claimed     chan struct{} // closed at the first claim or error
	heard       chan struct{} // closed at a result or an error
	once, over  sync.Once
}

func (s *saidLater) Read(p []byte) (int, error) {
	if s.first.Len() > 0 {
		return s.first.Read(p)
	}
	<-s.claimed
	if s.rest.Len() == 0 && s.waits {
		<-s.heard
	}
	return s.rest.Read(p)
}

func (s *saidLater) Write(p []byte) (int, error) {
	hello := bytes.IndexByte(p, '\n') + 1
	if bytes.HasPrefix(p, []byte(greetingWord)) && len(p) == hello+frameHead+int(p[hello]) {
		return len(p), nil // and nothing else yet
	}
	s.claim()
	if bytes.Contains(p, []byte(`"state"`)) || bytes.Contains(p, []byte(`"message"`)) {
		s.over.Do(func() { close(s.heard) })
	}
	return len(p), nil
}

func (s *saidLater) claim() { s.once.Do(func() { close(s.claimed) }) }

func (s *saidLater) Close() error {
	s.claim()
	s.over.Do(func() { close(s.heard) })
	return nil
}

// endsWithEnd reports whether p is whole frames of which the last one is an end.
func endsWithEnd(p []byte) bool {
	frames := frameReader{r: bytes.NewReader(p)}
	for last := frameKind(0); ; {
		kind, _, buf, err := frames.next()
		frame{buf: buf}.free()
		if err != nil {
			return err == io.EOF && last == frameEnd
		}
		last = kind
	}
}

package blockcopy

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func framed(kind frameKind, payload []byte) []byte {
	return sealFrame(append(beginFrame(nil, kind), payload...))
}

func jsonFrame(kind frameKind, v any) []byte {
	text, _ := json.Marshal(v)
	return framed(kind, text)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// greet is what a well-behaved end begins with.
func greet(h hello) []byte { return append(appendGreeting(nil), jsonFrame(frameHello, h)...) }

// script is an end that says what it was told to say and then waits; what it hears is lost.
func script(t *testing.T, says []byte) io.ReadWriteCloser {
	a, b := net.Pipe()
	go io.Copy(io.Discard, b)
	go b.Write(says)
	t.Cleanup(func() { b.Close() })
	return a
}

// inBubble runs a test in which no time passes while an end waits for its last words to be heard.
func inBubble(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

const twoBlocks = blockSize + 5

// TestAHostileReceiver: whatever it says, Send returns an error that names it.
func TestAHostileReceiver(t *testing.T) {
	hi := greet(hello{Role: receiving, Pass: "full"})
	need := func(block int64) []byte { return appendClaim(nil, block, holdsUnknown, Digest{}, nil, 0) }
	for name, c := range map[string]struct {
		says []byte
		want string
	}{
		"a shell":             {[]byte("bash: diskmove: command not found\r\nmore\n"), `it says "bash: diskmove: command not found"`},
		"another version":     {[]byte("rehost blockcopy 2\n"), "the other end speaks version 2 of the protocol, this one speaks 1"},
		"no version":          {[]byte("rehost blockcopy x\n"), `greets with "rehost blockcopy x"`},
		"the same part":       {greet(hello{Role: sending, Pass: "full"}), "both ends are there to send"},
		"no part":             {greet(hello{Role: "x", Pass: "full"}), `the other end's part is "x"`},
		"another pass":        {greet(hello{Role: receiving, Pass: "live"}), `this end's pass is "full", the other end's is "live"`},
		"an unknown key":      {append(appendGreeting(nil), framed(frameHello, []byte(`{"role":"receive","needs":1}`))...), "unknown field"},
		"rubbish after hello": {append(appendGreeting(nil), framed(frameHello, []byte(`{"role":"receive","pass":"full"} x`))...), `goes on after its end with " x"`},
		"hello twice":         {join(hi, jsonFrame(frameHello, hello{})), "a frame of kind 1 came while waiting for what the target holds"},
		"no hello":            {append(appendGreeting(nil), need(0)...), "a frame of kind 2 came while waiting for its hello"},
		"an unknown kind":     {join(hi, framed(77, nil)), "there is no frame of kind 77"},
		"a frame too long":    {join(hi, []byte{255, 255, 255, 127, 2, 0, 0, 0, 0}), "a frame of kind 2 has 2147483647 bytes"},
		"a wrong CRC":         {join(hi, []byte{0, 0, 0, 0, 9, 1, 2, 3, 4}), "its CRC is wrong"},
		"out of range":        {join(hi, need(2)), "block 2 is beyond the image, which has 2"},
		"out of order":        {join(hi, need(1)), "block 1 was claimed, it was the turn of 0"},
		"twice":               {join(hi, need(0), need(0)), "block 0 was claimed, it was the turn of 1"},
		"an unknown claim":    {join(hi, framed(frameClaim, make([]byte, 8+1+5))), "the claim of block 0 has 5 bytes of values, not 0"},
		"a claim too short":   {join(hi, framed(frameClaim, []byte{0})), "a claim has 1 bytes"},
		"a kind of claim":     {join(hi, framed(frameClaim, append(make([]byte, 8), 9))), "which does not exist"},
		"an acknowledgement":  {join(hi, appendAck(nil, ack{taken: 1 << 40})), "1099511627776 bytes are acknowledged of 0, after 0"},
		"too much durable":    {join(hi, appendAck(nil, ack{durable: twoBlocks + 1})), "an acknowledgement is of"},
		"a negative one":      {join(hi, appendAck(nil, ack{taken: -1})), "an acknowledgement is of"},
		"a result too early":  {join(hi, jsonFrame(frameResult, outcome{State: Complete})), "a frame of kind 7 came"},
		"a sender's frame":    {join(hi, appendAsk(nil, 0)), "a frame of kind 4 came"},
		"a ping that is long": {join(hi, framed(framePing, []byte{1})), "a frame of kind 9 has 1 bytes"},
	} {
		inBubble(t, name, func(t *testing.T) {
			r, err := Send(t.Context(), script(t, c.says), image(1, twoBlocks), nil)
			var broken *ProtocolError
			require.ErrorAs(t, err, &broken)
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, Incomplete, r.State)
		})
	}
}

// TestAResultThatDoesNotFit is not one of a copy that is whole.
func TestAResultThatDoesNotFit(t *testing.T) {
	for name, change := range map[string]func(*outcome){
		"incomplete":        func(o *outcome) { o.State = Incomplete },
		"of another pass":   func(o *outcome) { o.State = Dirty },
		"another digest":    func(o *outcome) { o.Digest[5] ^= 1 },
		"no verification":   func(o *outcome) { o.Verified = VerifiedCold + 1 },
		"a SHA-256 too few": func(o *outcome) { o.SHA256 = nil },
		"a short SHA-256":   func(o *outcome) { o.SHA256 = o.SHA256[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMiddle(t, func(fromSender bool, n int, frame []byte) []byte {
				if n == 0 || fromSender || frameKind(frame[4]) != frameResult {
					return frame
				}
				o, err := decodeText[outcome](frameResult, frame[frameHead:])
				require.NoError(t, err)
				change(o)
				return jsonFrame(frameResult, o)
			})
			e := over(t.Context(), m.a, m.b, image(1, smallSize), newDisk(never(), image(2, smallSize)), &Options{SHA256: true}, nil)
			require.Error(t, e.sendErr)
			assert.Equal(t, Incomplete, e.sent.State)
			assert.Zero(t, e.sent.Digest)
		})
	}
}

// TestAFrameCountsOnceItWasRead to its end: not as far as it made sense.
func TestAFrameCountsOnceItWasRead(t *testing.T) {
	r := &receiver{link: newLink(nil, 0, newMeter(0)), sink: &sink{size: 9}, slots: make([]slot, 1), base: 1}
	require.Error(t, r.take(frameEnd, []byte(`{"digest":"`+Digest{1}.String()+`","failure":7}`), nil))
	assert.Nil(t, r.ending)
	s := &sender{link: newLink(nil, 0, newMeter(0)), opt: &Options{}, ended: true, peer: &hello{}}
	require.Error(t, s.take(frameResult, []byte(`{"digest":"`+Digest{1}.String()+`","state":2} x`), nil))
	assert.Nil(t, s.outcome)
	s.peer = nil
	require.Error(t, s.take(frameHello, []byte(`{"role":"receive","pass":"live"}`), nil))
	assert.Nil(t, s.peer)
}

// heard is an end that has said all, and listens to what it is told.
type heard struct {
	io.Reader
	told bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) { return h.told.Write(p) }
func (h *heard) Close() error                { return nil }

// TestNothingIsSaidToAStreamThatHasEnded: a program dies of writing to a standard output that
// nobody reads, before it has noted in its journal what it did.
func TestNothingIsSaidToAStreamThatHasEnded(t *testing.T) {
	hi := greet(hello{Role: sending, Pass: "full", Size: 9})
	rw := &heard{Reader: bytes.NewReader(hi)}
	_, err := Receive(t.Context(), rw, newDisk(never(), make(memory, 9)), nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.NotContains(t, rw.told.String(), `"message"`)
}

// TestWordsOfTheOtherEnd may be shown on a terminal.
func TestWordsOfTheOtherEnd(t *testing.T) {
	err := (&failure{Message: "no \x1b[2Jspace\r\n\tleft\x00"}).err()
	assert.EqualError(t, err, "the other end: no  [2Jspace \n left ")
}

// TestAZstdBomb: content of any number of frames, which tell their length or do not, takes no
// more memory than a block or two.
func TestAZstdBomb(t *testing.T) {
	run := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n<<3|1<<1))[:3] }
	one := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x40}, run(128<<10)...) // a run of zeros, window 256 KiB
	one = append(one, 0)
	last := append(run(128<<10), 0)
	last[0] |= 1
	a := &answer{sent: allGrains(blockSize), packed: true, content: bytes.Repeat(append(one, last...), 10_000)}
	unpack, err := newDecompressor()
	require.NoError(t, err)
	defer unpack.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := newBuffer()
	err = unfold(a, p[:], 0, unpack)
	runtime.ReadMemStats(&after)
	var broken *ProtocolError
	require.ErrorAs(t, err, &broken)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
	a.content = a.content[:len(one)+len(last)]
	require.NoError(t, unfold(a, p[:], 0, unpack), "one of them alone is a block")
}

// TestAHostileSender: whatever it says, Receive returns an error that names it, and the target
// is not complete.
func TestAHostileSender(t *testing.T) {
	hi := greet(hello{Role: sending, Pass: "full", Size: twoBlocks})
	src := image(1, twoBlocks)
	answerOf := func(block int64, change func(*answer)) []byte {
		p := src[block*blockSize : min((block+1)*blockSize, twoBlocks)]
		var g sums
		a := &answer{block: block, sent: allGrains(len(p)), content: bytes.Clone(p), value: sumBlock(p, block*blockSize, twoBlocks, &g)}
		if change != nil {
			change(a)
		}
		return sealFrame(append(appendAnswer(nil, a), a.content...))
	}
	for name, c := range map[string]struct {
		says []byte
		want string
	}{
		"the same part":         {greet(hello{Role: receiving, Pass: "full"}), "both ends are there to receive"},
		"a negative size":       {greet(hello{Role: sending, Pass: "full", Size: -1}), "the source has -1 bytes"},
		"an endless size":       {greet(hello{Role: sending, Pass: "full", Size: 1<<63 - 1}), "the source has 9223372036854775807 bytes"},
		"nothing":               {join(hi, jsonFrame(frameEnd, ending{})), "a frame of kind 6 came while waiting for what differs"},
		"out of range":          {join(hi, answerOf(0, func(a *answer) { a.block = 2 })), "block 2 is beyond the image"},
		"twice":                 {join(hi, answerOf(0, nil), answerOf(0, nil)), "block 0 was answered, which was not claimed or has an answer"},
		"asked for what is old": {join(hi, appendAsk(nil, 0)), "block 0 was asked for, which was not claimed as trusted"},
		"too few grains":        {join(hi, answerOf(0, func(a *answer) { a.sent = 1; a.content = a.content[:grainSize] })), "does not fit its claim"},
		"too many grains":       {join(hi, answerOf(1, func(a *answer) { a.sent = 3 })), "the answer to block 1 is of grains 0000000000000011"},
		"zeros that are not":    {join(hi, answerOf(1, func(a *answer) { a.zeros = 2 })), "with zeros 0000000000000010"},
		"too little content":    {join(hi, answerOf(0, func(a *answer) { a.content = a.content[1:] })), "has 262143 bytes for 262144 bytes of grains"},
		"packed in no way":      {join(hi, answerOf(1, func(a *answer) { a.packed = true; a.content = []byte{1, 2} })), "the content of block 1 cannot be unpacked"},
		"a bad range":           {join(hi, answerOf(1, func(a *answer) { a.bad = []Range{{blockSize, 6}} })), "has a bad range of 6 bytes at 0"},
		"bad ranges that meet":  {join(hi, answerOf(1, func(a *answer) { a.bad = []Range{{blockSize, 2}, {blockSize + 1, 2}} })), "has a bad range of 2 bytes at 1"},
		"a receiver's frame":    {join(hi, appendAck(nil, ack{})), "a frame of kind 5 came"},
	} {
		inBubble(t, name, func(t *testing.T) {
			dst := newDisk(never(), make(memory, twoBlocks))
			r, err := Receive(t.Context(), afterClaims(t, c.says, 2), dst, &Options{Rewrite: true})
			var broken *ProtocolError
			require.ErrorAs(t, err, &broken)
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, Incomplete, r.State)
		})
	}
	for name, c := range map[string][]byte{
		"another value":  join(hi, answerOf(0, func(a *answer) { a.value[3] ^= 1 })),
		"other content":  join(hi, answerOf(0, func(a *answer) { a.content[3] ^= 1 })),
		"another digest": join(hi, answerOf(0, nil), answerOf(1, nil), jsonFrame(frameEnd, ending{Digest: Digest{1}})),
	} {
		inBubble(t, name, func(t *testing.T) {
			dst := newDisk(never(), make(memory, twoBlocks))
			r, err := Receive(t.Context(), afterClaims(t, c, 2), dst, &Options{Rewrite: true})
			var sum *ChecksumError
			require.ErrorAs(t, err, &sum)
			assert.Equal(t, Incomplete, r.State)
			if name != "another digest" {
				assert.Zero(t, r.Durable)
				assert.Equal(t, make([]byte, twoBlocks), dst.cache)
			}
		})
	}
}

// afterClaims says hello, waits for so many claims, and says the rest.
func afterClaims(t *testing.T, says []byte, claims int) io.ReadWriteCloser {
	a, b := net.Pipe()
	t.Cleanup(func() { b.Close() })
	n := bytes.IndexByte(says, '\n') + 1
	if len(says) > n+4 {
		n += frameHead + int(binary.LittleEndian.Uint32(says[n:]))
	}
	go func() {
		go b.Write(says[:n])
		frames := frameReader{r: b}
		io.ReadFull(b, make([]byte, len(appendGreeting(nil))))
		for seen := 0; seen < claims; {
			kind, _, _, err := frames.next()
			if err != nil {
				return
			}
			if kind == frameClaim {
				seen++
			}
		}
		go io.Copy(io.Discard, b)
		b.Write(says[n:])
	}()
	return a
}

// TestClaimsAreBounded: a sender that never answers gets no more than a window of claims.
func TestClaimsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 3 * claimWindow * blockSize
		a, b := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		claims := make(chan int64)
		go func() {
			go b.Write(greet(hello{Role: sending, Pass: "full", Size: size}))
			io.ReadFull(b, make([]byte, len(appendGreeting(nil))))
			frames, n := frameReader{r: b}, int64(0)
			for {
				kind, _, _, err := frames.next()
				if err != nil {
					claims <- n
					return
				}
				if kind == frameClaim {
					n++
				}
				if kind == framePing { // nothing was sent for a while: all that may be claimed is
					cancel()
				}
			}
		}()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Receive(ctx, a, endless(size), &Options{Rewrite: true})
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, int64(claimWindow), <-claims)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
	})
}

// endless is a target of any size that keeps nothing.
type endless int64

func (e endless) Size() int64                              { return int64(e) }
func (e endless) ReadAt(p []byte, off int64) (int, error)  { clear(p); return len(p), nil }
func (e endless) WriteAt(p []byte, off int64) (int, error) { return len(p), nil }
func (e endless) Sync() error                              { return nil }

func TestGatherAndScatter(t *testing.T) {
	for _, size := range []int{1, grainSize, 3*grainSize + 7, blockSize - 1, blockSize} {
		for mask := uint16(0); mask < 1<<13; mask += 37 {
			p := bytes.Clone(image(3, int64(size)))
			mask := mask & allGrains(size)
			want := bytes.Clone(p)
			got := gather(bytes.Clone(p), mask)
			require.Len(t, got, maskBytes(mask, size))
			q := bytes.Clone(p)
			copy(q, got)
			scatter(q, mask)
			for i := range grainsOf(size) {
				if mask&(1<<i) != 0 {
					from, to := i*grainSize, min((i+1)*grainSize, size)
					require.True(t, bytes.Equal(want[from:to], q[from:to]), "size %d mask %b grain %d", size, mask, i)
				}
			}
		}
	}
}

// TestCompressionPays only on a link that is slower than the compressor, and rests when data
// does not shrink.
func TestCompressionPays(t *testing.T) {
	c := newCompression()
	assert.False(t, c.pays(0), "no rate is known")
	assert.False(t, c.pays(firstSpeed/2))
	tries := 0
	for range 1000 {
		if c.pays(100e6) {
			tries++
			assert.False(t, c.tried(1000, 951, 0))
		}
	}
	assert.Equal(t, 21, tries)
	assert.True(t, c.pays(firstSpeed/cheap), "a slow link leaves the time to try")
	for !c.pays(100e6) {
	}
	assert.True(t, c.tried(1000, 950, 0))
	assert.True(t, c.pays(100e6))
}

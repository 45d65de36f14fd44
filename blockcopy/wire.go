package blockcopy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"sync"
)

// What the two ends of a stream say to each other are frames; PROTOCOL.md has them
// byte by byte. All numbers are little endian.
type frameKind uint8

const (
	frameHello  frameKind = iota + 1 // both: what this end is here for
	frameClaim                       // receiver: what the target holds in a block
	frameBlock                       // sender: what makes the block as the source's
	frameAsk                         // sender: look at a block that was trusted
	frameAck                         // receiver: how far it has come
	frameEnd                         // sender: the image's digest, after all blocks
	frameResult                      // receiver: what the target is now
	frameError                       // both: why this end gives up
	framePing                        // both: this end is alive
)

const (
	frameHead = 9  // length of the payload 4, kind 1, CRC-32C of all others 4
	shortSum  = 16 // bytes of a grain's value in a claim: the block's whole value is compared afterwards
	blockHead = 8 + len(Digest{}) + 2 + 2 + 1 + 2
	mostBad   = blockSize / 512 / 2 // ranges of unreadable sectors in a block
	mostText  = 64 << 10
	mostFrame = frameHead + blockHead + 8*mostBad + blockSize
)

// most returns the length of the longest payload of a kind; -1 if there is no such kind.
func (k frameKind) most() int {
	switch k {
	case frameHello, frameEnd, frameResult, frameError:
		return mostText
	case frameClaim:
		return 8 + 1 + grains*shortSum
	case frameBlock:
		return mostFrame - frameHead
	case frameAsk:
		return 8
	case frameAck:
		return 3 * 8
	case framePing:
		return 0
	}
	return -1
}

// frameBuffers holds buffers of the longest frame.
var frameBuffers = sync.Pool{New: func() any { return new([mostFrame]byte) }}

// A frame is one as it stands on the wire. buf is nil, or what p lies in.
type frame struct {
	p   []byte
	buf *[mostFrame]byte
}

func (f frame) free() {
	if f.buf != nil {
		frameBuffers.Put(f.buf)
	}
}

// weight is what the frame takes of memory, or nearly.
func (f frame) weight() int {
	if f.buf != nil {
		return len(f.buf)
	}
	return len(f.p)
}

// beginFrame appends the head of a frame that sealFrame completes.
func beginFrame(p []byte, kind frameKind) []byte {
	return append(p, 0, 0, 0, 0, byte(kind), 0, 0, 0, 0)
}

func sealFrame(p []byte) []byte {
	binary.LittleEndian.PutUint32(p, uint32(len(p)-frameHead))
	binary.LittleEndian.PutUint32(p[5:], frameSum(p[:frameHead], p[frameHead:]))
	return p
}

func frameSum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:5], castagnoli), castagnoli, payload)
}

// A frameReader takes frames from a stream. It never holds more than one.
type frameReader struct {
	r     io.Reader
	head  [frameHead]byte
	small []byte // payloads without content, one after the other
}

// next returns a frame's kind and payload. That of a block that has content lies in
// buf, which is the caller's then; any other one is good until the next call.
func (f *frameReader) next() (kind frameKind, payload []byte, buf *[mostFrame]byte, err error) {
	if _, err := io.ReadFull(f.r, f.head[:]); err != nil {
		return 0, nil, nil, err
	}
	n := int64(binary.LittleEndian.Uint32(f.head[:]))
	kind = frameKind(f.head[4])
	switch most := kind.most(); {
	case most < 0:
		return 0, nil, nil, broken("there is no frame of kind %d", kind)
	case n > int64(most):
		return 0, nil, nil, broken("a frame of kind %d has %d bytes, the longest ones have %d", kind, n, most)
	case kind == frameBlock && n > int64(blockHead):
		buf = frameBuffers.Get().(*[mostFrame]byte)
		payload = buf[:n]
	default:
		if n > int64(len(f.small)) {
			f.small = make([]byte, n)
		}
		payload = f.small[:n]
	}
	if _, err = io.ReadFull(f.r, payload); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	} else if err == nil && frameSum(f.head[:], payload) != binary.LittleEndian.Uint32(f.head[5:]) {
		err = broken("a frame of kind %d was damaged on its way: its CRC is wrong", kind)
	}
	if err != nil && buf != nil {
		frameBuffers.Put(buf)
		buf = nil
	}
	return kind, payload, buf, err
}

func broken(format string, args ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...)}
}

// A claim says what the target holds in a block.
type claim struct {
	block int64
	have  holding
	value Digest // of holdsTrusted and holdsDone
	short [grains][shortSum]byte
}

func appendClaim(p []byte, block int64, have holding, value Digest, g *sums, n int) []byte {
	p = beginFrame(p, frameClaim)
	p = binary.LittleEndian.AppendUint64(p, uint64(block))
	p = append(p, byte(have))
	switch have {
	case holdsOld:
		for i := range grainsOf(n) {
			p = append(p, g[i][:shortSum]...)
		}
	case holdsTrusted, holdsDone:
		p = append(p, value[:]...)
	}
	return sealFrame(p)
}

// decodeClaim reads the payload of a claim of a block of an image of that size.
func decodeClaim(p []byte, size int64) (c claim, err error) {
	if len(p) < 9 {
		return c, broken("a claim has %d bytes", len(p))
	}
	if c.block, err = blockNumber(p, size); err != nil {
		return c, err
	}
	c.have = holding(p[8])
	p = p[9:]
	want := 0
	switch c.have {
	case holdsUnknown, holdsZeros:
	case holdsOld:
		want = grainsOf(lengthOf(c.block, size)) * shortSum
	case holdsTrusted, holdsDone:
		want = len(c.value)
	default:
		return c, broken("the claim of block %d is of kind %d, which does not exist", c.block, c.have)
	}
	if len(p) != want {
		return c, broken("the claim of block %d has %d bytes of values, not %d", c.block, len(p), want)
	}
	if c.have != holdsOld {
		copy(c.value[:], p)
		return c, nil
	}
	for i := range c.short {
		p = p[copy(c.short[i][:], p):]
	}
	return c, nil
}

// An answer is what the sender says of a block: what the target must write so that it
// holds the source's content.
type answer struct {
	block   int64
	value   Digest // of the source's block
	sent    uint16 // grains that differ; the others are as they were claimed
	zeros   uint16 // those of sent that are zeros
	packed  bool   // content is compressed with zstd
	bad     []Range
	content []byte // of the grains in sent and not in zeros, one after the other
}

// appendAnswer appends the frame of an answer up to its content, for the caller to
// append that and seal it.
func appendAnswer(p []byte, a *answer) []byte {
	p = beginFrame(p, frameBlock)
	p = binary.LittleEndian.AppendUint64(p, uint64(a.block))
	p = append(p, a.value[:]...)
	p = binary.LittleEndian.AppendUint16(p, a.sent)
	p = binary.LittleEndian.AppendUint16(p, a.zeros)
	p = append(p, 0)
	if a.packed {
		p[len(p)-1] = 1
	}
	p = binary.LittleEndian.AppendUint16(p, uint16(len(a.bad)))
	for _, r := range a.bad {
		p = binary.LittleEndian.AppendUint32(p, uint32(r.Offset-a.block*blockSize))
		p = binary.LittleEndian.AppendUint32(p, uint32(r.Length))
	}
	return p
}

// decodeAnswer reads the payload of an answer, which content stays a part of.
func decodeAnswer(p []byte, size int64) (a answer, err error) {
	if len(p) < blockHead {
		return a, broken("an answer has %d bytes", len(p))
	}
	if a.block, err = blockNumber(p, size); err != nil {
		return a, err
	}
	n := lengthOf(a.block, size)
	copy(a.value[:], p[8:])
	a.sent, a.zeros = binary.LittleEndian.Uint16(p[40:]), binary.LittleEndian.Uint16(p[42:])
	bad := int(binary.LittleEndian.Uint16(p[45:]))
	all := allGrains(n)
	switch {
	case a.sent&^all != 0 || a.zeros&^a.sent != 0:
		return a, broken("the answer to block %d is of grains %016b with zeros %016b", a.block, a.sent, a.zeros)
	case p[44] > 1:
		return a, broken("the answer to block %d is packed in the way %d", a.block, p[44])
	case bad > mostBad || bad*8 > len(p)-blockHead || bad > 0 && a.sent != all:
		return a, broken("the answer to block %d has %d bad ranges", a.block, bad)
	}
	a.packed = p[44] == 1
	p = p[blockHead:]
	for end := int64(0); len(a.bad) < bad; p = p[8:] {
		r := Range{int64(binary.LittleEndian.Uint32(p)), int64(binary.LittleEndian.Uint32(p[4:]))}
		if r.Offset < end || r.Length == 0 || r.Offset+r.Length > int64(n) {
			return a, broken("the answer to block %d has a bad range of %d bytes at %d", a.block, r.Length, r.Offset)
		}
		end = r.Offset + r.Length
		r.Offset += a.block * blockSize
		a.bad = append(a.bad, r)
	}
	want := maskBytes(a.sent&^a.zeros, n)
	if a.packed && len(p) >= want || !a.packed && len(p) != want {
		return a, broken("the answer to block %d has %d bytes for %d bytes of grains", a.block, len(p), want)
	}
	a.content = p
	return a, nil
}

func appendAsk(p []byte, block int64) []byte {
	return sealFrame(binary.LittleEndian.AppendUint64(beginFrame(p, frameAsk), uint64(block)))
}

// An ack says how far the receiver has come, in bytes: of the answers that it has done
// with, as frames; of the image, what is durable, and what earlier runs had done.
type ack struct{ taken, durable, resumed int64 }

func appendAck(p []byte, a ack) []byte {
	p = beginFrame(p, frameAck)
	for _, n := range []int64{a.taken, a.durable, a.resumed} {
		p = binary.LittleEndian.AppendUint64(p, uint64(n))
	}
	return sealFrame(p)
}

func decodeAck(p []byte, size int64) (a ack, err error) {
	if len(p) != 3*8 {
		return a, broken("an acknowledgement has %d bytes", len(p))
	}
	a.taken = int64(binary.LittleEndian.Uint64(p))
	a.durable = int64(binary.LittleEndian.Uint64(p[8:]))
	a.resumed = int64(binary.LittleEndian.Uint64(p[16:]))
	if min(a.taken, a.durable, a.resumed) < 0 || max(a.durable, a.resumed) > size {
		return a, broken("an acknowledgement is of %d, %d and %d bytes", a.taken, a.durable, a.resumed)
	}
	return a, nil
}

func blockNumber(p []byte, size int64) (int64, error) {
	if len(p) < 8 {
		return 0, broken("a frame about a block has %d bytes", len(p))
	}
	n := binary.LittleEndian.Uint64(p)
	if n >= uint64(blocksOf(size)) {
		return 0, broken("block %d is beyond the image, which has %d", n, blocksOf(size))
	}
	return int64(n), nil
}

// lengthOf returns how many bytes a block of an image has.
func lengthOf(block, size int64) int { return int(min(blockSize, size-block*blockSize)) }

// grainsOf returns how many grains n bytes of a block have.
func grainsOf(n int) int { return (n + grainSize - 1) / grainSize }

// maskBytes returns how many bytes the grains of mask have in a block of n.
func maskBytes(mask uint16, n int) int {
	sum := bits.OnesCount16(mask) * grainSize
	if last := grainsOf(n) - 1; last >= 0 && mask&(1<<last) != 0 {
		sum -= (last+1)*grainSize - n
	}
	return sum
}

// gather moves the grains of mask to the beginning of the block p and returns them.
func gather(p []byte, mask uint16) []byte {
	end := 0
	runs(mask, len(p), func(from, to int) error { // which it hands on from f
		end += copy(p[end:], p[from:to])
		return nil
	})
	return p[:end]
}

// scatter does the opposite: the grains of mask, which p begins with, go to their places.
// The last one goes first, so that none is overwritten before it has moved.
func scatter(p []byte, mask uint16) {
	from := maskBytes(mask, len(p))
	for i := grainsOf(len(p)) - 1; i >= 0; i-- {
		if mask&(1<<i) != 0 {
			g := p[i*grainSize : min((i+1)*grainSize, len(p))]
			from -= len(g)
			copy(g, p[from:])
		}
	}
}

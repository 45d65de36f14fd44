package blockcopy

import (
	"github.com/klauspost/compress/zstd"
	"lukechampine.com/blake3/guts"
)

// settleBlocks makes the target as the answers say, until all are settled.
func (r *receiver) settleBlocks() error {
	unpack, err := newDecompressor()
	if err != nil {
		return err
	}
	defer unpack.Close()
	buf := newBuffer()
	defer freeBuffer(buf)
	for {
		t, ok, err := r.nextAnswer()
		if err != nil || !ok {
			return err
		}
		err = r.settle(&t.answer, buf[:], unpack)
		frame{buf: t.buf}.free()
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.waiting -= t.weight()
		r.taken += t.size
		r.settled(t.block)
		r.mu.Unlock()
	}
}

func (r *receiver) nextAnswer() (t taken, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.wait(func() bool { return r.base == blocksOf(r.sink.size) || len(r.answers) > 0 })
	if err != nil || len(r.answers) == 0 {
		return t, false, err
	}
	t = r.answers[0]
	r.answers = r.answers[1:]
	return t, true, nil
}

// settle writes what an answer has, if the block is then as the sender says.
func (r *receiver) settle(a *answer, buf []byte, unpack *zstd.Decoder) error {
	off := a.block * blockSize
	p := buf[:r.sink.length(a.block)]
	all := allGrains(len(p))
	s := &r.slots[a.block%int64(len(r.slots))]
	f := finished{block: a.block, value: s.value, mask: a.sent}
	zeros := a.zeros
	if s.have == holdsZeros {
		zeros |= all &^ a.sent
	}
	if a.sent != 0 || s.have == holdsUnknown || s.have == holdsZeros {
		if err := unfold(a, p, zeros, unpack); err != nil {
			return err
		}
		f.g = new(sums)
		f.value = r.sum(p, off, a.sent, s, f.g)
	}
	if f.value != a.value {
		return &ChecksumError{Offset: off, Length: int64(len(p)), Want: a.value, Got: f.value}
	}
	if a.bad != nil {
		return r.sink.writeGood(a.block, p, a.bad)
	}
	f.count(len(p), zeros, s.have)
	if err := r.sink.write(a.block, p, a.sent, a.zeros); err != nil {
		return err
	}
	return r.sink.done(r.ctx, f)
}

// sum returns the block's value from the grains that came and those that were there.
func (r *receiver) sum(p []byte, off int64, sent uint16, s *slot, g *sums) Digest {
	if sent == allGrains(len(p)) || s.have == holdsZeros {
		return sumBlock(p, off, r.sink.size, g)
	}
	*g = s.g
	for i := range grainsOf(len(p)) {
		if sent&(1<<i) != 0 {
			g[i] = sumGrain(p[i*grainSize:min((i+1)*grainSize, len(p))], off+int64(i*grainSize))
		}
	}
	return mergeGrains(g[:grainsOf(len(p))], guts.Node{}, r.sink.size) // two grains at least
}

// unfold puts the grains of an answer at their places in the block p, and zeros at theirs.
func unfold(a *answer, p []byte, zeros uint16, unpack *zstd.Decoder) error {
	mask := a.sent &^ a.zeros
	content := a.content
	if a.packed {
		var err error
		content, err = unpack.DecodeAll(content, p[:0])
		if err != nil || len(content) != maskBytes(mask, len(p)) {
			return broken("the content of block %d cannot be unpacked: %d bytes, %v", a.block, len(content), err)
		}
	}
	copy(p, content)
	scatter(p, mask)
	return runs(zeros, len(p), func(from, to int) error {
		clear(p[from:to])
		return nil
	})
}

// badRanges returns what the sender could not read, in order.
func (r *receiver) badRanges() []Range {
	r.mu.Lock()
	defer r.mu.Unlock()
	return joinRanges(r.bad)
}

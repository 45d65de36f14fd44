package blockcopy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// Sum returns the BLAKE3 digest of a source, as b3sum prints it, with all processors at
// work. A source that can tell its own digest, as a DD can where b3sum is installed, is
// asked.
func Sum(ctx context.Context, src Source) (Digest, error) {
	d, err := askDigest(ctx, src)
	if errors.Is(err, errors.ErrUnsupported) {
		d, err = readSum(ctx, src, nil)
	}
	return d, err
}

func askDigest(ctx context.Context, src Source) (Digest, error) {
	if s, ok := src.(Summer); ok {
		return s.Sum(ctx)
	}
	return Digest{}, errors.ErrUnsupported
}

func readSum(parent context.Context, src Source, pace *pacer) (Digest, error) {
	if err := checkSize(src); err != nil {
		return Digest{}, err
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	o, _ := new(Options).withDefaults()
	r := newReader(src, o, pace, newMeter(src.Size()))
	var (
		next atomic.Int64
		mu   sync.Mutex
		all  = newTree(blocksOf(r.size))
		wg   sync.WaitGroup
	)
	for range o.Workers {
		wg.Go(func() {
			buf := newBuffer()
			defer freeBuffer(buf)
			var g sums
			for block := next.Add(1) - 1; block < all.blocks; block = next.Add(1) - 1 {
				p, _, err := r.read(ctx, block, buf[:])
				if err != nil {
					cancel(err)
					return
				}
				d := sumBlock(p, block*blockSize, r.size, &g)
				mu.Lock()
				all.add(block, d)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return Digest{}, err
	}
	d, _ := all.root()
	return d, nil
}

// Verify reads a source and returns a *ChecksumError if its digest is not want.
func Verify(ctx context.Context, src Source, want Digest) error {
	got, err := Sum(ctx, src)
	if err == nil && got != want {
		err = &ChecksumError{Offset: 0, Length: src.Size(), Want: want, Got: got}
	}
	return err
}

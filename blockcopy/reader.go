package blockcopy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// A reader reads a source block by block.
type reader struct {
	src   Source
	size  int64
	holes *holes
	opt   *Options
	pace  *pacer
	m     *meter

	mu    sync.Mutex
	bad   []Range
	first int64 // offset of the first of them
	cause error // of that one
}

func newReader(src Source, opt *Options, pace *pacer, m *meter) *reader {
	return &reader{src: src, size: src.Size(), holes: newHoles(src, src.Size()), opt: opt, pace: pace, m: m}
}

// read returns the bytes of a block, in buf. With SkipBad it goes on past what cannot
// be read, which is zero in what it returns and listed in bad.
func (r *reader) read(ctx context.Context, block int64, buf []byte) (p []byte, bad []Range, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	off := block * blockSize
	p = buf[:min(blockSize, r.size-off)]
	hole, err := r.holes.cover(off, int64(len(p)))
	if err != nil {
		return nil, nil, failed("read", off, int64(len(p)), err)
	}
	if hole {
		clear(p)
		return p, nil, nil
	}
	if err := r.pace.wait(ctx, len(p)); err != nil {
		return nil, nil, err
	}
	if err := r.readAt(p, off); err != nil {
		if bad, err = r.split(ctx, p, off, err); err != nil {
			return nil, nil, err
		}
	}
	r.m.read.Add(int64(len(p)))
	return p, bad, nil
}

// split reads again what failed with cause, in pieces down to a sector of 512 bytes,
// because one bad sector makes the whole request fail. Without SkipBad the first bad
// sector is the error.
func (r *reader) split(ctx context.Context, p []byte, off int64, cause error) (bad []Range, err error) {
	if errors.Is(cause, ErrChanged) {
		return nil, failed("read", off, int64(len(p)), cause)
	}
	for o := 0; o < len(p); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := off + int64(o)
		n := min(4096, len(p)-o)
		err := r.readAt(p[o:o+n], at)
		if err != nil && n > 512 {
			n = 512
			err = r.readAt(p[o:o+n], at)
		}
		if err != nil {
			if !r.opt.SkipBad {
				return nil, failed("read", at, int64(n), err)
			}
			clear(p[o : o+n])
			if len(bad) == 0 {
				cause = err
			}
			bad = addRange(bad, Range{at, int64(n)})
		}
		o += n
	}
	if len(bad) > 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.cause == nil || bad[0].Offset < r.first {
			r.first, r.cause = bad[0].Offset, cause
		}
		r.bad = append(r.bad, bad...)
		if len(r.bad) > mostBadRanges {
			if r.bad = r.badRanges(); len(r.bad) > mostBadRanges {
				return nil, failed("read", bad[0].Offset, bad[0].Length, fmt.Errorf("more than %d ranges cannot be read: %w", mostBadRanges, cause))
			}
		}
	}
	return bad, nil
}

// badRanges returns what could not be read, in order.
func (r *reader) badRanges() []Range { return joinRanges(r.bad) }

// unreadable returns the error of a pass that went on past bad ranges.
func (r *reader) unreadable() error {
	bad := r.badRanges()
	return fmt.Errorf("%d ranges of the source cannot be read, the first one: %w",
		len(bad), failed("read", bad[0].Offset, bad[0].Length, r.cause))
}

// joinRanges sorts ranges, and makes one of those that touch.
func joinRanges(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Offset, b.Offset) })
	var all []Range
	for _, r := range ranges {
		all = addRange(all, r)
	}
	return all
}

// addRange appends a range, to the last one if they touch.
func addRange(all []Range, r Range) []Range {
	if n := len(all); n > 0 && all[n-1].Offset+all[n-1].Length == r.Offset {
		all[n-1].Length += r.Length
		return all
	}
	return append(all, r)
}

// readAt reads all of p. A source that ends before its size has changed.
func (r *reader) readAt(p []byte, off int64) error {
	err := readFull(r.src, p, off)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends before %d", ErrChanged, off+int64(len(p)))
	}
	return err
}

// readFull reads all of p, or returns an error, which is io.ErrUnexpectedEOF at the end.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// unchanged returns ErrChanged if the source has changed since it had the version
// before, or, with Recheck, if it has another digest now. sha256 computes that of the
// target, for a source that can tell no other; it may be nil.
func (r *reader) unchanged(ctx context.Context, before string, digest Digest, sha256 func(context.Context) ([]byte, error)) error {
	if r.opt.Pass == Live {
		return nil
	}
	if r.opt.Recheck {
		if err := r.recheck(ctx, digest, sha256); err != nil {
			return err
		}
	}
	now, err := version(r.src)
	if err == nil && now != before {
		err = fmt.Errorf("%w: it was %s and is %s", ErrChanged, before, now)
	}
	return err
}

// recheck asks the source for its digests before it reads all of it again.
func (r *reader) recheck(ctx context.Context, digest Digest, sha256 func(context.Context) ([]byte, error)) error {
	now, err := askDigest(ctx, r.src)
	if errors.Is(err, errors.ErrUnsupported) {
		s, ok := r.src.(interface {
			SHA256(context.Context) ([]byte, error)
		})
		if ok && sha256 != nil {
			far, err := s.SHA256(ctx)
			if !errors.Is(err, errors.ErrUnsupported) {
				return sameSHA256(ctx, far, err, sha256)
			}
		}
		now, err = readSum(ctx, r.src, r.pace)
	}
	if err == nil && now != digest {
		err = fmt.Errorf("%w: its digest was %v and is %v", ErrChanged, digest, now)
	}
	return err
}

func sameSHA256(ctx context.Context, far []byte, err error, sha256 func(context.Context) ([]byte, error)) error {
	if err != nil {
		return err
	}
	copied, err := sha256(ctx)
	if err == nil && !bytes.Equal(copied, far) {
		err = fmt.Errorf("%w: its SHA-256 is %x, that of the copy is %x", ErrChanged, far, copied)
	}
	return err
}

// version returns the version of a source or a target; "" if it cannot be known.
func version(x any) (string, error) {
	c, ok := x.(Checker)
	if !ok {
		return "", nil
	}
	v, err := c.Version()
	return strings.ToValidUTF8(v, "\ufffd"), err
}

func identityOf(x any) string {
	if i, ok := x.(Identifier); ok {
		return strings.ToValidUTF8(i.Identity(), "\ufffd") // as the journal's JSON has it
	}
	return ""
}

// holes answers where a source or a target has no data. It remembers the last hole
// and the last data it was told of, since it is asked in order, by many workers.
type holes struct {
	ext  Extents // nil: all is data
	size int64

	mu         sync.Mutex
	hole, data Range
}

func newHoles(x any, size int64) *holes {
	ext, _ := x.(Extents)
	return &holes{ext: ext, size: size}
}

// cover reports whether the range lies in a hole.
func (h *holes) cover(off, n int64) (bool, error) {
	if h.ext == nil {
		return false, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for range 2 {
		switch {
		case off >= h.hole.Offset && off+n <= h.hole.Offset+h.hole.Length:
			return true, nil
		case off >= h.data.Offset && off < h.data.Offset+h.data.Length:
			return false, nil
		}
		start, end, err := h.ext.NextData(off)
		if err == io.EOF {
			start, end, err = h.size, h.size, nil
		}
		if err != nil {
			return false, err
		}
		h.hole = Range{off, start - off}
		h.data = Range{start, end - start}
	}
	return false, nil // it begins in a hole and ends in data
}

// zeroGrains returns which grains of p are all zeros.
func zeroGrains(p []byte) (zeros uint16) {
	for i := 0; i*grainSize < len(p); i++ {
		g := p[i*grainSize : min((i+1)*grainSize, len(p))]
		if g[0] == 0 && bytes.Equal(g[1:], g[:len(g)-1]) {
			zeros |= 1 << i
		}
	}
	return zeros
}

// differing returns which grains of p are not those of old.
func differing(p, old []byte) (mask uint16) {
	for i := 0; i*grainSize < len(p); i++ {
		a, b := i*grainSize, min((i+1)*grainSize, len(p))
		if !bytes.Equal(p[a:b], old[a:b]) {
			mask |= 1 << i
		}
	}
	return mask
}

// allGrains returns the mask of all grains of n bytes.
func allGrains(n int) uint16 {
	return uint16(1<<((n+grainSize-1)/grainSize) - 1)
}

// runs calls f for each run of adjacent grains of the mask, as a range of the n bytes of
// a block.
func runs(mask uint16, n int, f func(from, to int) error) error {
	for i := 0; i < grains; {
		if mask&(1<<i) == 0 {
			i++
			continue
		}
		from := i
		for i < grains && mask&(1<<i) != 0 {
			i++
		}
		if err := f(from*grainSize, min(i*grainSize, n)); err != nil {
			return err
		}
	}
	return nil
}

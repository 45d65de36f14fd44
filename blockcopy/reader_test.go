package blockcopy

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sparse is a source of zeros without data, that counts how often it is asked.
type sparse struct {
	memory
	size int64
	stop func()
}

func (s sparse) Size() int64 { return s.size }
func (s sparse) NextData(int64) (start, end int64, err error) {
	s.stop()
	return 0, 0, io.EOF
}

// TestSumOfAHoleCanBeCancelled: a hole of 16 TiB takes hours to hash.
func TestSumOfAHoleCanBeCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Sum(ctx, sparse{size: 16 << 40, stop: cancel})
	require.ErrorIs(t, err, context.Canceled)
}

type negative struct{ memory }

func (negative) Size() int64 { return -1 }

func TestASourceOfNegativeSize(t *testing.T) {
	var value *ValueError
	_, err := Copy(t.Context(), newDisk(never(), nil), negative{}, nil)
	require.ErrorAs(t, err, &value)
	_, err = Sum(t.Context(), negative{})
	require.ErrorAs(t, err, &value)
}

// cancelledRecheck cancels when it is read for the second time.
type cancelledRecheck struct {
	*rewritten
	reads int
	stop  func()
}

func (c *cancelledRecheck) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reads++; c.reads > 21 {
		c.stop()
	}
	return c.memory.ReadAt(p, off)
}

// TestACancelledRecheckKeepsTheWork: nothing says that the source has changed.
func TestACancelledRecheckKeepsTheWork(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	src := &cancelledRecheck{rewritten: &rewritten{memory: image(1, testSize)}, stop: cancel}
	dst := newDisk(never(), make(memory, testSize))
	opt := &Options{Journal: filepath.Join(t.TempDir(), "journal"), Recheck: true}
	_, err := Copy(ctx, dst, src, opt)
	require.ErrorIs(t, err, context.Canceled)
	r, err := Copy(t.Context(), dst, src.memory, opt)
	require.NoError(t, err)
	assert.Equal(t, int64(testSize), r.Resumed)
}

// TestASourceThatEndsEarlyBeginsAnew: the blocks before its end may have changed too.
func TestASourceThatEndsEarlyBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opt := &Options{Journal: filepath.Join(t.TempDir(), "journal"), Workers: 1, unsynced: 1}
		dst := newDisk(never(), make(memory, testSize))
		_, err := Copy(t.Context(), dst, &shrunk{image(1, testSize)}, opt)
		require.ErrorIs(t, err, ErrChanged)
		state, err := ReadState(opt.Journal)
		require.NoError(t, err)
		require.NotZero(t, state.Durable)
		after := image(4, testSize)
		r, err := Copy(t.Context(), dst, after, opt)
		require.NoError(t, err)
		assert.Zero(t, r.Resumed)
		assert.Equal(t, []byte(after), dst.media)
	})
}

// everyOther is a source of which every other sector cannot be read.
type everyOther struct{}

func (everyOther) Size() int64 { return 1 << 40 }
func (everyOther) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > sector || off%(2*sector) == 0 {
		return 0, syscall.EIO
	}
	return len(p), nil
}

// TestTooManyBadRanges: what is remembered of them is bounded.
func TestTooManyBadRanges(t *testing.T) {
	r := newReader(everyOther{}, &Options{SkipBad: true}, nil, newMeter(0))
	buf := newBuffer()
	defer freeBuffer(buf)
	var err error
	for block := int64(0); err == nil && block < 1<<10; block++ {
		_, _, err = r.read(t.Context(), block, buf[:])
	}
	require.ErrorIs(t, err, syscall.EIO)
	assert.ErrorContains(t, err, "more than 65536 ranges cannot be read")
}

// numbered is a source whose errors have their offset.
type numbered struct{ memory }

func (numbered) ReadAt(_ []byte, off int64) (int, error) {
	return 0, fmt.Errorf("no sector at %d", off)
}

// TestTheFirstBadRangeHasItsOwnCause, whichever was read first.
func TestTheFirstBadRangeHasItsOwnCause(t *testing.T) {
	r := newReader(numbered{make(memory, 2*blockSize)}, &Options{SkipBad: true}, nil, newMeter(0))
	buf := newBuffer()
	defer freeBuffer(buf)
	for _, block := range []int64{1, 0} {
		_, _, err := r.read(t.Context(), block, buf[:])
		require.NoError(t, err)
	}
	assert.ErrorContains(t, r.unreadable(), "no sector at 0")
}

// TestARecheckKeepsTheRate, too.
func TestARecheckKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, begun := image(1, 8*blockSize), time.Now()
		_, err := Copy(t.Context(), newDisk(never(), make(memory, len(src))), src, &Options{Recheck: true, Rate: blockSize})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(begun), 15*time.Second)
	})
}

// extents is a source, or what a target has, that knows its data to the grain.
type extents struct{ content *memory }

func (e extents) NextData(off int64) (start, end int64, err error) {
	m := *e.content
	data := func(at int64) bool {
		return zeroGrains(m[at:min(at+grainSize, int64(len(m)))]) == 0
	}
	for start = off; start < int64(len(m)) && !data(start); {
		start += grainSize
	}
	if start >= int64(len(m)) {
		return 0, 0, io.EOF
	}
	for end = start; end < int64(len(m)) && data(end); {
		end += grainSize
	}
	return start, min(end, int64(len(m))), nil
}

type sparseSource struct {
	memory
	extents
}

type sparseDisk struct {
	*disk
	extents
}

// TestHolesAtBothEnds: a block that begins in a hole and ends in data has data, also if
// others are asked for first, and zeros are not written over holes.
func TestHolesAtBothEnds(t *testing.T) {
	src := make(memory, 40*blockSize+5)
	for _, grain := range []int{7*grains + 15, 20 * grains, 21*grains + 1, 40 * grains} {
		src[grain*grainSize+3] = 1
	}
	for _, workers := range []int{1, 4} {
		had := make(memory, len(src))
		had[11*blockSize+2*grainSize] = 1
		dst := newDisk(never(), had)
		r, err := Copy(t.Context(), sparseDisk{dst, extents{&had}}, sparseSource{src, extents{&src}}, &Options{Workers: workers})
		require.NoError(t, err)
		assert.Equal(t, []byte(src), dst.media)
		assert.Equal(t, int64(3*grainSize+5), r.Moved)
		assert.Equal(t, 5, dst.wrote, "one write for each grain that differs")
	}
}

package blockcopy

import (
	"context"
	"io"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forgetful is a target whose flush fails once, and drops what it could not write: the page
// cache still has it, and calls it clean.
type forgetful struct {
	*disk
	fails bool
}

func (f *forgetful) Sync() error {
	if !f.fails {
		return f.disk.Sync()
	}
	f.fails = false
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.dirty)
	return errPower
}

func (f *forgetful) ReadCold(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.dirty {
		f.flush(s)
	}
	clear(f.dirty)
	return copy(p, f.media[off:]), nil
}

// TestAFailedFlushIsNotForgotten: what the cache has after it may not be on the disk, and the
// next flush says nothing of that (fsync(2)). So the next run compares with the disk.
func TestAFailedFlushIsNotForgotten(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, next Options
	}{
		{"the same pass", Options{}, Options{}},
		{"another pass", Options{Pass: Live}, Options{Pass: Final}},
		{"without reading back", Options{SkipVerify: true}, Options{SkipVerify: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := image(1, testSize)
			dst := &forgetful{newDisk(never(), image(2, testSize)), true}
			c.first.Journal = filepath.Join(t.TempDir(), "journal")
			c.next.Journal = c.first.Journal
			_, err := Copy(t.Context(), dst, src, &c.first)
			require.ErrorIs(t, err, errPower)
			r, err := Copy(t.Context(), dst, src, &c.next)
			require.NoError(t, err)
			assert.Equal(t, Complete, r.State)
			assert.Equal(t, []byte(src), dst.media)
		})
	}
}

// gone is a source that cannot be read.
type gone struct{ memory }

func (gone) ReadAt([]byte, int64) (int, error) { return 0, errPower }

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
}

// short is a target that somebody has cut short.
type short struct{ *disk }

func (s short) ReadAt(p []byte, off int64) (int, error) { return 0, io.EOF }

func TestATargetThatEndsEarlyIsNoChangeOfTheSource(t *testing.T) {
	_, err := Copy(t.Context(), short{newDisk(never(), make(memory, testSize))}, image(1, testSize), nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.NotErrorIs(t, err, ErrChanged)
}

// unflushed counts the writes since the last flush.
type unflushed struct {
	*disk
	now, most int
}

func (u *unflushed) WriteAt(p []byte, off int64) (int, error) {
	u.mu.Lock()
	u.now++
	u.most = max(u.most, u.now)
	u.mu.Unlock()
	return u.disk.WriteAt(p, off)
}

func (u *unflushed) Sync() error {
	u.mu.Lock()
	u.now = 0
	u.mu.Unlock()
	return u.disk.Sync()
}

// TestZerosThatAreWrittenWaitForTheFlush like other bytes.
func TestZerosThatAreWrittenWaitForTheFlush(t *testing.T) {
	src := make(memory, 40*blockSize)
	dst := &unflushed{disk: newDisk(never(), image(1, 40*blockSize))}
	_, err := Copy(t.Context(), dst, src, &Options{Rewrite: true, Workers: 1, unsynced: blockSize})
	require.NoError(t, err)
	assert.Less(t, dst.most, 30)
}

// TestTheNewestHeaderIsLost: a flipped bit there does not bring the state of the pass before back.
func TestTheNewestHeaderIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	dst := newDisk(never(), make(memory, testSize))
	_, err := Copy(t.Context(), dst, image(1, testSize), &Options{Journal: path})
	require.NoError(t, err)
	_, err = Copy(t.Context(), dst, gone{make(memory, testSize)}, &Options{Journal: path})
	require.Error(t, err)
	damageNewestHeader(t, path)
	state, err := ReadState(path)
	require.NoError(t, err)
	assert.Equal(t, Incomplete, state.State)

	_, err = Copy(t.Context(), dst, &shrunk{image(1, testSize)}, &Options{Journal: path, Workers: 1, unsynced: 1})
	require.ErrorIs(t, err, ErrChanged)
	damageNewestHeader(t, path)
	r, err := Copy(t.Context(), dst, image(1, testSize), &Options{Journal: path})
	require.NoError(t, err)
	assert.Zero(t, r.Resumed, "the source had changed")
}

// TestAHeaderThatWasNotFlushed: a run that failed there has left it in the page cache. The
// next one must not write the target while the disk has that the pass before ended.
func TestAHeaderThatWasNotFlushed(t *testing.T) {
	file := &forgetful{disk: newDisk(never(), make([]byte, slotsAt+slotSize*blocksOf(testSize)))}
	dst := newDisk(never(), make(memory, testSize))
	opt := &Options{Journal: "journal", openJournal: file.disk.open}
	_, err := Copy(t.Context(), dst, image(1, testSize), opt)
	require.NoError(t, err)
	opt.openJournal = func(path string, want header) (*journal, error) {
		j := &journal{path: path, f: file}
		return j, j.begin(want)
	}
	file.fails = true
	_, err = Copy(t.Context(), dst, image(2, testSize), opt)
	require.ErrorIs(t, err, errPower)
	_, err = Copy(t.Context(), &failing{disk: dst, sync: errPower}, image(2, testSize), opt)
	require.ErrorIs(t, err, errPower)
	head, err := readHeader(newDisk(never(), file.media))
	require.NoError(t, err)
	assert.Equal(t, Incomplete, head.State)
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

// TestTheFirstBadRangeHasItsOwnCause, whichever was read first.
func TestTheFirstBadRangeHasItsOwnCause(t *testing.T) {
	r := newReader(badSectors{image(1, 2*blockSize), []Range{{512, 512}, {blockSize, 512}}}, &Options{SkipBad: true}, nil, newMeter(0))
	buf := newBuffer()
	defer freeBuffer(buf)
	for _, block := range []int64{1, 0} {
		_, _, err := r.read(t.Context(), block, buf[:])
		require.NoError(t, err)
	}
	assert.Zero(t, r.first/blockSize)
	assert.EqualError(t, r.unreadable(), "2 ranges of the source cannot be read, the first one: read of 512 bytes at 512: input/output error")
}

// TestAnIdentityThatIsNoText: a disk's serial number may hold any bytes.
func TestAnIdentityThatIsNoText(t *testing.T) {
	opt := &Options{Journal: filepath.Join(t.TempDir(), "journal")}
	src := named{image(1, testSize), "disk \xff", "\xfe"}
	for range 2 {
		_, err := Copy(t.Context(), namedDisk{newDisk(never(), make(memory, testSize)), "\xc0"}, src, opt)
		require.NoError(t, err)
	}
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

// TestAFlushOfLittleSaysLittle: equal blocks need none, and do not let more bytes wait.
func TestAFlushOfLittleSaysLittle(t *testing.T) {
	src := image(1, 40*blockSize)
	o, err := (&Options{unsynced: 4 * blockSize}).withDefaults()
	require.NoError(t, err)
	s, err := openSink(newDisk(never(), src), src.Size(), sourceID{}, o, newMeter(src.Size()))
	require.NoError(t, err)
	for block := range int64(40) {
		require.NoError(t, s.done(t.Context(), finished{block: block, mask: 1, g: new(sums)}))
		all, err := s.flush()
		require.NoError(t, err)
		s.unsynced -= all[0].written()
	}
	assert.Equal(t, int64(4*blockSize), s.most)
}

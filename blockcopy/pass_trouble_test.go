package blockcopy

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"
)

// TestASourceThatChanges is what Checker is for: the copy is not complete, the next run
// does not go on with the old pass, and finds the difference.
func TestASourceThatChanges(t *testing.T) {
	for _, c := range []struct {
		name string
		src  Source
		opt  Options
	}{
		{"version", &changing{memory: image(1, testSize)}, Options{}},
		{"version in the final pass", &changing{memory: image(1, testSize)}, Options{Pass: Final}},
		{"recheck", &rewritten{memory: image(1, testSize)}, Options{Recheck: true}},
		{"shrunk", &shrunk{memory: image(1, testSize)}, Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.Journal = filepath.Join(t.TempDir(), "journal")
			dst := newDisk(never(), make(memory, testSize))
			r, err := Copy(t.Context(), dst, c.src, &c.opt)
			require.ErrorIs(t, err, ErrChanged)
			assert.Equal(t, Incomplete, r.State)
			state, err := ReadState(c.opt.Journal)
			require.NoError(t, err)
			assert.Equal(t, Incomplete, state.State)
			after := image(4, testSize)
			r, err = Copy(t.Context(), dst, after, &c.opt)
			require.NoError(t, err)
			assert.Equal(t, Complete, r.State)
			assert.Equal(t, []byte(after), dst.media)
		})
	}
}

// changing has another version each time it is asked.
type changing struct {
	memory
	version int
}

func (c *changing) Version() (string, error) {
	c.version++
	return time.Unix(int64(c.version), 0).String(), nil
}

// rewritten is a device that is written after its first block was read.
type rewritten struct {
	memory
	mu sync.Mutex
}

func (r *rewritten) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.memory.ReadAt(p, off)
	if off == 0 {
		r.memory[3]++
	}
	return n, err
}

// shrunk is a file that ends before its size.
type shrunk struct{ memory }

func (s *shrunk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) == s.Size() {
		n := len(p) - 100
		return copy(p[:n], s.memory[off:]), io.EOF
	}
	return s.memory.ReadAt(p, off)
}

// badSectors is a source whose sectors from and to cannot be read.
type badSectors struct {
	memory
	bad []Range
}

func (b badSectors) ReadAt(p []byte, off int64) (int, error) {
	for _, r := range b.bad {
		if off < r.Offset+r.Length && r.Offset < off+int64(len(p)) {
			return 0, syscall.EIO
		}
	}
	return b.memory.ReadAt(p, off)
}

// TestBadSectors is trap 9: without SkipBad the first bad sector is the error; with it they
// are listed, what is around them is copied, and nothing is called complete. When they can
// be read again, only their blocks are read.
func TestBadSectors(t *testing.T) {
	bad := []Range{{512, 512}, {3*blockSize - 512, 1024}, {5*blockSize + 4096, 8192}}
	src := badSectors{image(1, testSize), bad}
	opt := Options{Journal: filepath.Join(t.TempDir(), "journal")}
	dst := newDisk(never(), image(2, testSize))
	r, err := Copy(t.Context(), dst, src, &opt)
	var read *IOError
	require.ErrorAs(t, err, &read)
	assert.Contains(t, []int64{512, 3*blockSize - 512, 3 * blockSize, 5*blockSize + 4096}, read.Offset)
	assert.Equal(t, int64(512), read.Length)
	require.ErrorIs(t, err, syscall.EIO)
	assert.Equal(t, Incomplete, r.State)

	opt.SkipBad = true
	r, err = Copy(t.Context(), dst, src, &opt)
	require.ErrorIs(t, err, syscall.EIO)
	assert.ErrorContains(t, err, "3 ranges of the source cannot be read, the first one: read of 512 bytes at 512: input/output error")
	assert.Equal(t, bad, r.Bad)
	assert.Equal(t, Incomplete, r.State)
	assert.Zero(t, r.Digest)
	want := append([]byte(nil), src.memory...)
	for _, b := range bad {
		copy(want[b.Offset:], image(2, testSize)[b.Offset:b.Offset+b.Length])
	}
	assert.Equal(t, want, dst.cache, "the target keeps what it had there")
	state, err := ReadState(opt.Journal)
	require.NoError(t, err)
	assert.Equal(t, Incomplete, state.State)
	assert.Equal(t, int64(testSize-4*blockSize), state.Durable)

	r, err = Copy(t.Context(), dst, src.memory, &opt)
	require.NoError(t, err)
	assert.Equal(t, int64(4*blockSize), r.Read)
	assert.Equal(t, []byte(src.memory), dst.media)
	assert.Equal(t, Digest(blake3.Sum256(src.memory)), r.Digest)
}

// failing is a target whose calls fail as asked.
type failing struct {
	*disk
	sync, write error
	flip        bool // a bit of what is read back
	from        int64
}

func (f *failing) Sync() error { return errors.Join(f.sync, f.disk.Sync()) }
func (f *failing) WriteAt(p []byte, off int64) (int, error) {
	if f.write != nil && off+int64(len(p)) > f.from {
		n := max(0, int(f.from-off))
		f.disk.WriteAt(p[:n], off)
		return n, f.write
	}
	return f.disk.WriteAt(p, off)
}
func (f *failing) ReadCold(p []byte, off int64) (int, error) {
	n, err := f.disk.ReadAt(p, off)
	if f.flip && off <= f.from && f.from < off+int64(len(p)) {
		p[f.from-off] ^= 1
	}
	return n, err
}

func TestErrorsOfTheTarget(t *testing.T) {
	src := image(1, testSize)
	flipped := changed(src, 1)
	copy(flipped, src)
	flipped[2*blockSize+5*grainSize+7] ^= 1
	at := int64(2*blockSize + 5*grainSize)
	for _, c := range []struct {
		name string
		dst  failing
		want error
	}{
		{"disk full", failing{write: syscall.ENOSPC, from: at + 100}, &IOError{"write", at + 100, 0, syscall.ENOSPC}},
		{"disk full, noticed at the flush", failing{sync: syscall.ENOSPC}, &IOError{"sync", 0, 0, syscall.ENOSPC}},
		{"flush fails", failing{sync: syscall.EIO}, &IOError{"sync", 0, 0, syscall.EIO}},
		{"a bit flipped on the disk", failing{flip: true, from: at + 7}, &ChecksumError{at, grainSize,
			sumGrain(src[at:at+grainSize], at), sumGrain(flipped[at:at+grainSize], at)}},
	} {
		inBubble(t, c.name, func(t *testing.T) { // no checkpoint is due before the error
			c.dst.disk = newDisk(never(), image(2, testSize))
			opt := Options{Journal: filepath.Join(t.TempDir(), "journal"), Workers: 1}
			r, err := Copy(t.Context(), &c.dst, src, &opt)
			var io, wantIO *IOError
			if errors.As(c.want, &wantIO) {
				require.ErrorAs(t, err, &io)
				assert.Equal(t, wantIO.Op, io.Op)
				assert.Equal(t, wantIO.Offset, io.Offset)
				require.ErrorIs(t, err, wantIO.Err)
			} else {
				require.Equal(t, c.want, err)
			}
			assert.Equal(t, Incomplete, r.State)
			state, err := ReadState(opt.Journal)
			require.NoError(t, err)
			assert.Equal(t, Incomplete, state.State)
			assert.Zero(t, state.Durable, "nothing counts that was not flushed and read back")

			r, err = Copy(t.Context(), c.dst.disk, src, &opt)
			require.NoError(t, err)
			assert.Equal(t, Complete, r.State)
			assert.Equal(t, []byte(src), c.dst.media)
		})
	}
}

// TestATargetThatIsTooSmall is trap 8.
func TestATargetThatIsTooSmall(t *testing.T) {
	dst := newDisk(never(), make(memory, 99))
	journal := filepath.Join(t.TempDir(), "journal")
	_, err := Copy(t.Context(), dst, image(1, 100), &Options{Journal: journal})
	assert.Equal(t, &SizeError{Source: 100, Target: 99}, err)
	assert.Zero(t, dst.count)
	_, err = os.Stat(journal)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// slowDisk needs time for each write, as a full queue does.
type slowDisk struct{ *disk }

func (s slowDisk) WriteAt(p []byte, off int64) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return s.disk.WriteAt(p, off)
}

// TestCancelEndsWithinASecond, and what was durable by then counts in the next run.
func TestCancelEndsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := filepath.Join(t.TempDir(), "journal")
		src := image(1, 100*blockSize)
		dst := newDisk(never(), make(memory, len(src)))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begun := time.Now()
		r, err := Copy(ctx, slowDisk{dst}, src, &Options{Journal: journal, SkipVerify: true})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, time.Since(begun), 3*time.Second)
		assert.NotZero(t, r.Durable)
		var first Progress
		again, err := Copy(t.Context(), dst, src, &Options{Journal: journal, Progress: func(p Progress) {
			if first.Size == 0 {
				first = p
			}
		}})
		require.NoError(t, err)
		assert.Equal(t, r.Durable, again.Resumed)
		assert.Equal(t, r.Durable, first.Resumed)
		assert.Equal(t, []byte(src), dst.media)
	})
}

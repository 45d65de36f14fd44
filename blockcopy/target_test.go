package blockcopy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATargetIsMadeAndGetsTheSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk0.img")
	f := openTarget(t, path, 5*blockSize+7)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, int64(5*blockSize+7), info.Size())
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	assert.Equal(t, info.Size(), f.Size())
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	assert.ErrorIs(t, f.Close(), os.ErrClosed)
}

func TestWhatATargetHoldsStays(t *testing.T) {
	content := pattern(10000)
	for _, tt := range []struct {
		name string
		size int64
		want []byte
	}{
		{"the same size", 10000, content},
		{"it grows", 10010, append(bytes.Clone(content), make([]byte, 10)...)},
		{"it loses its end", 9000, content[:9000]},
	} {
		path := newFile(t, content)
		require.NoError(t, openTarget(t, path, tt.size).Close())
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(tt.want, got), tt.name)
	}
}

func TestATargetThatWaitsForItsSize(t *testing.T) {
	path := newFile(t, pattern(10000))
	f := openTarget(t, path, -1)
	assert.Negative(t, f.Size())
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, int64(10000), info.Size())
	var refused *ValueError
	assert.ErrorAs(t, f.Resize(-1), &refused)
	require.NoError(t, f.Resize(10000))
	assert.Equal(t, int64(10000), f.Size())
	got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	require.NoError(t, err)
	assert.Equal(t, pattern(10000), got)
}

func TestATargetThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	nowhere := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "none"), nowhere))
	for path, want := range map[string]error{
		filepath.Join(dir, "none", "disk0.img"): os.ErrNotExist,
		nowhere:                                 os.ErrExist,
	} {
		_, err := OpenTarget(path, 100)
		assert.ErrorIs(t, err, want, path)
	}
	path := filepath.Join(dir, "huge.img")
	_, err := OpenTarget(path, maxOffset)
	assert.Error(t, err, "no filesystem has files of this size")
	_, err = os.Stat(path)
	assert.ErrorIs(t, err, os.ErrNotExist, "nothing is left of it")
}

func TestTwoCopiesToOneFile(t *testing.T) {
	path := newFile(t, pattern(100))
	first := openTarget(t, path, 100)
	_, err := OpenTarget(path, 50)
	require.ErrorIs(t, err, ErrInUse)
	assert.Contains(t, err.Error(), path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, int64(100), info.Size(), "the second has changed nothing")
	require.NoError(t, first.Close())
	openTarget(t, path, 50)
}

// TestACloseEndsTheLock while the file is open in another process, as one that is being
// started has what was open at that moment.
func TestACloseEndsTheLock(t *testing.T) {
	hold := func(f *os.File) {
		other, err := syscall.Dup(int(f.Fd()))
		require.NoError(t, err)
		t.Cleanup(func() { syscall.Close(other) })
	}
	path := newFile(t, pattern(100))
	first := openTarget(t, path, 100)
	hold(first.s.file)
	require.NoError(t, first.Close())
	openTarget(t, path, 100)

	log := filepath.Join(t.TempDir(), "journal")
	for range 2 {
		j, err := openJournal(log, header{Size: 100, Block: blockSize})
		require.NoError(t, err)
		hold(j.f.(lockedFile).File)
		require.NoError(t, j.f.Close())
	}
}

// Between the opening and the lock, another copy may have ended.
func TestATargetIsLookedAtAgainOnceItIsLocked(t *testing.T) {
	path := newFile(t, pattern(1000))
	s, err := openStorage(path, os.O_RDWR)
	require.NoError(t, err)
	defer s.file.Close()
	require.NoError(t, os.Truncate(path, 500))
	f := &TargetFile{s: s}
	require.NoError(t, f.claim(1000))
	defer f.cold.Close()
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, int64(1000), info.Size())

	require.NoError(t, os.Remove(path))
	assert.ErrorIs(t, f.claim(1000), os.ErrNotExist, "what is written to it is lost")
}

// Sizes and ranges that are no multiple of block or sector.
func TestTailsOfAFile(t *testing.T) {
	for _, size := range []int{1, 511, 513, 4095, 4097, blockSize + 1, 3*blockSize - 1} {
		f := openTarget(t, filepath.Join(t.TempDir(), "disk0.img"), int64(size))
		want := pattern(size)
		for off := 0; off < size; off += blockSize {
			n, err := f.WriteAt(want[off:min(off+blockSize, size)], int64(off))
			require.NoError(t, err)
			require.Equal(t, min(blockSize, size-off), n)
		}
		require.NoError(t, f.Sync())
		got := make([]byte, size)
		n, err := f.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.True(t, bytes.Equal(want, got), "size %d", size)

		clear(got)
		for off := 0; off < size; off += blockSize {
			_, err = f.ReadCold(got[off:min(off+blockSize, size)], int64(off))
			if errors.Is(err, errors.ErrUnsupported) {
				break
			}
			require.NoError(t, err)
		}
		if err == nil {
			require.True(t, bytes.Equal(want, got), "cold, size %d", size)
		}
	}
}

func TestZerosReplaceOldContent(t *testing.T) {
	const size = 2*blockSize + 1000
	for _, tt := range []struct{ off, n int64 }{
		{0, size}, {0, blockSize}, {grainSize, 3 * grainSize}, {1, 1}, {4095, 4098}, {blockSize, blockSize + 1000}, {size - 1, 1}, {5, 0},
	} {
		f := openTarget(t, newFile(t, pattern(size)), size)
		for _, keeps := range []bool{false, true} {
			f.keepsBlocks.Store(keeps)
			want := pattern(size)
			_, err := f.WriteAt(want, 0)
			require.NoError(t, err)
			require.NoError(t, f.Zero(tt.off, tt.n))
			clear(want[tt.off : tt.off+tt.n])
			got := make([]byte, size)
			_, err = f.ReadAt(got, 0)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(want, got), "%d from %d", tt.n, tt.off)
		}
		require.NoError(t, f.Close())
	}
}

// The number of a descriptor that was closed is soon that of another file.
func TestATargetThatIsClosedWhileItIsWritten(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	for range 200 {
		f := openTarget(t, filepath.Join(dir, "disk0.img"), blockSize)
		begun, ended := make(chan struct{}), make(chan error)
		go func() {
			_, err := f.WriteAt(pattern(grainSize), 0)
			close(begun)
			for err == nil {
				if _, err = f.WriteAt(pattern(512), 0); err == nil {
					err = f.Zero(0, 1)
				}
			}
			ended <- errors.Join(err, f.Sync())
		}()
		<-begun
		require.NoError(t, f.Close())
		victim, err := os.Create(other)
		require.NoError(t, err)
		err = <-ended
		assert.ErrorIs(t, err, os.ErrClosed)
		if _, err := f.ReadCold(make([]byte, 1), 0); !errors.Is(err, errors.ErrUnsupported) {
			assert.ErrorIs(t, err, os.ErrClosed)
			assert.ErrorContains(t, err, f.Path())
		}
		info, err := victim.Stat()
		require.NoError(t, err)
		require.Zero(t, info.Size(), "written into another file")
		require.NoError(t, victim.Close())
	}
}

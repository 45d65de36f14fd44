package blockcopy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rehost/rehost/internal/lab"
)

// After a failed flush the system takes what it could not write for clean, and keeps
// showing it until it needs the memory: whoever compares with that sees no difference,
// and never writes what the disk has not got.
func TestAFailedFlushIsNotTakenForWritten(t *testing.T) {
	needRoot(t)
	lab.Need(t, "mount", "umount", "fallocate")
	thin := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", thin, "tmpfs", 0, "size=8m"))
	// The loop device over the image may let go of it a moment after it was told to.
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(thin, unix.MNT_DETACH)) })
	image := filepath.Join(thin, "thin.img")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 32<<20))
	dir := mounted(t, loopOver(t, image))
	content := pattern(12 << 20)
	src := openSource(t, newFile(t, content))
	path := filepath.Join(dir, "disk0.img")
	run(t, "fallocate", "-l", "12M", path) // all that remains to be written is the content
	run(t, "sync")

	dst := openTarget(t, path, src.Size())
	_, err := Copy(t.Context(), dst, src, &Options{SkipVerify: true})
	require.ErrorIs(t, err, unix.ENOSPC, "the disk is full, or this test shows nothing")
	assert.Equal(t, 1, strings.Count(err.Error(), "sync of"), "%v", err)
	assert.Equal(t, 1, strings.Count(err.Error(), path), "%v", err)
	require.NoError(t, dst.Close())

	require.NoError(t, unix.Mount("tmpfs", thin, "tmpfs", unix.MS_REMOUNT, "size=40m"))
	dst = openTarget(t, path, src.Size())
	_, err = Copy(t.Context(), dst, src, nil)
	require.NoError(t, err)
	got := make([]byte, len(content))
	_, err = dst.ReadCold(got, 0)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content, got), "what the disk has")
	require.NoError(t, dst.Close())
}

// A loop device has a page cache of its own, which a write to its file leaves as it
// was; so has each of a logical and a physical volume.
func TestADiskIsReadPastAStalePageCache(t *testing.T) {
	image := newFile(t, bytes.Repeat([]byte("old!"), blockSize/4))
	device := loopOver(t, image)
	cached, err := os.Open(device)
	require.NoError(t, err)
	defer cached.Close() // the cache lives while the device is open
	p := make([]byte, blockSize)
	_, err = cached.ReadAt(p, 0)
	require.NoError(t, err)
	alias, err := os.OpenFile(image, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer alias.Close()
	want := bytes.Repeat([]byte("new!"), blockSize/4)
	_, err = alias.WriteAt(want, 0)
	require.NoError(t, err)
	_, err = cached.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, "old!", string(p[:4]), "the page cache is stale, or this test shows nothing")

	_, err = openSource(t, device).ReadAt(p, 0)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, p))
	clear(p)
	target := openTarget(t, device, -1)
	_, err = target.ReadAt(p, 0)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, p))
	require.NoError(t, target.Close())

	require.NoError(t, dropCache(cached))
	_, err = cached.ReadAt(p, 0)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, p), "the way of devices without O_DIRECT")
}

func TestAFileIsReadColdPastAStalePageCache(t *testing.T) {
	image := newFile(t, make([]byte, 8<<20))
	device := loopOver(t, image)
	dir := mounted(t, device)
	content := bytes.Repeat([]byte("written by the copy, in a block of its own\n"), 10000)[:blockSize+100]
	f := openTarget(t, filepath.Join(dir, "disk0.img"), int64(len(content)))
	_, err := f.WriteAt(content, 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())

	disk, err := os.ReadFile(image)
	require.NoError(t, err)
	at := bytes.Index(disk, content[:4096])
	require.Positive(t, at)
	alias, err := os.OpenFile(image, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer alias.Close()
	_, err = alias.WriteAt([]byte("DAMAGED"), int64(at))
	require.NoError(t, err)

	p := make([]byte, len(content))
	_, err = f.ReadAt(p, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, p), "the page cache is stale, or this test shows nothing")
	_, err = f.ReadCold(p, 0)
	require.NoError(t, err)
	assert.Equal(t, "DAMAGED", string(p[:7]))
	assert.True(t, bytes.Equal(content[7:], p[7:]))
	require.NoError(t, f.Close())
}

// rotten is a target whose disk damages what was flushed.
type rotten struct {
	*TargetFile
	damage func()
}

func (r rotten) Sync() error {
	err := r.TargetFile.Sync()
	r.damage()
	return err
}

func TestWhatTheDiskDamagedIsWrittenAgain(t *testing.T) {
	for _, journal := range []string{"", filepath.Join(t.TempDir(), "journal")} {
		image := newFile(t, make([]byte, 8<<20))
		dir := mounted(t, loopOver(t, image))
		content := bytes.Repeat([]byte("written by the copy, in a block of its own\n"), 10000)[:blockSize]
		src := openSource(t, newFile(t, content))
		f := openTarget(t, filepath.Join(dir, "disk0.img"), src.Size())
		_, err := Copy(t.Context(), rotten{f, func() {
			disk, err := os.ReadFile(image)
			require.NoError(t, err)
			alias, err := os.OpenFile(image, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = alias.WriteAt([]byte("DAMAGED"), int64(bytes.Index(disk, content[:4096])))
			require.NoError(t, err)
			require.NoError(t, alias.Close())
		}}, src, &Options{Journal: journal})
		var wrong *ChecksumError
		require.ErrorAs(t, err, &wrong)

		_, err = Copy(t.Context(), f, src, &Options{Journal: journal})
		require.NoError(t, err)
		got := make([]byte, blockSize)
		_, err = f.ReadCold(got, 0)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(content, got), "what the disk has")
		require.NoError(t, f.Close())
	}
}

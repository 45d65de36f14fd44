package blockcopy

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rehost/rehost/internal/lab"
)

// needRoot skips a test that needs the rights of root, and fails it where every test
// must run.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("REHOST_REAL") == "require" {
		t.Fatal("only root can do this")
	}
	t.Skip("only root can do this")
}

func run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%q: %s", argv, out)
	return strings.TrimSpace(string(out))
}

// loopOver makes a loop device that ends with the test.
func loopOver(t *testing.T, path string, options ...string) string {
	t.Helper()
	needRoot(t)
	lab.Need(t, "losetup")
	device := run(t, append(append([]string{"losetup", "--find", "--show"}, options...), path)...)
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", device, out)
		}
	})
	return device
}

// mounted makes an ext4 filesystem on a device, and mounts it until the test ends.
func mounted(t *testing.T, device string) string {
	t.Helper()
	lab.Need(t, "mkfs.ext4", "mount", "umount")
	run(t, "mkfs.ext4", "-q", "-F", device)
	return mount(t, device)
}

func mount(t *testing.T, device string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a b")
	require.NoError(t, os.Mkdir(dir, 0o700))
	run(t, "mount", device, dir)
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", dir, out)
		}
	})
	return dir
}

// partitionsOf makes the devices of the partitions: not every kernel reads such tables.
func partitionsOf(t *testing.T, device string) {
	t.Helper()
	lab.Need(t, "partx")
	run(t, "partx", "--add", device)
	t.Cleanup(func() {
		if out, err := exec.Command("partx", "--delete", device).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", device, out)
		}
	})
}

// partitioned makes an image with two partitions of 1 MiB, from 1 and 2 MiB on.
func partitioned(t *testing.T) string {
	t.Helper()
	image := make([]byte, 4<<20)
	for i := range 2 {
		entry := image[446+16*i:]
		entry[4] = 0x83
		binary.LittleEndian.PutUint32(entry[8:], uint32(2048*(i+1)))
		binary.LittleEndian.PutUint32(entry[12:], 2048)
	}
	image[510], image[511] = 0x55, 0xaa
	return newFile(t, image)
}

func TestADiskIsReadAndWrittenInAnyRange(t *testing.T) {
	content := pattern(2*blockSize + 512)
	for _, sector := range []string{"512", "4096"} {
		device := loopOver(t, newFile(t, append(bytes.Clone(content), make([]byte, 3584)...)), "--sector-size", sector)
		src := openSource(t, device)
		assert.Equal(t, int64(2*blockSize+4096), src.Size(), "stat says 0")
		version, err := src.Version()
		require.NoError(t, err)
		assert.Empty(t, version)
		start, end, err := src.NextData(7)
		require.NoError(t, err)
		assert.Equal(t, []int64{7, src.Size()}, []int64{start, end})

		f := openTarget(t, device, 1000)
		assert.Equal(t, src.Size(), f.Size(), "a disk has its own size")
		want := append(bytes.Clone(content), make([]byte, 3584)...)
		for _, tt := range []struct{ off, n int }{{0, 1}, {511, 2}, {4096, 4096}, {1, 2 * blockSize}, {len(want) - 7, 7}, {blockSize, blockSize + 1000}} {
			p := bytes.Repeat([]byte{byte(tt.n)}, tt.n)
			n, err := f.WriteAt(p, int64(tt.off))
			require.NoError(t, err)
			require.Equal(t, tt.n, n)
			copy(want[tt.off:], p)
			for _, read := range []func([]byte, int64) (int, error){src.ReadAt, f.ReadAt, f.ReadCold} {
				got := make([]byte, tt.n)
				_, err = read(got, int64(tt.off))
				require.NoError(t, err)
				require.Equal(t, p, got)
			}
		}
		require.NoError(t, f.Sync())
		got := make([]byte, len(want)+1)
		n, err := src.ReadAt(got, 0)
		assert.Equal(t, io.EOF, err)
		assert.True(t, bytes.Equal(want, got[:n]))
		n, err = src.ReadAt(got, src.Size())
		assert.Equal(t, io.EOF, err)
		assert.Zero(t, n)
		require.NoError(t, f.Close())
	}
}

func TestAWriteAcrossTheEndOfADisk(t *testing.T) {
	device := loopOver(t, newFile(t, make([]byte, blockSize)))
	f := openTarget(t, device, -1)
	for _, tt := range []struct{ off, n, done int64 }{
		{blockSize - 4096, 8192, 4096}, {blockSize, 512, 0}, {blockSize - 1, 2, 1}, {blockSize + 100, 5, 0},
	} {
		n, err := f.WriteAt(make([]byte, tt.n), tt.off)
		assert.Equal(t, tt.done, int64(n))
		var failed *IOError
		require.ErrorAs(t, err, &failed)
		assert.ErrorIs(t, err, unix.ENOSPC)
		assert.Equal(t, tt.off+tt.done, failed.Offset)
		assert.Equal(t, tt.n-tt.done, failed.Length)
		assert.Contains(t, err.Error(), device)
	}
}

func TestASectorThatCannotBeReadIsNotWrittenInPart(t *testing.T) {
	file := newFile(t, pattern(1<<20))
	f := openTarget(t, loopOver(t, file), -1)
	require.NoError(t, os.Truncate(file, 0))
	n, err := f.WriteAt(make([]byte, 1000), 4096)
	assert.ErrorIs(t, err, unix.EIO)
	assert.Equal(t, 512, n, "the sector before")
	assert.Equal(t, 1, strings.Count(err.Error(), f.Path()), "%v", err)
	var failed *IOError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, Range{4096 + 512, 488}, Range{failed.Offset, failed.Length})
}

func TestRangesThatAreNone(t *testing.T) {
	for _, path := range []string{newFile(t, make([]byte, blockSize)), loopOver(t, newFile(t, make([]byte, blockSize)))} {
		f := openTarget(t, path, blockSize)
		for _, do := range []func() error{
			func() error { _, err := f.ReadAt(make([]byte, 10), -5); return err },
			func() error { _, err := f.ReadCold(make([]byte, 10), -5); return err },
			func() error { _, err := f.WriteAt(make([]byte, 10), -5); return err },
			func() error { return f.Zero(-5, 10) },
			func() error { return f.Zero(5, -1) },
		} {
			assert.Error(t, do(), path)
		}
		start, _, err := f.NextData(-5)
		assert.True(t, err == io.EOF || start >= 0)
	}
}

func TestADiskThatIsTooSmall(t *testing.T) {
	device := loopOver(t, newFile(t, make([]byte, blockSize)))
	_, err := OpenTarget(device, blockSize+1)
	var small *SizeError
	require.ErrorAs(t, err, &small)
	assert.Equal(t, SizeError{blockSize + 1, blockSize}, *small)
	require.ErrorAs(t, openTarget(t, device, -1).Resize(blockSize+1), &small)
}

func TestAFullFilesystem(t *testing.T) {
	needRoot(t)
	lab.Need(t, "mount", "umount")
	dir := t.TempDir()
	run(t, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir)
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
	f := openTarget(t, filepath.Join(dir, "disk0.img"), 2<<20)
	n, err := f.WriteAt(make([]byte, 2<<20), 1000)
	var failed *IOError
	require.ErrorAs(t, err, &failed)
	assert.ErrorIs(t, err, unix.ENOSPC)
	assert.Equal(t, int64(1000+n), failed.Offset)
	assert.Greater(t, n, maxWrite, "what had room is counted")
	require.NoError(t, f.Close())
}

func TestZerosOnADisk(t *testing.T) {
	image := newFile(t, pattern(2*blockSize))
	f := openTarget(t, loopOver(t, image), -1)
	want := pattern(2 * blockSize)
	before := blocks(t, image)
	for _, tt := range []struct{ off, n int64 }{{grainSize, blockSize}, {1, 100}, {500, 600}, {3000, 5000}, {2*blockSize - 1, 1}} {
		require.NoError(t, f.Zero(tt.off, tt.n))
		clear(want[tt.off : tt.off+tt.n])
		got := make([]byte, len(want))
		_, err := f.ReadAt(got, 0)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), "%d from %d", tt.n, tt.off)
	}
	assert.False(t, f.keepsBlocks.Load(), "a loop device has holes")
	require.NoError(t, f.Sync())
	assert.Less(t, blocks(t, image), before)
}

func TestADiskInUseIsNoTarget(t *testing.T) {
	t.Run("mounted", func(t *testing.T) {
		device := loopOver(t, newFile(t, make([]byte, 8<<20)))
		dir := mounted(t, device)
		_, err := OpenTarget(device, -1)
		require.ErrorIs(t, err, ErrInUse)
		assert.Contains(t, err.Error(), device)
		assert.Contains(t, err.Error(), dir)
		openSource(t, device)
	})
	t.Run("a partition of it mounted", func(t *testing.T) {
		device := loopOver(t, partitioned(t))
		partitionsOf(t, device)
		dir := mounted(t, device+"p2")
		_, err := OpenTarget(device, -1)
		require.ErrorIs(t, err, ErrInUse)
		assert.Contains(t, err.Error(), filepath.Base(device)+"p2: it is mounted on "+dir)
		openTarget(t, device+"p1", -1)
	})
	t.Run("a partition of it below a loop device", func(t *testing.T) {
		device := loopOver(t, partitioned(t))
		partitionsOf(t, device)
		mounted(t, loopOver(t, device+"p2"))
		_, err := OpenTarget(device, -1)
		require.ErrorIs(t, err, ErrInUse)
		assert.Contains(t, err.Error(), filepath.Base(device)+"p2: it is below the loop device")
		openTarget(t, device+"p1", -1)
	})
	t.Run("swapped to", func(t *testing.T) {
		device := loopOver(t, newFile(t, make([]byte, 1<<20)))
		lab.Need(t, "mkswap", "swapon", "swapoff")
		run(t, "mkswap", device)
		run(t, "swapon", device)
		t.Cleanup(func() { exec.Command("swapoff", device).Run() })
		_, err := OpenTarget(device, -1)
		require.ErrorIs(t, err, ErrInUse)
		assert.Contains(t, err.Error(), "swapped to")
	})
	t.Run("the target of another copy", func(t *testing.T) {
		device := loopOver(t, newFile(t, make([]byte, blockSize)))
		openTarget(t, device, -1)
		_, err := OpenTarget(device, -1)
		require.ErrorIs(t, err, ErrInUse)
	})
	t.Run("a file below a loop device", func(t *testing.T) {
		image := newFile(t, make([]byte, blockSize))
		device := loopOver(t, image)
		_, err := OpenTarget(image, 100)
		require.ErrorIs(t, err, ErrInUse)
		assert.Contains(t, err.Error(), filepath.Base(device))
		assert.Equal(t, int64(blockSize), openSource(t, image).Size(), "nothing was cut off")
	})
	t.Run("a disk below a loop device", func(t *testing.T) {
		lower := loopOver(t, newFile(t, make([]byte, blockSize)))
		upper := loopOver(t, lower)
		_, err := OpenTarget(lower, -1)
		require.ErrorIs(t, err, ErrInUse)
		assert.Contains(t, err.Error(), filepath.Base(upper))
	})
}

func TestTheSameDiskAtBothEnds(t *testing.T) {
	image := partitioned(t)
	// The file is opened first: below a loop device it would be no target.
	file := openTarget(t, image, 4<<20)
	device := loopOver(t, image)
	partitionsOf(t, device)
	front := loopOver(t, image, "--sizelimit", "1MiB")
	back := loopOver(t, image, "--offset", "1MiB")
	node := filepath.Join(t.TempDir(), "node")
	var st unix.Stat_t
	require.NoError(t, unix.Stat(device, &st))
	require.NoError(t, unix.Mknod(node, unix.S_IFBLK|0o600, int(st.Rdev)))
	link := node + ".link"
	require.NoError(t, os.Symlink(device, link))

	check := func(target *TargetFile, source string, same bool) {
		t.Helper()
		src := openSource(t, source)
		err := target.checkSource(src)
		if same {
			assert.ErrorIs(t, err, ErrSameDevice, "%s to %s", source, target.Path())
		} else {
			assert.NoError(t, err, "%s to %s", source, target.Path())
		}
	}
	check(file, device, true)
	check(file, node, true)
	check(file, device+"p1", true)

	whole := openTarget(t, node, -1)
	stacked := loopOver(t, device+"p1") // with it the whole disk would be no target
	check(file, stacked, true)
	check(whole, device, true)
	check(whole, link, true)
	check(whole, image, true)
	check(whole, device+"p1", true)
	check(whole, back, true)
	check(whole, stacked, true)
	require.NoError(t, whole.Close())

	first := openTarget(t, front, -1)
	check(first, device, true)
	check(first, back, false)
	check(first, device+"p1", false)
	require.NoError(t, first.Close())

	second := openTarget(t, device+"p2", -1)
	check(second, device, true)
	check(second, device+"p1", false)
	check(second, stacked, false)
	check(second, back, true)
	check(second, front, false)
	check(second, image, true)
	check(second, newFile(t, nil), false)
}

func TestAFileOnTheSourceIsNoTarget(t *testing.T) {
	device := loopOver(t, newFile(t, make([]byte, 8<<20)))
	dir := mounted(t, device)
	target := openTarget(t, filepath.Join(dir, "disk0.img"), 4096)
	assert.ErrorIs(t, target.checkSource(openSource(t, device)), ErrSameDevice)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte("x"), 0o600))
	other := openSource(t, filepath.Join(dir, "other"))
	assert.NoError(t, target.checkSource(other))
	require.NoError(t, other.Close())
	require.NoError(t, target.Close())
}

func TestIdentityOfALoopDevice(t *testing.T) {
	image := newFile(t, make([]byte, 4<<20))
	first, second := loopOver(t, image), loopOver(t, image)
	part := loopOver(t, image, "--offset", "1MiB")
	other := loopOver(t, newFile(t, make([]byte, 4<<20)))
	want := openSource(t, first).Identity()
	assert.Equal(t, want, openSource(t, second).Identity(), "which loop device it is says nothing")
	assert.NotEqual(t, want, openSource(t, part).Identity())
	assert.NotEqual(t, want, openSource(t, other).Identity())
}

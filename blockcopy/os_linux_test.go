package blockcopy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rehost/rehost/internal/lab"
)

// data lists the ranges that may hold data.
func data(t *testing.T, e Extents) []Range {
	t.Helper()
	var all []Range
	for off := int64(0); ; {
		start, end, err := e.NextData(off)
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		require.Greater(t, end, start)
		all = append(all, Range{start, end - start})
		off = end
	}
}

func TestHolesOfAFileAreFoundAndMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk0.img")
	const size = 8*blockSize + 100
	f := openTarget(t, path, size)
	assert.Empty(t, data(t, f), "a new file is one hole")
	for _, block := range []int64{1, 2, 3, 8} {
		_, err := f.WriteAt(pattern(blockSize)[:min(blockSize, size-block*blockSize)], block*blockSize)
		require.NoError(t, err)
	}
	want := []Range{{blockSize, 3 * blockSize}, {8 * blockSize, 100}}
	assert.Equal(t, want, data(t, f))
	assert.Equal(t, want, data(t, openSource(t, path)))

	before := blocks(t, path)
	require.NoError(t, f.Zero(2*blockSize, blockSize))
	require.NoError(t, f.Sync())
	assert.Equal(t, []Range{{blockSize, blockSize}, {3 * blockSize, blockSize}, {8 * blockSize, 100}}, data(t, f))
	assert.Less(t, blocks(t, path), before)

	p := pattern(blockSize)
	n, err := f.ReadCold(p, 2*blockSize)
	require.NoError(t, err)
	assert.Equal(t, make([]byte, n), p, "a hole")
	n, err = f.ReadCold(p, 8*blockSize)
	assert.Equal(t, io.EOF, err)
	assert.Equal(t, pattern(100), p[:n])
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return st.Blocks
}

func TestTmpfsHasNoDiskToRead(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "blockcopy-test-")
	if err != nil {
		t.Skip("/dev/shm is not there")
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := openTarget(t, filepath.Join(dir, "disk0.img"), blockSize)
	_, err = f.ReadCold(make([]byte, blockSize), 0)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	require.NoError(t, f.Zero(0, blockSize))
}

func TestAMistypedDeviceIsNotMade(t *testing.T) {
	needRoot(t)
	const path = "/dev/no-such-disk"
	_, err := OpenTarget(path, blockSize)
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = os.Stat(path)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A write past the limit would end the program with SIGXFSZ.
func TestATargetLargerThanTheLimit(t *testing.T) {
	const child = "BLOCKCOPY_TEST_LIMIT"
	path := filepath.Join(os.Getenv(child), "disk0.img")
	if os.Getenv(child) != "" {
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
		_, err := OpenTarget(path, 1<<20+1)
		assert.ErrorIs(t, err, unix.EFBIG)
		_, err = os.Stat(path)
		assert.ErrorIs(t, err, os.ErrNotExist)
		_, err = openTarget(t, path, 1<<20).WriteAt(make([]byte, 1<<20), 0)
		assert.NoError(t, err)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestATargetLargerThanTheLimit$")
	cmd.Env = append(os.Environ(), child+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// Writes are counted from outside: no single one may reach 1 MiB, old content is
// never thrown away by a truncation to nothing, and Sync is fdatasync.
func TestTheSystemCallsOfATarget(t *testing.T) {
	const child = "BLOCKCOPY_TEST_TARGET"
	if path := os.Getenv(child); path != "" {
		f := openTarget(t, path, 5<<20)
		_, err := f.WriteAt(bytes.Repeat([]byte{1}, 5<<20), 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		return
	}
	lab.Need(t, "strace")
	path := newFile(t, pattern(3<<20))
	log := path + ".strace"
	// With -ff each thread has a file of its own, and no call is cut in two by another's.
	cmd := exec.CommandContext(t.Context(), "strace", "-ff", "-o", log, "-e", "trace=pwrite64,ftruncate,truncate,fdatasync,openat", os.Args[0], "-test.run=^TestTheSystemCallsOfATarget$")
	cmd.Env = append(os.Environ(), child+"="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	logs, err := filepath.Glob(log + ".*")
	require.NoError(t, err)
	var text []byte
	for _, log := range logs {
		thread, err := os.ReadFile(log)
		require.NoError(t, err)
		text = append(text, thread...)
	}
	writes := 0
	for _, m := range regexp.MustCompile(`pwrite64.* = (\d+)\n`).FindAllSubmatch(text, -1) {
		n, err := strconv.Atoi(string(m[1]))
		require.NoError(t, err)
		assert.Less(t, n, 1<<20)
		writes += n
	}
	assert.Equal(t, 5<<20, writes)
	assert.Regexp(t, `ftruncate\(\d+, 5242880\) += 0`, string(text))
	assert.NotRegexp(t, `truncate\([^)]*, 0\)|disk0.img".*O_TRUNC`, string(text))
	assert.Contains(t, string(text), "fdatasync(")
}

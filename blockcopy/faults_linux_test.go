package blockcopy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"lukechampine.com/blake3"

	"github.com/rehost/rehost/internal/lab"
)

// TestMain makes the test binary a program that copies, for strace(1) to hurt. What root
// mounts is mounted in a namespace of these tests alone: a process that takes the mounts of
// the host along into a namespace of its own would keep their devices busy. Others mount
// nothing, and stay who they are.
func TestMain(m *testing.M) {
	if os.Getenv("BLOCKCOPY_CHILD") == "" {
		if os.Geteuid() == 0 {
			lab.Isolate()
		}
		os.Exit(m.Run())
	}
	if err := copyFiles(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// copyFiles copies the file src of the working folder to dst, with checkpoints after each
// block.
func copyFiles(ctx context.Context) error {
	src, err := OpenSource("src")
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := OpenTarget("dst", src.Size())
	if err != nil {
		return err
	}
	defer dst.Close()
	_, err = Copy(ctx, dst, src, &Options{Journal: "journal", unsynced: 1})
	return err
}

// childCopy runs copyFiles in a process of its own, behind a command.
func childCopy(t *testing.T, dir string, command ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	argv := append(command, self)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "BLOCKCOPY_CHILD=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestFaultsOfTheSystem injects errors into the system calls of a copy, and kills it, at the
// first such call of a thread, at the second and so on. Whatever is left, State is Complete
// only if the target is right, and the copy that is let through ends with the right target.
func TestFaultsOfTheSystem(t *testing.T) {
	lab.Need(t, "strace")
	src := image(1, 9*blockSize+321)
	for _, c := range []struct {
		calls, what string
		upTo        int
	}{
		{"pwrite64", "error=EIO", 12},
		{"pwrite64", "error=ENOSPC", 12},
		{"pwrite64", "retval=1000", 12}, // nothing is written, and the system says that 1000 bytes were
		{"pread64", "error=EIO", 12},
		{"fdatasync", "error=EIO", 6},
		{"fdatasync", "error=ENOSPC", 3},
		{"fsync", "error=EIO", 6},
		{"pwrite64", "signal=KILL", 12},
		{"pread64", "signal=KILL", 6},
		{"fdatasync", "signal=KILL", 6},
		{"fsync", "signal=KILL", 6},
		{"linkat,unlinkat,ftruncate,flock", "signal=KILL", 3},
	} {
		t.Run(c.calls+" "+c.what, func(t *testing.T) {
			hurt := 0
			for n := 1; n <= c.upTo; n++ {
				dir := t.TempDir()
				require.NoError(t, os.WriteFile(filepath.Join(dir, "src"), src, 0o600))
				_, err := childCopy(t, dir, "strace", "-f", "-qq", "-o", "/dev/null",
					"-e", "trace="+c.calls, "-e", fmt.Sprintf("inject=%s:%s:when=%d", c.calls, c.what, n))
				if err != nil {
					hurt++
				}
				state, stateErr := ReadState(filepath.Join(dir, "journal"))
				dst, _ := os.ReadFile(filepath.Join(dir, "dst"))
				if err == nil || stateErr == nil && state.State == Complete {
					require.Equal(t, blake3.Sum256(src), blake3.Sum256(dst))
				}
				out, err := childCopy(t, dir)
				if errors.As(stateErr, new(*JournalError)) { // its header is what was not written
					require.Contains(t, out, "its headers are damaged")
					require.NoError(t, os.Remove(filepath.Join(dir, "journal")))
					out, err = childCopy(t, dir)
				}
				require.NoError(t, err, "%s", out)
				dst, err = os.ReadFile(filepath.Join(dir, "dst"))
				require.NoError(t, err)
				require.Equal(t, blake3.Sum256(src), blake3.Sum256(dst))
			}
			t.Logf("%d of %d runs were hurt", hurt, c.upTo)
			assert.NotZero(t, hurt)
		})
	}
}

// TestAFullFilesystem is trap 8 on a real one.
func TestACopyFillsTheFilesystem(t *testing.T) {
	needRoot(t)
	dir, src := t.TempDir(), image(1, 6<<20)
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=12m"))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, 0)) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "src"), src, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 3<<20), 0o600))
	t.Chdir(dir)
	err := copyFiles(t.Context())
	require.ErrorIs(t, err, syscall.ENOSPC)
	var where *IOError
	require.ErrorAs(t, err, &where)
	assert.Equal(t, "write", where.Op)
	state, err := ReadState("journal")
	require.NoError(t, err)
	assert.Equal(t, Incomplete, state.State)
	require.NoError(t, os.Remove("ballast"))
	require.NoError(t, copyFiles(t.Context()))
	dst, err := os.ReadFile("dst")
	require.NoError(t, err)
	assert.Equal(t, blake3.Sum256(src), blake3.Sum256(dst))
}

// TestAFileSizeLimit: what ulimit(1) allows ends before the image does.
func TestAFileSizeLimit(t *testing.T) {
	lab.Need(t, "sh")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "src"), image(1, 4<<20), 0o600))
	out, err := childCopy(t, dir, "sh", "-c", `ulimit -f 2048; exec "$0"`)
	require.Error(t, err)
	assert.Contains(t, out, syscall.EFBIG.Error())
	_, err = ReadState(filepath.Join(dir, "journal"))
	assert.ErrorIs(t, err, os.ErrNotExist, "nothing has begun")
}

// TestADiskThatEndsEarly reads a loop device whose file was cut short: the system says EIO,
// as for a dying disk.
func TestADiskThatEndsEarly(t *testing.T) {
	file := newFile(t, image(1, 4<<20))
	src := openSource(t, loopOver(t, file))
	require.NoError(t, os.Truncate(file, 2<<20))
	dst := openTarget(t, newFile(t, image(2, 4<<20)), 4<<20)
	journal := filepath.Join(t.TempDir(), "journal")
	r, err := Copy(t.Context(), dst, src, &Options{Journal: journal, SkipBad: true})
	require.ErrorIs(t, err, syscall.EIO)
	assert.Equal(t, []Range{{2 << 20, 2 << 20}}, r.Bad)
	assert.Equal(t, Incomplete, r.State)
	state, err := ReadState(journal)
	require.NoError(t, err)
	assert.Equal(t, int64(2<<20), state.Durable)
}

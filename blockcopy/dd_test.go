package blockcopy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"

	"github.com/rehost/rehost/internal/lab"
)

var _ interface {
	Source
	RangeReader
	Identifier
	Checker
} = (*DD)(nil)

// imageFile makes a file of random bytes.
func imageFile(t *testing.T, size int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(content)
	path = filepath.Join(t.TempDir(), "disk0.img")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path, content
}

// program makes a shell script that stands for a program of the far side.
func program(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	return path
}

const oddSize = 3<<20 + 12345

func TestDDReadsWhatTheSourceHolds(t *testing.T) {
	lab.Need(t, "dd", "stat", "b3sum", "sha256sum")
	path, content := imageFile(t, oddSize)
	for name, argv := range map[string][]string{
		"here":     nil,
		"over ssh": lab.StartSSHD(t, lab.SSHD{}),
	} {
		t.Run(name, func(t *testing.T) { readAsDD(t, path, content, argv) })
	}
}

func TestDDReadsADevice(t *testing.T) {
	lab.Need(t, "dd", "blockdev", "losetup", "b3sum", "sha256sum")
	if os.Geteuid() != 0 {
		if os.Getenv("REHOST_REAL") == "require" {
			t.Fatal("a loop device needs root")
		}
		t.Skip("a loop device needs root")
	}
	path, content := imageFile(t, 3<<20+512)
	out, err := exec.Command("losetup", "--find", "--show", path).Output()
	require.NoError(t, err)
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { assert.NoError(t, exec.Command("losetup", "--detach", device).Run()) })
	readAsDD(t, device, content, nil)
	readAsDD(t, device, content, lab.StartSSHD(t, lab.SSHD{}))
}

func readAsDD(t *testing.T, path string, content []byte, argv []string) {
	t.Helper()
	d, err := NewDD(t.Context(), path, argv...)
	require.NoError(t, err)
	size := int64(len(content))
	assert.Equal(t, size, d.Size())
	assert.Equal(t, strings.Join(append(append([]string{"dd"}, argv...), path, strconv.FormatInt(size, 10)), " "), d.Identity())

	tail := size - size%blockSize
	var readers sync.WaitGroup
	for _, r := range []Range{
		{0, size}, {0, blockSize}, {2 * blockSize, 3 * blockSize}, {tail, size - tail}, {blockSize, size - blockSize},
		{grainSize, grainSize}, {blockSize - 1, 2}, {size - 1, 1}, {7, 0}, {size, 0},
	} {
		readers.Go(func() {
			from, err := d.ReadRange(t.Context(), r.Offset, r.Length)
			if !assert.NoError(t, err, "%v", r) {
				return
			}
			got, err := io.ReadAll(from)
			assert.NoError(t, err, "%v", r)
			assert.True(t, bytes.Equal(content[r.Offset:r.Offset+r.Length], got), "%v", r)
			assert.NoError(t, from.Close())
		})
	}
	readers.Wait()

	for _, row := range []struct {
		off  int64
		n    int
		want int64
		err  error
	}{{5, 1000, 1000, nil}, {size - 10, 10, 10, nil}, {size - 10, 11, 10, io.EOF}, {size, 1, 0, io.EOF}, {size + 1, 1, 0, io.EOF}} {
		got := make([]byte, row.n)
		n, err := d.ReadAt(got, row.off)
		assert.Equal(t, row.err, err)
		assert.Equal(t, row.want, int64(n))
		assert.True(t, n == 0 || bytes.Equal(content[row.off:row.off+int64(n)], got[:n]))
	}

	sum, err := d.Sum(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Digest(blake3.Sum256(content)), sum)
	sha, err := d.SHA256(t.Context())
	require.NoError(t, err)
	want := sha256.Sum256(content)
	assert.Equal(t, want[:], sha)
}

func TestDDRefusesPathsThatAShellMayRead(t *testing.T) {
	for _, path := range []string{
		"", "-", "--help", "~/disk", "%1", "=ls", "@x", ":x", "/dev/a b", "/dev/a;reboot", "$(reboot)", "`reboot`", "/dev/sd*", "/dev/sd?", "/dev/[a]",
		"/dev/{a,b}", "a\nb", "a\x00b", "a'b", `a"b`, `a\b`, "a|b", "a&b", "a<b", "a>b", "a#b", "a!b", "a^b", "a(b", "/dev/plätte", "a\xff",
	} {
		_, err := NewDD(t.Context(), path)
		var wrong *ValueError
		if assert.ErrorAs(t, err, &wrong, "%q", path) {
			assert.Contains(t, wrong.Reason, "symbolic link")
		}
	}
	for _, path := range []string{"/dev/vms/senate", "disk0.img", "/dev/disk/by-id/wwn-0x5:1,a@b+c%d=e_f", "_a", "9"} {
		assert.True(t, harmless(path), "%q", path)
	}
}

func TestTheSizeIsThatOfWhoeverKnowsIt(t *testing.T) {
	for _, row := range []struct {
		name string
		far  map[string]string // the only programs of the far side
		want int64
	}{
		{"a device of Linux", map[string]string{"blockdev": "echo 4096"}, 4096},
		{"a file of Linux", map[string]string{"blockdev": "exit 1", "stat": "echo 81a4:12345"}, 12345},
		{"an empty file of Linux", map[string]string{"stat": "echo 81a4:0"}, 0},
		{"a file of NetBSD", map[string]string{"stat": "case $2 in -f*) echo 100644:12345;; *) exit 1; esac"}, 12345},
		{"a device of FreeBSD", map[string]string{
			"stat":     "case $2 in -f*) echo 20640:0;; *) exit 1; esac",
			"diskinfo": "printf '%s\\t512\\t1000204886016\\t1953525168\\t0\\t0\\n' $1",
		}, 1000204886016},
		{"a device without blockdev and diskinfo", map[string]string{"stat": "case $2 in -c*) echo 61b0:0;; *) exit 1; esac"}, -1},
		{"nothing", nil, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			bin := t.TempDir()
			for name, script := range row.far {
				program(t, bin, name, script)
			}
			d, err := NewDD(t.Context(), "/dev/vms/senate", "env", "PATH="+bin)
			if row.want >= 0 {
				require.NoError(t, err)
				assert.Equal(t, row.want, d.Size())
				return
			}
			for _, tried := range []string{"blockdev --getsize64 /dev/vms/senate", "stat -L -c%f:%s", "stat -L -f%p:%z", "diskinfo /dev/vms/senate"} {
				assert.ErrorContains(t, err, tried)
			}
			var failed *CommandError
			assert.ErrorAs(t, err, &failed)
		})
	}
}

func TestAHostThatCannotBeReachedIsAskedOnce(t *testing.T) {
	lab.Need(t, "ssh")
	_, err := NewDD(t.Context(), "/dev/vms/senate", "ssh", "-F", "none", "-o", "BatchMode=yes", "-p", strconv.Itoa(int(lab.FreeAddr(t).Port())), "127.0.0.1")
	assert.ErrorContains(t, err, "Connection refused")
	assert.NotContains(t, err.Error(), "diskinfo")
}

func TestSudoThatMustAskIsAnError(t *testing.T) {
	path, _ := imageFile(t, oddSize)
	sudo := program(t, t.TempDir(), "sudo", `case $1 in dd) echo "sudo: a password is required" >&2; exit 1; esac; exec "$@"`)
	d, err := NewDD(t.Context(), path, sudo)
	require.NoError(t, err)
	_, err = d.ReadAt(make([]byte, 10), 0)
	assert.ErrorContains(t, err, "sudo: a password is required")
	var failed *CommandError
	assert.ErrorAs(t, err, &failed)
}

// A reader that has its bytes, such as io.ReadFull, does not look at an error that
// comes with the last one.
func TestTheStatusOfDDAndTheBytesMustBothBeRight(t *testing.T) {
	path, content := imageFile(t, oddSize)
	for _, row := range []struct {
		name, script string
		off          int64 // of the first byte that is missing
		want         error
	}{
		{"all bytes, and a failure", `"$@"; echo "Input/output error" >&2; exit 1`, oddSize - 1, nil},
		{"bytes are missing, and no failure", `"$@" | head -c 1000000; exit 0`, 1000000, io.ErrUnexpectedEOF},
		{"nothing", `exit 0`, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			far := program(t, t.TempDir(), "far", `case $1 in dd) ;; *) exec "$@"; esac; `+row.script)
			d, err := NewDD(t.Context(), path, far)
			require.NoError(t, err)
			r, err := d.ReadRange(t.Context(), 0, d.Size())
			require.NoError(t, err)
			defer r.Close()
			got := make([]byte, oddSize)
			n, err := io.ReadFull(r, got)
			assert.Error(t, err)
			assert.Equal(t, row.off, int64(n))
			assert.True(t, bytes.Equal(content[:n], got[:n]))
			_, err = r.Read(got)
			var wrong *IOError
			require.ErrorAs(t, err, &wrong)
			assert.Equal(t, row.off, wrong.Offset)
			assert.Equal(t, oddSize-row.off, wrong.Length)
			if row.want != nil {
				assert.ErrorIs(t, err, row.want)
			} else {
				var failed *CommandError
				require.ErrorAs(t, err, &failed)
				assert.Contains(t, failed.Stderr, "Input/output error")
			}
		})
	}
}

// A line that the far shell prints ahead of the bytes would move them all.
func TestMoreBytesThanThereAre(t *testing.T) {
	path, content := imageFile(t, oddSize)
	far := program(t, t.TempDir(), "far", `case $1 in dd) echo Welcome; esac; exec "$@"`)
	d, err := NewDD(t.Context(), path, far)
	require.NoError(t, err)
	for _, r := range []Range{{0, oddSize}, {blockSize, grainSize}} {
		from, err := d.ReadRange(t.Context(), r.Offset, r.Length)
		require.NoError(t, err)
		got, err := io.ReadAll(from)
		assert.ErrorIs(t, err, ErrChanged)
		assert.Less(t, int64(len(got)), r.Length)
		require.NoError(t, from.Close())
	}
	d, err = NewDD(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(content, 1), 0o600))
	_, err = d.ReadAt(make([]byte, 1), oddSize-1)
	assert.ErrorIs(t, err, ErrChanged, "it has grown")
}

func TestAFarFileThatChangesHasAnotherVersion(t *testing.T) {
	lab.Need(t, "stat")
	path, content := imageFile(t, 1000)
	d, err := NewDD(t.Context(), path)
	require.NoError(t, err)
	first, err := d.Version()
	require.NoError(t, err)
	again, err := d.Version()
	require.NoError(t, err)
	assert.Equal(t, first, again)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime().Add(1)))
	later, err := d.Version()
	require.NoError(t, err)
	assert.NotEqual(t, first, later)
	require.NoError(t, os.WriteFile(path, content[:999], 0o600))
	_, err = d.Version()
	assert.ErrorIs(t, err, ErrChanged)

	bin := t.TempDir()
	program(t, bin, "blockdev", "echo 4096")
	d, err = NewDD(t.Context(), "/dev/vms/senate", "env", "PATH="+bin)
	require.NoError(t, err)
	version, err := d.Version()
	require.NoError(t, err)
	assert.Empty(t, version, "of a device it cannot be known")
}

func TestAConnectionOfDDThatIsKilledInTheMiddle(t *testing.T) {
	path, content := imageFile(t, oddSize)
	far := program(t, t.TempDir(), "far", `case $1 in dd) "$@" | head -c 1000000; kill -9 $PPID; esac; exec "$@"`)
	d, err := NewDD(t.Context(), path, append(lab.StartSSHD(t, lab.SSHD{}), "exec", far)...)
	require.NoError(t, err)
	r, err := d.ReadRange(t.Context(), 0, d.Size())
	require.NoError(t, err)
	defer r.Close()
	got, err := io.ReadAll(r)
	assert.True(t, bytes.Equal(content[:len(got)], got))
	var wrong *IOError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, int64(len(got)), wrong.Offset)
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 255, exit.ExitCode(), "the pipe's end does not hide ssh's status")
}

func TestReadingWithDDEndsWithItsContext(t *testing.T) {
	path, _ := imageFile(t, oddSize)
	far := program(t, t.TempDir(), "far", `case $1 in dd) exec sleep 60; esac; exec "$@"`)
	d, err := NewDD(t.Context(), path, far)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := d.ReadRange(ctx, 0, d.Size())
	require.NoError(t, err)
	go cancel()
	_, err = r.Read(make([]byte, 1))
	assert.ErrorIs(t, err, context.Canceled)
	assert.NoError(t, r.Close())

	r, err = d.ReadRange(t.Context(), 0, d.Size())
	require.NoError(t, err)
	assert.NoError(t, r.Close(), "which ends dd")

	_, err = NewDD(ctx, path, far)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestDigestsOfAFarSide(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "stat", "echo 81a4:0")
	d, err := NewDD(t.Context(), "/disk0.img", "env", "PATH="+dir)
	require.NoError(t, err)
	_, err = d.Sum(t.Context())
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = d.SHA256(t.Context())
	assert.ErrorIs(t, err, errors.ErrUnsupported)

	empty := sha256.Sum256(nil)
	const other = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	program(t, dir, "sha256", "case $2 in /dev/null) echo "+Digest(empty).String()+";; *) echo "+other+"; esac")
	sum, err := d.SHA256(t.Context())
	require.NoError(t, err)
	assert.Equal(t, other, Digest(sum).String(), "as the BSDs print it")
}

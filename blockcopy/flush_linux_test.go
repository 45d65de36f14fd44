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
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(thin, 0)) })
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

package blockcopy

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newFile makes a file in a folder of the test's own.
func newFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk0.img")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16) | 1
	}
	return p
}

func openSource(t *testing.T, path string) *SourceFile {
	t.Helper()
	f, err := OpenSource(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func openTarget(t *testing.T, path string, size int64) *TargetFile {
	t.Helper()
	f, err := OpenTarget(path, size)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOnlyFilesAndDisksAreOpened(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	for path, want := range map[string]string{dir: "a directory", pipe: "a pipe"} {
		_, err := OpenSource(path)
		var refused *ValueError
		require.ErrorAs(t, err, &refused, path)
		assert.Contains(t, refused.Reason, want)
		_, err = OpenTarget(path, 1)
		require.ErrorAs(t, err, &refused, path)
	}
	for _, path := range []string{"/dev/null", "/dev/tty"} {
		_, err := OpenSource(path)
		assert.Error(t, err, path)
	}
	_, err := OpenSource(filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestASourceIsReadThroughItsLinks(t *testing.T) {
	content := pattern(3*blockSize + 77)
	path := newFile(t, content)
	link := path + ".link"
	require.NoError(t, os.Symlink(path, link))
	f := openSource(t, link)
	assert.Equal(t, int64(len(content)), f.Size())
	assert.Equal(t, link, f.Path())

	got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	require.NoError(t, err)
	assert.Equal(t, content, got)
	p := make([]byte, 100)
	n, err := f.ReadAt(p, f.Size()-50)
	assert.Equal(t, io.EOF, err)
	assert.Equal(t, content[len(content)-50:], p[:n])

	require.NoError(t, f.Close())
	assert.ErrorIs(t, f.Close(), os.ErrClosed)
}

func TestAnEmptySource(t *testing.T) {
	f := openSource(t, newFile(t, nil))
	assert.Zero(t, f.Size())
	_, _, err := f.NextData(0)
	assert.Equal(t, io.EOF, err)
}

func TestASourceThatChangesHasAnotherVersion(t *testing.T) {
	path := newFile(t, pattern(100))
	f := openSource(t, path)
	first, err := f.Version()
	require.NoError(t, err)
	again, err := f.Version()
	require.NoError(t, err)
	assert.Equal(t, first, again)

	// A time alone, as after a write of the same size within the clock's grain.
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime().Add(1)))
	later, err := f.Version()
	require.NoError(t, err)
	assert.NotEqual(t, first, later)
	require.NoError(t, os.Truncate(path, 50))
	_, err = f.Version()
	assert.ErrorIs(t, err, ErrChanged)
}

func TestIdentityIsNotThePath(t *testing.T) {
	path := newFile(t, pattern(100))
	hard, soft := path+".hard", path+".soft"
	require.NoError(t, os.Link(path, hard))
	require.NoError(t, os.Symlink(path, soft))
	want := openSource(t, path).Identity()
	assert.Equal(t, want, openSource(t, hard).Identity())
	assert.Equal(t, want, openSource(t, soft).Identity())
	assert.Equal(t, want, openTarget(t, hard, 4000).Identity(), "the size is no part of it")

	moved := path + ".moved"
	require.NoError(t, os.Rename(path, moved))
	assert.Equal(t, want, openSource(t, moved).Identity())
	require.NoError(t, os.WriteFile(path, pattern(100), 0o600))
	assert.NotEqual(t, want, openSource(t, path).Identity(), "the path has another file")
}

type wrapped struct{ *SourceFile }

type foreign struct{ Source }

func TestTheSameFileAtBothEnds(t *testing.T) {
	path := newFile(t, pattern(100))
	hard, soft := path+".hard", path+".soft"
	require.NoError(t, os.Link(path, hard))
	require.NoError(t, os.Symlink(path, soft))
	other := newFile(t, pattern(100))
	target := openTarget(t, path, 100)
	for _, same := range []string{path, hard, soft} {
		src := openSource(t, same)
		for _, s := range []Source{src, wrapped{src}} {
			err := target.checkSource(s)
			require.ErrorIs(t, err, ErrSameDevice, same)
			assert.Contains(t, err.Error(), path)
			assert.Contains(t, err.Error(), same)
		}
	}
	assert.NoError(t, target.checkSource(openSource(t, other)))
	assert.NoError(t, target.checkSource(foreign{openSource(t, other)}))
}

// Size is that of the moment of OpenSource: a copy of what was cut off, or came since,
// would be a copy of something else.
func TestASourceThatGotAnotherSizeBeforeTheCopy(t *testing.T) {
	for _, size := range []int64{3 * blockSize, blockSize} {
		path := newFile(t, pattern(2*blockSize))
		src := openSource(t, path)
		require.NoError(t, os.Truncate(path, size))
		dst := openTarget(t, filepath.Join(t.TempDir(), "disk0.img"), -1)
		r, err := Copy(t.Context(), dst, src, nil)
		assert.ErrorIs(t, err, ErrChanged)
		assert.Equal(t, Incomplete, r.State)
	}
}

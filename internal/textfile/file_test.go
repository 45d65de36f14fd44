package textfile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/textfile"
)

// write makes a file with a mode that the umask does not change.
func write(t *testing.T, path, text string, mode fs.FileMode) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// needRoot skips a test that gives files away.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("REHOST_REAL") == "require" {
		t.Fatal("must run as root")
	}
	t.Skip("root: only root can give files away")
}

// names lists a directory, so that a forgotten temporary file fails a test.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func open(t *testing.T, path string) *textfile.File {
	t.Helper()
	f, err := textfile.Open(path)
	require.NoError(t, err)
	return f
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "rc.conf"), "a=1\r\nb=2", 0o644)
	f := open(t, path)
	assert.Equal(t, path, f.Name())
	assert.Equal(t, "a=1\r\nb=2", string(f.Original()))

	_, err := textfile.Open(filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = textfile.Open(dir)
	assert.ErrorContains(t, err, "not a regular file")
}

func TestOpenRefusesAPipeAndDoesNotWaitForIt(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := textfile.Open(pipe)
	assert.ErrorContains(t, err, "not a regular file")
}

func TestSaveReplacesTheFileAndLeavesNothingBeside(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "rc.conf"), "old\n", 0o640)
	f := open(t, path)
	require.NoError(t, f.Save(t.Context(), []byte("new\n")))
	assert.Equal(t, "new\n", read(t, path))
	assert.Equal(t, []string{"rc.conf"}, names(t, dir))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode())

	require.NoError(t, f.Save(t.Context(), []byte("newer\n")), "what was saved is what is known to be there")
	assert.Equal(t, "newer\n", read(t, path))
}

func TestSaveOfTheSameTextTouchesNothing(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "rc.conf"), "old\n", 0o644)
	f := open(t, path)
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, f.Save(t.Context(), []byte("old\n")))
	after, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after))
}

func TestSaveKeepsOwnerModeAndSetIDBits(t *testing.T) {
	needRoot(t)
	path := write(t, filepath.Join(t.TempDir(), "f"), "old\n", 0o640)
	require.NoError(t, os.Chown(path, 12, 34))
	require.NoError(t, os.Chmod(path, 0o640|fs.ModeSetgid))
	require.NoError(t, open(t, path).Save(t.Context(), []byte("new\n")))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, 0o640|fs.ModeSetgid, info.Mode())
	stat := info.Sys().(*syscall.Stat_t)
	assert.Equal(t, []uint32{12, 34}, []uint32{stat.Uid, stat.Gid})
}

func TestSaveFollowsSymbolicLinks(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o755))
	target := write(t, filepath.Join(dir, "real", "f"), "old\n", 0o644)
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("real/f", link))
	require.NoError(t, open(t, link).Save(t.Context(), []byte("new\n")))
	assert.Equal(t, "new\n", read(t, target))
	to, err := os.Readlink(link)
	require.NoError(t, err)
	assert.Equal(t, "real/f", to)
}

func TestSaveRefusesWhatChangedOnDisk(t *testing.T) {
	tests := map[string]func(t *testing.T, path string){
		"another text":                     func(t *testing.T, path string) { write(t, path, "theirs\n", 0o644) },
		"another text of the same length":  func(t *testing.T, path string) { write(t, path, "odl\n", 0o644) },
		"a longer text":                    func(t *testing.T, path string) { write(t, path, "old\nmore\n", 0o644) },
		"a shorter text":                   func(t *testing.T, path string) { write(t, path, "ol", 0o644) },
		"the same length and time stamp":   sameTimeOtherText,
		"removed":                          func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"replaced by a link to other text": linkToOther,
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := write(t, filepath.Join(dir, "f"), "old\n", 0o644)
			f := open(t, path)
			change(t, path)
			want := names(t, dir)
			err := f.Save(t.Context(), []byte("ours\n"))
			assert.ErrorIs(t, err, textfile.ErrStale)
			assert.ErrorContains(t, err, path)
			assert.Equal(t, want, names(t, dir), "nothing left behind")
		})
	}
	t.Run("rewritten with the same text is not stale", func(t *testing.T) {
		path := write(t, filepath.Join(t.TempDir(), "f"), "old\n", 0o644)
		f := open(t, path)
		require.NoError(t, os.Remove(path))
		write(t, path, "old\n", 0o600)
		require.NoError(t, f.Save(t.Context(), []byte("new\n")))
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode(), "and the mode it has now is kept")
	})
}

func sameTimeOtherText(t *testing.T, path string) {
	info, err := os.Stat(path)
	require.NoError(t, err)
	write(t, path, "odl\n", 0o644)
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func linkToOther(t *testing.T, path string) {
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink(write(t, path+"2", "theirs\n", 0o644), path))
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new.conf")
	f, err := textfile.Create(path, 0o664)
	require.NoError(t, err)
	assert.Equal(t, "--- /dev/null\n+++ "+path+"\n@@ -0,0 +1,1 @@\n+a\n", f.Changes([]byte("a\n")))
	require.NoError(t, f.Save(t.Context(), []byte("a\n")))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o664), info.Mode(), "whatever the umask")
	require.NoError(t, f.Save(t.Context(), []byte("b\n")), "from now on it is a file like any other")
	assert.Equal(t, "b\n", read(t, path))
	assert.Equal(t, []string{"new.conf"}, names(t, dir))

	_, err = textfile.Create(path, 0o644)
	assert.ErrorIs(t, err, fs.ErrExist)
	_, err = textfile.Create(filepath.Join(path, "below"), 0o644)
	assert.ErrorIs(t, err, syscall.ENOTDIR)
}

func TestCreateMakesAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	f, err := textfile.Create(path, 0o644)
	require.NoError(t, err)
	require.NoError(t, f.Save(t.Context(), nil))
	assert.Empty(t, read(t, path))
}

func TestCreateNeverReplacesWhatAppeared(t *testing.T) {
	tests := map[string]func(t *testing.T, path string){
		"a file":          func(t *testing.T, path string) { write(t, path, "theirs\n", 0o644) },
		"a dangling link": func(t *testing.T, path string) { require.NoError(t, os.Symlink("nowhere", path)) },
		"a directory":     func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o755)) },
	}
	for name, appear := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			f, err := textfile.Create(path, 0o644)
			require.NoError(t, err)
			appear(t, path)
			before, err := os.Lstat(path)
			require.NoError(t, err)
			err = f.Save(t.Context(), []byte("ours\n"))
			assert.ErrorIs(t, err, textfile.ErrStale)
			assert.ErrorIs(t, err, fs.ErrExist)
			after, err := os.Lstat(path)
			require.NoError(t, err)
			assert.True(t, os.SameFile(before, after))
			assert.Equal(t, []string{"f"}, names(t, dir))
		})
	}
}

func TestSaveOfSeveralFiles(t *testing.T) {
	two := func(t *testing.T) (string, *textfile.File, *textfile.File) {
		dir := t.TempDir()
		a := write(t, filepath.Join(dir, "a"), "a1\n", 0o644)
		b := write(t, filepath.Join(dir, "b"), "b1\n", 0o644)
		return dir, open(t, a), open(t, b)
	}
	t.Run("all", func(t *testing.T) {
		dir, a, b := two(t)
		require.NoError(t, textfile.Save(t.Context(), textfile.Edit{a, []byte("a2\n")}, textfile.Edit{b, []byte("b2\n")}))
		assert.Equal(t, "a2\nb2\n", read(t, filepath.Join(dir, "a"))+read(t, filepath.Join(dir, "b")))
	})
	t.Run("none if the last is stale", func(t *testing.T) {
		dir, a, b := two(t)
		write(t, filepath.Join(dir, "b"), "theirs\n", 0o644)
		err := textfile.Save(t.Context(), textfile.Edit{a, []byte("a2\n")}, textfile.Edit{b, []byte("b2\n")})
		assert.ErrorIs(t, err, textfile.ErrStale)
		assert.Equal(t, "a1\ntheirs\n", read(t, filepath.Join(dir, "a"))+read(t, filepath.Join(dir, "b")))
		assert.Equal(t, []string{"a", "b"}, names(t, dir))
	})
	t.Run("none if a created one has appeared", func(t *testing.T) {
		dir, a, _ := two(t)
		c, err := textfile.Create(filepath.Join(dir, "c"), 0o644)
		require.NoError(t, err)
		write(t, filepath.Join(dir, "c"), "theirs\n", 0o644)
		err = textfile.Save(t.Context(), textfile.Edit{a, []byte("a2\n")}, textfile.Edit{c, []byte("c1\n")})
		assert.ErrorIs(t, err, textfile.ErrStale)
		assert.ErrorIs(t, err, fs.ErrExist)
		assert.Equal(t, "a1\ntheirs\n", read(t, filepath.Join(dir, "a"))+read(t, filepath.Join(dir, "c")))
	})
	t.Run("none if one has become a pipe", func(t *testing.T) {
		dir, a, b := two(t)
		require.NoError(t, os.Remove(filepath.Join(dir, "b")))
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "b"), 0o644))
		err := textfile.Save(t.Context(), textfile.Edit{a, []byte("a2\n")}, textfile.Edit{b, []byte("b2\n")})
		assert.ErrorContains(t, err, "not a regular file")
		assert.Equal(t, "a1\n", read(t, filepath.Join(dir, "a")))
	})
	t.Run("none if one has no place", func(t *testing.T) {
		dir, a, _ := two(t)
		err := textfile.Save(t.Context(), textfile.Edit{a, []byte("a2\n")}, textfile.Edit{textfile.Parse("memory", nil), []byte("x")})
		assert.ErrorContains(t, err, "memory: was parsed from bytes")
		assert.Equal(t, "a1\n", read(t, filepath.Join(dir, "a")))
		assert.Equal(t, []string{"a", "b"}, names(t, dir))
	})
	t.Run("none if cancelled", func(t *testing.T) {
		dir, a, b := two(t)
		err := textfile.Save(canceled(t), textfile.Edit{a, []byte("a2\n")}, textfile.Edit{b, []byte("b2\n")})
		assert.ErrorContains(t, err, "context canceled")
		assert.Equal(t, "a1\nb1\n", read(t, filepath.Join(dir, "a"))+read(t, filepath.Join(dir, "b")))
		assert.Equal(t, []string{"a", "b"}, names(t, dir))
	})
}

func TestParse(t *testing.T) {
	data := []byte("one\n")
	f := textfile.Parse("name", data)
	data[0] = 'X'
	assert.Equal(t, "one\n", string(f.Original()), "the caller's slice is not kept")
	assert.Empty(t, f.Changes([]byte("one\n")))
	assert.Equal(t, "--- name\n+++ name\n@@ -1,1 +1,1 @@\n-one\n+two\n", f.Changes([]byte("two\n")))
	assert.NoError(t, f.Save(t.Context(), []byte("one\n")), "nothing to do")
	assert.Error(t, f.Save(t.Context(), []byte("two\n")))
}

func TestChangesShowsAMissingFinalNewline(t *testing.T) {
	f := textfile.Parse("f", []byte("a\nb"))
	assert.Equal(t, "--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n", f.Changes([]byte("a\nb\n")))
}

func TestLines(t *testing.T) {
	for text, want := range map[string][]string{
		"":           {},
		"\n":         {"\n"},
		"a":          {"a"},
		"a\r\nb\n":   {"a\r\n", "b\n"},
		"a\n\nb\x00": {"a\n", "\n", "b\x00"},
	} {
		lines := textfile.Lines([]byte(text))
		assert.Equal(t, want, lines, "%q", text)
		assert.Equal(t, text, string(textfile.Join(lines)))
	}
}

func TestInsert(t *testing.T) {
	tests := []struct {
		name, text string
		at         int
		add        []string
		want       string
	}{
		{"into nothing", "", 0, []string{"x"}, "x\n"},
		{"first", "a\n", 0, []string{"x", "y"}, "x\ny\na\n"},
		{"between", "a\nb\n", 1, []string{"x"}, "a\nx\nb\n"},
		{"after a line without newline", "a\nb", 2, []string{"x"}, "a\nb\nx\n"},
		{"before a line without newline", "a\nb", 1, []string{"x"}, "a\nx\nb"},
		{"nothing, which changes nothing", "a", 1, nil, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := textfile.Insert(textfile.Lines([]byte(tt.text)), tt.at, tt.add...)
			assert.Equal(t, tt.want, string(textfile.Join(got)))
		})
	}
}

func TestProblems(t *testing.T) {
	ps := textfile.Problems{
		{File: "f", Line: 3, Col: 2, Severity: textfile.Error, Message: "third"},
		{File: "f", Line: 1, Severity: textfile.Warning, Message: "first"},
		{File: "f", Severity: textfile.Error, Message: "whole"},
	}
	ps.Sort()
	assert.Equal(t, "f: error: whole\nf:1: warning: first\nf:3:2: error: third\n", ps.String())
	err := ps.Err()
	require.Error(t, err)
	assert.Equal(t, "f: error: whole\nf:3:2: error: third", err.Error())
	p, ok := errors.AsType[textfile.Problem](err)
	assert.True(t, ok)
	assert.Equal(t, "whole", p.Message)
	assert.Equal(t, "f: error: whole", fmt.Sprint(p))
	asJSON, err := json.Marshal(ps[:2])
	require.NoError(t, err)
	assert.JSONEq(t, `[{"file":"f","severity":"error","message":"whole"},{"file":"f","line":1,"severity":"warning","message":"first"}]`, string(asJSON))
	assert.NoError(t, textfile.Problems{ps[1]}.Err())
	assert.NoError(t, textfile.Problems(nil).Err())
}

func TestErrors(t *testing.T) {
	inner := errors.New("unclosed quote")
	err := error(&textfile.ParseError{File: "f", Line: 3, Col: 7, Err: inner})
	assert.EqualError(t, err, "f:3:7: unclosed quote")
	assert.ErrorIs(t, err, inner)
	assert.EqualError(t, &textfile.ParseError{Line: 3, Err: inner}, "3: unclosed quote")
	assert.EqualError(t, &textfile.ParseError{Err: inner}, "unclosed quote")
	assert.EqualError(t, &textfile.ValueError{Field: "cpu", Value: "a\nb", Reason: "holds a newline"}, `cpu: "a\nb": holds a newline`)
}

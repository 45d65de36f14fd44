package bhyve

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("senate.conf", []byte(text))
	require.NoError(t, err)
	return f
}

// readerRows is what vm-bhyve's reader was seen to return, a row per quirk.
var readerRows = []struct {
	name, text, key string
	want            string
	missing         bool
}{
	{name: "plain value", text: "cpu=1\n", key: "cpu", want: "1"},
	{name: "last letter of the alphabet", text: "zfs_zvol_opts=\"a=b c=d\"\n", key: "zfs_zvol_opts", want: "a=b c=d"},
	{name: "double quotes are deleted", text: "loader=\"grub\"\n", key: "loader", want: "grub"},
	{name: "quotes anywhere are deleted", text: "x=a\"b c\"d\"\n", key: "x", want: "ab cd"},
	{name: "quotes in the key are deleted", text: "c\"p\"u=1\n", key: "cpu", want: "1"},
	{name: "comment is cut, spaces before it too", text: "cpu=1 # c\n", key: "cpu", want: "1"},
	{name: "# inside quotes cuts", text: "x=\"a#b\"\n", key: "x", want: "a"},
	{name: "single quotes are kept", text: "x='v'\n", key: "x", want: "'v'"},
	{name: "blank before = makes another key", text: "k = v\n", key: "k", missing: true},
	{name: "blank before = is part of the key", text: "k = v\n", key: "k ", want: " v"},
	{name: "blank before = only", text: "k =v\n", key: "k", missing: true},
	{name: "blank after = is kept", text: "k= v\n", key: "k", want: " v"},
	{name: "indented line is ignored", text: " cpu=1\n\tcpu=2\n", key: "cpu", missing: true},
	{name: "upper case is ignored", text: "UPPER=1\n", key: "UPPER", missing: true},
	{name: "leading underscore is ignored", text: "_x=1\n", key: "_x", missing: true},
	{name: "leading digit is ignored", text: "9x=1\n", key: "9x", missing: true},
	{name: "byte-order mark hides line 1", text: "\ufeffcpu=1\nmemory=1G\n", key: "cpu", missing: true},
	{name: "byte-order mark hides line 1 only", text: "\ufeffcpu=1\nmemory=1G\n", key: "memory", want: "1G"},
	{name: "export is part of the key", text: "export k=v\n", key: "export k", want: "v"},
	{name: "export hides the key", text: "export k=v\n", key: "k", missing: true},
	{name: "semicolon does not separate", text: "a=1; b=2\n", key: "a", want: "1; b=2"},
	{name: "no second assignment in a line", text: "a=1; b=2\n", key: "b", missing: true},
	{name: "line without = is its own value", text: "noeq\n", key: "noeq", want: "noeq"},
	{name: "+= makes another key", text: "plus+=\"x\"\n", key: "plus+", want: "x"},
	{name: "+= is not understood", text: "plus+=\"x\"\n", key: "plus", missing: true},
	{name: "trailing blank in quotes is kept", text: "x=\"x \"\n", key: "x", want: "x "},
	{name: "tab after the quotes is kept", text: "x=\"x\"\t\n", key: "x", want: "x\t"},
	{name: "tab before a comment is kept", text: "x=\"x\"\t# c\n", key: "x", want: "x\t"},
	{name: "CRLF leaves a carriage return", text: "x=\"no\"\r\n", key: "x", want: "no\r"},
	{name: "CR inside a comment does no harm", text: "x=no # c\r\n", key: "x", want: "no"},
	{name: "no final newline is fine", text: "cpu=1\nx=2", key: "x", want: "2"},
	{name: "first match wins", text: "x=1\nx=2\n", key: "x", want: "1"},
	{name: "second = is part of the value", text: "x=a=b\n", key: "x", want: "a=b"},
	{name: "no escapes", text: `x=a\nb` + "\n", key: "x", want: `a\nb`},
	{name: "empty value", text: "x=\"\"\n", key: "x", want: ""},
	{name: "commented out", text: "#x=1\n", key: "x", missing: true},
}

func TestGetIsWhatVMBhyveReads(t *testing.T) {
	for _, row := range readerRows {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, row.text)
			value, ok := f.Get(row.key)
			assert.Equal(t, row.want, value)
			assert.Equal(t, !row.missing, ok)
			assert.Equal(t, row.text, string(f.Bytes()))
			all := maps.Collect(f.All())
			assert.Equal(t, row.want, all[row.key])
		})
	}
}

func TestAllYieldsWhatCountsInFileOrder(t *testing.T) {
	f := parse(t, "memory=1G\n cpu=9\ncpu=1 # c\nmemory=2G\nk = v\nnoeq\n")
	var got []string
	for k, v := range f.All() {
		got = append(got, k+"|"+v)
	}
	assert.Equal(t, []string{"memory|1G", "cpu|1", "k | v", "noeq|noeq"}, got)
	for range f.All() {
		break // must not go on
	}
}

func TestNULIsAParseError(t *testing.T) {
	_, err := Parse("senate.conf", []byte("cpu=1\nx=a\x00b\n"))
	var parseErr *ParseError
	require.ErrorAs(t, err, &parseErr)
	assert.EqualError(t, err, "senate.conf:2:4: a NUL byte makes vm-bhyve ignore the whole file")
}

func TestSet(t *testing.T) {
	for _, row := range []struct{ name, text, key, value, want string }{
		{"bare stays bare", "cpu=1\n", "cpu", "2", "cpu=2\n"},
		{"quotes stay", "cpu=\"1\"\n", "cpu", "2", "cpu=\"2\"\n"},
		{"comment and its blanks stay", "cpu=1\t  # \"one\" #\n", "cpu", "2", "cpu=2  # \"one\" #\n"},
		{"tab before the comment becomes a space", "cpu=1\t\t# one\n", "cpu", "2", "cpu=2 # one\n"},
		{"quotes are added for what a shell would split", "cpu=1 # c\n", "cpu", "1 2", "cpu=\"1 2\" # c\n"},
		{"unclosed quote is closed", "x=\"a\n", "x", "b", "x=\"b\"\n"},
		{"single quotes become double", "x='a' # c\n", "x", "b", "x=\"b\" # c\n"},
		{"value with single quotes", "x=a\n", "x", "set 'b'", "x=\"set 'b'\"\n"},
		{"empty value", "x=a\n", "x", "", "x=\n"},
		{"empty to full", "x=\"\" # c\n", "x", "b", "x=\"b\" # c\n"},
		{"leading blank", "x=a\n", "x", " b", "x=\" b\"\n"},
		{"line without = gets one", "noeq # c\n", "noeq", "v", "noeq=v # c\n"},
		{"value cut by # inside quotes", "x=\"a#b\"\n", "x", "c", "x=\"c\" #b\"\n"},
		{"comment that a shell takes for the value", "x=a# c\n", "x", "b", "x=b # c\n"},
		{"quotes in the key, which a shell takes for a command", "c\"pu\"=1\n", "cpu", "2", "cpu=2\n"},
		{"carriage return in the value goes", "cpu=1\r\nmemory=1G\r\n", "cpu", "2", "cpu=2\nmemory=1G\r\n"},
		{"carriage return in the comment stays", "cpu=1 # c\r\n", "cpu", "2", "cpu=2 # c\r\n"},
		{"the first of two is edited", "cpu=1\ncpu=2\n", "cpu", "3", "cpu=3\ncpu=2\n"},
		{"an indented one is not", " cpu=1\ncpu=2\n", "cpu", "3", " cpu=1\ncpu=3\n"},
		{"last line without newline", "cpu=1", "cpu", "2", "cpu=2\n"},
		{"other lines keep their ends", "cpu=1\nx=1", "cpu", "2", "cpu=2\nx=1"},
		{"new key at the end", "cpu=1\n# the end\n", "uuid", "u", "cpu=1\n# the end\nuuid=\"u\"\n"},
		{"new key after a last line without newline", "cpu=1", "uuid", "u", "cpu=1\nuuid=\"u\"\n"},
		{"new key in a CRLF file", "cpu=1\r\n", "uuid", "u", "cpu=1\r\nuuid=\"u\"\n"},
		{"new key in an empty file", "", "uuid", "u", "uuid=\"u\"\n"},
		{"beside its device", "disk0_name=a\n# d\ndisk1_name=b\ncpu=1\n", "disk0_opts", "ro", "disk0_name=a\ndisk0_opts=\"ro\"\n# d\ndisk1_name=b\ncpu=1\n"},
		{"behind the device before", "disk0_name=a\ndisk2_name=c\n", "disk1_name", "b", "disk0_name=a\ndisk1_name=\"b\"\ndisk2_name=c\n"},
		{"before the device behind", "cpu=1\ndisk1_name=b\ndisk1_type=t\n", "disk0_name", "a", "cpu=1\ndisk0_name=\"a\"\ndisk1_name=b\ndisk1_type=t\n"},
		{"beside its family", "cpu=1\nmemory=1G\n", "cpu_cores", "2", "cpu=1\ncpu_cores=\"2\"\nmemory=1G\n"},
		{"grub commands together", "grub_install0=x\ngrub_run0=a\ncpu=1\n", "grub_run1", "b c", "grub_install0=x\ngrub_run0=a\ngrub_run1=\"b c\"\ncpu=1\n"},
		{"the same value, odd spelling", "c\"pu\"=\" 1\t\" # c\r\n", "cpu", " 1\t", "c\"pu\"=\" 1\t\" # c\r\n"},
		{"the same value, unfit", "x=a$(b)\\\r\n", "x", "a$(b)\\\r", "x=a$(b)\\\r\n"},
		{"the same value, odd key", "k = v\n", "k ", " v", "k = v\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, row.text)
			require.NoError(t, f.Set(row.key, row.value))
			assert.Equal(t, row.want, string(f.Bytes()))
			value, ok := parse(t, row.want).Get(row.key)
			assert.True(t, ok)
			assert.Equal(t, row.value, value)
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for _, row := range []struct{ name, key, value, reason string }{
		{"newline", "x", "a\ncpu=9", "one line"},
		{"carriage return", "x", "a\r", "one line"},
		{"NUL", "x", "a\x00", "one line"},
		{"delete", "x", "\x7f", "one line"},
		{"# which cuts", "x", "a#b", "cuts the value at #"},
		{"double quote which is deleted", "x", `a"b`, "deletes double quotes"},
		{"trailing space", "x", "a ", "blank at the end"},
		{"trailing tab", "x", "a\t", "blank at the end"},
		{"command substitution", "x", "$(reboot)", "shell expand"},
		{"backtick", "x", "`reboot`", "shell expand"},
		{"backslash", "x", `a\`, "shell expand"},
		{"not UTF-8", "x", "\xff", "UTF-8"},
		{"empty key", "", "v", "a key begins"},
		{"upper-case key", "X", "v", "a key begins"},
		{"key with a digit first", "9x", "v", "a key begins"},
		{"key with =", "a=b", "v", "a key begins"},
		{"key with a newline", "a\nb", "v", "a key begins"},
		{"key with a blank", "k ", "v", "a key begins"},
	} {
		t.Run(row.name, func(t *testing.T) {
			const text = "x=1\nk = v"
			f := parse(t, text)
			err := f.Set(row.key, row.value)
			var valueErr *ValueError
			require.ErrorAs(t, err, &valueErr)
			assert.Contains(t, valueErr.Reason, row.reason)
			assert.Equal(t, text, string(f.Bytes()))
		})
	}
}

func TestUnset(t *testing.T) {
	f := parse(t, "# a\nx=1\n x=2\ncpu=1\nx=3 # c")
	assert.True(t, f.Unset("x"))
	assert.Equal(t, "# a\n x=2\ncpu=1\n", string(f.Bytes()))
	_, ok := f.Get("x")
	assert.False(t, ok, "removing the first would have brought the second to life")
	assert.False(t, f.Unset("x"))
}

func TestLifeCycle(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "senate.conf")
	_, err := Open(path)
	require.ErrorIs(t, err, os.ErrNotExist)

	f, err := Create(path)
	require.NoError(t, err)
	require.NoError(t, f.SetGuest(senate()))
	assert.Contains(t, f.Changes(), "--- /dev/null\n+++ "+path)
	require.NoError(t, f.Save(ctx))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o644), info.Mode())
	_, err = Create(path)
	require.ErrorIs(t, err, os.ErrExist)

	again, err := Open(path)
	require.NoError(t, err)
	assert.Equal(t, f.Bytes(), again.Bytes())
	assert.Empty(t, again.Changes())
	require.NoError(t, again.Save(ctx))

	require.NoError(t, again.Set("cpu", "2"))
	assert.Contains(t, again.Changes(), "-cpu=\"1\"\n+cpu=\"2\"\n")
	require.NoError(t, os.WriteFile(path, []byte("cpu=3\n"), 0o644))
	require.ErrorIs(t, again.Save(ctx), ErrStale)

	require.NoError(t, os.WriteFile(path, []byte("cpu=\x00\n"), 0o644))
	_, err = Open(path)
	var parseErr *ParseError
	require.ErrorAs(t, err, &parseErr)

	require.ErrorContains(t, parse(t, "").SetSingleUser(true), "knetbsd")
	bytesOnly, err := New(senate())
	require.NoError(t, err)
	require.ErrorContains(t, bytesOnly.Save(ctx), "no file to save")
}

package textfile_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/internal/textfile"
)

// strace counts system calls by thread: keep the saving program on its first.
func init() {
	if os.Getenv("TEXTFILE_CRASH") != "" {
		runtime.LockOSThread()
	}
}

// TestMain makes the test binary a program that saves, for strace(1) to kill.
func TestMain(m *testing.M) {
	switch os.Getenv("TEXTFILE_CRASH") {
	case "edit":
		f, err := textfile.Open("f")
		check(err)
		g, err := textfile.Open("g")
		check(err)
		check(textfile.Save(context.Background(), textfile.Edit{f, []byte(newText)}, textfile.Edit{g, []byte(newText)}))
	case "create":
		f, err := textfile.Create("f", 0o640)
		check(err)
		check(f.Save(context.Background(), []byte(newText)))
	case "output":
		_, err := textfile.Output{Path: "/f", Mode: 0o640, Data: []byte(newText)}.Save(context.Background(), ".")
		check(err)
	default:
		os.Exit(m.Run())
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var (
	oldText = strings.Repeat("old line\n", 1000)
	newText = strings.Repeat("new line, longer\n", 1000)
)

// strace runs the saving program in dir under strace with the given options.
func strace(t *testing.T, dir, job string, options ...string) (string, error) {
	t.Helper()
	lab.Need(t, "strace")
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "strace", append(options, self)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TEXTFILE_CRASH="+job)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// touching are the system calls with which a save touches files.
var touching = []string{
	"openat", "newfstatat", "readlinkat", "read", "fcntl", "fchown", "fchmod", "write", "fsync", "close",
	"linkat", "unlinkat", "renameat", "mkdirat",
}

// TestACrashAtEverySystemCallLeavesOldOrNew kills the saving program when it
// enters its first openat, its second, and so on until it survives, and the same
// with every other call.
func TestACrashAtEverySystemCallLeavesOldOrNew(t *testing.T) {
	for _, job := range []string{"edit", "create", "output"} {
		t.Run(job, func(t *testing.T) {
			t.Parallel()
			old, new := 0, 0
			for _, call := range touching {
				for n, killed := 1, true; killed; n++ {
					dir := t.TempDir()
					if job != "create" {
						write(t, filepath.Join(dir, "f"), oldText, 0o640)
						write(t, filepath.Join(dir, "g"), oldText, 0o640)
					}
					out, err := strace(t, dir, job, "-f", "-o", "/dev/null", "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n))
					killed = err != nil
					assert.Empty(t, out, "killed, not failed")
					for _, name := range []string{"f", "g"} {
						isNew, err := whichText(filepath.Join(dir, name), job == "create")
						require.NoError(t, err, "%s %d", call, n)
						switch {
						case killed && isNew:
							new++
						case killed:
							old++
						}
					}
				}
			}
			t.Logf("killed with the old text %d times, with the new %d times", old, new)
			assert.Greater(t, old, 20)
			assert.Greater(t, new, 4)
		})
	}
}

// whichText reports whether path holds the new text, and an error if it holds
// anything but that or the old one.
func whichText(path string, oldIsMissing bool) (isNew bool, err error) {
	data, err := os.ReadFile(path)
	if oldIsMissing && os.IsNotExist(err) {
		return false, nil
	}
	if err != nil || string(data) == oldText {
		return false, err
	}
	info, err := os.Stat(path)
	if err == nil && (string(data) != newText || info.Mode() != 0o640) {
		err = fmt.Errorf("%s is neither old nor new: %d bytes, mode %v", path, len(data), info.Mode())
	}
	return true, err
}

// TestWhatIsRenamedIsOnDisk checks the order that a power cut depends on: text
// flushed, renamed, directory flushed.
func TestWhatIsRenamedIsOnDisk(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "f"), oldText, 0o644)
	write(t, filepath.Join(dir, "g"), oldText, 0o644)
	out, err := strace(t, dir, "edit", "-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2")
	require.NoError(t, err, out)
	var order []string
	for _, call := range regexp.MustCompile(`(fsync|rename)[a-z0-9]*\(.*`).FindAllString(out, -1) {
		switch {
		case strings.Contains(call, "/gocoverdir/"): // the test binary's own
		case strings.HasPrefix(call, "rename"):
			order = append(order, "rename "+regexp.MustCompile(`[fg]"`).FindString(call))
		case strings.Contains(call, ".rehost-"):
			order = append(order, "flush text")
		case strings.Contains(call, dir+">"):
			order = append(order, "flush directory")
		}
	}
	assert.Equal(t, []string{
		"flush text", "flush text",
		`rename f"`, "flush directory", `rename g"`, "flush directory",
	}, order, out)
}

// TestAFailedCallLeavesTheOldFileAndNothingBeside injects the errors of a full
// or dying disk.
func TestAFailedCallLeavesTheOldFileAndNothingBeside(t *testing.T) {
	tests := []struct {
		job, inject string
		wantErr     string
		want        []string // files that are there after
		wantNew     []string // those of them with the new text
	}{
		{"edit", "write:error=ENOSPC:when=1", "no space left", []string{"f", "g"}, nil},
		{"edit", "write:error=ENOSPC:when=2", "no space left", []string{"f", "g"}, nil},
		{"edit", "fchmod:error=EPERM", "not permitted", []string{"f", "g"}, nil},
		{"edit", "fsync:error=EIO:when=2", "input/output error", []string{"f", "g"}, nil},
		{"edit", "renameat:error=EIO:when=1", "input/output error", []string{"f", "g"}, nil},
		{"edit", "renameat:error=EIO:when=2", "input/output error", []string{"f", "g"}, []string{"f"}},
		{"edit", "fsync:error=EIO:when=3", "input/output error", []string{"f", "g"}, []string{"f"}},
		{"create", "write:error=ENOSPC:when=1", "no space left", nil, nil},
		{"create", "linkat:error=EPERM", "not permitted", nil, nil},
		{"output", "fsync:error=EIO:when=1", "input/output error", []string{"f", "g"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.job+" "+tt.inject, func(t *testing.T) {
			dir := t.TempDir()
			if tt.job != "create" {
				write(t, filepath.Join(dir, "f"), oldText, 0o640)
				write(t, filepath.Join(dir, "g"), oldText, 0o640)
			}
			out, err := strace(t, dir, tt.job, "-f", "-o", "/dev/null", "-e", "inject="+tt.inject)
			require.Error(t, err)
			assert.Contains(t, out, tt.wantErr)
			assert.Equal(t, tt.want, names(t, dir))
			var isNew []string
			for _, name := range tt.want {
				if read(t, filepath.Join(dir, name)) == newText {
					isNew = append(isNew, name)
				}
			}
			assert.Equal(t, tt.wantNew, isNew)
		})
	}
}

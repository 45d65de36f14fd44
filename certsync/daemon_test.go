package certsync_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/lab"
)

func TestReloadCommand(t *testing.T) {
	lab.Need(t, "sh", "sleep")
	for _, test := range []struct {
		name string
		argv []string
		want string // in the error; "" is none
	}{
		{"success", []string{"sh", "-c", "exit 0"}, ""},
		{"failure", []string{"sh", "-c", "echo the mail system is not running >&2; exit 1"}, "the mail system is not running"},
		{"failure without a word", []string{"sh", "-c", "exit 75"}, "exit status 75"},
		{"output is not kept", []string{"sh", "-c", "echo out; exit 1"}, "exit status 1"},
		{"no such program", []string{"/nonexistent/daemon", "reload"}, "no such file or directory"},
		{"not in PATH", []string{"no-such-daemon"}, "executable file not found"},
		{"no input", []string{"sh", "-c", `test -z "$(cat)"`}, ""},
		{"no shell", []string{"test", "$(id)", "=", "$" + "(id)"}, ""},
		{"one argument with all that a shell would see", []string{"test", "a b;c|d>e'f\"", "!=", "a"}, ""},
		{"what stays in the background", []string{"sh", "-c", "sleep 30 & exit 0"}, ""},
		{"what stays in the background after a failure", []string{"sh", "-c", "sleep 30 & echo no >&2; exit 1"}, "no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := certsync.ReloadCommand(test.argv...)(t.Context())
			if test.want == "" {
				assert.NoError(t, err)
				return
			}
			var failed *certsync.CommandError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, test.argv, failed.Args)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestReloadCommandWithoutAProgram(t *testing.T) {
	var wrong *certsync.ValueError
	require.ErrorAs(t, certsync.ReloadCommand()(t.Context()), &wrong)
}

func TestReloadCommandKeepsItsArguments(t *testing.T) {
	lab.Need(t, "test")
	argv := make([]string, 0, 8)
	argv = append(argv, "test", "1", "=")
	one, two := certsync.ReloadCommand(append(argv, "1")...), certsync.ReloadCommand(append(argv, "2")...)
	assert.NoError(t, one(t.Context()))
	assert.Error(t, two(t.Context()))
}

func TestReloadCommandKeepsTheEndOfWhatWasSaid(t *testing.T) {
	lab.Need(t, "sh", "seq")
	err := certsync.ReloadCommand("sh", "-c", "seq 100000 >&2; echo fatal: at last >&2; exit 1")(t.Context())
	var failed *certsync.CommandError
	require.ErrorAs(t, err, &failed)
	assert.LessOrEqual(t, len(failed.Stderr), 4<<10)
	assert.True(t, strings.HasSuffix(failed.Stderr, "100000\nfatal: at last"), failed.Stderr)
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
}

// TestReloadCommandThatHangs has a process that the command started hold a pipe, which
// ends with it.
func TestReloadCommandThatHangs(t *testing.T) {
	lab.Need(t, "sh", "sleep")
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		done <- certsync.ReloadCommand("sh", "-c", `trap "" TERM; echo still busy >&2; sleep 1000 >"$0" & wait`, pipe)(ctx)
	}()
	r, err := os.Open(pipe) // waits until the process has it
	require.NoError(t, err)
	defer r.Close()
	cancel(assert.AnError)
	err = <-done
	var failed *certsync.CommandError
	require.ErrorAs(t, err, &failed)
	assert.ErrorIs(t, err, assert.AnError)
	assert.Equal(t, "still busy", failed.Stderr)
	n, _ := r.Read(make([]byte, 1))
	assert.Zero(t, n)
}

func TestReloadSignal(t *testing.T) {
	lab.Need(t, "sleep")
	for _, format := range []string{"PID\n", "PID", "\t       PID  \r\n", "PID\n/var/lib/postgresql\n5432\n"} {
		daemon := exec.Command("sleep", "1000")
		require.NoError(t, daemon.Start())
		pid := strconv.Itoa(daemon.Process.Pid)
		file := filepath.Join(t.TempDir(), "daemon.pid")
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(format, "PID", pid)), 0o600))
		reload := certsync.ReloadSignal(file, syscall.SIGHUP)
		require.NoError(t, reload(t.Context()), "%q", format)
		daemon.Wait()
		assert.Equal(t, syscall.SIGHUP, daemon.ProcessState.Sys().(syscall.WaitStatus).Signal())

		err := reload(t.Context())
		assert.ErrorIs(t, err, syscall.ESRCH, "the process is gone, and its file is not")
		assert.ErrorContains(t, err, file+": process "+pid)
	}
}

// TestReloadSignalNeedsOneProcess would end the test, all other processes or its group, if
// it did what some of these say.
func TestReloadSignalNeedsOneProcess(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ text, want string }{
		{"", `"" is no process number`},
		{"\n\n", `"" is no process number`},
		{"\n12\n", `"" is no process number`},
		{"nginx", `"nginx" is no process number`},
		{"12 34", `"12 34" is no process number`},
		{"12\x00", `"12\x00" is no process number`},
		{"0x10", `"0x10" is no process number`},
		{"0", "0 is not the number of a daemon"},
		{"1\n", "1 is not the number of a daemon"},
		{"-1\n", "-1 is not the number of a daemon"},
		{"-4711", "-4711 is not the number of a daemon"},
		{"4294967295", `"4294967295" is no process number`}, // -1 to the kernel
		{strings.Repeat("9", 1000), "is no process number"},
	} {
		file := filepath.Join(dir, "daemon.pid")
		require.NoError(t, os.WriteFile(file, []byte(test.text), 0o600))
		err := certsync.ReloadSignal(file, syscall.SIGKILL)(t.Context())
		var failed *certsync.ParseError
		require.ErrorAs(t, err, &failed, "%q", test.text)
		assert.ErrorContains(t, err, file+":1: ")
		assert.ErrorContains(t, err, test.want)
		assert.Less(t, len(err.Error()), 300)
	}
	// What the daemon's user could put there to keep the consumer busy.
	pipe, endless := filepath.Join(dir, "pipe"), filepath.Join(dir, "endless")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.WriteFile(endless, nil, 0o600))
	require.NoError(t, os.Truncate(endless, 1<<40))
	for path, want := range map[string]string{pipe: "it is not a regular file", "/dev/zero": "it is not a regular file", dir: "it is not a regular file", endless: "is no process number"} {
		var failed *certsync.ParseError
		err := certsync.ReloadSignal(path, syscall.SIGKILL)(t.Context())
		require.ErrorAs(t, err, &failed, path)
		assert.ErrorContains(t, err, want)
	}
	assert.ErrorIs(t, certsync.ReloadSignal(filepath.Join(dir, "missing.pid"), syscall.SIGKILL)(t.Context()), fs.ErrNotExist)
}

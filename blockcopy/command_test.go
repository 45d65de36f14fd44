package blockcopy

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// pipeTo starts a command that is closed with the test.
func pipeTo(t *testing.T, argv ...string) io.ReadWriteCloser {
	t.Helper()
	c, err := Command(t.Context(), argv...)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// unhurried lets a command take longer to end than a user would wait: the machine may be
// busy.
func unhurried(c io.ReadWriteCloser) io.ReadWriteCloser {
	c.(*command).closing, c.(*command).gone = time.Minute, time.Minute
	return c
}

func TestACommandIsOneStream(t *testing.T) {
	c := pipeTo(t, "head", "-c", "3000000")
	sent := bytes.Repeat([]byte("0123456789abcdef"), 3000000/16+1)[:3000000]
	go c.Write(sent)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(sent, got))
	assert.NoError(t, c.Close())
}

func TestClosingEndsTheInputOfACommand(t *testing.T) {
	c := unhurried(pipeTo(t, "cat"))
	_, err := c.Write([]byte("hello"))
	require.NoError(t, err)
	got := make([]byte, 5)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(got))
	assert.NoError(t, c.Close())
	assert.NoError(t, c.Close(), "a second time")
}

func TestACommandThatFailsTellsWhy(t *testing.T) {
	for _, row := range []struct {
		script, stderr string
		status         int
	}{
		{"echo data; echo wrong >&2; exit 3", "wrong", 3},
		{"echo data; no-such-program", "no-such-program: not found", 127},
		{"echo data; exit 255", "", 255},
	} {
		c := pipeTo(t, "sh", "-c", row.script)
		got, err := io.ReadAll(c)
		assert.Equal(t, "data\n", string(got))
		for _, err := range []error{err, c.Close()} {
			var failed *CommandError
			require.ErrorAs(t, err, &failed, row.script)
			assert.Equal(t, []string{"sh", "-c", row.script}, failed.Args)
			assert.Contains(t, failed.Stderr, row.stderr)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Equal(t, row.status, exit.ExitCode())
		}
	}
	_, err := Command(t.Context(), "no-such-program")
	assert.ErrorIs(t, err, exec.ErrNotFound)
	var failed *CommandError
	assert.ErrorAs(t, err, &failed)
	var wrong *ValueError
	_, err = Command(t.Context())
	assert.ErrorAs(t, err, &wrong)
}

// A program whose stderr nobody reads stops when the pipe is full.
func TestStderrIsDrainedAndItsEndIsKept(t *testing.T) {
	c := pipeTo(t, "sh", "-c", "yes 0123456789 | head -c 1000000 >&2; echo the end >&2; echo data; exit 1")
	got, err := io.ReadAll(c)
	assert.Equal(t, "data\n", string(got))
	var failed *CommandError
	require.ErrorAs(t, err, &failed)
	assert.True(t, strings.HasSuffix(failed.Stderr, "the end"))
	assert.LessOrEqual(t, len(failed.Stderr), tailSize)
}

func TestWritingToACommandThatHasGone(t *testing.T) {
	for _, row := range []struct {
		script string
		want   string
	}{
		{"echo full >&2; exit 1", "full"},
		{"echo done >&2; exit 0", "done"},
	} {
		c := unhurried(pipeTo(t, "sh", "-c", row.script))
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, 1<<20))
		}
		var failed *CommandError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, row.want, failed.Stderr)
	}
	c := pipeTo(t, "sh", "-c", "exec <&-; echo closed; exec sleep 60") // it is still there
	_, err := io.ReadFull(c, make([]byte, 7))
	require.NoError(t, err)
	_, err = c.Write([]byte("x"))
	assert.ErrorIs(t, err, syscall.EPIPE)
}

func TestTheEndOfTheContextEndsACommand(t *testing.T) {
	for _, row := range []struct{ name, script string }{
		{"in the midst of output", "echo $$; exec cat /dev/zero"},
		{"deaf to its input", "echo $$; exec sleep 60"},
		{"that left a process with its streams", "sleep 60 & echo $!; wait"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c, err := Command(ctx, "sh", "-c", row.script)
			require.NoError(t, err)
			pid := readPID(t, c)
			ended := make(chan error)
			go func() {
				_, err := io.Copy(io.Discard, c)
				ended <- err
			}()
			cancel()
			assert.ErrorIs(t, <-ended, context.Canceled)
			_, err = c.Write([]byte("x"))
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, c.Close(), context.Canceled)
			if !strings.Contains(row.script, "&") {
				assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "it was waited for")
			} else {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		})
	}
}

// readPID reads the line with a process id that a script begins with.
func readPID(t *testing.T, r io.Reader) (pid int) {
	t.Helper()
	digit := []byte{0}
	for {
		_, err := io.ReadFull(r, digit)
		require.NoError(t, err)
		if digit[0] == '\n' {
			return pid
		}
		pid = pid*10 + int(digit[0]-'0')
	}
}

func TestClosingEndsACommandThatDoesNotEndByItself(t *testing.T) {
	c := pipeTo(t, "sh", "-c", "echo $$; exec sleep 60")
	pid := readPID(t, c)
	assert.ErrorIs(t, c.Close(), errStuck)
	assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

func TestACommandOverSSH(t *testing.T) {
	ssh := lab.StartSSHD(t, lab.SSHD{})

	c := unhurried(pipeTo(t, append(ssh, "cat")...))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go c.Write(sent)
	got := make([]byte, len(sent))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(sent, got))
	assert.NoError(t, c.Close())

	c = pipeTo(t, append(ssh, "no-such-agent")...)
	_, err = io.ReadAll(c)
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 127, exit.ExitCode())
	assert.ErrorContains(t, err, "no-such-agent")
}

func TestASSHConnectionThatIsKilledInTheMiddleIsAnError(t *testing.T) {
	ssh := lab.StartSSHD(t, lab.SSHD{})
	c := pipeTo(t, append(ssh, "echo $PPID; exec cat /dev/zero")...)
	session := readPID(t, c)
	_, err := io.ReadFull(c, make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(session, syscall.SIGKILL))
	_, err = io.Copy(io.Discard, c)
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 255, exit.ExitCode())
}

// A program of another user, such as sudo or what it runs, takes no signals from this
// one. It ends when nobody reads what it writes.
func TestAProgramThatCannotBeKilled(t *testing.T) {
	const child = "BLOCKCOPY_TEST_KILL"
	other := []string{"setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", "echo $$; exec cat /dev/zero"}
	if os.Getenv(child) != "" {
		c, err := start(t.Context(), other, false)
		require.NoError(t, err)
		require.ErrorIs(t, syscall.Kill(readPID(t, c), 0), syscall.EPERM, "or this test shows nothing")
		require.NoError(t, (&ddRange{cmd: c}).Close())

		ctx, cancel := context.WithCancel(t.Context())
		stream, err := Command(ctx, other...)
		require.NoError(t, err)
		readPID(t, stream)
		cancel()
		assert.ErrorIs(t, stream.Close(), context.Canceled)

		stream, err = Command(t.Context(), other...)
		require.NoError(t, err)
		assert.Error(t, stream.Close())
		return
	}
	if os.Geteuid() != 0 {
		if os.Getenv("REHOST_REAL") == "require" {
			t.Fatal("only root can do this")
		}
		t.Skip("only root can do this")
	}
	lab.Need(t, "setpriv")
	cmd := exec.CommandContext(t.Context(), "setpriv", "--bounding-set=-kill", "--inh-caps=-kill", os.Args[0], "-test.run=^TestAProgramThatCannotBeKilled$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

package certsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Daemon serves certificates, and is told when they change.
type Daemon struct {
	Name  string   // in events and in the status
	Names []string // of the certificates that it serves; nil: all that the consumer has
	// Reload has it read its certificates again. Nil: it does so by itself.
	Reload Reload
	// Probe says what it serves. Nil: a reload that does not fail counts, though Postfix
	// and Dovecot do not fail at a certificate that they cannot use.
	Probe Probe
	// Patience is how long after a reload the probe may still see the old certificate, or
	// nothing. 0: ten seconds.
	Patience time.Duration
}

// A Reload has a daemon read its certificates again. A Consumer ends its context after five
// minutes. See [ReloadCommand], [ReloadSignal].
type Reload func(ctx context.Context) error

// ReloadCommand runs a program with its arguments, such as "postfix", "reload". No shell
// reads them. It has no input, and its output goes nowhere, but for the last 4 KiB of its
// standard error, which are in the [*CommandError] if it fails. If the context ends first,
// it is killed with the processes that it started, unless they left its process group.
// Without a program the error is a [*ValueError].
//
// It is for daemons that reload: one that it starts anew loses its standard error a second
// later, and may end at its next message.
func ReloadCommand(argv ...string) Reload {
	argv = slices.Clone(argv)
	return func(ctx context.Context) error {
		if len(argv) == 0 {
			return &ValueError{Field: "reload command", Reason: "it is empty"}
		}
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		var stderr tail
		cmd.Stderr = &stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = time.Second
		err := cmd.Run()
		if err == nil || errors.Is(err, exec.ErrWaitDelay) {
			// It succeeded. What it left in the background may still hold its standard
			// error, as postsuper does after postfix reload.
			return nil
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx) // rather than "signal: killed"
		}
		return &CommandError{Args: argv, Stderr: strings.TrimSpace(string(stderr)), Err: err}
	}
}

// tail keeps the end of what is written to it, where programs say why they fail.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	const size = 4 << 10
	*t = append(*t, p...)
	if cut := len(*t) - size; cut > 0 {
		*t = append((*t)[:0], (*t)[cut:]...)
	}
	return len(p), nil
}

// ReloadSignal sends a signal, most often SIGHUP, to the process whose number is the first
// line of a file. A file that outlived its daemon may name another process by now, and who
// may write to it chooses one: where the daemon has a command for it, [ReloadCommand] is
// safer. Errors are a [*ParseError] if the file does not name one process, and else those of
// reading it and of kill(2).
func ReloadSignal(pidFile string, sig syscall.Signal) Reload {
	return func(context.Context) error {
		text, err := readPIDFile(pidFile)
		if err != nil {
			return err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		line = strings.TrimSpace(line) // Postfix pads the number
		// 32 bits, as the kernel would see 4294967295 as -1.
		pid, err := strconv.ParseInt(line, 10, 32)
		switch {
		case err != nil:
			return &ParseError{File: pidFile, Line: 1, Err: fmt.Errorf("%.40q is no process number", line)}
		case pid <= 1: // all processes, a group, or init
			return &ParseError{File: pidFile, Line: 1, Err: fmt.Errorf("%d is not the number of a daemon", pid)}
		}
		if err := syscall.Kill(int(pid), sig); err != nil {
			return fmt.Errorf("%s: process %d: %w", pidFile, pid, err)
		}
		return nil
	}
}

// readPIDFile reads the beginning of a file that may belong to the daemon's user, who could
// put a pipe in its place, at which a reader waits for ever, or make it endless.
func readPIDFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &ParseError{File: path, Err: errors.New("it is not a regular file")}
	}
	return io.ReadAll(io.LimitReader(f, 1<<10))
}

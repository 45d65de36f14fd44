package blockcopy

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// How long a command may take to end once its input has ended: when its stream is
// closed, which ends a program that is done, and when its context has ended, when
// nothing that it does is of use any more.
const (
	closeGrace  = 2 * time.Second
	cancelGrace = 500 * time.Millisecond
)

var errStuck = errors.New("it did not end after its input had ended, and was killed")

// Command starts a program, and returns its standard input and output as one
// stream. argv is run as it is, without a shell of this side; with ssh the far
// user's shell reads the words after the host:
//
//	Command(ctx, "ssh", "-o", "ServerAliveInterval=10", "host.example.net", "diskmove", "agent")
//
// That is the user's own ssh, with their configuration, agent and jump hosts. It
// does not notice a dead link by itself: ServerAliveInterval=10 makes it end after
// 30 seconds without an answer (ssh_config(5)).
//
// If the program fails, Read returns a *CommandError instead of io.EOF, and so do
// Write and Close. It holds the end of what the program wrote to standard error,
// and the exit status in an *exec.ExitError: 127 is how a shell says that there is
// no such program, 255 how ssh says that it failed itself. Read and Write may be
// called at once, and Close during both.
//
// Close ends the input and waits for the program, and kills it after two seconds.
// So does the end of ctx, with less patience; the error is then ctx's. Close must
// be called in any case.
func Command(ctx context.Context, argv ...string) (io.ReadWriteCloser, error) {
	return start(ctx, argv, true)
}

// A command is a program that runs, and its streams.
type command struct {
	args   []string
	stdin  *os.File // nil: it reads nothing
	stdout *os.File
	stderr tail
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when it has ended and was waited for
	err    error         // of the program, nil if it succeeded; for after ended

	closing, gone time.Duration // how long Close and a Write that failed wait for ended
}

func start(ctx context.Context, argv []string, input bool) (*command, error) {
	if len(argv) == 0 {
		return nil, &ValueError{Field: "argv", Reason: "there is no command"}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := &command{args: argv, cancel: cancel, ended: make(chan struct{}), closing: closeGrace, gone: cancelGrace}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = &c.stderr
	cmd.WaitDelay = cancelGrace
	if err := c.run(cmd, input); err != nil {
		cancel(nil)
		return nil, &CommandError{Args: argv, Err: err}
	}
	go c.wait(ctx, cmd)
	return c, nil
}

// run makes the pipes and starts the program. The pipes are not those of os/exec,
// which closes them when the program has ended, whether they have been read or not.
func (c *command) run(cmd *exec.Cmd, input bool) error {
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, c.stdout = w, r
	theirs = append(theirs, w)
	enlarge(r)
	// A program of another user, such as sudo, takes no signal from this one, and ends
	// once nobody reads what it writes.
	cmd.Cancel = func() error {
		c.stdout.Close()
		return cmd.Process.Kill()
	}
	if input {
		r, w, err := os.Pipe()
		if err != nil {
			c.stdout.Close()
			return err
		}
		cmd.Stdin, c.stdin = r, w
		theirs = append(theirs, r)
		enlarge(w)
		cmd.Cancel = func() error {
			c.stdin.Close() // a far program that is asked to end still writes its journal
			time.AfterFunc(cancelGrace, func() { c.stdout.Close() })
			return nil
		}
	}
	if err := cmd.Start(); err != nil {
		c.stdout.Close()
		if input {
			c.stdin.Close()
		}
		return err
	}
	return nil
}

func (c *command) wait(ctx context.Context, cmd *exec.Cmd) {
	defer close(c.ended)
	defer c.cancel(nil)
	err := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
		c.stdout.Close() // which a process that it left behind may hold open
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it succeeded, and left a process with its stderr, as ssh's ControlPersist does
	}
	if err != nil {
		c.err = &CommandError{Args: c.args, Stderr: c.stderr.String(), Err: err}
	}
}

func (c *command) Read(p []byte) (int, error) {
	n, err := c.stdout.Read(p)
	if err == nil {
		return n, nil
	}
	<-c.ended // which alone tells an end from a failure
	if c.err != nil {
		return n, c.err
	}
	return n, err
}

func (c *command) Write(p []byte) (int, error) {
	n, err := c.stdin.Write(p)
	if err == nil {
		return n, nil
	}
	select {
	case <-c.ended: // it may tell why it no longer reads
	case <-time.After(c.gone):
		return n, &CommandError{Args: c.args, Err: err}
	}
	if c.err != nil {
		return n, c.err
	}
	return n, &CommandError{Args: c.args, Stderr: c.stderr.String(), Err: err}
}

func (c *command) Close() error {
	c.stdin.Close()
	go io.Copy(io.Discard, c.stdout) // or it might wait for a reader instead of ending
	select {
	case <-c.ended:
	case <-time.After(c.closing):
		c.cancel(errStuck)
		<-c.ended
	}
	c.stdout.Close()
	return c.err
}

// A tail keeps the last few KiB of what is written to it. It is read all the time,
// because a program whose stderr nobody reads stops once the pipe is full.
type tail struct{ text []byte }

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.text)) }

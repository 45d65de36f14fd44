package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/rehost/rehost/blockcopy"
)

// A place is where a disk lies: at a host that ssh reaches, or here.
type place struct{ host, path string }

func (p place) String() string {
	if p.host == "" {
		return p.path
	}
	return p.host + ":" + p.path
}

// parsePlace tells a host from a path as scp does: by a colon before any slash.
func parsePlace(s string) (place, error) {
	host, path, far := strings.Cut(s, ":")
	switch _, name, _ := strings.Cut("@"+host, "@"); {
	case s == "":
		return place{}, wrongUsage{errors.New("a place is a path, or HOST:PATH")}
	case !far, strings.Contains(host, "/"):
		return place{path: s}, nil
	case host == "", path == "", strings.HasPrefix(name, "-"), strings.Contains(name, "@-"):
		return place{}, wrongUsage{fmt.Errorf("%q is neither a path nor HOST:PATH; a path with a colon is written ./a:b", s)}
	case strings.HasPrefix(path, "-"):
		path = "./" + path // not a flag
	}
	return place{host, path}, nil
}

// reach returns the command that reaches a host: with words, to run them there,
// each as one word whatever it holds.
func (c *call) reach(host string, words ...string) ([]string, error) {
	// Without these, ssh waits for ever on a dead link. The first value that ssh is
	// given counts, so that -ssh may hold another one.
	argv := append(append([]string{}, c.ssh...), "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3", host)
	if c.sudo {
		argv = append(argv, "sudo", "-n")
	}
	for _, word := range words {
		quoted, err := syntax.Quote(word, syntax.LangPOSIX)
		if err != nil {
			return nil, wrongUsage{fmt.Errorf("%q cannot be said to a shell at the far end: %w", word, err)}
		}
		argv = append(argv, quoted)
	}
	return argv, nil
}

// ask runs diskmove at the host and returns what it prints.
func (c *call) ask(ctx context.Context, host string, words ...string) ([]byte, error) {
	argv, err := c.reach(host, append([]string{c.agent}, words...)...)
	if err != nil {
		return nil, err
	}
	out, err := output(ctx, nil, argv)
	return out, c.hint(host, err)
}

func output(ctx context.Context, stdin io.Reader, argv []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, &blockcopy.CommandError{Args: argv, Stderr: stderr.String(), Err: err}
	}
	return stdout.Bytes(), nil
}

// hint adds to an error that is perhaps that of a far end without diskmove what can
// be done about it. The shell says 127 then, and sudo 1.
func (c *call) hint(host string, err error) error {
	failed, ok := errors.AsType[*exec.ExitError](err)
	if !ok || failed.ExitCode() != 127 && !(c.sudo && failed.ExitCode() == 1) {
		return err
	}
	return fmt.Errorf(`%w
If %s has no diskmove: build one for its platform (GOOS, GOARCH), bring it there with
    scp diskmove %[2]s:
and add -agent ./diskmove; or add -install, if the platforms are the same; or, for a source, -dd`, err, host)
}

// bring copies this program to the host, for its owner alone, and uses it from
// there. It goes through ssh, not scp, for which the options of -ssh mean others.
func (c *call) bring(ctx context.Context, host string) error {
	here, err := output(ctx, nil, []string{"uname", "-sm"})
	if err != nil {
		return err
	}
	own := *c
	own.sudo = false // it is the user's own
	sh := func(stdin io.Reader, script string) ([]byte, error) {
		argv, err := own.reach(host, "sh", "-c", script)
		if err != nil {
			return nil, err
		}
		return output(ctx, stdin, argv)
	}
	there, err := sh(nil, "uname -sm")
	if err != nil {
		return err
	}
	if string(here) != string(there) {
		return fmt.Errorf("-install: %s is %s, and this is %s: build diskmove for it (GOOS, GOARCH), copy it there and name it with -agent",
			host, bytes.TrimSpace(there), bytes.TrimSpace(here))
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.Open(path)
	if err != nil {
		return err
	}
	defer program.Close()
	// Renamed, since the one that is there may run.
	out, err := sh(program, `umask 077 && mkdir -p ~/.diskmove && cd ~/.diskmove && cat >new.$$ && chmod 700 new.$$ && mv new.$$ diskmove && pwd`)
	if err != nil {
		return err
	}
	c.agent = strings.TrimSuffix(string(out), "\n") + "/diskmove"
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/shell"
	"mvdan.cc/sh/v3/syntax"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/cli"
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
		return place{}, cli.Usagef("a place is a path, or HOST:PATH")
	case !far, strings.Contains(host, "/"):
		return place{path: s}, nil
	case host == "", path == "", strings.HasPrefix(name, "-"), strings.Contains(name, "@-"):
		return place{}, cli.Usagef("%q is neither a path nor HOST:PATH; a path with a colon is written ./a:b", s)
	case strings.HasPrefix(path, "-"):
		path = "./" + path // not a flag
	}
	return place{host, path}, nil
}

// reach returns the command that reaches a host: with words, to run them there,
// each as one word whatever it holds.
func (c *call) reach(host string, words ...string) ([]string, error) {
	argv, err := shell.Fields(c.ssh, nil)
	if err != nil || len(argv) == 0 {
		return nil, cli.Usagef("-ssh %q is no command", c.ssh)
	}
	// Without these, ssh waits for ever on a dead link. The first value that ssh is
	// given counts, so that -ssh may hold another one.
	argv = append(argv, "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3", host)
	if c.sudo {
		argv = append(argv, "sudo", "-n")
	}
	for _, word := range words {
		quoted, err := syntax.Quote(word, syntax.LangPOSIX)
		if err != nil {
			return nil, cli.Usagef("%q cannot be said to a shell at the far end: %w", word, err)
		}
		argv = append(argv, quoted)
	}
	return argv, nil
}

// startAgent starts the other end, with the flags that it needs.
func (c *call) startAgent(ctx context.Context, p place, end string) (io.ReadWriteCloser, error) {
	engine := flag.NewFlagSet("", flag.ContinueOnError)
	engineFlags(engine, &call{})
	flags := c.given(func(name string) bool { return engine.Lookup(name) != nil })
	argv, err := c.reach(p.host, slices.Concat([]string{c.agent, "agent"}, flags, []string{end, p.path})...)
	if err != nil {
		return nil, err
	}
	return blockcopy.Command(ctx, argv...)
}

// ask has an agent answer.
func (c *call) ask(ctx context.Context, p place, end string, answer any) error {
	rw, err := c.startAgent(ctx, p, end)
	if err != nil {
		return err
	}
	defer rw.Close()
	return c.hint(p.host, json.NewDecoder(rw).Decode(answer))
}

func (c *call) viaDD(ctx context.Context, src place) (*blockcopy.DD, error) {
	argv, err := c.reach(src.host)
	if err != nil {
		return nil, err
	}
	return blockcopy.NewDD(ctx, src.path, argv...)
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
and add -agent ./diskmove; or copy with -install, if the platforms are the same; or,
for a source, with -dd`, err, host)
}

// bring copies this program to the host, for its owner alone, and uses it from
// there. It goes through ssh, not scp, for which the options of -ssh mean others.
func (c *call) bring(ctx context.Context, host string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	platform, err := exec.CommandContext(ctx, "uname", "-sm").Output()
	if err != nil {
		return err
	}
	own := *c
	own.sudo = false // it is the user's own
	// Renamed, since the one that is there may run; and only if all of it came.
	argv, err := own.reach(host, "sh", "-c", fmt.Sprintf(`[ "$(uname -sm)" = "%s" ] || { echo "it is $(uname -sm)" >&2; exit 1; }; `+
		`umask 077 && mkdir -p ~/.diskmove && cd ~/.diskmove && cat >new.$$ && [ $(wc -c <new.$$) -eq %d ] && chmod 700 new.$$ && mv new.$$ diskmove && pwd`,
		bytes.TrimSpace(platform), len(program)))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(program), &stderr
	dir, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("-install at %s, from a %s: %w: %s", host, bytes.TrimSpace(platform), err, bytes.TrimSpace(stderr.Bytes()))
	}
	c.agent = strings.TrimSuffix(string(dir), "\n") + "/diskmove"
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/cli"
)

const agentHelp = `Agent is the far end of the other commands, which start it through ssh. END is send or
receive, for a copy through standard input and output, source or target, for what
copy -n wants to know, or sum, for verify.
`

func agent(ctx context.Context, c *call) error {
	var answer any
	var err error
	switch end, path := c.args[0], c.args[1]; end {
	case "send":
		src, err := blockcopy.OpenSource(path)
		if err != nil {
			return err
		}
		_, err = blockcopy.Send(ctx, pipe{os.Stdin, os.Stdout}, src, c.options(""))
		return errors.Join(err, src.Close())
	case "receive":
		dst, err := blockcopy.OpenTarget(path, -1)
		if err != nil {
			return err
		}
		_, err = blockcopy.Receive(ctx, pipe{os.Stdin, os.Stdout}, dst, c.options(path))
		return errors.Join(err, dst.Close())
	case "source", "target":
		answer, err = c.look(end, path)
	case "sum":
		answer, err = sum(ctx, path)
	default:
		return cli.Usagef("%q is none of send, receive, source, target and sum", end)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// A pipe is standard input and output as one stream.
type pipe struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipe) Close() error { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }

// plan says what a copy would do. Nothing is written, at neither end.
func (c *call) plan(ctx context.Context, src, dst place) error {
	from, err := c.lookAt(ctx, src, "source")
	if err != nil {
		return err
	}
	if src.host == "" && dst.host == "" {
		if err := differ(src.path, dst.path); err != nil {
			return err
		}
	}
	to, err := c.lookAt(ctx, dst, "target")
	switch {
	case err != nil:
		return err
	case to.Size >= 0 && to.Size < from.Size:
		return &blockcopy.SizeError{Source: from.Size, Target: to.Size}
	case c.json:
		err = json.NewEncoder(os.Stdout).Encode(map[string]look{"source": from, "target": to})
	default:
		_, err = fmt.Printf("source  %s: %s\ntarget  %s: %s\njournal %s\n", src, size(from.Size), dst, to.Fate, to.Journal)
	}
	if err == nil && (!to.Complete || c.live) {
		err = cli.ErrDiffers
	}
	return err
}

// differ refuses two paths that lead to one device.
func differ(src, dst string) error {
	from, err := blockcopy.OpenSource(src)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := os.Stat(dst); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	to, err := blockcopy.OpenTarget(dst, -1)
	if err != nil {
		return err
	}
	defer to.Close()
	return to.CheckSource(from)
}

// A look is what there is at an end.
type look struct {
	Size     int64  `json:"size"` // negative for a target that grows
	Fate     string `json:"fate,omitempty"`
	Journal  string `json:"journal,omitempty"`
	Complete bool   `json:"complete,omitempty"` // the target is there, and so says its journal
}

func (c *call) lookAt(ctx context.Context, p place, end string) (l look, err error) {
	switch {
	case p.host == "":
		return c.look(end, p.path)
	case c.dd: // which is for sources
		src, err := c.viaDD(ctx, p)
		if err != nil {
			return l, err
		}
		return look{Size: src.Size()}, nil
	}
	return l, c.ask(ctx, p, end, &l)
}

func (c *call) look(end, path string) (look, error) {
	if end == "source" {
		src, err := blockcopy.OpenSource(path)
		if err != nil {
			return look{}, err
		}
		return look{Size: src.Size()}, src.Close()
	}
	l := look{Size: -1, Fate: "will be made"}
	if _, err := os.Stat(path); err == nil { // opened as a copy does, so that one in use is refused
		dst, err := blockcopy.OpenTarget(path, -1)
		if err != nil {
			return l, err
		}
		l.Size, l.Fate, l.Complete = dst.Size(), "is compared, and only what differs is written", true
		if err := dst.Close(); err != nil {
			return l, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	l.Journal = c.options(path).Journal
	r, err := blockcopy.ReadState(l.Journal)
	l.Complete = l.Complete && r.State == blockcopy.Complete
	switch {
	case l.Journal == "":
		l.Journal, err = "none: what is cut off begins anew", nil
	case errors.Is(err, fs.ErrNotExist):
		l.Journal, err = l.Journal+": not there yet", nil
	case r.State == blockcopy.Complete:
		l.Journal += ": complete; whether SRC has changed since, only another pass tells"
	default:
		l.Journal += fmt.Sprintf(": %s, %s done", r.State, size(r.Durable))
	}
	return l, err
}

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
)

const agentHelp = `
It is the far end of the other commands, which start it through ssh. END is send or
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
	case "source":
		answer, err = lookAtSource(path)
	case "target":
		answer, err = c.lookAtTarget(path)
	case "sum":
		answer, err = sum(ctx, path)
	default:
		return wrongUsage{fmt.Errorf("%q is none of send, receive, source, target and sum", end)}
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
	from, err := c.lookAt(ctx, src, "source", lookAtSource)
	if err != nil {
		return err
	}
	to, err := c.lookAt(ctx, dst, "target", c.lookAtTarget)
	switch {
	case err != nil:
		return err
	case src.host == dst.host && from.Identity == to.Identity: // Copy knows more disguises
		return blockcopy.ErrSameDevice
	case to.Device && to.Size < from.Size:
		return &blockcopy.SizeError{Source: from.Size, Target: to.Size}
	}
	if c.json {
		err = json.NewEncoder(os.Stdout).Encode(map[string]look{"source": from, "target": to})
	} else {
		_, err = fmt.Printf("source  %s: %s\ntarget  %s: %s\njournal %s\n", src, size(from.Size), dst, to.fate(), to.Journal)
	}
	if err == nil && (!to.Complete || to.Missing || c.live) {
		err = exit(3)
	}
	return err
}

// A look is what there is at an end.
type look struct {
	Size     int64  `json:"size"`
	Identity string `json:"identity"`
	Device   bool   `json:"device"`   // a target that cannot grow
	Missing  bool   `json:"missing"`  // a target that the copy would make
	Journal  string `json:"journal"`  // path, and what it says
	Complete bool   `json:"complete"` // says the journal
}

func (l look) fate() string {
	if l.Missing {
		return "will be made"
	}
	return size(l.Size) + ", is compared, and only what differs is written"
}

func (c *call) lookAt(ctx context.Context, p place, end string, here func(string) (look, error)) (l look, err error) {
	switch {
	case p.host == "":
		return here(p.path)
	case c.dd: // which is for sources
		src, err := c.viaDD(ctx, p)
		if err != nil {
			return l, err
		}
		return look{Size: src.Size()}, nil
	}
	return l, c.ask(ctx, p, end, &l)
}

func lookAtSource(path string) (l look, err error) {
	src, err := blockcopy.OpenSource(path)
	if err != nil {
		return l, err
	}
	return look{Size: src.Size(), Identity: src.Identity()}, src.Close()
}

// lookAtTarget opens a target as a copy does, so that one in use is refused, unless
// that would make it.
func (c *call) lookAtTarget(path string) (l look, err error) {
	info, err := os.Stat(path)
	if l.Missing = errors.Is(err, fs.ErrNotExist); !l.Missing {
		if err != nil {
			return l, err
		}
		dst, err := blockcopy.OpenTarget(path, -1)
		if err != nil {
			return l, err
		}
		l.Identity, l.Device, l.Size = dst.Identity(), dst.Size() >= 0, max(dst.Size(), info.Size())
		if err := dst.Close(); err != nil {
			return l, err
		}
	}
	journal := c.options(path).Journal
	r, err := blockcopy.ReadState(journal)
	switch {
	case journal == "":
		l.Journal, err = "none: what is cut off begins anew", nil
	case errors.Is(err, fs.ErrNotExist):
		l.Journal, err = journal+": not there yet", nil
	case r.State == blockcopy.Complete:
		l.Journal, l.Complete = journal+": complete; whether SRC has changed since, only another pass tells", true
	default:
		l.Journal = fmt.Sprintf("%s: %s, %s done", journal, stateName(r.State), size(r.Durable))
	}
	return l, err
}

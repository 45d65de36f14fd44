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

// A pipe is standard input and output as one stream.
type pipe struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipe) Close() error { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }

func agentSend(ctx context.Context, c *call) error {
	src, err := blockcopy.OpenSource(c.args[0])
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = blockcopy.Send(ctx, pipe{c.stdin, c.stdout}, src, c.at(""))
	return err
}

func agentReceive(ctx context.Context, c *call) error {
	dst, err := blockcopy.OpenTarget(c.args[0], -1)
	if err != nil {
		return err
	}
	_, err = blockcopy.Receive(ctx, pipe{c.stdin, c.stdout}, dst, c.at(c.args[0]))
	return errors.Join(err, dst.Close())
}

// A look is what copy -n finds at an end.
type look struct {
	Path    string `json:"path"`
	Missing bool   `json:"missing,omitempty"` // a target that the copy would make
	Device  bool   `json:"device,omitempty"`
	Size    int64  `json:"size"`
	Journal string `json:"journal,omitempty"` // path; "" for none
	State   string `json:"state,omitempty"`   // that the journal tells; "" if there is none yet
	Durable int64  `json:"durable,omitempty"` // what it says was done
}

func agentLook(_ context.Context, c *call) error {
	examine := map[string]func(string) (look, error){"source": lookAtSource, "target": c.lookAtTarget}[c.args[0]]
	if examine == nil {
		return wrongUsage{fmt.Errorf("%q is neither source nor target", c.args[0])}
	}
	l, err := examine(c.args[1])
	if err != nil {
		return err
	}
	return json.NewEncoder(c.stdout).Encode(l)
}

func lookAtSource(path string) (look, error) {
	src, err := blockcopy.OpenSource(path)
	if err != nil {
		return look{}, err
	}
	defer src.Close()
	return look{Path: path, Device: isDevice(path), Size: src.Size()}, nil
}

// lookAtTarget opens a target as a copy does, so that one in use is refused, unless
// that would make it.
func (c *call) lookAtTarget(path string) (look, error) {
	l := look{Path: path, Device: isDevice(path), Journal: c.at(path).Journal}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.Missing = true
	case err != nil:
		return look{}, err
	default:
		dst, err := blockcopy.OpenTarget(path, -1)
		if err != nil {
			return look{}, err
		}
		if l.Size = dst.Size(); !l.Device { // negative, until it is resized
			l.Size = info.Size()
		}
		if err := dst.Close(); err != nil {
			return look{}, err
		}
	}
	if l.Journal == "" {
		return l, nil
	}
	before, err := blockcopy.ReadState(l.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	l.State, l.Durable = stateName(before.State), before.Durable
	return l, err
}

func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeDevice != 0
}

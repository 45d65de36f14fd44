package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/rehost/rehost/blockcopy"
)

func copyCommand() command {
	return command{name: "copy", args: "SRC DST", does: "copies a device or an image, or goes on with a copy", min: 2, max: 2, run: runCopy,
		flags: []func(*flag.FlagSet, *options){engineFlags, farFlags, copyFlags, jsonFlag},
		more: `One of SRC and DST may be HOST:PATH. What was cut off goes on with the same
command, from a journal beside the target; when all is done, remove it, or keep it
for the next pass. DST is made if it is missing. If it has content, that is compared
with SRC, and only what differs is moved.
`}
}

func runCopy(ctx context.Context, c *call) error {
	src, errSrc := parsePlace(c.args[0])
	dst, errDst := parsePlace(c.args[1])
	switch host := src.host + dst.host; {
	case errSrc != nil:
		return errSrc
	case errDst != nil:
		return errDst
	case src.host != "" && dst.host != "":
		return wrongUsage{errors.New("SRC and DST are both far: run it at one of the two")}
	case c.dd && src.host == "":
		return wrongUsage{errors.New("-dd reads a SRC at a HOST")}
	case c.dd && c.install:
		return wrongUsage{errors.New("-dd installs nothing")}
	case c.install && host == "":
		return wrongUsage{errors.New("-install needs a HOST")}
	case c.install && !c.dry:
		if err := c.bring(ctx, host); err != nil {
			return err
		}
	}
	if c.dry {
		return c.plan(ctx, src, dst)
	}
	d := newDisplay(c.stdout, c.stderr, c.json)
	c.engine.Progress = d.progress
	c.engine.Log = slog.New(d.logs())
	if c.dd {
		c.engine.Log.Info("dd tells nothing but bytes: to find what differs, all of the source is read over the link")
	}
	r, err := c.copy(ctx, src, dst)
	d.clear()
	if e := c.report(r, err, src, dst); e != nil {
		return e
	}
	return c.explain(ctx, r, err)
}

// copy does it: here, or with one of its ends at a host.
func (c *call) copy(ctx context.Context, src, dst place) (blockcopy.Result, error) {
	if dst.host != "" {
		from, err := blockcopy.OpenSource(src.path)
		if err != nil {
			return blockcopy.Result{}, err
		}
		defer from.Close()
		rw, err := c.agentAt(ctx, dst, "receive")
		if err != nil {
			return blockcopy.Result{}, err
		}
		r, err := blockcopy.Send(ctx, rw, from, c.at(""))
		return r, c.hint(dst.host, ended(rw, err))
	}
	if src.host != "" && !c.dd {
		rw, err := c.agentAt(ctx, src, "send")
		if err != nil {
			return blockcopy.Result{}, err
		}
		r, err := c.into(dst, func(to blockcopy.Target, opt *blockcopy.Options) (blockcopy.Result, error) {
			return blockcopy.Receive(ctx, rw, to, opt)
		})
		return r, c.hint(src.host, ended(rw, err))
	}
	from, closeSource, err := c.source(ctx, src)
	if err != nil {
		return blockcopy.Result{}, err
	}
	defer closeSource()
	return c.into(dst, func(to blockcopy.Target, opt *blockcopy.Options) (blockcopy.Result, error) {
		return blockcopy.Copy(ctx, to, from, opt)
	})
}

func (c *call) source(ctx context.Context, src place) (blockcopy.Source, func() error, error) {
	if src.host == "" {
		f, err := blockcopy.OpenSource(src.path)
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	}
	argv, err := c.reach(src.host)
	if err != nil {
		return nil, nil, err
	}
	dd, err := blockcopy.NewDD(ctx, src.path, argv...)
	return dd, func() error { return nil }, err
}

// into opens the target and has it filled.
func (c *call) into(dst place, fill func(blockcopy.Target, *blockcopy.Options) (blockcopy.Result, error)) (blockcopy.Result, error) {
	to, err := blockcopy.OpenTarget(dst.path, -1)
	if err != nil {
		return blockcopy.Result{}, err
	}
	r, err := fill(to, c.at(dst.path))
	return r, errors.Join(err, to.Close())
}

// agentAt starts the other end, with the flags that it needs.
func (c *call) agentAt(ctx context.Context, p place, end string) (io.ReadWriteCloser, error) {
	argv, err := c.reach(p.host, slices.Concat([]string{c.agent, "agent", end}, c.flagsOf(engineFlags), []string{p.path})...)
	if err != nil {
		return nil, err
	}
	return blockcopy.Command(ctx, argv...)
}

// ended waits for the other end. Its failure tells nothing new after an error.
func ended(rw io.Closer, err error) error {
	if e := rw.Close(); err == nil {
		return e
	}
	return err
}

// explain adds to an error what to do next.
func (c *call) explain(ctx context.Context, r blockcopy.Result, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && c.journal == "none":
		return errors.New("stopped")
	case ctx.Err() != nil:
		return errors.New("stopped: the same command goes on from here")
	case r.Durable > 0 && c.journal != "none":
		return fmt.Errorf("%w\nWhat was done is kept: when the cause is gone, the same command goes on from here", err)
	}
	return err
}

// next is the command that ends what a live pass began.
func (c *call) next() string {
	words := append([]string{"diskmove", "copy"}, c.words...)
	for i, word := range words {
		if strings.TrimLeft(word, "-") == "live" {
			words[i] = "-final"
		}
	}
	return shellLine(words...)
}

// shellLine is a command to paste.
func shellLine(words ...string) string {
	for i, word := range words {
		if quoted, err := syntax.Quote(word, syntax.LangBash); err == nil {
			words[i] = quoted
		}
	}
	return strings.Join(words, " ")
}

// plan says what a copy would do. Nothing is written, at neither end.
func (c *call) plan(ctx context.Context, src, dst place) error {
	from, err := c.lookAt(ctx, src, "source", lookAtSource)
	if err != nil {
		return err
	}
	to, err := c.lookAt(ctx, dst, "target", c.lookAtTarget)
	if err != nil {
		return err
	}
	if to.Device && to.Size < from.Size {
		return &blockcopy.SizeError{Source: from.Size, Target: to.Size}
	}
	if src.host == dst.host { // Copy knows more disguises
		a, errA := os.Stat(src.path)
		b, errB := os.Stat(dst.path)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return blockcopy.ErrSameDevice
		}
	}
	if c.json {
		err = json.NewEncoder(c.stdout).Encode(map[string]look{"source": from, "target": to})
	} else {
		_, err = fmt.Fprintf(c.stdout, "source  %s: %s\ntarget  %s: %s\n%s", src, from.size(), dst, to.fate(), to.journal())
	}
	if err == nil && (to.State != stateName(blockcopy.Complete) || c.live) {
		err = exit(3)
	}
	return err
}

func (c *call) lookAt(ctx context.Context, p place, end string, here func(string) (look, error)) (l look, err error) {
	switch {
	case p.host == "":
		return here(p.path)
	case end == "source" && c.dd:
		dd, _, err := c.source(ctx, p)
		if err != nil {
			return look{}, err
		}
		return look{Path: p.path, Size: dd.Size()}, nil
	}
	words := slices.Concat([]string{"agent", "look"}, c.flagsOf(engineFlags), []string{end, p.path})
	answer, err := c.ask(ctx, p.host, words...)
	if err != nil {
		return look{}, err
	}
	return l, json.Unmarshal(answer, &l)
}

func (l look) size() string {
	if l.Device {
		return size(l.Size) + ", a device"
	}
	return size(l.Size)
}

func (l look) fate() string {
	if l.Missing {
		return "will be made"
	}
	return l.size() + ", is compared, and only what differs is written"
}

func (l look) journal() string {
	switch {
	case l.Journal == "":
		return "journal none: what is cut off begins anew\n"
	case l.State == "":
		return fmt.Sprintf("journal %s: not there yet\n", l.Journal)
	}
	return fmt.Sprintf("journal %s: %s, %s done\n", l.Journal, l.State, size(l.Durable))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/cli"
)

const copyHelp = `Copy copies a device or an image, or goes on with a copy. One of SRC and DST may be
HOST:PATH. What was cut off goes on with the same command, from a journal beside the
target; when all is done, remove it, or keep it for the next pass. DST is made if it is
missing. If it has content, that is compared with SRC, and only what differs is moved.
`

func copyDisk(ctx context.Context, c *call) error {
	src, errSrc := parsePlace(c.args[0])
	dst, errDst := parsePlace(c.args[1])
	switch host := src.host + dst.host; {
	case errSrc != nil || errDst != nil:
		return errors.Join(errSrc, errDst)
	case src.host != "" && dst.host != "":
		return cli.Usagef("SRC and DST are both far: run it at one of the two")
	case c.dd && src.host == "":
		return cli.Usagef("-dd reads a SRC at a HOST")
	case c.install && (host == "" || c.dd || c.dry):
		return cli.Usagef("-install needs a HOST, and goes with neither -dd nor -n")
	case c.dry:
		return c.plan(ctx, src, dst)
	case c.install:
		if err := c.bring(ctx, host); err != nil {
			return err
		}
	}
	d := newDisplay(c.json)
	c.engine.Progress, c.engine.Log = d.progress, d.log
	if c.dd {
		d.log.Info("dd tells nothing but bytes: to find what differs, all of the source is read over the link")
	}
	r, err := c.copy(ctx, src, dst)
	d.clear()
	switch {
	case err == nil:
	case ctx.Err() != nil && c.journal == "none":
		err = errors.New("stopped")
	case ctx.Err() != nil: // the error may be that of an ssh that got the ^C, too
		err = errors.New("stopped: the same command goes on from here")
	case errors.As(err, new(*blockcopy.JournalError)):
		err = fmt.Errorf("%w\nTo begin anew, give another -journal: what the target holds is compared all the same", err)
	case r.Durable > 0 && c.journal != "none":
		err = fmt.Errorf("%w\nWhat was done is kept: when the cause is gone, the same command goes on from here", err)
	}
	if !c.json {
		c.report(r, src, dst)
		return err
	}
	attrs := append(counts(r.Progress), "state", r.State.String())
	if r.State != blockcopy.Incomplete {
		attrs = append(attrs, "digest", r.Digest, "sha256", fmt.Sprintf("%x", r.SHA256), "verified", r.Verified.String())
	}
	if r.State == blockcopy.Dirty {
		attrs = append(attrs, "next", c.next())
	}
	if err != nil {
		attrs = append(attrs, "bad", r.Bad, "error", err.Error())
	}
	d.log.Info("result", attrs...)
	return err
}

// copy does it: here, or with one of its ends at a host.
func (c *call) copy(ctx context.Context, src, dst place) (r blockcopy.Result, err error) {
	var from blockcopy.Source // nil: behind an agent
	switch {
	case src.host == "":
		f, err := blockcopy.OpenSource(src.path)
		if err != nil {
			return r, err
		}
		defer f.Close()
		from = f
	case c.dd:
		if from, err = c.viaDD(ctx, src); err != nil {
			return r, err
		}
	}
	if dst.host != "" {
		rw, err := c.startAgent(ctx, dst, "receive")
		if err != nil {
			return r, err
		}
		r, err = blockcopy.Send(ctx, rw, from, c.options(""))
		return r, c.hint(dst.host, err)
	}
	to, err := blockcopy.OpenTarget(dst.path, -1)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if from != nil {
		return blockcopy.Copy(ctx, to, from, c.options(dst.path))
	}
	rw, err := c.startAgent(ctx, src, "send")
	if err != nil {
		return r, err
	}
	r, err = blockcopy.Receive(ctx, rw, to, c.options(dst.path))
	return r, c.hint(src.host, err)
}

// options returns what the engine is told at an end whose target, if it has it, is
// at the path.
func (c *call) options(target string) *blockcopy.Options {
	opt := c.engine
	opt.Rate = c.rate << 20
	switch {
	case c.live:
		opt.Pass = blockcopy.Live
	case c.final:
		opt.Pass = blockcopy.Final
	}
	switch {
	case target == "" || c.journal == "none":
	case c.journal != "":
		opt.Journal = c.journal
	case isDevice(target): // what is made in /dev is gone after a reboot
		opt.Journal = filepath.Base(target) + ".journal"
	default:
		opt.Journal = target + ".journal"
	}
	return &opt
}

func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeDevice != 0
}

// report tells what a copy did, on failure too.
func (c *call) report(r blockcopy.Result, src, dst place) {
	if r.State != blockcopy.Incomplete || r.Durable > 0 {
		fmt.Printf("%s: %s of %s in %s: %s\n", r.State, size(r.Durable), size(r.Size), r.Elapsed.Round(time.Millisecond), shares(r.Progress))
	}
	for _, bad := range r.Bad {
		fmt.Printf("not readable: %d bytes at %d of %s\n", bad.Length, bad.Offset, src)
	}
	if r.State == blockcopy.Incomplete {
		return
	}
	fmt.Printf("verified: %s\nBLAKE3: %s\n", r.Verified, r.Digest)
	if r.SHA256 != nil {
		fmt.Printf("SHA-256: %x\n", r.SHA256)
	}
	where := "check it with"
	if dst.host != "" {
		where += ", at " + dst.host
	}
	// A device may be longer than what was copied to it.
	fmt.Printf("%s:\n    [ \"$(%s | b3sum --no-names)\" = %s ] && echo right\n", where, shellLine("head", "-c", fmt.Sprint(r.Size), dst.path), r.Digest)
	if r.State == blockcopy.Dirty {
		fmt.Printf("The source was in use, so the target is of no use yet. Stop the source, then:\n    %s\n", c.next())
	}
}

// next is the command that ends what a live pass began.
func (c *call) next() string {
	words := append([]string{os.Args[0], "copy", "-final"}, c.given(func(name string) bool { return name != "live" })...)
	return shellLine(append(words, c.args...)...)
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

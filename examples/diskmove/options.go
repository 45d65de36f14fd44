package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/shell"

	"github.com/rehost/rehost/blockcopy"
)

// options are the flags of all commands, of which each has some.
type options struct {
	engine      blockcopy.Options
	live, final bool
	journal     string

	ssh           []string // program and options
	agent         string
	sudo, install bool
	dd            bool

	dry, json bool
}

// engineFlags are those of the copy itself. Each end of a remote copy gets them.
func engineFlags(flags *flag.FlagSet, o *options) {
	flags.BoolVar(&o.live, "live", false, "the source is in use: move most of it ahead of the stop; the target is dirty until a -final pass")
	flags.BoolVar(&o.final, "final", false, "the source was stopped: end what -live passes began")
	flags.StringVar(&o.journal, "journal", "", "`FILE` beside the target from which a copy goes on, or none; without it, DST.journal, and for a device NAME.journal in the current folder")
	flags.BoolVar(&o.engine.Rewrite, "rewrite", false, "write everything, without reading what the target has")
	flags.BoolVar(&o.engine.TrustJournal, "trust-journal", false, "do not read what the last pass left on the target: wrong, and unnoticed, if anything has written there since, such as a guest that was booted from it")
	flags.BoolVar(&o.engine.Recheck, "recheck", false, "read the source a second time: the only way to notice that a device was written")
	flags.BoolVar(&o.engine.SkipVerify, "no-verify", false, "do not read back what was written")
	flags.BoolVar(&o.engine.SkipBad, "skip-bad", false, "go on past what cannot be read; the copy still fails, in the end")
	flags.BoolVar(&o.engine.SHA256, "sha256", false, "tell the SHA-256, too")
	flags.Var((*byteCount)(&o.engine.Rate), "rate", "the most `BYTES` per second, such as 20M")
	flags.IntVar(&o.engine.Streams, "streams", 0, "with -dd, read `N` ranges at once")
}

func farFlags(flags *flag.FlagSet, o *options) {
	o.ssh = []string{"ssh"}
	flags.Func("ssh", "`COMMAND` to reach HOST with, such as 'ssh -p 2222 -i key'", func(s string) (err error) {
		if o.ssh, err = shell.Fields(s, nil); err == nil && len(o.ssh) == 0 {
			err = errors.New("it names no program")
		}
		return err
	})
	flags.StringVar(&o.agent, "agent", "diskmove", "`PATH` of diskmove at the far end")
	flags.BoolVar(&o.sudo, "sudo", false, "run the far end under sudo, which must not ask for a password")
}

func copyFlags(flags *flag.FlagSet, o *options) {
	flags.BoolVar(&o.dd, "dd", false, "HOST:SRC is read with dd: nothing needs to be installed there, but all of it crosses the link each time")
	flags.BoolVar(&o.install, "install", false, "copy this program to ~/.diskmove of a far end of the same platform, and use it there")
	flags.BoolVar(&o.dry, "n", false, "write nothing, say what there is to do")
}

func jsonFlag(flags *flag.FlagSet, o *options) {
	flags.BoolVar(&o.json, "json", false, "print JSON, one object a line")
}

// A byteCount is a flag's number of bytes, with K, M or G for the powers of 1024.
type byteCount int64

func (b *byteCount) String() string { return strconv.FormatInt(int64(*b), 10) }

func (b *byteCount) Set(s string) error {
	shift := 0
	for i, unit := range []string{"K", "M", "G"} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			s, shift = digits, 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n<<shift>>shift != n {
		return errors.New("it is a number such as 500K, 20M or 1G")
	}
	*b = byteCount(n << shift)
	return nil
}

// at returns what the engine is told at an end whose target, if it has it, is
// at the path.
func (o *options) at(target string) *blockcopy.Options {
	opt := o.engine
	switch {
	case o.live:
		opt.Pass = blockcopy.Live
	case o.final:
		opt.Pass = blockcopy.Final
	}
	if target != "" && o.journal != "none" {
		opt.Journal = cmp.Or(o.journal, defaultJournal(target))
	}
	return &opt
}

// defaultJournal lies beside a file, but not in /dev, which is gone after a reboot.
func defaultJournal(target string) string {
	if info, err := os.Stat(target); err == nil && info.Mode()&fs.ModeDevice != 0 {
		target = filepath.Base(target)
	}
	return target + ".journal"
}

// flagsOf returns the flags of a set that were given.
func (c *call) flagsOf(define func(*flag.FlagSet, *options)) []string {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	define(set, &options{})
	var words []string
	c.given.Visit(func(f *flag.Flag) {
		if set.Lookup(f.Name) != nil {
			words = append(words, fmt.Sprintf("-%s=%s", f.Name, f.Value))
		}
	})
	return words
}

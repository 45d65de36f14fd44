// Diskmove copies disks and images, here or to and from a machine that ssh
// reaches: verified, resumable, and a second time only what has changed.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/cli"
)

const help = `usage: diskmove COMMAND [flags] ARGUMENT...

Diskmove copies block devices and disk images. What it wrote is read back and
checked, a copy that was cut off goes on with the same command, and where the
target has old content only what differs is moved.

Commands; diskmove COMMAND -h tells more:

    copy SRC DST             copies a device or an image, or goes on with a copy
    verify PATH DIGEST|PATH  compares one with a digest, or with another one
    status JOURNAL           says how far a copy has come
    agent END PATH           is the far end of the others, which start it with ssh

Moving the disk of a machine with a short stop, run where the disk shall be:

    diskmove copy -n host:/dev/vms/guest guest.img      what there is to do
    diskmove copy -live host:/dev/vms/guest guest.img   while the machine runs
    ... stop the machine ...
    diskmove copy -final host:/dev/vms/guest guest.img  only what has changed
    diskmove verify host:/dev/vms/guest guest.img       the proof

A place is a path, or HOST:PATH or USER@HOST:PATH for ssh; a path here that has a
colon, or begins with -, is written ./a:b. At the far end the same program must be
installed; without it, -install brings it there, and -dd makes do with dd.
`

func main() {
	// When the link of an agent is cut, its standard output is a broken pipe: without
	// this, writing there would end it before it has noted what it has done.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	program().Main()
}

// A call is one command with its flags and arguments.
type call struct {
	engine      blockcopy.Options
	live, final bool
	journal     string
	rate        int64 // MiB per second

	ssh           string // program and options
	agent         string
	sudo, install bool
	dd, dry, json bool

	set  *flag.FlagSet
	args []string
}

func program() cli.Program {
	c := &call{}
	return cli.Program{Name: "diskmove", Help: help, Commands: []cli.Command{
		{Name: "copy", Args: "SRC DST", Help: copyHelp, Flags: c.defining(engineFlags, farFlags, copyFlags, jsonFlag), Run: c.on(copyDisk)},
		{Name: "verify", Args: "PATH DIGEST|PATH", Help: verifyHelp, Flags: c.defining(farFlags), Run: c.on(verify)},
		{Name: "status", Args: "JOURNAL", Help: statusHelp, Flags: c.defining(jsonFlag), Run: c.on(status)},
		{Name: "agent", Args: "END PATH", Help: agentHelp, Flags: c.defining(engineFlags), Run: c.on(agent)},
	}}
}

func (c *call) defining(groups ...func(*flag.FlagSet, *call)) func(*flag.FlagSet) {
	return func(flags *flag.FlagSet) {
		c.set = flags
		for _, define := range groups {
			define(flags, c)
		}
	}
}

func (c *call) on(run func(context.Context, *call) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		c.args = args
		switch {
		case c.live && c.final:
			return cli.Usagef("a pass is -live or -final")
		case c.rate < 0 || c.rate<<20>>20 != c.rate || c.engine.Streams < 0:
			return cli.Usagef("-rate and -streams are small positive numbers")
		}
		return run(ctx, c)
	}
}

// engineFlags are those of the copy itself. Each end of a remote copy gets them.
func engineFlags(flags *flag.FlagSet, c *call) {
	flags.BoolVar(&c.live, "live", false, "the source is in use: move most of it ahead of the stop; the target is dirty until a -final pass")
	flags.BoolVar(&c.final, "final", false, "the source was stopped: end what -live passes began")
	flags.StringVar(&c.journal, "journal", "", "`FILE` beside the target from which a copy goes on, or none; without it, DST.journal, and for a device NAME.journal in the current folder")
	flags.BoolVar(&c.engine.TrustJournal, "trust-journal", false, "do not read what the last pass left on the target: wrong, and unnoticed, if anything has written there since, such as a guest that was booted from it")
	flags.BoolVar(&c.engine.Recheck, "recheck", false, "read the source a second time: the only way to notice that a device was written")
	flags.BoolVar(&c.engine.SkipVerify, "no-verify", false, "do not read back what was written")
	flags.BoolVar(&c.engine.SkipBad, "skip-bad", false, "go on past what cannot be read; the copy still fails, in the end")
	flags.BoolVar(&c.engine.SHA256, "sha256", false, "tell the SHA-256, too")
	flags.Int64Var(&c.rate, "rate", 0, "read, or send, at most so many `MiB` per second")
}

func farFlags(flags *flag.FlagSet, c *call) {
	flags.StringVar(&c.ssh, "ssh", "ssh", "`COMMAND` to reach HOST with, such as 'ssh -p 2222 -i key'")
	flags.StringVar(&c.agent, "agent", "diskmove", "`PATH` of diskmove at the far end")
	flags.BoolVar(&c.sudo, "sudo", false, "run the far end under sudo, which must not ask for a password")
}

func copyFlags(flags *flag.FlagSet, c *call) {
	flags.BoolVar(&c.dd, "dd", false, "HOST:SRC is read with dd: nothing needs to be installed there, but all of it crosses the link each time")
	flags.IntVar(&c.engine.Streams, "streams", 0, "with -dd, read `N` ranges at once")
	flags.BoolVar(&c.install, "install", false, "copy this program to ~/.diskmove of a far end of the same platform, and use it there")
	flags.BoolVar(&c.dry, "n", false, "change nothing, say what there is to do")
}

func jsonFlag(flags *flag.FlagSet, c *call) {
	flags.BoolVar(&c.json, "json", false, "print JSON, one object a line; sizes are bytes, times are seconds")
}

// given returns the flags that were given and that keep returns true for.
func (c *call) given(keep func(name string) bool) (words []string) {
	c.set.Visit(func(f *flag.Flag) {
		word := "-" + f.Name
		if f.DefValue != "false" || f.Value.String() != "true" {
			word += "=" + f.Value.String()
		}
		if keep(f.Name) {
			words = append(words, word)
		}
	})
	return words
}

// Diskmove copies disks and images, here or to and from a machine that ssh
// reaches: verified, resumable, and a second time only what has changed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/rehost/rehost/blockcopy"
)

const usage = `usage: diskmove COMMAND [flags] ARGUMENT...

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
colon is written ./a:b. At the far end the same program must be installed; without
it, -install brings it there, and -dd makes do with dd.
`

const ending = `
Flags stand before the first argument. Exit status: 0 done, 1 failed, 2 wrong
usage, 3 with copy -n: there is something to do.
`

// A command is one of the things that diskmove does.
type command struct {
	name, args, help string
	flags            []func(*flag.FlagSet, *call)
	run              func(context.Context, *call) error
}

func commands() []command {
	type flags = []func(*flag.FlagSet, *call)
	return []command{
		{"copy", "SRC DST", copyHelp, flags{engineFlags, farFlags, copyFlags, jsonFlag}, copyDisk},
		{"verify", "PATH DIGEST|PATH", verifyHelp, flags{farFlags}, verify},
		{"status", "JOURNAL", statusHelp, flags{jsonFlag}, status},
		{"agent", "END PATH", agentHelp, flags{engineFlags}, agent},
	}
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
	flags.BoolVar(&c.dry, "n", false, "write nothing, say what there is to do")
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

// exit is the error of a command that has said everything already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// wrongUsage is an error in the command line.
type wrongUsage struct{ error }

func main() {
	// A copy that is cut off makes durable what it has, and tells the far end.
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup(1)
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // a second ^C ends it at once
	// When the link of an agent is cut, its standard output is a broken pipe: without
	// this, writing there would end it before it has noted what it has done.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "diskmove: no command; diskmove -h tells more")
		return 2
	}
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		fmt.Print(usage, ending)
		return 0
	}
	i := slices.IndexFunc(commands(), func(cmd command) bool { return cmd.name == args[0] })
	if i < 0 {
		fmt.Fprintf(os.Stderr, "diskmove: unknown command %q; diskmove -h tells more\n", args[0])
		return 2
	}
	cmd := commands()[i]
	c, err := cmd.parse(args[1:])
	if err == nil {
		err = cmd.run(ctx, c)
	}
	code, usage := exit(1), wrongUsage{}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "diskmove %s: %v; diskmove %[1]s -h tells more\n", cmd.name, err)
		return 2
	case errors.As(err, &code):
	default:
		fmt.Fprintf(os.Stderr, "diskmove %s: %v\n", cmd.name, err)
	}
	return int(code)
}

func (cmd command) parse(args []string) (*call, error) {
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	c := &call{set: flags}
	for _, define := range cmd.flags {
		define(flags, c)
	}
	err := flags.Parse(args)
	c.args = flags.Args()
	want := len(strings.Fields(cmd.args))
	late := slices.IndexFunc(c.args, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("usage: diskmove %s [flags] %s\n%s\nFlags:\n", cmd.name, cmd.args, cmd.help)
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		fmt.Print(ending)
		return nil, err
	case err != nil:
		return nil, wrongUsage{err}
	case late >= 0:
		return nil, wrongUsage{fmt.Errorf("unexpected argument %q; flags stand before the first argument, and a path with such a name is written ./%[1]s", c.args[late])}
	case len(c.args) < want:
		return nil, wrongUsage{fmt.Errorf("too few arguments: it takes %s", cmd.args)}
	case len(c.args) > want:
		return nil, wrongUsage{fmt.Errorf("unexpected argument %q", c.args[want])}
	case c.live && c.final:
		return nil, wrongUsage{errors.New("a pass is -live or -final")}
	case c.rate < 0 || c.rate<<20>>20 != c.rate || c.engine.Streams < 0:
		return nil, wrongUsage{errors.New("-rate and -streams are small positive numbers")}
	}
	return c, nil
}

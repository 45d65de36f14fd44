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
)

const usage = `usage: diskmove COMMAND [flags] ARGUMENT...

Diskmove copies block devices and disk images. What it wrote is read back and
checked, a copy that was cut off goes on with the same command, and where the
target has old content only what differs is moved.

Commands; diskmove COMMAND -h tells more:

`

const story = `
Moving the disk of a machine with a short stop, run where the disk shall be:

    diskmove copy -n host:/dev/vms/guest guest.img     what there is to do
    diskmove copy -live host:/dev/vms/guest guest.img  while the machine runs
    ... stop the machine ...
    diskmove copy -final host:/dev/vms/guest guest.img only what has changed
    diskmove verify host:/dev/vms/guest guest.img      the proof

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
	name, args, does string
	more             string // lines of help
	min, max         int    // how many arguments it takes
	flags            []func(*flag.FlagSet, *options)
	run              func(context.Context, *call) error
}

func commands() []command {
	engine := []func(*flag.FlagSet, *options){engineFlags}
	return []command{
		copyCommand(), verifyCommand(), sumCommand(), statusCommand(),
		{name: "agent send", args: "PATH", does: "is the far end of a copy from there", min: 1, max: 1, flags: engine, run: agentSend, more: agents},
		{name: "agent receive", args: "PATH", does: "is the far end of a copy to there", min: 1, max: 1, flags: engine, run: agentReceive, more: agents},
		{name: "agent look", args: "source|target PATH", does: "tells copy -n what there is", min: 2, max: 2, flags: engine, run: agentLook, more: agents},
	}
}

const agents = `Copy starts it through ssh, and speaks with it through standard input and output.
`

// A call is one command with its flags and arguments.
type call struct {
	options
	words          []string      // flags and arguments, as they were given
	given          *flag.FlagSet // which of the flags were
	args           []string
	stdin          io.ReadCloser
	stdout, stderr *os.File
}

// exit is the error of a command that has said everything already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// wrongUsage is an error in the command line.
type wrongUsage struct{ error }

func main() {
	// A copy that is cut off makes durable what it has, and tells the far end.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "diskmove: no command; diskmove -h tells more")
		return 2
	}
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		overview(os.Stdout)
		return 0
	}
	if args[0] == "agent" && len(args) > 1 {
		args = append([]string{"agent " + args[1]}, args[2:]...)
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		fmt.Fprintf(os.Stderr, "diskmove: unknown command %q; diskmove -h tells more\n", args[0])
		return 2
	}
	cmd := all[i]
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

func overview(w io.Writer) {
	fmt.Fprint(w, usage)
	for _, c := range commands() {
		fmt.Fprintf(w, "    %-32s %s\n", c.name+" "+c.args, c.does)
	}
	fmt.Fprint(w, story, ending)
}

func (cmd command) parse(args []string) (*call, error) {
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	c := &call{words: args, given: flags, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	flags.SetOutput(io.Discard)
	for _, define := range cmd.flags {
		define(flags, &c.options)
	}
	err := flags.Parse(args)
	c.args = flags.Args()
	late := slices.IndexFunc(c.args, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stdout)
		fmt.Printf("usage: diskmove %s [flags] %s\n\nIt %s.\n%s\nFlags:\n", cmd.name, cmd.args, cmd.does, cmd.more)
		flags.PrintDefaults()
		fmt.Print(ending)
		return nil, err
	case err != nil:
		return nil, wrongUsage{err}
	case late >= 0:
		return nil, wrongUsage{fmt.Errorf("unexpected argument %q; flags stand before the first argument, and a path with such a name is written ./%[1]s", c.args[late])}
	case len(c.args) < cmd.min:
		return nil, wrongUsage{fmt.Errorf("too few arguments: it takes %s", cmd.args)}
	case len(c.args) > cmd.max:
		return nil, wrongUsage{fmt.Errorf("unexpected argument %q", c.args[cmd.max])}
	case c.live && c.final:
		return nil, wrongUsage{errors.New("a pass is -live or -final")}
	}
	return c, nil
}

// Zonectl edits BIND zone files without losing a comment, has named load them,
// and waits until the world has seen the change.
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

	"github.com/rehost/rehost/zone"
)

const usage = `usage: zonectl COMMAND [flags] FILE [ARGUMENT...]

Zonectl edits BIND zone files, has named load them, and waits until the world
has seen the change. An edit touches the lines that it names and the serial, and
nothing else. One that changes nothing leaves the file alone, and one that would
break the zone is not written.

Commands; zonectl COMMAND -h tells more:

`

const story = `
Moving names to another address, from the first look to the last:

    zonectl check -old 198.51.100.25 db.example.net    what must change
    zonectl cutover db.example.net senate www          when, if begun now
    zonectl ttl db.example.net 5m                      it says what must drain
    zonectl reload db.example.net
    zonectl wait -drain 1d db.example.net              it says until when
    zonectl set -n db.example.net senate,www A 203.0.113.63
    zonectl set db.example.net senate,www A 203.0.113.63
    zonectl reload db.example.net
    zonectl diff db.example.net @203.0.113.63          the proof
    zonectl wait -drain 5m db.example.net              then switch off the old one
`

const ending = `
The zone's name is taken from that of FILE: db.NAME, NAME.zone, NAME.db or NAME.
Otherwise, give -origin. Flags stand before FILE. Problems are printed as
file:line:col: message.

Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 with -n: it would
change something; with diff: there are differences.
`

// A command is one of the things that zonectl does to a zone file.
type command struct {
	name, args, does string
	more             string // lines of help
	min, max         int    // how many arguments may follow FILE; a max of -1 is any number
	flags            []func(*flag.FlagSet, *options)
	run              func(context.Context, *call) error
}

// A call is one command with its flags and arguments.
type call struct {
	options
	file           string
	args           []string // after FILE
	stdout, stderr io.Writer
}

// exit is the error of a command that has said everything already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// wrongUsage is an error in the command line.
type wrongUsage struct{ error }

func main() {
	// A zone that is frozen while somebody presses ^C must be thawed.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "zonectl: no command; zonectl -h tells more")
		return 2
	}
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		overview(stdout)
		return 0
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		fmt.Fprintf(stderr, "zonectl: unknown command %q; zonectl -h tells more\n", args[0])
		return 2
	}
	cmd := all[i]
	c, err := cmd.parse(args[1:], stdout)
	if err == nil {
		c.stdout, c.stderr = stdout, stderr
		err = cmd.run(ctx, c)
	}
	code, usage := exit(1), wrongUsage{}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "zonectl %s: %v; zonectl %[1]s -h tells more\n", cmd.name, err)
		return 2
	case errors.As(err, &code):
	case placed(err): // editors want the place first
		fmt.Fprintln(stderr, err)
	default:
		fmt.Fprintf(stderr, "zonectl %s: %v\n", cmd.name, err)
	}
	return int(code)
}

// placed says whether an error begins with a place in a file.
func placed(err error) bool {
	var parse *zone.ParseError
	var problem zone.Problem
	return errors.As(err, &parse) || errors.As(err, &problem)
}

func commands() []command {
	return slices.Concat(readCommands(), editCommands(), serverCommands())
}

func overview(w io.Writer) {
	fmt.Fprint(w, usage)
	for _, c := range commands() {
		fmt.Fprintf(w, "    %-34s %s\n", c.name+" "+c.args, c.does)
	}
	fmt.Fprint(w, story, ending)
}

func (cmd command) parse(args []string, stdout io.Writer) (*call, error) {
	c := &call{}
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, define := range append(cmd.flags, commonFlags) {
		define(flags, &c.options)
	}
	err := flags.Parse(args)
	rest := flags.Args()
	late := slices.IndexFunc(rest, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stdout)
		fmt.Fprintf(stdout, "usage: zonectl %s [flags] %s\n\nIt %s.\n%s\nFlags:\n", cmd.name, cmd.args, cmd.does, cmd.more)
		flags.PrintDefaults()
		fmt.Fprint(stdout, ending)
		return nil, err
	case err != nil:
		return nil, wrongUsage{err}
	case len(rest) == 0:
		return nil, wrongUsage{errors.New("no FILE")}
	case late >= 0: // a -n after FILE must not be taken for data
		return nil, wrongUsage{fmt.Errorf("unexpected argument %q; flags stand before FILE", rest[late])}
	case len(rest)-1 < cmd.min:
		return nil, wrongUsage{fmt.Errorf("too few arguments: it takes %s", cmd.args)}
	case cmd.max >= 0 && len(rest)-1 > cmd.max:
		return nil, wrongUsage{fmt.Errorf("unexpected argument %q", rest[cmd.max+1])}
	}
	c.file, c.args = rest[0], rest[1:]
	if c.origin == "" {
		if c.origin = guessOrigin(c.file); c.origin == "" {
			return nil, wrongUsage{fmt.Errorf("the name of %s does not tell the zone's: give -origin", c.file)}
		}
	}
	return c, nil
}

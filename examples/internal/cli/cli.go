// Package cli is the frame of a small program that has commands: help that teaches,
// exit statuses that scripts can use, and output for people or for scripts.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// A Program is what its commands and its help make of it.
type Program struct {
	Name     string
	Help     string // all that -h prints but for the commands' own help
	Commands []Command
}

// A Command is one of the things that a program does.
type Command struct {
	Name string
	// Args names its arguments. One in brackets may be left out; dots behind the last
	// stand for any number of it.
	Args  string
	Help  string
	Flags func(*flag.FlagSet) // defines its flags; nil: it has none
	// Hangup leaves SIGHUP to the command, as daemons have it, where it ends others.
	Hangup bool
	Run    func(ctx context.Context, args []string) error
}

// ErrDiffers is the error of a command that has found, and said, that something is not
// as it should be. It exits with status 3.
var ErrDiffers = errors.New("there are differences")

// WrongUsage is an error in the command line. It exits with status 2.
type WrongUsage struct{ error }

// Usagef makes a WrongUsage.
func Usagef(format string, args ...any) error { return WrongUsage{fmt.Errorf(format, args...)} }

// Hostname is this machine's name without its domain, or "" if it has none.
func Hostname() string {
	name, _ := os.Hostname()
	name, _, _ = strings.Cut(name, ".")
	return name
}

const statuses = `
Flags stand before the arguments. Exit status: 0 done, 1 failed, 2 wrong usage,
3 something differs, or is not well; with -n, there is something to do.
`

// Main runs the program and ends it. What is under way when somebody presses ^C, or
// when the connection breaks by which the program was called, is told so, and not cut
// off. The second time it is.
func (p Program) Main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	command, _ := p.command(os.Args[1:])
	if !command.Hangup && !signal.Ignored(syscall.SIGHUP) { // as nohup(1) has it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	os.Exit(p.run(ctx, os.Args[1:]))
}

func (p Program) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprintf(os.Stderr, "%s: no command; %[1]s -h tells more\n", p.Name)
		return 2
	}
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		fmt.Print(p.Help, statuses)
		return 0
	}
	command, known := p.command(args)
	if !known {
		fmt.Fprintf(os.Stderr, "%s: unknown command %q; %[1]s -h tells more\n", p.Name, args[0])
		return 2
	}
	title := p.Name + " " + args[0]
	rest, err := command.parse(title, args[1:])
	if err == nil {
		err = command.Run(ctx, rest)
	}
	_, wrong := errors.AsType[WrongUsage](err)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case err == ErrDiffers:
		return 3
	case wrong:
		fmt.Fprintf(os.Stderr, "%s: %v; %[1]s -h tells more\n", title, err)
		return 2
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", title, err)
	return 1
}

// command is the one that the arguments begin with.
func (p Program) command(args []string) (Command, bool) {
	for _, c := range p.Commands {
		if len(args) > 0 && args[0] == c.Name {
			return c, true
		}
	}
	return Command{}, false
}

func (c Command) parse(title string, args []string) ([]string, error) {
	flags := flag.NewFlagSet(title, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if c.Flags != nil {
		c.Flags(flags)
	}
	err := flags.Parse(args)
	rest := flags.Args()
	least, most := c.counts()
	late := slices.IndexFunc(rest, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.help(title, flags)
		return nil, err
	case err != nil:
		return nil, WrongUsage{err}
	case late >= 0: // a -n after FILE must not be overlooked
		return nil, Usagef("unexpected argument %q; flags stand before %s", rest[late], c.Args)
	case len(rest) < least || len(rest) > most:
		return nil, Usagef("it takes %s; arguments given: %d", c.Args, len(rest))
	}
	return rest, nil
}

// counts tells how many arguments the command takes.
func (c Command) counts() (least, most int) {
	for _, name := range strings.Fields(c.Args) {
		if most++; !strings.HasPrefix(name, "[") {
			least++
		}
	}
	if strings.Contains(c.Args, "...") {
		most = math.MaxInt
	}
	return least, most
}

func (c Command) help(title string, flags *flag.FlagSet) {
	if c.Flags == nil {
		fmt.Printf("usage: %s %s\n\n%s%s", title, c.Args, c.Help, statuses)
		return
	}
	fmt.Printf("usage: %s [flags] %s\n\n%s\nFlags:\n", title, c.Args, c.Help)
	flags.SetOutput(os.Stdout)
	flags.PrintDefaults()
	fmt.Print(statuses)
}

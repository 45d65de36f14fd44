// Migrate renders the move of a machine from one file: the files that each phase
// installs on each host, the diffs against those that are there, and a runbook. It
// rehearses the move on this machine, and checks the real one while it is under way.
package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/internal/textfile"
)

// The sample move, so that the program shows what it does without arguments.
var (
	//go:embed senate.toml
	sampleMove []byte

	//go:embed all:testdata/present
	samplePresent embed.FS
)

const usage = `usage: migrate [-move FILE -in DIR] [-out DIR] [-json]
       migrate render [-move FILE -in DIR] [-out DIR] [-n] [-json]
       migrate check [-move FILE -in DIR] [-on HOST] [-json] [PHASE[.STEP]]

Migrate renders the move of a virtual machine and its services to other
hardware behind a WireGuard tunnel, and rehearses it on this machine.

It reads one move file and the machines' present files, and writes one folder
per phase and host, a diff for each file that is edited, and RUNBOOK.md, which
says what to do, what to check and how to go back. Then it makes the whole move
in small, here, and reports what held. It changes no machine. The rehearsal
takes half a minute, and 600 MiB of disk space below -out until it is over.
"migrate render" leaves it out; "migrate check" is for the move itself, and has
a help of its own.

Without -move it takes the sample move. For your own, copy the sample
(examples/migrate/senate.toml) and collect the present files, in a folder per
host:

    in/senate/etc/rc.conf
    in/senate/etc/pf.conf
    in/senate/etc/ifconfig.*, modules.conf, sysctl.conf, mygate, mygate6
    in/senate/etc/namedb/example.net
    in/garage/vm/senate/senate.conf
    in/ingress/etc/nginx/...
    in/ingress/etc/rc.local, sysctl.conf, sysctl.d/...
    in/ingress/etc/network/if-*/..., network/interfaces.d/wg0
    in/ingress/etc/iptables/...
    in/ingress/etc/wireguard/wg0.conf, with the private key: keep it to yourself

The guest's rc.conf and its zone file have to be there; another file that is
missing is taken for one that the machine does not have, and is started afresh.
Files that no phase edits or checks are passed over. A file that is wrong today,
or a value that cannot work, is reported with file and line, and nothing is
written.

Flags:
`

const exits = `
Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 something differs:
with -n, there is something to write; of a check, the phase must not go on.
`

func main() {
	// Who closes the terminal, or reads no further, is not to be left the rehearsal's disks.
	signal.Ignore(syscall.SIGPIPE)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup(1) has it
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // the second time it is cut off
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	command       string // "", render or check
	move, in, out string
	dry, json     bool
	check         checking
	args          []string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "migrate: %v; %s -h tells more\n", err, strings.TrimSpace("migrate "+opt.command))
		return 2
	}
	m, p, err := load(opt)
	if err != nil {
		fmt.Fprintf(stderr, "migrate: refused, nothing was written:\n%v\n", err)
		return 1
	}
	ok := false
	switch opt.command {
	case "check":
		ok, err = runChecks(ctx, m, p, opt, stdout)
	case "render":
		ok, err = deliver(ctx, p, opt, stdout, stderr)
	default:
		if ok, err = deliver(ctx, p, opt, stdout, stderr); err == nil {
			ok, err = true, rehearse(ctx, m, p, opt, stdout, stderr)
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "migrate: interrupted")
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "migrate: %v\n", err)
		return 1
	case !ok:
		return 3
	}
	return 0
}

func parseFlags(args []string, stdout io.Writer) (opt options, err error) {
	if len(args) > 0 && (args[0] == "render" || args[0] == "check") {
		opt.command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opt.move, "move", "", "the move `FILE`; without it, the sample move")
	flags.StringVar(&opt.in, "in", "", "`DIR` with the machines' present files; the sample has its own")
	flags.BoolVar(&opt.json, "json", false, "print the plan, or what a rehearsal or a check has found, as JSON")
	out, help, status := "`DIR` to write to", usage, exits
	if opt.command == "check" {
		out, help, status = "`DIR` that was written to", checkUsage, checkExits
		opt.check.flags(flags)
	}
	flags.StringVar(&opt.out, "out", "move-out", out)
	if opt.command == "render" {
		flags.BoolVar(&opt.dry, "n", false, "write nothing, print what would change as a diff")
	}
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, help)
		flags.PrintDefaults()
		fmt.Fprint(stdout, status)
	}
	opt.args = flags.Args()
	switch {
	case err != nil:
	case opt.command == "check":
		err = opt.check.parse(opt.args)
	case len(opt.args) > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case err != nil:
	case opt.out == "":
		err = errors.New("-out names no folder")
	case opt.move != "" && opt.in == "":
		err = errors.New("-move needs -in, the machines' present files")
	}
	return opt, err
}

// load reads the move file and the present files, and renders the plan.
func load(opt options) (*move.Move, *plan, error) {
	name, data := "senate.toml", sampleMove
	if opt.move != "" {
		var err error
		if data, err = os.ReadFile(opt.move); err != nil {
			return nil, nil, err
		}
		name = opt.move
	}
	m, err := move.Load(name, data)
	if err != nil {
		return nil, nil, err
	}
	present, err := readPresent(opt.in, m)
	if err != nil {
		return nil, nil, err
	}
	p, err := makePlan(m, present)
	if err == nil && opt.move != "" { // the sample's day is any
		p.late(m, time.Now())
	}
	return m, p, err
}

// readPresent reads the machines' present files, or the sample's.
func readPresent(in string, m *move.Move) (*machines, error) {
	files, done, err := presentFiles(in)
	if err != nil {
		return nil, err
	}
	defer done()
	if in == "" {
		in = samplePlace
	}
	return readMachines(in, files, m)
}

const samplePlace = "testdata/present"

// presentFiles are the machines' present files, or the sample's, until done is called.
func presentFiles(in string) (files fs.FS, done func() error, err error) {
	if in == "" {
		files, err = fs.Sub(samplePresent, samplePlace)
		return files, func() error { return nil }, err
	}
	root, err := os.OpenRoot(in) // no link leads out of it, into this machine's own /etc
	if err != nil {
		return nil, nil, err
	}
	return root.FS(), root.Close, nil
}

// deliver writes the plan; or in a dry run says what would be written, and reports
// whether all of it is there already.
func deliver(ctx context.Context, p *plan, opt options, stdout, stderr io.Writer) (ok bool, err error) {
	list := outputs(p)
	diff, err := differences(opt.out, list)
	if err != nil {
		return false, err
	}
	if !opt.dry {
		if err := write(ctx, opt.out, list); err != nil {
			return false, err
		}
	}
	switch {
	case opt.json && opt.command == "":
		// the rehearsal prints its report
	case opt.json:
		err = printJSON(stdout, p)
	case opt.dry:
		for _, warning := range p.Warnings { // not where patch(1) would read them
			fmt.Fprintln(stderr, warning)
		}
		_, err = io.WriteString(stdout, diff)
	default:
		err = describe(stdout, p, opt.out, list, diff != "")
	}
	return !opt.dry || diff == "", err
}

// describe tells a person what was written, and what to do next.
func describe(w io.Writer, p *plan, out string, list []textfile.Output, changed bool) error {
	printTree(w, out, list)
	other, err := strays(out, list)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, name := range other {
		fmt.Fprintf(w, "%s is not of this move and was left alone.\n", name)
	}
	for _, warning := range p.Warnings {
		fmt.Fprintln(w, warning)
	}
	if !changed {
		fmt.Fprintln(w, "All of it was there already.")
	}
	fmt.Fprintf(w, "Next: read %s and the diffs, then begin with phase 1. No machine was changed.\n", filepath.Join(out, "RUNBOOK.md"))
	return nil
}

// printJSON prints a value for a script.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

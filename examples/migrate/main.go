// Migrate renders the move of a machine from one file: the files that each phase
// installs on each host, the diffs against those that are there, and a runbook.
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
	"path/filepath"

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

const usage = `usage: migrate [-move FILE] [-in DIR] [-out DIR] [-n] [-json]

Migrate renders the move of a virtual machine and its services to other
hardware behind a WireGuard tunnel. It reads one move file and the machines'
present files, and writes one folder per phase and host, a diff for each file
that is edited, and RUNBOOK.md, which says what to do, what to check and how to
go back. It changes no machine.

Without -move it renders the sample move. To render your own, copy the sample
(examples/migrate/senate.toml) and collect the present files, in a folder per
host:

    in/senate/etc/rc.conf
    in/senate/etc/pf.conf
    in/senate/etc/ifconfig.*, modules.conf, sysctl.conf, mygate
    in/senate/etc/namedb/example.net
    in/garage/vm/senate/senate.conf
    in/ingress/etc/nginx/...
    in/ingress/etc/sysctl.d/...
    in/ingress/etc/wireguard/wg0.conf, with the private key: keep it to yourself

The guest's rc.conf and its zone file have to be there; another file that is
missing is started afresh, and files that no phase edits or checks are passed
over. A file that is wrong today, or a value that cannot work, is reported with
file and line, and nothing is written.

Flags:
`

const exits = `
Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 with -n: it would
change something.
`

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	move, in, out string
	dry, json     bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "migrate: %v; migrate -h tells more\n", err)
		return 2
	}
	p, err := load(opt)
	if err != nil {
		fmt.Fprintf(stderr, "migrate: refused, nothing was written:\n%v\n", err)
		return 1
	}
	differ, err := deliver(ctx, p, opt, stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "migrate: %v\n", err)
		return 1
	case opt.dry && differ:
		return 3
	}
	return 0
}

func parseFlags(args []string, stdout io.Writer) (opt options, err error) {
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opt.move, "move", "", "the move `FILE`; without it, the sample move")
	flags.StringVar(&opt.in, "in", "", "`DIR` with the machines' present files; the sample has its own")
	flags.StringVar(&opt.out, "out", "move-out", "`DIR` to write to")
	flags.BoolVar(&opt.dry, "n", false, "write nothing, print what would change as a diff")
	flags.BoolVar(&opt.json, "json", false, "print the plan as JSON")
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, usage)
		flags.PrintDefaults()
		fmt.Fprint(stdout, exits)
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opt.out == "":
		err = errors.New("-out names no folder")
	case opt.move != "" && opt.in == "":
		err = errors.New("-move needs -in, the machines' present files")
	}
	return opt, err
}

// load reads the move file and the present files, and renders the plan.
func load(opt options) (*plan, error) {
	name, data := "senate.toml", sampleMove
	if opt.move != "" {
		var err error
		if data, err = os.ReadFile(opt.move); err != nil {
			return nil, err
		}
		name = opt.move
	}
	m, err := move.Load(name, data)
	if err != nil {
		return nil, err
	}
	present, err := readPresent(opt.in, m)
	if err != nil {
		return nil, err
	}
	return makePlan(m, present)
}

// readPresent reads the machines' present files, or the sample's.
func readPresent(in string, m *move.Move) (*machines, error) {
	if in != "" {
		root, err := os.OpenRoot(in) // no link leads out of it, into this machine's own /etc
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return readMachines(in, root.FS(), m)
	}
	const dir = "testdata/present"
	sample, err := fs.Sub(samplePresent, dir)
	if err != nil {
		return nil, err
	}
	return readMachines(dir, sample, m)
}

// deliver writes the plan, or in a dry run says what would be written, and
// reports whether anything differs from what is there.
func deliver(ctx context.Context, p *plan, opt options, stdout io.Writer) (differ bool, err error) {
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
	case opt.json:
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(p)
	case opt.dry:
		_, err = io.WriteString(stdout, diff)
	default:
		err = report(stdout, p, opt.out, list, diff != "")
	}
	return diff != "", err
}

// report tells a person what was written, and what to do next.
func report(w io.Writer, p *plan, out string, list []textfile.Output, changed bool) error {
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

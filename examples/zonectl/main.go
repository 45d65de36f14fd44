// Zonectl edits BIND zone files without losing a comment, has named load them,
// and waits until the world has seen the change.
package main

import (
	"context"
	"flag"
	"slices"

	"github.com/rehost/rehost/examples/internal/cli"
)

const help = `usage: zonectl COMMAND [flags] FILE [ARGUMENT...]

Zonectl edits BIND zone files, has named load them, and waits until the world
has seen the change. An edit touches the lines that it names and the serial, and
nothing else. One that changes nothing leaves the file alone, and one that would
break the zone is not written.

Commands; zonectl COMMAND -h tells more:

    check FILE                     prints what is wrong with a zone
    list FILE [OWNER [TYPE]]       prints records as named serves them
    diff FILE OTHER|@SERVER        compares records with those of another file or a server
    set FILE OWNER TYPE DATA...    makes an RRset consist of the records given
    add FILE OWNER TYPE DATA...    adds records to an RRset
    rm FILE OWNER TYPE [DATA...]   removes records, or a whole RRset
    ttl FILE MAX                   lowers every TTL above a maximum, such as 5m
    bump FILE                      raises the serial
    reload FILE                    has named load the file, and makes sure that it did
    wait FILE [SERVER...]          waits until all servers have the file's serial
    cutover FILE NAME...           plans when names can move to another address

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

The zone's name is taken from that of FILE: db.NAME, NAME.zone, NAME.db or NAME.
Otherwise, give -origin.
`

func main() { program().Main() }

// A call is one command with its flags and arguments.
type call struct {
	options
	file string
	args []string // after FILE
}

func program() cli.Program {
	c := &call{}
	return cli.Program{Name: "zonectl", Help: help,
		Commands: slices.Concat(c.readCommands(), c.editCommands(), c.serverCommands())}
}

// defining has a command define the flags that all have, and its own.
func (c *call) defining(own ...func(*flag.FlagSet, *options)) func(*flag.FlagSet) {
	return func(flags *flag.FlagSet) {
		for _, define := range append(own, commonFlags) {
			define(flags, &c.options)
		}
	}
}

// on has a command run on FILE.
func (c *call) on(run func(context.Context, *call) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		c.file, c.args = args[0], args[1:]
		if c.origin == "" {
			c.origin = guessOrigin(c.file)
		}
		if c.origin == "" {
			return cli.Usagef("the name of %q does not tell the zone's: give -origin", c.file)
		}
		return run(ctx, c)
	}
}

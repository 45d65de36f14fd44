package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/zone"
)

func (c *call) readCommands() []cli.Command {
	return []cli.Command{
		{Name: "check", Args: "FILE", Flags: c.defining(oldFlag), Run: c.on(check),
			Help: `Check prints what is wrong with a zone. Errors are what named refuses or ignores,
and lead to exit status 3; warnings are what works, and is probably not meant.
`},
		{Name: "list", Args: "FILE [OWNER [TYPE]]", Flags: c.defining(), Run: c.on(list),
			Help: `List prints records as named serves them.
`},
		{Name: "diff", Args: "FILE OTHER|@SERVER", Flags: c.defining(keyFlag, timeoutFlag(time.Minute)), Run: c.on(diff),
			Help: `Diff compares records with those of another file or a server. Spelling and order
do not matter. A line with - is in FILE alone, one with + in OTHER, or at SERVER:
an address, with or without a port, that allows us a transfer.
`},
	}
}

func oldFlag(flags *flag.FlagSet, o *options) {
	flags.Func("old", "warn of each record that holds `ADDRESS`, also within a text; may be given several times", func(s string) error {
		a, err := netip.ParseAddr(s)
		o.old = append(o.old, a)
		return err
	})
}

func check(_ context.Context, c *call) error {
	f, err := c.open()
	problems, err := unreadable(err)
	if err != nil {
		return err
	}
	if f != nil {
		problems = append(problems, f.Check()...)
		for _, r := range f.References(c.old...) {
			problems = append(problems, zone.Problem{File: r.File, Line: r.Line, Col: 1, Message: fmt.Sprintf("%s %s holds an old address: %s", r.Owner, r.Type, r.Data)})
		}
		problems.Sort()
	}
	if err := c.print(problems, problems.String()); err != nil {
		return err
	}
	if problems.Err() != nil {
		return cli.ErrDiffers
	}
	return nil
}

// unreadable returns the mistakes for which a zone could not be read, or the
// error if it is another one.
func unreadable(err error) (zone.Problems, error) {
	all := zone.Problems{} // never null in JSON
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, e := range list {
		var parse *zone.ParseError
		if e == nil {
			continue
		}
		if !errors.As(e, &parse) {
			return nil, err
		}
		all = append(all, zone.Problem{File: parse.File, Line: parse.Line, Col: parse.Col, Severity: zone.Error, Message: parse.Err.Error()})
	}
	return all, nil
}

func list(_ context.Context, c *call) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	records := f.All()
	if len(c.args) > 0 {
		typ := "ANY"
		if len(c.args) > 1 {
			typ = c.args[1]
		}
		records = slices.Values(f.Lookup(c.args[0], typ))
	}
	out := []jsonRecord{}
	var text strings.Builder
	for r := range records {
		j := asJSON(r)
		out = append(out, j)
		fmt.Fprintf(&text, "%s\t%d\t%s\t%s\t%s\n", j.Owner, j.TTL, j.Class, j.Type, j.Data)
	}
	return c.print(out, text.String())
}

func diff(ctx context.Context, c *call) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	other, err := c.other(ctx)
	if err != nil {
		return err
	}
	changes := zone.Diff(f.All(), other)
	out := []jsonChange{}
	for _, ch := range changes {
		out = append(out, jsonChange{ch.Removed, asJSON(ch.Record)})
	}
	if err := c.print(out, changes.String()); err != nil {
		return err
	}
	if len(changes) > 0 {
		return cli.ErrDiffers
	}
	return nil
}

// other reads the zone to compare with.
func (c *call) other(ctx context.Context) (iter.Seq[zone.Record], error) {
	server, remote := strings.CutPrefix(c.args[0], "@")
	if !remote {
		f, err := zone.Open(c.args[0], c.origin, &zone.Options{Dir: c.dir})
		if err != nil {
			return nil, err
		}
		return f.All(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	key, err := c.tsig()
	if err != nil {
		return nil, err
	}
	addr, err := address(server)
	if err != nil {
		return nil, err
	}
	records, err := zone.AXFR(ctx, c.origin, addr, key)
	return slices.Values(records), err
}

// A jsonRecord is a record for scripts, which want TTLs in seconds.
type jsonRecord struct {
	Owner string `json:"owner"`
	TTL   int64  `json:"ttl"`
	Class string `json:"class"`
	Type  string `json:"type"`
	Data  string `json:"data"`
	File  string `json:"file,omitempty"` // empty for a record of a server
	Line  int    `json:"line,omitempty"`
}

func asJSON(r zone.Record) jsonRecord {
	return jsonRecord{r.Owner, int64(*r.TTL / time.Second), r.Class, r.Type, r.Data, r.File, r.Line}
}

type jsonChange struct {
	Removed bool       `json:"removed"` // in FILE alone; else in the other one alone
	Record  jsonRecord `json:"record"`
}

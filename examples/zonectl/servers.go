package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/zone"
)

func (c *call) serverCommands() []cli.Command {
	return []cli.Command{
		{Name: "reload", Args: "FILE", Flags: c.defining(rndcFlags, timeoutFlag(time.Minute)), Run: c.on(reload),
			Help: `Reload has named load the file, and makes sure that it did. It is done when at
least the file's serial is served: what rndc says counts for little.
`},
		{Name: "wait", Args: "FILE [SERVER...]", Flags: c.defining(waitFlags, keyFlag, timeoutFlag(time.Hour)), Run: c.on(wait),
			Help: `Wait waits until all servers have the file's serial. A newer serial will do. SERVER
is an address, with or without a port; without any, all addresses of the zone's NS
set are asked. What each has come to is told as it happens, on standard error, and
in the end as a table.
`},
		{Name: "cutover", Args: "FILE NAME...", Flags: c.defining(cutoverFlags), Run: c.on(cutover),
			Help: `Cutover plans when names can move to another address. Ask before the TTLs are
lowered.
`},
	}
}

func waitFlags(flags *flag.FlagSet, o *options) {
	flags.Func("min", "wait for this `SERIAL` and not the file's, as is needed where named signs the zone inline", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 32)
		serial := uint32(n)
		o.min = &serial
		return err
	})
	optionalTTL(flags, &o.drain, "drain", "the `TTL` of what was replaced: say until when caches hold it; keep that, as -json prints it, beside the zone")
}

func cutoverFlags(flags *flag.FlagSet, o *options) {
	flags.Func("at", "the `TIME` to move, as 2006-01-02T15:04:05Z or, in local time, 2006-01-02T15:04; without it, as soon as it is safe", func(s string) (err error) {
		if o.move.At, err = time.ParseInLocation("2006-01-02T15:04", s, time.Local); err != nil {
			o.move.At, err = time.Parse(time.RFC3339, s)
		}
		return err
	})
	ttl := func(to *time.Duration) func(string) error {
		return func(s string) (err error) { *to, err = zone.ParseTTL(s); return err }
	}
	flags.Func("low", "the `TTL` to which TTLs are lowered before; without it, 5m", ttl(&o.move.TTL))
	flags.Func("delay", "how long (a `TTL`) the servers may take to follow; without it, the SOA's refresh and retry", ttl(&o.move.Delay))
}

func reload(ctx context.Context, c *call) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	serial, err := f.Serial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.rndc.Reload(ctx, c.origin, serial); err != nil {
		return err
	}
	status, err := c.rndc.Status(ctx, c.origin)
	if err != nil {
		return err
	}
	if status.Serial != serial { // newer, or Reload had failed
		fmt.Fprintf(os.Stderr, "%s: warning: the file has serial %d, and %d was served before: nothing was loaded\n", c.file, serial, status.Serial)
	}
	text := fmt.Sprintf("%s: serial %d is served\n", status.Origin, status.Serial)
	if status.InlineSigning {
		text = fmt.Sprintf("%s: serial %d is loaded, and served signed as %d: wait -min %[3]d\n", status.Origin, status.Serial, status.Served())
	}
	return c.print(status, text)
}

// waited is what wait prints as JSON.
type waited struct {
	zone.Report
	Drain *zone.Drain `json:"drain,omitempty"`
}

func wait(ctx context.Context, c *call) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	serial, err := f.Serial()
	if err != nil {
		return err
	}
	if c.min != nil {
		serial = *c.min
	}
	key, err := c.tsig()
	if err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	servers, err := c.servers(patience, f)
	if err != nil {
		return err
	}
	report, failed := zone.WaitSerial(patience, c.origin, serial, servers, &zone.WaitOptions{
		Key: key, Changed: func(s zone.ServerState) { fmt.Fprintln(os.Stderr, s) },
	})
	out, text := waited{Report: report}, report.String()
	if c.drain != nil && failed == nil {
		d, _ := report.Drain(*c.drain)
		out.Drain, text = &d, text+d.String()+"\n"
	}
	return errors.Join(c.print(out, text), failed)
}

// servers are those to wait for.
func (c *call) servers(ctx context.Context, f *zone.File) ([]netip.AddrPort, error) {
	if len(c.args) == 0 {
		return f.Servers(ctx, nil)
	}
	var all []netip.AddrPort
	for _, server := range c.args {
		addr, err := address(server)
		if err != nil {
			return nil, err
		}
		all = append(all, addr)
	}
	return all, nil
}

func cutover(_ context.Context, c *call) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	c.move.Names = c.args
	plan, err := f.Cutover(c.move, time.Now())
	if err != nil {
		return err
	}
	return c.print(plan, plan.String())
}

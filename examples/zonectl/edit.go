package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/zone"
)

func (c *call) editCommands() []cli.Command {
	edits, withTTL := c.defining(editFlags), c.defining(editFlags, ttlFlag)
	const owners = `OWNER is absolute with its final dot, or relative to the zone, whose own name is
@. Several with commas between them are edited at once, under one new serial.
`
	const data = `Each DATA argument is one record: quote it, as in '10 mail' for an MX.
`
	return []cli.Command{
		{Name: "set", Args: "FILE OWNER TYPE DATA...", Flags: withTTL, Run: c.on(set),
			Help: `Set makes an RRset consist of the records given.
` + data + owners},
		{Name: "add", Args: "FILE OWNER TYPE DATA...", Flags: withTTL, Run: c.on(add),
			Help: `Add adds records to an RRset.
` + data + owners},
		{Name: "rm", Args: "FILE OWNER TYPE [DATA...]", Flags: edits, Run: c.on(rm),
			Help: `Rm removes records, or a whole RRset. Those that are not there are no error.
` + owners},
		{Name: "ttl", Args: "FILE MAX", Flags: edits, Run: c.on(lower),
			Help: `Ttl lowers every TTL above a maximum, such as 5m. It says how long caches may keep
what they have: wait -drain takes that.
`},
		{Name: "bump", Args: "FILE", Flags: edits, Run: c.on(bump),
			Help: `Bump raises the serial.
`},
	}
}

func set(ctx context.Context, c *call) error {
	return c.editRecords(ctx, (*zone.File).Replace)
}

func add(ctx context.Context, c *call) error {
	return c.editRecords(ctx, func(f *zone.File, _, _ string, records ...zone.Record) error {
		for _, r := range records {
			if err := f.Add(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func rm(ctx context.Context, c *call) error {
	return c.editRecords(ctx, func(f *zone.File, owner, typ string, records ...zone.Record) error {
		if len(records) == 0 {
			return f.Replace(owner, typ)
		}
		for _, r := range records {
			if _, err := f.Remove(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// editRecords calls edit for each owner with the records given, and saves once.
func (c *call) editRecords(ctx context.Context, edit func(f *zone.File, owner, typ string, records ...zone.Record) error) error {
	return c.edit(ctx, func(f *zone.File, _ *edited) error {
		typ := c.args[1]
		for owner := range strings.SplitSeq(c.args[0], ",") {
			var records []zone.Record
			for _, data := range c.args[2:] {
				records = append(records, zone.Record{Owner: owner, TTL: c.ttl, Type: typ, Data: data})
			}
			if err := edit(f, owner, typ, records...); err != nil {
				return err
			}
		}
		return nil
	})
}

func lower(ctx context.Context, c *call) error {
	limit, err := zone.ParseTTL(c.args[0])
	if err != nil {
		return cli.Usagef("%w", err)
	}
	return c.edit(ctx, func(f *zone.File, e *edited) error {
		old := int64(f.MaxTTL() / time.Second) // afterwards nobody knows any more
		e.OldTTL = &old
		_, err := f.LowerTTLs(limit)
		return err
	})
}

func bump(ctx context.Context, c *call) error {
	return c.edit(ctx, func(f *zone.File, _ *edited) error {
		_, err := f.Bump(c.serial, time.Now())
		return err
	})
}

// edited says what an edit has done, or would do.
type edited struct {
	File   string `json:"file"`
	Serial uint32 `json:"serial"`
	OldTTL *int64 `json:"old_ttl_seconds,omitempty"` // the longest before ttl lowered them
	Diff   string `json:"diff"`                      // "" if nothing changes
}

func (e edited) String() string {
	text := fmt.Sprintf("%s: serial %d", e.File, e.Serial)
	if e.Diff == "" {
		text = fmt.Sprintf("%s: nothing to change, serial %d", e.File, e.Serial)
	}
	if e.OldTTL != nil {
		text += fmt.Sprintf("; once it is served everywhere, caches keep the old TTLs for %s more", time.Duration(*e.OldTTL)*time.Second)
	}
	return text + "\n"
}

// edit reads the zone, calls change, raises the serial if anything has changed,
// and saves or, in a dry run, prints the diff.
func (c *call) edit(ctx context.Context, change func(*zone.File, *edited) error) error {
	do := func(ctx context.Context) error { return c.apply(ctx, change) }
	switch {
	case !c.frozen && c.rndc != zone.RNDC{}:
		return cli.Usagef("the flags of rndc need -frozen")
	case c.frozen && !c.dry:
		return c.rndc.WhileFrozen(ctx, c.origin, c.file, do)
	}
	return do(ctx)
}

func (c *call) apply(ctx context.Context, change func(*zone.File, *edited) error) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	broken := f.Check().Err() != nil // one that is mended, one mistake after the other
	e := edited{File: c.file}
	if err := change(f, &e); err != nil {
		return err
	}
	if f.Changes() != "" {
		if _, err := f.Bump(c.serial, time.Now()); err != nil {
			return err
		}
		if err := f.Check().Err(); err != nil && !broken {
			return fmt.Errorf("%w\nnothing was written", err)
		}
	}
	if e.Serial, err = f.Serial(); err != nil {
		return err
	}
	e.Diff = f.Changes()
	text := e.String()
	if c.dry {
		text = e.Diff
	} else if err := f.Save(ctx); err != nil {
		return err
	}
	if err := c.print(e, text); err != nil {
		return err
	}
	if c.dry && e.Diff != "" {
		return cli.ErrDiffers
	}
	return nil
}

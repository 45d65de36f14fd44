package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/cli"
)

const verifyHelp = `Verify compares a device or an image with a digest, or with another one. Each PATH may
be HOST:PATH, and is read where it is. It must not be in use. A device that is longer
than the image has another digest: copy prints the line to check it.
`

const statusHelp = `Status says how far a copy has come. Incomplete: the same command goes on. Dirty: a live
pass has ended, a final one must follow. Complete: the target holds what the source held.
`

func verify(ctx context.Context, c *call) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var digests [2]blockcopy.Digest
	var both sync.WaitGroup // they are often on different machines
	for i, arg := range c.args {
		both.Go(func() {
			d, err := c.digest(ctx, arg)
			if digests[i] = d; err != nil {
				cancel(err)
			}
		})
	}
	both.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if digests[0] != digests[1] {
		fmt.Printf("they differ: %s has %s, and not %s\n", c.args[0], digests[0], digests[1])
		return cli.ErrDiffers
	}
	_, err := fmt.Printf("%s  %s\n", digests[0], c.args[0])
	return err
}

// digest has it made where the bytes are.
func (c *call) digest(ctx context.Context, arg string) (d blockcopy.Digest, err error) {
	if d, err := blockcopy.ParseDigest(arg); err == nil {
		return d, nil
	}
	p, err := parsePlace(arg)
	switch {
	case err != nil:
		return d, err
	case p.host == "":
		return sum(ctx, p.path)
	}
	return d, c.ask(ctx, p, "sum", &d)
}

func sum(ctx context.Context, path string) (d blockcopy.Digest, err error) {
	src, err := blockcopy.OpenSource(path)
	if err != nil {
		return d, err
	}
	defer src.Close()
	return blockcopy.Sum(ctx, src)
}

func status(_ context.Context, c *call) error {
	r, err := blockcopy.ReadState(c.args[0])
	if err != nil {
		return err
	}
	s := map[string]any{"state": r.State.String(), "size": r.Size, "durable": r.Durable}
	digest := "none yet"
	if r.State != blockcopy.Incomplete {
		s["digest"], digest = r.Digest, r.Digest.String()
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(s)
	}
	_, err = fmt.Printf("state   %s\nsize    %s\ndone    %s\nBLAKE3  %s\n", s["state"], size(r.Size), size(r.Durable), digest)
	return err
}

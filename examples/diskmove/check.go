package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"

	"github.com/rehost/rehost/blockcopy"
)

func sumCommand() command {
	return command{name: "sum", args: "PATH", does: "prints the BLAKE3 digest of a device or an image, as b3sum does", min: 1, max: 1, run: sum}
}

func verifyCommand() command {
	return command{name: "verify", args: "PATH DIGEST|PATH", does: "compares a device or an image with a digest, or with another one", min: 2, max: 2, run: verify,
		flags: []func(*flag.FlagSet, *options){farFlags},
		more: `Each PATH may be HOST:PATH, and is read where it is. It must not be in use.
`}
}

func statusCommand() command {
	return command{name: "status", args: "JOURNAL", does: "says how far a copy has come", min: 1, max: 1, run: status,
		flags: []func(*flag.FlagSet, *options){jsonFlag},
		more: `Incomplete: the same command goes on. Dirty: a live pass has ended, a final one must
follow. Complete: the target holds what the source held.
`}
}

func sum(ctx context.Context, c *call) error {
	d, err := sumHere(ctx, c.args[0])
	if err == nil {
		_, err = fmt.Fprintln(c.stdout, sumLine(d, c.args[0]))
	}
	return err
}

func sumHere(ctx context.Context, path string) (blockcopy.Digest, error) {
	src, err := blockcopy.OpenSource(path)
	if err != nil {
		return blockcopy.Digest{}, err
	}
	defer src.Close()
	return blockcopy.Sum(ctx, src)
}

// sumAt has the digest made where the bytes are.
func (c *call) sumAt(ctx context.Context, p place) (blockcopy.Digest, error) {
	if p.host == "" {
		return sumHere(ctx, p.path)
	}
	out, err := c.ask(ctx, p.host, "sum", p.path)
	if err != nil {
		return blockcopy.Digest{}, err
	}
	digest, _, _ := strings.Cut(strings.TrimPrefix(string(out), `\`), " ")
	return blockcopy.ParseDigest(digest)
}

func verify(ctx context.Context, c *call) error {
	one, err := parsePlace(c.args[0])
	if err != nil {
		return err
	}
	type answer struct {
		digest blockcopy.Digest
		err    error
	}
	other := make(chan answer, 1)
	if d, err := blockcopy.ParseDigest(c.args[1]); err == nil {
		other <- answer{digest: d}
	} else if p, err := parsePlace(c.args[1]); err != nil {
		return err
	} else {
		go func() { // they are often on different machines
			d, err := c.sumAt(ctx, p)
			other <- answer{d, err}
		}()
	}
	got, err := c.sumAt(ctx, one)
	if err != nil {
		return err
	}
	want := <-other
	switch {
	case want.err != nil:
		return want.err
	case got != want.digest:
		return fmt.Errorf("they differ: %s has %s, and not %s", one, got, want.digest)
	}
	_, err = fmt.Fprintln(c.stdout, sumLine(got, c.args[0]))
	return err
}

func status(_ context.Context, c *call) error {
	r, err := blockcopy.ReadState(c.args[0])
	if err != nil {
		return err
	}
	s := struct {
		State   string            `json:"state"`
		Size    int64             `json:"size"`
		Durable int64             `json:"durable"`
		Digest  *blockcopy.Digest `json:"digest,omitempty"`
	}{State: stateName(r.State), Size: r.Size, Durable: r.Durable}
	digest := "none yet"
	if r.State != blockcopy.Incomplete {
		s.Digest, digest = &r.Digest, r.Digest.String()
	}
	if c.json {
		return json.NewEncoder(c.stdout).Encode(s)
	}
	_, err = fmt.Fprintf(c.stdout, "state   %s\nsize    %s\ndone    %s\nBLAKE3  %s\n", s.State, size(s.Size), size(s.Durable), digest)
	return err
}

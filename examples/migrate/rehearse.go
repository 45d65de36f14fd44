package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/rehearsal"
	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/textfile"
)

const (
	rehearsalDir = "rehearsal" // of the reports, below the folder of the plan
	workDir      = "work-*"    // of all that a rehearsal makes, below its own
)

// rehearse makes the move in small on this machine, prints what held, and leaves the
// report in the folder that the plan was written to. Its error is that a check failed, or
// that the rehearsal could not go on.
func rehearse(ctx context.Context, m *move.Move, p *plan, opt options, stdout, stderr io.Writer) error {
	present, closePresent, err := presentFiles(opt.in)
	if err != nil {
		return err
	}
	defer closePresent()
	out := filepath.Join(opt.out, rehearsalDir)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	defer os.Remove(out) // unless a report lies in it
	left, err := fs.Glob(os.DirFS(out), workDir)
	if err != nil {
		return err
	}
	for _, name := range left {
		fmt.Fprintf(stderr, "%s is left from a rehearsal that was killed, unless one still runs: remove it.\n", filepath.Join(out, name))
	}
	work, err := os.MkdirTemp(out, workDir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	show := newDisplay(stderr)
	rep, err := rehearsal.Run(ctx, rehearsal.Options{
		Move:     m,
		Phases:   phasesOf(p),
		ShortTTL: shortTTL,
		Present:  present,
		Rendered: os.DirFS(opt.out),
		Dir:      work,
		Progress: show.progress,
	})
	show.clear()
	if err != nil {
		return explain(err, out)
	}
	if err := save(ctx, out, rep); err != nil {
		return err
	}
	if opt.json {
		err = printJSON(stdout, rep)
	} else {
		err = rep.Text(stdout)
	}
	if n := rep.Count(report.Failed); n > 0 && err == nil {
		err = fmt.Errorf("%d of the rehearsal's checks failed; %s has them", n, filepath.Join(out, "report.json"))
	}
	return err
}

// explain says what a person can do for a rehearsal that could not go on.
func explain(err error, out string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w; the rehearsal needs 600 MiB of room in %s", err, out)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; the rehearsal needs 127.0.0.1, the address of the loopback interface", err)
	}
	return err
}

func phasesOf(p *plan) []rehearsal.Phase {
	var list []rehearsal.Phase
	for _, ph := range p.Phases {
		list = append(list, rehearsal.Phase{Dir: ph.Dir, Title: ph.Title})
	}
	return list
}

// save writes the report to a folder, for programs and for people.
func save(ctx context.Context, dir string, rep *report.Report) error {
	var data, page bytes.Buffer
	if err := errors.Join(printJSON(&data, rep), rep.Page(&page)); err != nil {
		return err
	}
	for _, o := range []textfile.Output{
		{Path: "report.json", Mode: 0o644, Data: data.Bytes()},
		{Path: "report.html", Mode: 0o644, Data: page.Bytes()},
	} {
		if _, err := o.Save(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/rehost/rehost/internal/textfile"
)

// JSON prints a value for a script.
func JSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// A Plan is what there is to do.
type Plan interface {
	Empty() bool
	String() string // a line for each change
}

// PrintPlan prints what was done; or in a dry run what there is to do, and returns
// ErrDiffers if there is something.
func PrintPlan(p Plan, dry, asJSON bool) error {
	var err error
	if asJSON {
		changes := []string{}
		for line := range strings.Lines(p.String()) {
			changes = append(changes, strings.TrimSuffix(line, "\n"))
		}
		err = JSON(struct {
			Empty   bool     `json:"empty"`
			Changes []string `json:"changes"`
		}{p.Empty(), changes})
	} else {
		err = printDiff(p.String())
	}
	if err == nil && dry && !p.Empty() {
		err = ErrDiffers
	}
	return err
}

// Install writes files below root, where they differ, and prints which, also if it
// could not write them all. In a dry run it prints what would change instead, and
// returns ErrDiffers if something would.
func Install(ctx context.Context, files []textfile.Output, root string, dry, asJSON bool) error {
	type file struct {
		textfile.Output
		Changed bool `json:"changed"`
	}
	list := []file{}
	var text strings.Builder
	var err error
	for _, o := range files { // all are looked at before one is written
		diff, err := o.Changes(root)
		if err != nil {
			return err
		}
		list = append(list, file{o, diff != ""})
		if dry {
			text.WriteString(diff)
		}
	}
	differs := slices.ContainsFunc(list, func(f file) bool { return f.Changed })
	if !dry {
		for i, f := range list {
			if list[i].Changed, err = f.Save(ctx, root); err != nil {
				list = list[:i]
				break
			}
			if list[i].Changed {
				fmt.Fprintln(&text, f.Output)
			}
		}
	}
	var printing error
	if asJSON {
		printing = JSON(list)
	} else {
		printing = printDiff(text.String())
	}
	if err = errors.Join(err, printing); err == nil && dry && differs {
		err = ErrDiffers
	}
	return err
}

// printDiff prints a text whose lines begin with + and - where something is new or
// old: in colour, if a person sees it.
func printDiff(text string) error {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		var b strings.Builder
		for line := range strings.Lines(text) {
			if colour := map[byte]string{'+': "\x1b[32m", '-': "\x1b[31m"}[line[0]]; colour != "" {
				line = colour + strings.TrimSuffix(line, "\n") + "\x1b[m\n"
			}
			b.WriteString(line)
		}
		text = b.String()
	}
	_, err := os.Stdout.WriteString(text)
	return err
}

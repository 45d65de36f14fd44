package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
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

// A Plan is what there is to do on a live system.
type Plan interface {
	Empty() bool
	String() string // a line for each change
}

// PrintPlan prints what there is to do, or was done.
func PrintPlan(p Plan, asJSON bool) error {
	if asJSON {
		changes := []string{}
		for line := range strings.Lines(p.String()) {
			changes = append(changes, strings.TrimSuffix(line, "\n"))
		}
		return JSON(struct {
			Empty   bool     `json:"empty"`
			Changes []string `json:"changes"`
		}{p.Empty(), changes})
	}
	return printDiff(p.String())
}

// Install writes files below root, where they differ, and prints which. In a dry run
// it prints what would change instead, and returns ErrDiffers if something would.
func Install(ctx context.Context, files []textfile.Output, root string, dry, asJSON bool) error {
	type file struct {
		textfile.Output
		Changed bool `json:"changed"`
	}
	list := []file{}
	var text strings.Builder
	differs := false
	for _, o := range files {
		diff, err := o.Changes(root)
		if err != nil {
			return err
		}
		changed := diff != ""
		if dry {
			text.WriteString(diff)
		} else if changed, err = o.Save(ctx, root); err != nil {
			return err
		} else if changed {
			fmt.Fprintln(&text, o)
		}
		differs = differs || changed
		list = append(list, file{o, changed})
	}
	var err error
	if asJSON {
		err = JSON(list)
	} else {
		err = printDiff(text.String())
	}
	if err == nil && dry && differs {
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

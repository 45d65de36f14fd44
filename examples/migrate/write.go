package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// outputs are the plan's files, below the folder that it is written to.
func outputs(p *plan) []textfile.Output {
	list := []textfile.Output{{Path: "RUNBOOK.md", Mode: 0o644, Data: runbook(p)}}
	for _, ph := range p.Phases {
		for _, s := range ph.Steps {
			for _, f := range s.Files {
				list = append(list, textfile.Output{Path: path.Join(ph.Dir, f.Dir, f.Path), Mode: f.Mode, Data: f.data, Link: f.Link})
				if f.Changes != "" {
					list = append(list, textfile.Output{Path: diffPath(ph.Dir, f), Mode: 0o644, Data: []byte(f.Changes)})
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b textfile.Output) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// diffPath keeps the diffs out of the hosts' folders, so that those hold what is
// installed and nothing else.
func diffPath(phase string, f rendered) string {
	return path.Join("diffs", phase, f.Dir, f.Path+".diff")
}

// write saves the outputs below dir.
func write(ctx context.Context, dir string, list []textfile.Output) error {
	for _, o := range list {
		if _, err := o.Save(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// differences returns what write would change below dir.
func differences(dir string, list []textfile.Output) (string, error) {
	var b strings.Builder
	for _, o := range list {
		text, err := o.Changes(dir)
		if err != nil {
			return "", fmt.Errorf("-out %s: %w", dir, err)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// strays returns the files in the outputs' folders that no output put there:
// those of another move, or of an older one. What lies beside the folders is
// somebody's own.
func strays(dir string, list []textfile.Output) ([]string, error) {
	var found []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		ours := func(o textfile.Output) bool { return strings.HasPrefix(o.Path, name+"/") }
		if name != "." && !strings.Contains(name, "/") && !slices.ContainsFunc(list, ours) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err == nil && !d.IsDir() && !slices.ContainsFunc(list, func(o textfile.Output) bool { return o.Path == name }) {
			found = append(found, filepath.Join(dir, name))
		}
		return err
	})
	return found, err
}

// printTree draws the outputs as a tree, as tree(1) does.
func printTree(w io.Writer, dir string, list []textfile.Output) {
	fmt.Fprintln(w, dir)
	paths := make([][]string, len(list))
	for i, o := range list {
		paths[i] = strings.Split(o.Path, "/")
	}
	printBranch(w, "", paths)
}

func printBranch(w io.Writer, indent string, paths [][]string) {
	for len(paths) > 0 {
		name := paths[0][0]
		n := 1
		for n < len(paths) && paths[n][0] == name {
			n++
		}
		branch, more := "├── ", "│   "
		if n == len(paths) {
			branch, more = "└── ", "    "
		}
		fmt.Fprintln(w, indent+branch+name)
		var below [][]string
		for _, p := range paths[:n] {
			if len(p) > 1 {
				below = append(below, p[1:])
			}
		}
		printBranch(w, indent+more, below)
		paths = paths[n:]
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
	"github.com/rehost/rehost/zone"
)

// installed is the check of a step that installs files: they are there as they were
// rendered, or as a later step replaces them.
func (st *station) installed(number, index int) []check {
	s := st.p.Phases[number-1].Steps[index]
	if s.Host == "" || len(s.Files) == 0 {
		return nil
	}
	return []check{{
		Text: fmt.Sprintf("The files of this step are on %s as they were rendered.", s.Host), On: s.Host, Files: true, How: "they are read and compared",
		Try: func(_ context.Context, st *station) (string, error) {
			var errs []error
			for _, f := range s.Files {
				err := st.compare(f)
				if err != nil && !slices.ContainsFunc(st.later(s.Host, f.Path, number, index), func(f rendered) bool { return st.compare(f) == nil }) {
					errs = append(errs, err)
				}
			}
			return fmt.Sprintf("%d of them", len(s.Files)), errors.Join(errs...)
		},
	}}
}

// later are the files with which later steps replace one.
func (st *station) later(host, path string, number, index int) []rendered {
	var list []rendered
	for i, ph := range st.p.Phases[number-1:] {
		for k, s := range ph.Steps {
			if s.Host != host || i == 0 && k <= index {
				continue
			}
			for _, f := range s.Files {
				if f.Path == path {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// undone is the check that the files which a phase installs are as they were before it.
func (st *station) undone(number int) []check {
	first := map[string][]rendered{}
	seen := map[string]bool{}
	for _, s := range st.p.Phases[number-1].Steps {
		for _, f := range s.Files {
			raised := f.Path == st.m.DNS.Zone // it goes back with a higher serial, never as it was
			if s.Host != "" && !raised && !seen[s.Host+f.Path] {
				seen[s.Host+f.Path] = true
				first[s.Host] = append(first[s.Host], f)
			}
		}
	}
	var checks []check
	for _, host := range []string{st.m.Guest.Name, st.m.Router.Name, st.m.Hypervisor.Name} {
		if len(first[host]) == 0 {
			continue
		}
		checks = append(checks, check{
			Text: fmt.Sprintf("The files of this phase are on %s as they were before.", host), On: host, Files: true, How: "they are read and compared",
			Try: func(_ context.Context, st *station) (string, error) {
				var errs []error
				for _, f := range first[host] {
					errs = append(errs, st.compareOld(f))
				}
				return fmt.Sprintf("%d of them", len(first[host])), errors.Join(errs...)
			},
		})
	}
	return checks
}

func (st *station) compareOld(f rendered) error {
	if f.before == nil {
		link := st.link(f.Path)
		_, err := os.Lstat(link)
		if err == nil {
			return fmt.Errorf("%s: it is still there, and was not before: remove it", link)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	path := st.path(f.Path)
	data, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(data, f.before) {
		return fmt.Errorf("%s:%d: it is not as it was before: put the old file back", path, firstDifference(textfile.Lines(data), textfile.Lines(f.before))+1)
	}
	return missing(err, "put the old file back")
}

// firstDifference is the index of the first line that is another, or is missing.
func firstDifference(is, want []string) int {
	n := 0
	for n < len(is) && n < len(want) && is[n] == want[n] {
		n++
	}
	return n
}

// compare says in which line a file is not what was rendered.
func (st *station) compare(f rendered) error {
	path := st.path(f.Path)
	if f.Link != "" {
		path = st.link(f.Path)
		to, err := os.Readlink(path)
		if err == nil && to != f.Link {
			err = fmt.Errorf("%s: it leads to %s: make it a link to %s", path, to, f.Link)
		}
		return missing(err, "make it a link to "+f.Link)
	}
	info, err := os.Stat(path)
	if err != nil {
		return missing(err, "install it")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if st.edited(f, data) {
		return nil
	}
	if err := differs(path, data, f); err != nil {
		return err
	}
	if have := info.Mode().Perm(); have != f.Mode.Perm() {
		return fmt.Errorf("%s: its mode is %04o: chmod %04o", path, have, f.Mode.Perm())
	}
	return nil
}

// edited says that the zone has changed since the phase, which its serial tells: other
// checks look at its records.
func (st *station) edited(f rendered, data []byte) bool {
	if f.Path != st.m.DNS.Zone {
		return false
	}
	serial := func(data []byte) (uint32, error) {
		z, err := zone.Parse(f.Path, st.m.Domain, data)
		if err != nil {
			return 0, err
		}
		return z.Serial()
	}
	is, err := serial(data)
	was, err2 := serial(f.data)
	newer, ok := zone.CompareSerial(is, was)
	return err == nil && err2 == nil && ok && newer > 0
}

func missing(err error, what string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", err, what)
	}
	return err
}

// differs names the first line that is another. What not everybody may read is not
// shown.
func differs(path string, have []byte, f rendered) error {
	if bytes.Equal(have, f.data) {
		return nil
	}
	is, want := textfile.Lines(have), textfile.Lines(f.data)
	n := firstDifference(is, want)
	place := fmt.Sprintf("%s:%d: ", path, n+1)
	lost := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return slices.Contains(is, line) })
	kept := !slices.ContainsFunc(is, func(line string) bool { return !slices.Contains(want, line) })
	switch {
	case n < len(is) && n < len(want) && is[n] == strings.TrimSuffix(want[n], "\n"):
		return errors.New(place + "the last line has no newline, and programs that read by lines pass it over: install the rendered file again")
	case kept && len(lost) > 0 && len(is) > 0 && f.Mode.Perm()&0o077 != 0:
		return fmt.Errorf("%s%s, from %q on: was it written with > and not with >>? Install the rendered file", place, plural(len(lost), "line is gone", "lines are gone"), strings.TrimSpace(lost[0]))
	case f.Mode.Perm()&0o077 != 0 && n < len(is) && n < len(want):
		return fmt.Errorf("%sit says %q, and was rendered as %q: install the rendered file, or collect this one and render again", place,
			strings.TrimSpace(is[n]), strings.TrimSpace(want[n]))
	}
	return errors.New(place + "it is not as it was rendered from here on: install the rendered file, or collect this one and render again")
}

// path is where a file of the machine is. On a disk that is mounted elsewhere, an absolute
// link leads to a file of that disk, as it does on the machine, and none leads out of it.
func (st *station) path(file string) string {
	if st.root == "/" {
		return filepath.FromSlash(file)
	}
	const manyLinks = 255 // a loop
	at, rest := "/", strings.Split(file, "/")
	leaves := false // this machine would go elsewhere
	for links := 0; len(rest) > 0 && links < manyLinks; {
		leaves = leaves || at == "/" && rest[0] == ".."
		next := path.Join(at, rest[0])
		rest = rest[1:]
		to, err := os.Readlink(filepath.Join(st.root, next))
		if err != nil {
			at = next
			continue
		}
		if links++; path.IsAbs(to) {
			at, leaves = "/", true
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	switch {
	case len(rest) > 0:
		return "" // which is no file
	case leaves:
		return filepath.Join(st.root, at)
	}
	return filepath.Join(st.root, file)
}

// link is where a file is that may be a link itself.
func (st *station) link(file string) string {
	return filepath.Join(st.path(path.Dir(file)), path.Base(file))
}

// stay is that no file below a folder leads out of a disk that is mounted elsewhere: for
// those who read files by themselves, and follow links as this machine does.
func (st *station) stay(folder string, reads func(name string) bool) error {
	if st.root == "/" {
		return nil
	}
	folder, err := filepath.EvalSymlinks(st.path(folder)) // which stays where path leads
	if err != nil {
		return err
	}
	return filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink == 0 || !reads(d.Name()) {
			return err
		}
		to, err := os.Readlink(name)
		if err == nil && (filepath.IsAbs(to) || !filepath.IsLocal(to)) {
			return untried(fmt.Sprintf("%s leads to %s, which may be this machine's own: look at it on %s itself", name, to, st.host))
		}
		return err
	})
}

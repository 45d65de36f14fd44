package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// runbook is the plan as a page to follow: every step in order, with what to
// install, run and check, and the way back of each phase.
func runbook(p *plan) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# The move of %s\n\n", p.Guest)
	b.WriteString("One phase after the other, one step after the other. Do not go on while a check fails: a phase can be left standing over night, but for the disk: from its stop on, nothing answers until the first boot. Each has a way back. " +
		"Commands are for root, in sh. Words in capitals, such as SERVER, are yours to fill in.\n\n" +
		"Files are installed from the phase's folder, at the path that is named; `diffs` shows what changes in those that exist. " +
		"Keep the old one first, for phase 2 by `mkdir -p /root/before/2 && cp -p FILE /root/before/2/`: the way back needs it, and a copy beside it would be read too in some folders. Where there was no old one, to put it back is to remove the new one. If it is not what the diff starts from, somebody has changed it since: collect it and render again.\n\n" +
		"The programs that are called are in this module's folder. On a machine with Go, this builds all of them; where a step calls one, it goes to /usr/local/bin there:\n\n")
	code(&b, []string{"for os in netbsd linux freebsd; do GOOS=$os GOARCH=amd64 go build -o bin/$os/ ./examples/...; done"})
	b.WriteString("\n`migrate check -move MOVE-FILE -in PRESENT-FILES 2`, on each machine, tries the checks of phase 2 as far as it can from there, and with `-back` those of its way back. " +
		"Both arguments are those of the rendering, and are left out below. Of the present files, a machine needs no other's secrets: take lines with PrivateKey out first. `migrate check -h` tells more.\n")
	for i, ph := range p.Phases {
		fmt.Fprintf(&b, "\n## %d. %s\n\n%s\n", i+1, ph.Title, ph.Goal)
		for k, s := range ph.Steps {
			fmt.Fprintf(&b, "\n### %d.%d %s\n\n", i+1, k+1, s.Title)
			if s.Host != "" {
				fmt.Fprintf(&b, "On **%s**. ", s.Host)
			}
			fmt.Fprintf(&b, "%s\n", s.Do)
			s.write(&b, ph.Dir)
		}
		fmt.Fprintf(&b, "\nIs the phase done? `migrate check %d` %s.\n", i+1, where(ph.placesOf()))
		list(&b, "Way back", ph.Back)
		list(&b, "Check after the way back", texts(ph.BackCheck))
		if len(ph.BackCheck) > 0 {
			files := ""
			if slices.ContainsFunc(ph.Steps, func(s step) bool { return s.Host != "" && len(s.Files) > 0 }) {
				files = ", and looks for the files as they were before"
			}
			fmt.Fprintf(&b, "\n`migrate check -back %d` tries these%s.\n", i+1, files)
		}
	}
	var warnings []string
	for _, w := range p.Warnings {
		warnings = append(warnings, w.Error())
	}
	list(&b, "Worth a look", warnings)
	return []byte(b.String())
}

func (s step) write(b *strings.Builder, dir string) {
	if len(s.Show) > 0 {
		b.WriteString("\n")
		code(b, s.Show)
	}
	var files []string
	for _, f := range s.Files {
		line := fmt.Sprintf("`%s` (%04o) from `%s`", f.Path, f.Mode, path.Join(dir, f.Dir, f.Path))
		if s.Host == "" { // a file that a command below reads
			line = "`" + path.Join(dir, f.Dir, f.Path) + "`"
		}
		if f.Link != "" {
			line = fmt.Sprintf("`%s`, a link to `%s`", f.Path, f.Link)
		}
		if f.Changes != "" {
			line += fmt.Sprintf(", [diff](%s)", diffPath(dir, f))
		}
		files = append(files, line)
	}
	title := "Install"
	if s.Host == "" {
		title = "With"
	}
	list(b, title, files)
	for _, a := range s.Add {
		fmt.Fprintf(b, "\nAdd to %s:\n\n", a.To)
		code(b, a.Lines)
	}
	if len(s.Run) > 0 {
		b.WriteString("\nRun:\n\n")
		code(b, s.Run)
	}
	list(b, "Check", texts(s.Check))
}

// placesOf are the machines that the checks of a phase are tried on.
func (ph phase) placesOf() []string {
	var list []string
	add := func(host string) {
		if host != "" && !slices.Contains(list, host) {
			list = append(list, host)
		}
	}
	for _, s := range ph.Steps {
		if len(s.Files) > 0 {
			add(s.Host)
		}
		for _, c := range s.Check {
			if c.Try != nil {
				add(c.On)
			}
		}
	}
	return list
}

// where says so.
func where(places []string) string {
	last := len(places) - 1
	if last < 0 {
		return "anywhere"
	}
	if last == 0 {
		return "on " + places[0]
	}
	return "on " + strings.Join(places[:last], ", on ") + " and on " + places[last]
}

func texts(checks []check) []string {
	var list []string
	for _, c := range checks {
		list = append(list, c.Text)
	}
	return list
}

func list(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n\n", title)
	for _, item := range items {
		fmt.Fprintf(b, "- %s\n", item)
	}
}

func code(b *strings.Builder, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(b, "    %s\n", line)
	}
}

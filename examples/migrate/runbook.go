package main

import (
	"fmt"
	"path"
	"strings"
)

// runbook is the plan as a page to follow: every step in order, with what to
// install, run and check, and the way back of each phase.
func runbook(p *plan) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# The move of %s\n\n", p.Guest)
	b.WriteString("One phase after the other, one step after the other. Do not go on while a check fails: a phase can be left standing over night, but for the disk: from its stop on, nothing answers until the first boot. Each has a way back. " +
		"Commands are for root. Words in capitals, such as SERVER, are yours to fill in.\n\n" +
		"Files are installed from the phase's folder, at the path that is named; `diffs` shows what changes in those that exist. " +
		"Keep the old one first (`cp -p`): the way back needs it. If it is not what the diff starts from, somebody has changed it since: collect it and render again.\n")
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
		list(&b, "Way back", ph.Back)
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
	list(b, "Check", s.Check)
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

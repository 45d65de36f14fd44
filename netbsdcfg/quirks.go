package netbsdcfg

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Check reports what rc.d/network loses, misreads or reads in a way that is
// probably not meant, and what the programs it runs would refuse:
//
//   - a last line without a newline, or that ends in a backslash, is lost
//   - a carriage return becomes part of the last word
//   - a comment that ends in a backslash swallows the next line, also one that
//     follows a command; elsewhere a
//     backslash joins lines with no space between, and also works with blanks
//     after it
//   - "dhcp" and "create" are passed to ifconfig if a comment follows
//   - blanks in quotes collapse; ; $VAR and `…` are for the shell; a quote that
//     is not closed loses the line
//   - a ! command that reads its standard input eats the rest of the file, and
//     one with * ? or [ looks for file names
//   - an IPv4 address without alias replaces the first one; without netmask it
//     has that of its class
//   - wgconfig commands that ValidateWGConfig refuses, and peers that the kernel
//     refuses because of another peer of the file
//   - a default route to a gateway in no prefix of the file, one into the tunnel
//     without a host route to the endpoint before it, an endpoint in the tunnel
//
// A file alone does not know the prefixes and routes of other interfaces;
// Host.Check does, and says nothing of a gateway or a host route that is there.
func (f *Ifconfig) Check() Problems { return f.check(true) }

// check leaves what depends on other interfaces to the caller, unless the file
// is alone.
func (f *Ifconfig) check(alone bool) Problems {
	c := &checker{f: f, iface: f.iface(), alone: alone}
	entries := f.read(c.iface)
	for i, e := range entries {
		c.joins(e)
		switch {
		case e.lost:
			c.lost(e)
		case e.taken || skipped(e.text):
		case e.err != nil:
			c.report(e.first, 0, Error, "sh refuses the line and runs none of it: %v: mend or quote that", e.err)
		case e.text[0] == '!':
			c.shellLine(e)
		default:
			c.ifconfigLine(e)
		}
		c.hungry(e, entries[i+1:])
	}
	c.returns(entries)
	c.commands(entries)
	c.problems.Sort()
	return c.problems
}

type checker struct {
	f        *Ifconfig
	iface    string
	alone    bool
	problems Problems
}

// report adds a problem at a line, from 0, and a column, from 1.
func (c *checker) report(line, col int, severity Severity, format string, args ...any) {
	c.problems = append(c.problems, Problem{
		File: c.f.file.Name(), Line: line + 1, Col: col, Severity: severity, Message: fmt.Sprintf(format, args...),
	})
}

// joins looks at the lines of which an entry is made.
func (c *checker) joins(e entry) {
	comment := -1
	if e.end > e.first+1 && strings.Contains(e.text, "#") {
		comment = newShell(c.iface).comment(e.text)
	}
	length := 0 // of the text up to here
	for i := e.first; i < e.end; i++ {
		raw := strings.TrimSuffix(c.f.lines[i], "\n")
		if at := strings.IndexByte(raw, 0); at >= 0 {
			c.report(i, at+1, Error, "a NUL byte, which sh drops: remove it")
		}
		if i+1 == e.end {
			return
		}
		head := strings.TrimSuffix(trimBlanks(raw), `\`)
		next := c.f.lines[i+1]
		follows := trimBlanks(strings.TrimSuffix(next, "\n"))
		if trimBlanks(raw) != strings.TrimLeft(raw, " \t") {
			c.report(i, strings.LastIndexByte(raw, '\\')+1, Warning, "the backslash continues the line, though blanks follow it: remove them, or the backslash")
		}
		length += len(head)
		switch {
		case follows == "" || head == "":
		case comment >= 0 && comment < length:
			if follows[0] != '#' {
				c.report(i+1, 0, Error, "is part of the comment above, which ends in a backslash: remove that")
			}
		case !isBlank(rune(head[len(head)-1])) && isBlank(rune(next[0])):
			c.report(i, strings.LastIndexByte(raw, '\\')+1, Error, "joins the next line with no space between: write a blank before the backslash")
		}
	}
}

// lost reports a last line that the script never sees, if it says anything.
func (c *checker) lost(e entry) {
	switch last := c.f.lines[e.end-1]; {
	case skipped(e.text):
	case strings.HasSuffix(last, "\n") || strings.HasSuffix(trimBlanks(last), `\`):
		c.report(e.first, 0, Error, "the file ends in a backslash, and this line is lost: remove the backslash")
	default:
		c.report(e.first, 0, Error, "the last line has no newline and is lost: end it with one")
	}
}

// returns reports carriage returns at the ends of lines, once.
func (c *checker) returns(entries []entry) {
	first, count := 0, 0
	for _, e := range entries {
		if strings.HasSuffix(e.text, "\r") && e.text[0] != '#' {
			if count == 0 {
				first = e.end - 1
			}
			count++
		}
	}
	if count > 0 {
		col := strings.LastIndexByte(c.f.lines[first], '\r') + 1
		c.report(first, col, Error, "a carriage return at the end becomes part of the last word: write lines that end in LF only (lines: %d)", count)
	}
}

// shellLine looks at a line that is sh text.
func (c *checker) shellLine(e entry) {
	if e.tree == nil {
		return
	}
	for _, stmt := range e.tree.Stmts {
		call, ok := stmt.Cmd.(*syntax.CallExpr)
		if !ok {
			continue
		}
		for _, word := range call.Args {
			for _, part := range word.Parts {
				if lit, ok := part.(*syntax.Lit); ok && hasPattern(lit.Value) {
					c.report(e.first, c.column(e, len("!")+int(word.Pos().Offset())), Warning,
						"sh looks for files that match this word; quote it if they are not meant")
					return
				}
			}
		}
	}
}

// hasPattern reports whether unquoted text has a character of a file name
// pattern.
func hasPattern(text string) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

// ifconfigLine looks at a line that the shell reads once more.
func (c *checker) ifconfigLine(e entry) {
	if len(e.argvs) == 1 && len(e.argvs[0]) == 3 && e.text != "dhcp" {
		if word := e.argvs[0][2]; word == "dhcp" || word == "create" {
			c.report(e.first, 0, Error, "is not exactly %q, and is passed to ifconfig: write nothing else on the line", word)
		}
	}
	if !strings.ContainsAny(e.text, "'\"\\$`;&|<>()") {
		return
	}
	// The text before the split at blanks, for what the split has done to it.
	const set = "set -- "
	sh := newShell(c.iface)
	whole := sh.parse(set + e.text)
	if whole.tree == nil {
		return
	}
	if argv, _ := sh.plain(whole.tree.Stmts[0], false); argv != nil && len(e.argvs) > 0 {
		if run := e.argvs[len(e.argvs)-1]; !slices.Equal(argv[2:], run[2:]) {
			c.report(e.first, 0, Error, "blanks collapse to one, also in quotes, and ifconfig gets %q: write '' between two blanks", run[2:])
		}
	}
	if node, pos := acted(whole.tree); pos.IsValid() {
		c.report(e.first, c.column(e, int(pos.Offset())-len(set)), Warning, "sh acts on %s before ifconfig sees the line: quote it if that is not meant", node)
	}
}

// acted finds the first place where sh does more than to split words.
func acted(tree *syntax.File) (what string, pos syntax.Pos) {
	found := func(w string, p syntax.Pos) {
		if !pos.IsValid() || p.Offset() < pos.Offset() {
			what, pos = w, p
		}
	}
	for _, stmt := range tree.Stmts {
		if stmt.Semicolon.IsValid() {
			found("; or &", stmt.Semicolon)
		}
	}
	syntax.Walk(tree, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.ParamExp:
			if !isInt(node) {
				found("$", node.Pos())
			}
		case *syntax.CmdSubst:
			found("a command substitution", node.Pos())
		case *syntax.ArithmExp:
			found("$((", node.Pos())
		case *syntax.Redirect:
			found("a redirection", node.Pos())
		case *syntax.BinaryCmd:
			found(node.Op.String(), node.OpPos)
		}
		return true
	})
	return what, pos
}

// column returns the column of a place in an entry that is one line, else 0. The
// place is an offset in the text as it was encoded for the parser.
func (c *checker) column(e entry, at int) int {
	start := strings.Index(c.f.lines[e.first], e.text)
	if start < 0 || e.end > e.first+1 {
		return 0
	}
	return start + len(plainText(encode(e.text)[:at])) + 1
}

// hungry reports a command that reads the lines after it.
func (c *checker) hungry(e entry, rest []entry) {
	if e.input == takesNothing {
		return
	}
	eaten := 0
	for _, r := range rest {
		if !r.taken {
			break
		}
		if !skipped(r.text) {
			eaten++
		}
	}
	switch {
	case e.input == takesSome:
		c.report(e.first, 0, Warning, "may read its standard input, which is the rest of this file: give it </dev/null")
	case eaten == 0:
		c.report(e.first, 0, Warning, "reads its standard input, which is the rest of this file, and there is none: give it another")
	case e.input == takesLine:
		c.report(e.first, 0, Error, "reads the next line as its input, which is not run: give it another")
	default:
		c.report(e.first, 0, Error, "reads the rest of this file as its input, which is not run: give it another (lines: %d)", eaten)
	}
}

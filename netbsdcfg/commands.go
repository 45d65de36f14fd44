package netbsdcfg

import (
	"strings"
)

// A Command is one command that rc.d/network runs for a file.
type Command struct {
	// Line is where the command's line begins in the file, from 1.
	Line int

	// Argv is the program and its arguments. ifconfig and dhcpcd are named
	// without the /sbin/ that the script writes before them.
	Argv []string

	// Shell, if not empty, is text for sh(1) instead, and Argv is nil: which
	// programs it runs, and with which arguments, only execution could tell. It
	// may use $int.
	Shell string
}

// Commands returns the commands that rc.d/network runs for the file, in order,
// when it configures the interface iface, such as "wg0". Nothing is executed.
//
//   - A line is read as "while read -r" reads it, after collapse_backslash_newline
//     of rc.subr: a backslash at the end joins lines, blanks at both ends go, a
//     last line without newline is never seen.
//   - Blank lines, lines that begin with # and the line "create" are skipped.
//   - The line "dhcp" runs "dhcpcd -n IFACE", unless rc.conf has dhcpcd=YES,
//     with $dhcpcd_flags in between.
//   - A line that begins with ! is sh text. A command that reads its standard
//     input takes the lines that follow, and they are not run. That is known of
//     common programs: cat, head, md5, sh, sort, ssh, tail, tee, tr, uniq, wc,
//     wg-keygen --pub, xargs, and read of sh.
//   - Any other line becomes the arguments of ifconfig, after the shell has
//     split it, joined it with single blanks and read it again.
//
// A line that sh refuses runs nothing, and the next one is read. Whether a
// command succeeds makes no difference to those that follow.
//
// Words, quotes, $int, comments and commands after ; are understood; whatever
// else a line holds ($VAR, $(…), pipes, &&, redirections, file name patterns
// after !, builtins that change the shell) makes the rest of it a Shell command.
func (f *Ifconfig) Commands(iface string) []Command {
	var cmds []Command
	for _, e := range f.read(iface) {
		cmds = append(cmds, e.cmds...)
	}
	return cmds
}

// An entry is what the script's loop reads in one turn: a line, or several that
// a backslash joins, and what it makes of it.
type entry struct {
	first, end int    // lines[first:end]
	text       string // joined, without blanks at both ends
	lost       bool   // the input ends before its newline: the loop never sees it
	taken      bool   // an earlier command reads it as its input
	reading           // nothing, if lost or taken
	cmds       []Command
}

// read reads the whole file as the script does.
func (f *Ifconfig) read(iface string) []entry {
	entries := f.entries()
	sh := newShell(iface)
	var hunger appetite
	for i := range entries {
		e := &entries[i]
		if hunger == takesLine || hunger == takesAll {
			e.taken = true
			if hunger == takesLine {
				hunger = takesNothing
			}
			continue
		}
		if e.lost {
			continue
		}
		e.reading = sh.line(e.text)
		for _, argv := range e.argvs {
			e.cmds = append(e.cmds, Command{Line: e.first + 1, Argv: argv})
		}
		if e.shell != "" {
			e.cmds = append(e.cmds, Command{Line: e.first + 1, Shell: e.shell})
		}
		hunger = e.input
	}
	return entries
}

// entries joins and trims lines as two loops of "read -r" do, that of
// collapse_backslash_newline and the one behind it. read(1) drops NUL bytes,
// trims blanks before the backslash at the end is looked for, and returns
// failure for a line without newline, which ends either loop.
func (f *Ifconfig) entries() []entry {
	entries := make([]entry, 0, len(f.lines))
	var joined strings.Builder
	first := 0
	for i, raw := range f.lines {
		line, complete := strings.CutSuffix(raw, "\n")
		line = trimBlanks(strings.ReplaceAll(line, "\x00", ""))
		head, open := strings.CutSuffix(line, `\`)
		joined.WriteString(head)
		if open && i+1 < len(f.lines) {
			continue
		}
		entries = append(entries, entry{
			first: first, end: i + 1,
			text: trimBlanks(joined.String()),
			lost: open || !complete,
		})
		joined.Reset()
		first = i + 1
	}
	return entries
}

// trimBlanks removes what the shell's IFS removes from both ends of a line.
func trimBlanks(s string) string { return strings.Trim(s, " \t") }

// skipped reports whether the script passes over the line.
func skipped(text string) bool {
	return text == "" || text[0] == '#' || text == "create"
}

package netbsdcfg

import (
	"path"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// edit makes a change, unless what it is to reach is there already. It works on
// a copy, so that one that fails changes nothing, and on one whose last line is
// complete, so that what is read there is what will be.
func (f *Ifconfig) edit(there func(*Ifconfig) bool, change func(*Ifconfig) error) error {
	if there(f) {
		return nil
	}
	g := f.completed()
	if slices.Equal(g.lines, f.lines) || !there(g) {
		if err := change(g); err != nil {
			return err
		}
	}
	f.lines = g.lines
	return nil
}

// completed returns a copy to which lines can be added: a newline ends the last
// one, and an empty line follows where a backslash would join it with the next.
func (f *Ifconfig) completed() *Ifconfig {
	g := &Ifconfig{file: f.file, lines: slices.Clone(f.lines)}
	n := len(g.lines)
	if n > 0 && !strings.HasSuffix(g.lines[n-1], "\n") {
		g.lines[n-1] += "\n"
	}
	if entries := g.entries(); n > 0 && entries[len(entries)-1].lost {
		g.lines = append(g.lines, "\n")
	}
	return g
}

// add adds a line that runs the command want, unless the file runs it.
func (f *Ifconfig) add(text string, want []string, rank int) error {
	there := func(g *Ifconfig) bool {
		return slices.ContainsFunc(g.Commands(g.iface()), func(c Command) bool {
			return c.Argv != nil && slices.Equal(c.Argv, want)
		})
	}
	return f.edit(there, func(g *Ifconfig) error { return g.insert(text, want, rank) })
}

// insert adds a line that must be read as the one command want, to a text that is
// complete.
func (f *Ifconfig) insert(text string, want []string, rank int) error {
	iface := f.iface()
	// The quoting is right by construction; this is what makes it sure.
	s := newShell(iface).line(text)
	if s.err != nil || s.shell != "" || len(s.argvs) != 1 || !slices.Equal(s.argvs[0], want) {
		return refusal("line", text, "sh would not read it as one command with these words")
	}
	if s.input != takesNothing {
		return refusal("command", want[0], "reads its standard input, which is the rest of the file")
	}
	f.lines = textfile.Insert(f.lines, place(f.read(iface), iface, rank), text)
	return nil
}

// removeLines removes the entries whose only command matches. A lost last line
// counts: with its newline it would run.
func (f *Ifconfig) removeLines(match func(Command) bool) bool {
	g := f.completed()
	var kept []string
	for _, e := range g.read(f.iface()) {
		if len(e.cmds) != 1 || !match(e.cmds[0]) {
			kept = append(kept, g.lines[e.first:e.end]...)
		}
	}
	if len(kept) == len(g.lines) {
		return false
	}
	g.lines = kept
	f.lines = g.completed().lines
	return true
}

// The order in which the lines of a file work. Other lines have rank 0 and stay
// where they are.
const (
	rankAddr = iota + 1
	rankKey
	rankPeer
	rankLink
	rankRoute
	rankDefault
	rankLast
)

// rank returns the rank of a command.
func rank(argv []string, iface string) int {
	if len(argv) == 0 {
		return 0
	}
	if _, ok := parseAddr(argv, iface); ok {
		return rankAddr
	}
	if r, ok := parseRoute(argv); ok {
		if r.dst.Bits() == 0 {
			return rankDefault
		}
		return rankRoute
	}
	if path.Base(argv[0]) == "wgconfig" && len(argv) > 2 {
		switch argv[2] {
		case "set":
			return rankKey
		case "add", "delete":
			return rankPeer
		}
	}
	return 0
}

// place returns the index of the line before which a command of the given rank
// belongs: after the last of its own rank, or else at the end; but before the
// first of a higher rank, there after all lower ones, and before any command
// that reads the lines after it. Only an address follows the last address in any
// case, since one without alias would replace it. The place never lies inside
// lines that a backslash joins, nor between a command and the comment above it.
func place(entries []entry, iface string, wanted int) int {
	lower, same := -1, -1
	for i, e := range entries {
		highest := 0
		for _, cmd := range e.cmds {
			highest = max(highest, rank(cmd.Argv, iface))
			if wanted > rankLink && len(cmd.Argv) > 0 && path.Base(cmd.Argv[0]) == "ifconfig" {
				highest = max(highest, rankLink) // a route follows "up"
			}
		}
		switch {
		case highest > wanted || e.input != takesNothing:
			at := max(lower, same)
			if wanted == rankAddr {
				at = max(at, lastAddr(entries[i:], iface))
			}
			if at >= 0 {
				return at
			}
			for i > 0 && strings.HasPrefix(entries[i-1].text, "#") {
				i--
			}
			return entries[i].first
		case highest == wanted:
			same = e.end
		case highest > 0:
			lower = e.end
		}
	}
	if same >= 0 {
		return same
	}
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].end
}

// lastAddr returns the end of the last entry that gives an address, before any
// that reads the lines after it, or -1.
func lastAddr(entries []entry, iface string) int {
	end := -1
	for _, e := range entries {
		if e.input != takesNothing {
			break
		}
		for _, cmd := range e.cmds {
			if rank(cmd.Argv, iface) == rankAddr {
				end = e.end
			}
		}
	}
	return end
}

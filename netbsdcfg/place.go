package netbsdcfg

import (
	"path"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// runs reports whether the file runs a command.
func (f *Ifconfig) runs(argv []string) bool {
	return slices.ContainsFunc(f.Commands(f.iface()), func(c Command) bool {
		return c.Argv != nil && slices.Equal(c.Argv, argv)
	})
}

// insert adds a line that must be read as the one command want.
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
	at := place(f.read(iface), iface, rank)
	last := at == len(f.lines)
	f.complete(last)
	if last {
		at = len(f.lines)
	}
	f.lines = textfile.Insert(f.lines, at, text)
	return nil
}

// complete gives the last line its newline. If something is to follow it, a
// backslash at its end must not swallow that.
func (f *Ifconfig) complete(follow bool) {
	n := len(f.lines)
	if n == 0 {
		return
	}
	if !strings.HasSuffix(f.lines[n-1], "\n") {
		f.lines[n-1] += "\n"
	}
	if entries := f.entries(); follow && entries[len(entries)-1].lost {
		f.lines = append(f.lines, "\n")
	}
}

// removeLines removes the entries whose only command matches.
func (f *Ifconfig) removeLines(match func(Command) bool) bool {
	var kept []string
	found := false
	for _, e := range f.read(f.iface()) {
		if len(e.cmds) == 1 && match(e.cmds[0]) {
			found = true
			continue
		}
		kept = append(kept, f.lines[e.first:e.end]...)
	}
	if found {
		f.lines = kept
		f.complete(false)
	}
	return found
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

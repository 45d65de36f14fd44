package netbsdcfg

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// A Modules is a modules.conf(5): the kernel modules that rc.d/modules loads at
// boot, one on a line, with arguments for modload(8) behind the name. It reads
// each line as the script does, with the shell's read: blank lines and those
// that begin with # are skipped, a backslash joins lines, and a last line
// without a newline is lost.
//
// Bytes of unchanged Modules are the bytes that were parsed, an edit changes
// only the lines it names, what was added is read again, and an edit that
// returns an error or false changes nothing.
type Modules struct {
	file  *textfile.File
	lines []string
}

// A Module is a line of a modules.conf.
type Module struct {
	Name string   // such as "if_wg"
	Args []string // for modload(8); nil if there are none. What only the shell could tell stays as it is written
	Line int      // from 1; Add does not look at it
}

// ParseModules reads a text; name is for messages. The only error is a
// *ParseError for a NUL byte.
func ParseModules(name string, data []byte) (*Modules, error) {
	return newModules(textfile.Parse(name, data))
}

// OpenModules reads the file at path. The error is os.ErrNotExist if there is
// none: a new system has no modules.conf.
func OpenModules(path string) (*Modules, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newModules(file)
}

// CreateModules starts an empty file at path, with mode 0644: os.ErrExist if it is
// there, and Save fails if it has appeared by then.
func CreateModules(path string) (*Modules, error) {
	file, err := textfile.Create(path, 0o644)
	if err != nil {
		return nil, err
	}
	return newModules(file)
}

func newModules(file *textfile.File) (*Modules, error) {
	if err := noNUL(file); err != nil {
		return nil, err
	}
	return &Modules{file: file, lines: textfile.Lines(file.Original())}, nil
}

// Bytes returns the text as it is now.
func (m *Modules) Bytes() []byte { return textfile.Join(m.lines) }

// Changes returns a unified diff from what was read to what is now, "" if they
// are the same.
func (m *Modules) Changes() string { return m.file.Changes(m.Bytes()) }

// Save replaces the file if it was changed. See [ErrStale].
func (m *Modules) Save(ctx context.Context) error { return m.file.Save(ctx, m.Bytes()) }

// All returns the modules that are loaded, in this order.
func (m *Modules) All() iter.Seq[Module] {
	return func(yield func(Module) bool) {
		for _, e := range readModules(m.lines) {
			if !e.lost && !e.refused && !yield(e.Module) {
				return
			}
		}
	}
}

// Add makes sure that a module is loaded, with these arguments. It does nothing
// if it is there, adds a line at the end if not, and ends a last line that had
// no newline, which brings a module back that was lost. Name and arguments must
// be of letters, digits and _ . / : = , + @ -, which need no quotes; the error
// is a *ValueError. So it is for a module that is there with other arguments.
func (m *Modules) Add(name string, args ...string) error {
	if !plainWord(name) || strings.Contains("-=", name[:1]) {
		return refusal("module", name, "is not the name of a module")
	}
	for _, arg := range args {
		if !plainWord(arg) {
			return refusal("module "+name, arg, "needs quotes, which do not survive the way to modload(8)")
		}
	}
	lines := slices.Clone(m.lines)
	if n := len(lines); n > 0 {
		text := strings.TrimSuffix(lines[n-1], "\n")
		lines[n-1] = text + "\n"
		if continues(text) {
			lines = append(lines, "\n") // or the backslash would join what follows
		}
	}
	for _, e := range readModules(lines) {
		if e.Name != name || e.refused {
			continue
		}
		if len(args) > 0 && !slices.Equal(e.Args, args) {
			return refusal("module "+name, strings.Join(args, " "), fmt.Sprintf("is there with the arguments %q in line %d", e.Args, e.Line))
		}
		if !e.lostIn(m.lines) {
			return nil
		}
		m.lines = lines
		return nil
	}
	m.lines = textfile.Insert(lines, len(lines), strings.Join(append([]string{name}, args...), " "))
	return nil
}

// Remove takes a module out of the file, with all lines that name it, and
// reports whether there was one.
func (m *Modules) Remove(name string) bool {
	var keep []string
	done := 0
	for _, e := range readModules(m.lines) {
		if e.Name == name {
			keep, done = append(keep, m.lines[done:e.Line-1]...), e.end
		}
	}
	if done == 0 {
		return false
	}
	m.lines = append(keep, m.lines[done:]...)
	return true
}

// Check reports lines that are lost, and what is not one name and plain
// arguments.
func (m *Modules) Check() Problems {
	var found Problems
	add := func(line int, severity Severity, format string, args ...any) {
		found = append(found, Problem{File: m.file.Name(), Line: line, Severity: severity, Message: fmt.Sprintf(format, args...)})
	}
	// Between two entries there are only blank lines, comments and what a
	// backslash has made part of one.
	swallowed := func(from, to int) {
		for i := from; i < to; i++ {
			if text := strings.Trim(m.lines[i], " \t\n\\"); text != "" && text[0] != '#' {
				add(i+1, Error, "this line is part of the comment above, which ends in a backslash, and is not read: remove the backslash")
			}
		}
	}
	seen := map[string]int{}
	done := 0
	for _, e := range readModules(m.lines) {
		swallowed(done, e.Line-1)
		done = e.end
		switch first := seen[e.Name]; {
		case e.lost:
			add(e.Line, Error, "the last line has no newline or ends in a backslash, so that rc.d/modules does not read it: end it with a newline, or %s is not loaded", e.Name)
			continue
		case first > 0:
			add(e.Line, Warning, "%s was loaded in line %d already: remove one", e.Name, first)
		default:
			seen[e.Name] = e.Line
		}
		if e.end > e.Line {
			add(e.Line, Warning, "a backslash joins this line with the next one: remove it if they are two")
		}
		switch {
		case strings.HasSuffix(e.Name+e.raw, "\r"):
			add(e.Line, Error, "the line ends in CR LF, and the CR becomes part of the last word: remove it")
		case !plainWord(e.Name):
			add(e.Line, Error, "%q is no name of a module: write the name alone, and what else there is behind a blank", e.Name)
		case e.refused:
			add(e.Line, Error, "the shell refuses %q, and %s is not loaded: mend the quotes, or leave them out", e.raw, e.Name)
		case e.shell:
			add(e.Line, Error, "%q is not plain words, and rc.d/modules has the shell run it: write words that need no quotes", e.raw)
		}
	}
	swallowed(done, len(m.lines))
	return found
}

// A moduleEntry is a line as the shell's read takes it.
type moduleEntry struct {
	Module
	end     int    // lines up to here belong to it
	raw     string // the arguments as they reach eval
	lost    bool   // the file ends before its newline
	refused bool   // the shell gives up at the arguments, and loads nothing
	shell   bool   // the arguments are more than words
}

// lostIn reports whether the same entry is lost as the text stands in lines.
func (e moduleEntry) lostIn(lines []string) bool {
	return slices.ContainsFunc(readModules(lines), func(o moduleEntry) bool { return o.Line == e.Line && o.lost })
}

// readModules is "while read name args" of rc.d/modules. Without -r, a
// backslash takes the next character literally and joins lines.
func readModules(lines []string) []moduleEntry {
	var found []moduleEntry
	for i := 0; i < len(lines); {
		e := moduleEntry{lost: true}
		e.Line = i + 1
		var chars, quoted strings.Builder // quoted has a x where chars has a literal character
		put := func(c byte, q byte) { chars.WriteByte(c); quoted.WriteByte(q) }
		for escaped := false; i < len(lines) && e.lost; i++ {
			for j := range len(lines[i]) {
				switch c := lines[i][j]; {
				case escaped && c == '\n':
					escaped = false
				case escaped:
					put(c, 'x')
					escaped = false
				case c == '\\':
					escaped = true
				case c == '\n':
					e.lost = false
				default:
					put(c, ' ')
				}
			}
		}
		e.end = i
		e.split(chars.String(), quoted.String())
		if e.Name != "" && e.Name[0] != '#' {
			found = append(found, e)
		}
	}
	return found
}

// split cuts a line at its first blanks that are not quoted.
func (e *moduleEntry) split(text, quoted string) {
	blank := func(i int) bool { return (text[i] == ' ' || text[i] == '\t') && quoted[i] == ' ' }
	from, to := 0, len(text)
	for from < to && blank(from) {
		from++
	}
	for to > from && blank(to-1) {
		to--
	}
	at := from
	for at < to && !blank(at) {
		at++
	}
	e.Name = text[from:at]
	for at < to && blank(at) {
		at++
	}
	e.raw = text[at:to]
	// "eval set -- $args", as for a line of ifconfig.IF.
	s := newShell("").arguments(strings.Join(strings.FieldsFunc(e.raw, isBlank), " "))
	e.refused = s.err != nil
	e.shell = s.shell != "" || len(s.argvs) > 1
	if e.shell || e.refused {
		e.Args = strings.FieldsFunc(e.raw, isBlank)
	} else if words := s.argvs[0][2:]; len(words) > 0 {
		e.Args = words
	}
}

// plainWord reports whether a text is a word that a shell reads as it stands.
func plainWord(word string) bool {
	for i := range len(word) {
		c := word[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && !strings.ContainsRune("0123456789_./:=,+@-", rune(c)) {
			return false
		}
	}
	return word != ""
}

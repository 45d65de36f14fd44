package pfrules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// A Place is where a new block goes.
type Place int

// The places that are found. A comment right above a statement belongs to it.
const (
	// FilterEnd is after the last filter rule or include: what stands there wins
	// over all rules that are not quick.
	FilterEnd Place = 0
	// FilterStart is before the first filter rule: what stands there and is quick
	// wins over all others.
	FilterStart Place = -1

	nowhere Place = -2
)

// Before is the place before a line, from 1; one more than the last line is the
// end of the file.
func Before(line int) Place {
	if line < 1 {
		return nowhere
	}
	return Place(line)
}

// Block returns the rules of a block, each as ParseRule gives it, and whether the
// block is there. The error is a *[ParseError] if there is more in it than rules
// and comments, or if the lines that mark it are not one begin and one end.
func (f *File) Block(name string) ([]Rule, bool, error) {
	l := f.layout()
	b, ok, err := l.find(name)
	if !ok || err != nil {
		return nil, false, f.named(err)
	}
	var rules []Rule
	for st := range f.Statements() {
		if st.Line < b.first || st.Line > b.last {
			continue
		}
		if st.Macro != nil {
			st.Err = &ParseError{File: f.file.Name(), Line: st.Line, Err: fmt.Errorf("macro %s", st.Macro.Name)}
		}
		if err, ok := errors.AsType[*ParseError](st.Err); ok {
			err.Err = fmt.Errorf("block %s holds more than rules: %w", name, err.Err)
			return nil, true, err
		}
		rules = append(rules, *st.Rule)
	}
	return rules, true, nil
}

// SetBlock makes the block hold these rules, and no others. A block that is there
// keeps its place, and if it holds these rules already, however they are written,
// nothing changes; else all lines between its marks are replaced. A new one is
// put at the given place, which must not be inside a statement or a block, nor
// before a section that must come first: pf would refuse the file. The name has
// letters, digits, "_" and "-".
//
// The error is a *[ValueError], or a *[ParseError] if the marks are broken.
// Whether the rules will act at that place is for [File.Check] to say.
func (f *File) SetBlock(name string, at Place, rules []Rule) error {
	if !isBlockName(name) {
		return &ValueError{Field: "block", Value: name, Reason: "the name must be letters, digits, _ and -"}
	}
	texts, err := formatAll(f.dialect, rules)
	if err != nil {
		return err
	}
	l := f.layout()
	b, ok, err := l.find(name)
	if err != nil {
		return f.named(err)
	}
	if ok {
		if old, _, err := f.Block(name); err == nil {
			if old, err := formatAll(f.dialect, old); err == nil && slices.Equal(old, texts) {
				return nil
			}
		}
		f.lines = slices.Delete(f.lines, b.first, b.last-1)
		f.lines = textfile.Insert(f.lines, b.first, texts...)
		return nil
	}
	i, err := l.place(at)
	if err != nil {
		return err
	}
	texts = slices.Concat([]string{beginMark(name)}, texts, []string{endMark(name)})
	f.lines = textfile.Insert(f.lines, i, texts...)
	return nil
}

// RemoveBlock removes a block with the lines that mark it, and reports whether it
// was there. Where its marks are broken it removes nothing, and Check says so.
func (f *File) RemoveBlock(name string) bool {
	b, ok, err := f.layout().find(name)
	if !ok || err != nil {
		return false
	}
	f.lines = slices.Delete(f.lines, b.first-1, b.last)
	return true
}

func formatAll(d Dialect, rules []Rule) ([]string, error) {
	texts := make([]string, 0, len(rules)+2)
	for i, r := range rules {
		text, err := r.Format(d)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func beginMark(name string) string { return "# rehost " + name + " begin" }
func endMark(name string) string   { return "# rehost " + name + " end" }

// parseMark reads a line as a mark.
func parseMark(line string) (name string, begin, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "# rehost ")
	name, which, _ := strings.Cut(rest, " ")
	return name, which == "begin", ok && isBlockName(name) && (which == "begin" || which == "end")
}

func isBlockName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r > 0x7f || !isAlnum(byte(r)) && r != '_' && r != '-'
	})
}

// A block is the lines from its begin to its end, from 1.
type block struct{ first, last int }

// A layout is what an edit needs to know about the lines of a file.
type layout struct {
	lines    int
	spans    []span
	blocks   map[string]block
	joined   map[int]bool     // lines whose newline is hidden by a backslash
	comments map[int]bool     // lines that are a comment, and no mark
	broken   map[string]error // by the name in a mark: a *ParseError
}

// layout reads the file once. A mark counts only where a comment is a line of its
// own: not in a list or a quote, nor as part of a line above.
func (f *File) layout() *layout {
	spans, s := f.spans()
	l := &layout{lines: len(f.lines), spans: spans, blocks: map[string]block{}, joined: s.joined,
		comments: map[int]bool{}, broken: map[string]error{}}
	var open block
	var openName string
	breaks := func(line int, format, name string) {
		if l.broken[name] == nil {
			l.broken[name] = &ParseError{Line: line, Err: fmt.Errorf(format, name)}
		}
	}
	for _, line := range s.comments {
		name, begin, ok := parseMark(f.lines[line-1])
		switch {
		case !ok:
			l.comments[line] = true
		case s.joined[line-1] || s.joined[line]:
			breaks(line, "the line that marks block %s is part of a continued line", name)
		case begin && l.blocks[name].last > 0:
			breaks(line, "block %s is there twice", name)
		case begin:
			if openName != "" {
				breaks(open.first, "block %s is not ended before another begins", openName)
			}
			openName, open = name, block{first: line}
		case openName != name:
			breaks(line, "block %s ends and has not begun", name)
		default:
			open.last = line
			l.blocks[name] = open
			openName = ""
		}
	}
	if openName != "" {
		breaks(open.first, "block %s has no end", openName)
	}
	return l
}

func (l *layout) find(name string) (block, bool, error) {
	if err := l.broken[name]; err != nil {
		return block{}, false, err
	}
	b, ok := l.blocks[name]
	return b, ok, nil
}

// place returns how many lines come before a new block.
func (l *layout) place(at Place) (int, error) {
	i, value := int(at)-1, "Before("+strconv.Itoa(int(at))+")"
	switch at {
	case FilterStart:
		i, value = l.filterStart(), "FilterStart"
	case FilterEnd:
		i, value = l.filterEnd(), "FilterEnd"
	}
	refuse := func(format string, args ...any) (int, error) {
		return 0, &ValueError{Field: "place", Value: value, Reason: fmt.Sprintf(format, args...)}
	}
	if i < 0 || i > l.lines {
		return refuse("the file has lines 1 to %d", l.lines)
	}
	if l.joined[i] {
		return refuse("line %d goes on after its end, because of a backslash", i)
	}
	for name, b := range l.blocks {
		if b.first <= i && i < b.last {
			return refuse("is inside block %s", name)
		}
	}
	for _, s := range l.spans {
		if s.first <= i && i < s.last {
			return refuse("is inside the statement from line %d to %d", s.first, s.last)
		}
		if s.torn && i == s.last {
			return refuse("follows a list that is not closed, in the statement in line %d", s.first)
		}
		if s.ordered && s.section < SectionFilter && i < s.last {
			return refuse("%s in line %d must come before all rules", s.section, s.first)
		}
	}
	return i, nil
}

func (l *layout) filterStart() int {
	n := slices.IndexFunc(l.spans, func(s span) bool { return s.section == SectionFilter })
	if n < 0 {
		return l.lines
	}
	i := l.spans[n].first - 1
	for _, b := range l.blocks {
		if b.first <= i && i < b.last {
			return b.first - 1
		}
	}
	for i > 0 && l.comments[i] && !l.joined[i-1] {
		i--
	}
	return i
}

func (l *layout) filterEnd() int {
	for _, s := range slices.Backward(l.spans) {
		if s.section != SectionFilter {
			continue
		}
		for _, b := range l.blocks {
			if b.first <= s.last && s.last < b.last {
				return b.last
			}
		}
		return s.last
	}
	return l.lines
}

package pfrules

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// A File is a pf.conf with all its bytes. Its methods must not be called from several
// goroutines at once.
type File struct {
	file    *textfile.File
	dialect Dialect
	lines   []string // with their line ends; joined, they are the file
}

// Open reads a file. A file that is not there is os.ErrNotExist; for the rest
// see [Parse].
func Open(path string, d Dialect) (*File, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newFile(file, d)
}

// Create starts a file that is not there: os.ErrExist if it is. It is written by Save,
// with mode 0600, as OpenBSD's pf.conf has it, and Save fails if it has appeared by then.
func Create(path string, d Dialect) (*File, error) {
	file, err := textfile.Create(path, 0o600)
	if err != nil {
		return nil, err
	}
	return newFile(file, d)
}

// Parse reads bytes that have no place; name is for messages, and Save is an
// error.
//
// It takes any text of which every statement has an end, also what pf refuses:
// that is for [File.Check] to report. A NUL, and a quote or a list that is still
// open at the end of the text, are a *[ParseError]: what came after it would be
// part of it.
func Parse(name string, d Dialect, data []byte) (*File, error) {
	return newFile(textfile.Parse(name, data), d)
}

func newFile(file *textfile.File, d Dialect) (*File, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	f := &File{file: file, dialect: d, lines: textfile.Lines(file.Original())}
	for i, line := range f.lines {
		if n := strings.IndexByte(line, 0); n >= 0 {
			return nil, &ParseError{File: file.Name(), Line: i + 1, Col: n + 1, Err: errNUL}
		}
	}
	s := f.scan()
	for s.next() {
	}
	if s.unclosed != nil {
		return nil, f.named(s.unclosed)
	}
	return f, nil
}

// Bytes returns the text as it is now.
func (f *File) Bytes() []byte { return textfile.Join(f.lines) }

// Changes returns the unified diff against what was read, "" if nothing changed.
func (f *File) Changes() string { return f.file.Changes(f.Bytes()) }

// Save replaces the file if it changed, at once or not at all, and keeps its
// owner, mode and symbolic link. It is [ErrStale] if the file on disk is not what
// was read any more. It does not load the rules: that is pfctl -f.
func (f *File) Save(ctx context.Context) error { return f.file.Save(ctx, f.Bytes()) }

// A Statement is what pf reads at once: a rule, an option, a macro, a table.
type Statement struct {
	// Line and End are its first and last line, from 1.
	Line, End int
	// Section is its part of the file.
	Section Section
	// Rule is set if it is a pass, block or match rule that a Rule can hold.
	Rule *Rule
	// Macro is set if it defines one.
	Macro *Macro
	// Err says why neither is set: it is not modelled (ErrNotModelled), or pf
	// refuses it. It is a *[ParseError].
	Err error
}

// Statements returns the statements in the order of the file. Comments and blank
// lines are none.
func (f *File) Statements() iter.Seq[Statement] {
	return func(yield func(Statement) bool) {
		s := f.scan()
		for s.next() {
			if !yield(f.statement(&s.st)) {
				return
			}
		}
	}
}

func (f *File) statement(st *statement) Statement {
	out := Statement{Line: st.first, End: st.last, Section: sectionOf(st.tokens)}
	switch {
	case st.err == nil && isMacro(st.tokens):
		m, _ := parseMacro(f.dialect, st.tokens) // the scanner has found it right before
		out.Macro = &m
	default:
		rule, err := st.rule(f.dialect)
		if err == nil {
			out.Rule = &rule
		}
		out.Err = f.named(err)
	}
	return out
}

// All returns the rules that a [Rule] can hold, each with its first line, from 1.
// Macros are expanded; a rule with lists is one rule. Statements gives the rest.
func (f *File) All() iter.Seq2[int, Rule] {
	return func(yield func(int, Rule) bool) {
		for st := range f.Statements() {
			if st.Rule != nil && !yield(st.Line, *st.Rule) {
				return
			}
		}
	}
}

// Macros returns the macros that the file defines, each with its line, from 1,
// and with the macros in its value expanded.
func (f *File) Macros() iter.Seq2[int, Macro] {
	return func(yield func(int, Macro) bool) {
		for st := range f.Statements() {
			if st.Macro != nil && !yield(st.Line, *st.Macro) {
				return
			}
		}
	}
}

func (f *File) scan() *scanner { return newScanner(f.dialect, strings.Join(f.lines, "")) }

// named puts the file's name into an error that has a line already.
func (f *File) named(err error) error {
	if perr, ok := errors.AsType[*ParseError](err); ok {
		perr.File = f.file.Name()
	}
	return err
}

// A span is a statement's place, as far as the order of sections needs it.
type span struct {
	first, last int
	section     Section
	ordered     bool // pf insists on its place
	torn        bool // what comes right after it could become a part of it
}

// An ordering follows pfctl's check_rulestate.
type ordering struct {
	dialect Dialect
	any     bool    // after "set require-order no"
	section Section // that the file has come to
	line    int     // where it began
}

// look returns whether pf insists on the statement's place, and whether it comes
// too late.
func (o *ordering) look(st *statement) (ordered, late bool) {
	t := st.tokens
	section := sectionOf(t)
	if o.dialect == OpenBSD || section == SectionNone {
		return false, false
	}
	if section == SectionOptions && len(t) > 1 {
		if t[1].is("require-order") {
			o.any = len(t) > 2 && t[2].is("no")
		}
		if unorderedOptions[t[1].text] {
			return false, false
		}
	}
	if section >= o.section {
		if section > o.section {
			o.section, o.line = section, st.first
		}
		return !o.any, false
	}
	return !o.any, !o.any
}

// spans returns the statements' places, and the scanner after all of them.
func (f *File) spans() ([]span, *scanner) {
	var spans []span
	s := f.scan()
	o := ordering{dialect: f.dialect}
	for s.next() {
		ordered, _ := o.look(&s.st)
		section := sectionOf(s.st.tokens)
		if len(s.st.tokens) > 0 && s.st.tokens[0].is("include") {
			section = SectionFilter // what it includes may hold rules
			ordered = false
		}
		spans = append(spans, span{s.st.first, s.st.last, section, ordered, s.st.torn})
	}
	return slices.Clip(spans), s
}

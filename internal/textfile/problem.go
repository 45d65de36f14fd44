package textfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Problem is something in a file that its reader refuses, ignores or
// misreads (Error), or that works and is probably not meant (Warning).
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"` // from 1; 0 is the file as a whole
	Col      int      `json:"col,omitempty"`  // in bytes, from 1; 0 is the line as a whole
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
}

// Error returns the problem as "file:line:col: severity: message", the form
// that editors jump to.
func (p Problem) Error() string {
	return place(p.File, p.Line, p.Col) + p.Severity.String() + ": " + p.Message
}

// Severity says how much a Problem matters. The zero value is Warning.
type Severity int

// The two severities.
const (
	Warning Severity = iota // it works, and is probably not meant
	Error                   // the real program refuses, ignores or misreads it
)

// String returns "warning" or "error".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// MarshalText makes a severity a word in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Problems are what a Check found, in the order of the file.
type Problems []Problem

// Err joins the problems of severity Error, each of which errors.As finds as a
// Problem. It is nil if there is none.
func (ps Problems) Err() error {
	var errs []error
	for _, p := range ps {
		if p.Severity == Error {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

// String returns the problems one on a line.
func (ps Problems) String() string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.Error())
		b.WriteByte('\n')
	}
	return b.String()
}

// Sort orders problems by file, line and column; equal places keep their order.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// A ParseError is input that cannot be read, and where it stands.
type ParseError struct {
	File string
	Line int // from 1; 0 is the file as a whole
	Col  int // in bytes, from 1; 0 is the line as a whole
	Err  error
}

// Error returns "file:line:col: reason".
func (e *ParseError) Error() string { return place(e.File, e.Line, e.Col) + e.Err.Error() }

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

// A ValueError is a value that a caller gave and that a format cannot hold or a
// program would refuse. Nothing has been changed when it is returned.
type ValueError struct {
	Field  string // what the value was for, in the format's own words
	Value  string
	Reason string
}

// Error returns "field: "value": reason".
func (e *ValueError) Error() string { return fmt.Sprintf("%s: %q: %s", e.Field, e.Value, e.Reason) }

// place is the prefix that names a place, as far as it is known.
func place(file string, line, col int) string {
	var b strings.Builder
	if file != "" {
		b.WriteString(file + ":")
	}
	if line > 0 {
		fmt.Fprintf(&b, "%d:", line)
		if col > 0 {
			fmt.Fprintf(&b, "%d:", col)
		}
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	return b.String()
}

// A CommandError is a command that failed, and what it said.
type CommandError struct {
	Args   []string // the program and its arguments
	Stderr string   // what it wrote to standard error, without the last newline
	Err    error    // such as an *exec.ExitError
}

// Error returns "command: what it said", or "command: Err" if it said nothing.
func (e *CommandError) Error() string {
	said := strings.TrimSpace(e.Stderr)
	if said == "" {
		said = e.Err.Error()
	}
	return strings.Join(e.Args, " ") + ": " + said
}

// Unwrap returns Err.
func (e *CommandError) Unwrap() error { return e.Err }

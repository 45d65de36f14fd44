// Package zone edits BIND zone files, and sees to it that the world follows.
package zone

import "github.com/rehost/rehost/internal/textfile"

// The vocabulary that all packages of this module share.
type (
	// A Problem is something in a zone that named refuses or ignores (Error), or
	// that works and is probably not meant (Warning). It has File, Line and Col
	// (both from 1, 0 if unknown), Severity and Message, and is an error that
	// prints as "file:line:col: severity: message".
	Problem = textfile.Problem

	// Problems are what a Check found. Their Err joins those of severity Error.
	Problems = textfile.Problems

	// Severity is Warning or Error; it prints, and marshals, as a word.
	Severity = textfile.Severity

	// A ParseError is input that cannot be read: File, Line, Col and Err.
	ParseError = textfile.ParseError

	// A ValueError is a value that a zone cannot hold or that named would refuse:
	// Field, Value and Reason. Nothing has been changed.
	ValueError = textfile.ValueError

	// A CommandError is a command that failed: Args, Stderr, which is what it
	// said, and Err, such as an *exec.ExitError.
	CommandError = textfile.CommandError
)

// The two severities.
const (
	Warning = textfile.Warning // it works, and is probably not meant
	Error   = textfile.Error   // named refuses or ignores it
)

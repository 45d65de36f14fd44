// Package wgpeer describes both ends of a WireGuard tunnel once, and makes files
// and live devices say so.
package wgpeer

import "github.com/rehost/rehost/internal/textfile"

// The vocabulary that all packages of this module share.
type (
	// A Problem is something in a file that its reader refuses, ignores or
	// misreads (Error), or that works and is probably not meant (Warning). It has
	// File, Line and Col (both from 1, 0 if unknown), Severity and Message, and is
	// an error that prints as "file:line:col: severity: message".
	Problem = textfile.Problem

	// Problems are what a Check found. Their Err joins those of severity Error.
	Problems = textfile.Problems

	// Severity is Warning or Error; it prints, and marshals, as a word.
	Severity = textfile.Severity

	// An Output is a file that was rendered whole: Path, Mode, Data, or Link.
	Output = textfile.Output

	// A ParseError is input that cannot be read: File, Line, Col and Err.
	ParseError = textfile.ParseError

	// A ValueError is a value that the file cannot hold or that its reader would
	// refuse: Field, Value and Reason. Nothing has been changed.
	ValueError = textfile.ValueError
)

// The two severities.
const (
	Warning = textfile.Warning // it works, and is probably not meant
	Error   = textfile.Error   // the real program refuses, ignores or misreads it
)

// ErrStale is returned by Save when a file changed on disk since it was read, and
// by Apply when the device is not what the plan was made from.
var ErrStale = textfile.ErrStale

// Package natfwd forwards ports of a router to machines behind it, in the nat
// tables of iptables and ip6tables.
package natfwd

import "github.com/rehost/rehost/internal/textfile"

// The vocabulary that all packages of this module share.
type (
	// A Problem is something on the live system that does not work (Error) or is
	// probably not meant (Warning). It has File, Line and Col, Severity and
	// Message, and is an error that prints as "file:line:col: severity: message".
	// File is the command that shows it, such as "iptables-save".
	Problem = textfile.Problem

	// Problems are what Verify found. Their Err joins those of severity Error.
	Problems = textfile.Problems

	// Severity is Warning or Error; it prints, and marshals, as a word.
	Severity = textfile.Severity

	// An Output is a file that was rendered whole: Path, Mode, Data, or Link.
	Output = textfile.Output

	// A ParseError is input that cannot be read: File, Line, Col and Err.
	ParseError = textfile.ParseError

	// A ValueError is a value that a rule cannot hold or that would not do what it
	// says: Field, Value and Reason. Nothing has been changed.
	ValueError = textfile.ValueError

	// A CommandError is a command that failed: Args, Stderr and Err.
	CommandError = textfile.CommandError
)

// The two severities.
const (
	Warning = textfile.Warning // it works, and is probably not meant
	Error   = textfile.Error   // the real program refuses, ignores or misreads it
)

// ErrStale is returned by Apply when the rules are not those that the plan was
// made from.
var ErrStale = textfile.ErrStale

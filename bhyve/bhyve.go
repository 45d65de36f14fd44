// Package bhyve edits the files that describe vm-bhyve's guests, such as
// /vm/senate/senate.conf. vm-bhyve is the FreeBSD program, called vm(8), that
// starts bhyve(8) and its boot loaders.
//
// Such a file looks like a shell script, and is none. vm-bhyve's own reader
// (config::load and config::get in its lib/vm-config) keeps the lines that
// begin with a small letter, cuts each at the first "#", even inside quotes,
// drops the spaces at the end and every double quote, and takes the first line
// whose text before "=" is the key. [File.Get] returns exactly what that reader
// returns; what a person wrote and the reader does not see is never mended
// silently, [File.Check] reports it.
//
// A [File] holds every byte of its text and nothing else, so that:
//
//   - Parse(x).Bytes() is x.
//   - Setting the value that is there changes nothing, whatever the value.
//   - An edit changes only the lines it names; comments and order stay. A last
//     line without a newline gets one when another comes behind it.
//   - Parsing the result again returns what was set.
//   - An edit that fails leaves the file untouched.
//
// A value that the file cannot hold is refused with a [*ValueError]. So is one
// that would be harmless to vm-bhyve's reader and not to sysrc(8): with it
// vm-bhyve writes to the same file, as root, and sysrc lets a shell run the
// file first. "$", "`" and "\" are therefore refused too.
//
// The package reads and writes files. It starts no guest, makes no disk image,
// and does not look at the host, its switches or other guests' files, except
// that [CheckGuests] compares those it is given.
//
// To start a guest in single-user mode at its next boot, which
// SetSingleUser(false) takes back:
//
//	f, err := bhyve.Open("/vm/senate/senate.conf")
//	if err != nil {
//		return err
//	}
//	if err := f.SetSingleUser(true); err != nil {
//		return err
//	}
//	return f.Save(ctx)
package bhyve

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

	// A Severity is Warning or Error; it prints, and marshals, as a word.
	Severity = textfile.Severity

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

// ErrStale is returned by Save when a file changed on disk since it was read.
var ErrStale = textfile.ErrStale

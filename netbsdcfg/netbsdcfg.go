// Package netbsdcfg edits the files that configure the network of a NetBSD
// machine, and says what rc(8) makes of them.
//
//   - [Ifconfig] is an /etc/ifconfig.IF file: addresses, routes and commands. Its
//     Commands are what the boot script runs, quirks included. [WireGuard] renders
//     a whole file for a wg(4) interface, and [ValidateWGConfig] checks one
//     wgconfig(8) command.
//   - [RC] is rc.conf(5), [Modules] modules.conf(5), [Sysctl] sysctl.conf(5).
//   - [Host] is all of them, with mygate, below one root folder. It finds the
//     mistakes that span files, and saves what has changed.
//   - [UpgradeSteps] are the sysupgrade commands from one release to another.
//
// The case of a guest whose default route moves into a tunnel:
//
//	f, err := netbsdcfg.OpenIfconfig("/etc/ifconfig.wg0")
//	if err != nil {
//		return err
//	}
//	endpoint := netip.MustParsePrefix("203.0.113.63/32")
//	everything := netip.MustParsePrefix("0.0.0.0/0")
//	if err := errors.Join(
//		f.AddRoute(endpoint, netip.MustParseAddr("192.168.14.254")),
//		f.AddRoute(everything, netip.MustParseAddr("172.16.1.1")),
//		f.Check().Err(),
//	); err != nil {
//		return err
//	}
//	fmt.Print(f.Changes())
//	return f.Save(ctx)
//
// # Guarantees
//
// Files are kept byte for byte: comments, order, odd blanks and line ends. What
// was parsed is what Bytes returns; to set what is there changes nothing; an
// edit changes only the lines it names; parsing again returns what was set; and
// an edit that fails changes nothing. A value that a file cannot hold, or that a
// shell would read as more than a value, is refused with a [ValueError]. A file
// that was changed ends in a newline. The methods of one value must not be called
// from several goroutines at once.
//
// Values are read as NetBSD reads them, and not as a person does. What a person
// wrote and NetBSD loses or misreads is reported by Check, and never mended
// silently. The sources are rc.d/network and rc.subr(8) of NetBSD 9 and 10,
// ifconfig.if(5), wgconfig(8) and the manual pages of the files.
//
// # What it does not do
//
// It runs nothing, neither commands nor the shell text in the files, and it
// does not look at a live system. It does not resolve names: an address that is
// written as a host name is passed over.
package netbsdcfg

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

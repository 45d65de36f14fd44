// Package zone edits BIND zone files, and sees to it that the world follows.
//
// It keeps every byte that an edit does not name, and so every comment; it reads
// as named does; and it believes no exit code, but asks the servers.
//
//   - [Open] and [Parse] give a [File]: the zone, with all that it includes. Its
//     [File.All] and [File.Lookup] are the records as named serves them, and
//     [File.Check] what named would refuse, ignore or misread.
//   - [File.Add], [File.Replace], [File.Remove], [File.SetTTL] and
//     [File.LowerTTLs] edit it, [File.Bump] raises its serial, [File.Save] replaces
//     the files.
//   - [RNDC] has named load the zone. [WaitSerial] waits until all servers have it,
//     and names those that have not. [AXFR] and [Diff] prove that what is served is
//     what the file says.
//   - [File.Cutover] is the timetable of a move, before it; [Report.Drain] says, as
//     it goes on, until when caches hold the old records. [File.References] finds
//     what still names the old address.
//
// The case of names that get another address:
//
//	f, err := zone.Open("/etc/bind/example.net", "example.net", nil)
//	if err != nil {
//		return err
//	}
//	oldTTL := f.MaxTTL("www")
//	if err := f.Replace("www", "A", zone.Record{Data: "203.0.113.63"}); err != nil {
//		return err
//	}
//	serial, err := f.Bump(zone.DateCounter, time.Now())
//	if err != nil {
//		return err
//	}
//	if err := f.Check().Err(); err != nil {
//		return err
//	}
//	if err := f.Save(ctx); err != nil {
//		return err
//	}
//	if err := new(zone.RNDC).Reload(ctx, "example.net", serial); err != nil {
//		return err
//	}
//	report, err := zone.WaitSerial(ctx, "example.net", serial, servers, nil)
//	if err != nil {
//		return err // it names the servers that lag, and why
//	}
//	drain, _ := report.Drain(oldTTL)
//	fmt.Println(drain) // serial 2026112200: the old records are gone after ...
//
// # Guarantees
//
// What was parsed is what [File.Bytes] returns. Setting what is there changes
// nothing. An edit changes the lines of the records that it names and, where it
// must, lines that would mean something else otherwise: an owner that the
// following lines inherit, a TTL that they take from it. It reads the result again
// and compares, so that no other record changes its meaning; if that cannot be, or
// named would refuse the record, the edit is refused and nothing has changed. New
// lines are written as their neighbours are. No value can become a second record,
// a directive or a comment.
//
// A save leaves the old files or the new ones; the file with the SOA record is
// replaced first, so that a crash in between shows as a raised serial.
//
// A File must not be used by several goroutines at once, not even for reading.
//
// # What it does not do
//
// It does not sign. It cannot edit the single records that a $GENERATE makes, nor
// a file that the zone includes twice. It sees no journal but FILE.jnl. A record
// type that is not modelled is kept as it is, reported by Check, and can be edited
// in the form of RFC 3597, "\# n hex".
//
// # Speed
//
// A zone of 1,000,000 records (43 MB, with comments, blank owners and
// parentheses), medians of five rounds in which all take turns, on a virtual
// machine with two cores; times are in multiples of cp, the peak of memory in
// multiples of the file:
//
//	                                                time   memory
//	cp                                               1.0
//	sed of the serial                               13.8
//	Open, Lookup, Replace, Bump, WriteTo            13.6     1.72
//	a loop over miekg/dns's parser, no edit         82.9     0.28
//	named-checkzone -i local                       243.2
//
// Half of our time goes into memory that is touched for the first time, which is
// slow on machines that give free memory back to their host: without the pauses
// between the rounds it is 7 times cp. Ten times the records take 9.5 times as
// long. Save, which flushes to disk and compares before and after, takes 5.5 times
// as long as cp and sync. The table is made by
//
//	bash zone/testdata/speed/speed.sh
package zone

import "github.com/rehost/rehost/internal/textfile"

// The vocabulary that all packages of this module share.
type (
	// A Problem is something in a zone that named refuses, ignores or misreads
	// (Error), or that works and is probably not meant (Warning). It has File, Line
	// and Col (both from 1, 0 if unknown), Severity and Message, and is an error
	// that prints as "file:line:col: severity: message".
	Problem = textfile.Problem

	// Problems are what a Check found. Their Err joins those of severity Error.
	Problems = textfile.Problems

	// A Severity is Warning or Error; it prints, and marshals, as a word.
	Severity = textfile.Severity

	// A ParseError is input that cannot be read: File, Line, Col and Err.
	ParseError = textfile.ParseError

	// A ValueError is a value that a zone cannot hold or that named would refuse:
	// Field, Value and Reason. Nothing has been changed.
	ValueError = textfile.ValueError

	// A CommandError is a command that failed: Args, Stderr and Err.
	CommandError = textfile.CommandError
)

// The two severities.
const (
	Warning = textfile.Warning // it works, and is probably not meant
	Error   = textfile.Error   // named refuses, ignores or misreads it
)

// Package pfrules writes, reads and edits rules of the packet filter pf in the
// dialects of NetBSD, FreeBSD and OpenBSD, with route-to, reply-to and dup-to,
// whose place and form differ most between them.
//
// A [Rule] is the meaning of one pass, block or match rule. [Rule.Format] gives
// its text in a dialect, and an error that says why where the dialect cannot
// express it; [ParseRule] reads it back. [ReplyVia] is the rule that a host with
// two uplinks needs: answers leave through the interface on which the question
// came in.
//
//	rule := pfrules.ReplyVia("wg0", netip.MustParseAddr("172.16.1.1"), "tcp", "udp")
//	text, err := rule.Format(pfrules.NetBSD)
//	// pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any
//
// A [File] is a whole pf.conf. It keeps every byte: comments, blank lines,
// continuations, and all statements that this package does not model. It yields
// the rules that are there with macros expanded ([File.All]) and puts rules of
// its own into a marked block ([File.SetBlock]), at a place that the order of
// sections allows:
//
//	# rehost uplink begin
//	pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any
//	# rehost uplink end
//
// [File.Check] reports what pf would refuse, ignore or misread, among it a route
// rule that never acts because another rule takes its packets.
//
// What holds, and is fuzzed:
//
//  1. Parse(name, d, x).Bytes() is x.
//  2. Setting a block to the rules that it has changes nothing.
//  3. SetBlock and RemoveBlock change only the lines of that block; removing a
//     new block gives the old bytes back (and a newline where the last line had
//     none).
//  4. Block returns what SetBlock was given, in the form that ParseRule gives it,
//     also after parsing again.
//  5. A failed edit leaves the file untouched.
//  6. What Format accepts is one rule on one line, and is read as that rule.
//
// What it does not do: it runs no pfctl and looks at no system, so names of
// hosts, users and interfaces are not resolved, and included files and loaded
// anchors are not read. Translation, queueing, normalization, tables, anchors
// and the options of rules that [Rule] has no field for stay text. It knows
// nothing of npf, NetBSD's own filter, which has neither route-to nor reply-to.
package pfrules

import (
	"errors"
	"fmt"

	"github.com/rehost/rehost/internal/textfile"
)

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

var (
	// ErrStale is returned by Save when a file changed on disk since it was read.
	ErrStale = textfile.ErrStale

	// ErrNotModelled is in the error for a rule that pf may well accept and that
	// a Rule cannot hold. In a file such a rule stays text.
	ErrNotModelled = errors.New("not modelled")
)

// A Dialect is the pf.conf(5) of one system. The zero value is none of them.
type Dialect int

// The dialects.
const (
	NetBSD  Dialect = iota + 1 // pf in NetBSD, from OpenBSD 4.2
	FreeBSD                    // pf in FreeBSD 12 and later
	OpenBSD                    // OpenBSD 6.9 and later, where route options take an address alone
)

// String returns the system's name.
func (d Dialect) String() string {
	switch d {
	case NetBSD:
		return "NetBSD"
	case FreeBSD:
		return "FreeBSD"
	case OpenBSD:
		return "OpenBSD"
	}
	return fmt.Sprintf("Dialect(%d)", int(d))
}

func (d Dialect) valid() error {
	if d < NetBSD || d > OpenBSD {
		return &ValueError{Field: "dialect", Value: d.String(), Reason: "is not NetBSD, FreeBSD or OpenBSD"}
	}
	return nil
}

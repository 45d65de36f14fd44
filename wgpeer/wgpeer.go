// Package wgpeer describes both ends of a WireGuard tunnel once, and makes files and
// live devices say so.
//
// A [Hub] is a router and its guests. Its Validate finds what cannot work before
// anything is written: two peers with one prefix, an endpoint inside the tunnel, an
// address that the other end does not let in. One end's view of it is an [Interface],
// which becomes
//
//   - a file of wg-quick(8): [Interface.WGQuick]; or
//   - a file of wg(8) and a fragment of interfaces(5): [Interface.Setconf] and
//     [Interface.Ifupdown]; or
//   - a change of a live device: [Diff] and [Apply].
//
// A file that is there already is edited: a [File] reads it as wg 1.0.20210914 and
// wg-quick do, keeps every byte that an edit does not name, and its Check reports what
// they would refuse, ignore or misread. The commands of wg-quick (PostUp and its like)
// are kept and never run.
//
//	f, err := wgpeer.Open("/etc/wireguard/wg0.conf")
//	if err != nil {
//		return err
//	}
//	if err := f.SetPeer(peer); err != nil {
//		return err
//	}
//	fmt.Print(f.Changes(), f.Check()) // neither shows a key
//	return f.Save(ctx)
//
// On a live device only the peers that change are touched, in one call: sessions and
// counters of the others go on. What the kernel would silently take as something else
// is refused: prefixes that overlap another peer's, a peer that is not there, the
// device's own key. [Health] tells how the peers are.
//
// A private key and a preshared key are types that print as "redacted", whatever they
// are a field of. Where the private key stays on its machine, its public half and
// KeyFile will do for everything.
//
// The package makes no device: wg-quick, ifupdown or a person does. It speaks to live
// ones through a [Client], which *wgctrl.Client is. For NetBSD, whose wg(4) has other
// words, see package netbsdcfg.
//
// # Speed
//
// One change among many peers of a userspace device, beside "wg syncconf" with the
// whole file, in one run on two cores (BenchmarkApplyOneChange):
//
//	                       1,000 peers   4,000 peers
//	Diff, Apply                  10 ms         55 ms
//	DiffPeer, Apply               7 ms         46 ms
//	wg syncconf                  19 ms         78 ms
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

	// A Severity is Warning or Error; it prints, and marshals, as a word.
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

// Package certsync brings certificates from the machine that gets them to the daemons
// that serve them, and never lets one of them see a chain with another's key.
//
// On the router a [Renewer] has an [Issuer] (package certsync/acme for Let's Encrypt,
// or a [LocalCA]) make what is due, and keeps it in a [Dir]. [Handler] publishes that to
// the addresses it is told. On the guest a [Consumer] fetches with a [Client], validates,
// installs in a Dir of its own, and tells each [Daemon], once for each change and again
// until its [Probe] sees the new certificate served.
package certsync

import (
	"errors"

	"github.com/rehost/rehost/internal/textfile"
)

// The vocabulary that all packages of this module share.
type (
	// An Output is a file that was rendered whole: Path, Mode, Data, or Link.
	Output = textfile.Output

	// A ParseError is input that cannot be read: File, Line, Col and Err.
	ParseError = textfile.ParseError

	// A ValueError is a value that cannot be used: Field, Value and Reason. Nothing has
	// been changed.
	ValueError = textfile.ValueError

	// A CommandError is a command that failed: Args, Stderr and Err.
	CommandError = textfile.CommandError
)

var (
	// ErrNotModified is returned by a Source that has no other bundle than the one the
	// caller has.
	ErrNotModified = errors.New("not modified")

	// ErrNotFound is returned by a Source that has no bundle of that name, and by a
	// rollback that has nothing to go back to.
	ErrNotFound = errors.New("not found")
)

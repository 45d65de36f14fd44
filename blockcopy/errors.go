package blockcopy

import (
	"errors"
	"fmt"

	"github.com/rehost/rehost/internal/textfile"
)

// A ValueError is a value that cannot be used, such as that of an option: Field, Value
// and Reason. Nothing has been written.
type ValueError = textfile.ValueError

// A CommandError is a command that failed: Args, Stderr and Err.
type CommandError = textfile.CommandError

// ErrSameDevice is the error of a copy whose source and target are the same device
// or file, or where one lies on the other.
var ErrSameDevice = errors.New("source and target are the same device")

// ErrInUse is the error of OpenTarget for a device that is mounted, holds another
// device, or is in use otherwise.
var ErrInUse = errors.New("the target is in use")

// ErrChanged is the error of a Full or Final pass whose source changed while it
// ran. The next pass finds what differs.
var ErrChanged = errors.New("the source changed while it was copied")

// An IOError says at which bytes of the image a read, write or flush failed. Err is
// the system's error: errors.Is(err, syscall.ENOSPC) is true for a full disk.
type IOError struct {
	Op     string // "read", "write", "zero", "sync", "read target" or "verify"
	Offset int64  // of the first byte; for "sync" of the first byte that may be lost
	Length int64
	Err    error
}

// Error names what was done, where, and the reason.
func (e *IOError) Error() string {
	return fmt.Sprintf("%s of %d bytes at %d: %v", e.Op, e.Length, e.Offset, e.Err)
}

// Unwrap returns Err.
func (e *IOError) Unwrap() error { return e.Err }

// failed returns an IOError, or err itself if it says already what the IOError would.
func failed(op string, off, n int64, err error) error {
	if _, ok := errors.AsType[*IOError](err); ok {
		return err
	}
	return &IOError{op, off, n, err}
}

// A ChecksumError says that bytes on the target, or bytes that came over the wire,
// are not those that were read from the source.
type ChecksumError struct {
	Offset, Length int64 // the bytes that differ lie in this range
	Want, Got      Digest
}

// Error names the range and both digests.
func (e *ChecksumError) Error() string {
	return fmt.Sprintf("checksum of %d bytes at %d is %v, want %v", e.Length, e.Offset, e.Got, e.Want)
}

// A SizeError says that the target cannot hold the source, with the bytes of each.
// Nothing was written.
type SizeError struct{ Source, Target int64 }

// Error names both sizes.
func (e *SizeError) Error() string {
	return fmt.Sprintf("the target has %d bytes, the source has %d", e.Target, e.Source)
}

// A JournalError says why a journal was refused. Nothing was written. Whoever is
// sure that the work shall begin anew removes the journal.
type JournalError struct{ Path, Reason string }

// Error names the path and the reason.
func (e *JournalError) Error() string { return fmt.Sprintf("journal %s: %s", e.Path, e.Reason) }

// A ProtocolError says that the other end of a stream does not speak the protocol,
// or not as it should.
type ProtocolError struct{ Reason string }

// Error returns the reason.
func (e *ProtocolError) Error() string { return "protocol: " + e.Reason }

// A RemoteError is the error with which the other end gave up. Err is ErrChanged or a
// *SizeError if it was one, and nil otherwise.
type RemoteError struct {
	Message string
	Err     error
}

// Error returns the message of the other end.
func (e *RemoteError) Error() string { return "the other end: " + e.Message }

// Unwrap returns Err.
func (e *RemoteError) Unwrap() error { return e.Err }

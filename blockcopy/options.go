package blockcopy

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"time"
)

// A Source is what is copied: its bytes do not change while a Full or a Final
// pass runs. ReadAt is called from several goroutines at once, with ranges that
// begin at multiples of 16 KiB and end at one or at Size; after an error of such a
// one, with the parts of it, down to 512 bytes.
//
// A Source may implement Extents, RangeReader, Identifier, Checker and Summer too.
type Source interface {
	io.ReaderAt
	Size() int64 // in bytes
}

// A Target is what is written. Its methods are called from several goroutines
// at once, with ranges that begin at multiples of 16 KiB and end at one or at
// the source's size (with SkipBad, also between ranges that cannot be read). Sync returns when all that was written before it was
// called would survive a power cut.
//
// A Target may implement Extents, Zeroer, Identifier, Checker, ColdReader and Resizer too.
type Target interface {
	io.ReaderAt
	io.WriterAt
	Size() int64 // in bytes
	Sync() error
}

// Extents is implemented by sources and targets that know where they have no
// data. Ranges without data are not read: they are zeros.
type Extents interface {
	// NextData returns the first range at or after off that may hold data. It
	// returns io.EOF if there is none up to the end.
	NextData(off int64) (start, end int64, err error)
}

// Zeroer is implemented by targets that can make a range read as zeros with less
// work than writing them, such as by making a hole.
type Zeroer interface {
	Zero(off, n int64) error
}

// RangeReader is implemented by sources for which one request for a long range is
// much cheaper than many ReadAt. Copy then reads Options.Streams ranges at once.
type RangeReader interface {
	// ReadRange returns a reader of n bytes from off. It ends with the context.
	ReadRange(ctx context.Context, off, n int64) (io.ReadCloser, error)
}

// Identifier is implemented by sources and targets that can be told from others
// when a copy goes on, after a reboot too. A journal holds the identity of both.
type Identifier interface {
	Identity() string
}

// Checker is implemented by sources and targets that can tell that they have changed.
// Version returns a text that is another one after each change of content, such as a
// regular file's times; "" means that it cannot be known, as with devices. A target whose
// version is still what it was at the end of a pass need not be hashed again in the next.
type Checker interface {
	Version() (string, error)
}

// Summer is implemented by sources that can tell their digest at less cost than by
// being read. Sum returns errors.ErrUnsupported where they cannot.
type Summer interface {
	Sum(ctx context.Context) (Digest, error)
}

// ColdReader is implemented by targets that can be read past the page cache, so
// that what is verified is what the disk has. Implementations return
// errors.ErrUnsupported where they cannot.
type ColdReader interface {
	ReadCold(p []byte, off int64) (int, error)
}

// Resizer is implemented by targets that take the size of what is copied to them.
// Resize is called once, before anything else, if Size is negative.
type Resizer interface {
	Resize(size int64) error
}

// A Pass says whether the source changes while it is copied.
type Pass int

const (
	// Full is the only pass, over a source that does not change.
	Full Pass = iota
	// Live is a pass over a source in use. It moves most of the data ahead of the
	// stop, and its Result is Dirty: some blocks are from before a change, some
	// from after it.
	Live
	// Final is the pass over the stopped source that ends the work of Live ones.
	Final
)

// String returns "full", "live" or "final".
func (p Pass) String() string { return name(p, "full", "live", "final") }

// Options are the knobs of a copy. The zero value, and nil, is a Full pass that
// compares with what the target holds, verifies what it wrote and keeps no journal.
type Options struct {
	Pass Pass // the zero value is Full

	// Journal is the path of the file that lets a copy go on after a crash, a lost
	// connection or a full disk; "" keeps none. It is made if it is missing, and
	// stays afterwards: ReadState reads it, and the next pass can build on it. In
	// Send it has no meaning: the journal lies beside the target.
	Journal string

	// Rewrite writes every block, without reading what the target holds.
	Rewrite bool

	// TrustJournal takes the journal's word for what the last pass that ended left
	// on the target, instead of reading it. That is wrong if anything else has
	// written the target since, such as a guest that was booted from it: then the
	// copy is corrupt and Copy cannot know.
	TrustJournal bool

	// Recheck reads the source a second time after the pass and compares, which
	// is the only way to notice that a device was written during the pass.
	Recheck bool

	// SkipVerify leaves out reading back what was written.
	SkipVerify bool

	// SkipBad goes on past ranges of the source that cannot be read. They are in
	// Result.Bad, the target keeps what it had there, and the copy still ends with
	// an error and is never complete; the next one tries them again. More than 65,536
	// such ranges end it.
	SkipBad bool

	// SHA256 computes the image's SHA-256 as well, by reading the target once more
	// from the beginning to the end.
	SHA256 bool

	// Rate is the most bytes per second that Copy reads from the source, or that
	// Send puts on the wire; 0 is no limit.
	Rate int64

	// Workers is how many blocks are worked on at once; 0 chooses. Streams is how
	// many ranges of a RangeReader are read at once; 0 is one.
	Workers, Streams int

	// Progress is called several times a second, and at the end, from one
	// goroutine. It must not block. nil reports nothing.
	Progress func(Progress)

	// Log gets what an operator may want to know, such as that a copy goes on from
	// a journal; nil logs nothing.
	Log *slog.Logger

	openJournal func(path string, want header) (*journal, error) // tests put a disk in its place
	unsynced    int64                                            // bytes that make a checkpoint due; tests have small images
}

// Progress counts bytes of the image. Every byte ends up in Durable; before, it
// was Resumed, or Same, or Zero, or Moved.
type Progress struct {
	Size    int64 // of the image
	Read    int64 // read from the source
	Sent    int64 // put on the wire (Send) or taken from it (Receive), frames and all; 0 for Copy
	Same    int64 // the target had them already
	Zero    int64 // zeros that became holes, or were holes already
	Moved   int64 // written to the target
	Resumed int64 // done by earlier runs of this pass
	Durable int64 // on the target for good, and verified if that was asked for; Resumed counts

	Elapsed   time.Duration
	Rate      float64       // bytes per second by which Durable grew, over the last ten seconds
	Remaining time.Duration // until the end, at that rate; negative while it is unknown
}

// A State is how far a target has come.
type State int

const (
	// Incomplete: the pass has not ended. The target is of no use yet.
	Incomplete State = iota
	// Dirty: a Live pass has ended. A Final one must follow.
	Dirty
	// Complete: the target holds the source's content.
	Complete
)

// String returns "incomplete", "dirty" or "complete".
func (s State) String() string { return name(s, "incomplete", "dirty", "complete") }

// A Verification says how what was written was checked.
type Verification int

const (
	// NotVerified: nothing was read back.
	NotVerified Verification = iota
	// VerifiedCached: it was read back, perhaps from the page cache.
	VerifiedCached
	// VerifiedCold: it was read back past the page cache.
	VerifiedCold
)

// String returns a sentence's end, such as "read back past the page cache".
func (v Verification) String() string {
	return name(v, "nothing was read back", "read back, perhaps from the page cache", "read back past the page cache")
}

func name[T ~int](i T, names ...string) string {
	if i < 0 || int(i) >= len(names) {
		return strconv.Itoa(int(i))
	}
	return names[i]
}

// A Range is a part of the image, in bytes.
type Range struct{ Offset, Length int64 }

// A Result is what a copy did, on failure too.
type Result struct {
	Progress
	Digest   Digest // BLAKE3 of the image as it is on the target; zero unless State is Complete or Dirty
	SHA256   []byte // nil unless Options.SHA256
	State    State
	Verified Verification
	Bad      []Range // of the source, that could not be read
}

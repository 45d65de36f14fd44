package zone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/rehost/rehost/internal/textfile"
)

var (
	// ErrStale is returned by Save when a file changed on disk since it was read.
	ErrStale = textfile.ErrStale

	// ErrSerial is returned by Save when records have changed and the serial of
	// the SOA record was not raised: secondaries would never know.
	ErrSerial = errors.New("records have changed, and the serial was not raised")
)

// Save replaces the files that have changed. All are written beside the old ones
// and flushed to disk first; then they are renamed, the one with the SOA record
// before the others, so that a crash in between is seen as a raised serial, and
// never as a zone that changed in silence. Owner, mode and symbolic links stay;
// the modification time is now, since named loads nothing that is older than its
// last load.
//
// Nothing is written if nothing has changed, or if it is [ErrStale], [ErrSerial],
// or [ErrDynamic]: named writes dynamic zones itself, and one is told by the
// journal beside it, FILE.jnl. Within [RNDC.WhileFrozen], with the context that it
// gives, a journal does no harm. A zone without an SOA
// record, such as a file that others include, has no serial to raise.
func (f *File) Save(ctx context.Context) error {
	var changed []textfile.Edit
	for _, src := range f.saveOrder() {
		if e := (textfile.Edit{File: src.file, Data: f.text(src)}); e.Changed() {
			changed = append(changed, e)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := f.raised(); err != nil {
		return err
	}
	if err := f.static(ctx); err != nil {
		return err
	}
	if err := textfile.Save(ctx, changed...); err != nil {
		return err
	}
	f.edited = false
	if serial, err := f.Serial(); err == nil {
		f.savedSerial = &serial
	}
	for _, e := range changed {
		// The new text was written a moment before the rename. If named loaded the
		// old one in between, it would take the new one for loaded.
		now := time.Now()
		if err := os.Chtimes(e.File.Name(), now, now); err != nil {
			return err
		}
	}
	return nil
}

// saveOrder yields the files, the one with the SOA record first.
func (f *File) saveOrder() iter.Seq2[string, *source] {
	first := f.sources[0]
	if c, err := f.soa(); err == nil {
		first = f.blocks[c.at.block].src
	}
	return func(yield func(string, *source) bool) {
		if !yield(first.file.Name(), first) {
			return
		}
		for _, src := range f.sources {
			if src != first && !yield(src.file.Name(), src) {
				return
			}
		}
	}
}

// raised reports records that changed under the serial that was read.
func (f *File) raised() error {
	if !f.edited || f.savedSerial == nil {
		return nil
	}
	serial, err := f.Serial()
	if err != nil {
		return err
	}
	if order, ok := CompareSerial(serial, *f.savedSerial); !ok || order <= 0 {
		return fmt.Errorf("%s: %w: it was %d and is %d", f.sources[0].file.Name(), ErrSerial, *f.savedSerial, serial)
	}
	return nil
}

// static reports a journal, unless WhileFrozen is at work.
func (f *File) static(ctx context.Context) error {
	if ctx.Value(frozen{nameKey(f.apex.text)}) != nil {
		return nil
	}
	journal := f.sources[0].file.Name() + ".jnl"
	switch _, err := os.Stat(journal); {
	case err == nil:
		return fmt.Errorf("%s: %w: %s is there", f.sources[0].file.Name(), ErrDynamic, journal)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

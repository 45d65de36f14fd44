package blockcopy

import (
	"fmt"
	"os"
)

// A SourceFile is a regular file, or a disk, that is read: on Linux a block device,
// on FreeBSD and NetBSD the character device of a disk. Disks are read past the page
// cache (or, where that cannot be, with an emptied one), which may be older than what
// came to the disk by another way, such as a logical volume or the file below a loop
// device.
type SourceFile struct{ s *storage }

// OpenSource opens what is to be copied; symbolic links are followed. It cannot be
// written through what is returned. What is neither a file nor a disk is a
// *ValueError. Close it after the copy.
func OpenSource(path string) (*SourceFile, error) {
	s, err := openStorage(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if s.regular {
		readAhead(s.file)
	}
	return &SourceFile{s}, nil
}

// Path returns the path that OpenSource was given.
func (f *SourceFile) Path() string { return f.s.path }

// Size returns the size in bytes, as it was when the source was opened.
func (f *SourceFile) Size() int64 { return f.s.size }

// ReadAt reads as io.ReaderAt does. Any range will do.
func (f *SourceFile) ReadAt(p []byte, off int64) (int, error) { return f.s.readAt(p, off) }

// NextData finds the holes of a regular file, where the filesystem tells them
// (lseek(2), SEEK_DATA). Everything else is data to the end.
func (f *SourceFile) NextData(off int64) (start, end int64, err error) { return f.s.nextData(off) }

// Identity names the file or disk whatever its path is: a file by its filesystem and
// inode, a disk by its serial number or what the system has like it. It outlives a
// reboot. A disk of which nothing is known is named by its device number, which may
// be another one then.
func (f *SourceFile) Identity() string { return identity(f.s) }

// Version returns size, time of change and time of status change of a regular file,
// and "" for a disk. The error is ErrChanged if a file no longer has the size that it
// had when it was opened.
func (f *SourceFile) Version() (string, error) {
	st, err := f.s.fstat()
	if err == nil && f.s.regular && st.Size != f.s.size {
		err = fmt.Errorf("%s: %w: it had %d bytes and has %d", f.s.path, ErrChanged, f.s.size, st.Size)
	}
	if err != nil {
		return "", err
	}
	return f.s.version()
}

// Close closes the file. A second Close is os.ErrClosed.
func (f *SourceFile) Close() error { return f.s.file.Close() }

// opened is how a target finds the file below a source that embeds it.
func (f *SourceFile) opened() *storage { return f.s }

// checkSource refuses a source that is the target, or lies on it, or has the target
// lying on it. The error matches ErrSameDevice.
func (t *TargetFile) checkSource(src Source) error {
	from, ok := src.(interface{ opened() *storage })
	if !ok {
		return nil
	}
	source := from.opened()
	same, err := sameStorage(t.s, source)
	if err != nil {
		return fmt.Errorf("whether %s and %s are the same device: %w", source.path, t.s.path, err)
	}
	if same {
		return fmt.Errorf("%s and %s: %w", source.path, t.s.path, ErrSameDevice)
	}
	return nil
}

package blockcopy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A storage is an open regular file or an open disk.
type storage struct {
	path    string
	file    *os.File
	regular bool // else a disk
	stat    unix.Stat_t
	size    int64 // in bytes; negative while a target waits for its size
	direct  bool  // a disk whose reads and writes pass the page cache by
	sectors *sectors
}

// A geometry is what a disk says of itself.
type geometry struct {
	size   int64 // in bytes
	sector int64 // in bytes; I/O begins and ends at one
}

// openStorage opens what path leads to. It looks before it opens: opening a pipe, or
// on Linux a terminal or a tape, does something to it.
func openStorage(path string, flag int) (*storage, error) {
	s := &storage{path: path}
	if err := unix.Stat(path, &s.stat); err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := s.copyable(); err != nil {
		return nil, err
	}
	var err error
	if s.regular {
		s.file, err = os.OpenFile(path, flag, 0)
	} else {
		s.file, err = openDisk(s, flag)
	}
	if err != nil {
		return nil, err
	}
	if err := s.measure(); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

// copyable refuses what is neither a regular file nor a disk.
func (s *storage) copyable() error {
	kind := uint32(s.stat.Mode) & unix.S_IFMT
	s.regular = kind == unix.S_IFREG
	if s.regular || kind == diskKind {
		return nil
	}
	what := ""
	switch kind {
	case unix.S_IFDIR:
		what = "a directory"
	case unix.S_IFIFO:
		what = "a pipe"
	case unix.S_IFSOCK:
		what = "a socket"
	case unix.S_IFCHR:
		what = "a character device"
	case unix.S_IFBLK:
		what = "a block device"
	default:
		what = fmt.Sprintf("of the kind %#o", kind)
	}
	return &ValueError{Field: "path", Value: s.path, Reason: "it is " + what + "; " + diskWanted}
}

// measure looks again, at what was opened, and finds its size.
func (s *storage) measure() error {
	before := s.stat
	if err := unix.Fstat(int(s.file.Fd()), &s.stat); err != nil {
		return &os.PathError{Op: "fstat", Path: s.path, Err: err}
	}
	if before.Mode != s.stat.Mode || before.Rdev != s.stat.Rdev {
		return &os.PathError{Op: "open", Path: s.path, Err: errors.New("it was replaced by something else meanwhile")}
	}
	if s.regular {
		s.size = s.stat.Size
		return nil
	}
	g, err := diskGeometry(s)
	if err != nil {
		return fmt.Errorf("%s: its size: %w", s.path, err)
	}
	if g.size < 0 || g.sector <= 0 || g.sector > blockSize || g.sector&(g.sector-1) != 0 {
		return fmt.Errorf("%s: %d bytes in sectors of %d bytes make no disk", s.path, g.size, g.sector)
	}
	s.size = g.size
	s.sectors = &sectors{raw: rawFile{s.file}, size: g.sector}
	return nil
}

func (s *storage) readAt(p []byte, off int64) (int, error) {
	if s.regular {
		return s.file.ReadAt(p, off)
	}
	if off >= s.size {
		return 0, io.EOF
	}
	if rest := s.size - off; int64(len(p)) > rest {
		n, err := s.sectors.ReadAt(p[:rest], off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return s.sectors.ReadAt(p, off)
}

// writeAt fails with ENOSPC at the end of a disk, after what has room was written.
func (s *storage) writeAt(p []byte, off int64) (int, error) {
	if s.regular {
		return rawFile{s.file}.WriteAt(p, off)
	}
	room := min(max(s.size-off, 0), int64(len(p)))
	n, err := s.sectors.WriteAt(p[:room], off)
	if err == nil && n < len(p) {
		err = unix.ENOSPC
	}
	return n, err
}

// nextData is the NextData of both ends.
func (s *storage) nextData(off int64) (start, end int64, err error) {
	if off >= s.size {
		return 0, 0, io.EOF
	}
	off = max(off, 0)
	if !s.regular {
		return off, s.size, nil
	}
	start, end, err = seekData(s.file, off, s.size)
	if err != nil && err != io.EOF {
		err = &os.PathError{Op: "lseek", Path: s.path, Err: err}
	}
	return start, end, err
}

// version tells a regular file from what it is after any change; "" is a disk.
func (s *storage) version() (string, error) {
	st, err := s.fstat()
	if err != nil || !s.regular {
		return "", err
	}
	return fmt.Sprintf("size %d mtime %d ctime %d", st.Size, st.Mtim.Nano(), st.Ctim.Nano()), nil
}

func (s *storage) fstat() (st unix.Stat_t, err error) {
	err = withDescriptor(s.file, func(fd int) error { return unix.Fstat(fd, &st) })
	if err != nil {
		err = &os.PathError{Op: "fstat", Path: s.path, Err: err}
	}
	return st, err
}

// A span is a range of bytes of a file or of a whole disk, which the text in where
// names in one way however it was reached. end is math.MaxInt64 where it is unknown.
type span struct {
	where      string
	start, end int64
}

func (a span) overlaps(b span) bool {
	return a.where == b.where && a.start < b.end && b.start < a.end
}

// sameStorage reports whether one of the two is the other, or lies on it. Two
// volumes that lie side by side on a third thing are not the same.
func sameStorage(a, b *storage) (bool, error) {
	if !a.regular && !b.regular && a.stat.Rdev == b.stat.Rdev {
		return true, nil
	}
	overA, err := spans(a)
	if err != nil {
		return false, err
	}
	overB, err := spans(b)
	if err != nil {
		return false, err
	}
	return related(overA, overB), nil
}

// related takes what spans returns of two storages.
func related(overA, overB []span) bool {
	return slices.ContainsFunc(overA, overB[0].overlaps) || slices.ContainsFunc(overB, overA[0].overlaps)
}

// fileSpan is the span of a regular file.
func fileSpan(s *storage) span {
	return span{where: fileName(uint64(s.stat.Dev), uint64(s.stat.Ino)), end: maxOffset}
}

func fileName(dev, ino uint64) string { return fmt.Sprintf("file %d %d", dev, ino) }

// fileIdentity names a regular file by its filesystem and its inode. An inode's
// number is used again after the file was removed: the time of birth, where there
// is one, tells the two apart.
func fileIdentity(filesystem string, s *storage, born int64) string {
	return fmt.Sprintf("file %s inode %d born %d", filesystem, uint64(s.stat.Ino), born)
}

package blockcopy

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// maxWrite is the most that one write hands to the system: virtual machines have
	// been seen to take three times as long from 1 MiB on.
	maxWrite = 512 << 10

	maxOffset = math.MaxInt64
)

// A TargetFile is a regular file, or a disk, that is read and written: what a
// SourceFile may be. While it is open no other copy can open it as its target, nor
// can a disk of Linux be mounted.
type TargetFile struct {
	s    *storage
	cold *os.File // reads a regular file past the page cache; nil if the system has no way

	writing sync.Mutex // one write to a regular file at a time

	keepsBlocks atomic.Bool // the filesystem or the disk cannot make zeros other than by writing them
}

// OpenTarget opens what is copied to; symbolic links are followed. What the target
// holds stays, for a resume or a delta.
//
// A regular file is made if it is missing, readable to its owner alone, and gets the
// size: a smaller one grows, a larger one loses its end, for an image with a tail is
// another image. With a size below 0 the file keeps its size until Resize, which Copy
// calls once it knows that the source is not this very file. A disk has the size it
// has: a *SizeError says that it is smaller than asked.
//
// A disk that is mounted, swapped to or part of another one, or has such partitions,
// a file or disk below a loop device, and the target of another copy are refused
// with ErrInUse and who uses it. What is neither a file nor a disk is a *ValueError.
// Close it after the copy.
func OpenTarget(path string, size int64) (*TargetFile, error) {
	s, err := openStorage(path, os.O_RDWR)
	made := false
	if errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, err
		}
		made = true
		s, err = openStorage(path, os.O_RDWR)
	}
	if err != nil {
		return nil, err
	}
	t := &TargetFile{s: s}
	if err := t.claim(size); err != nil {
		if made && !errors.Is(err, ErrInUse) {
			os.Remove(path) // while it is locked: no other copy fills it
		}
		t.Close()
		return nil, err
	}
	return t, nil
}

// claim makes an open file or disk the target of this copy alone.
func (t *TargetFile) claim(size int64) error {
	if err := lock(t.s); err != nil {
		return err
	}
	// Another copy may have resized it, or removed it again, until it let go of the lock.
	if err := t.s.measure(); err != nil {
		return err
	}
	if t.s.stat.Nlink == 0 {
		return &os.PathError{Op: "open", Path: t.s.path, Err: fmt.Errorf("it was removed meanwhile: %w", os.ErrNotExist)}
	}
	user, err := usedBy(t.s)
	if err != nil {
		return err
	}
	if user != "" {
		return inUse(t.s.path, user)
	}
	if !t.s.regular && t.s.size < size {
		return fmt.Errorf("%s: %w", t.s.path, &SizeError{Source: size, Target: t.s.size})
	}
	if !t.s.regular {
		return nil
	}
	if t.cold, err = openCold(t.s); err != nil {
		return err
	}
	if size < 0 {
		t.s.size = -1
		return nil
	}
	return t.Resize(size)
}

func inUse(path, user string) error { return fmt.Errorf("%s: %w: %s", path, ErrInUse, user) }

// create makes an empty regular file that a power cut does not take back.
func create(path string) error {
	dir := filepath.Dir(path)
	var st, dev, root unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	// A mistyped device would become a file in memory as large as the image.
	if unix.Stat("/dev", &dev) == nil && unix.Stat("/", &root) == nil && dev.Dev != root.Dev && dev.Dev == st.Dev {
		return &os.PathError{Op: "open", Path: path, Err: fmt.Errorf("there is no such device: %w", os.ErrNotExist)}
	}
	// With O_EXCL a symbolic link that leads nowhere is refused.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncDir(dir)
}

// lock keeps other copies from a target. A filesystem without locks has none.
func lock(s *storage) error {
	if !s.regular && !locksDisks {
		return nil
	}
	for {
		err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EWOULDBLOCK:
			return inUse(s.path, "another program has locked it")
		case err == nil || errors.Is(err, errors.ErrUnsupported) || err == unix.ENOLCK:
			return nil
		}
		return &os.PathError{Op: "flock", Path: s.path, Err: err}
	}
}

// Path returns the path that OpenTarget was given.
func (t *TargetFile) Path() string { return t.s.path }

// Size returns the size in bytes; it is negative before Resize if OpenTarget was
// told a negative one.
func (t *TargetFile) Size() int64 { return t.s.size }

// Resize gives a regular file its size, as OpenTarget does. A disk that is smaller
// is a *SizeError.
func (t *TargetFile) Resize(size int64) error {
	if size < 0 {
		return &ValueError{Field: "size", Value: fmt.Sprint(size), Reason: "it is negative"}
	}
	if !t.s.regular {
		if t.s.size < size {
			return fmt.Errorf("%s: %w", t.s.path, &SizeError{Source: size, Target: t.s.size})
		}
		return nil
	}
	// Never to 0 and up again: that throws away what a resume needs, and ext4 then
	// writes all out when the file is closed.
	if size != t.s.stat.Size {
		// Past the limit the system would send a signal that ends the program.
		var limit unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_FSIZE, &limit) == nil && uint64(size) > uint64(limit.Cur) {
			return &os.PathError{Op: "ftruncate", Path: t.s.path, Err: unix.EFBIG}
		}
		if err := t.s.file.Truncate(size); err != nil {
			return err
		}
		t.s.stat.Size = size
	}
	t.s.size = size
	return nil
}

// ReadAt reads as io.ReaderAt does. Any range will do. A disk is read past the page
// cache.
func (t *TargetFile) ReadAt(p []byte, off int64) (int, error) { return t.s.readAt(p, off) }

// NextData finds the holes of a regular file, as SourceFile's does.
func (t *TargetFile) NextData(off int64) (start, end int64, err error) { return t.s.nextData(off) }

// Identity names the file or disk, as SourceFile's does.
func (t *TargetFile) Identity() string { return identity(t.s) }

// Version returns what SourceFile's does: it tells whether anybody has written a regular
// file since a copy ended.
func (t *TargetFile) Version() (string, error) { return t.s.version() }

// WriteAt writes as io.WriterAt does. Any range will do, but only whole sectors are
// quick on a disk. The error is an *IOError whose Offset is the first byte that was
// not written, such as the end of a disk.
func (t *TargetFile) WriteAt(p []byte, off int64) (int, error) {
	if t.s.regular {
		// The system takes them one by one anyway, and those that wait spin: a
		// goroutine that waits here leaves its processor to one that computes.
		t.writing.Lock()
		defer t.writing.Unlock()
	}
	done := 0
	for done < len(p) {
		n, err := t.s.writeAt(p[done:min(done+maxWrite, len(p))], off+int64(done))
		done += n
		if err != nil {
			return done, t.failed("write", off+int64(done), int64(len(p)-done), err)
		}
	}
	return done, nil
}

// Zero makes n bytes from off zeros: a hole in a file, zeros that the disk makes
// itself, or zeros that are written where neither is to be had. Any range will do.
// The error is an *IOError.
func (t *TargetFile) Zero(off, n int64) error {
	if off < 0 || n < 0 {
		return t.failed("zero", off, n, unix.EINVAL)
	}
	if !t.s.regular {
		// A disk makes zeros of whole sectors; the rest is written.
		if lead := min(-off&(t.s.sectors.size-1), n); lead > 0 {
			if err := t.writeZeros(off, lead); err != nil {
				return err
			}
			off, n = off+lead, n-lead
		}
		if tail := n & (t.s.sectors.size - 1); tail > 0 {
			if err := t.writeZeros(off+n-tail, tail); err != nil {
				return err
			}
			n -= tail
		}
	}
	if n == 0 {
		return nil
	}
	if t.keepsBlocks.Load() {
		return t.writeZeros(off, n)
	}
	err := punch(t.s, off, n)
	if errors.Is(err, errors.ErrUnsupported) {
		t.keepsBlocks.Store(true)
		return t.writeZeros(off, n)
	}
	if err != nil {
		return t.failed("zero", off, n, err)
	}
	return nil
}

func (t *TargetFile) writeZeros(off, n int64) error {
	buf := newBuffer()
	defer freeBuffer(buf)
	clear(buf[:])
	for n > 0 {
		done, err := t.WriteAt(buf[:min(n, blockSize)], off)
		if err != nil {
			return err
		}
		off, n = off+int64(done), n-int64(done)
	}
	return nil
}

// Sync returns when all that was written before would survive a power cut. After an
// error it is unknown what of it is on the disk, and a second Sync says nothing of
// that; ReadAt then returns what the disk has.
func (t *TargetFile) Sync() error {
	err := syncData(t.s)
	if err != nil {
		// Linux takes what it could not write for clean, and shows it to the next run,
		// which would find no difference to the source.
		err = errors.Join(err, t.dropCache())
	}
	return err
}

// dropCache makes ReadAt return what the disk has.
func (t *TargetFile) dropCache() error { return dropCache(t.s.file) }

// ReadCold reads like ReadAt, but from the disk in place of the page cache. It is
// errors.ErrUnsupported where the system has no way, such as on tmpfs. What was
// written and not yet flushed is flushed first.
func (t *TargetFile) ReadCold(p []byte, off int64) (int, error) {
	if !t.s.regular && t.s.direct {
		return t.s.readAt(p, off)
	}
	if t.cold == nil {
		return 0, errors.ErrUnsupported
	}
	n, err := (&sectors{raw: coldFile{t.cold}, size: pageSize}).ReadAt(p, off)
	switch err {
	case nil, io.EOF:
		return n, err
	case unix.EINVAL: // a filesystem that opens files so, and does not read them
		return n, errors.ErrUnsupported
	}
	return n, &os.PathError{Op: "read", Path: t.s.path, Err: err}
}

// Close closes the file, without Sync. A second Close is os.ErrClosed.
func (t *TargetFile) Close() error {
	var err error
	if t.cold != nil {
		err = t.cold.Close()
	}
	return errors.Join(err, lockedFile{t.s.file}.Close())
}

// failed returns an error that holds an *IOError.
func (t *TargetFile) failed(op string, off, length int64, err error) error {
	if named, ok := errors.AsType[*os.PathError](err); ok { // of a sector that is written in part, and read before
		err = named.Err
	}
	return fmt.Errorf("%s: %w", t.s.path, &IOError{Op: op, Offset: off, Length: length, Err: err})
}

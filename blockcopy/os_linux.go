package blockcopy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	diskKind   = unix.S_IFBLK
	diskWanted = "a regular file or a block device is wanted"

	// O_EXCL does it, and udev takes such locks for moments.
	locksDisks = false
)

// openDisk opens a block device past the page cache. To write it, it must be used by
// no one: O_EXCL then fails with EBUSY (open(2)), and without it a mounted device
// opens and is written.
func openDisk(s *storage, flag int) (*os.File, error) {
	if flag&os.O_RDWR != 0 {
		flag |= unix.O_EXCL
	}
	f, err := os.OpenFile(s.path, flag|unix.O_DIRECT, 0)
	if err == nil {
		s.direct = true
		return f, nil
	}
	if errors.Is(err, unix.EINVAL) { // no O_DIRECT
		if f, err = os.OpenFile(s.path, flag, 0); err == nil {
			if err = dropCache(f); err != nil {
				f.Close()
				return nil, err
			}
			return f, nil
		}
	}
	if errors.Is(err, unix.EBUSY) {
		user, lookErr := usedBy(s)
		if lookErr != nil || user == "" {
			user = "another program holds it"
		}
		return nil, inUse(s.path, user)
	}
	return nil, err
}

// dropCache makes the next reads of a file or disk come from the disk, but for what
// is still to be written.
func dropCache(f *os.File) error {
	err := withDescriptor(f, func(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) })
	if err != nil {
		return &os.PathError{Op: "fadvise", Path: f.Name(), Err: err}
	}
	return nil
}

// diskGeometry asks lseek for the size: stat says 0 of a block device.
func diskGeometry(s *storage) (geometry, error) {
	fd := int(s.file.Fd())
	size, err := unix.Seek(fd, 0, io.SeekEnd)
	if err != nil {
		return geometry{}, err
	}
	sector, err := unix.IoctlGetInt(fd, unix.BLKSSZGET)
	return geometry{size, int64(sector)}, err
}

// readAhead is only advice.
func readAhead(f *os.File) { unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_SEQUENTIAL) }

// openCold opens a regular file a second time, to be read past the page cache.
func openCold(s *storage) (*os.File, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(s.file.Fd()), &fs); err != nil {
		return nil, &os.PathError{Op: "fstatfs", Path: s.path, Err: err}
	}
	// They take O_DIRECT and have no disk.
	if kind := uint32(fs.Type); kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC {
		return nil, nil
	}
	// The path may lead to another file by now.
	self := "/proc/self/fd/" + strconv.Itoa(int(s.file.Fd()))
	f, err := os.OpenFile(self, os.O_RDONLY|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

func syncData(s *storage) error {
	if err := withDescriptor(s.file, unix.Fdatasync); err != nil {
		return &os.PathError{Op: "fdatasync", Path: s.path, Err: err}
	}
	return nil
}

// punch makes zeros without writing them: errors.ErrUnsupported if that cannot be. A
// disk's answer to PUNCH_HOLE is zeros, in contrast to that of a discard; where it
// has none, ZERO_RANGE lets the disk or the kernel write them.
func punch(s *storage, off, n int64) error {
	err := fallocate(s.file, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if errors.Is(err, errors.ErrUnsupported) {
		err = fallocate(s.file, unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}
	if err == unix.ENODEV || err == unix.EINVAL { // a block device before Linux 4.9
		return errors.ErrUnsupported
	}
	return err
}

func fallocate(f *os.File, mode uint32, off, n int64) error {
	return withDescriptor(f, func(fd int) error { return unix.Fallocate(fd, mode, off, n) })
}

// identity names a disk by what sysfs has on it.
func identity(s *storage) string {
	if !s.regular {
		return fmt.Sprintf("%s size %d", theSystem().identify(uint64(s.stat.Rdev)), s.size)
	}
	var born int64
	var st unix.Statx_t
	if unix.Statx(int(s.file.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st) == nil && st.Mask&unix.STATX_BTIME != 0 {
		born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	fsid := filesystem(func(fs *unix.Statfs_t) error { return unix.Fstatfs(int(s.file.Fd()), fs) })
	return fileIdentity(fsid, s, born)
}

// filesystem returns what statfs(2) tells a filesystem from others by.
func filesystem(statfs func(*unix.Statfs_t) error) string {
	var fs unix.Statfs_t
	if statfs(&fs) != nil {
		return "unknown"
	}
	return fmt.Sprintf("%08x%08x", uint32(fs.Fsid.Val[0]), uint32(fs.Fsid.Val[1]))
}

func spans(s *storage) ([]span, error) {
	if s.regular {
		return theSystem().over(fileSpan(s), uint64(s.stat.Dev)), nil
	}
	return theSystem().overDisk(uint64(s.stat.Rdev), 0, maxOffset), nil
}

func usedBy(s *storage) (string, error) { return theSystem().usedBy(s) }

//go:build freebsd || netbsd

package blockcopy

import (
	"errors"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// diskIoctl asks the disk itself.
func diskIoctl(f *os.File) ioctl {
	return func(request uint, p []byte) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(unsafe.Pointer(unsafe.SliceData(p))))
		if errno != 0 {
			return errno
		}
		return nil
	}
}

// mountedUser says that s is mounted, if what is mounted is s or lies on it.
func mountedUser(s *storage, from, on string) string {
	if s.regular || !strings.HasPrefix(from, "/dev/") {
		return ""
	}
	mounted, err := openStorage(rawDisk(from), os.O_RDONLY)
	if err != nil {
		return ""
	}
	defer mounted.file.Close()
	same, err := sameStorage(mounted, s)
	if err != nil || !same {
		return ""
	}
	return from + " is mounted on " + on
}

// flushed takes no offence at a disk without a cache.
func flushed(s *storage, err error) error {
	if err == nil || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return &os.PathError{Op: "flush", Path: s.path, Err: err}
}

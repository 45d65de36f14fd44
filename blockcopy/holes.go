//go:build linux || freebsd

package blockcopy

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// seekData finds the first range with data from off by lseek(2). A filesystem that
// knows of no holes says that all is data, or that it does not understand.
func seekData(f *os.File, off, size int64) (start, end int64, err error) {
	seek := func(from int64, whence int) (at int64, err error) {
		err = withDescriptor(f, func(fd int) (err error) {
			at, err = unix.Seek(fd, from, whence)
			return err
		})
		return at, err
	}
	start, err = seek(off, unix.SEEK_DATA)
	switch err {
	case nil:
	case unix.ENXIO: // a hole up to the end
		return 0, 0, io.EOF
	case unix.EINVAL, unix.ENOTTY, unix.EOPNOTSUPP:
		return off, size, nil
	default:
		return 0, 0, err
	}
	end, err = seek(start, unix.SEEK_HOLE)
	switch {
	case start >= size: // the file has grown
		return 0, 0, io.EOF
	case err == unix.ENXIO || err == nil && end <= start: // the file has changed
		return start, size, nil
	case err != nil:
		return 0, 0, err
	}
	return start, min(end, size), nil
}

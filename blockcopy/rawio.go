package blockcopy

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// withDescriptor calls the system with the descriptor of a file, again if a signal
// came between. A Close waits for it: its number could be another file's by then.
func withDescriptor(f *os.File, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	failed := conn.Control(func(fd uintptr) {
		for err = unix.EINTR; err == unix.EINTR; {
			err = call(int(fd))
		}
	})
	if failed != nil {
		return os.ErrClosed
	}
	return err
}

// A rawFile is a file that says how much it has written before an error: os.File
// forgets what came before it.
type rawFile struct{ *os.File }

func (f rawFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		var n int
		err := withDescriptor(f.File, func(fd int) (err error) {
			n, err = unix.Pwrite(fd, p[done:], off+int64(done))
			return err
		})
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// A coldFile is a regular file that was opened to be read past the page cache, in
// whole pages. A read over its end is short, and another one from there would be an
// error, at no page's beginning as it is: os.File tries it.
type coldFile struct{ *os.File }

func (f coldFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		var n int
		err := withDescriptor(f.File, func(fd int) (err error) {
			n, err = unix.Pread(fd, p[done:], off+int64(done))
			return err
		})
		if err != nil {
			return done, err
		}
		done += n
		if n == 0 || n%pageSize != 0 {
			return done, io.EOF
		}
	}
	return done, nil
}

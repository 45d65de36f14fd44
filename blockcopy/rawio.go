package blockcopy

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A rawFile is a file that says how much it has written before an error: os.File
// forgets what came before it.
type rawFile struct{ *os.File }

func (f rawFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(int(f.Fd()), p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, err
		case n == 0:
			return done, io.ErrShortWrite
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
		n, err := unix.Pread(int(f.Fd()), p[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, &os.PathError{Op: "pread", Path: f.Name(), Err: err}
		}
		done += n
		if n == 0 || n%pageSize != 0 {
			return done, io.EOF
		}
	}
	return done, nil
}

package blockcopy

import (
	"io"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

// sectors is I/O in any range over a disk that takes whole sectors only, from and to
// memory that begins at a sector's multiple: a raw character device, or a block
// device that is read and written past the page cache.
type sectors struct {
	raw interface {
		io.ReaderAt
		io.WriterAt
	}
	size int64 // of a sector, in bytes; a power of two, no larger than a block

	partial sync.Mutex // a sector that is written in part is read, changed and written
}

// whole returns how many bytes of p, which is for off, can be moved without help;
// helped is how many can be moved in one go through a buffer of a block.
func (s *sectors) whole(p []byte, off int64) (direct, helped int) {
	if off%s.size != 0 {
		return 0, 0
	}
	n := len(p) - len(p)%int(s.size)
	if uintptr(unsafe.Pointer(unsafe.SliceData(p)))%uintptr(min(s.size, pageSize)) == 0 {
		return n, n
	}
	return 0, min(n, blockSize)
}

func (s *sectors) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, unix.EINVAL
	}
	done := 0
	for done < len(p) {
		direct, helped := s.whole(p[done:], off+int64(done))
		var n int
		var err error
		if direct > 0 {
			n, err = s.raw.ReadAt(p[done:done+direct], off+int64(done))
		} else {
			n, err = s.readHelped(p[done:], off+int64(done), helped)
		}
		done += n
		if err != nil && (err != io.EOF || done < len(p)) {
			return done, err
		}
	}
	return done, nil
}

// readHelped reads n bytes, or the part that p wants of one sector if n is 0.
func (s *sectors) readHelped(p []byte, off int64, n int) (int, error) {
	buf := newBuffer()
	defer freeBuffer(buf)
	skip := int(off % s.size)
	got, err := s.raw.ReadAt(buf[:max(n, int(s.size))], off-int64(skip))
	if n > 0 {
		p = p[:n]
	}
	return copy(p, buf[min(skip, got):got]), err
}

func (s *sectors) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, unix.EINVAL
	}
	done := 0
	for done < len(p) {
		direct, helped := s.whole(p[done:], off+int64(done))
		var n int
		var err error
		switch {
		case direct > 0:
			n, err = s.raw.WriteAt(p[done:done+direct], off+int64(done))
		case helped > 0:
			buf := newBuffer()
			copy(buf[:], p[done:done+helped])
			n, err = s.raw.WriteAt(buf[:helped], off+int64(done))
			freeBuffer(buf)
		default:
			n, err = s.writePartial(p[done:], off+int64(done))
		}
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// writePartial writes what p has for the sector around off.
func (s *sectors) writePartial(p []byte, off int64) (int, error) {
	buf := newBuffer()
	defer freeBuffer(buf)
	skip := off % s.size
	s.partial.Lock()
	defer s.partial.Unlock()
	if _, err := s.raw.ReadAt(buf[:s.size], off-skip); err != nil {
		return 0, err
	}
	n := copy(buf[skip:s.size], p)
	if _, err := s.raw.WriteAt(buf[:s.size], off-skip); err != nil {
		return 0, err
	}
	return n, nil
}

package blockcopy

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A rawMemory is memory behind the rules of a raw device.
type rawMemory struct {
	content []byte
	sector  int
}

func (m *rawMemory) allowed(p []byte, off int64) error {
	if off%int64(m.sector) != 0 || len(p)%m.sector != 0 || uintptr(unsafe.Pointer(unsafe.SliceData(p)))%uintptr(m.sector) != 0 {
		return unix.EINVAL
	}
	return nil
}

func (m *rawMemory) ReadAt(p []byte, off int64) (int, error) {
	if err := m.allowed(p, off); err != nil {
		return 0, err
	}
	return bytes.NewReader(m.content).ReadAt(p, off)
}

func (m *rawMemory) WriteAt(p []byte, off int64) (int, error) {
	if err := m.allowed(p, off); err != nil {
		return 0, err
	}
	if off >= int64(len(m.content)) {
		return 0, unix.ENOSPC
	}
	n := copy(m.content[off:], p)
	if n < len(p) {
		return n, unix.ENOSPC
	}
	return n, nil
}

func TestAnyRangeOfADiskOfWholeSectors(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		random := rand.New(rand.NewPCG(3, uint64(sector)))
		disk := &rawMemory{make([]byte, 3*blockSize), sector}
		s := &sectors{raw: disk, size: int64(sector)}
		want := make([]byte, len(disk.content))
		buf := make([]byte, len(want)+pageSize)
		try := func(off, n, skip int) {
			p := buf[skip : skip+n]
			for i := range p {
				p[i] = byte(random.Uint32())
			}
			got, err := s.WriteAt(p, int64(off))
			require.NoError(t, err, "write of %d at %d", n, off)
			require.Equal(t, n, got)
			copy(want[off:], p)
			require.True(t, bytes.Equal(want, disk.content), "write of %d at %d", n, off)
			got, err = s.ReadAt(p, int64(off))
			require.NoError(t, err, "read of %d at %d", n, off)
			require.Equal(t, n, got)
			require.True(t, bytes.Equal(want[off:off+n], p), "read of %d at %d", n, off)
		}
		for _, n := range []int{0, 1, 511, 512, 513, 4095, 4096, 4097, blockSize, blockSize + 1, 2*blockSize + 77} {
			for _, off := range []int{0, 1, 511, 512, 4096, 4097} {
				for _, skip := range []int{0, 1} {
					try(off, n, skip)
				}
			}
		}
		for range 100 {
			off := random.IntN(len(want))
			try(off, random.IntN(len(want)-off+1), random.IntN(pageSize))
		}
	}
}

func TestTheEndOfADiskOfWholeSectors(t *testing.T) {
	for _, off := range []int64{8192 - 1024, 8192 - 1000} {
		for _, skip := range []int{0, 1} {
			s := &sectors{raw: &rawMemory{make([]byte, 8192), 512}, size: 512}
			p := make([]byte, 4097)[skip:]
			n, err := s.ReadAt(p[:4096], off)
			assert.Equal(t, io.EOF, err, "from %d", off)
			assert.Equal(t, int(8192-off), n)
			n, err = s.WriteAt(p[:4096], off)
			assert.Equal(t, unix.ENOSPC, err)
			assert.Equal(t, int(8192-off), n)
		}
	}
}

// A yieldingMemory lets others go on between reading a sector and writing it.
type yieldingMemory struct{ rawMemory }

func (m *yieldingMemory) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.rawMemory.ReadAt(p, off)
	runtime.Gosched()
	return n, err
}

func TestTwoWritersInOneSector(t *testing.T) {
	disk := &yieldingMemory{rawMemory{make([]byte, 8192), 512}}
	s := &sectors{raw: disk, size: 512}
	var writers sync.WaitGroup
	for half := range int64(2) {
		writers.Go(func() {
			for off := half * 256; off < 8192; off += 512 {
				_, err := s.WriteAt(bytes.Repeat([]byte{1}, 256), off)
				assert.NoError(t, err)
			}
		})
	}
	writers.Wait()
	assert.True(t, bytes.Equal(bytes.Repeat([]byte{1}, 8192), disk.content))
}

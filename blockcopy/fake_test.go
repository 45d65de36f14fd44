package blockcopy

import (
	"errors"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
)

// memory is a source in memory.
type memory []byte

func (m memory) Size() int64 { return int64(len(m)) }
func (m memory) ReadAt(p []byte, off int64) (int, error) {
	return copy(p, m[off:]), nil
}

var errPower = errors.New("the power went out")

// power goes out at the n-th write or flush of all disks that hang on it.
type power struct {
	mu    sync.Mutex
	left  int // operations until then; negative: never
	out   bool
	count int // operations so far
	wrote int // writes of these
	rand  *rand.Rand
}

// disk is a target, or a journal, whose writes stay in a cache until Sync. When the power
// goes out, any of the sectors that are only in the cache are lost.
type disk struct {
	*power
	media, cache []byte
	dirty        map[int]bool // sectors
}

const sector = 512

func newDisk(p *power, content []byte) *disk {
	return &disk{power: p, media: append([]byte(nil), content...), cache: append([]byte(nil), content...), dirty: map[int]bool{}}
}

func (d *disk) Size() int64  { return int64(len(d.cache)) }
func (d *disk) Close() error { return nil }

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.out {
		return 0, errPower
	}
	return copy(p, d.cache[off:]), nil
}

// step counts an operation and reports whether the power goes out in the middle of it.
func (p *power) step() bool {
	p.count++
	p.left--
	if p.left == -1 {
		p.out = true
	}
	return p.out
}

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.out {
		return 0, errPower
	}
	d.wrote++
	if d.step() {
		p = p[:d.rand.IntN(len(p)+1)]
	}
	copy(d.cache[off:], p)
	for s := int(off) / sector; s*sector < int(off)+len(p); s++ {
		d.dirty[s] = true
	}
	if d.out {
		return len(p), errPower
	}
	return len(p), nil
}

// Sync makes durable what was in the cache when it was called. What is written in the
// meantime stays there.
func (d *disk) Sync() error {
	d.mu.Lock()
	if d.out {
		d.mu.Unlock()
		return errPower
	}
	out := d.step()
	then := maps.Clone(d.dirty)
	clear(d.dirty)
	content := slices.Clone(d.cache)
	d.mu.Unlock()
	for range 20 {
		runtime.Gosched() // others write
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range then {
		if out && d.rand.IntN(2) == 0 {
			d.dirty[s] = true
			continue
		}
		end := min((s+1)*sector, len(content))
		copy(d.media[s*sector:end], content[s*sector:end])
	}
	if out {
		return errPower
	}
	return nil
}

func (d *disk) flush(s int) {
	end := min((s+1)*sector, len(d.cache))
	copy(d.media[s*sector:end], d.cache[s*sector:end])
}

// afterReboot returns the disk as it is when the power is back: each sector that was only
// in the cache is on the media, or not.
func (d *disk) afterReboot(p *power) *disk {
	for s := range d.dirty {
		if d.rand.IntN(2) == 0 {
			d.flush(s)
		}
	}
	return newDisk(p, d.media)
}

// open puts the disk in the place of a journal's file.
func (d *disk) open(path string, want header) (*journal, error) {
	j := &journal{path: path, f: d}
	if _, err := readHeader(d); err == nil {
		return j, j.begin(want)
	}
	j.head = want
	j.head.Number = 1
	return j, j.writeHeader()
}

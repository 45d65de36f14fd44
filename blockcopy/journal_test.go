package blockcopy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"
)

// forgetful is a target whose flush fails once, and drops what it could not write: the page
// cache still has it, and calls it clean.
type forgetful struct {
	*disk
	fails bool
}

func (f *forgetful) Sync() error {
	if !f.fails {
		return f.disk.Sync()
	}
	f.fails = false
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.dirty)
	return errPower
}

func (f *forgetful) ReadCold(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.dirty {
		f.flush(s)
	}
	clear(f.dirty)
	return copy(p, f.media[off:]), nil
}

// TestAFailedFlushIsNotForgotten: what the cache has after it may not be on the disk, and the
// next flush says nothing of that (fsync(2)). So the next run compares with the disk.
func TestAFailedFlushIsNotForgotten(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, next Options
	}{
		{"the same pass", Options{}, Options{}},
		{"another pass", Options{Pass: Live}, Options{Pass: Final}},
		{"without reading back", Options{SkipVerify: true}, Options{SkipVerify: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := image(1, testSize)
			dst := &forgetful{newDisk(never(), image(2, testSize)), true}
			c.first.Journal = filepath.Join(t.TempDir(), "journal")
			c.next.Journal = c.first.Journal
			_, err := Copy(t.Context(), dst, src, &c.first)
			require.ErrorIs(t, err, errPower)
			r, err := Copy(t.Context(), dst, src, &c.next)
			require.NoError(t, err)
			assert.Equal(t, Complete, r.State)
			assert.Equal(t, []byte(src), dst.media)
		})
	}
}

// gone is a source that cannot be read.
type gone struct{ memory }

func (gone) ReadAt([]byte, int64) (int, error) { return 0, errPower }

// TestTheNewestHeaderIsLost: a flipped bit there does not bring the state of the pass before back.
func TestTheNewestHeaderIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	dst := newDisk(never(), make(memory, testSize))
	_, err := Copy(t.Context(), dst, image(1, testSize), &Options{Journal: path})
	require.NoError(t, err)
	_, err = Copy(t.Context(), dst, gone{make(memory, testSize)}, &Options{Journal: path})
	require.Error(t, err)
	damageNewestHeader(t, path)
	state, err := ReadState(path)
	require.NoError(t, err)
	assert.Equal(t, Incomplete, state.State)

	_, err = Copy(t.Context(), dst, &shrunk{image(1, testSize)}, &Options{Journal: path, Workers: 1, unsynced: 1})
	require.ErrorIs(t, err, ErrChanged)
	damageNewestHeader(t, path)
	r, err := Copy(t.Context(), dst, image(1, testSize), &Options{Journal: path})
	require.NoError(t, err)
	assert.Zero(t, r.Resumed, "the source had changed")
}

// TestAHeaderThatWasNotFlushed: a run that failed there has left it in the page cache. The
// next one must not write the target while the disk has that the pass before ended.
func TestAHeaderThatWasNotFlushed(t *testing.T) {
	file := &forgetful{disk: newDisk(never(), make([]byte, slotsAt+slotSize*blocksOf(testSize)))}
	dst := newDisk(never(), make(memory, testSize))
	opt := &Options{Journal: "journal", openJournal: file.disk.open}
	_, err := Copy(t.Context(), dst, image(1, testSize), opt)
	require.NoError(t, err)
	opt.openJournal = func(path string, want header) (*journal, error) {
		j := &journal{path: path, f: file}
		return j, j.begin(want)
	}
	file.fails = true
	_, err = Copy(t.Context(), dst, image(2, testSize), opt)
	require.ErrorIs(t, err, errPower)
	_, err = Copy(t.Context(), &failing{disk: dst, sync: errPower}, image(2, testSize), opt)
	require.ErrorIs(t, err, errPower)
	head, err := readHeader(newDisk(never(), file.media))
	require.NoError(t, err)
	assert.Equal(t, Incomplete, head.State)
}

// TestAnIdentityThatIsNoText: a disk's serial number may hold any bytes.
func TestAnIdentityThatIsNoText(t *testing.T) {
	opt := &Options{Journal: filepath.Join(t.TempDir(), "journal")}
	src := named{image(1, testSize), "disk \xff", "\xfe"}
	for range 2 {
		_, err := Copy(t.Context(), namedDisk{newDisk(never(), make(memory, testSize)), "\xc0"}, src, opt)
		require.NoError(t, err)
	}
}

// damageNewestHeader flips a bit in the header that counts.
func damageNewestHeader(t *testing.T, path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	head, err := readHeader(f)
	require.NoError(t, err)
	at := int64(head.Sequence%2)*headerSize + 40
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, err)
}

// FuzzJournal takes any bytes for a journal: they are refused, or the copy is right. With
// seal the headers and slots that are there get a right CRC, as damage never has it.
func FuzzJournal(f *testing.F) {
	const size = 3*blockSize + 100
	src, old := image(1, size), changed(image(1, size), 2)
	for _, opt := range []Options{{}, {Pass: Live}} {
		file := newDisk(never(), make([]byte, slotsAt+slotSize*blocksOf(size)))
		opt.Journal, opt.openJournal = "journal", file.open
		_, err := Copy(f.Context(), newDisk(never(), old), src, &opt)
		require.NoError(f, err)
		f.Add(file.media, false, false)
		f.Add(file.media[:slotsAt+slotSize+9], true, true)
	}
	f.Add([]byte{}, false, false)
	f.Add(bytes.Repeat([]byte{0xff}, slotsAt), true, false)
	f.Fuzz(func(t *testing.T, file []byte, live, seal bool) {
		if seal {
			file = sealed(file)
		}
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, os.WriteFile(path, file, 0o600))
		_, err := ReadState(path)
		var refused *JournalError
		if err != nil {
			require.ErrorAs(t, err, &refused)
		}
		opt := Options{Journal: path}
		if live {
			opt.Pass = Live
		}
		dst := newDisk(never(), old)
		r, err := Copy(t.Context(), dst, src, &opt)
		if err != nil {
			require.ErrorAs(t, err, &refused)
			require.True(t, bytes.Equal(old, dst.media), "nothing was written")
			return
		}
		require.Equal(t, Digest(blake3.Sum256(src)), r.Digest)
		require.True(t, bytes.Equal(src, dst.media))
		state, err := ReadState(path)
		require.NoError(t, err)
		require.Equal(t, r.State, state.State)
		require.Equal(t, r.Digest, state.Digest)
	})
}

// sealed gives headers and slots the CRC that makes them count.
func sealed(file []byte) []byte {
	file = bytes.Clone(file)
	for at := 0; at+headerSize <= min(len(file), slotsAt); at += headerSize {
		p := file[at : at+headerSize]
		copy(p, journalMagic)
		if end := bytes.IndexByte(p[len(journalMagic):], '\n'); end >= 0 && len(journalMagic)+end+10 <= len(p) {
			n := len(journalMagic) + end + 1
			copy(p[n:], fmt.Sprintf("%08x\n", crc32.Checksum(p[:n], castagnoli)))
		}
	}
	for at := slotsAt; at+slotSize <= len(file); at += slotSize {
		p := file[at : at+slotSize]
		binary.LittleEndian.PutUint32(p[36:], slotSum(p, int64(at-slotsAt)/slotSize))
	}
	return file
}

// TestWhatDoesNotGoOn: blocks of another version of the source, or of a pass over a source
// in use, are not of this one.
func TestWhatDoesNotGoOn(t *testing.T) {
	for _, c := range []struct {
		name    string
		pass    Pass
		version string
		next    Pass
		resumes bool
	}{
		{"the same", Full, "1", Full, true},
		{"another version", Full, "2", Full, false},
		{"another version, live", Live, "2", Live, true},
		{"final after live", Live, "1", Final, false},
		{"full after final", Final, "1", Full, false},
	} {
		inBubble(t, c.name, func(t *testing.T) { // a flush takes no time, and so the next one is not put off
			path := filepath.Join(t.TempDir(), "journal")
			dst := newDisk(&power{left: 30, rand: never().rand}, make(memory, testSize))
			_, err := Copy(t.Context(), dst, named{image(1, testSize), "", "1"}, &Options{Pass: c.pass, Journal: path, Workers: 1, unsynced: 1})
			require.ErrorIs(t, err, errPower)
			dst.power = never()
			state, err := ReadState(path)
			require.NoError(t, err)
			require.NotZero(t, state.Durable)
			src := image(1, testSize)
			if !c.resumes {
				src = image(4, testSize)
			}
			r, err := Copy(t.Context(), dst, named{src, "", c.version}, &Options{Pass: c.next, Journal: path})
			require.NoError(t, err)
			assert.Equal(t, c.resumes, r.Resumed > 0)
			assert.Equal(t, []byte(src), dst.media)
		})
	}
}

func TestASlotCountsAtItsPlaceOnly(t *testing.T) {
	slot := appendSlot(nil, 3, Digest{1}, 7)
	_, number := decodeSlot(slot, 3)
	assert.Equal(t, uint32(7), number)
	_, number = decodeSlot(slot, 4)
	assert.Zero(t, number)
}

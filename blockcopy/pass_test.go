package blockcopy

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"
)

const testSize = 20*blockSize + 777

func never() *power { return &power{left: -1, rand: rand.New(rand.NewPCG(1, 1))} }

// TestLiveThenFinal is traps 2 and 3: a pass over a source in use is dirty, on disk too,
// until a pass over the stopped source has moved the rest.
func TestLiveThenFinal(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	src := image(1, testSize)
	dst := newDisk(never(), make(memory, testSize))
	r, err := Copy(t.Context(), dst, src, &Options{Pass: Live, Journal: journal})
	require.NoError(t, err)
	assert.Equal(t, Dirty, r.State)
	state, err := ReadState(journal)
	require.NoError(t, err)
	assert.Equal(t, Dirty, state.State)

	for _, trust := range []bool{false, true} {
		src = changed(src, 9)
		r, err = Copy(t.Context(), dst, src, &Options{Pass: Final, Journal: journal, TrustJournal: trust})
		require.NoError(t, err)
		assert.Equal(t, Complete, r.State)
		assert.Equal(t, Digest(blake3.Sum256(src)), r.Digest)
		assert.Equal(t, []byte(src), dst.media)
		assert.LessOrEqual(t, r.Moved, int64(20*grainSize), "only what differs moves")
		assert.Equal(t, int64(testSize), r.Moved+r.Same+r.Zero)
		state, err = ReadState(journal)
		require.NoError(t, err)
		assert.Equal(t, Complete, state.State)
	}
}

// TestTrustJournalDoesNotReadTheTarget also shows the risk that its doc names.
func TestTrustJournalDoesNotReadTheTarget(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	src := image(1, testSize)
	dst := &countingDisk{disk: newDisk(never(), make(memory, testSize))}
	_, err := Copy(t.Context(), dst, src, &Options{Pass: Live, Journal: journal})
	require.NoError(t, err)
	dst.reads = 0
	r, err := Copy(t.Context(), dst, src, &Options{Pass: Final, Journal: journal, TrustJournal: true})
	require.NoError(t, err)
	assert.Equal(t, Complete, r.State)
	assert.Zero(t, dst.reads)
	dst.media[5]++ // a guest was booted from the target
	dst.cache[5]++
	_, err = Copy(t.Context(), dst, src, &Options{Pass: Final, Journal: journal, TrustJournal: true})
	require.NoError(t, err)
	assert.NotEqual(t, src[5], dst.media[5])
	r, err = Copy(t.Context(), dst, src, &Options{Pass: Final, Journal: journal})
	require.NoError(t, err)
	assert.Equal(t, []byte(src), dst.media)
	assert.Equal(t, int64(grainSize), r.Moved)
}

type countingDisk struct {
	*disk
	reads int
	stop  func() // called at the third write
}

func (d *countingDisk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	third := d.stop != nil && d.count >= 3
	d.mu.Unlock()
	if third {
		d.stop()
	}
	return d.disk.WriteAt(p, off)
}

func (d *countingDisk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	d.reads++
	d.mu.Unlock()
	return d.disk.ReadAt(p, off)
}

// TestAnInterruptedPassTrustsOnlyItself: after a pass that did not end, the blocks that the
// one before had done may have been half written since.
func TestAnInterruptedPassTrustsOnlyItself(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	src := image(1, testSize)
	dst := newDisk(never(), make(memory, testSize))
	_, err := Copy(t.Context(), dst, src, &Options{Pass: Live, Journal: journal})
	require.NoError(t, err)
	other := image(2, testSize)
	dst.power.left = 10
	_, err = Copy(t.Context(), dst, other, &Options{Pass: Live, Journal: journal, TrustJournal: true})
	require.ErrorIs(t, err, errPower)
	dst.power = never() // killed, not cut
	r, err := Copy(t.Context(), dst, src, &Options{Pass: Final, Journal: journal, TrustJournal: true})
	require.NoError(t, err)
	assert.Equal(t, []byte(src), dst.media)
	assert.Equal(t, Digest(blake3.Sum256(src)), r.Digest)
}

// TestTheTargetWasBootedBeforeTheCopyWentOn is the second half of trap 3.
func TestTheTargetWasBootedBeforeTheCopyWentOn(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	src := image(1, testSize)
	dst := newDisk(never(), make(memory, testSize))
	dst.power.left = 30
	_, err := Copy(t.Context(), dst, src, &Options{Journal: journal, Workers: 1, unsynced: blockSize})
	require.ErrorIs(t, err, errPower)
	dst = dst.afterReboot(never())
	state, err := ReadState(journal)
	require.NoError(t, err)
	require.NotZero(t, state.Durable)
	dst.cache[0]++
	dst.media[0]++
	r, err := Copy(t.Context(), dst, src, &Options{Journal: journal})
	require.NoError(t, err)
	assert.Equal(t, state.Durable-blockSize, r.Resumed, "one block did not stand the look")
	assert.Equal(t, []byte(src), dst.media)
	assert.Equal(t, int64(testSize), r.Resumed+r.Moved+r.Same+r.Zero)
	assert.Equal(t, int64(testSize), r.Durable)
	assert.Equal(t, int64(testSize)-r.Resumed, r.Read, "what was done is not read again")
}

// named gives a source or target an identity and a version.
type named struct {
	memory
	id, version string
}

func (n named) Identity() string         { return n.id }
func (n named) Version() (string, error) { return n.version, nil }

type namedDisk struct {
	*disk
	id string
}

func (n namedDisk) Identity() string { return n.id }

// TestAJournalOfAnotherCopyIsRefused is trap 3: nothing of it is used, nothing written.
func TestAJournalOfAnotherCopyIsRefused(t *testing.T) {
	src := named{image(1, testSize), "disk A", "1"}
	longer := named{image(1, testSize+1), "disk A", "1"}
	for _, c := range []struct {
		name   string
		src    Source
		target string
		damage func(t *testing.T, journal string)
		want   string
	}{
		{"another source", named{image(1, testSize), "disk B", "1"}, "disk Z", nil, `it is of the source "disk A", this one is "disk B"`},
		{"another target", src, "disk Y", nil, `it is of the target "disk Z", this one is "disk Y"`},
		{"another size", longer, "disk Z", nil, "it is of an image of 5243657 bytes, the source has 5243658"},
		{"no journal", src, "disk Z", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("something else"), 0o600))
		}, "it is no journal of this program, or its headers are damaged"},
		{"empty", src, "disk Z", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }, "it is no journal of this program, or its headers are damaged"},
		{"used by another copy", src, "disk Z", func(t *testing.T, path string) {
			f, err := os.Open(path)
			require.NoError(t, err)
			t.Cleanup(func() { f.Close() })
			require.NoError(t, lockJournal(f))
		}, "another copy uses it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			journal := filepath.Join(t.TempDir(), "journal")
			dst := newDisk(never(), make(memory, testSize+1))
			_, err := Copy(t.Context(), namedDisk{dst, "disk Z"}, src, &Options{Journal: journal, Pass: Live})
			require.NoError(t, err)
			if c.damage != nil {
				c.damage(t, journal)
			}
			before, count := append([]byte(nil), dst.media...), dst.count
			_, err = Copy(t.Context(), namedDisk{dst, c.target}, c.src, &Options{Journal: journal})
			var refused *JournalError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, c.want, refused.Reason)
			assert.Equal(t, before, dst.media)
			assert.Equal(t, count, dst.count)
		})
	}
}

// TestAFlippedBitInTheJournal flips bits of the headers and of the slots: a block is done
// again, or the other header counts, and the copy is right.
func TestAFlippedBitInTheJournal(t *testing.T) {
	src := image(1, 3*blockSize)
	path := filepath.Join(t.TempDir(), "journal")
	dst := newDisk(never(), make(memory, 3*blockSize))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Copy(ctx, &countingDisk{disk: dst, stop: cancel}, src, &Options{Journal: path, Workers: 1, unsynced: 1})
	require.ErrorIs(t, err, context.Canceled)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for bit := 0; bit < 8*len(whole); bit += 211 {
		damaged := append([]byte(nil), whole...)
		damaged[bit/8] ^= 1 << (bit % 8)
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		target := newDisk(never(), dst.media)
		_, err := Copy(t.Context(), target, src, &Options{Journal: path})
		var refused *JournalError
		if !errors.As(err, &refused) {
			require.NoError(t, err, "bit %d", bit)
			require.Equal(t, []byte(src), target.media, "bit %d", bit)
		}
	}
}

// TestASourceThatChanges is what Checker is for: the copy is not complete, the next run
// does not go on with the old pass, and finds the difference.
func TestASourceThatChanges(t *testing.T) {
	for _, c := range []struct {
		name string
		src  Source
		opt  Options
	}{
		{"version", &changing{memory: image(1, testSize)}, Options{}},
		{"version in the final pass", &changing{memory: image(1, testSize)}, Options{Pass: Final}},
		{"recheck", &rewritten{memory: image(1, testSize)}, Options{Recheck: true}},
		{"shrunk", &shrunk{memory: image(1, testSize)}, Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.Journal = filepath.Join(t.TempDir(), "journal")
			dst := newDisk(never(), make(memory, testSize))
			r, err := Copy(t.Context(), dst, c.src, &c.opt)
			require.ErrorIs(t, err, ErrChanged)
			assert.Equal(t, Incomplete, r.State)
			state, err := ReadState(c.opt.Journal)
			require.NoError(t, err)
			assert.Equal(t, Incomplete, state.State)
			after := image(4, testSize)
			r, err = Copy(t.Context(), dst, after, &c.opt)
			require.NoError(t, err)
			assert.Equal(t, Complete, r.State)
			assert.Equal(t, []byte(after), dst.media)
		})
	}
}

// changing has another version each time it is asked.
type changing struct {
	memory
	version int
}

func (c *changing) Version() (string, error) {
	c.version++
	return time.Unix(int64(c.version), 0).String(), nil
}

// rewritten is a device that is written after its first block was read.
type rewritten struct {
	memory
	mu sync.Mutex
}

func (r *rewritten) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.memory.ReadAt(p, off)
	if off == 0 {
		r.memory[3]++
	}
	return n, err
}

// shrunk is a file that ends before its size.
type shrunk struct{ memory }

func (s *shrunk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) == s.Size() {
		n := len(p) - 100
		return copy(p[:n], s.memory[off:]), io.EOF
	}
	return s.memory.ReadAt(p, off)
}

// badSectors is a source whose sectors from and to cannot be read.
type badSectors struct {
	memory
	bad []Range
}

func (b badSectors) ReadAt(p []byte, off int64) (int, error) {
	for _, r := range b.bad {
		if off < r.Offset+r.Length && r.Offset < off+int64(len(p)) {
			return 0, syscall.EIO
		}
	}
	return b.memory.ReadAt(p, off)
}

// TestBadSectors is trap 9: without SkipBad the first bad sector is the error; with it they
// are listed, what is around them is copied, and nothing is called complete. When they can
// be read again, only their blocks are read.
func TestBadSectors(t *testing.T) {
	bad := []Range{{512, 512}, {3*blockSize - 512, 1024}, {5*blockSize + 4096, 8192}}
	src := badSectors{image(1, testSize), bad}
	opt := Options{Journal: filepath.Join(t.TempDir(), "journal")}
	dst := newDisk(never(), image(2, testSize))
	r, err := Copy(t.Context(), dst, src, &opt)
	var read *IOError
	require.ErrorAs(t, err, &read)
	assert.Contains(t, []int64{512, 3*blockSize - 512, 3 * blockSize, 5*blockSize + 4096}, read.Offset)
	assert.Equal(t, int64(512), read.Length)
	require.ErrorIs(t, err, syscall.EIO)
	assert.Equal(t, Incomplete, r.State)

	opt.SkipBad = true
	r, err = Copy(t.Context(), dst, src, &opt)
	require.ErrorIs(t, err, syscall.EIO)
	assert.ErrorContains(t, err, "3 ranges of the source cannot be read, the first one: read of 512 bytes at 512: input/output error")
	assert.Equal(t, bad, r.Bad)
	assert.Equal(t, Incomplete, r.State)
	assert.Zero(t, r.Digest)
	want := append([]byte(nil), src.memory...)
	for _, b := range bad {
		copy(want[b.Offset:], image(2, testSize)[b.Offset:b.Offset+b.Length])
	}
	assert.Equal(t, want, dst.cache, "the target keeps what it had there")
	state, err := ReadState(opt.Journal)
	require.NoError(t, err)
	assert.Equal(t, Incomplete, state.State)
	assert.Equal(t, int64(testSize-4*blockSize), state.Durable)

	r, err = Copy(t.Context(), dst, src.memory, &opt)
	require.NoError(t, err)
	assert.Equal(t, int64(4*blockSize), r.Read)
	assert.Equal(t, []byte(src.memory), dst.media)
	assert.Equal(t, Digest(blake3.Sum256(src.memory)), r.Digest)
}

// failing is a target whose calls fail as asked.
type failing struct {
	*disk
	sync, write error
	flip        bool // a bit of what is read back
	from        int64
}

func (f *failing) Sync() error { return errors.Join(f.sync, f.disk.Sync()) }
func (f *failing) WriteAt(p []byte, off int64) (int, error) {
	if f.write != nil && off+int64(len(p)) > f.from {
		n := max(0, int(f.from-off))
		f.disk.WriteAt(p[:n], off)
		return n, f.write
	}
	return f.disk.WriteAt(p, off)
}
func (f *failing) ReadCold(p []byte, off int64) (int, error) {
	n, err := f.disk.ReadAt(p, off)
	if f.flip && off <= f.from && f.from < off+int64(len(p)) {
		p[f.from-off] ^= 1
	}
	return n, err
}

func TestErrorsOfTheTarget(t *testing.T) {
	src := image(1, testSize)
	flipped := changed(src, 1)
	copy(flipped, src)
	flipped[2*blockSize+5*grainSize+7] ^= 1
	at := int64(2*blockSize + 5*grainSize)
	for _, c := range []struct {
		name string
		dst  failing
		want error
	}{
		{"disk full", failing{write: syscall.ENOSPC, from: at + 100}, &IOError{"write", at + 100, 0, syscall.ENOSPC}},
		{"disk full, noticed at the flush", failing{sync: syscall.ENOSPC}, &IOError{"sync", 0, 0, syscall.ENOSPC}},
		{"flush fails", failing{sync: syscall.EIO}, &IOError{"sync", 0, 0, syscall.EIO}},
		{"a bit flipped on the disk", failing{flip: true, from: at + 7}, &ChecksumError{at, grainSize,
			sumGrain(src[at:at+grainSize], at), sumGrain(flipped[at:at+grainSize], at)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.dst.disk = newDisk(never(), image(2, testSize))
			opt := Options{Journal: filepath.Join(t.TempDir(), "journal"), Workers: 1}
			r, err := Copy(t.Context(), &c.dst, src, &opt)
			var io, wantIO *IOError
			if errors.As(c.want, &wantIO) {
				require.ErrorAs(t, err, &io)
				assert.Equal(t, wantIO.Op, io.Op)
				assert.Equal(t, wantIO.Offset, io.Offset)
				require.ErrorIs(t, err, wantIO.Err)
			} else {
				require.Equal(t, c.want, err)
			}
			assert.Equal(t, Incomplete, r.State)
			state, err := ReadState(opt.Journal)
			require.NoError(t, err)
			assert.Equal(t, Incomplete, state.State)
			assert.Zero(t, state.Durable, "nothing counts that was not flushed and read back")

			r, err = Copy(t.Context(), c.dst.disk, src, &opt)
			require.NoError(t, err)
			assert.Equal(t, Complete, r.State)
			assert.Equal(t, []byte(src), c.dst.media)
		})
	}
}

// TestVerifiedSaysHow: past the cache, from the cache, or not at all.
func TestVerifiedSaysHow(t *testing.T) {
	src := image(1, testSize)
	for _, c := range []struct {
		name string
		dst  Target
		opt  Options
		want Verification
	}{
		{"cold", &failing{disk: newDisk(never(), make(memory, testSize))}, Options{}, VerifiedCold},
		{"cached", newDisk(never(), make(memory, testSize)), Options{}, VerifiedCached},
		{"not", newDisk(never(), make(memory, testSize)), Options{SkipVerify: true}, NotVerified},
	} {
		r, err := Copy(t.Context(), c.dst, src, &c.opt)
		require.NoError(t, err)
		assert.Equal(t, c.want, r.Verified, c.name)
	}
}

// TestATargetThatIsTooSmall is trap 8.
func TestATargetThatIsTooSmall(t *testing.T) {
	dst := newDisk(never(), make(memory, 99))
	journal := filepath.Join(t.TempDir(), "journal")
	_, err := Copy(t.Context(), dst, image(1, 100), &Options{Journal: journal})
	assert.Equal(t, &SizeError{Source: 100, Target: 99}, err)
	assert.Zero(t, dst.count)
	_, err = os.Stat(journal)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// slowDisk needs time for each write, as a full queue does.
type slowDisk struct{ *disk }

func (s slowDisk) WriteAt(p []byte, off int64) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return s.disk.WriteAt(p, off)
}

// TestCancelEndsWithinASecond, and what was durable by then counts in the next run.
func TestCancelEndsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := filepath.Join(t.TempDir(), "journal")
		src := image(1, 100*blockSize)
		dst := newDisk(never(), make(memory, len(src)))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begun := time.Now()
		r, err := Copy(ctx, slowDisk{dst}, src, &Options{Journal: journal, SkipVerify: true})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, time.Since(begun), 3*time.Second)
		assert.NotZero(t, r.Durable)
		var first Progress
		again, err := Copy(t.Context(), dst, src, &Options{Journal: journal, Progress: func(p Progress) {
			if first.Size == 0 {
				first = p
			}
		}})
		require.NoError(t, err)
		assert.Equal(t, r.Durable, again.Resumed)
		assert.Equal(t, r.Durable, first.Resumed)
		assert.Equal(t, []byte(src), dst.media)
	})
}

// TestRateAndRemaining is trap 12: the time that remains follows from what this run does.
func TestRateAndRemaining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := filepath.Join(t.TempDir(), "journal")
		src := image(1, 64*blockSize)
		dst := newDisk(never(), make(memory, len(src)))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		const rate = blockSize // a block a second
		_, err := Copy(ctx, dst, src, &Options{Journal: journal, Rate: rate})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var all []Progress
		begun := time.Now()
		r, err := Copy(t.Context(), dst, src, &Options{Journal: journal, Rate: rate, Progress: func(p Progress) { all = append(all, p) }})
		require.NoError(t, err)
		left := float64(64*blockSize-r.Resumed) / rate
		assert.InDelta(t, left, time.Since(begun).Seconds(), 2)
		for _, p := range all {
			if p.Elapsed > 3*time.Second && p.Remaining > 0 {
				assert.InDelta(t, left-p.Elapsed.Seconds(), p.Remaining.Seconds(), 8)
				assert.InDelta(t, rate, p.Rate, rate/2)
			}
		}
		assert.Equal(t, int64(len(src)), all[len(all)-1].Durable)
		assert.Zero(t, all[len(all)-1].Remaining)
	})
}

// streamed is a source that is read in ranges only.
type streamed struct {
	memory
	mu     sync.Mutex
	ranges []Range
}

func (s *streamed) ReadRange(_ context.Context, off, n int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges = append(s.ranges, Range{off, n})
	return io.NopCloser(io.NewSectionReader(s.memory, off, n)), nil
}

func TestRangesAndStreams(t *testing.T) {
	for _, size := range []int64{0, 1, blockSize, testSize} {
		for _, streams := range []int{1, 3} {
			src := &streamed{memory: image(1, size)}
			dst := newDisk(never(), image(2, size))
			r, err := Copy(t.Context(), dst, src, &Options{Streams: streams})
			require.NoError(t, err)
			assert.Equal(t, Digest(blake3.Sum256(src.memory)), r.Digest)
			assert.True(t, bytes.Equal(src.memory, dst.media))
			assert.LessOrEqual(t, len(src.ranges), streams)
		}
	}
}

// TestRangesAfterAnInterruption: only what is missing is asked for.
func TestRangesAfterAnInterruption(t *testing.T) {
	opt := Options{Journal: filepath.Join(t.TempDir(), "journal"), SkipBad: true}
	bad := badSectors{image(1, testSize), []Range{{blockSize, 512}, {7 * blockSize, 2 * blockSize}}}
	dst := newDisk(never(), make(memory, testSize))
	_, err := Copy(t.Context(), dst, bad, &opt)
	require.Error(t, err)
	src := &streamed{memory: bad.memory}
	r, err := Copy(t.Context(), dst, src, &opt)
	require.NoError(t, err)
	assert.Equal(t, []Range{{blockSize, blockSize}, {7 * blockSize, 2 * blockSize}}, src.ranges)
	assert.Equal(t, Digest(blake3.Sum256(src.memory)), r.Digest)
}

func TestSHA256(t *testing.T) {
	r, err := Copy(t.Context(), newDisk(never(), make(memory, 3)), memory("abc"), &Options{SHA256: true})
	require.NoError(t, err)
	assert.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex.EncodeToString(r.SHA256))
}

func TestOptionsAreChecked(t *testing.T) {
	for _, opt := range []Options{{Pass: 7}, {Pass: -1}, {Rate: -1}, {Workers: -1}, {Streams: -1}, {Rewrite: true, TrustJournal: true}} {
		_, err := Copy(t.Context(), newDisk(never(), nil), memory{}, &opt)
		var value *ValueError
		assert.ErrorAs(t, err, &value)
	}
}

func TestParseDigest(t *testing.T) {
	const text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" // of nothing
	d, err := ParseDigest(text)
	require.NoError(t, err)
	assert.Equal(t, text, d.String())
	for _, s := range []string{"", text[1:], text + "0", "g" + text[1:], text + "\n"} {
		_, err := ParseDigest(s)
		assert.Error(t, err, "%q", s)
	}
}

func TestVerify(t *testing.T) {
	src := image(1, testSize)
	require.NoError(t, Verify(t.Context(), src, blake3.Sum256(src)))
	err := Verify(t.Context(), src, Digest{})
	var sum *ChecksumError
	require.ErrorAs(t, err, &sum)
	assert.Equal(t, Digest(blake3.Sum256(src)), sum.Got)
}

// versionedDisk is a disk that tells whether it was written.
type versionedDisk struct{ *disk }

func (d versionedDisk) Version() (string, error) {
	return strconv.Itoa(int(crc32.ChecksumIEEE(d.cache))), nil
}

// TestATargetThatNobodyWroteIsNotHashed: the journal's values stand for equal blocks then. A
// target that was written is hashed again, so that the digest is that of what it holds.
func TestATargetThatNobodyWroteIsNotHashed(t *testing.T) {
	for _, c := range []struct {
		name    string
		written bool
	}{{"intact", false}, {"written", true}} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			src := image(1, testSize)
			dst := versionedDisk{newDisk(never(), make(memory, testSize))}
			_, err := Copy(t.Context(), dst, src, &Options{Pass: Live, Journal: path})
			require.NoError(t, err)
			src = changed(src, 3)
			src[7]++
			if c.written { // the same change at both ends
				dst.cache[7]++
				dst.media[7]++
			}
			var intact bool
			open := func(path string, want header) (*journal, error) {
				j, err := openJournal(path, want)
				if err == nil {
					intact = j.intact
				}
				return j, err
			}
			r, err := Copy(t.Context(), dst, src, &Options{Pass: Final, Journal: path, openJournal: open})
			require.NoError(t, err)
			assert.Equal(t, !c.written, intact)
			assert.Equal(t, Digest(blake3.Sum256(src)), r.Digest)
			assert.Equal(t, []byte(src), dst.media)
		})
	}
}

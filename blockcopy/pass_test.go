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
	synctest.Test(t, func(t *testing.T) {
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
	})
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

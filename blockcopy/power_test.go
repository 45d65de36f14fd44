package blockcopy

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"
)

// TestThePowerGoesOutAtEveryWriteAndFlush cuts the power at each operation of a copy, and
// at each one of the copy that goes on after it, with other sectors lost each time. What
// the journal calls done is on the media at any instant, and the copy that is let through
// ends with the right digest. This is trap 4: a journal ahead of its data.
func TestThePowerGoesOutAtEveryWriteAndFlush(t *testing.T) {
	const size = 6*blockSize + 12345
	cuts := 0
	for _, c := range []struct {
		name string
		old  memory // on the target
		opt  Options
	}{
		{"onto zeros", make(memory, size), Options{}},
		{"onto old content", changed(image(3, size), 4), Options{}},
		{"onto other content", image(5, size), Options{Rewrite: true}},
		{"without reading back", image(5, size), Options{SkipVerify: true}},
		{"live", image(5, size), Options{Pass: Live}},
		{"after a pass that ended", nil, Options{Pass: Final}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := image(3, size)
			for seed := range seeds(t) {
				for cut, through := 0, false; !through; cut++ {
					through = cutAt(t, src, c.old, c.opt, cut, seed)
					cuts++
				}
			}
		})
	}
	t.Logf("%d cut points", cuts)
}

// seeds returns how often each cut point is tried: REHOST_SEEDS, or twice.
func seeds(t *testing.T) uint64 {
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("REHOST_SEEDS"), "2"), 10, 32)
	require.NoError(t, err)
	return n
}

// cutAt runs copies until one ends, the first with the power out at operation cut, the
// next ones at random. It reports whether the first one ended.
func cutAt(t *testing.T, src, old memory, opt Options, cut int, seed uint64) (through bool) {
	random := rand.New(rand.NewPCG(uint64(cut), seed))
	p := &power{left: cut, rand: random}
	dst, journal := newDisk(p, old), newDisk(p, make([]byte, slotsAt+slotSize*blocksOf(src.Size())))
	if old == nil {
		dst = afterPass(t, src.Size(), journal)
		dst.power = p
	}
	for run := 0; ; run++ {
		opt.Journal, opt.openJournal, opt.unsynced = "journal", journal.open, blockSize
		r, err := Copy(t.Context(), dst, src, &opt)
		if err == nil {
			require.Equal(t, Digest(blake3.Sum256(src)), r.Digest, "cut %d", cut)
			require.Equal(t, []byte(src), dst.media, "cut %d: Copy has ended, so all is on the media", cut)
			return run == 0
		}
		require.ErrorIs(t, err, errPower, "cut %d", cut)
		require.Equal(t, Incomplete, r.State)
		p = &power{left: random.IntN(30), rand: random}
		if run == 3 {
			p.left = -1
		}
		if random.IntN(3) == 0 { // only the process was killed: the cache is still there
			dst.power, journal.power = p, p
		} else {
			dst, journal = dst.afterReboot(p), journal.afterReboot(p)
		}
		checkJournal(t, dst.media, journal, fmt.Sprintf("cut %d, run %d", cut, run))
	}
}

// afterPass returns a target on which a live pass over another image has ended.
func afterPass(t *testing.T, size int64, journal *disk) *disk {
	p := journal.power
	journal.power = never()
	dst := newDisk(journal.power, make([]byte, size))
	_, err := Copy(t.Context(), dst, image(6, size), &Options{Pass: Live, Journal: "journal", openJournal: journal.open})
	require.NoError(t, err)
	journal.power = p
	return dst
}

// checkJournal compares what the journal calls done with what the media have.
func checkJournal(t *testing.T, media []byte, file *disk, when string) {
	head, err := readHeader(file)
	if err != nil {
		return // the first header was not written yet
	}
	j := &journal{f: file, head: head}
	size := int64(len(media))
	if head.State != Incomplete {
		require.Equal(t, Digest(blake3.Sum256(media)), head.Digest, "%s: the pass has ended", when)
	}
	for block := range blocksOf(size) {
		d, number, err := j.slot(block)
		require.NoError(t, err)
		if number != head.Number {
			continue
		}
		off := block * blockSize
		var g sums
		assert.Equal(t, d, sumBlock(media[off:min(off+blockSize, size)], off, size, &g), "%s: block %d is done", when, block)
	}
}

// changed returns a copy of m of which some small places differ.
func changed(m memory, seed uint64) memory {
	random := rand.New(rand.NewPCG(seed, 0))
	n := append(memory(nil), m...)
	for range max(1, len(n)/(100*4096)) {
		n[random.IntN(len(n))] ^= 0x55
	}
	return n
}

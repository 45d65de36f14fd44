package blockcopy

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// short is a target that somebody has cut short.
type short struct{ *disk }

func (s short) ReadAt(p []byte, off int64) (int, error) { return 0, io.EOF }

func TestATargetThatEndsEarlyIsNoChangeOfTheSource(t *testing.T) {
	_, err := Copy(t.Context(), short{newDisk(never(), make(memory, testSize))}, image(1, testSize), nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.NotErrorIs(t, err, ErrChanged)
}

// unflushed counts the writes since the last flush.
type unflushed struct {
	*disk
	now, most int
}

func (u *unflushed) WriteAt(p []byte, off int64) (int, error) {
	u.mu.Lock()
	u.now++
	u.most = max(u.most, u.now)
	u.mu.Unlock()
	return u.disk.WriteAt(p, off)
}

func (u *unflushed) Sync() error {
	u.mu.Lock()
	u.now = 0
	u.mu.Unlock()
	return u.disk.Sync()
}

// TestZerosThatAreWrittenWaitForTheFlush like other bytes. A flush that takes long, as on a
// busy machine, would let more of them wait: here no time passes.
func TestZerosThatAreWrittenWaitForTheFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := make(memory, 40*blockSize)
		dst := &unflushed{disk: newDisk(never(), image(1, 40*blockSize))}
		_, err := Copy(t.Context(), dst, src, &Options{Rewrite: true, Workers: 1, unsynced: blockSize})
		require.NoError(t, err)
		assert.Less(t, dst.most, 30)
	})
}

// TestAFlushOfLittleSaysLittle: equal blocks need none, and do not let more bytes wait.
func TestAFlushOfLittleSaysLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := image(1, 40*blockSize)
		o, err := (&Options{unsynced: 4 * blockSize}).withDefaults()
		require.NoError(t, err)
		s, err := openSink(newDisk(never(), src), src.Size(), sourceID{}, o, newMeter(src.Size()))
		require.NoError(t, err)
		for block := range int64(40) {
			require.NoError(t, s.done(t.Context(), finished{block: block, mask: 1, g: new(sums)}))
			all, err := s.flush()
			require.NoError(t, err)
			s.unsynced -= all[0].written()
		}
		assert.Equal(t, int64(4*blockSize), s.most)
	})
}

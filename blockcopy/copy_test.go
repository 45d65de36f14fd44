package blockcopy

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"
)

// image returns an image of random bytes with runs of zeros.
func image(seed uint64, size int64) memory {
	random := rand.New(rand.NewPCG(seed, 0))
	m := make(memory, size)
	for i := 0; i < len(m); i += 8 {
		v := random.Uint64()
		for k := i; k < min(i+8, len(m)); k++ {
			m[k] = byte(v >> (8 * (k - i)))
		}
	}
	for range len(m) / (8 * grainSize) {
		from := random.IntN(len(m))
		clear(m[from:min(len(m), from+random.IntN(4*grainSize))])
	}
	return m
}

func TestCopyOfEverySize(t *testing.T) {
	for _, size := range sizes() {
		src := image(1, size)
		dst := newDisk(never(), image(2, size+100))
		journal := filepath.Join(t.TempDir(), "journal")
		r, err := Copy(t.Context(), dst, src, &Options{Journal: journal})
		require.NoError(t, err, "size %d", size)
		assert.Equal(t, Digest(blake3.Sum256(src)), r.Digest)
		assert.Equal(t, Complete, r.State)
		assert.Equal(t, []byte(src), dst.media[:size])
		assert.Equal(t, []byte(image(2, size+100)[size:]), dst.media[size:], "what lies behind stays")
		state, err := ReadState(journal)
		require.NoError(t, err)
		assert.Equal(t, Result{State: Complete, Digest: r.Digest, Progress: Progress{Size: size, Durable: size}}, state)
		d, err := Sum(t.Context(), src)
		require.NoError(t, err)
		assert.Equal(t, r.Digest, d)
		require.NoError(t, os.Remove(journal))
	}
}

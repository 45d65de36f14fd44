package blockcopy

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"
)

// sizes are those at which a tree of chunks, grains and blocks has another shape.
func sizes() []int64 {
	all := []int64{0, 1}
	for _, edge := range []int64{64, chunkSize, 2 * chunkSize, 3 * chunkSize, grainSize, 5 * grainSize, blockSize, 2 * blockSize, 3 * blockSize, 4 * blockSize, 7 * blockSize} {
		all = append(all, edge-1, edge, edge+1, edge+chunkSize+5)
	}
	return all
}

func TestTheDigestIsThatOfTheWholeImage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range sizes() {
		image := make([]byte, size)
		for i := range image {
			image[i] = byte(random.Uint32())
		}
		blocks := max(1, (size+blockSize-1)/blockSize)
		tr := newTree(blocks)
		for _, i := range random.Perm(int(blocks)) {
			off := int64(i) * blockSize
			var g sums
			tr.add(int64(i), sumBlock(image[off:min(off+blockSize, size)], off, size, &g))
		}
		got, ok := tr.root()
		require.True(t, ok, "size %d", size)
		assert.Equal(t, Digest(blake3.Sum256(image)), got, "size %d", size)
	}
}

package blockcopy

import (
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// zstd's windows are of one block at most: what a compressor and a decompressor hold is
// bounded, whatever the other end sends.
const zstdWindow = blockSize

func newCompressor() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
}

func newDecompressor() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(blockSize))
}

// A compression decides block by block whether compressing pays: it must be faster than
// the link that waits for it, and the data must shrink.
type compression struct {
	mu    sync.Mutex
	speed float64 // bytes per second that go in
	skip  int     // blocks not to be tried
	pause int     // what skip becomes when a block does not shrink
}

const (
	firstSpeed = 500e6 // until it has been measured
	mostPause  = 64
	cheap      = 16 // a link slower by this factor leaves time to try every block
)

func newCompression() *compression { return &compression{speed: firstSpeed, pause: 1} }

// pays reports whether to compress the next block, for a link of so many bytes per
// second; 0 is not known yet.
func (c *compression) pays(link float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if link <= 0 || link >= c.speed/2 {
		return false
	}
	if c.skip > 0 && link > c.speed/cheap {
		c.skip--
		return false
	}
	return true
}

// tried notes what came of compressing in bytes, and reports whether they shrank enough.
func (c *compression) tried(in, out int, took time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := took.Seconds(); s > 0 {
		c.speed += (float64(in)/s - c.speed) / 8
	}
	if out <= in-in/20 {
		c.pause = 1
		return true
	}
	c.skip = c.pause
	c.pause = min(2*c.pause, mostPause)
	return false
}

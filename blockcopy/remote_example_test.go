package blockcopy_test

import (
	"bytes"
	"context"
	"fmt"
	"net"

	"github.com/rehost/rehost/blockcopy"
)

// disk is a source and a target in memory.
type disk []byte

func (d disk) Size() int64                              { return int64(len(d)) }
func (d disk) ReadAt(p []byte, off int64) (int, error)  { return copy(p, d[off:]), nil }
func (d disk) WriteAt(p []byte, off int64) (int, error) { return copy(d[off:], p), nil }
func (d disk) Sync() error                              { return nil }

// The two ends of a stream, which is a network in this example and an ssh that Command has
// started elsewhere. The target has an older version of the image: only what differs moves.
func ExampleSend() {
	ctx := context.Background()
	src := disk(bytes.Repeat([]byte("all is well "), 100_000))
	dst := disk(bytes.Clone(src))
	copy(dst[500_000:], "all was ill ")

	here, there := net.Pipe()
	go blockcopy.Send(ctx, here, src, nil)
	r, err := blockcopy.Receive(ctx, there, dst, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Digest)
	fmt.Println(r.State == blockcopy.Complete, bytes.Equal(src, dst))
	fmt.Printf("%d of %d bytes moved\n", r.Moved, r.Size)
	// Output:
	// 78b4fc73a5e418391ea5fccb44fb7ddd84989f3786cbdf8f1934332c6e334c9d
	// true true
	// 16384 of 1200000 bytes moved
}

package blockcopy

import (
	"sync"
	"unsafe"
)

// buffers holds buffers of one block. They begin at a page, as reading past the
// page cache wants it.
var buffers = sync.Pool{New: func() any {
	const page = 4096
	b := make([]byte, blockSize+page)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (page - 1)
	return (*[blockSize]byte)(b[skip : skip+blockSize])
}}

// newBuffer returns a buffer of unknown content; freeBuffer takes it back.
func newBuffer() *[blockSize]byte   { return buffers.Get().(*[blockSize]byte) }
func freeBuffer(b *[blockSize]byte) { buffers.Put(b) }

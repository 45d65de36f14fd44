package blockcopy

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

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

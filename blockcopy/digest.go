package blockcopy

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"lukechampine.com/blake3/guts"
)

// A block is what is transferred and journalled at once, a grain is what is
// compared and left out. Both are whole subtrees of BLAKE3's tree over chunks of
// 1 KiB, which is why the digest of an image follows from those of its blocks. Larger
// blocks would lose more work in a crash, smaller grains more of the link to digests.
const (
	blockSize = 256 << 10
	grainSize = 16 << 10
	grains    = blockSize / grainSize
	chunkSize = guts.ChunkSize
)

// A Digest is a BLAKE3 hash of 256 bits (without a key). The zero Digest is none.
type Digest [32]byte

// String returns the digest as b3sum prints it.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText returns what String does; so a Digest is text in JSON.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDigest does.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// ParseDigest reads the 64 hexadecimal digits that b3sum prints first on its line.
// Everything else is a *ValueError.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return Digest{}, &ValueError{Field: "digest", Value: s, Reason: "a BLAKE3 digest has 64 hexadecimal digits"}
	}
	copy(d[:], b)
	return d, nil
}

// sums are the chaining values of a block's grains.
type sums [grains]Digest

// sumGrain returns the chaining value of a grain that begins at off. Only the last
// grain of an image may be shorter than grainSize.
func sumGrain(p []byte, off int64) Digest {
	return value(guts.ChainingValue(grainNode(p, off)))
}

func grainNode(p []byte, off int64) guts.Node {
	chunk := uint64(off) / chunkSize
	if len(p) == grainSize {
		return guts.CompressBuffer((*[grainSize]byte)(p), grainSize, &guts.IV, chunk, 0)
	}
	var last [grainSize]byte
	copy(last[:], p)
	return guts.CompressBuffer(&last, len(p), &guts.IV, chunk, 0)
}

// sumBlock returns the chaining value of the block p of an image of the given size,
// and those of its grains. An image of one block has no tree above it: the value is
// then the image's digest.
func sumBlock(p []byte, off, size int64, g *sums) Digest {
	n := 0
	var node guts.Node
	for o := 0; o == 0 || o < len(p); o += grainSize {
		node = grainNode(p[o:min(o+grainSize, len(p))], off+int64(o))
		g[n] = value(guts.ChainingValue(node))
		n++
	}
	return mergeGrains(g[:n], node, size)
}

// mergeGrains returns the chaining value of a block from those of its grains. only
// is the node of the grain if there is one.
func mergeGrains(g []Digest, only guts.Node, size int64) Digest {
	root := size <= blockSize
	switch {
	case len(g) > 1:
		return merge(g, root)
	case root:
		only.Flags |= guts.FlagRoot
		words := guts.CompressNode(only)
		return value([8]uint32(words[:8]))
	}
	return g[0]
}

// merge returns the value above two or more adjacent ones of equal size, the last
// of which may be smaller: the left half is the largest power of two.
func merge(values []Digest, root bool) Digest {
	if len(values) == 1 {
		return values[0]
	}
	left := 1 << (bits.Len(uint(len(values)-1)) - 1)
	return parent(merge(values[:left], false), merge(values[left:], false), root)
}

func parent(left, right Digest, root bool) Digest {
	node := guts.ParentNode(words(left), words(right), &guts.IV, 0)
	if root {
		node.Flags |= guts.FlagRoot
	}
	return value(guts.ChainingValue(node))
}

func value(cv [8]uint32) (d Digest) {
	for i, w := range cv {
		binary.LittleEndian.PutUint32(d[4*i:], w)
	}
	return d
}

func words(d Digest) (cv [8]uint32) {
	for i := range cv {
		cv[i] = binary.LittleEndian.Uint32(d[4*i:])
	}
	return cv
}

// A tree merges the values of blocks, which come in any order, into the image's
// digest. It holds only the values that still wait for their neighbour: few, where
// blocks come nearly in order.
type tree struct {
	blocks int64
	values map[place]Digest
}

// A place is where a value stands: at level n it covers 2^n blocks.
type place struct {
	level int
	index int64
}

func newTree(blocks int64) *tree {
	return &tree{blocks: blocks, values: map[place]Digest{}}
}

// add adds the value of block i. Each block is added once.
func (t *tree) add(i int64, d Digest) {
	p := place{0, i}
	for {
		beyond := t.blocks >> p.level // places at this level, the last one perhaps partial
		if beyond<<p.level < t.blocks {
			beyond++
		}
		if beyond == 1 {
			break
		}
		neighbour := place{p.level, p.index ^ 1}
		if neighbour.index < beyond { // else the last place goes up alone
			other, there := t.values[neighbour]
			if !there {
				break
			}
			delete(t.values, neighbour)
			if p.index&1 == 0 {
				d = parent(d, other, beyond == 2)
			} else {
				d = parent(other, d, beyond == 2)
			}
		}
		p = place{p.level + 1, p.index / 2}
	}
	t.values[p] = d
}

// root returns the image's digest; false if a block is missing.
func (t *tree) root() (Digest, bool) {
	for p, d := range t.values {
		if 1<<p.level >= t.blocks && p.index == 0 {
			return d, true
		}
	}
	return Digest{}, false
}

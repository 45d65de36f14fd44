package blockcopy

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// device answers requests as a device does; others are not for it.
func device(answers map[uint][]byte) ioctl {
	return func(request uint, p []byte) error {
		answer, ok := answers[request]
		if !ok {
			return unix.ENOTTY
		}
		copy(p, answer)
		return nil
	}
}

func native(words ...uint64) []byte {
	var p []byte
	for _, w := range words {
		p = binary.NativeEndian.AppendUint64(p, w)
	}
	return p
}

// The numbers as the systems' own headers make them.
func TestRequestNumbers(t *testing.T) {
	for _, tt := range []struct {
		name string
		want uint
		got  uint
	}{
		{"FreeBSD DIOCGSECTORSIZE", 0x40046480, ior(128, 4)},
		{"FreeBSD DIOCGMEDIASIZE", 0x40086481, ior(129, 8)},
		{"FreeBSD DIOCGIDENT", 0x41006489, ior(137, 256)},
		{"FreeBSD DIOCGPROVIDERNAME", 0x4400648a, ior(138, 1024)},
		{"NetBSD DIOCGDINFO, 64 bits", 0x41986465, ior(101, netbsdLabelSize("amd64"))},
		{"NetBSD DIOCGDINFO, i386", 0x41946465, ior(101, netbsdLabelSize("386"))},
		{"NetBSD DIOCGWEDGEINFO", 0x40d0647a, ior(122, 208)},
		{"NetBSD DIOCCACHESYNC", 0x80046476, iow(118, 4)},
		{"NetBSD DIOCGMEDIASIZE", 0x40086484, ior(132, 8)},
		{"NetBSD DIOCGSECTORSIZE", 0x40046485, ior(133, 4)},
	} {
		assert.Equal(t, tt.want, tt.got, tt.name)
	}
}

func TestFreeBSDGeometry(t *testing.T) {
	g, err := freebsdGeometry(device(map[uint][]byte{0x40086481: native(3 << 40), 0x40046480: native(4096)}))
	require.NoError(t, err)
	assert.Equal(t, geometry{3 << 40, 4096}, g)

	for name, answers := range map[string]map[uint][]byte{
		"no disk":   {},
		"no sector": {0x40086481: native(1 << 30)},
	} {
		_, err := freebsdGeometry(device(answers))
		assert.ErrorIs(t, err, unix.ENOTTY, name)
	}
	ident, err := freebsdIdent(device(map[uint][]byte{0x41006489: []byte("S3R1AL\x00rest")}))
	require.NoError(t, err)
	assert.Equal(t, "S3R1AL", ident)
	name, err := freebsdProvider(device(map[uint][]byte{0x4400648a: []byte("ada0p2\x00")}))
	require.NoError(t, err)
	assert.Equal(t, "ada0p2", name)
}

func TestFreeBSDProvidersBelow(t *testing.T) {
	for provider, want := range map[string][]string{
		"ada0":         {"ada0"},
		"da12":         {"da12"},
		"nvd0p2":       {"nvd0p2", "nvd0"},
		"ada0s1a":      {"ada0s1a", "ada0s1", "ada0"},
		"ada0p3.eli":   {"ada0p3.eli", "ada0p3", "ada0"},
		"mirror/gm0p1": {"mirror/gm0p1", "mirror/gm0"},
		"gpt/data":     {"gpt/data"},
		"zvol/z/vms":   {"zvol/z/vms"},
		"":             {""},
	} {
		assert.Equal(t, want, freebsdUnder(provider), provider)
	}
}

// label makes a disk label with the partitions' sizes and offsets, in sectors.
func label(sector, sectors uint32, partitions ...[2]uint32) []byte {
	p := make([]byte, netbsdLabelSize("amd64"))
	put := func(at int, v uint32) { binary.NativeEndian.PutUint32(p[at:], v) }
	put(0, 0x82564557)
	put(132, 0x82564557)
	put(40, sector)
	put(60, sectors)
	binary.NativeEndian.PutUint16(p[138:], uint16(len(partitions)))
	for i, part := range partitions {
		put(148+16*i, part[0])
		put(152+16*i, part[1])
	}
	return p
}

func TestNetBSDGeometry(t *testing.T) {
	const wedgeInfo, labelInfo, media, sectorSize = 0x40d0647a, 0x41986465, 0x40086484, 0x40046485
	wedge := make([]byte, 208)
	copy(wedge, "dk3")
	copy(wedge[144:], "ld0")
	copy(wedge[160:], native(2048, 1<<33))
	four := [][2]uint32{{1000, 64}, {0, 0}, {7000, 64}, {8000, 0}}
	broken := label(512, 8000, four...)
	broken[132] = 0

	for _, tt := range []struct {
		name    string
		answers map[uint][]byte
		minor   uint32
		want    netbsdDisk
		err     string
	}{
		{"a wedge", map[uint][]byte{wedgeInfo: wedge, sectorSize: native(4096)}, 3,
			netbsdDisk{geometry{1 << 45, 4096}, "ld0", 2048 * 4096}, ""},
		{"a wedge before NetBSD 8", map[uint][]byte{wedgeInfo: wedge}, 3,
			netbsdDisk{geometry{1 << 42, 512}, "ld0", 2048 * 512}, ""},
		{"sd0a", map[uint][]byte{labelInfo: label(512, 8000, four...), media: native(8000 * 512)}, 0,
			netbsdDisk{geometry{1000 * 512, 512}, "", 64 * 512}, ""},
		{"sd2d", map[uint][]byte{labelInfo: label(512, 8000, four...), media: native(8000 * 512)}, 2*8 + 3,
			netbsdDisk{geometry{8000 * 512, 512}, "", 0}, ""},
		{"sd0d of 3 TiB", map[uint][]byte{labelInfo: label(512, 0xffffffff, [2]uint32{}, [2]uint32{}, [2]uint32{}, [2]uint32{0xffffffff, 0}), media: native(3 << 40)}, 3,
			netbsdDisk{geometry{3 << 40, 512}, "", 0}, ""},
		{"sd0d before NetBSD 8", map[uint][]byte{labelInfo: label(512, 8000, four...)}, 3,
			netbsdDisk{geometry{8000 * 512, 512}, "", 0}, ""},
		{"sd0b, empty", map[uint][]byte{labelInfo: label(512, 8000, four...)}, 1, netbsdDisk{}, "partition b of the disk label is empty"},
		{"sd0e, none", map[uint][]byte{labelInfo: label(512, 8000, four...)}, 4, netbsdDisk{}, "the disk label has no partition e"},
		{"sd1p, the last that a label can have", map[uint][]byte{labelInfo: label(512, 8000, make([][2]uint32, 16)...)}, 1<<19 + 8 + 7, netbsdDisk{}, "partition p of the disk label is empty"},
		{"no label", map[uint][]byte{labelInfo: broken}, 0, netbsdDisk{}, "the answer is no disk label"},
		{"a terminal", nil, 0, netbsdDisk{}, unix.ENOTTY.Error()},
	} {
		got, err := netbsdGeometry(device(tt.answers), tt.minor, netbsdLabelSize("amd64"))
		if tt.err != "" {
			assert.EqualError(t, err, tt.err, tt.name)
			continue
		}
		require.NoError(t, err, tt.name)
		assert.Equal(t, tt.want, got, tt.name)
	}
}

func TestNetBSDPartitions(t *testing.T) {
	for minor, want := range map[uint32]int{0: 0, 3: 3, 8: 0, 15: 7, 1 << 19: 8, 1<<19 + 8 + 7: 15} {
		assert.Equal(t, want, netbsdPartition(minor), "minor %d", minor)
	}
	for path, want := range map[string]string{"/dev/rsd0d": "sd0", "/dev/rld12a": "ld12", "/dev/rdk3": "dk3"} {
		assert.Equal(t, want, netbsdDiskName(path), path)
	}
}

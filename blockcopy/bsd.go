package blockcopy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// An ioctl asks a device: it fills p. What is asked, and what the answers mean, is
// here and not in the files of the systems, so that it can be tried on all.
type ioctl func(request uint, p []byte) error

// ior and iow are _IOR and _IOW of the BSDs' sys/ioccom.h, with the group 'd'.
func ior(number, size int) uint { return 0x40000000 | uint(size)<<16 | 'd'<<8 | uint(number) }
func iow(number, size int) uint { return 0x80000000 | uint(size)<<16 | 'd'<<8 | uint(number) }

func (ask ioctl) uint32(request uint) (uint32, error) {
	var p [4]byte
	err := ask(request, p[:])
	return binary.NativeEndian.Uint32(p[:]), err
}

func (ask ioctl) int64(request uint) (int64, error) {
	var p [8]byte
	err := ask(request, p[:])
	return int64(binary.NativeEndian.Uint64(p[:])), err
}

func (ask ioctl) text(request uint, size int) (string, error) {
	p := make([]byte, size)
	err := ask(request, p)
	return cString(p), err
}

func cString(p []byte) string {
	text, _, _ := strings.Cut(string(p), "\x00")
	return text
}

// freebsdGeometry asks with DIOCGMEDIASIZE and DIOCGSECTORSIZE (disk(9), sys/disk.h).
// lseek on a disk goes wherever it is told.
func freebsdGeometry(ask ioctl) (geometry, error) {
	size, err := ask.int64(ior(129, 8))
	if err != nil {
		return geometry{}, err
	}
	sector, err := ask.uint32(ior(128, 4))
	return geometry{size, int64(sector)}, err
}

// freebsdIdent is what DIOCGIDENT says, the serial number as a rule; freebsdProvider
// is DIOCGPROVIDERNAME, the name in GEOM.
func freebsdIdent(ask ioctl) (string, error)    { return ask.text(ior(137, 256), 256) }
func freebsdProvider(ask ioctl) (string, error) { return ask.text(ior(138, 1024), 1024) }

// freebsdUnder returns the provider and those that its name says it is made of:
// ada0s1a.eli, ada0s1a, ada0s1, ada0. Labels such as gpt/data do not say it.
func freebsdUnder(provider string) []string {
	names := []string{provider}
	for {
		name := freebsdParent(names[len(names)-1])
		if name == "" {
			return names
		}
		names = append(names, name)
	}
}

func freebsdParent(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	isDigit := func(i int) bool { return i >= 0 && name[i] >= '0' && name[i] <= '9' }
	end := len(name) - 1
	if end > 0 && name[end] >= 'a' && name[end] <= 'z' && isDigit(end-1) {
		return name[:end] // a partition of a BSD label
	}
	i := end
	for isDigit(i) {
		i--
	}
	if i > 0 && i < end && (name[i] == 'p' || name[i] == 's') && isDigit(i-1) {
		return name[:i]
	}
	return ""
}

// A netbsdDisk is a disk, a wedge or a partition of NetBSD.
type netbsdDisk struct {
	geometry
	parent string // the disk of a wedge, such as "sd0"; "" for a partition of a label
	start  int64  // on its disk, in bytes
}

// netbsdLabelSize is the size of struct disklabel: 16 partitions, and a word of 64
// bits in it, which i386 alone aligns to 4.
func netbsdLabelSize(arch string) int {
	if arch == "386" {
		return 404
	}
	return 408
}

// netbsdGeometry asks with DIOCGWEDGEINFO (dk(4)), and what is no wedge with
// DIOCGDINFO (disklabel(5), sys/disklabel.h) for the partition of the minor number.
func netbsdGeometry(ask ioctl, minor uint32, labelSize int) (netbsdDisk, error) {
	const wedgeSize = 208 // struct dkwedge_info of sys/disk.h
	var wedge [wedgeSize]byte
	if ask(ior(122, wedgeSize), wedge[:]) == nil {
		sector, err := ask.uint32(ior(133, 4)) // DIOCGSECTORSIZE, since NetBSD 8
		if err != nil {
			sector = 512
		}
		unit := int64(sector)
		return netbsdDisk{
			geometry: geometry{int64(binary.NativeEndian.Uint64(wedge[168:])) * unit, unit},
			parent:   cString(wedge[144:160]),
			start:    int64(binary.NativeEndian.Uint64(wedge[160:])) * unit,
		}, nil
	}
	label := make([]byte, labelSize)
	if err := ask(ior(101, labelSize), label); err != nil {
		return netbsdDisk{}, err
	}
	word := func(at int) int64 { return int64(binary.NativeEndian.Uint32(label[at:])) }
	const magic = 0x82564557
	if word(0) != magic || word(132) != magic {
		return netbsdDisk{}, errors.New("the answer is no disk label")
	}
	partition := netbsdPartition(minor)
	at := 148 + 16*partition
	if partition >= int(binary.NativeEndian.Uint16(label[138:])) || at+16 > labelSize {
		return netbsdDisk{}, fmt.Errorf("the disk label has no partition %c", 'a'+partition)
	}
	size, offset, unit := word(at), word(at+4), word(40)
	if size == 0 {
		return netbsdDisk{}, fmt.Errorf("partition %c of the disk label is empty", 'a'+partition)
	}
	d := netbsdDisk{geometry: geometry{size * unit, unit}, start: offset * unit}
	if offset == 0 && size >= word(60) {
		// The whole disk, which may have more sectors than a label can say.
		if media, err := ask.int64(ior(132, 8)); err == nil && media > d.size { // DIOCGMEDIASIZE, since NetBSD 8
			d.size = media
		}
	}
	return d, nil
}

// netbsdPartition is DISKPART of machine/disklabel.h: minor numbers had room for
// eight partitions, and the next eight lie above those of all disks.
func netbsdPartition(minor uint32) int {
	const low, disks = 8, 1 << 16
	return int(minor%low + minor/(disks*low)*low)
}

// netbsdDiskName returns the name of the disk of a partition's node: sd0 of
// /dev/rsd0e.
func netbsdDiskName(path string) string {
	name := strings.TrimPrefix(filepath.Base(path), "r")
	return strings.TrimRight(name, "abcdefghijklmnop")
}

package blockcopy

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A system is where the kernel says what block devices there are, and what is made
// of them (sysfs(5), proc_pid_mountinfo(5)).
type system struct{ sys, dev, proc string }

func theSystem() system { return system{sys: "/sys", dev: "/dev", proc: "/proc"} }

// disk returns the folder of a block device, with symbolic links resolved: that of a
// partition lies in the one of its disk. It is "" if there is none.
func (y system) disk(rdev uint64) string {
	dir, err := filepath.EvalSymlinks(filepath.Join(y.sys, "dev/block", number(rdev)))
	if err != nil {
		return ""
	}
	return dir
}

func number(rdev uint64) string { return fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev)) }

// readText returns a file's text without the blanks around it, "" if there is none.
func readText(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func readInt(dir, name string) int64 {
	n, _ := strconv.ParseInt(readText(dir, name), 10, 64)
	return n
}

// readDevice returns the device number in the file dev of a folder.
func readDevice(dir string) (uint64, bool) {
	major, minor, ok := strings.Cut(readText(dir, "dev"), ":")
	a, errA := strconv.ParseUint(major, 10, 32)
	b, errB := strconv.ParseUint(minor, 10, 32)
	return unix.Mkdev(uint32(a), uint32(b)), ok && errA == nil && errB == nil
}

// overDisk returns the spans that a part of a block device lies on: first the one on
// the lowest thing that maps it in one piece, then those on what that is made of,
// such as the physical volumes below a logical one.
func (y system) overDisk(rdev uint64, start, end int64) []span {
	dir := y.disk(rdev)
	if dir == "" {
		return []span{{diskName(rdev), start, end}}
	}
	if readText(dir, "partition") != "" {
		if whole, ok := readDevice(filepath.Dir(dir)); ok {
			first, size := readInt(dir, "start")*512, readInt(dir, "size")*512
			return y.overDisk(whole, first+start, first+min(end, size))
		}
	}
	if l, ok := y.loop(dir); ok {
		limit := l.limit
		if limit == 0 {
			limit = maxOffset - l.offset
		}
		start, end = l.offset+start, l.offset+min(end, limit)
		if l.rdev != 0 {
			return y.overDisk(l.rdev, start, end)
		}
		return y.over(span{l.file, start, end}, l.filesystem)
	}
	all := []span{{diskName(rdev), start, end}}
	slaves, _ := os.ReadDir(filepath.Join(dir, "slaves"))
	for _, slave := range slaves {
		if below, ok := readDevice(filepath.Join(dir, "slaves", slave.Name())); ok {
			all = append(all, y.overDisk(below, 0, maxOffset)...)
		}
	}
	return all
}

// over returns the span of a regular file, and those below its filesystem if that
// lies on one block device.
func (y system) over(file span, filesystem uint64) []span {
	all := []span{file}
	if y.disk(filesystem) != "" {
		all = append(all, y.overDisk(filesystem, 0, maxOffset)...)
	}
	return all
}

func diskName(rdev uint64) string { return "disk " + number(rdev) }

// A loop is a loop device with a file or a disk below.
type loop struct {
	name          string
	backing       string // the path, as whoever made it saw it
	inode         uint64
	file          string // as fileSpan has it; "" if a disk is below
	filesystem    uint64
	rdev          uint64 // of the disk below; 0 if a file is
	offset, limit int64  // a limit of 0 is none
}

// loop returns the loop device in a folder of sysfs; false if it is none, or bare.
func (y system) loop(dir string) (loop, bool) {
	backing := readText(dir, "loop/backing_file")
	if backing == "" {
		return loop{}, false
	}
	l := loop{name: filepath.Base(dir), backing: backing, offset: readInt(dir, "loop/offset"), limit: readInt(dir, "loop/sizelimit")}
	// The path may be one of another name space, or removed.
	dev, ino, rdev, ok := y.loopStatus(l.name)
	if !ok {
		var st unix.Stat_t
		if err := unix.Stat(backing, &st); err != nil {
			return loop{}, false
		}
		dev, ino = uint64(st.Dev), st.Ino
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			rdev = uint64(st.Rdev)
		}
	}
	if rdev != 0 {
		l.rdev = rdev
		return l, true
	}
	l.filesystem, l.inode = dev, ino
	l.file = fileName(dev, ino)
	return l, true
}

// loopStatus asks the loop device itself (loop(4)), which takes the right to open it.
func (y system) loopStatus(name string) (dev, ino, rdev uint64, ok bool) {
	f, err := os.Open(filepath.Join(y.dev, name))
	if err != nil {
		return 0, 0, 0, false
	}
	defer f.Close()
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err != nil {
		return 0, 0, 0, false
	}
	return info.Device, info.Inode, info.Rdevice, true
}

// usedBy returns who uses a file or disk so that it cannot be written, "" if no one.
func (y system) usedBy(s *storage) (string, error) {
	if s.regular {
		return y.loopOn(func(l loop) bool { return l.file == fileSpan(s).where }), nil
	}
	dir := y.disk(uint64(s.stat.Rdev))
	if dir == "" {
		return "", nil
	}
	names := []string{dir}
	partitions, _ := filepath.Glob(filepath.Join(dir, "*/partition"))
	for _, p := range partitions {
		names = append(names, filepath.Dir(p))
	}
	for _, name := range names {
		who, err := y.diskUser(name)
		if err != nil || who != "" {
			if who != "" && name != dir {
				who = "its partition " + filepath.Base(name) + ": " + who
			}
			return who, err
		}
	}
	return "", nil
}

// loopOn says which loop device lies on something, "" if none.
func (y system) loopOn(below func(loop) bool) string {
	loops, _ := filepath.Glob(filepath.Join(y.sys, "block/loop*"))
	for _, dir := range loops {
		if l, ok := y.loop(dir); ok && below(l) {
			return "it is below the loop device " + l.name
		}
	}
	return ""
}

func (y system) diskUser(dir string) (string, error) {
	rdev, ok := readDevice(dir)
	if !ok {
		return "", nil
	}
	if holders, _ := os.ReadDir(filepath.Join(dir, "holders")); len(holders) > 0 {
		holder := holders[0].Name()
		if name := readText(filepath.Join(dir, "holders", holder), "dm/name"); name != "" {
			holder = name
		}
		return "it is part of " + holder, nil
	}
	if who := y.loopOn(func(l loop) bool { return l.rdev == rdev }); who != "" {
		return who, nil
	}
	at, err := y.mountPoint(rdev)
	if err != nil {
		return "", err
	}
	if at != "" {
		return "it is mounted on " + at, nil
	}
	for line := range strings.Lines(readText(y.proc, "swaps")) {
		var st unix.Stat_t
		if fields := strings.Fields(line); strings.HasPrefix(line, "/") && unix.Stat(unescape(fields[0]), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && uint64(st.Rdev) == rdev {
			return "it is swapped to", nil
		}
	}
	return "", nil
}

// mountPoint returns where a disk is mounted, "" if nowhere that this process sees.
func (y system) mountPoint(rdev uint64) (string, error) {
	text, err := os.ReadFile(filepath.Join(y.proc, "self/mountinfo"))
	if err != nil {
		return "", err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		mount, source, _ := strings.Cut(lines.Text(), " - ")
		fields, from := strings.Fields(mount), strings.Fields(source)
		if len(fields) < 5 || len(from) < 2 {
			continue
		}
		if fields[2] == number(rdev) {
			return unescape(fields[4]), nil
		}
		// btrfs has a device number of its own here.
		var st unix.Stat_t
		if strings.HasPrefix(from[1], "/") && unix.Stat(unescape(from[1]), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && uint64(st.Rdev) == rdev {
			return unescape(fields[4]), nil
		}
	}
	return "", nil
}

// unescape undoes the octal escapes of blanks and backslashes in a path.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// identify names a disk so that it is known again after a reboot.
func (y system) identify(rdev uint64) string {
	dir := y.disk(rdev)
	if dir == "" {
		return "disk " + number(rdev)
	}
	if readText(dir, "partition") != "" {
		if whole, ok := readDevice(filepath.Dir(dir)); ok {
			name := fmt.Sprintf("%s partition at %d", y.identify(whole), readInt(dir, "start")*512)
			for line := range strings.Lines(readText(dir, "uevent")) {
				if uuid, ok := strings.CutPrefix(strings.TrimSpace(line), "PARTUUID="); ok {
					name += " uuid " + uuid
				}
			}
			return name
		}
	}
	if l, ok := y.loop(dir); ok {
		if l.rdev != 0 {
			return fmt.Sprintf("loop at %d of %s", l.offset, y.identify(l.rdev))
		}
		fsid := filesystem(func(fs *unix.Statfs_t) error { return unix.Statfs(l.backing, fs) })
		return fmt.Sprintf("loop at %d of file %s inode %d", l.offset, fsid, l.inode)
	}
	known := []string{"dm/uuid", "md/uuid", "wwid", "device/wwid", "serial", "device/serial", "device/cid"}
	i := slices.IndexFunc(known, func(name string) bool { return readText(dir, name) != "" })
	if i < 0 {
		return "disk " + number(rdev)
	}
	return "disk " + filepath.Base(known[i]) + " " + strings.Join(strings.Fields(readText(dir, known[i])), " ")
}

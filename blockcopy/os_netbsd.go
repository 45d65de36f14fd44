package blockcopy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	diskKind   = unix.S_IFCHR
	diskWanted = "a regular file or the character device of a disk, such as /dev/rsd0d, is wanted"
	locksDisks = true
)

func openDisk(s *storage, flag int) (*os.File, error) {
	s.direct = true
	return os.OpenFile(s.path, flag, 0)
}

func netbsdAsk(s *storage) (netbsdDisk, error) {
	return netbsdGeometry(diskIoctl(s.file), unix.Minor(uint64(s.stat.Rdev)), netbsdLabelSize(runtime.GOARCH))
}

func diskGeometry(s *storage) (geometry, error) {
	d, err := netbsdAsk(s)
	if errors.Is(err, unix.ENOTTY) {
		err = errors.New("it is no disk: " + diskWanted)
	}
	return d.geometry, err
}

func spans(s *storage) ([]span, error) {
	if s.regular {
		return []span{fileSpan(s)}, nil
	}
	d, err := netbsdAsk(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	if d.parent == "" {
		path, err := filepath.EvalSymlinks(s.path)
		if err != nil {
			return nil, err
		}
		d.parent = netbsdDiskName(path)
	}
	return []span{{where: "disk " + d.parent, start: d.start, end: d.start + d.size}}, nil
}

func usedBy(s *storage) (string, error) {
	n, err := unix.Getvfsstat(nil, unix.ST_NOWAIT)
	if err != nil {
		return "", err
	}
	mounts := make([]unix.Statvfs_t, n)
	if n, err = unix.Getvfsstat(mounts, unix.ST_NOWAIT); err != nil {
		return "", err
	}
	for _, m := range mounts[:min(n, len(mounts))] {
		if who := mountedUser(s, cString(m.Mntfromname[:]), cString(m.Mntonname[:])); who != "" {
			return who, nil
		}
	}
	return "", nil
}

// rawDisk returns the character device of a block device, which alone is read here.
func rawDisk(path string) string {
	return filepath.Join(filepath.Dir(path), "r"+filepath.Base(path))
}

func seekData(f *os.File, off, size int64) (start, end int64, err error) { return off, size, nil }

// syncData flushes the disk's own cache too, by DIOCCACHESYNC without force.
func syncData(s *storage) error {
	if err := s.file.Sync(); err != nil || s.regular {
		return err
	}
	return flushed(s, diskIoctl(s.file)(iow(118, 4), make([]byte, 4)))
}

func identity(s *storage) string {
	if s.regular {
		var fs unix.Statvfs_t
		filesystem := "unknown"
		if unix.Fstatvfs(int(s.file.Fd()), &fs) == nil {
			filesystem = fmt.Sprintf("%08x%08x", uint32(fs.Fsidx.X__fsid_val[0]), uint32(fs.Fsidx.X__fsid_val[1]))
		}
		return fileIdentity(filesystem, s, s.stat.Btim.Nano())
	}
	return fmt.Sprintf("disk %d:%d size %d", unix.Major(uint64(s.stat.Rdev)), unix.Minor(uint64(s.stat.Rdev)), s.size)
}

package blockcopy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	diskKind   = unix.S_IFCHR
	diskWanted = "a regular file or a disk is wanted"
	locksDisks = true
)

// openDisk opens a disk. GEOM refuses with EPERM to write what is mounted.
func openDisk(s *storage, flag int) (*os.File, error) {
	f, err := os.OpenFile(s.path, flag, 0)
	if errors.Is(err, unix.EPERM) {
		if user, lookErr := usedBy(s); lookErr == nil && user != "" {
			return nil, inUse(s.path, user)
		}
	}
	s.direct = true
	return f, err
}

func diskGeometry(s *storage) (geometry, error) {
	g, err := freebsdGeometry(diskIoctl(s.file))
	if errors.Is(err, unix.ENOTTY) {
		err = errors.New("it is no disk: " + diskWanted)
	}
	return g, err
}

func provider(s *storage) string {
	if s.file != nil {
		if name, err := freebsdProvider(diskIoctl(s.file)); err == nil && name != "" {
			return name
		}
	}
	path, err := filepath.EvalSymlinks(s.path)
	if err != nil {
		path = s.path
	}
	return strings.TrimPrefix(path, "/dev/")
}

func spans(s *storage) ([]span, error) {
	if s.regular {
		return []span{fileSpan(s)}, nil
	}
	var all []span
	for _, name := range freebsdUnder(provider(s)) {
		all = append(all, span{where: "disk " + name, end: maxOffset})
	}
	return all, nil
}

func usedBy(s *storage) (string, error) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return "", err
	}
	mounts := make([]unix.Statfs_t, n)
	if n, err = unix.Getfsstat(mounts, unix.MNT_NOWAIT); err != nil {
		return "", err
	}
	for _, m := range mounts[:min(n, len(mounts))] {
		if who := mountedUser(s, cString(m.Mntfromname[:]), cString(m.Mntonname[:])); who != "" {
			return who, nil
		}
	}
	return "", nil
}

// rawDisk returns the node that a mounted disk is read through.
func rawDisk(path string) string { return path }

// syncData flushes the disk's own cache too, which fsync leaves alone.
func syncData(s *storage) error {
	if err := s.file.Sync(); err != nil || s.regular {
		return err
	}
	return flushed(s, diskIoctl(s.file)(unix.DIOCGFLUSH, make([]byte, 4)))
}

func identity(s *storage) string {
	if s.regular {
		var fs unix.Statfs_t
		filesystem := "unknown"
		if unix.Fstatfs(int(s.file.Fd()), &fs) == nil {
			filesystem = fmt.Sprintf("%08x%08x", uint32(fs.Fsid.Val[0]), uint32(fs.Fsid.Val[1]))
		}
		return fileIdentity(filesystem, s, s.stat.Btim.Nano())
	}
	name := provider(s)
	under := freebsdUnder(name)
	disk := under[len(under)-1]
	ident, err := freebsdIdent(diskIoctl(s.file))
	if err != nil || ident == "" {
		return fmt.Sprintf("disk %s size %d", name, s.size)
	}
	return fmt.Sprintf("disk ident %s part %q size %d", ident, strings.TrimPrefix(name, disk), s.size)
}

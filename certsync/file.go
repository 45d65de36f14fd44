package certsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rehost/rehost/internal/textfile"
)

// tempPrefix begins the names of what is not finished yet. A crash leaves it; who has the
// lock removes it.
const tempPrefix = ".certsync-"

// ownership is whose a file is, and who may read it. An id of -1 leaves the process's own.
type ownership struct {
	uid, gid int
	mode     fs.FileMode
}

// private is for what only the process's user may see.
var private = ownership{-1, -1, 0o600}

// directory is the ownership of a directory that holds such files: who may read them may
// pass through. Nobody but the process may write in it, not even the owner of the files: a
// link in the place of what is being written would lead elsewhere.
func (o ownership) directory() ownership {
	read := o.mode & 0o444
	o.mode = 0o700 | read | read>>2
	if o.uid >= 0 {
		o.uid = os.Geteuid()
		o.mode |= 0o001
	}
	return o
}

// give sets owner and mode of an open file or directory that nobody else can see yet. The
// mode comes second: chown clears its special bits. A file system that does not keep them
// is no place for a key.
func (o ownership) give(f *os.File) error {
	if o.uid >= 0 || o.gid >= 0 {
		if err := f.Chown(o.uid, o.gid); err != nil {
			return err
		}
	}
	if err := f.Chmod(o.mode); err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !o.has(info) {
		err = fmt.Errorf("%s: the file system does not keep owner and mode", f.Name())
	}
	return err
}

// apply gives what is there already its owner and mode.
func (o ownership) apply(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || o.has(info) {
		return err
	}
	return o.give(f)
}

// has reports whether a file is owned as it should be.
func (o ownership) has(info fs.FileInfo) bool {
	stat := info.Sys().(*syscall.Stat_t)
	return info.Mode().Perm() == o.mode.Perm() &&
		(o.uid < 0 || int(stat.Uid) == o.uid) && (o.gid < 0 || int(stat.Gid) == o.gid)
}

// lookupOwner finds the numbers of a user and a group, each of which may be empty or a
// number already.
func lookupOwner(owner, group string) (uid, gid int, err error) {
	uid, gid = -1, -1
	if owner != "" {
		if uid, err = parseID(owner); err != nil {
			u, err := user.Lookup(owner)
			if err != nil {
				return 0, 0, &ValueError{Field: "owner", Value: owner, Reason: "no such user"}
			}
			uid, _ = strconv.Atoi(u.Uid)
		}
	}
	if group != "" {
		if gid, err = parseID(group); err != nil {
			g, err := user.LookupGroup(group)
			if err != nil {
				return 0, 0, &ValueError{Field: "group", Value: group, Reason: "no such group"}
			}
			gid, _ = strconv.Atoi(g.Gid)
		}
	}
	return uid, gid, nil
}

// parseID reads the number of a user or a group. -1, which 4294967295 is too, would be none
// to chown(2).
func parseID(text string) (int, error) {
	id, err := strconv.ParseUint(text, 10, 31)
	return int(id), err
}

// writeFile writes a file that is not there yet, and flushes it. Owner and mode are right
// before the first byte is in it.
func writeFile(path string, own ownership, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = own.give(f)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// replaceFile puts a file in the place of another, if there is one, at once. The caller has
// the lock: what lies where it writes is what a crash has left.
func replaceFile(path string, own ownership, data []byte) error {
	temp, err := stageFile(path, own, data)
	if err != nil {
		return err
	}
	return renameInto(temp, path)
}

// stageFile writes what is to be at path beside it.
func stageFile(path string, own ownership, data []byte) (temp string, err error) {
	temp = tempName(path)
	if err := os.RemoveAll(temp); err != nil {
		return "", err
	}
	if err := writeFile(temp, own, data); err != nil {
		os.Remove(temp)
		return "", err
	}
	return temp, nil
}

// replaceLink is replaceFile for a symbolic link.
func replaceLink(path, to string) error {
	temp := tempName(path)
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.Symlink(to, temp); err != nil {
		return err
	}
	return renameInto(temp, path)
}

// tempName is where what is to be at path is made.
func tempName(path string) string {
	dir, name := filepath.Split(path)
	return filepath.Join(dir, tempPrefix+name)
}

func renameInto(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeTemps removes what a crash has left in a directory.
func removeTemps(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// makeDir makes a directory with all above it, unless it is there.
func makeDir(path string, own ownership) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := own.apply(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// lock is [textfile.Lock], in a directory that nobody else can read.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := makeDir(filepath.Dir(path), private.directory()); err != nil {
		return nil, err
	}
	return textfile.Lock(ctx, path)
}

// readState reads what writeState wrote. A file that is missing leaves into as it is.
func readState(path string, into any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return &ParseError{File: path, Err: fmt.Errorf("remove it to begin anew: %w", err)}
	}
	return nil
}

// writeState replaces a file of state. The caller has its lock.
func writeState(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	if err := makeDir(filepath.Dir(path), private.directory()); err != nil {
		return err
	}
	return replaceFile(path, private, append(data, '\n'))
}

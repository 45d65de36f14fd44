package certsync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// inspect returns the fingerprint of what daemons read, zero if that is nothing or broken,
// and whether all is as Install would leave it.
func (d *Dir) inspect(name string, own ownership) (fp Fingerprint, sound bool) {
	dir, err := d.liveVersion(name)
	if err == nil {
		var files versionFiles
		if files, err = readFiles(name, dir); err == nil {
			exports := d.exports(name, files)
			for _, e := range exports {
				data, err := os.ReadFile(e.path)
				if err != nil || !bytes.Equal(data, e.data) {
					return d.fingerprint(name), false
				}
			}
			if d.Layout == Versions {
				exports = files.in(dir)
				for _, path := range []string{d.store(name), dir} {
					if info, err := os.Stat(path); err != nil || !own.directory().has(info) {
						return files.fingerprint(), false
					}
				}
			}
			return files.fingerprint(), !slices.ContainsFunc(exports, func(e export) bool {
				info, err := os.Stat(e.path)
				return err != nil || !own.has(info)
			})
		}
	}
	return d.fingerprint(name), false
}

// stamp tells whether the files that daemons read, and the owner and mode that they should
// have, may be others than when the stamp was the same: it is made of what stat(2) says of
// them. It is empty if one is missing.
func (d *Dir) stamp(name string, own ownership) string {
	dir, err := d.liveVersion(name)
	if err != nil {
		return ""
	}
	paths := []string{d.store(name)}
	for _, e := range d.exports(name, versionFiles{}) {
		paths = append(paths, e.path)
	}
	if d.Layout == Versions {
		paths = append(paths, dir)
		for _, e := range (versionFiles{}).in(dir) {
			paths = append(paths, e.path)
		}
	}
	sum := sha256.New()
	fmt.Fprintln(sum, own, dir)
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			return ""
		}
		stat := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(sum, stat.Ino, info.Size(), info.ModTime().UnixNano(), info.Mode(), stat.Uid, stat.Gid)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// fingerprint is that of what can be read, whoever wrote it.
func (d *Dir) fingerprint(name string) Fingerprint {
	b, err := d.Fetch(context.Background(), name, Fingerprint{})
	if err != nil {
		return Fingerprint{}
	}
	return b.Fingerprint()
}

// mend puts right what a crash has left half done, or somebody has given another owner or
// mode. What another program alone has written is left as it is.
func (d *Dir) mend(ctx context.Context, name string) error {
	if _, err := d.liveVersion(name); errors.Is(err, ErrNotFound) {
		return nil
	}
	own, err := d.ownership()
	if err != nil {
		return err
	}
	if _, sound := d.inspect(name, own); sound {
		return nil
	}
	b, err := d.kept(ctx, name)
	if useless(err) {
		return nil // nothing is left to mend it with
	}
	if err != nil {
		return err
	}
	return d.Install(ctx, b)
}

// kept returns what can be put in the place of files that are not as they should be: what
// they hold, or the version in use, if they are halves. If they cannot be read, they may
// hold what is newer than any version.
func (d *Dir) kept(ctx context.Context, name string) (*Bundle, error) {
	b, err := d.Fetch(ctx, name, Fingerprint{})
	if useless(err) {
		b, err = d.readVersion(name, Fingerprint{})
	}
	return b, err
}

// useless reports whether an error of Fetch says that nothing of use is there. One of
// another kind, such as a lack of permission, says that this cannot be known.
func useless(err error) bool {
	_, unreadable := errors.AsType[*ParseError](err)
	_, mixed := errors.AsType[*InvalidError](err)
	return unreadable || mixed || errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist)
}

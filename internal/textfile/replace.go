package textfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A stagedFile is a new text that lies complete and flushed beside the file
// that it is to replace. Its name begins with a dot and has no known ending, so
// that programs which read whole directories pass over it.
type stagedFile struct {
	temp   string
	target string
	fresh  bool // the target must not exist
}

// stageOver stages a replacement for the file at path, or for the file that a
// symbolic link there leads to. It keeps owner and, if mode is nil, mode.
func stageOver(path string, mode *fs.FileMode, data []byte) (*stagedFile, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return nil, err
	}
	if mode == nil {
		m := info.Mode()
		mode = &m
	}
	temp, err := writeTemp(filepath.Dir(target), *mode, info, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &stagedFile{temp: temp, target: target}, nil
}

// stageNew stages a file for a path where there is none.
func stageNew(path string, mode fs.FileMode, data []byte) (*stagedFile, error) {
	temp, err := writeTemp(filepath.Dir(path), mode, nil, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &stagedFile{temp: temp, target: path, fresh: true}, nil
}

// writeTemp writes a temporary file and flushes it. Owner and mode are right
// before the first byte is in it, so that no secret is readable for an instant.
func writeTemp(dir string, mode fs.FileMode, owner fs.FileInfo, data []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, ".rehost-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if owner != nil {
		if err := takeOwner(f, owner); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(mode); err != nil { // after chown, which clears the set-id bits
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	// Without this a power cut after the rename may leave an empty file.
	return f.Name(), f.Sync()
}

// takeOwner gives f the owner and group of another file. A file that changes
// hands in an edit would be a surprise, so a failure is an error.
func takeOwner(f *os.File, owner fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	have, want := info.Sys().(*syscall.Stat_t), owner.Sys().(*syscall.Stat_t)
	if have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}

// commit puts the staged file in its place and flushes the directory.
func (s *stagedFile) commit() error {
	if s.fresh {
		// link(2), unlike rename(2), never replaces a file that has appeared.
		if err := os.Link(s.temp, s.target); errors.Is(err, fs.ErrExist) {
			return appeared(s.target)
		} else if err != nil {
			return err
		}
		if err := os.Remove(s.temp); err != nil {
			return err
		}
	} else if err := os.Rename(s.temp, s.target); err != nil {
		return err
	}
	s.temp = ""
	return syncDir(filepath.Dir(s.target))
}

func appeared(path string) error {
	return fmt.Errorf("%s: %w: it has appeared: %w", path, ErrStale, fs.ErrExist)
}

// discard removes a staged file that was not committed.
func (s *stagedFile) discard() {
	if s.temp != "" {
		os.Remove(s.temp)
	}
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

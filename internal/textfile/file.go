// Package textfile is what the packages of this module share: how a text file
// is read, compared and replaced without ever leaving half of it, the same for
// files that are rendered whole, and the errors and problems that name a place.
//
// A package that understands a format keeps the text and its meaning; a [File]
// here remembers what was read, shows what has changed since, and replaces it.
// Crash, full disk or power cut: at any instant the path holds the old text or
// the new one, with the owner and mode it had.
//
// What a rename cannot keep is lost by design: other hard links to the old file
// stay with the old text, and access control lists and file flags are not
// copied.
package textfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/rogpeppe/go-internal/diff"
)

// ErrStale is returned by a save when the file is not what was read any more.
var ErrStale = errors.New("changed since it was read")

// A File is a text as it was read, and the place it came from.
type File struct {
	name string
	path string      // "" if there is no place to save to
	read []byte      // what is on disk, as far as we know
	mode fs.FileMode // of a file that Create starts; else 0, and the file's own is kept
}

// Open reads a regular file, following symbolic links.
func Open(path string) (*File, error) {
	in, err := open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := readAll(in)
	if err != nil {
		return nil, err
	}
	return &File{name: path, path: path, read: data}, nil
}

// open opens a regular file.
func open(path string) (*os.File, error) {
	// Without O_NONBLOCK a named pipe at path would keep us waiting for a writer.
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// readAll is io.ReadAll into a buffer that is large enough at once, so that a
// large file is in memory once.
func readAll(in *os.File) ([]byte, error) {
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	buf := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	_, err = buf.ReadFrom(in)
	return buf.Bytes(), err
}

// Create starts a file that must not exist, neither now nor when it is saved.
// It gets the given mode, whatever the umask.
func Create(path string, mode fs.FileMode) (*File, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &File{name: path, path: path, mode: mode}, nil
}

// Parse takes bytes that have no place: name is for messages and diffs, and a
// save is an error.
func Parse(name string, data []byte) *File {
	return &File{name: name, read: bytes.Clone(data)}
}

// Borrow is Parse without a copy: data must not be modified afterwards.
func Borrow(name string, data []byte) *File { return &File{name: name, read: data} }

// Name returns the path, or the name given to Parse.
func (f *File) Name() string { return f.name }

// Original returns what was read, or was last saved. It must not be modified.
func (f *File) Original() []byte { return f.read }

// Changes returns the unified diff from what was read to data, "" if they are
// the same.
func (f *File) Changes(data []byte) string {
	if f.mode != 0 {
		return Diff(os.DevNull, nil, f.name, data)
	}
	return Diff(f.name, f.read, f.name, data)
}

// Save replaces the file with data; see [Save].
func (f *File) Save(ctx context.Context, data []byte) error {
	return Save(ctx, Edit{f, data})
}

// An Edit is a file and the text that it is to have, which must not be modified
// afterwards.
type Edit struct {
	File *File
	Data []byte
}

// Changed reports whether the file would be replaced.
func (e Edit) Changed() bool { return e.File.mode != 0 || !bytes.Equal(e.File.read, e.Data) }

// Save replaces all files whose text differs from what was read, in the order
// given, and leaves the others alone. The new texts are written and flushed to
// disk before the first file is replaced, so that what can fail has failed by
// then: an error from before that point means that nothing has changed. It is
// [ErrStale] if a file is no longer what was read, or a created one has
// appeared. Between that check and the rename a moment remains in which another
// writer would lose; only a lock that both honour could close it.
func Save(ctx context.Context, edits ...Edit) error {
	var staged []*stagedFile
	defer func() {
		for _, s := range staged {
			s.discard()
		}
	}()
	var todo []Edit
	for _, e := range edits {
		if !e.Changed() {
			continue
		}
		if e.File.path == "" {
			return fmt.Errorf("%s: was parsed from bytes, there is no file to save", e.File.name)
		}
		s, err := e.File.stage(e.Data)
		if err != nil {
			return err
		}
		todo, staged = append(todo, e), append(staged, s)
	}
	for _, e := range todo {
		if err := e.File.unchanged(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, e := range todo {
		if err := staged[i].commit(); err != nil {
			return err
		}
		e.File.read, e.File.mode = e.Data, 0
	}
	return nil
}

func (f *File) stage(data []byte) (*stagedFile, error) {
	if f.mode != 0 {
		return stageNew(f.path, f.mode, data)
	}
	s, err := stageOver(f.path, nil, data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: it is gone", f.name, ErrStale)
	}
	return s, err
}

// unchanged compares contents: a time stamp has a granularity, and a file that
// was rewritten with the same text is still the one that was read.
func (f *File) unchanged() error {
	if f.mode != 0 {
		// The commit of a new file cannot replace one, but it comes after those
		// of the files before it.
		if _, err := os.Lstat(f.path); err == nil {
			return appeared(f.path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	now, err := open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: it is gone", f.name, ErrStale)
	} else if err != nil {
		return err
	}
	defer now.Close()
	same, err := holds(now, f.read)
	if err == nil && !same {
		err = fmt.Errorf("%s: %w", f.name, ErrStale)
	}
	return err
}

// holds reports whether in holds data and nothing more.
func holds(in io.Reader, data []byte) (bool, error) {
	buf := make([]byte, 1<<16)
	for {
		n, err := in.Read(buf)
		if n > len(data) || !bytes.Equal(buf[:n], data[:n]) {
			return false, nil
		}
		data = data[n:]
		if err == io.EOF {
			return len(data) == 0, nil
		} else if err != nil {
			return false, err
		}
	}
}

// Diff returns a unified diff, "" if there is no difference.
func Diff(oldName string, old []byte, newName string, new []byte) string {
	text := diff.Diff(oldName, old, newName, new)
	_, text, _ = bytes.Cut(text, []byte("\n")) // the line "diff old new", which patch(1) ignores
	return string(text)
}

package textfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// An Output is a file that was rendered whole, with the place it belongs to.
type Output struct {
	// Path is where the file is installed, absolute on its host.
	Path string `json:"path"`
	// Mode are its permissions, which must not be 0. A symbolic link has none.
	Mode fs.FileMode `json:"mode,omitempty"`
	// Data is its content. It may hold a secret: String, Changes and JSON do
	// not show what not everybody may read.
	Data []byte `json:"-"`
	// Link, if not empty, makes the file a symbolic link to this target.
	Link string `json:"link,omitempty"`
}

// String returns the path and the mode or target, never the content.
func (o Output) String() string {
	if o.Link != "" {
		return o.Path + " -> " + o.Link
	}
	return fmt.Sprintf("%s (%04o)", o.Path, o.Mode.Perm())
}

// GoString is String: %#v must not show the content either.
func (o Output) GoString() string { return o.String() }

// Changes returns what Save would change below root, as a unified diff, or ""
// if nothing. The content of a file that not everybody may read is not shown.
func (o Output) Changes(root string) (string, error) {
	old, err := o.read(root)
	if err != nil || old.same {
		return "", err
	}
	name := old.path
	if o.Link != "" {
		return Diff(name, []byte(old.link), name, []byte("symbolic link to "+o.Link+"\n")), nil
	}
	oldName := name
	if old.info == nil {
		oldName = os.DevNull
	}
	var text string
	switch {
	case o.Mode&0o004 == 0, old.info != nil && old.info.Mode()&0o004 == 0:
		text = fmt.Sprintf("--- %s\n+++ %s\nContent not shown: not everybody may read it.\n", oldName, name)
	default:
		text = Diff(oldName, old.data, name, o.Data)
	}
	if old.info != nil && old.info.Mode().Perm() != o.Mode.Perm() {
		text += fmt.Sprintf("%s: mode %04o becomes %04o\n", name, old.info.Mode().Perm(), o.Mode.Perm())
	}
	return text, nil
}

// Save installs the file below root ("/" is the machine itself), makes the
// directories above it, and reports whether it changed anything. A file that is
// there is replaced at once or not at all and keeps its owner; a symbolic link
// there is followed, but not out of root.
func (o Output) Save(ctx context.Context, root string) (changed bool, err error) {
	old, err := o.read(root)
	if err != nil || old.same {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(old.path), 0o755); err != nil {
		return false, err
	}
	var s *stagedFile
	switch {
	case o.Link != "":
		s, err = stageLink(old.path, o.Link)
	case old.info != nil:
		s, err = stageOver(old.path, &o.Mode, o.Data)
	default:
		s, err = stageNew(old.path, o.Mode, o.Data)
	}
	if err != nil {
		return false, err
	}
	defer s.discard()
	if err := s.commit(); err != nil {
		return false, err
	}
	return true, nil
}

// installed is what lies where an Output belongs.
type installed struct {
	path string      // below root
	info fs.FileInfo // nil if there is nothing; of the file that a link leads to
	data []byte
	link string // one line that says where a symbolic link leads
	same bool   // it is what the Output would make it
}

func (o Output) read(root string) (installed, error) {
	rel := strings.TrimLeft(filepath.FromSlash(o.Path), string(filepath.Separator))
	if !filepath.IsLocal(rel) || rel == "." {
		return installed{}, &ValueError{"path", o.Path, "names no file below the root"}
	}
	if o.Link == "" && o.Mode.Perm() == 0 {
		return installed{}, &ValueError{"mode", "0000", "nobody could read " + o.Path}
	}
	old := installed{path: filepath.Join(root, rel)}
	if err := inside(root, filepath.Dir(old.path)); err != nil {
		return old, err
	}
	info, err := os.Lstat(old.path)
	if errors.Is(err, fs.ErrNotExist) {
		return old, nil
	}
	if err != nil {
		return old, err
	}
	if o.Link != "" {
		return o.readLink(old, info)
	}
	target, err := filepath.EvalSymlinks(old.path)
	if err != nil {
		return old, err
	}
	if err := inside(root, target); err != nil {
		return old, err
	}
	f, err := Open(target)
	if err != nil {
		return old, err
	}
	if old.info, err = os.Stat(target); err != nil {
		return old, err
	}
	old.data = f.read
	old.same = string(old.data) == string(o.Data) && old.info.Mode().Perm() == o.Mode.Perm()
	return old, nil
}

func (o Output) readLink(old installed, info fs.FileInfo) (installed, error) {
	old.info = info
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(old.path)
		if err != nil {
			return old, err
		}
		old.link, old.same = "symbolic link to "+to+"\n", to == o.Link
	case info.Mode().IsRegular():
		old.link = "regular file\n"
	default:
		return old, &fs.PathError{Op: "link", Path: old.path, Err: errors.New("neither a file nor a link")}
	}
	return old, nil
}

// inside refuses a path that leaves root through a symbolic link: root may be
// another machine's file system, mounted here. What does not exist yet cannot
// lead anywhere, so the nearest directory above that does is looked at.
func inside(root, path string) error {
	realRoot, err := filepath.EvalSymlinks(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for ; ; path = filepath.Dir(path) {
		target, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if rel, err := filepath.Rel(realRoot, target); err != nil || !filepath.IsLocal(rel) {
			return fmt.Errorf("%s: a symbolic link leads out of %s", path, root)
		}
		return nil
	}
}

// stageLink makes a symbolic link beside the path that it is to replace.
func stageLink(path, to string) (*stagedFile, error) {
	// A temporary file claims the name; the link then replaces it.
	temp, err := writeTemp(filepath.Dir(path), 0o600, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(temp), os.Symlink(to, temp)); err != nil {
		return nil, err
	}
	return &stagedFile{temp: temp, target: path}, nil
}

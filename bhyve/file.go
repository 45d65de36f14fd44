package bhyve

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rehost/rehost/internal/textfile"
)

// A File is a guest's file as it stands, byte for byte. Its methods must not be
// called from several goroutines at once.
type File struct {
	text  *textfile.File
	lines []string // joined they are the text; every view is computed from them
}

// Open reads the file of a guest. The error is os.ErrNotExist if there is none,
// and a [*ParseError] as Parse returns.
func Open(path string) (*File, error) {
	text, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newFile(text)
}

// Create starts the file of a guest that has none: os.ErrExist if it has. It is
// written by Save, with mode 0644, and Save fails if it has appeared by then.
// [File.SetGuest] fills it.
func Create(path string) (*File, error) {
	text, err := textfile.Create(path, 0o644)
	if err != nil {
		return nil, err
	}
	return newFile(text)
}

// Parse reads a guest's file from bytes; name is for messages. The only text it
// refuses, with a [*ParseError], is one with a NUL byte: grep(1) takes that for
// a binary file, and vm-bhyve, which reads through grep, sees none of it.
func Parse(name string, data []byte) (*File, error) {
	return newFile(textfile.Parse(name, data))
}

func newFile(text *textfile.File) (*File, error) {
	data := text.Original()
	if i := bytes.IndexByte(data, 0); i >= 0 {
		before := data[:i]
		return nil, &ParseError{
			File: text.Name(),
			Line: bytes.Count(before, []byte("\n")) + 1,
			Col:  i - bytes.LastIndexByte(before, '\n'),
			Err:  errors.New("a NUL byte makes vm-bhyve ignore the whole file"),
		}
	}
	return &File{text: text, lines: textfile.Lines(data)}, nil
}

// Bytes returns the text as it is now.
func (f *File) Bytes() []byte { return textfile.Join(f.lines) }

// Changes returns the unified diff from what was read to what is there now, ""
// if nothing has changed.
func (f *File) Changes() string { return f.text.Changes(f.Bytes()) }

// Save replaces the file on disk, keeping owner, mode and symbolic link; it does
// nothing if nothing has changed. It returns [ErrStale] if the file is not what
// was read any more (vm-bhyve itself writes to it), and an error if the File
// came from Parse or New.
func (f *File) Save(ctx context.Context) error { return f.text.Save(ctx, f.Bytes()) }

// Get returns the value that vm-bhyve uses for a key: that of the first line
// which sets it. A line without "=" is, as vm-bhyve reads it, both key and value.
func (f *File) Get(key string) (value string, ok bool) {
	if i, s := f.find(key); i >= 0 {
		return s.value, true
	}
	return "", false
}

// All returns the keys and values that vm-bhyve sees, in the order of the file.
// Of lines with the same key only the first counts, and the others do not
// appear. A line such as "cpu = 1" does appear, with the key "cpu ": vm-bhyve
// reads it like that, and then never looks for it.
func (f *File) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		seen := map[string]bool{}
		for _, line := range f.lines {
			s, ok := readLine(line)
			if !ok || seen[s.key] {
				continue
			}
			seen[s.key] = true
			if !yield(s.key, s.value) {
				return
			}
		}
	}
}

// Set gives a key a value. It edits the line that counts, the first, and keeps
// its comment and its quotes. Where a shell would read another value, quotes and
// a blank before the comment are added. Single quotes, which vm-bhyve takes for
// part of the value, become double ones. A carriage return at the end of the old
// value goes with it: vm-bhyve reads it as part of the value. A key that is not
// there gets a line beside its like (disk0_opts after disk0_name), or at the end.
//
// Set refuses with a [*ValueError] what the file cannot hold: "#", a double
// quote, a blank at the end, control characters, and what a shell would expand.
// It does not judge the value otherwise; Check does.
func (f *File) Set(key, value string) error {
	i, s := f.find(key)
	if i >= 0 && s.value == value {
		return nil
	}
	if !isKey(key) {
		return &ValueError{Field: "key", Value: key, Reason: "a key begins with a small letter and has small letters, digits and _ only"}
	}
	if reason := unfit(value); reason != "" {
		return &ValueError{Field: key, Value: value, Reason: reason}
	}
	if i >= 0 {
		f.lines[i] = s.with(value)
		return nil
	}
	f.lines = textfile.Insert(f.lines, f.place(key), key+`="`+value+`"`)
	return nil
}

// Unset removes a key and reports whether it was there. It removes every line
// that sets it: were the first alone to go, the next would count.
func (f *File) Unset(key string) bool {
	before := len(f.lines)
	f.lines = slices.DeleteFunc(f.lines, func(line string) bool {
		s, ok := readLine(line)
		return ok && s.key == key
	})
	return len(f.lines) < before
}

// find returns the line that counts for a key, or -1.
func (f *File) find(key string) (int, setting) {
	for i, line := range f.lines {
		if s, ok := readLine(line); ok && s.key == key {
			return i, s
		}
	}
	return -1, setting{}
}

// edit makes several changes, or none if one of them fails.
func (f *File) edit(change func() error) error {
	before := slices.Clone(f.lines)
	err := change()
	if err != nil {
		f.lines = before
	}
	return err
}

// place returns the index at which a line for a new key belongs: behind the
// same device or the one before it, else before the next, else behind the last
// key of the same family, else at the end.
func (f *File) place(key string) int {
	fam, n, _ := splitKey(key)
	behind, nearest, before, family := -1, -1, -1, -1
	for i, line := range f.lines {
		s, ok := readLine(line)
		if !ok {
			continue
		}
		if other, m, _ := splitKey(s.key); fam != nil && other == fam {
			switch {
			case m > n && before < 0:
				before = i
			case m <= n && m >= nearest:
				behind, nearest = i+1, m
			}
		}
		if familyOf(s.key) == familyOf(key) {
			family = i + 1
		}
	}
	for _, at := range []int{behind, before, family} {
		if at >= 0 {
			return at
		}
	}
	return len(f.lines)
}

// familyOf returns the part of a key before the first digit or "_".
func familyOf(key string) string {
	if i := strings.IndexAny(key, "_0123456789"); i >= 0 {
		return key[:i]
	}
	return key
}

// isKey reports whether vm-bhyve and sysrc(8) can both find a key of this form.
func isKey(key string) bool {
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z':
		case i > 0 && (c == '_' || '0' <= c && c <= '9'):
		default:
			return false
		}
	}
	return key != ""
}

// unfit returns why the file cannot hold a value, or "".
func unfit(value string) string {
	for i := range len(value) {
		switch c := value[i]; c {
		case '#':
			return "vm-bhyve cuts the value at #, even inside quotes"
		case '"':
			return "vm-bhyve deletes double quotes"
		case '$', '`', '\\':
			return "sysrc(8), with which vm-bhyve writes, lets a shell expand $, ` and \\"
		default:
			if c < ' ' && c != '\t' || c == 0x7f {
				return "a value is one line without control characters"
			}
		}
	}
	if strings.HasSuffix(value, " ") || strings.HasSuffix(value, "\t") {
		return "a blank at the end does not survive"
	}
	if !utf8.ValidString(value) {
		return "awk, sed and tr, through which vm-bhyve reads, stop at text that is not UTF-8"
	}
	return ""
}

package zone

import (
	"errors"
	"io"
	"iter"

	"github.com/rehost/rehost/internal/textfile"
)

// A File is a zone as named reads it: the main file, and all that it includes.
// It must not be used by several goroutines at once, not even for reading.
type File struct {
	apex        *domain
	sources     []*source // the main file first
	blocks      []*block
	index       index
	edited      bool    // records have changed since the zone was read or saved
	savedSerial *uint32 // the serial then; nil without one
}

// Options say how a zone is opened. A nil *Options is the zero value.
type Options struct {
	// Dir is named's working directory (its option "directory"), which relative
	// paths of $INCLUDE are relative to. "" is the current directory.
	Dir string
}

// Parse parses a zone file from bytes, which it keeps: they must not be modified
// afterwards. name is for messages; origin is the zone's name, with or without
// its final dot. $INCLUDE lines are kept and not followed, as if the included
// files were empty. Save is an error.
//
// The error joins a [*ParseError] for each of the first mistakes. Parse checks
// what decides which records there are: words and parentheses, owners, classes,
// types and TTLs. [File.Check] checks their data too.
func Parse(name, origin string, data []byte) (*File, error) {
	return load(&source{file: textfile.Borrow(name, data)}, origin, Options{}, false)
}

// Open reads a zone file and the files that it includes. origin is the zone's
// name, with or without its final dot. Errors are those of [Parse]; if the file
// does not exist, the error is os.ErrNotExist.
func Open(path, origin string, opt *Options) (*File, error) {
	main, err := openSource(path)
	if err != nil {
		return nil, err
	}
	if opt == nil {
		opt = &Options{}
	}
	return load(main, origin, *opt, true)
}

func load(main *source, origin string, opt Options, follow bool) (*File, error) {
	name, err := absoluteName([]byte(origin), ".")
	if err != nil || origin == "@" {
		return nil, &ValueError{Field: "origin", Value: origin, Reason: "not a domain name"}
	}
	apex := newDomain(name, nil)
	r := &reader{apex: apex, follow: follow, dir: opt.Dir, sources: []*source{main}, stack: []string{main.file.Name()}}
	r.read(main, state{origin: apex})
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	f := &File{apex: apex, sources: r.sources, blocks: r.blocks}
	if serial, err := f.Serial(); err == nil {
		f.savedSerial = &serial
	}
	return f, nil
}

// Origin returns the zone's name, with its final dot.
func (f *File) Origin() string { return f.apex.text }

// Bytes returns the text of the main file.
func (f *File) Bytes() []byte { return f.text(f.sources[0]) }

// WriteTo writes the text of the main file, without joining it in memory first.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	var total int64
	write := func(text []byte) error {
		n, err := w.Write(text)
		total += int64(n)
		return err
	}
	// Blocks that nobody has edited lie side by side in what was read, and go out
	// in one piece.
	var run []byte
	for b := range f.blocksOf(f.sources[0]) {
		if n := len(run); n > 0 && n+len(b.text) <= cap(run) {
			if next := run[n : n+len(b.text)]; len(b.text) == 0 || &next[0] == &b.text[0] {
				run = run[:n+len(b.text)]
				continue
			}
		}
		if err := write(run); err != nil {
			return total, err
		}
		run = b.text
	}
	return total, write(run)
}

// Files yields names and present texts: of the main file, and then of the
// included ones, each once, in the order in which they are first read.
func (f *File) Files() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, src := range f.sources {
			if !yield(src.file.Name(), f.text(src)) {
				return
			}
		}
	}
}

// Changes returns the unified diffs of all files against what was read, "" if
// nothing has changed.
func (f *File) Changes() string {
	var all string
	for _, src := range f.sources {
		all += src.file.Changes(f.text(src))
	}
	return all
}

func (f *File) text(src *source) []byte {
	size := 0
	for b := range f.blocksOf(src) {
		size += len(b.text)
	}
	text := make([]byte, 0, size)
	for b := range f.blocksOf(src) {
		text = append(text, b.text...)
	}
	return text
}

// blocksOf yields the blocks of a source. Of a file that is included several
// times, and so cannot be edited, those of the first.
func (f *File) blocksOf(src *source) iter.Seq[*block] {
	return func(yield func(*block) bool) {
		for _, b := range f.blocks {
			if b.src != src {
				continue
			}
			if !yield(b) || b.last {
				return
			}
		}
	}
}

package zone

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/rehost/rehost/internal/textfile"
)

// A source is a file that the zone is read from.
type source struct {
	file *textfile.File
	info os.FileInfo // that tells it from others; nil for bytes
	uses int         // how often the zone includes it
}

func openSource(path string) (*source, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &source{file: file, info: info}, nil
}

// A block is a run of lines of one source. All blocks, in the order in which
// named reads them, are the zone; those of one source, joined, are its text.
// Nothing else holds the text, and a block never changes: an edit replaces it by
// another, and reads again what follows as far as its meaning depends on it.
type block struct {
	src     *source
	text    []byte
	entries []entry
	start   state
	end     state
	lines   int     // line ends in text
	child   bool    // it ends in an $INCLUDE that is followed by the blocks of that file
	enter   *domain // the origin there
	last    bool    // the included file ends here

	kinds uint8 // a bit for each kind of its entries
}

// blockSize is the number of lines in a block: many, so that a large zone costs
// little memory, and few, since an edit reads its block again.
const blockSize = 256

// has reports whether there is an entry of a kind in the block.
func (b *block) has(k kind) bool { return b.kinds&(1<<k) != 0 }

// after is the state of the block that follows.
func (b *block) after() state {
	s := b.end
	if b.child {
		s.parent = &frame{s.origin, s.owner, s.parent}
		s.origin, s.group = b.enter, nil
		s.glued = byteClass[b.text[len(b.text)-1]] != lineEnd
	}
	if b.last {
		s.origin, s.owner, s.parent, s.group = s.parent.origin, s.parent.owner, s.parent.parent, nil
		s.glued = false
	}
	return s
}

// stop is the end of entry i in the text.
func (b *block) stop(i int) int {
	if i+1 < len(b.entries) {
		return int(b.entries[i+1].start)
	}
	return len(b.text)
}

// scan reads one block from a text, of at most limit lines that begin before stop.
// It ends early after an $INCLUDE. fail is told of each line that named refuses.
func scan(src *source, text []byte, stop int, start state, apex *domain, limit int, fail func(error)) (*block, *scanner) {
	b := &block{src: src, start: start, entries: make([]entry, 0, min(limit, 1+stop/8))}
	s := &scanner{lexer: lexer{text: text}, state: start, apex: apex}
	for len(b.entries) < limit && s.pos < stop {
		var e entry
		if err := s.read(&e, false); err != nil {
			fail(err)
			continue
		}
		if n := len(b.entries); e.kind == filler && n > 0 && b.entries[n-1].kind == filler {
			continue
		}
		b.entries = append(b.entries, e)
		b.kinds |= 1 << e.kind
		if e.kind == include {
			break
		}
	}
	b.text, b.end = text[:s.pos], s.state // WriteTo relies on the capacity that is left
	b.lines = bytes.Count(b.text, newline)
	return b, s
}

var newline = []byte("\n")

// A reader reads a zone and the files that it includes.
type reader struct {
	apex    *domain
	follow  bool
	dir     string
	sources []*source
	blocks  []*block
	stack   []string
	errs    []error
}

// maxErrors is how many mistakes of a file are told at once.
const maxErrors = 20

// maxDepth is how deep includes may lie in each other. named has no such number,
// and runs out of open files.
const maxDepth = 100

// read appends the blocks of a source, and of all that it includes.
func (r *reader) read(src *source, start state) state {
	src.uses++
	text, at, st := src.file.Original(), 0, start
	if int64(len(text)) > maxSize {
		r.errs = append(r.errs, fmt.Errorf("%s: larger than 4 GiB", src.file.Name()))
		return st
	}
	var parts []*part
	for at < len(text) && len(r.errs) < maxErrors {
		if at > 0 && parts == nil {
			parts = r.ahead(src, at, st)
		}
		for len(parts) > 0 && parts[0].from < at {
			parts = parts[1:] // a line crossed its start
		}
		stop := len(text)
		if len(parts) > 0 {
			if p := parts[0]; p.from == at && p.fits(st) {
				p.blocks[0].start.owner = st.owner
				r.blocks = append(r.blocks, p.blocks...)
				at, st, parts = p.to, p.end, parts[1:]
				continue
			} else if p.from > at {
				stop = p.from
			}
		}
		b, s := scan(src, text[at:], stop-at, st, r.apex, blockSize, func(err error) { r.fail(src, at, err) })
		r.blocks = append(r.blocks, b)
		at += len(b.text)
		if n := len(b.entries); r.follow && n > 0 && b.entries[n-1].kind == include && len(r.errs) == 0 {
			r.include(src, at, b, s)
			st = r.blocks[len(r.blocks)-1].after()
			continue
		}
		st = b.end
	}
	if start.parent != nil || len(text) == 0 || r.blocks[len(r.blocks)-1].last {
		// The end of the file is a place of its own: where an included file ends, or
		// what is added to the main one goes.
		b := &block{src: src, start: st, end: st, last: start.parent != nil}
		r.blocks = append(r.blocks, b)
	}
	return st
}

// include reads the file that the last line of b names.
func (r *reader) include(src *source, end int, b *block, s *scanner) {
	at := end - len(b.text)
	arg := s.line.toks[1]
	path := string(arg.text)
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	if slices.Contains(r.stack, path) || len(r.stack) >= maxDepth {
		r.fail(src, at, failAt(arg.start, "$INCLUDE of %q, which leads back to itself", arg.text))
		return
	}
	b.enter = s.origin
	if len(s.line.toks) > 2 {
		var err error
		if b.enter, err = s.domainAt(2); err != nil {
			r.fail(src, at, err)
			return
		}
	}
	child, err := r.open(path)
	if err != nil {
		r.fail(src, at, failAt(arg.start, "$INCLUDE: %w", err))
		return
	}
	b.child = true
	r.stack = append(r.stack, path)
	r.read(child, b.after())
	r.stack = r.stack[:len(r.stack)-1]
}

// open returns the source at path, the same one if it has been read before.
func (r *reader) open(path string) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	for _, src := range r.sources {
		if os.SameFile(src.info, info) {
			return src, nil
		}
	}
	src, err := openSource(path)
	if err != nil {
		return nil, err
	}
	r.sources = append(r.sources, src)
	return src, nil
}

const maxSize = 1<<32 - 1

func (r *reader) fail(src *source, base int, err error) {
	at := base
	var bad *lineError
	if errors.As(err, &bad) {
		at, err = base+bad.at, bad.err
	}
	line, col := place(src.file.Original(), at)
	r.errs = append(r.errs, &ParseError{File: src.file.Name(), Line: line, Col: col, Err: err})
}

// place gives line and column of an offset, both from 1.
func place(text []byte, at int) (line, col int) {
	before := text[:at]
	return 1 + bytes.Count(before, newline), at - bytes.LastIndexByte(before, '\n')
}

package zone

import (
	"bytes"
	"runtime"
)

// A part is a stretch of a large file that is read ahead, while what comes before
// it still is, in the state that will most likely be found there. If it is another
// one, the part is dropped and read again: it only ever saves time.
type part struct {
	from, to int // in the file's text
	start    state
	done     chan struct{} // closed when what follows is known
	blocks   []*block      // nil if there was anything in it that needs the reader
	end      state
}

// minAhead is the size of a file from which on reading ahead pays.
const minAhead = 1 << 20

// ahead begins to read what follows at in as many parts as there are processors,
// but for the first, which is the reader's own. It guesses that the origin and the
// default TTL stay what they are.
func (r *reader) ahead(src *source, at int, st state) []*part {
	parts := []*part{} // not nil: it is tried once
	text := src.file.Original()
	count := runtime.GOMAXPROCS(0)
	if len(text)-at < minAhead || count < 2 || !st.def.known {
		return parts
	}
	st.owner = owner{}
	for i := 1; i < count; i++ {
		from := ownerAfter(text, at+(len(text)-at)/count*i)
		if n := len(parts); n > 0 {
			parts[n-1].to = from
		}
		parts = append(parts, &part{from: from, to: len(text), start: st, done: make(chan struct{})})
	}
	for _, p := range parts {
		go p.read(src, text, r)
	}
	return parts
}

// ownerAfter finds a line that begins with an owner. If it lies within quotes or
// parentheses, the reader will never come to its start.
func ownerAfter(text []byte, at int) int {
	for at < len(text) {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			break
		}
		if at += n + 1; at < len(text) && byteClass[text[at]] == plain && text[at] != '$' {
			return at
		}
	}
	return len(text)
}

func (p *part) read(src *source, text []byte, r *reader) {
	defer close(p.done)
	var blocks []*block
	at, st, failed := p.from, p.start, false
	for at < p.to && !failed {
		b, _ := scan(src, text[at:], p.to-at, st, r.apex, blockSize, func(error) { failed = true })
		if n := len(b.entries); r.follow && n > 0 && b.entries[n-1].kind == include {
			return
		}
		blocks = append(blocks, b)
		at, st = at+len(b.text), b.end
	}
	if !failed {
		p.blocks, p.to, p.end = blocks, at, st
	}
}

// fits waits for the part, and reports whether it was read in the right state, but
// for the owner, which its first line gives.
func (p *part) fits(st state) bool {
	<-p.done
	st.owner = p.start.owner
	return len(p.blocks) > 0 && st.equal(p.start)
}

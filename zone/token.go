package zone

import (
	"bytes"
	"errors"
)

// A token is a word of a zone file (RFC 1035, section 5.1).
type token struct {
	text   []byte // as written, with its backslashes, without the quotes
	quoted bool
	start  int // of the token in the text that was read, with the quotes
	end    int
}

var (
	errOpenQuote = errors.New("quote that is not closed on its line")
	errOpenParen = errors.New("parenthesis that is not closed")
	errNoParen   = errors.New("closing parenthesis without an opening one")
	errNul       = errors.New("a NUL byte")
)

// A lexer cuts a text into lines and tokens as isc_lex of BIND does for zone
// files. A line here is a logical one: between parentheses line ends are blanks.
type lexer struct {
	text   []byte
	pos    int
	depth  int // of parentheses
	opened int // where the outermost one stands
}

// The classes of bytes outside of quotes. Whatever is not plain ends a token.
const (
	plain = iota
	blank
	lineEnd
	mark // has a meaning of its own
)

var byteClass = [256]uint8{
	' ': blank, '\t': blank, '\n': lineEnd, '\r': lineEnd,
	0: mark, '"': mark, '(': mark, ')': mark, ';': mark, '\\': mark,
}

// next reads the next token of the line. It returns false at the line's end,
// and leaves the line end itself to endLine.
func (l *lexer) next(t *token) (bool, error) {
	text := l.text
	for l.pos < len(text) {
		c := text[l.pos]
		switch byteClass[c] {
		case blank:
			l.pos++
			continue
		case lineEnd:
			if l.depth == 0 {
				return false, nil
			}
			l.pos++
			continue
		case mark:
			switch c {
			case ';':
				l.skipComment()
				continue
			case '(':
				if l.depth == 0 {
					l.opened = l.pos
				}
				l.depth++
				l.pos++
				continue
			case ')':
				if l.depth == 0 {
					return false, errNoParen
				}
				l.depth--
				l.pos++
				continue
			case '"':
				return l.quoted(t)
			case 0:
				return false, errNul
			}
		}
		l.word(t)
		return true, nil
	}
	if l.depth > 0 {
		return false, errOpenParen
	}
	return false, nil
}

// word reads a token that is not quoted. A backslash takes the next byte with
// it, but for a line end.
func (l *lexer) word(t *token) {
	text, i := l.text, l.pos
	for i < len(text) {
		if c := text[i]; byteClass[c] != plain {
			if c != '\\' {
				break
			}
			if i+1 < len(text) && byteClass[text[i+1]] != lineEnd {
				i++
			}
		}
		i++
	}
	*t = token{text: text[l.pos:i], start: l.pos, end: i}
	l.pos = i
}

func (l *lexer) quoted(t *token) (bool, error) {
	for i := l.pos + 1; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case '\n':
			return false, errOpenQuote
		case '"':
			*t = token{text: l.text[l.pos+1 : i], quoted: true, start: l.pos, end: i + 1}
			l.pos = i + 1
			return true, nil
		}
	}
	return false, errOpenQuote
}

// skipComment goes to the newline. A carriage return does not end a comment.
func (l *lexer) skipComment() {
	if n := bytes.IndexByte(l.text[l.pos:], '\n'); n >= 0 {
		l.pos += n
	} else {
		l.pos = len(l.text)
	}
}

// rest goes to the end of the line, and finds the same errors as next.
func (l *lexer) rest() error {
	text := l.text
	for {
		i := l.pos
		for i < len(text) && byteClass[text[i]] <= blank {
			i++
		}
		l.pos = i
		if i == len(text) || (l.depth == 0 && byteClass[text[i]] == lineEnd) {
			break
		}
		if text[i] == '\\' { // takes the next byte with it, as in word
			l.pos++
			if l.pos < len(text) && byteClass[text[l.pos]] != lineEnd {
				l.pos++
			}
			continue
		}
		var t token
		if _, err := l.next(&t); err != nil {
			return err
		}
	}
	if l.depth > 0 {
		return errOpenParen
	}
	return nil
}

// endLine steps over the line end: a newline, a carriage return, or both.
func (l *lexer) endLine() {
	if l.pos < len(l.text) && l.text[l.pos] == '\r' {
		l.pos++
	}
	if l.pos < len(l.text) && l.text[l.pos] == '\n' {
		l.pos++
	}
}

package pfrules

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// A token is what pfctl's lexer hands to its grammar.
type token struct {
	text    string // of a word, without its quotes
	kind    kind
	newline bool // inside a list: on another line than the token before
	pos     position
}

type kind uint8

const (
	endOfStatement kind = iota
	bareWord
	quotedWord
	punctuation // one character, or one of <> >< != <= >= ->
)

// A position is a line and a column in bytes, both from 1.
type position struct{ line, col int }

// is reports whether the token is this unquoted word or this punctuation.
func (t token) is(text string) bool { return t.kind != quotedWord && t.text == text }

// String is for messages.
func (t token) String() string {
	if t.kind == endOfStatement {
		return "the end of the rule"
	}
	return strconv.Quote(t.text)
}

func (t token) isWord() bool { return t.kind == bareWord || t.kind == quotedWord }

// isNumber reports what the newer lexers read as a number and not as a name.
func (t token) isNumber() bool {
	return t.kind == bareWord && strings.Trim(t.text, "0123456789") == ""
}

// A scanner cuts a text into statements as pfctl's lexer does: it joins lines
// that end in a backslash (in comments too), expands macros as text, and lets
// quotes and lists go over lines where the dialect does.
type scanner struct {
	dialect Dialect
	text    string
	pos     int
	line    int
	start   int               // where the line begins
	literal int               // a character that a backslash has made an ordinary one
	macros  map[string]string // as defined so far
	unknown bool              // a macro may be defined that is not known here
	expand  string            // what is left of the macro that is being expanded
	at      position          // where that macro stands
	brace   position          // the outermost brace that is open
	st      statement

	unclosed error        // a quote or brace that is open at the end of the text
	comments []int        // lines that begin a comment and hold nothing else
	hidden   []int        // lines that are part of a comment in the line above
	joined   map[int]bool // lines whose newline a backslash hides
	crlf     position     // the first line that ends in CRLF, outside comments
}

const bom = "\ufeff"

func newScanner(d Dialect, text string) *scanner {
	s := &scanner{dialect: d, text: text, line: 1, literal: -1, macros: map[string]string{}, joined: map[int]bool{}}
	if strings.HasPrefix(text, bom) {
		s.pos = len(bom)
	}
	return s
}

func (s *scanner) here() position {
	if s.expand != "" {
		return s.at
	}
	return position{s.line, s.pos - s.start + 1}
}

// refuse notes what pfctl would refuse; the first thing in a statement counts.
func (s *scanner) refuse(pos position, format string, args ...any) {
	if s.st.err == nil {
		s.st.first = cmp.Or(s.st.first, pos.line)
		s.st.err = &ParseError{Line: pos.line, Col: pos.col, Err: fmt.Errorf(format, args...)}
	}
}

// peek returns the next character as lgetc in pfctl's parse.y would.
func (s *scanner) peek() (c byte, ok bool) {
	if s.expand != "" {
		return s.expand[0], true
	}
	for s.pos < len(s.text) && s.text[s.pos] == '\\' && s.pos != s.literal {
		switch {
		case s.pos+1 == len(s.text):
			s.joined[s.line] = true // a newline put here would be hidden
			return '\\', true
		case s.text[s.pos+1] == '\n':
			s.pos++
			s.joined[s.line] = true
			s.newline()
		case s.dialect == NetBSD: // there it is a character like any other
			return '\\', true
		default:
			s.pos++
			s.literal = s.pos
		}
	}
	if s.pos == len(s.text) {
		return 0, false
	}
	return s.text[s.pos], true
}

// skip goes over the character that peek has returned.
func (s *scanner) skip() {
	switch {
	case s.expand != "":
		s.expand = s.expand[1:]
	case s.text[s.pos] == '\n':
		s.newline()
	default:
		s.pos++
	}
}

func (s *scanner) newline() {
	s.pos++
	s.line++
	s.start = s.pos
}

// token reads one token. It returns false at the end of the text.
func (s *scanner) token() (token, bool) {
	for {
		c, ok := s.peek()
		if !ok {
			return token{}, false
		}
		pos := s.here()
		switch {
		case c == ' ' || c == '\t':
			s.skip()
			continue
		case c == '\r' && s.expand == "" && strings.HasPrefix(s.text[s.pos:], "\r\n"):
			if s.crlf.line == 0 {
				s.crlf = pos
			}
			s.skip()
			continue
		case c == '#':
			s.comment(pos)
			continue
		case c == '\n':
			s.skip()
			return token{kind: endOfStatement, pos: pos}, true
		case c == '$' && s.expand == "":
			s.skip()
			s.expansion(pos)
			continue
		case c == '"' || c == '\'':
			s.skip()
			return token{text: s.quoted(c, pos), kind: quotedWord, pos: pos}, true
		case isAlnum(c) || c == ':' || c == '_':
			return token{text: s.word(), kind: bareWord, pos: pos}, true
		}
		text := s.rest()[:1]
		s.skip()
		if next, ok := s.peek(); ok {
			if two := operator(c, next); two != "" {
				s.skip()
				text = two
			}
		}
		return token{text: text, kind: punctuation, pos: pos}, true
	}
}

// rest is the text from here, as far as it is in one piece.
func (s *scanner) rest() string {
	if s.expand != "" {
		return s.expand
	}
	return s.text[s.pos:]
}

// operator returns the operators of two characters.
func operator(a, b byte) string {
	for _, op := range []string{"<>", "><", "!=", "<=", ">=", "->"} {
		if op[0] == a && op[1] == b {
			return op
		}
	}
	return ""
}

// comment goes to the newline that ends a comment, but not over it.
func (s *scanner) comment(pos position) {
	if len(s.st.tokens) == 0 && strings.TrimLeft(s.text[s.start:s.start+pos.col-1], " \t") == "" {
		s.comments = append(s.comments, pos.line)
	}
	for {
		if s.expand == "" { // a stretch at a time: files are half comments
			if n := strings.IndexAny(s.text[s.pos:], "\\\n"); n > 0 {
				s.pos += n
			} else if n < 0 {
				s.pos = len(s.text)
			}
		}
		if c, ok := s.peek(); !ok || c == '\n' {
			break
		}
		s.skip()
	}
	for line := pos.line + 1; line <= s.line; line++ {
		s.hidden = append(s.hidden, line)
	}
}

// expansion reads a macro's name and puts its value before the text. As pfctl
// does, it reads the value as text, so that a word may go on after it.
func (s *scanner) expansion(pos position) {
	var name strings.Builder
	for {
		c, ok := s.peek()
		if !ok || !isAlnum(c) && c != '_' {
			break
		}
		name.WriteByte(c)
		s.skip()
	}
	value, ok := s.macros[name.String()]
	switch {
	case ok:
		s.expand, s.at = value, pos
	case s.unknown:
		s.refuse(pos, "%w: macro %q, which may be defined in an included file", ErrNotModelled, name.String())
	default:
		s.refuse(pos, "macro %q is not defined above", name.String())
	}
}

// quoted reads up to the closing quote. A newline in quotes is nothing at all.
func (s *scanner) quoted(quote byte, pos position) string {
	var b strings.Builder
	for {
		c, ok := s.raw(0)
		if !ok {
			s.refuse(pos, "the quote is not closed")
			s.unclosed = s.st.err
			return b.String()
		}
		next, _ := s.raw(1)
		switch {
		case c == quote:
			s.skip()
			return b.String()
		case c == '\\' && next == '\n':
			s.skip()
			c = '\n'
		case c == '\\' && s.dialect != NetBSD && (next == quote || s.dialect == OpenBSD && isBlank(next)):
			s.skip()
			c = next
		case isBlank(c) && s.dialect == NetBSD && isBlank(next) && s.expand == "":
			s.skip() // NetBSD's lexer makes one blank of several, here too
			continue
		case isBlank(c) && s.dialect == NetBSD:
			c = ' '
		}
		if c != '\n' {
			b.WriteByte(c)
		}
		s.skip()
	}
}

// raw returns the n-th next character, without the joining of lines.
func (s *scanner) raw(n int) (byte, bool) {
	if n < len(s.expand) {
		return s.expand[n], true
	}
	if n += s.pos - len(s.expand); n < len(s.text) {
		return s.text[n], true
	}
	return 0, false
}

// word reads an unquoted word. One that lies in the file in one piece is not
// copied.
func (s *scanner) word() string {
	if s.expand == "" {
		n := s.pos
		for n < len(s.text) && inWord(s.text[n]) && s.text[n] != '\\' {
			n++
		}
		if n == len(s.text) || s.text[n] != '\\' {
			word := s.text[s.pos:n]
			s.pos = n
			return word
		}
	}
	var b strings.Builder
	for {
		c, ok := s.peek()
		if !ok || !inWord(c) {
			return b.String()
		}
		b.WriteByte(c)
		s.skip()
	}
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// inWord is allowed_in_string of pfctl's parse.y.
func inWord(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune("(){}<>!=/#,", rune(c))
}

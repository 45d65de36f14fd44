package pfrules

import (
	"cmp"
	"strings"
)

// A statement is what pfctl's grammar takes at once, up to the newline that ends
// it.
type statement struct {
	tokens []token // reused by the next statement
	first  int     // its lines, from 1
	last   int
	torn   bool  // a list is not closed, and only the next line's first word shows it
	err    error // a *ParseError: what the lexer refuses
}

// next reads a statement. It returns false at the end of the text.
func (s *scanner) next() bool {
	s.st = statement{tokens: s.st.tokens[:0]}
	depth, newline := 0, false
	for {
		t, ok := s.token()
		if !ok { // the end of the text
			listed := depth > 0 && s.st.err == nil
			s.end(depth)
			if listed {
				s.unclosed = s.st.err
			}
			return len(s.st.tokens) > 0 || s.st.err != nil
		}
		if t.kind == endOfStatement {
			if len(s.st.tokens) == 0 && s.st.err == nil {
				continue
			}
			if s.st.err != nil || depth == 0 || s.endsList() {
				s.end(depth)
				s.st.last = t.pos.line
				return true
			}
			newline = true
			continue
		}
		s.st.first = cmp.Or(s.st.first, t.pos.line)
		t.newline = newline
		newline = false
		s.st.tokens = append(s.st.tokens, t)
		switch {
		case t.is("{"):
			if depth == 0 {
				s.brace = t.pos
			}
			depth++
		case t.is("}") && depth > 0:
			depth--
		}
	}
}

// end completes a statement, of which the last line is known if it is the end of
// the text.
func (s *scanner) end(depth int) {
	s.st.last = s.line
	if strings.HasSuffix(s.text, "\n") && s.pos == len(s.text) {
		s.st.last--
	}
	if depth > 0 {
		s.st.torn = s.dialect != NetBSD
		why := "the list is not closed"
		if s.dialect == NetBSD {
			why += " on its line: NetBSD has no lists over several lines"
		}
		s.refuse(s.brace, "%s", why)
	}
	s.define()
	if len(s.st.tokens) > 0 && s.st.tokens[0].is("include") {
		s.unknown = true
	}
}

// endsList reports whether a newline inside braces ends the statement after all:
// in NetBSD always, else if the next line begins another statement, because the
// brace was never closed. An anchor holds statements in its braces.
func (s *scanner) endsList() bool {
	if s.st.tokens[0].is("anchor") {
		return false
	}
	if s.dialect == NetBSD {
		return true
	}
	rest := strings.TrimLeft(s.text[s.pos:], " \t")
	n := 0
	for n < len(rest) && (isAlnum(rest[n]) || rest[n] == '-') {
		n++
	}
	_, ok := starters[rest[:n]]
	return ok
}

// maxMacro is what pfctl's lexer takes in quotes. Macros of macros could have more
// there; here they could fill the memory.
const maxMacro = 8096

// define keeps the value of a macro that the statement defines.
func (s *scanner) define() {
	if s.st.err != nil || !isMacro(s.st.tokens) {
		return
	}
	switch m, err := parseMacro(s.dialect, s.st.tokens); {
	case err != nil:
		s.st.err = err
	case len(m.Value) > maxMacro:
		s.refuse(s.st.tokens[0].pos, "%w: a macro of more than %d characters", ErrNotModelled, maxMacro)
		s.unknown = true
	default:
		s.macros[m.Name] = m.Value
	}
}

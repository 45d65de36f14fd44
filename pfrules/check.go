package pfrules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check returns what pf would refuse, ignore or misread in the file (Error), and
// what is probably not meant (Warning), in the order of the lines:
//
//   - carriage returns and a last line without its newline (in and after
//     comments only: Warning), a byte order mark, a comment that a backslash
//     continues over a statement;
//   - quotes, lists and macros that the dialect does not read, macros that are
//     not defined above, words that begin no statement;
//   - a section that comes too late (not in OpenBSD, nor after "set
//     require-order no");
//   - a rule with an error in a part that this package knows: a route option in
//     another dialect's form, a port without tcp or udp, families that do not
//     agree;
//   - broken marks of blocks;
//   - a route rule that never acts, because a quick rule above or any rule below
//     takes all its packets, or "set skip" does (Error), or that loses some to a
//     rule without its route (Warning).
//
// What a rule takes is only said where it is certain: of tables, host names and
// interface groups this package knows the names alone, and nothing of anchors,
// included files and what is not modelled.
func (f *File) Check() Problems {
	c := &checker{file: f, order: ordering{dialect: f.dialect}}
	s := f.scan()
	for s.next() {
		c.statement(&s.st)
		c.last = s.st.last
	}
	c.text(s)
	broken := f.layout().broken
	for _, name := range slices.Sorted(maps.Keys(broken)) {
		c.addError(broken[name])
	}
	c.dead()
	c.problems.Sort()
	return c.problems
}

type checker struct {
	file     *File
	problems Problems
	order    ordering
	rules    []placedRule
	skipped  map[string]int // interfaces in "set skip on", and the line
	last     int            // where the last statement ends
}

func (c *checker) add(pos position, severity Severity, format string, args ...any) {
	c.problems = append(c.problems, Problem{File: c.file.file.Name(), Line: pos.line, Col: pos.col,
		Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// addError reports an error that has a place.
func (c *checker) addError(err error) {
	if perr, ok := errors.AsType[*ParseError](err); ok {
		c.add(position{perr.Line, perr.Col}, Error, "%v", perr.Err)
	}
}

// text reports what is wrong with the lines as such.
func (c *checker) text(s *scanner) {
	lines := c.file.lines
	if strings.HasPrefix(s.text, bom) {
		c.add(position{1, 1}, Error, "a byte order mark is a syntax error")
	}
	if s.crlf.line > 0 {
		c.add(s.crlf, Error, "a carriage return is a syntax error, here and wherever a line with a statement ends in CRLF")
	} else if i := slices.IndexFunc(lines, func(s string) bool { return strings.HasSuffix(s, "\r\n") }); i >= 0 {
		c.add(position{i + 1, len(lines[i]) - 1}, Warning, "the line ends in CRLF, which is a syntax error outside comments")
	}
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		severity := Warning
		if c.last == n {
			severity = Error
		}
		c.add(position{n, len(lines[n-1]) + 1}, severity, "the last line has no newline")
	}
	for _, n := range s.hidden {
		if n <= len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[n-1])+"#", "#") {
			c.add(position{line: n}, Error, "is part of the comment in the line above, which ends in a backslash")
		}
	}
}

// statement reports what is wrong with one statement.
func (c *checker) statement(st *statement) {
	section, at := c.order.section, c.order.line
	if _, late := c.order.look(st); late {
		c.add(st.tokens[0].pos, Error, "%s must come before %s, which begins in line %d", sectionOf(st.tokens), section, at)
	}
	err := st.err
	if err == nil && !isMacro(st.tokens) {
		err = c.parse(st)
	}
	if err != nil && !errors.Is(err, ErrNotModelled) {
		c.addError(err)
	}
}

// parse reads a statement that the lexer has taken, and keeps its rule.
func (c *checker) parse(st *statement) error {
	d, first := c.file.dialect, st.tokens[0]
	_, known := starters[first.text]
	section := sectionOf(st.tokens)
	old := section == SectionNormalization || section == SectionTranslation
	switch {
	case !known || first.kind != bareWord:
		c.add(first.pos, Warning, "%v begins no statement that is known here", first)
		return nil
	case d == OpenBSD && old:
		return refusal(first, "%s has no %s statements", d, section)
	case !d.keyword(first.text):
		return refusal(first, "%s has no %s", d, first.text)
	case first.is("set") && len(st.tokens) > 3 && st.tokens[1].is("skip"):
		c.skip(st.tokens[2:])
	}
	rule, err := st.rule(d)
	if err != nil {
		return err
	}
	if rule.Route.Kind == ReplyTo && (rule.State == NoState || rule.Action != Pass) {
		c.add(first.pos, Error, "reply-to does nothing without state: it is the state that knows what is an answer")
	}
	c.rules = append(c.rules, newPlacedRule(st, rule))
	return nil
}

// skip keeps the interfaces that pf leaves alone.
func (c *checker) skip(tokens []token) {
	if c.skipped == nil {
		c.skipped = map[string]int{}
	}
	for _, t := range tokens {
		if t.isWord() && !t.is("on") {
			c.skipped[t.text] = t.pos.line
		}
	}
}

// maxWork bounds the comparisons for files with very many route rules, or long
// lists in them, which would else grow with the square of the file.
const maxWork = 8 << 20

// dead reports the route rules that do not act.
func (c *checker) dead() {
	work, all := 0, 0
	for _, r := range c.rules {
		all += r.size()
	}
	for i, r := range c.rules {
		if r.Route.Kind == 0 {
			continue
		}
		if line, ok := c.skips(r); ok {
			c.add(r.pos, Error, "the rule is dead: line %d skips the interface", line)
			continue
		}
		if work += r.size() * all; work > maxWork {
			c.add(r.pos, Warning, "too many route rules: from here on it is not checked whether one is dead")
			return
		}
		c.rival(i)
	}
}

// skips reports whether pf sees none of the rule's packets.
func (c *checker) skips(r placedRule) (line int, ok bool) {
	for _, i := range r.Ifaces {
		if line, ok = c.skipped[i.Name]; !ok || i.Not {
			return 0, false
		}
	}
	return line, len(r.Ifaces) > 0
}

// rival finds the rule that decides on the packets of route rule i in its place: a
// quick one above, or, as the last match wins, one below if rule i is not quick.
// One with the same route does no harm, and a match rule decides nothing.
func (c *checker) rival(i int) {
	r := &c.rules[i]
	winner, part := i, -1
	for k := range c.rules {
		a := &c.rules[k]
		if k == i || k < i && !a.Quick || k > i && r.Quick || a.Action == Match || !a.meets(r) {
			continue
		}
		if a.covers(r) {
			winner = k
			if part > i {
				part = -1 // what a rule between had taken is taken from it
			}
			if a.Quick {
				break // the rules after it never see the packets
			}
		} else if part < 0 && a.Action == Pass && a.Route != r.Route {
			part = k
		}
	}
	w := &c.rules[winner]
	switch {
	case w.Action == Pass && w.Route == r.Route:
		if part >= 0 {
			c.add(r.pos, Warning, "the rule in line %d passes some of its packets without its %s", c.rules[part].pos.line, r.Route.Kind)
		}
	case winner < i:
		c.add(r.pos, Error, "the rule with %s is dead: the quick rule in line %d takes all its packets: let that one leave them, or stand below", r.Route.Kind, w.pos.line)
	case winner > i:
		c.add(r.pos, Error, "the rule with %s is dead: the later rule in line %d takes all its packets, because this one is not quick", r.Route.Kind, w.pos.line)
	}
}

package pfrules

import (
	"errors"
	"slices"
	"strings"
)

// ParseRule reads one rule. Its error is a *[ParseError]; it wraps
// [ErrNotModelled] if pf may accept the rule, and this package has no field for
// a part of it.
//
// What is pf's default anyway (keep state and flags S/SA on a pass rule) is left
// out, port names become numbers, protocol numbers names, and a gateway sets the
// family, so that rules are compared by what they mean: with one that Format
// wrote, or one that pfctl -nv printed. A comment at the end is not part of the
// rule.
func ParseRule(d Dialect, text string) (Rule, error) {
	if err := d.valid(); err != nil {
		return Rule{}, err
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return Rule{}, &ParseError{Line: 1, Col: i + 1, Err: errNUL}
	}
	s := newScanner(d, text)
	if !s.next() {
		return Rule{}, &ParseError{Line: 1, Col: 1, Err: errors.New("no rule")}
	}
	rule, err := s.st.rule(d)
	if err != nil {
		return Rule{}, err
	}
	if s.next() {
		return Rule{}, &ParseError{Line: s.st.first, Err: errors.New("more than one statement")}
	}
	return rule, nil
}

var errNUL = errors.New("a NUL byte ends a string for pfctl")

// rule reads a statement as a rule.
func (st *statement) rule(d Dialect) (Rule, error) {
	if st.err != nil {
		return Rule{}, st.err
	}
	if err := checkLists(st.tokens); err != nil {
		return Rule{}, err
	}
	p := &parser{dialect: d, tokens: st.tokens}
	r, err := p.rule()
	if err == nil {
		err = p.unknown
	}
	if err != nil {
		return Rule{}, err
	}
	r = r.canonical(d)
	if err := r.validNames(d); err != nil {
		return Rule{}, refusal(st.tokens[0], "%w: %w", ErrNotModelled, err)
	}
	if err := r.validate(d); err != nil {
		return Rule{}, refusal(st.tokens[0], "%w", err)
	}
	return r, nil
}

// checkLists finds what no list may have: nothing in it, a list in it, a comma
// at its end, or a newline after a comma. The braces of an anchor hold
// statements.
func checkLists(tokens []token) error {
	anchor, open := tokens[0].is("anchor"), false
	for i, t := range tokens[:len(tokens)-1] {
		next := tokens[i+1]
		switch {
		case t.is("{") && next.is("}") && !tokens[0].is("table") && !anchor:
			return refusal(t, "a list cannot be empty")
		case t.is("{") && open && !anchor:
			return refusal(t, "a list inside a list, as from a macro that holds {…}")
		case (t.is("{") || t.is(",")) && next.is(","):
			return refusal(next, "a comma without an element before it")
		case t.is(",") && next.is("}"):
			return refusal(t, "a list cannot end in a comma")
		case t.is(",") && next.newline:
			return refusal(t, "a newline cannot follow the comma: put the comma on the next line, or leave it out")
		}
		if t.is("{") || t.is("}") {
			open = t.is("{")
		}
	}
	return nil
}

// A parser reads the tokens of one rule.
type parser struct {
	dialect Dialect
	tokens  []token
	i       int
	unknown error // the first part that is not modelled
}

func (p *parser) peek() token {
	if p.i < len(p.tokens) {
		return p.tokens[p.i]
	}
	end := token{}
	if p.i > 0 {
		end.pos = p.tokens[p.i-1].pos
		end.pos.col += len(p.tokens[p.i-1].text)
	}
	return end
}

func (p *parser) next() token {
	t := p.peek()
	if p.i < len(p.tokens) {
		p.i++
	}
	return t
}

// take goes over a token if it is there.
func (p *parser) take(text string) bool {
	ok := p.i < len(p.tokens) && p.tokens[p.i].is(text)
	if ok {
		p.i++
	}
	return ok
}

func (p *parser) want(text string) error {
	if t := p.peek(); !p.take(text) {
		return refusal(t, "%v where %q should be", t, text)
	}
	return nil
}

// skip notes a part that is not modelled, and goes on, so that what pf refuses
// in the rest is found.
func (p *parser) skip(t token, what string) {
	if p.unknown == nil {
		p.unknown = refusal(t, "%w: %s", ErrNotModelled, what)
	}
}

// skipParens goes over (…).
func (p *parser) skipParens() {
	if p.take("(") {
		for p.i < len(p.tokens) && !p.take(")") {
			p.i++
		}
	}
}

// word reads a name. A bare keyword is none, nor is a bare number outside
// NetBSD.
func (p *parser) word(what string) (token, error) {
	t := p.next()
	switch {
	case !t.isWord():
		return t, refusal(t, "%v where %s should be", t, what)
	case t.kind == bareWord && p.dialect.keyword(t.text):
		return t, refusal(t, "the keyword %q where %s should be", t.text, what)
	case t.isNumber() && p.dialect != NetBSD:
		return t, refusal(t, "the number %s where %s should be: as a name it needs quotes", t.text, what)
	}
	return t, nil
}

// list reads one item, or several in braces.
func list[T any](p *parser, item func() (T, error)) ([]T, error) {
	brace := p.take("{")
	var items []T
	for {
		v, err := item()
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		if !brace {
			return items, nil
		}
		if p.take(",") {
			continue
		}
		if p.take("}") {
			return items, nil
		}
	}
}

func (p *parser) rule() (r Rule, err error) {
	if r.Action, err = p.action(); err != nil {
		return r, err
	}
	switch {
	case p.take("in"):
		r.Direction = In
	case p.take("out"):
		r.Direction = Out
	}
	p.logQuick(&r)
	if p.take("on") {
		if r.Ifaces, err = list(p, p.iface); err != nil {
			return r, err
		}
	}
	if t := p.peek(); p.dialect != OpenBSD {
		if r.Route.Kind = p.routeKind(); r.Route.Kind != 0 {
			if err = p.route(&r.Route); err != nil {
				return r, err
			}
		}
	} else if p.routeKind() != 0 {
		p.i-- // without addresses it is the first option
		if slices.ContainsFunc(p.tokens[p.i:], token.isAddressing) {
			return r, refusal(t, "OpenBSD has %s after the addresses", t.text)
		}
	}
	switch {
	case p.take("inet"):
		r.Family = Inet
	case p.take("inet6"):
		r.Family = Inet6
	}
	if p.take("proto") {
		if r.Protos, err = list(p, p.proto); err != nil {
			return r, err
		}
	}
	if err = p.fromTo(&r); err != nil {
		return r, err
	}
	return r, p.options(&r)
}

// isAddressing reports whether a token begins a part before the options.
func (t token) isAddressing() bool {
	switch t.text {
	case "in", "out", "log", "quick", "on", "inet", "inet6", "proto", "all", "from", "to":
		return t.kind == bareWord
	}
	return false
}

func (p *parser) action() (Action, error) {
	t := p.next()
	switch {
	case t.is("pass"):
		return Pass, nil
	case t.is("match") && p.dialect == FreeBSD:
		p.skip(t, "match, which FreeBSD has only from 14 on")
		return Match, nil
	case t.is("match") && p.dialect == OpenBSD:
		return Match, nil
	case !t.is("block"):
		return 0, refusal(t, "%w: %v begins no pass, block or match rule", ErrNotModelled, t)
	}
	switch t := p.peek(); {
	case p.take("drop"):
		return BlockDrop, nil
	case p.take("return"):
		return BlockReturn, nil
	case p.take("return-rst"), p.take("return-icmp"), p.take("return-icmp6"):
		p.skip(t, t.text)
		p.skipParens()
	}
	return Block, nil
}

func (p *parser) logQuick(r *Rule) {
	for {
		switch t := p.peek(); {
		case p.take("log"):
			r.Log = true
			if p.peek().is("(") {
				p.skip(t, "log with options")
				p.skipParens()
			}
		case p.take("quick"):
			r.Quick = true
		default:
			return
		}
	}
}

func (p *parser) iface() (Iface, error) {
	i := Iface{Not: p.take("!")}
	if t := p.peek(); p.dialect == OpenBSD && (t.is("any") || t.is("rdomain")) {
		return i, refusal(t, "%w: on %s", ErrNotModelled, t.text)
	}
	t, err := p.word("the name of an interface")
	i.Name = t.text
	return i, err
}

func (p *parser) proto() (string, error) {
	t := p.next()
	if !t.isWord() || t.kind == bareWord && p.dialect.keyword(t.text) {
		return "", refusal(t, "%v where a protocol should be", t)
	}
	return t.text, nil
}

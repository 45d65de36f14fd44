package pfrules

import "strings"

// options reads what follows the addresses, in any order, each at most once.
func (p *parser) options(r *Rule) error {
	seen := map[string]bool{}
	for p.i < len(p.tokens) {
		t := p.peek()
		if t.is("keep") || t.is("no") || t.is("modulate") || t.is("synproxy") {
			t.text = "state"
		}
		if t.is("icmp6-type") {
			t.text = "icmp-type"
		}
		if seen[t.text] && p.unknown == nil {
			return refusal(t, "%w: %s twice", ErrNotModelled, t.text)
		}
		seen[t.text] = true
		if err := p.option(r); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) option(r *Rule) (err error) {
	switch t := p.next(); {
	case t.is("flags"):
		r.Flags, err = p.flags()
	case t.is("icmp-type"), t.is("icmp6-type"):
		r.ICMPTypes, err = list(p, p.icmpType)
	case t.is("allow-opts"):
		r.AllowOpts = true
	case t.is("keep"), t.is("no"), t.is("modulate"), t.is("synproxy"):
		err = p.state(r, t)
	case t.is("tag"):
		r.Tag, err = p.words("a tag")
	case t.is("tagged"):
		r.Tagged, err = p.words("a tag")
	case t.is("!") && p.peek().is("tagged"):
		p.i++
		r.NotTagged = true
		r.Tagged, err = p.words("a tag")
	case t.is("label"):
		if t, err = p.word("a label"); err == nil {
			r.Label = t.text
		}
	case t.is(ReplyTo.String()), t.is(RouteTo.String()), t.is(DupTo.String()):
		p.i--
		if p.dialect != OpenBSD {
			return refusal(t, "%s has %s before the address family, right after the interface", p.dialect, t.text)
		}
		if r.Route.Kind != 0 {
			return refusal(t, "a second route option")
		}
		r.Route.Kind = p.routeKind()
		err = p.route(&r.Route)
	case p.unknown != nil: // the arguments of an option that is not modelled
	case t.isAddressing():
		return refusal(t, "%v comes too late: options are last", t)
	case t.is("port"):
		return refusal(t, "port needs from or to before it")
	case t.is("!") && p.peek().is("received-on"), t.kind == bareWord && p.dialect.mayKnow(t.text):
		p.skip(t, t.text)
	default:
		return refusal(t, "%v where an option or the end of the rule should be", t)
	}
	return err
}

// words reads the names that pfctl joins to one.
func (p *parser) words(what string) (string, error) {
	t, err := p.word(what)
	if err != nil {
		return "", err
	}
	text := t.text
	for t := p.peek(); t.kind == quotedWord || t.kind == bareWord && !p.dialect.keyword(t.text); t = p.peek() {
		text += " " + t.text
		p.i++
	}
	return text, nil
}

// flags reads any, S/SA or /SA.
func (p *parser) flags() (string, error) {
	if p.take("any") {
		return "any", nil
	}
	set := ""
	if t := p.peek(); t.isWord() {
		set = p.next().text
	}
	if err := p.want("/"); err != nil {
		return "", err
	}
	t := p.next()
	flags := set + "/" + t.text
	if !validFlags(flags) {
		return "", refusal(t, "%q are no TCP flags", flags)
	}
	return flags, nil
}

// validFlags reports whether a text is flags of which some are set and the rest
// of those named are not: "S/SA", "/SFRA".
func validFlags(flags string) bool {
	set, of, ok := strings.Cut(flags, "/")
	return ok && of != "" && strings.Trim(set+of, "FSRPAUEW") == ""
}

func (p *parser) icmpType() (string, error) {
	number := func(what string) (string, error) {
		t := p.next()
		if !t.isWord() || t.kind == bareWord && p.dialect.keyword(t.text) || !isName(t.text) {
			return "", refusal(t, "%v where %s should be", t, what)
		}
		return t.text, nil
	}
	text, err := number("an ICMP type")
	if err == nil && p.take("code") {
		var code string
		code, err = number("an ICMP code")
		text += " code " + code
	}
	return text, err
}

func (p *parser) state(r *Rule, t token) error {
	for state, words := range stateWords {
		if strings.HasPrefix(words, t.text+" ") {
			r.State = State(state)
		}
	}
	if err := p.want("state"); err != nil {
		return err
	}
	if r.State == NoState || !p.take("(") {
		return nil
	}
	for {
		option, err := p.stateOption()
		if err != nil {
			return err
		}
		r.StateOptions = append(r.StateOptions, option)
		if p.take(")") {
			return nil
		}
		p.take(",")
	}
}

// stateOption reads one of the options in parentheses after keep state.
func (p *parser) stateOption() (string, error) {
	t := p.next()
	switch text := t.text; {
	case t.is("no-sync"), t.is("if-bound"), t.is("floating"):
		return text, nil
	case t.is("sloppy") && p.dialect != NetBSD, t.is("pflow") && p.dialect == OpenBSD:
		return text, nil
	case t.is("source-track"):
		if p.take("global") {
			text += " global"
		} else if p.take("rule") {
			text += " rule"
		}
		return text, nil
	case t.is("max"), t.is("max-src-states"), t.is("max-src-conn"), t.is("max-src-nodes"),
		t.kind == bareWord && strings.Contains(text, ".") && isName(text): // tcp.established 3600
		n, err := p.number()
		return text + " " + n, err
	case t.is("max-src-conn-rate"):
		n, err := p.number()
		if err != nil {
			return "", err
		}
		if err := p.want("/"); err != nil {
			return "", err
		}
		seconds, err := p.number()
		return text + " " + n + "/" + seconds, err
	case t.is("overload"):
		host, err := p.host()
		if err != nil || host.Table == "" {
			return "", refusal(t, "overload needs a table in <>")
		}
		text += " <" + host.Table + ">"
		if p.take("flush") {
			text += " flush"
			if p.take("global") {
				text += " global"
			}
		}
		return text, nil
	case t.isWord():
		return "", refusal(t, "%w: the state option %q", ErrNotModelled, text)
	}
	return "", refusal(t, "%v where a state option should be", t)
}

func (p *parser) number() (string, error) {
	t := p.next()
	if !t.isNumber() || len(t.text) > 10 || t.text == "" {
		return "", refusal(t, "%v where a number should be", t)
	}
	return t.text, nil
}

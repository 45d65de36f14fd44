package pfrules

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ParseRule reads one rule. Its error is a *[ParseError]; it wraps
// [ErrNotModelled] if pf may accept the rule, and this package has no field for
// a part of it. What is pf's default anyway (keep state and flags S/SA on a pass
// rule) is left out, and port and protocol names become the usual ones, so rules
// that mean the same compare equal more often; the output of pfctl -nv can be
// read too. A comment at the end is not part of the rule.
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

var errNUL = errors.New("NUL, which ends a string for pfctl")

// rule reads a statement as a rule.
func (st *statement) rule(d Dialect) (Rule, error) {
	if st.err != nil {
		return Rule{}, st.err
	}
	if err := checkLists(d, st.tokens); err != nil {
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
	if err := r.validate(d); err != nil {
		return Rule{}, refusal(st.tokens[0], "%w", err)
	}
	return r, nil
}

// checkLists finds what no list may have: nothing in it, a comma at its end, or
// a newline after a comma. Braces are balanced here.
func checkLists(d Dialect, tokens []token) error {
	for i, t := range tokens[:max(len(tokens)-1, 0)] {
		next := tokens[i+1]
		switch {
		case t.is("{") && next.is("}") && !tokens[0].is("table") && !tokens[0].is("anchor"):
			return refusal(t, "a list cannot be empty")
		case (t.is("{") || t.is(",")) && next.is(","):
			return refusal(next, "a comma without an element before it")
		case t.is(",") && next.is("}"):
			return refusal(t, "a list cannot end in a comma")
		case t.is(",") && next.newline:
			return refusal(t, "a newline cannot follow the comma: put the comma on the next line, or leave it out")
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
	p.i++
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
func list[T any](p *parser, what string, item func() (T, error)) ([]T, error) {
	brace := p.take("{")
	var items []T
	for {
		if t := p.peek(); t.is("{") {
			return nil, refusal(t, "a list of %s inside a list, as from a macro that holds {…}", what)
		}
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
		if r.Ifaces, err = list(p, "interfaces", p.iface); err != nil {
			return r, err
		}
	}
	if r.Route.Kind = p.routeKind(); r.Route.Kind != 0 {
		if p.dialect == OpenBSD {
			return r, refusal(p.tokens[p.i-1], "OpenBSD has %s after the addresses", r.Route.Kind)
		}
		if err = p.route(&r.Route); err != nil {
			return r, err
		}
	}
	switch {
	case p.take("inet"):
		r.Family = Inet
	case p.take("inet6"):
		r.Family = Inet6
	}
	if p.take("proto") {
		if r.Protos, err = list(p, "protocols", p.proto); err != nil {
			return r, err
		}
	}
	if err = p.fromTo(&r); err != nil {
		return r, err
	}
	return r, p.options(&r)
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

func (p *parser) routeKind() RouteKind {
	for kind := ReplyTo; kind <= DupTo; kind++ {
		if p.take(kind.String()) {
			return kind
		}
	}
	return 0
}

// route reads what follows reply-to: (IF GW) or IF in NetBSD and FreeBSD, GW or
// (IF:peer) in OpenBSD.
func (p *parser) route(r *Route) error {
	t := p.next()
	switch {
	case t.is("{"):
		return refusal(t, "%w: several gateways", ErrNotModelled)
	case p.dialect == OpenBSD && t.is("("):
		return p.peerRoute(r)
	case p.dialect == OpenBSD:
		gw, at, found := strings.Cut(t.text, "@")
		if found {
			return refusal(t, "%w: %s: OpenBSD 6.9 and later find the interface %s from the gateway", ErrNotModelled, t.text, at)
		}
		addr, err := netip.ParseAddr(gw)
		if err != nil {
			return refusal(t, "%w: the gateway %q, which is no address", ErrNotModelled, t.text)
		}
		r.Gateway = addr
	case t.is("("):
		return p.oldRoute(r)
	case isAddress(t.text):
		return refusal(t, "%s takes %s for the name of an interface and does nothing: write (IF %s)",
			r.Kind, t.text, strings.SplitN(t.text, "@", 2)[0])
	default:
		p.i--
		t, err := p.word("the name of an interface")
		if err != nil {
			return err
		}
		r.Iface = t.text
	}
	return p.pool()
}

// isAddress reports whether a text is an address, with or without @interface.
func isAddress(text string) bool {
	text, _, _ = strings.Cut(text, "@")
	_, err := netip.ParseAddr(text)
	return err == nil
}

// oldRoute reads IF GW ")".
func (p *parser) oldRoute(r *Route) error {
	iface, err := p.word("the name of an interface")
	if err != nil {
		return err
	}
	gw := p.next()
	switch addr, err := netip.ParseAddr(gw.text); {
	case gw.is(","):
		return refusal(gw, "no comma between the interface and the gateway: (%s %s)", iface.text, p.peek().text)
	case gw.is("<"), gw.is("("):
		return refusal(gw, "%w: a gateway that is no single address", ErrNotModelled)
	case !gw.isWord():
		return refusal(gw, "%v where the gateway should be", gw)
	case err != nil:
		return refusal(gw, "%w: the gateway %q, which is no address", ErrNotModelled, gw.text)
	default:
		r.Gateway = addr
	}
	r.Iface = iface.text
	if t := p.peek(); t.is("/") {
		return refusal(t, "%w: a network of gateways", ErrNotModelled)
	}
	if err := p.want(")"); err != nil {
		return err
	}
	return p.pool()
}

// peerRoute reads IF:peer ")".
func (p *parser) peerRoute(r *Route) error {
	t, err := p.word("IF:peer")
	if err != nil {
		return err
	}
	name, peer := strings.CutSuffix(t.text, ":peer")
	switch {
	case p.peek().isWord():
		return refusal(p.peek(), "OpenBSD 6.9 and later take no interface here: write %s %s", r.Kind, p.peek().text)
	case !peer:
		return refusal(t, "%w: the gateway (%s)", ErrNotModelled, t.text)
	}
	r.Iface = name
	if err := p.want(")"); err != nil {
		return err
	}
	return p.pool()
}

// pool finds the pool options that may follow the gateway.
func (p *parser) pool() error {
	t := p.peek()
	if slices.ContainsFunc([]string{"bitmask", "random", "source-hash", "round-robin", "least-states", "sticky-address", "static-port", "/", "-"}, t.is) {
		return refusal(t, "%w: gateways as a pool", ErrNotModelled)
	}
	return nil
}

func (p *parser) proto() (string, error) {
	t := p.next()
	if !t.isWord() || t.kind == bareWord && p.dialect.keyword(t.text) {
		return "", refusal(t, "%v where a protocol should be", t)
	}
	return t.text, nil
}

// fromTo reads the addresses: all, or from and to, each of which may be missing.
func (p *parser) fromTo(r *Rule) (err error) {
	if p.take("all") {
		return nil
	}
	if p.take("from") {
		if r.From, err = p.peer(); err != nil {
			return err
		}
	}
	if t := p.peek(); p.take("os") {
		p.skip(t, "os")
		if _, err := list(p, "systems", func() (token, error) { return p.next(), nil }); err != nil {
			return err
		}
	}
	if p.take("to") {
		r.To, err = p.peer()
	}
	return err
}

func (p *parser) peer() (peer Peer, err error) {
	if !p.peek().is("port") && !p.take("any") {
		if peer.Hosts, err = p.hosts(); err != nil {
			return peer, err
		}
	}
	if p.take("port") {
		peer.Ports, err = list(p, "ports", p.port)
	}
	return peer, err
}

// hosts reads a host or a list of them. In FreeBSD and OpenBSD a list of hosts,
// and no other, may hold lists.
func (p *parser) hosts() (hosts []Host, err error) {
	if p.dialect == NetBSD || !p.peek().is("{") {
		return list(p, "addresses", p.host)
	}
	for p.i++; !p.take("}"); p.take(",") {
		var more []Host
		if p.peek().is("{") {
			more, err = p.hosts()
		} else {
			more, err = list(p, "addresses", p.host)
		}
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, more...)
	}
	return hosts, nil
}

func (p *parser) host() (h Host, err error) {
	h.Not = p.take("!")
	t := p.peek()
	switch {
	case p.take("no-route"), p.take("urpf-failed"), p.take("any"):
		p.skip(t, t.text+" in a list or as an address")
		return h, nil
	case p.take("route"):
		p.skip(t, "route labels")
		p.i++
		return h, nil
	case p.take("<"):
		if t, err = p.word("the name of a table"); err == nil {
			h.Table, err = t.text, p.want(">")
		}
		return h, err
	case p.take("("):
		if t, err = p.word("the name of an interface"); err == nil {
			h.Iface, err = t.text, p.want(")")
		}
		if t := p.peek(); t.is("/") {
			return h, refusal(t, "%w: (%s) with a length", ErrNotModelled, h.Iface)
		}
		return h, err
	case !t.isWord() || t.kind == bareWord && p.dialect.keyword(t.text):
		return h, refusal(t, "%v where an address should be", t)
	}
	p.i++
	bits := ""
	if p.take("/") {
		bits = p.next().text
	}
	if next := p.peek(); next.is("-") {
		return h, refusal(next, "%w: a range of addresses", ErrNotModelled)
	}
	if prefix, ok := parsePrefix(t.text, bits); ok {
		h.Prefix = prefix
		return h, nil
	}
	if bits != "" || !strings.ContainsFunc(t.text, isLetter) || strings.Contains(t.text, "%") {
		return h, refusal(t, "%w: the address %q", ErrNotModelled, t.text)
	}
	h.Name = t.text
	return h, nil
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// parsePrefix reads an address, an address with a length, or an IPv4 network
// written short, such as 10/8.
func parsePrefix(text, bits string) (netip.Prefix, bool) {
	if bits != "" && !strings.Contains(text, ":") {
		for strings.Count(text, ".") < 3 {
			text += ".0"
		}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	n := addr.BitLen()
	if bits != "" {
		if n, err = strconv.Atoi(bits); err != nil || n < 0 || n > addr.BitLen() {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(addr, n), true
}

func (p *parser) port() (port Port, err error) {
	port.Op = PortRange
	if t := p.peek(); t.is("=") {
		p.i++
	} else if op := slices.Index(portWords[:], t.text); t.kind == punctuation && PortNot <= PortOp(op) && PortOp(op) <= PortAtLeast {
		port.Op = PortOp(op)
		p.i++
	}
	t := p.next()
	if !t.isWord() || t.kind == bareWord && p.dialect.keyword(t.text) {
		return port, refusal(t, "%v where a port should be", t)
	}
	first, last, isRange := strings.Cut(t.text, ":")
	if port.First, err = service(t, first); err != nil {
		return port, err
	}
	switch op := p.peek(); {
	case isRange && port.Op != PortRange:
		return port, refusal(t, "%q cannot be used with another operator", ":")
	case isRange:
		if port.Last, err = service(t, last); err == nil && port.First > port.Last {
			err = refusal(t, "the range %s holds no port", t.text)
		}
	case op.is("><"), op.is("<>"):
		p.i++
		port.Op = PortOp(slices.Index(portWords[:], op.text))
		t := p.next()
		port.Last, err = service(t, t.text)
	}
	return port, err
}

// service turns a port, a number or the name of a service, into its number.
func service(t token, name string) (uint16, error) {
	if n, ok := services[name]; ok {
		return n, nil
	}
	if n, err := strconv.ParseUint(name, 10, 64); err == nil && (name == "0" || name[0] != '0') {
		if n > 65535 {
			return 0, refusal(t, "there is no port %s", name)
		}
		return uint16(n), nil
	}
	return 0, refusal(t, "%w: the port %q, which only the system's services(5) knows", ErrNotModelled, name)
}

// services are ports that the services(5) of all three systems name alike, and
// that pfctl -nv prints by name.
var services = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "time": 37, "domain": 53,
	"bootps": 67, "bootpc": 68, "tftp": 69, "http": 80, "www": 80, "kerberos": 88, "pop3": 110,
	"sunrpc": 111, "auth": 113, "ident": 113, "nntp": 119, "ntp": 123, "netbios-ns": 137,
	"netbios-dgm": 138, "netbios-ssn": 139, "imap": 143, "snmp": 161, "snmptrap": 162, "bgp": 179,
	"ldap": 389, "https": 443, "microsoft-ds": 445, "smtps": 465, "submissions": 465, "isakmp": 500,
	"syslog": 514, "printer": 515, "submission": 587, "ldaps": 636, "imaps": 993, "pop3s": 995,
	"nfsd": 2049, "nfs": 2049, "mysql": 3306, "postgresql": 5432,
}

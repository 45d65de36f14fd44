package pfrules

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

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
		if _, err := list(p, p.proto); err != nil {
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
		if peer.Hosts, err = list(p, p.host); err != nil {
			return peer, err
		}
	}
	if p.take("port") {
		peer.Ports, err = list(p, p.port)
	}
	return peer, err
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
		p.next()
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
	if t.text == "" {
		return h, refusal(t, "an empty address")
	}
	if prefix, ok := parsePrefix(t.text, bits); ok {
		h.Prefix = prefix
		return h, nil
	}
	if bits != "" || !isLetter(rune(t.text[0])) {
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

package pfrules

import (
	"net/netip"
	"slices"
	"strings"
)

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
	switch t := p.peek(); {
	case t.kind == endOfStatement:
		return refusal(t, "%v where the gateway should be", t)
	case t.is("{"):
		return refusal(t, "%w: several gateways", ErrNotModelled)
	case p.dialect == OpenBSD && p.take("("):
		return p.peerRoute(r)
	case p.dialect == OpenBSD:
		p.next()
		gw, at, found := strings.Cut(t.text, "@")
		if found {
			return refusal(t, "%w: %s: OpenBSD 6.9 and later find the interface %s from the gateway", ErrNotModelled, t.text, at)
		}
		addr, err := netip.ParseAddr(gw)
		if err != nil {
			return refusal(t, "%w: the gateway %q, which is no address", ErrNotModelled, t.text)
		}
		r.Gateway = addr
	case p.take("("):
		return p.oldRoute(r)
	case isAddress(t.text):
		return refusal(t, "%s takes %s for the name of an interface and does nothing: write %s (IF %s)",
			r.Kind, t.text, r.Kind, strings.SplitN(t.text, "@", 2)[0])
	default:
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
	p.take(",")
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

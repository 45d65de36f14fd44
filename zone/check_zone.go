package zone

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// singletons are the types of which an owner has one record.
var singletons = []uint16{dns.TypeSOA, dns.TypeCNAME, dns.TypeDNAME}

// besideCNAME are the types that may stand beside a CNAME (RFC 4035, section
// 2.5). Signatures, which may too, are no sets here.
var besideCNAME = []uint16{dns.TypeCNAME, dns.TypeNSEC, dns.TypeKEY, dns.TypeNXT}

// owner checks the RRsets of a name against each other.
func (c *checker) owner(n *node) {
	for _, typ := range n.types() {
		set := n.sets[typ]
		if len(set) == 1 {
			continue
		}
		first := map[string]checkedRecord{}
		for _, r := range set {
			switch earlier, twice := first[r.key]; {
			case twice:
				c.report(r.place, Warning, "the same %s record of %s stands in line %d", typeName(typ), n.name, earlier.place.Line)
			case len(first) > 0 && slices.Contains(singletons, typ):
				c.report(r.place, Error, "a second %s record of %s: named refuses the zone", typeName(typ), n.name)
			}
			if _, known := first[r.key]; !known {
				first[r.key] = r
			}
		}
		if slices.ContainsFunc(set, func(r checkedRecord) bool { return r.ttl != set[0].ttl }) {
			if c.ttls == nil {
				c.ttls = c.f.mixedTTLs()
			}
			served := time.Duration(c.ttls[setKey{nameKey(n.name), typ, 0}]) * time.Second
			c.report(set[0].place, Warning, "the %s records of %s have several TTLs: all are served with %s", typeName(typ), n.name, served)
		}
	}
	if cname := n.sets[dns.TypeCNAME]; len(cname) > 0 {
		for _, typ := range n.types() {
			if !slices.Contains(besideCNAME, typ) {
				c.report(n.sets[typ][0].place, Error, "%s has a CNAME, in line %d, and so may have no %s record", n.name, cname[0].place.Line, typeName(typ))
			}
		}
	}
	if set := n.sets[dns.TypeNS]; len(set) > 0 && strings.HasPrefix(n.name, "*.") {
		c.report(set[0].place, Error, "a wildcard cannot have an NS record")
	}
}

func (n *node) types() []uint16 {
	var types []uint16
	for typ := range n.sets {
		types = append(types, typ)
	}
	slices.Sort(types)
	return types
}

// apex checks what the zone's own name must have and must not.
func (c *checker) apex() {
	at := Problem{File: c.f.sources[0].file.Name()}
	apex := c.nodes[nameKey(c.f.apex.text)]
	if apex == nil {
		apex = &node{}
	}
	if len(apex.sets[dns.TypeSOA]) == 0 {
		c.report(at, Error, "%s has no SOA record", c.f.apex.text)
	}
	if len(apex.sets[dns.TypeNS]) == 0 {
		c.report(at, Error, "%s has no NS record", c.f.apex.text)
	}
	if ds := apex.sets[dns.TypeDS]; len(ds) > 0 {
		c.report(ds[0].place, Error, "a DS record of the zone's apex belongs into the zone above")
	}
}

// target checks that what a record points to has an address, if it is in the
// zone.
func (c *checker) target(p *pointer) {
	apex := strings.EqualFold(p.owner, c.f.apex.text)
	if cut := c.above(p.owner, dns.TypeNS, true); cut != nil && (p.typ != dns.TypeNS || nameKey(cut.name) != nameKey(p.owner)) {
		return // not the zone's any more
	}
	if !below(p.target, c.f.apex.text) {
		return
	}
	severity := Warning
	if p.typ == dns.TypeNS && apex {
		severity = Error // named refuses the zone, and only warns of others
	}
	if d := c.above(p.target, dns.TypeDNAME, false); d != nil {
		c.report(p.place, severity, "%s %s is below the DNAME of %s", typeName(p.typ), p.target, d.name)
		return
	}
	n := c.find(p.target)
	switch {
	case n != nil && len(n.sets[dns.TypeCNAME]) > 0:
		c.report(p.place, severity, "%s %s is a CNAME, which is illegal (RFC 2181, section 10.3): give the name address records instead", typeName(p.typ), p.target)
	case n != nil && len(n.sets[dns.TypeA])+len(n.sets[dns.TypeAAAA]) > 0:
	case c.above(p.target, dns.TypeNS, true) != nil:
		if p.typ == dns.TypeNS && below(p.target, p.owner) && !apex {
			c.report(p.place, severity, "NS %s is below the zone cut and has no address here: the glue is missing", p.target)
		}
	default:
		c.report(p.place, severity, "%s %s has no address record (A or AAAA)", typeName(p.typ), p.target)
	}
}

// above returns the highest owner of a type at a name or above it, below the
// apex: a zone cut, or a DNAME. A DNAME does not cover the name itself.
func (c *checker) above(name string, typ uint16, self bool) *node {
	var found *node
	for {
		if nameKey(name) == nameKey(c.f.apex.text) || name == "." {
			return found
		}
		if n := c.nodes[nameKey(name)]; self && n != nil && len(n.sets[typ]) > 0 {
			found = n
		}
		self = true
		name = parent(name)
	}
}

// parent takes the first label off an absolute name.
func parent(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// find returns the node of a name, or the wildcard that stands for it (RFC 4592).
func (c *checker) find(name string) *node {
	if n := c.nodes[nameKey(name)]; n != nil {
		return n
	}
	for up := parent(name); below(up, c.f.apex.text); up = parent(up) {
		if n := c.nodes[nameKey("*."+up)]; n != nil {
			return n
		}
		if c.nodes[nameKey(up)] != nil || up == "." {
			return nil
		}
	}
	return nil
}

package zone

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Check returns what is wrong with the zone, in the order of the files. An Error
// is what named refuses, ignores or misreads, when it is asked to load the zone
// as a primary with its default options; a Warning is what works, and is probably
// not meant. It validates the data of all records.
func (f *File) Check() Problems {
	c := &checker{f: f, nodes: map[string]*node{}, lines: lineFinder{blocks: f.blocks}}
	for m := range walk(f.blocks, f.apex, f.allBlocks()) {
		c.record(m)
	}
	c.directives()
	for _, key := range c.order {
		c.owner(c.nodes[key])
	}
	c.apex()
	for i := range c.pointers {
		c.target(&c.pointers[i])
	}
	c.problems.Sort()
	return c.problems
}

// A checker collects what the checks of single records leave for those of the
// whole zone.
type checker struct {
	f        *File
	nodes    map[string]*node
	order    []string // of the nodes
	pointers []pointer
	problems Problems
	lines    lineFinder
	ttls     map[setKey]uint32 // of the sets with several; nil: not asked for yet
}

// A node is an owner and its RRsets, by type. Signatures are not among them.
type node struct {
	name string
	sets map[uint16][]checkedRecord
}

// A checkedRecord is what a node needs of a record.
type checkedRecord struct {
	place Problem // without a message
	key   string
	ttl   uint32
}

// A pointer is a record whose target must have an address: NS, MX or SRV.
type pointer struct {
	owner, target string
	typ           uint16
	place         Problem
}

func (c *checker) report(at Problem, severity Severity, format string, args ...any) {
	at.Severity, at.Message = severity, fmt.Sprintf(format, args...)
	c.problems = append(c.problems, at)
}

// at is the place of a token of m; -1 is its first.
func (c *checker) at(m *member, tok int) Problem {
	start := int(m.entry.start)
	if !m.made && tok >= 0 && tok < len(m.data) {
		start = m.data[tok].start
	}
	return c.place(m.at.block, start)
}

// place is that of an offset in a block.
func (c *checker) place(block, offset int) Problem {
	b := c.f.blocks[block]
	col := offset - bytes.LastIndexByte(b.text[:offset], '\n')
	return Problem{File: b.src.file.Name(), Line: c.lines.line(block, offset), Col: col}
}

// record checks a record by itself.
func (c *checker) record(m *member) {
	name := m.name()
	if m.entry.flags&outside != 0 {
		c.report(c.at(m, -1), Error, "%s is not in the zone %s: named ignores the record", name, c.f.apex.text)
	}
	rr, err := rdataRR(".", 0, m.typ, m.data, m.origin.text)
	if err == nil && !m.made { // named does not check the names that it makes
		err = checkNames(name, m.typ, m.data, m.origin.text)
	}
	var bad *dataError
	switch {
	case errors.As(err, &bad):
		at := c.at(m, bad.tok)
		severity := Error
		if errors.Is(err, errUnvalidated) {
			severity = Warning
		}
		c.report(at, severity, "%s record of %s: %s", typeName(m.typ), name, bad.reason)
	case err != nil:
		c.report(c.at(m, -1), Error, "%s record of %s: %v", typeName(m.typ), name, err)
	}
	c.dots(m)
	if err != nil && !errors.Is(err, errUnvalidated) || m.entry.flags&outside != 0 {
		return
	}
	switch x := rr.(type) {
	case *dns.NS:
		c.points(m, x.Ns)
	case *dns.MX:
		c.points(m, x.Mx)
	case *dns.SRV:
		c.points(m, x.Target)
	case *dns.SOA:
		c.timers(m, x)
	}
	if m.typ == dns.TypeRRSIG || m.typ == dns.TypeSIG {
		return // one for each type and key
	}
	id := nameKey(name)
	n := c.nodes[id]
	if n == nil {
		n = &node{name: name, sets: map[uint16][]checkedRecord{}}
		c.nodes[id], c.order = n, append(c.order, id)
	}
	n.sets[m.typ] = append(n.sets[m.typ], checkedRecord{c.at(m, -1), m.key(), m.entry.ttl})
}

func (c *checker) points(m *member, target string) {
	if name, err := absoluteName([]byte(target), "."); err == nil && target != "." {
		c.pointers = append(c.pointers, pointer{m.name(), name, m.typ, c.at(m, len(m.data)-1)})
	}
}

// dots finds names that were probably meant to be absolute.
func (c *checker) dots(m *member) {
	if m.made {
		return
	}
	if m.entry.flags&inherits == 0 && m.origin == m.owner.origin {
		c.dot(m, -1, m.owner.text)
	}
	for _, i := range nameFields(m.typ, m.data) {
		if i < len(m.data) {
			c.dot(m, i, m.data[i].text)
		}
	}
}

func (c *checker) dot(m *member, tok int, name []byte) {
	if n := bytes.IndexByte(name, '.'); n < 0 || name[len(name)-1] == '.' {
		return
	}
	labels := dns.SplitDomainName(string(name))
	if len(labels) < 2 {
		return
	}
	last := labels[len(labels)-1]
	numbers := func(s string) bool { _, ok := decimal([]byte(s), 255); return ok }
	switch {
	case len(labels) == 4 && !slices.ContainsFunc(labels, func(s string) bool { return !numbers(s) }):
		c.report(c.at(m, tok), Warning, "%q looks like an address, and is a name below %s", name, m.origin.text)
	case !numbers(last) && slices.ContainsFunc(dns.SplitDomainName(m.origin.text), func(s string) bool { return strings.EqualFold(s, last) }):
		c.report(c.at(m, tok), Warning, "%q has no final dot: it is read as %s", name, completed(name, m.origin))
	}
}

func completed(name []byte, origin *domain) string {
	full, _ := absoluteName(name, origin.text)
	return full
}

// timers compares the SOA's with RFC 1912, section 2.2. The minimum has got
// another meaning since, in RFC 2308: how long to remember that a name does not
// exist.
func (c *checker) timers(m *member, soa *dns.SOA) {
	for _, t := range []struct {
		field    int
		name     string
		value    uint32
		min, max uint32
	}{
		{3, "refresh", soa.Refresh, 1200, 43200},
		{4, "retry", soa.Retry, 1, soa.Refresh},
		{5, "expire", soa.Expire, 1209600, 2419200},
		{6, "minimum", soa.Minttl, 0, 86400},
	} {
		if t.value < t.min || t.value > t.max {
			c.report(c.at(m, t.field), Warning, "SOA %s of %d seconds is not between %d and %d (RFC 1912, section 2.2; RFC 2308, section 5)", t.name, t.value, t.min, t.max)
		}
	}
}

// directives checks the other lines: those whose TTL named takes for 0, those of
// which a $GENERATE makes what is no record, and a last line without a line end.
func (c *checker) directives() {
	for n, b := range c.f.blocks {
		if len(b.text) > 0 && b.text[len(b.text)-1] != '\n' && c.f.endsIn(b) {
			c.report(c.place(n, len(b.text)), Warning, "the last line has no line end")
		}
		if !b.has(generate) && !slices.ContainsFunc(b.entries, func(e entry) bool { return e.ttl == 0 && e.kind != filler }) {
			continue
		}
		for cur := newCursor(c.f.blocks, n, c.f.apex); cur.next(n + 1); {
			if cur.entry.kind == generate {
				c.steps(cur)
			}
			c.limit(cur)
		}
	}
}

// steps checks that a $GENERATE makes a record at each step.
func (c *checker) steps(cur *cursor) {
	span, _ := parseSteps(cur.line.toks[1].text)
	for i := span.first; i <= span.last; i += span.by {
		if _, _, err := cur.step(i); err != nil {
			c.report(c.place(cur.at.block, cur.line.toks[0].start), Error, "$GENERATE at %d: %v", i, err)
			return
		}
	}
}

// limit checks the TTL that a line states.
func (c *checker) limit(cur *cursor) {
	tok := cur.line.ttl
	if cur.entry.kind == setTTL {
		tok = 1
	}
	if tok >= 0 && limited(cur.line.toks[tok].text) {
		c.report(c.place(cur.at.block, cur.line.toks[tok].start), Error, "TTL %s is above 2147483647 seconds, and named takes it for 0", cur.line.toks[tok].text)
	}
}

// endsIn reports whether b holds the end of its file.
func (f *File) endsIn(b *block) bool {
	var last *block
	for other := range f.blocksOf(b.src) {
		if len(other.text) > 0 {
			last = other
		}
	}
	return last == b
}

package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An editCall is one call, as a value that can be tried on another zone too.
type editCall struct {
	op      string    // Add, Replace, Remove, SetTTL, LowerTTLs or Bump
	set     rrsetName // what it names
	records []Record
	ttl     time.Duration
}

func (e editCall) String() string {
	s := fmt.Sprintf("%s %s %s", e.op, e.set.Owner, e.set.Type)
	if e.op == "SetTTL" || e.op == "LowerTTLs" {
		s = fmt.Sprintf("%s %v", e.op, e.ttl)
	}
	for _, r := range e.records {
		ttl := "nil"
		if r.TTL != nil {
			ttl = r.TTL.String()
		}
		s += fmt.Sprintf("\n\t%q TTL %s %s %s", r.Owner, ttl, r.Type, r.Data)
	}
	return s
}

// apply makes the call.
func (e editCall) apply(f *File) (err error) {
	switch e.op {
	case "Add":
		err = f.Add(e.records[0])
	case "Replace":
		err = f.Replace(e.set.Owner, e.set.Type, e.records...)
	case "Remove":
		_, err = f.Remove(e.records[0])
	case "SetTTL":
		err = f.SetTTL(e.ttl)
	case "LowerTTLs":
		_, err = f.LowerTTLs(e.ttl)
	case "Bump":
		_, err = f.Bump(Increment, time.Time{})
	}
	return err
}

// anyTTL stands in a model for "the zone's default", which depends on the place.
const anyTTL = 1<<32 - 1

// want is what the edit should make of a zone, computed from what named made of
// it before, without the package.
func (e editCall) want(before canonSet, z *randomZone) (canonSet, error) {
	after := maps.Clone(before)
	ttl := uint32(anyTTL)
	for c := range before {
		if c.set() == e.set {
			ttl = c.TTL
		}
	}
	var records []canon
	for _, r := range e.records {
		c, err := canonRecord(r, z.Origin)
		if err != nil {
			return nil, err
		}
		if r.TTL != nil {
			ttl = c.TTL
		}
		records = append(records, c)
	}
	switch e.op {
	case "Add":
		c := records[0]
		if !before.has(c) {
			c.TTL = ttl
			after[c] = true
			after.setTTL(e.set, ttl)
		}
	case "Replace":
		after.remove(func(c canon) bool { return c.set() == e.set })
		for _, c := range records {
			c.TTL = ttl
			after[c] = true
		}
	case "Remove":
		after.remove(func(c canon) bool { return c.set() == e.set && c.Data == records[0].Data })
	case "LowerTTLs":
		for c := range before {
			after.setTTL(c.set(), min(c.TTL, uint32(e.ttl/time.Second)))
		}
	case "Bump":
		for c := range before {
			if c.Type == "SOA" {
				delete(after, c)
				after[c.increment()] = true
			}
		}
	}
	return after, nil
}

// has compares without the TTL.
func (s canonSet) has(want canon) bool {
	for c := range s {
		if want.TTL = c.TTL; c == want {
			return true
		}
	}
	return false
}

func (s canonSet) remove(which func(canon) bool) {
	maps.DeleteFunc(s, func(c canon, _ bool) bool { return which(c) })
}

// setTTL gives a whole RRset one TTL, as it has only one.
func (s canonSet) setTTL(set rrsetName, ttl uint32) {
	for c := range maps.Clone(s) {
		if c.set() == set && c.TTL != ttl {
			delete(s, c)
			c.TTL = ttl
			s[c] = true
		}
	}
}

// increment returns the SOA with the next serial; 0 is none.
func (c canon) increment() canon {
	f := strings.Fields(c.Data)
	var serial uint32
	at := len(f) - 5 // a name before it may hold a blank
	fmt.Sscan(f[at], &serial)
	f[at] = fmt.Sprint(max(serial+1, 1))
	c.Data = strings.Join(f, " ")
	return c
}

// fillTTLs replaces anyTTL by what the zone has now, if that may be a default:
// some $TTL, or before the first one what the zone inherits, which is the TTL of
// another record, served or only stated, or the SOA's minimum.
func (s canonSet) fillTTLs(after canonSet, z *randomZone) canonSet {
	allowed := map[uint32]bool{}
	for _, ttl := range z.DefaultTTLs {
		allowed[ttl] = true
	}
	for _, ttl := range ttlSpellings {
		allowed[ttl] = allowed[ttl] || z.Inherits
	}
	for c := range s {
		allowed[c.TTL] = allowed[c.TTL] || z.Inherits
		if f := strings.Fields(c.Data); c.Type == "SOA" && z.Inherits {
			minimum, _ := strconv.ParseUint(f[len(f)-1], 10, 32)
			allowed[uint32(minimum)] = true
		}
	}
	for c := range maps.Clone(s) {
		for got := range after {
			if c.TTL == anyTTL && got.set() == c.set() && allowed[got.TTL] {
				delete(s, c)
				c.TTL = got.TTL
				s[c] = true
			}
		}
	}
	return s
}

// argument finds $TTL and $INCLUDE at the start of a line, and their argument,
// before which there may be parentheses, line ends and comments.
var argument = regexp.MustCompile(`(?i)(?:^|[\n\r])\(?\$(TTL|INCLUDE)(?:[\s()]|;[^\n]*\n)+"?([^\s();"]+)`)

// sedTTL is what a person does to set a zone's default: to change the first $TTL
// that named comes by, or to write one on top. It returns the files, and whether
// there was one.
func sedTTL(files map[string]string, path string, ttl time.Duration) (map[string]string, bool) {
	text := files[path]
	for _, m := range argument.FindAllStringSubmatchIndex(text, -1) {
		if word := text[m[4]:m[5]]; strings.EqualFold(text[m[2]:m[3]], "include") {
			if out, ok := sedTTL(files, word, ttl); ok {
				return out, true
			}
			continue
		}
		files = maps.Clone(files)
		files[path] = fmt.Sprintf("%s%d%s", text[:m[4]], ttl/time.Second, text[m[5]:])
		return files, true
	}
	if path == mainFile {
		files = maps.Clone(files)
		files[path] = fmt.Sprintf("$TTL %d\n%s", ttl/time.Second, text)
	}
	return files, false
}

// randomEdits are edits of RRsets that are in the zone, or new.
func randomEdits(r *rand.Rand, before canonSet, z *randomZone) []editCall {
	var edits []editCall
	list := before.sorted()
	for range 1 + r.IntN(4) {
		old := list[r.IntN(len(list))]
		e := editCall{set: old.set()}
		switch r.IntN(12) {
		case 0:
			if slices.ContainsFunc(edits, func(e editCall) bool { return e.op == "Bump" }) {
				continue // a second one before Save does nothing
			}
			e.op = "Bump"
		case 1:
			e.op, e.ttl = "LowerTTLs", time.Duration(pick(r, 0, 59, 300, 1000, 86400))*time.Second
		case 2:
			e.op, e.ttl = "SetTTL", time.Duration(pick(r, 0, 120, 300, 7200))*time.Second
		case 3, 4:
			e.op, e.records = "Remove", []Record{{Owner: old.Owner, Type: old.Type, Data: old.Data}}
		case 5, 6: // to an RRset that is there
			fresh := like(r, old, z)
			if c, err := canonRecord(fresh, z.Origin); err == nil && before.has(c) {
				fresh.TTL = nil
			}
			e.op, e.records = "Add", []Record{fresh}
		case 7, 8: // a new one
			fresh := newRecord(r, z)
			c, err := canonRecord(fresh, z.Origin)
			if err != nil {
				panic(fmt.Sprint(fresh, err))
			}
			if before.has(c) {
				fresh.TTL = nil
			}
			e.op, e.set, e.records = "Add", c.set(), []Record{fresh}
		case 9:
			e.op = "Replace" // by nothing
		case 10, 11:
			e.op = "Replace"
			ttl := like(r, old, z).TTL
			for range 1 + r.IntN(3) {
				fresh := like(r, old, z)
				fresh.TTL = ttl
				e.records = append(e.records, fresh)
			}
		}
		edits = append(edits, e)
	}
	return edits
}

// like makes a record for the RRset of one that is there.
func like(r *rand.Rand, old canon, z *randomZone) Record {
	data := old.Data
	for _, kinds := range []map[string]func(*rand.Rand, string) []string{hostData, otherData} {
		if make, ok := kinds[old.Type]; ok && r.IntN(5) > 0 {
			data = dataOf(make(r, z.Origin))
		}
	}
	switch old.Type {
	case "NS", "CNAME":
		data = pick(r, "ns1", "ns2."+z.Origin, "ns.example.com.")
	}
	return Record{Owner: old.Owner, Type: old.Type, Data: data, TTL: randomTTL(r)}
}

// newRecord makes a record of a new owner, or of one that may be there.
func newRecord(r *rand.Rand, z *randomZone) Record {
	kinds, owners := hostData, hostOwners
	if r.IntN(2) == 0 {
		kinds, owners = otherData, otherOwners
	}
	owner := pick(r, "new", "fresh.deep", pick(r, owners...))
	if r.IntN(2) == 0 {
		owner += "." + z.Origin
	}
	typ := randomKey(r, kinds)
	return Record{Owner: owner, Type: typ, Data: dataOf(kinds[typ](r, z.Origin)), TTL: randomTTL(r)}
}

// dataOf writes the words of an item on one line, as a Record has them.
func dataOf(words []string) string {
	return strings.NewReplacer("{", "", "\n", "n").Replace(strings.Join(words, " "))
}

func randomTTL(r *rand.Rand) *time.Duration {
	if r.IntN(2) == 0 {
		return nil
	}
	ttl := time.Duration(pick(r, 0, 60, 300, 7200)) * time.Second
	return &ttl
}

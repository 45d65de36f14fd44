package zone

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// A Change is a record that one zone has and the other lacks.
type Change struct {
	Removed bool // from the first zone; else added in the second
	Record  Record
}

// String returns "-" or "+" and the record.
func (c Change) String() string {
	sign := "+"
	if c.Removed {
		sign = "-"
	}
	ttl := ""
	if c.Record.TTL != nil {
		ttl = fmt.Sprintf("%d ", int64(c.Record.TTL.Seconds()))
	}
	return fmt.Sprintf("%s%s %s%s %s %s", sign, c.Record.Owner, ttl, cmp.Or(c.Record.Class, "IN"), c.Record.Type, c.Record.Data)
}

// Changes are what turns one zone into another, by name from the apex down, then
// by type, removals first.
type Changes []Change

// String returns the changes one on a line.
func (cs Changes) String() string {
	var b strings.Builder
	for _, c := range cs {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// Diff compares two zones by what their records mean: spelling, order, the case
// of names and duplicates do not matter, TTLs do, and so does the serial. Names
// must be absolute, as File.All and AXFR give them. Records whose data cannot be
// read are compared by their text.
//
// There is no difference when the second zone is what a server gives for the
// file that is the first, unless the server signs it.
func Diff(a, b iter.Seq[Record]) Changes {
	old := map[string]Record{}
	for r := range a {
		old[meaning(r)] = r
	}
	var changes Changes
	seen := map[string]bool{} // those that both have, and additions: a zone may say a thing twice
	for r := range b {
		key := meaning(r)
		if seen[key] {
			continue
		}
		seen[key] = true
		if _, both := old[key]; both {
			delete(old, key)
			continue
		}
		changes = append(changes, Change{Record: r})
	}
	for _, r := range old {
		changes = append(changes, Change{Removed: true, Record: r})
	}
	return sorted(changes)
}

func sorted(changes Changes) Changes {
	type keyed struct {
		key    string
		change Change
	}
	all := make([]keyed, len(changes))
	for i, c := range changes {
		labels := dns.SplitDomainName(dns.CanonicalName(c.Record.Owner))
		slices.Reverse(labels)
		sign := "\x01"
		if c.Removed {
			sign = "\x00"
		}
		all[i] = keyed{strings.Join(labels, "\x00") + "\x00\x00" + typeOrder(c.Record.Type) + sign + c.String(), c}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	for i, k := range all {
		changes[i] = k.change
	}
	return changes
}

// typeOrder puts the SOA record first, as in every zone.
func typeOrder(typ string) string {
	if strings.EqualFold(typ, "SOA") {
		return "\x00"
	}
	return strings.ToUpper(typ) + "\x00"
}

// meaning is equal for records that are equal: owner, class, type, TTL, and data
// in wire form.
func meaning(r Record) string {
	owner, nameErr := absoluteName([]byte(r.Owner), ".")
	typ, ok := typeCode([]byte(r.Type))
	toks, err := dataTokens(r.Data)
	if nameErr == nil && ok && err == nil {
		r.Owner, r.Type, r.Data = owner, typeName(typ), dataKey(typ, toks, ".")
	}
	r.Owner = nameKey(r.Owner)
	return Change{Record: r}.String()
}

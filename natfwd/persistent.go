package natfwd

import (
	"errors"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// Render writes the set into the file from which Debian's iptables-persistent loads
// a family's rules when the machine boots: /etc/iptables/rules.v4 or rules.v6.
// present is that file as it is, or what iptables-save prints; nil makes a file with
// nothing else. The set's chains come before the other rules of the table nat, and
// every other byte of present stays. If the set is in it already, nothing changes; a
// set that wants nothing in the family is taken out.
//
// The error is a [*ParseError] if iptables-restore could not read present as it
// stands, or that of Validate.
func (s Set) Render(f Family, present []byte) (Output, error) {
	if err := s.Validate(); err != nil {
		return Output{}, err
	}
	o := Output{Path: "/etc/iptables/rules.v4", Mode: 0o640, Data: present}
	if f == IPv6 {
		o.Path = "/etc/iptables/rules.v6"
	}
	rules, err := parseRuleset(o.Path, present)
	if err != nil {
		return Output{}, err
	}
	want := s.wanted(f)
	nat := -1
	for i, t := range rules.tables {
		if t.name == "nat" && nat >= 0 {
			return Output{}, rules.at(t.first, errors.New("a second table nat: iptables-restore forgets the first one here"))
		} else if t.name == "nat" {
			nat = i
		}
	}
	switch {
	case nat < 0 && len(want.chains) == 0:
	case nat < 0:
		o.Data = slices.Concat(endLine(present), []byte("*nat\n"+
			":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"+
			strings.Join(want.lines(), "")+"COMMIT\n"))
	case !s.present(&rules.tables[nat]).equal(want):
		o.Data = textfile.Join(s.replaceIn(rules.lines, &rules.tables[nat], want))
	}
	return o, nil
}

// replaceIn returns the lines of a file with the set as it should be in the table.
func (s Set) replaceIn(lines []string, nat *table, want state) []string {
	// Behind the declarations, so that a comment stays with the rule it is about.
	place := nat.first + 1
	old := map[int]bool{}
	for _, c := range nat.chains {
		if len(nat.rules) == 0 || c.line < nat.rules[0].line {
			place = c.line + 1
		}
		old[c.line] = s.owns(c.name)
	}
	for _, r := range nat.rules {
		old[r.line] = s.owns(r.chain) || s.owns(r.read().target())
	}
	var edited []string
	for i, line := range lines {
		if i == place {
			edited = append(edited, want.lines()...)
		}
		if !old[i] {
			edited = append(edited, line)
		}
	}
	return edited
}

// lines are the state in a file.
func (st state) lines() []string {
	var declared, rules []string
	for _, c := range st.chains {
		declared = append(declared, ":"+c.name+" - [0:0]\n")
	}
	for _, r := range st.all() {
		rules = append(rules, "-A "+r.chain+" "+r.text+"\n")
	}
	return append(declared, rules...)
}

// endLine returns text whose last line ends.
func endLine(text []byte) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return append(slices.Clone(text), '\n')
	}
	return text
}

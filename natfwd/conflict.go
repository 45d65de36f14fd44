package natfwd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrConflict says that a rule which is not the set's takes the same packets: the
// first one that matches wins, and the other one does nothing.
var ErrConflict = errors.New("another rule takes the same packets")

// A ConflictError is [ErrConflict] with the rule.
type ConflictError struct {
	Family Family
	Rule   string // as an argument list of iptables, in the table nat
	Set    string // whose rule it is; "" if it is of none of this package's sets
	Taken  string // what both take, such as "tcp port 25 on ens5"
}

// Error names the rule and what it takes.
func (e *ConflictError) Error() string {
	whose := "a rule of somebody else"
	if e.Set != "" {
		whose = fmt.Sprintf("a rule of set %q", e.Set)
	}
	return fmt.Sprintf("%s: %s takes %s: %s", e.Family, whose, e.Taken, e.Rule)
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// translating are the targets that change where a packet goes.
var translating = []string{"DNAT", "REDIRECT", "NETMAP"}

// conflict looks for a foreign rule that translates what the set's forwards take.
// present is what the table has of the set.
func (s Set) conflict(f Family, nat *table, present state) error {
	if len(nat.rules) == len(present.all()) {
		return nil // nobody else has a rule
	}
	for _, builtin := range []string{"PREROUTING", "OUTPUT"} {
		own := newIndex(s.claims(f, builtin))
		if len(own.claims) == 0 {
			continue
		}
		w := newWalk(s, nat, own)
		for m := range w.from(builtin) {
			if slices.Contains(translating, m.meaning.target()) {
				return &ConflictError{Family: f, Rule: m.rule.String(), Set: setOf(m.rule.chain), Taken: m.claim.String()}
			}
		}
	}
	return nil
}

// claims are what the set's chain below a built-in one takes.
func (s Set) claims(f Family, builtin string) []claim {
	var list []claim
	for i, fw := range s.Forwards {
		if _, ok := fw.target(f); !ok || builtin == "OUTPUT" && !s.Local {
			continue
		}
		if builtin == "OUTPUT" { // packets of the router itself come in by no interface
			fw.Iface, fw.From = "", nil
		}
		list = append(list, fw.claims(f, s.Hairpin, i)...)
	}
	return list
}

// setOf returns the name of the set that a chain belongs to, "" if to none.
func setOf(chain string) string {
	rest, ok := strings.CutPrefix(chain, chainPrefix)
	if !ok {
		return ""
	}
	for _, hook := range hooks {
		if name, ok := strings.CutSuffix(rest, hook.suffix); ok && unfitName(name) == "" {
			return name
		}
	}
	return ""
}

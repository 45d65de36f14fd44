package natfwd

import (
	"slices"
	"strings"
)

// A state is what a set has in a family's nat table: its own chains, and the rules
// in the built-in ones that jump there.
type state struct {
	chains []chainState
	jumps  []rule
}

// A chainState is one of the set's chains with its rules.
type chainState struct {
	name  string
	rules []rule
}

// owns tells whether a chain is one of the set's.
func (s Set) owns(chain string) bool {
	for _, hook := range hooks {
		if chain == s.chainName(hook.suffix) {
			return true
		}
	}
	return false
}

// present is the set's state as a table has it. Whoever jumps to one of its chains
// jumps there for the set.
func (s Set) present(nat *table) state {
	var st state
	at := map[string]int{}
	for _, c := range nat.chains {
		if s.owns(c.name) {
			at[c.name] = len(st.chains)
			st.chains = append(st.chains, chainState{name: c.name})
		}
	}
	for _, r := range nat.rules {
		if i, ok := at[r.chain]; ok {
			st.chains[i].rules = append(st.chains[i].rules, r)
		} else if s.owns(r.target()) {
			st.jumps = append(st.jumps, r)
		}
	}
	return st
}

// wanted is the set's state as it should be.
func (s Set) wanted(f Family) (state, error) {
	var st state
	for _, c := range s.chains(f) {
		own := chainState{name: c.name, rules: make([]rule, len(c.rules))}
		for i, text := range c.rules {
			r, err := parseRule("-A " + c.name + " " + text)
			if err != nil {
				return state{}, err
			}
			own.rules[i] = r
		}
		jump, err := parseRule("-I " + c.builtin + " " + c.jump())
		if err != nil {
			return state{}, err
		}
		st.chains = append(st.chains, own)
		st.jumps = append(st.jumps, jump)
	}
	return st, nil
}

// all returns the rules of the state as lines, jumps first: what a person would see
// of it in the output of iptables-save.
func (st state) all() []rule {
	list := slices.Clone(st.jumps)
	for _, c := range st.chains {
		list = append(list, c.rules...)
	}
	return list
}

// String returns the rule as an argument list of iptables.
func (r rule) String() string { return r.verb + " " + r.chain + " " + r.text }

// id is what two rules have in common that do the same at the same place.
func (r rule) id() string { return r.chain + " " + r.key }

// same tells whether two lists have the same rules in the same order.
func same(a, b []rule) bool {
	return slices.EqualFunc(a, b, func(x, y rule) bool { return x.id() == y.id() })
}

// without returns the rules of a that b does not have, counting how often.
func without(a, b []rule) []rule {
	have := map[string]int{}
	for _, r := range b {
		have[r.id()]++
	}
	var rest []rule
	for _, r := range a {
		if have[r.id()]--; have[r.id()] < 0 {
			rest = append(rest, r)
		}
	}
	return rest
}

// equal tells whether two states are the same to a packet. The order of a set's own
// forwards does not matter, since no two take the same packets.
func (st state) equal(o state) bool {
	names := func(st state) []string {
		var list []string
		for _, c := range st.chains {
			list = append(list, c.name)
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(names(st), names(o)) &&
		len(without(st.all(), o.all())) == 0 && len(without(o.all(), st.all())) == 0
}

// to is the restore text that turns one state into another in one transaction, with
// nobody else's rule touched: rules are named by what they say, never by number,
// which somebody else's insertion would shift.
func (st state) to(want state) []byte {
	var b strings.Builder
	b.WriteString("*nat\n")
	keep := map[string]bool{}
	for _, c := range want.chains {
		keep[c.name] = true
	}
	for _, c := range want.chains {
		if i := slices.IndexFunc(st.chains, func(o chainState) bool { return o.name == c.name }); i >= 0 && same(st.chains[i].rules, c.rules) {
			continue
		}
		b.WriteString(":" + c.name + " - [0:0]\n") // makes it, or empties it
		for _, r := range c.rules {
			b.WriteString("-A " + r.chain + " " + r.text + "\n")
		}
	}
	var gone []string
	for _, c := range st.chains {
		if !keep[c.name] {
			b.WriteString(":" + c.name + " - [0:0]\n")
			gone = append(gone, c.name)
		}
	}
	for _, r := range st.jumps {
		if count(st.jumps, r) != count(want.jumps, r) {
			b.WriteString("-D " + r.chain + " " + r.text + "\n")
		}
	}
	for _, r := range slices.Backward(want.jumps) { // each goes to the front
		if count(st.jumps, r) != count(want.jumps, r) {
			b.WriteString("-I " + r.chain + " " + r.text + "\n")
		}
	}
	for _, name := range gone {
		b.WriteString("-X " + name + "\n")
	}
	b.WriteString("COMMIT\n")
	return []byte(b.String())
}

func count(list []rule, r rule) int {
	n := 0
	for _, o := range list {
		if o.id() == r.id() {
			n++
		}
	}
	return n
}

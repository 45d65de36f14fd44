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
	name, ok := strings.CutPrefix(chain, chainPrefix+s.Name)
	return ok && slices.ContainsFunc(hooks, func(h hook) bool { return h.suffix == name })
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
		} else if strings.Contains(r.text, chainPrefix) && s.owns(r.read().target()) {
			st.jumps = append(st.jumps, r)
		}
	}
	return st
}

// wanted is the set's state as it should be.
func (s Set) wanted(f Family) state {
	var st state
	for _, c := range s.chains(f) {
		own := chainState{name: c.name, rules: make([]rule, len(c.rules))}
		for i, text := range c.rules {
			own.rules[i] = rule{verb: "-A", chain: c.name, text: text}
		}
		st.chains = append(st.chains, own)
		st.jumps = append(st.jumps, rule{verb: "-I", chain: c.builtin, text: c.jump()})
	}
	return st
}

// all returns the rules of the state, jumps first.
func (st state) all() []rule {
	list := slices.Clone(st.jumps)
	for _, c := range st.chains {
		list = append(list, c.rules...)
	}
	return list
}

// same tells whether two lists have the same rules in the same order.
func same(a, b []rule) bool {
	return slices.EqualFunc(a, b, func(x, y rule) bool { return x.chain == y.chain && x.text == y.text })
}

// difference returns the rules that only one of two lists has, counting how often.
func difference(a, b []rule) (onlyA, onlyB []rule) {
	type place struct{ chain, key string }
	asText := func(r rule) place { return place{r.chain, r.text} }
	asMeaning := func(r rule) place { return place{r.chain, r.read().key()} }
	for _, key := range []func(rule) place{asText, asMeaning} {
		counts := map[place]int{}
		for _, r := range b {
			counts[key(r)]++
		}
		onlyA = nil
		for _, r := range a {
			if counts[key(r)]--; counts[key(r)] < 0 {
				onlyA = append(onlyA, r)
			}
		}
		onlyB = nil
		for _, r := range slices.Backward(b) { // of two that are the same, the last is too many
			if counts[key(r)] > 0 {
				counts[key(r)]--
				onlyB = append(onlyB, r)
			}
		}
		slices.Reverse(onlyB)
		if len(onlyA) == 0 || len(onlyB) == 0 {
			return onlyA, onlyB
		}
		a, b = onlyA, onlyB // read the rest
	}
	return onlyA, onlyB
}

// equal tells whether two states are the same to a packet. The order of a set's own
// forwards does not matter, since no two take the same packets.
func (st state) equal(o state) bool {
	gone, added := difference(st.all(), o.all())
	return len(gone) == 0 && len(added) == 0 && slices.Equal(st.names(), o.names())
}

// names are those of the chains, sorted.
func (st state) names() []string {
	var list []string
	for _, c := range st.chains {
		list = append(list, c.name)
	}
	slices.Sort(list)
	return list
}

// to is the restore text that turns one state into another in one transaction, with
// nobody else's rule touched: rules are named by what they say, never by number,
// which somebody else's insertion would shift.
func (st state) to(want state) []byte {
	var b strings.Builder
	b.WriteString("*nat\n")
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
		if !slices.ContainsFunc(want.chains, func(o chainState) bool { return o.name == c.name }) {
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

// count returns how often the list has a rule.
func count(list []rule, r rule) int {
	n := 0
	for _, o := range list {
		if o.chain == r.chain && (o.text == r.text || o.read().key() == r.read().key()) {
			n++
		}
	}
	return n
}

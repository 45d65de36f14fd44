package natfwd

import "iter"

// A walk follows packets that a set is to forward through the rules of others.
type walk struct {
	set   Set
	rules map[string][]readRule // of each chain that is not the set's
	own   *index
}

type readRule struct {
	rule
	meaning
	claims []claim
}

// A meeting is a foreign rule that some of the packets come to.
type meeting struct {
	readRule
	claim  claim // the packets
	before bool  // the rule stands before the set's own chain is called
}

func newWalk(s Set, nat *table, own *index) *walk {
	w := &walk{set: s, rules: map[string][]readRule{}, own: own}
	for _, c := range nat.chains {
		w.rules[c.name] = nil // it may be empty
	}
	for _, r := range nat.rules {
		if !s.owns(r.chain) {
			m := r.read()
			w.rules[r.chain] = append(w.rules[r.chain], readRule{r, m, m.claims()})
		}
	}
	return w
}

// from yields the foreign rules that packets of the set would come to, beginning in a
// built-in chain, in order; chains that are jumped to are followed.
func (w *walk) from(builtin string) iter.Seq[meeting] {
	return func(yield func(meeting) bool) {
		before := true
		w.follow(builtin, claim{ports: PortRange{0, 0xffff}}, &before, map[visit]bool{}, yield)
	}
}

// A visit is packets that come to a chain. They meet nothing new the second time:
// chains that call each other twice would otherwise be followed without end, and
// those of a file may call each other in a loop.
type visit struct {
	chain string
	in    claim
}

func (w *walk) follow(chain string, in claim, before *bool, done map[visit]bool, yield func(meeting) bool) bool {
	if done[visit{chain, in}] || w.set.owns(chain) {
		return true
	}
	done[visit{chain, in}] = true
	for _, r := range w.rules[chain] {
		if w.set.owns(r.target()) {
			*before = false
			continue
		}
		for _, c := range r.claims {
			met, ok := in.both(c)
			if !ok {
				continue
			}
			own, ok := w.own.overlap(met, func(claim) bool { return true })
			if !ok {
				continue
			}
			if _, isChain := w.rules[r.target()]; isChain {
				if !w.follow(r.target(), met, before, done, yield) {
					return false
				}
				continue
			}
			met, _ = met.both(own)
			if !yield(meeting{readRule: r, claim: met, before: *before}) {
				return false
			}
		}
	}
	return true
}

package natfwd

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Verify tells what keeps the set from working on the live system: rules that are
// missing, rules in its chains that are not its own, rules of others that take its
// packets first, a filter that drops what was forwarded, a kernel that forwards
// nothing, and UDP conversations that go on to an old target. It changes nothing,
// and is meant for a cron job: a firewall that reloads its own rules takes all
// others away, and Apply brings these back.
//
// A problem's File is the command that shows it and Line the line of its output. The
// error is that of Diff, but for a conflict, which is a problem here.
func Verify(ctx context.Context, s Set, backends ...Backend) (Problems, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := s.covered(backends); err != nil {
		return nil, err
	}
	var problems Problems
	for _, b := range backends {
		rules, err := dump(ctx, b)
		if err != nil {
			return nil, err
		}
		v := &verification{set: s, family: b.Family(), rules: rules}
		v.own()
		v.others()
		v.filter()
		if err := v.system(ctx, b); err != nil {
			return nil, err
		}
		problems = append(problems, v.problems...)
	}
	return problems, nil
}

type verification struct {
	set      Set
	family   Family
	rules    *ruleset
	problems Problems
}

func (v *verification) add(line int, severity Severity, format string, args ...any) {
	v.problems = append(v.problems, Problem{File: v.rules.name, Line: line, Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// own compares the set's chains and the jumps to them with what they should be.
func (v *verification) own() {
	present := v.set.present(v.rules.nat())
	missing, more := difference(v.set.wanted(v.family).all(), present.all())
	for _, r := range missing {
		v.add(0, Error, "missing: %s", r)
	}
	for _, r := range more {
		v.add(r.line+1, Error, "not of set %q as it is: %s", v.set.Name, r)
	}
}

// others looks for rules that take the set's packets before its own chain does.
func (v *verification) others() {
	nat := v.rules.nat()
	for _, builtin := range []string{"PREROUTING", "OUTPUT"} {
		w := newWalk(v.set, nat, newIndex(v.set.claims(v.family, builtin)))
		for m := range w.from(builtin) {
			target := m.meaning.target()
			translates := slices.Contains(translating, target)
			switch {
			case m.before && (translates || slices.Contains([]string{"ACCEPT", "DROP", "QUEUE", "NFQUEUE"}, target) || target == "RETURN" && m.rule.chain == builtin):
				v.add(m.rule.line+1, Error, "shadowed: %s is for this rule first: %s", m.claim, m.rule)
			case !m.before && translates:
				v.add(m.rule.line+1, Warning, "%s never comes to this rule, the set takes it: %s", m.claim, m.rule)
			}
		}
	}
}

// filter looks for a FORWARD chain that drops by default and lets nothing of a
// forward through: what is forwarded by the nat table is filtered as well.
func (v *verification) filter() {
	table := v.rules.table("filter")
	i := slices.IndexFunc(table.chains, func(c chainLine) bool { return c.name == "FORWARD" })
	if i < 0 || table.chains[i].policy == "ACCEPT" {
		return
	}
	w := newWalk(v.set, table, nil)
	for _, c := range v.set.translated(v.family) {
		w.own = newIndex([]claim{c})
		accepted := false
		for m := range w.from("FORWARD") {
			if accepted = m.meaning.accepts(); accepted {
				break
			}
		}
		if !accepted {
			v.add(table.chains[i].line+1, Error, "the policy of FORWARD is %s and no rule accepts %s", table.chains[i].policy, c)
		}
	}
}

// accepts tells whether a rule of a filter lets the first packet of a forwarded
// connection through, and not only those that follow it.
func (m meaning) accepts() bool {
	states, limited := m.option("--ctstate")
	if !limited {
		states, limited = m.option("--state") // the older match
	}
	return m.target() == "ACCEPT" && (!limited || slices.ContainsFunc(strings.Split(states, ","), func(state string) bool {
		return state == "NEW" || state == "DNAT"
	}))
}

// system asks the kernel behind a backend, where there is one.
func (v *verification) system(ctx context.Context, b Backend) error {
	if t, ok := b.(*IPTables); ok {
		if err := t.alone(ctx); err != nil {
			return err
		}
		if name, on := t.forwards(); !on && v.set.wants(v.family) {
			v.add(0, Error, "the kernel forwards nothing: %s is off", name)
		}
	}
	if keeper, ok := b.(flowKeeper); ok {
		flows, err := keeper.rememberedFlows(v.set.Name)
		if err != nil {
			return err
		}
		for _, f := range flows {
			v.add(0, Error, "still to be forgotten, as the next Apply does: %s", f)
		}
	}
	return nil
}

// translated are the packets of the set as the filter table sees them.
func (s Set) translated(f Family) []claim {
	var list []claim
	for i, fw := range s.Forwards {
		to, ok := fw.target(f)
		if !ok {
			continue
		}
		fw.Dst = []netip.Addr{to}
		for _, c := range fw.claims(f, s.Hairpin, i) {
			if fw.ToPort > 0 {
				c.ports = PortRange{fw.ToPort, fw.ToPort + (c.ports.Last - c.ports.First)}
			}
			list = append(list, c)
		}
	}
	return list
}

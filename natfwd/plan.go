package natfwd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Plan is what Apply would change for a set on one system. It is inert: it can be
// looked at, kept or thrown away.
type Plan struct {
	set      Set
	families []familyPlan
}

// A familyPlan is the part of a plan that is one transaction.
type familyPlan struct {
	backend        Backend
	before, after  state
	removed, added []rule
	changes        bool   // the rules; without, there may be flows
	flows          []flow // UDP conversations to forget, those of a try before included
}

// A Change is one rule that a plan adds or removes.
type Change struct {
	Family Family
	Add    bool   // else it is removed
	Rule   string // as an argument list of iptables, in the table nat
}

// Diff plans what makes the live rules those of the set, in the family of each
// backend. It changes nothing. A set with only a name plans its removal.
//
// The error is a *ValueError if the set is not valid, a [*ConflictError], which is
// [ErrConflict], if a rule that is not the set's takes the same packets, and an
// error if the set has forwards in a family for which there is no backend.
func Diff(ctx context.Context, s Set, backends ...Backend) (*Plan, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := s.covered(backends); err != nil {
		return nil, err
	}
	p := &Plan{set: s}
	for _, b := range backends {
		part, err := diffFamily(ctx, s, b)
		if err != nil {
			return nil, err
		}
		p.families = append(p.families, part)
	}
	return p, nil
}

// covered checks that there is one backend for each family of the set, and no two.
func (s Set) covered(backends []Backend) error {
	for _, f := range []Family{IPv4, IPv6} {
		n := 0
		for _, b := range backends {
			if b.Family() == f {
				n++
			}
		}
		if s.wants(f) && n == 0 {
			return fmt.Errorf("set %q forwards %s, and there is no backend for it", s.Name, f)
		} else if n > 1 {
			return fmt.Errorf("there are %d backends for %s", n, f)
		}
	}
	return nil
}

func diffFamily(ctx context.Context, s Set, b Backend) (familyPlan, error) {
	rules, err := dump(ctx, b)
	if err != nil {
		return familyPlan{}, err
	}
	nat := rules.nat()
	part := familyPlan{backend: b, before: s.present(nat), after: s.wanted(b.Family())}
	part.removed, part.added = difference(part.before.all(), part.after.all())
	part.changes = len(part.removed) > 0 || len(part.added) > 0 || !slices.Equal(part.before.names(), part.after.names())
	if err := s.conflict(b.Family(), nat, part.before); err != nil {
		return familyPlan{}, err
	}
	if keeper, ok := b.(flowKeeper); ok {
		left, err := keeper.rememberedFlows(s.Name)
		if err != nil {
			return familyPlan{}, err
		}
		part.flows = part.toForget(left)
	}
	return part, nil
}

// toForget are the flows whose rules change, and those that a try before has left:
// its rules may never have come, so where packets should go is what the rules of
// this plan say.
func (part familyPlan) toForget(left []flow) []flow {
	added := part.added
	if len(left) > 0 {
		added = part.after.all()
	}
	var flows []flow
	for _, f := range left {
		f.To, f.ToPort = netip.Addr{}, 0
		flows = append(flows, f)
	}
	flows = append(flows, changedFlows(part.removed, added)...)
	slices.Reverse(flows) // of those that take the same, the last one counts
	seen := map[flow]bool{}
	flows = slices.DeleteFunc(flows, func(f flow) bool {
		f.To, f.ToPort = netip.Addr{}, 0
		again := seen[f]
		seen[f] = true
		return again
	})
	slices.Reverse(flows)
	return flows
}

// dump reads the live rules.
func dump(ctx context.Context, b Backend) (*ruleset, error) {
	data, err := b.Dump(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Family(), err)
	}
	return parseRuleset(saveProgram(b.Family()), data)
}

// saveProgram is what a person runs to see a family's rules.
func saveProgram(f Family) string {
	if f == IPv6 {
		return "ip6tables-save"
	}
	return "iptables-save"
}

// Empty reports whether Apply would change nothing.
func (p *Plan) Empty() bool {
	return !slices.ContainsFunc(p.families, func(part familyPlan) bool {
		return part.changes || len(part.flows) > 0
	})
}

// Changes returns the rules that Apply would remove and add, each family's in the
// order of its chains.
func (p *Plan) Changes() []Change {
	var list []Change
	for _, part := range p.families {
		for _, r := range part.removed {
			list = append(list, Change{part.backend.Family(), false, r.String()})
		}
		for _, r := range part.added {
			list = append(list, Change{part.backend.Family(), true, r.String()})
		}
	}
	return list
}

// String returns the changes, one on a line, such as
//
//   - iptables -t nat -A rehost-senate-pre -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 172.16.1.4
//
// and the UDP conversations that would be forgotten. It is "" for an empty plan.
func (p *Plan) String() string {
	var b strings.Builder
	for _, c := range p.Changes() {
		sign := "-"
		if c.Add {
			sign = "+"
		}
		fmt.Fprintf(&b, "%s %s -t nat %s\n", sign, strings.TrimSuffix(saveProgram(c.Family), "-save"), c.Rule)
	}
	for _, part := range p.families {
		for _, f := range part.flows {
			fmt.Fprintf(&b, "- %s\n", f)
		}
	}
	return b.String()
}

// Apply makes the changes of a plan: all of a family's in one transaction, so that a
// packet meets the old rules or the new ones, and a crash leaves either. If one
// family fails, those done before are put back; the error says so if they cannot be.
// Afterwards the kernel forgets the UDP conversations of changed forwards, which would
// go on to the old target; if that fails the rules stay, the error says so, and the
// next plan has it again.
//
// Apply returns [ErrStale] if the set's rules are not those any more that the plan
// was made from, and [ErrConflict] if somebody else's rule has come into the way.
// Nothing has changed then.
func Apply(ctx context.Context, p *Plan) error {
	for _, part := range p.families {
		if err := part.recheck(ctx, p.set); err != nil {
			return err
		}
	}
	for i, part := range p.families {
		if err := part.load(ctx, p.set); err != nil {
			return errors.Join(err, putBack(ctx, p.set, p.families[:i+1]))
		}
	}
	var errs []error
	for _, part := range p.families {
		if keeper, ok := part.backend.(flowKeeper); ok && len(part.flows) > 0 {
			if err := keeper.forgetFlows(ctx, p.set.Name, part.flows); err != nil {
				errs = append(errs, fmt.Errorf("the rules are as planned, but UDP conversations go on to the old targets: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// recheck tells whether the plan still starts from what is there.
func (part familyPlan) recheck(ctx context.Context, s Set) error {
	if !part.changes {
		return nil
	}
	rules, err := dump(ctx, part.backend)
	if err != nil {
		return err
	}
	now := s.present(rules.nat())
	if !now.equal(part.before) {
		return fmt.Errorf("%s: the rules of set %q: %w", part.backend.Family(), s.Name, ErrStale)
	}
	return s.conflict(part.backend.Family(), rules.nat(), now)
}

func (part familyPlan) load(ctx context.Context, s Set) error {
	if !part.changes {
		return nil
	}
	if keeper, ok := part.backend.(flowKeeper); ok && len(part.flows) > 0 {
		if err := keeper.rememberFlows(s.Name, part.flows); err != nil {
			return err
		}
	}
	if err := part.backend.Load(ctx, part.before.to(part.after)); err != nil {
		return fmt.Errorf("%s: %w", part.backend.Family(), err)
	}
	return nil
}

// putBackTime is for putting rules back although the caller's context has ended.
const putBackTime = 30 * time.Second

// putBack undoes what was done before another family failed. The one that failed is
// the last: its rules may have come all the same, when it was interrupted or the
// answer was lost.
func putBack(ctx context.Context, s Set, parts []familyPlan) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTime)
	defer cancel()
	var errs []error
	for _, part := range slices.Backward(parts) {
		if !part.changes {
			continue
		}
		if err := part.putBack(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s may have the new rules and could not be put back: %w", part.backend.Family(), err))
		}
	}
	return errors.Join(errs...)
}

func (part familyPlan) putBack(ctx context.Context, s Set) error {
	rules, err := dump(ctx, part.backend)
	if err != nil {
		return err
	}
	if now := s.present(rules.nat()); !now.equal(part.before) {
		return part.backend.Load(ctx, now.to(part.before))
	}
	return nil
}

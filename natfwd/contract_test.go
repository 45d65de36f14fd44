package natfwd

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// A system is what the suite runs on: the rules of both families, and iptables as a
// person would use it.
type system struct {
	b4, b6    Backend
	iptables  func(t *testing.T, args string) // in the table nat
	ip6tables func(t *testing.T, args string)
}

// onEverySystem runs a test on the fake and on both modes of the real iptables, each
// in a network of its own.
func onEverySystem(t *testing.T, test func(t *testing.T, s *system)) {
	t.Run("fake", func(t *testing.T) {
		b4, b6 := newFake(IPv4), newFake(IPv6)
		test(t, &system{
			b4: b4, b6: b6,
			iptables:  func(t *testing.T, args string) { require.NoError(t, b4.run(args)) },
			ip6tables: func(t *testing.T, args string) { require.NoError(t, b6.run(args)) },
		})
	})
	onRealSystems(t, test)
}

func onRealSystems(t *testing.T, test func(t *testing.T, s *system)) {
	for _, mode := range []string{"nft", "legacy"} {
		t.Run(mode, func(t *testing.T) {
			lab.Need(t, "iptables-"+mode, "ip6tables-"+mode)
			host := lab.NewHost(t, "natfwd")
			require.NoError(t, host.Do(func() error {
				test(t, realSystem(t, mode))
				return nil
			}))
		})
	}
}

// realSystem is the network that the test is in.
func realSystem(t testing.TB, mode string) *system {
	run := func(program string) func(t *testing.T, args string) {
		return func(t *testing.T, args string) {
			t.Helper()
			out, err := exec.Command(program, append([]string{"-w", "-t", "nat"}, strings.Fields(args)...)...).CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
	}
	dir := t.TempDir()
	b4, err := NewIPTables(IPv4, &IPTablesOptions{Path: "iptables-" + mode, RunDir: dir})
	require.NoError(t, err)
	b6, err := NewIPTables(IPv6, &IPTablesOptions{Path: "ip6tables-" + mode, RunDir: dir})
	require.NoError(t, err)
	return &system{b4: b4, b6: b6, iptables: run("iptables-" + mode), ip6tables: run("ip6tables-" + mode)}
}

func (s *system) diff(t testing.TB, set Set) *Plan {
	t.Helper()
	p, err := Diff(t.Context(), set, s.b4, s.b6)
	require.NoError(t, err)
	return p
}

func (s *system) apply(t testing.TB, set Set) {
	t.Helper()
	require.NoError(t, Apply(t.Context(), s.diff(t, set)))
}

// rules are all rules of both families, but for comments, counters, and tables that
// are empty.
func (s *system) rules(t testing.TB) string {
	t.Helper()
	return rulesIn(t, s.b4, s.b6)
}

func rulesIn(t testing.TB, backends ...Backend) string {
	t.Helper()
	var all strings.Builder
	for _, b := range backends {
		data, err := b.Dump(t.Context())
		require.NoError(t, err)
		r, err := parseRuleset("iptables-save", data)
		require.NoError(t, err)
		for _, table := range r.tables {
			lines := r.lines[table.first : table.last+1]
			if len(table.rules) > 0 || strings.Contains(strings.Join(lines, ""), " - [") {
				all.WriteString(strings.Join(lines, ""))
			}
		}
	}
	return regexp.MustCompile(`\[\d+:\d+\]`).ReplaceAllString(all.String(), "")
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func one(port uint16) []PortRange { return []PortRange{{First: port}} }

// guest are the targets of the tests, one for each family.
var guest = []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")}

// mail is what a move forwards.
func mail() Set {
	return Set{Name: "senate", Masquerade: []string{"ens5"}, Forwards: []Forward{
		{Proto: TCP, Iface: "ens5", Ports: []PortRange{{First: 25}, {First: 53}, {First: 465}, {First: 587}}, To: guest},
		{Proto: UDP, Iface: "ens5", Ports: one(53), To: guest},
	}}
}

func TestApplyMakesTheRulesOfTheSet(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		before := s.rules(t)
		p := s.diff(t, mail())
		assert.Equal(t, `+ iptables -t nat -I PREROUTING -j rehost-senate-pre
+ iptables -t nat -I POSTROUTING -j rehost-senate-post
+ iptables -t nat -A rehost-senate-pre -i ens5 -p tcp -m multiport --dports 25,53,465,587 -j DNAT --to-destination 10.77.0.2
+ iptables -t nat -A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 10.77.0.2
+ iptables -t nat -A rehost-senate-post -o ens5 -j MASQUERADE
+ ip6tables -t nat -I PREROUTING -j rehost-senate-pre
+ ip6tables -t nat -I POSTROUTING -j rehost-senate-post
+ ip6tables -t nat -A rehost-senate-pre -i ens5 -p tcp -m multiport --dports 25,53,465,587 -j DNAT --to-destination fd77::2
+ ip6tables -t nat -A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination fd77::2
+ ip6tables -t nat -A rehost-senate-post -o ens5 -j MASQUERADE
`, rulesOf(p))
		assert.Equal(t, before, s.rules(t), "a plan changes nothing")
		require.NoError(t, Apply(t.Context(), p))
		again := s.diff(t, mail())
		assert.True(t, again.Empty(), again.String())
		assert.Empty(t, again.String())
		problems, err := Verify(t.Context(), mail(), s.b4, s.b6)
		require.NoError(t, err)
		for _, problem := range problems {
			assert.Contains(t, problem.Message, "the kernel forwards nothing")
		}
	})
}

// rulesOf is the plan without the UDP conversations to forget.
func rulesOf(p *Plan) string {
	var b strings.Builder
	for line := range strings.Lines(p.String()) {
		if strings.Contains(line, "tables -t nat ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestRemovalLeavesWhatWasThereBefore(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		s.iptables(t, "-A PREROUTING -i ens5 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.77.0.9")
		s.iptables(t, "-A POSTROUTING -o eth9 -j MASQUERADE")
		s.ip6tables(t, "-A PREROUTING -i ens5 -j ACCEPT")
		before := s.rules(t)
		s.apply(t, mail())
		assert.NotEqual(t, before, s.rules(t))
		s.apply(t, Set{Name: "senate"})
		assert.Equal(t, before, s.rules(t))
		assert.True(t, s.diff(t, Set{Name: "senate"}).Empty())
	})
}

// An empty chain of the set's, such as a script that was interrupted leaves, goes too.
func TestAnEmptyChainIsRemoved(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		s.apply(t, mail())
		good := s.rules(t)
		empty := map[bool]string{true: "-N rehost-senate-out", false: ":rehost-senate-out - [0:0]"}[s.isReal()]
		s.iptables(t, empty)
		p := s.diff(t, mail())
		assert.False(t, p.Empty())
		require.NoError(t, Apply(t.Context(), p))
		assert.Equal(t, good, s.rules(t))
	})
}

func TestAnEditChangesOnlyWhatItNames(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		s.apply(t, mail())
		set := mail()
		set.Forwards[1].ToPort = 5353
		set.Forwards = append(set.Forwards, Forward{Proto: TCP, Iface: "ens5", Ports: one(80), To: guest[:1], From: []netip.Prefix{prefix("198.51.100.0/24")}})
		p := s.diff(t, set)
		assert.Equal(t, `- iptables -t nat -A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 10.77.0.2
+ iptables -t nat -A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 10.77.0.2:5353
+ iptables -t nat -A rehost-senate-pre -s 198.51.100.0/24 -i ens5 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.77.0.2
- ip6tables -t nat -A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination fd77::2
+ ip6tables -t nat -A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination [fd77::2]:5353
`, rulesOf(p))
		require.NoError(t, Apply(t.Context(), p))
		assert.True(t, s.diff(t, set).Empty())
	})
}

func TestTheOrderOfForwardsIsNoDifference(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		s.apply(t, mail())
		set := mail()
		set.Forwards[0], set.Forwards[1] = set.Forwards[1], set.Forwards[0]
		assert.True(t, s.diff(t, set).Empty())
	})
}

// A jump that a careless script has added again, and rules that it has put into the
// set's chains, are mended; so is one that another tool has taken away.
func TestApplyMendsWhatOthersDidToTheSet(t *testing.T) {
	for _, damage := range [][]string{
		{"-A PREROUTING -j rehost-senate-pre"},
		{"-D PREROUTING -j rehost-senate-pre"},
		{"-A PREROUTING -i ens5 -j rehost-senate-pre"},
		{"-D PREROUTING -j rehost-senate-pre", "-I PREROUTING -i ens5 -j rehost-senate-pre"},
		{"-A rehost-senate-pre -i ens5 -p tcp -m tcp --dport 9 -j DNAT --to-destination 10.77.0.9"},
		{"-D rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 10.77.0.2"},
		{"-A rehost-senate-pre -i ens5 -p udp -m udp --dport 53 -j DNAT --to-destination 10.77.0.2"},
		{"-D POSTROUTING -j rehost-senate-post", "-D rehost-senate-post -o ens5 -j MASQUERADE", "-X rehost-senate-post"},
	} {
		t.Run(damage[0], func(t *testing.T) {
			onEverySystem(t, func(t *testing.T, s *system) {
				s.apply(t, mail())
				good := s.rules(t)
				for _, args := range damage {
					s.iptables(t, args)
				}
				problems, err := Verify(t.Context(), mail(), s.b4, s.b6)
				require.NoError(t, err)
				assert.Error(t, problems.Err())
				p := s.diff(t, mail())
				assert.False(t, p.Empty())
				require.NoError(t, Apply(t.Context(), p))
				assert.Equal(t, good, s.rules(t))
			})
		})
	}
}

func TestAStalePlanIsRefused(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		p := s.diff(t, mail())
		s.apply(t, Set{Name: "senate", Masquerade: []string{"ens5"}})
		before := s.rules(t)
		assert.ErrorIs(t, Apply(t.Context(), p), ErrStale)
		assert.Equal(t, before, s.rules(t))
	})
}

// Two sets, or a set and somebody else's rule, must not take the same packets: the
// first one would win, and the other do nothing.
func TestConflict(t *testing.T) {
	other := Set{Name: "other", Forwards: []Forward{{Proto: UDP, Iface: "ens5", Ports: []PortRange{{50, 60}}, To: guest[1:]}}}
	for name, test := range map[string]struct {
		set   Set
		rules []string
		want  string // "" for none
	}{
		"another set": {set: other, want: `IPv6: a rule of set "other" takes udp port 53 on ens5: -A rehost-other-pre -i ens5 -p udp -m udp --dport 50:60 -j DNAT --to-destination fd77::2`},
		"the same port": {
			rules: []string{"-A PREROUTING -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.9"},
			want:  "IPv4: a rule of somebody else takes tcp port 25 on ens5: -A PREROUTING -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.9"},
		"a name for a port": {
			rules: []string{"-A PREROUTING -i ens5 -p tcp -m tcp --dport smtp -j DNAT --to-destination 10.77.0.9"},
			want:  "takes tcp port 25 on ens5"},
		"everything": {
			rules: []string{"-A PREROUTING -d 203.0.113.5/32 -j DNAT --to-destination 10.77.0.9"},
			want:  " on ens5 to 203.0.113.5: -A PREROUTING"},
		"to the router": {
			rules: []string{"-A PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353"},
			want:  "takes udp port 53 on ens5"},
		"through a chain": {
			rules: []string{":web - [0:0]", "-A PREROUTING -i ens5 -p tcp -j web", "-A web -p tcp -m tcp --dport 465 -j DNAT --to-destination 10.77.0.9"},
			want:  "takes tcp port 465 on ens5: -A web"},
		"another port":             {rules: []string{"-A PREROUTING -i ens5 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.77.0.9"}},
		"another protocol":         {rules: []string{"-A PREROUTING -i ens5 -p udp -m udp --dport 25 -j DNAT --to-destination 10.77.0.9"}},
		"another interface":        {rules: []string{"-A PREROUTING -i ens6 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.9"}},
		"all other ones":           {rules: []string{"-A PREROUTING ! -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.9"}},
		"another chain":            {rules: []string{":web - [0:0]", "-A PREROUTING -i ens6 -j web", "-A web -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.9"}},
		"another set's other port": {set: Set{Name: "other", Forwards: []Forward{{Proto: UDP, Iface: "ens5", Ports: one(54), To: guest}}}},
	} {
		t.Run(name, func(t *testing.T) {
			onEverySystem(t, func(t *testing.T, s *system) {
				for _, args := range test.rules {
					if name, ok := strings.CutPrefix(args, ":"); ok && s.isReal() {
						args = "-N " + strings.Fields(name)[0]
					}
					s.iptables(t, args)
				}
				if test.set.Name != "" {
					s.apply(t, test.set)
				}
				before := s.rules(t)
				_, err := Diff(t.Context(), mail(), s.b4, s.b6)
				if test.want == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, ErrConflict)
				assert.ErrorContains(t, err, test.want)
				conflict, ok := errors.AsType[*ConflictError](err)
				require.True(t, ok)
				assert.Equal(t, test.set.Name, conflict.Set)
				assert.Equal(t, before, s.rules(t))
			})
		})
	}
}

func (s *system) isReal() bool { _, ok := s.b4.(*IPTables); return ok }

func TestAConflictThatCameAfterThePlan(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		p := s.diff(t, mail())
		s.iptables(t, "-A PREROUTING -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.9")
		before := s.rules(t)
		assert.ErrorIs(t, Apply(t.Context(), p), ErrConflict)
		assert.Equal(t, before, s.rules(t))
	})
}

// failing is a backend whose loads fail.
type failing struct {
	Backend
	err error
}

func (f failing) Load(context.Context, []byte) error { return f.err }

func TestIfOneFamilyFailsTheOtherIsPutBack(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		s.iptables(t, "-A PREROUTING -i ens6 -j ACCEPT")
		for _, was := range []Set{{Name: "senate"}, {Name: "senate", Forwards: mail().Forwards[:1]}, mail()} {
			for _, is := range []Set{{Name: "senate"}, {Name: "senate", Forwards: mail().Forwards[1:]}, mail()} {
				s.apply(t, was)
				before := s.rules(t)
				failed := errors.New("no memory")
				p, err := Diff(t.Context(), is, s.b4, failing{s.b6, failed})
				require.NoError(t, err)
				if p.Empty() {
					continue
				}
				assert.ErrorIs(t, Apply(t.Context(), p), failed)
				assert.Equal(t, before, s.rules(t))
			}
		}
	})
}

func TestIfTheOtherCannotBePutBackTheErrorSaysSo(t *testing.T) {
	b4, b6 := newFake(IPv4), newFake(IPv6)
	p, err := Diff(t.Context(), mail(), b4, b6)
	require.NoError(t, err)
	b6.before = func() { b4.failLoad, b6.failLoad = errors.New("locked"), errors.New("no memory") }
	err = Apply(t.Context(), p)
	assert.ErrorIs(t, err, b6.failLoad)
	assert.ErrorContains(t, err, "IPv4 may have the new rules and could not be put back: locked")
}

func TestACancelledContextChangesNothing(t *testing.T) {
	onEverySystem(t, func(t *testing.T, s *system) {
		p := s.diff(t, mail())
		before := s.rules(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, Apply(ctx, p), context.Canceled)
		_, err := Diff(ctx, mail(), s.b4, s.b6)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, before, s.rules(t))
	})
}

func TestEachFamilyNeedsABackend(t *testing.T) {
	_, err := Diff(t.Context(), mail(), newFake(IPv4))
	assert.ErrorContains(t, err, `set "senate" forwards IPv6, and there is no backend for it`)
	_, err = Diff(t.Context(), mail(), newFake(IPv4), newFake(IPv6), newFake(IPv6))
	assert.ErrorContains(t, err, "there are 2 backends for IPv6")
	four := mail()
	for i := range four.Forwards {
		four.Forwards[i].To = guest[:1]
	}
	p, err := Diff(t.Context(), four, newFake(IPv4))
	require.NoError(t, err)
	assert.NotContains(t, p.String(), "ip6tables")
}

package natfwd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What Verify says of a set that is applied, in a system with other rules.
func TestVerify(t *testing.T) {
	const filter = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n%sCOMMIT\n"
	for name, test := range map[string]struct {
		filter string   // rules of the filter table, whose FORWARD drops
		nat    []string // lines that somebody adds
		want   []string
	}{
		"all is well": {},
		"missing":     {nat: []string{"-D PREROUTING -j rehost-senate-pre"}, want: []string{"iptables-save: error: missing: -I PREROUTING -j rehost-senate-pre"}},
		"more": {nat: []string{"-A rehost-senate-pre -j RETURN"},
			want: []string{`iptables-save:13: error: not of set "senate" as it is: -A rehost-senate-pre -j RETURN`}},
		"shadowed": {nat: []string{"-I PREROUTING -i ens5 -p tcp -m tcp --dport 1:30 -j ACCEPT"},
			want: []string{"iptables-save:9: error: shadowed: tcp port 25 on ens5 is for this rule first: -A PREROUTING -i ens5 -p tcp -m tcp --dport 1:30 -j ACCEPT"}},
		"somebody translates first": {nat: []string{"-I PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353"},
			want: []string{"iptables-save:9: error: shadowed: udp port 53 on ens5 is for this rule first: -A PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353"}},
		"somebody translates afterwards": {nat: []string{"-A PREROUTING -p udp -m udp --dport 53 -j DNAT --to-destination 10.77.0.9"},
			want: []string{"iptables-save:10: warning: udp port 53 on ens5 never comes to this rule, the set takes it: -A PREROUTING -p udp -m udp --dport 53 -j DNAT --to-destination 10.77.0.9"}},
		"somebody returns": {nat: []string{"-I PREROUTING -i ens5 -p tcp -m tcp --dport 25 -j RETURN"},
			want: []string{"iptables-save:9: error: shadowed: tcp port 25 on ens5 is for this rule first: -A PREROUTING -i ens5 -p tcp -m tcp --dport 25 -j RETURN"}},
		"somebody returns from a chain": {nat: []string{":web - [0:0]", "-I PREROUTING -j web", "-A web -j RETURN"}},
		"a chain that is empty":         {nat: []string{":web - [0:0]", "-I PREROUTING -j web"}},
		"a chain that is called twice": {nat: []string{":web - [0:0]", "-I PREROUTING -j web", "-I PREROUTING -j web", "-A web -i ens5 -p tcp -m tcp --dport 25 -j ACCEPT"},
			want: []string{"iptables-save:17: error: shadowed: tcp port 25 on ens5 is for this rule first: -A web -i ens5 -p tcp -m tcp --dport 25 -j ACCEPT"}},
		"somebody marks":  {nat: []string{"-I PREROUTING -j CONNMARK --restore-mark"}},
		"somebody logs":   {nat: []string{"-I PREROUTING -j LOG"}},
		"nothing of ours": {nat: []string{"-I PREROUTING -i ens5 -p tcp -m tcp --dport 26 -j ACCEPT"}},
		"the filter drops": {filter: filter, want: []string{
			"iptables-save:3: error: the policy of FORWARD is DROP and no rule accepts tcp port 25 on ens5 to 10.77.0.2",
			"iptables-save:3: error: the policy of FORWARD is DROP and no rule accepts tcp port 53 on ens5 to 10.77.0.2",
			"iptables-save:3: error: the policy of FORWARD is DROP and no rule accepts tcp port 465 on ens5 to 10.77.0.2",
			"iptables-save:3: error: the policy of FORWARD is DROP and no rule accepts tcp port 587 on ens5 to 10.77.0.2",
			"iptables-save:3: error: the policy of FORWARD is DROP and no rule accepts udp port 53 on ens5 to 10.77.0.2"}},
		"it accepts what is translated": {filter: strings.ReplaceAll(filter, "%s", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n%s")},
		"it accepts answers only, by the older match": {filter: strings.ReplaceAll(filter, "%s", "-A FORWARD -d 10.77.0.2/32 -p tcp -j ACCEPT\n-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n%s"), want: []string{
			"iptables-save:3: error: the policy of FORWARD is DROP and no rule accepts udp port 53 on ens5 to 10.77.0.2"}},
		"it accepts all that is known": {filter: strings.ReplaceAll(filter, "%s", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT\n%s")},
		"it accepts answers, and some": {filter: strings.ReplaceAll(filter, "%s", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -d 10.77.0.2/32 -p tcp -j ACCEPT\n%s"), want: []string{
			"iptables-save:3: error: the policy of FORWARD is DROP and no rule accepts udp port 53 on ens5 to 10.77.0.2"}},
		"it accepts in a chain of its own": {filter: strings.ReplaceAll(filter, "%s", ":in - [0:0]\n-A FORWARD -i ens5 -j in\n-A in -j ACCEPT\n%s")},
	} {
		t.Run(name, func(t *testing.T) {
			set := mail()
			for i := range set.Forwards {
				set.Forwards[i].To = guest[:1]
			}
			b := newFake(IPv4)
			p, err := Diff(t.Context(), set, b)
			require.NoError(t, err)
			require.NoError(t, Apply(t.Context(), p))
			for _, args := range test.nat {
				require.NoError(t, b.run(args))
			}
			b.other = strings.ReplaceAll(test.filter, "%s", "")
			problems, err := Verify(t.Context(), set, b)
			require.NoError(t, err)
			var got []string
			for _, problem := range problems {
				got = append(got, problem.Error())
			}
			if test.filter == "" {
				assert.Equal(t, test.want, got)
				return
			}
			require.Len(t, got, len(test.want))
			for i := range got {
				assert.Equal(t, strings.SplitN(test.want[i], " ", 2)[1], strings.SplitN(got[i], " ", 2)[1])
			}
		})
	}
}

// Another tool that reloads its own rules takes all others away: that is seen, and
// brought back.
func TestAFirewallReloadIsSeenAndMended(t *testing.T) {
	onRealSystems(t, func(t *testing.T, s *system) {
		require.NoError(t, writeSysctl("net/ipv4/ip_forward"))
		require.NoError(t, writeSysctl("net/ipv6/conf/all/forwarding"))
		s.apply(t, mail())
		good := s.rules(t)
		problems, err := Verify(t.Context(), mail(), s.b4, s.b6)
		require.NoError(t, err)
		require.Empty(t, problems)
		reload := []byte("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i eth9 -j ACCEPT\nCOMMIT\n")
		restore := s.b4.(*IPTables).path + "-restore"
		_, err = s.b4.(*IPTables).run(t.Context(), reload, restore)
		require.NoError(t, err)
		problems, err = Verify(t.Context(), mail(), s.b4, s.b6)
		require.NoError(t, err)
		assert.Len(t, problems, 5)
		assert.ErrorContains(t, problems.Err(), "missing: -I PREROUTING -j rehost-senate-pre")
		s.apply(t, mail())
		s.iptables(t, "-D PREROUTING -i eth9 -j ACCEPT")
		assert.Equal(t, good, s.rules(t))
	})
}

func TestAKernelThatForwardsNothing(t *testing.T) {
	onRealSystems(t, func(t *testing.T, s *system) {
		s.apply(t, mail())
		problems, err := Verify(t.Context(), mail(), s.b4, s.b6)
		require.NoError(t, err)
		require.Len(t, problems, 2)
		assert.Equal(t, "the kernel forwards nothing: net.ipv4.ip_forward is off", problems[0].Message)
		assert.Equal(t, "the kernel forwards nothing: net.ipv6.conf.all.forwarding is off", problems[1].Message)
	})
}

// Chains of others that call each other many times over are followed once.
func TestChainsThatCallEachOther(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("*nat\n-A PREROUTING -j c0\n")
	for i := range 40 {
		fmt.Fprintf(&rules, "-A c%d -j c%d\n-A c%d -p tcp -j c%d\n-A c%d -j c%d\n", i, i+1, i, i+1, i, i)
	}
	rules.WriteString("-A c40 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.9\nCOMMIT\n")
	r, err := parseRuleset("r", []byte(rules.String()))
	require.NoError(t, err)
	assert.ErrorIs(t, mail().conflict(IPv4, r.nat(), state{}), ErrConflict)
	v := &verification{set: mail(), family: IPv4, rules: r}
	v.others()
	assert.NotEmpty(t, v.problems)
}

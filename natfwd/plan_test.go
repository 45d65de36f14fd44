package natfwd

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A minder is a fake that remembers flows.
type minder struct {
	*fake
	flows     []flow
	forgotten []flow
}

func (m *minder) rememberFlows(_ string, flows []flow) error { m.flows = flows; return nil }
func (m *minder) rememberedFlows(string) ([]flow, error)     { return m.flows, nil }
func (m *minder) forgetFlows(_ context.Context, _ string, flows []flow) error {
	m.flows, m.forgotten = nil, flows
	return nil
}

func (m *minder) apply(t *testing.T, s Set) error {
	p, err := Diff(t.Context(), s, m)
	require.NoError(t, err)
	return Apply(t.Context(), p)
}

// What was remembered for rules that never came does not say where packets should
// go: the rules that are there do.
func TestConversationsAfterAnApplyThatFailed(t *testing.T) {
	port := func(to uint16) Set {
		return Set{Name: "dns", Forwards: []Forward{{Proto: UDP, Iface: "ens5", Ports: one(53), To: guest[:1], ToPort: to}}}
	}
	own := map[string][]netip.Addr{"ens5": {addr("198.51.100.5")}}
	for right, next := range map[string]Set{
		"10.77.0.2:53":    port(0),
		"10.77.0.2:5353":  port(5353),
		"10.77.0.2:5354":  port(5354),
		"198.51.100.5:53": {Name: "dns"},
	} {
		m := &minder{fake: newFake(IPv4)}
		require.NoError(t, m.apply(t, port(0)))
		m.failLoad = errors.New("no memory")
		require.ErrorIs(t, m.apply(t, port(5353)), m.failLoad)
		known := len(m.flows)
		require.ErrorIs(t, m.apply(t, port(5353)), m.failLoad)
		assert.Len(t, m.flows, known, "another try adds nothing")
		m.failLoad = nil
		require.NoError(t, m.apply(t, next))
		for _, to := range []string{"10.77.0.2:53", "10.77.0.2:5353", "10.77.0.2:5354", "198.51.100.5:53"} {
			c := conversation{addr("203.0.113.7"), netip.MustParseAddrPort("198.51.100.5:53"), netip.MustParseAddrPort(to)}
			assert.Equal(t, to != right, stale(m.forgotten, own, c), "one that goes to %s, after %v", to, next)
		}
	}
}

// A load that is interrupted, or whose answer is lost, may have been made.
func TestALoadThatFailedAfterItWasMade(t *testing.T) {
	for _, was := range []Set{{Name: "senate"}, {Name: "senate", Forwards: mail().Forwards[:1]}, mail()} {
		for _, is := range []Set{{Name: "senate"}, {Name: "senate", Forwards: mail().Forwards[1:]}} {
			b4, b6 := newFake(IPv4), newFake(IPv6)
			s := &system{b4: b4, b6: b6}
			s.apply(t, was)
			before := s.rules(t)
			p := s.diff(t, is)
			if p.Empty() {
				continue
			}
			ctx, cancel := context.WithCancel(t.Context())
			b6.before = cancel // the fake takes the rules and returns the error of the context
			assert.ErrorIs(t, Apply(ctx, p), context.Canceled)
			assert.Equal(t, before, s.rules(t))
		}
	}
}

package natfwd

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStale(t *testing.T) {
	addr, port, prefix := netip.MustParseAddr, netip.MustParseAddrPort, netip.MustParsePrefix
	own := map[string][]netip.Addr{
		"ens5": {addr("203.0.113.63"), addr("192.0.2.63"), addr("2001:db8:189c:700::63")},
		"":     {addr("203.0.113.63"), addr("192.0.2.63"), addr("2001:db8:189c:700::63"), addr("10.77.0.1")},
		"gone": nil,
	}
	dns := PortRange{First: 53}
	toGuest := flow{Iface: "ens5", Ports: dns, To: addr("10.77.0.2")}
	tests := []struct {
		name          string
		flows         []flow
		from, dst, to string
		want          bool
	}{
		{"to the router before it was forwarded", []flow{toGuest}, "198.51.100.7", "203.0.113.63:53", "203.0.113.63:53", true},
		{"to the old target", []flow{toGuest}, "198.51.100.7", "203.0.113.63:53", "10.77.0.3:53", true},
		{"to the old port", []flow{toGuest}, "198.51.100.7", "203.0.113.63:53", "10.77.0.2:5353", true},
		{"where it should", []flow{toGuest}, "198.51.100.7", "203.0.113.63:53", "10.77.0.2:53", false},
		{"the interface's other address", []flow{toGuest}, "198.51.100.7", "192.0.2.63:53", "10.77.0.3:53", true},
		{"another port", []flow{toGuest}, "198.51.100.7", "203.0.113.63:54", "10.77.0.3:54", false},
		{"another machine's address", []flow{toGuest}, "198.51.100.7", "192.0.2.64:53", "10.77.0.3:53", false},
		{"IPv6", []flow{{Iface: "ens5", Ports: dns, To: addr("fd77::2")}}, "2001:db8::7", "[2001:db8:189c:700::63]:53", "[fd77::3]:53", true},
		{"another interface's address", []flow{toGuest}, "10.77.0.9", "10.77.0.1:53", "10.77.0.3:53", false},
		{"any interface", []flow{{Ports: dns, To: addr("10.77.0.2")}}, "10.77.0.9", "10.77.0.1:53", "10.77.0.3:53", true},
		{"an interface that is gone", []flow{{Iface: "gone", Ports: dns}}, "10.77.0.9", "10.77.0.1:53", "10.77.0.3:53", false},
		{"a destination", []flow{{Dst: prefix("203.0.113.63/32"), Ports: dns}}, "198.51.100.7", "203.0.113.63:53", "10.77.0.2:53", true},
		{"another destination", []flow{{Dst: prefix("203.0.113.63/32"), Ports: dns}}, "198.51.100.7", "192.0.2.63:53", "10.77.0.2:53", false},
		{"no longer forwarded", []flow{{Iface: "ens5", Ports: dns}}, "198.51.100.7", "203.0.113.63:53", "10.77.0.2:53", true},
		{"no longer forwarded, and was not", []flow{{Iface: "ens5", Ports: dns}}, "198.51.100.7", "203.0.113.63:53", "203.0.113.63:53", false},
		{"from elsewhere", []flow{{Iface: "ens5", From: prefix("192.0.2.0/24"), Ports: dns}}, "198.51.100.7", "203.0.113.63:53", "10.77.0.2:53", false},
		{"a range keeps its order", []flow{{Iface: "ens5", Ports: PortRange{8000, 8010}, To: addr("10.77.0.2"), ToPort: 9000}}, "198.51.100.7", "203.0.113.63:8003", "10.77.0.2:9003", false},
		{"a range that kept its ports", []flow{{Iface: "ens5", Ports: PortRange{8000, 8010}, To: addr("10.77.0.2"), ToPort: 9000}}, "198.51.100.7", "203.0.113.63:8003", "10.77.0.2:8003", true},
		{"the last flow counts", []flow{{Iface: "ens5", Ports: dns, To: addr("10.77.0.3")}, toGuest}, "198.51.100.7", "203.0.113.63:53", "10.77.0.2:53", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, stale(tt.flows, own, conversation{addr(tt.from), port(tt.dst), port(tt.to)}))
		})
	}
}

func TestFlowsAreThoseOfTheRules(t *testing.T) {
	set := Set{Name: "x", Forwards: []Forward{
		{Proto: UDP, Iface: "ens5", Ports: []PortRange{{First: 53}, {8000, 8010}}, To: guest, ToPort: 9000, From: []netip.Prefix{prefix("192.0.2.0/24"), prefix("2001:db8::/64")}},
		{Proto: UDP, Dst: []netip.Addr{addr("203.0.113.63"), addr("2001:db8::63")}, Ports: []PortRange{{First: 443}}, To: guest},
		{Proto: TCP, Iface: "ens5", Ports: one(53), To: guest},
	}}
	for family, tt := range []struct{ from, dst string }{{"192.0.2.0/24", "203.0.113.63/32"}, {"2001:db8::/64", "2001:db8::63/128"}} {
		rules := set.wanted(Family(family)).all()
		assert.Equal(t, []flow{
			{Iface: "ens5", From: prefix(tt.from), Ports: PortRange{8000, 8010}, To: guest[family], ToPort: 9000},
			{Iface: "ens5", From: prefix(tt.from), Ports: PortRange{53, 53}, To: guest[family], ToPort: 9000},
			{Dst: prefix(tt.dst), Ports: PortRange{443, 443}, To: guest[family]},
		}, changedFlows(nil, rules))
		assert.Equal(t, []flow{
			{Iface: "ens5", From: prefix(tt.from), Ports: PortRange{8000, 8010}},
			{Iface: "ens5", From: prefix(tt.from), Ports: PortRange{53, 53}},
			{Dst: prefix(tt.dst), Ports: PortRange{443, 443}},
		}, changedFlows(rules, nil))
	}
}

func TestFlowsAreRemembered(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rehost")
	flows, err := remembered(dir, "senate", IPv4)
	require.NoError(t, err)
	assert.Empty(t, flows)
	require.NoError(t, forget(dir, "senate", IPv4))

	want4 := []flow{
		{Iface: "ens5", From: netip.MustParsePrefix("192.0.2.0/24"), Ports: PortRange{First: 53}, To: netip.MustParseAddr("10.77.0.2"), ToPort: 5353},
		{Dst: netip.MustParsePrefix("203.0.113.63/32"), Ports: PortRange{8000, 8010}},
	}
	want6 := []flow{{Ports: PortRange{First: 53}, To: netip.MustParseAddr("fd77::2")}}
	require.NoError(t, remember(dir, "senate", IPv4, want6))
	require.NoError(t, remember(dir, "senate", IPv4, want4))
	require.NoError(t, remember(dir, "senate", IPv6, want6))
	for family, want := range map[Family][]flow{IPv4: want4, IPv6: want6} {
		flows, err := remembered(dir, "senate", family)
		require.NoError(t, err)
		assert.Equal(t, want, flows)
	}
	info, err := os.Stat(filepath.Join(dir, "senate.v4"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	require.NoError(t, forget(dir, "senate", IPv4))
	flows, err = remembered(dir, "senate", IPv4)
	require.NoError(t, err)
	assert.Empty(t, flows)
	flows, err = remembered(dir, "senate", IPv6)
	require.NoError(t, err)
	assert.Equal(t, want6, flows)
	require.NoError(t, forget(dir, "senate", IPv6))
	assert.NoDirExists(t, dir)
}

func TestADamagedMemoryIsNamed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "senate.v6")
	for _, text := range []string{"", "[", `[{"ports":{"First":70000}}]`, `[{"to":"senate.example.net"}]`} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := remembered(dir, "senate", IPv6)
		var parse *ParseError
		require.ErrorAs(t, err, &parse, text)
		assert.Equal(t, path, parse.File)
	}
}

func TestFlowsSayWhatTheyAre(t *testing.T) {
	to := netip.MustParseAddr("10.77.0.2")
	for want, f := range map[string]flow{
		"UDP conversations with ens5 port 53 that do not go to 10.77.0.2":                      {Iface: "ens5", Ports: PortRange{First: 53}, To: to},
		"UDP conversations with 203.0.113.63 port 8000:8010 that are forwarded still":          {Dst: netip.MustParsePrefix("203.0.113.63/32"), Ports: PortRange{8000, 8010}},
		"UDP conversations with the router from 192.0.2.0/24 port 53 that are forwarded still": {From: netip.MustParsePrefix("192.0.2.0/24"), Ports: PortRange{First: 53}},
	} {
		assert.Equal(t, want, f.String())
		_, err := json.Marshal(f)
		assert.NoError(t, err)
	}
}

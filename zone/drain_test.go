package zone

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDrain(t *testing.T) {
	one := ServerState{Server: netip.MustParseAddrPort("192.0.2.1:53"), State: Reached, Serial: 7, At: noon}
	last := ServerState{Server: netip.MustParseAddrPort("192.0.2.2:53"), State: Reached, Serial: 8, At: noon.Add(time.Minute)}
	stale := ServerState{Server: netip.MustParseAddrPort("192.0.2.3:53"), State: Stale, Serial: 6}

	drain, ok := Report{Serial: 7, Servers: []ServerState{last, one}}.Drain(time.Hour)
	require.True(t, ok)
	assert.Equal(t, Drain{Serial: 7, OldTTL: time.Hour, Until: noon.Add(61 * time.Minute)}, drain)
	assert.Equal(t, 61*time.Minute, drain.Remaining(noon))
	assert.False(t, drain.Done(noon.Add(61*time.Minute-1)))
	assert.True(t, drain.Done(noon.Add(61*time.Minute)))
	assert.Zero(t, drain.Remaining(noon.Add(2*time.Hour)))

	_, ok = Report{Servers: []ServerState{one, stale}}.Drain(time.Hour)
	assert.False(t, ok)
	_, ok = Report{}.Drain(time.Hour)
	assert.False(t, ok, "of no server nothing is known")
	_, ok = Report{Servers: []ServerState{one}}.Drain(-time.Hour)
	assert.False(t, ok)
	assert.False(t, Drain{}.Done(noon))
}

func TestDrainJSON(t *testing.T) {
	drain := Drain{Serial: 2026112207, OldTTL: 90 * time.Minute, Until: noon}
	text, err := json.Marshal(drain)
	require.NoError(t, err)
	assert.JSONEq(t, `{"serial": 2026112207, "old_ttl_seconds": 5400, "until": "2026-11-22T13:00:00Z"}`, string(text))
	var back Drain
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, drain, back)
	for _, text := range []string{`{}`, `[]`, `{"serial": 1, "old_ttl_seconds": 3600}`,
		`{"serial": 1, "old_ttl_seconds": "1h", "until": "2026-11-22T13:00:00Z"}`, `{"serial": 1, "old_ttl_seconds": -1, "until": "2026-11-22T13:00:00Z"}`} {
		assert.Error(t, json.Unmarshal([]byte(text), &back), text)
		assert.Equal(t, drain, back)
	}
}

func TestNegativeTTL(t *testing.T) {
	ttl := func(d time.Duration) *time.Duration { return &d }
	soa := Record{Owner: "example.net.", Type: "SOA", Data: "ns1.example.net. hostmaster.example.net. 7 3600 600 604800 300"}
	for _, test := range []struct {
		ttl  *time.Duration
		want time.Duration
	}{{ttl(time.Hour), 5 * time.Minute}, {ttl(time.Minute), time.Minute}, {ttl(0), 0}, {nil, 5 * time.Minute}} {
		soa.TTL = test.ttl
		got, err := NegativeTTL(soa)
		require.NoError(t, err)
		assert.Equal(t, test.want, got)
	}
	delay, err := SecondaryDelay(soa)
	require.NoError(t, err)
	assert.Equal(t, 70*time.Minute, delay)
	for _, r := range []Record{{Owner: "example.net.", Type: "A", Data: "192.0.2.1"}, {Owner: "example.net.", Type: "SOA", Data: "x"}} {
		_, err := NegativeTTL(r)
		assert.Error(t, err)
		_, err = SecondaryDelay(r)
		assert.Error(t, err)
	}
}

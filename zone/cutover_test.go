package zone

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const cutoverZone = `$TTL 1d
@	IN SOA	ns1 hostmaster ( 2026112200 1h 15m 2w 10m )
	IN NS	ns1
	IN NS	ns6
ns1	IN A	198.51.100.25
ns6	IN A	198.51.100.25
www	2d IN A	198.51.100.25
low	60 IN A	198.51.100.25
*.any	2h IN A	198.51.100.25
`

func TestCutover(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, test := range []struct {
		name string
		move Move
		want Cutover
	}{
		{
			"in time", Move{Names: []string{"www"}, At: now.Add(7 * day), Delay: time.Hour},
			Cutover{
				Names: []string{"www.example.net."}, OldTTL: 2 * day, TTL: 5 * time.Minute, Delay: time.Hour,
				Lower: now.Add(5*day - time.Hour), Switch: now.Add(7 * day), Off: now.Add(7*day + time.Hour + 5*time.Minute),
			},
		},
		{
			"too late to lower: the switch waits", Move{Names: []string{"www"}, At: now.Add(day), Delay: time.Hour},
			Cutover{
				Names: []string{"www.example.net."}, OldTTL: 2 * day, TTL: 5 * time.Minute, Delay: time.Hour,
				Lower: now, Switch: now.Add(2*day + time.Hour), Off: now.Add(2*day + 2*time.Hour + 5*time.Minute), Late: true,
			},
		},
		{
			"low already; without NOTIFY a secondary takes refresh and retry", Move{Names: []string{"low"}},
			Cutover{
				Names: []string{"low.example.net."}, OldTTL: time.Minute, TTL: time.Minute, Delay: 75 * time.Minute,
				Switch: now, Off: now.Add(76 * time.Minute),
			},
		},
		{
			"a name that does not exist yet is known not to", Move{Names: []string{"new"}, Delay: time.Second},
			Cutover{
				Names: []string{"new.example.net."}, New: []string{"new.example.net."}, OldTTL: 10 * time.Minute, TTL: 5 * time.Minute, Delay: time.Second,
				Lower: now, Switch: now.Add(10*time.Minute + time.Second), Off: now.Add(15*time.Minute + 2*time.Second),
			},
		},
		{
			"a name that does not exist yet is what a wildcard says", Move{Names: []string{"x.y.any"}, Delay: time.Second},
			Cutover{
				Names: []string{"x.y.any.example.net."}, New: []string{"x.y.any.example.net."}, OldTTL: 2 * time.Hour, TTL: 5 * time.Minute, Delay: time.Second,
				Lower: now, Switch: now.Add(2*time.Hour + time.Second), Off: now.Add(2*time.Hour + 5*time.Minute + 2*time.Second),
			},
		},
		{
			"the longest TTL of all names; name servers have glue", Move{Names: []string{"low", "ns6"}, TTL: time.Hour, Delay: time.Second},
			Cutover{
				Names: []string{"low.example.net.", "ns6.example.net."}, Servers: []string{"ns6.example.net."}, OldTTL: day, TTL: time.Hour, Delay: time.Second,
				Lower: now, Switch: now.Add(day + time.Second), Off: now.Add(25*time.Hour + 2*time.Second),
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Parse("zone", "example.net", []byte(cutoverZone))
			require.NoError(t, err)
			got, err := f.Cutover(test.move, now)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestCutoverIsJSON(t *testing.T) {
	f, err := Parse("zone", "example.net", []byte(cutoverZone))
	require.NoError(t, err)
	c, err := f.Cutover(Move{Names: []string{"low"}}, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	data, err := json.Marshal(c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"names": ["low.example.net."], "old_ttl_seconds": 60, "ttl_seconds": 60, "delay_seconds": 4500,
		"switch": "2026-11-22T12:00:00Z", "off": "2026-11-22T13:16:00Z", "late": false}`, string(data))
}

func TestCutoverRefusesNamesOfOthers(t *testing.T) {
	f, err := Parse("zone", "example.net", []byte(cutoverZone))
	require.NoError(t, err)
	_, err = f.Cutover(Move{Names: []string{"www.example.org."}}, time.Now())
	var bad *ValueError
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, "www.example.org.", bad.Value)
	_, err = f.Cutover(Move{}, time.Now())
	assert.EqualError(t, err, `names: "": none is to move`)
}

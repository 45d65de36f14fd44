package report

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutcome(t *testing.T) {
	for want, outcomes := range map[string][]Outcome{
		"Nothing was checked.": nil,
		"Nothing was shown: of 1 check none held and none failed, 1 was not tried.": {NotTried},
		"Held: 1 check held, none failed, all were tried.":                          {Held},
		"Held: 2 checks held, none failed, 2 were not tried.":                       {Held, NotTried, Held, NotTried},
		"Failed: 1 of 1 check did not hold, 0 held, all were tried.":                {Failed},
		"Failed: 2 of 4 checks did not hold, 1 held, 1 was not tried.":              {Failed, Held, Failed, NotTried},
	} {
		var p Phase
		for _, o := range outcomes {
			p.Findings = append(p.Findings, Finding{Outcome: o})
		}
		assert.Equal(t, want, (&Report{Phases: []Phase{p}}).Outcome())
	}
}

// TestStopped tells a stop that was not measured from one that was not.
func TestStopped(t *testing.T) {
	assert.Equal(t, "not measured: no service was asked", (&Report{}).stopped())
	assert.Equal(t, "no service stopped", (&Report{Probes: []Probes{{Asked: 1}}}).stopped())
	assert.Equal(t, "web stopped for 3.42 s", sample().stopped())
}

func TestFigures(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.00 s": 49 * time.Microsecond, "0.4 ms": 400 * time.Microsecond, "0.01 s": 10 * time.Millisecond, "99.99 s": 99990 * time.Millisecond, "1 min 40 s": 100 * time.Second,
		"59 min 59 s": time.Hour - time.Second, "2 h 05 min": 125 * time.Minute,
	} {
		assert.Equal(t, want, Seconds(d).String())
	}
	for want, n := range map[string]int64{
		"0 bytes": 0, "1 byte": 1, "1023 bytes": 1023, "1 KiB": 1 << 10, "1.5 MiB": 3 << 19, "256 MiB": 256 << 20, "80 GiB": 80 << 30, "2048 PiB": 2 << 60,
	} {
		assert.Equal(t, want, Size(n))
	}
}

func TestJSON(t *testing.T) {
	data, err := json.Marshal(sample())
	require.NoError(t, err)
	assert.Contains(t, string(data), `"took_seconds":58.31`)
	assert.Contains(t, string(data), `"stop":{"service":"web","from_seconds":46.1,"to_seconds":49.52}`)
}

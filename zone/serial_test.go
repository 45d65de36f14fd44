package zone

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noon is 13:00 on the 22nd in UTC, and 02:00 on the 23rd in east.
var (
	noon = time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	east = time.FixedZone("east", 13*3600)
)

func TestIncrement(t *testing.T) {
	for old, want := range map[uint32]uint32{0: 1, 1: 2, 2026112299: 2026112300, math.MaxUint32 - 1: math.MaxUint32, math.MaxUint32: 1} {
		got, err := Increment(old, time.Time{})
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestDateCounter(t *testing.T) {
	for name, test := range map[string]struct {
		old, want uint32
		now       time.Time
	}{
		"first":                   {0, 2026112200, noon},
		"from a small number":     {17, 2026112200, noon},
		"from yesterday":          {2026112199, 2026112200, noon},
		"again today":             {2026112200, 2026112201, noon},
		"in its location":         {2026112207, 2026112300, noon.In(east)},
		"more than 99 a day":      {2026112299, 2026112300, noon},
		"the day after that":      {2026112305, 2026112306, noon.AddDate(0, 0, 1)},
		"in the future":           {2030010100, 2030010101, noon},
		"a clock that went back":  {2026112200, 2026112201, noon.AddDate(-1, 0, 0)},
		"from unix time":          {1795000000, 2026112200, noon},
		"far ahead":               {math.MaxInt32 + 2026112200, math.MaxInt32 + 2026112201, noon},
		"so far that it is older": {math.MaxUint32, 2026112200, noon},
		"undefined":               {2026112200 + 1<<31, 2026112201 + 1<<31, noon},
	} {
		got, err := DateCounter(test.old, test.now)
		require.NoError(t, err, name)
		assert.Equal(t, int(test.want), int(got), name)
	}
	_, err := DateCounter(1, time.Date(4300, 1, 1, 0, 0, 0, 0, time.UTC))
	assert.Error(t, err)
}

func TestUnixTime(t *testing.T) {
	now := uint32(noon.Unix())
	for old, want := range map[uint32]uint32{0: now, now - 1: now, now: now + 1, now - math.MaxInt32: now} {
		got, err := UnixTime(old, noon)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := UnixTime(2026112207, noon)
	assert.EqualError(t, err, "serial 2026112207: the time is 1795352400, which secondaries take for older: keep the policy that the zone has, or set 4173595854, wait until every secondary serves it, and only then change to the time")
	// The way out that the message names leads there.
	order, ok := CompareSerial(4173595854, 2026112207)
	assert.True(t, ok && order > 0)
	got, err := UnixTime(4173595854, noon)
	require.NoError(t, err)
	assert.Equal(t, now, got)
	_, err = UnixTime(now+1<<31, noon)
	assert.Error(t, err, "undefined")
}

func TestNoPolicyGoesBackwards(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		old := random.Uint32()
		now := time.Unix(random.Int64N(1<<33), 0)
		for _, policy := range []SerialPolicy{Increment, DateCounter, UnixTime} {
			next, err := policy(old, now)
			if err != nil {
				continue
			}
			order, ok := CompareSerial(next, old)
			require.True(t, ok && order > 0 && next != 0, "%d, then %d", old, next)
		}
	}
}

func TestCompareSerial(t *testing.T) {
	for _, test := range []struct {
		a, b  uint32
		order int
		ok    bool
	}{
		{5, 5, 0, true},
		{6, 5, 1, true},
		{5, 6, -1, true},
		{0, math.MaxUint32, 1, true},
		{math.MaxUint32, 0, -1, true},
		{math.MaxInt32, 0, 1, true},
		{1 << 31, 0, 0, false},
		{0, 1 << 31, 0, false},
		{1<<31 + 1, 0, -1, true},
	} {
		order, ok := CompareSerial(test.a, test.b)
		assert.Equal(t, test.order, order, "%d %d", test.a, test.b)
		assert.Equal(t, test.ok, ok, "%d %d", test.a, test.b)
	}
}

func TestParseTTL(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "300": 5 * time.Minute, "0300": 5 * time.Minute, "30m1h": 90 * time.Minute, "1h1h": 2 * time.Hour,
		"1W1d1H1m1s": 694861 * time.Second, "0h": 0, "2147483647": math.MaxInt32 * time.Second,
	} {
		got, err := ParseTTL(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "h", "1h30", "1hh", "1x", "-1", "+1", "1.5h", " 1", "1 ", "1h ", "0x10", "2147483648", "3551w", "4294967296",
		"99999999999999999999", "1h\x00", "１", strings.Repeat("9", 100)} {
		_, err := ParseTTL(text)
		var value *ValueError
		assert.ErrorAs(t, err, &value, "%q", text)
	}
}

// In generic data (RFC 3597) a digit of the serial that stays is left as it is written.
func TestBumpOfGenericDataKeepsTheDigitsThatStay(t *testing.T) {
	const text = "$TTL 1h\n@ TYPE6 \\# 38 036e7331076578616d706c65036e657400 00 ( 00Ab\n%s 00002a30 00000e10 00093a80 0000012c )\n"
	for from, to := range map[string]string{"C0F7": "C0F8", "C0Ff": "C100", "C0A9": "C0Aa", "CFFF": "d000"} {
		f, err := Parse("zone", "example.net", fmt.Appendf(nil, text, from))
		require.NoError(t, err)
		_, err = f.Bump(Increment, time.Time{})
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf(text, to), string(f.Bytes()))
	}
}

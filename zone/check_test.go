package zone

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const soundZone = "$TTL 1d\n@ IN SOA ns1 hostmaster 1 3h 15m 2w 10m\n\tNS ns1\nns1 A 192.0.2.1\n"

// TestCheck gives each problem a zone with soundZone before it, so that its own
// lines begin with 5, and asks the real named whether it refuses it.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string // without the file's name
		loads      bool     // whether named loads it
	}{
		{"sound", "www A 192.0.2.2\n", nil, true},
		{"CNAME and other data", "www CNAME ns1\nwww A 192.0.2.2\n", []string{"6:1: error: www.example.net. has a CNAME, in line 5, and so may have no A record"}, false},
		{"CNAME and what signs it", "www CNAME ns1\n KEY 256 3 8 AQAB\n", []string{"6:1: warning: KEY record of www.example.net.: not validated"}, true},
		{"CNAME and what is not validated", "www CNAME ns1\n X25 1234\n", []string{"6:1: error: www.example.net. has a CNAME, in line 5, and so may have no X25 record", "6:1: warning: X25 record of www.example.net.: not validated"}, false},
		{"two CNAMEs", "www CNAME ns1\n CNAME ns2\n", []string{"6:1: error: a second CNAME record"}, false},
		{"the same CNAME twice", "www CNAME ns1\nWWW CNAME NS1\n", []string{"6:1: warning: the same CNAME record of www.example.net. stands in line 5"}, true},
		{"two DNAMEs", "www DNAME example.org.\n DNAME example.com.\n", []string{"6:1: error: a second DNAME record"}, false},
		{"two SOAs", "@ SOA ns1 hostmaster 2 3h 15m 2w 10m\n", []string{"5:1: error: a second SOA record"}, false},
		{"MX to a CNAME", "@ MX 10 mail\nmail CNAME ns1\n", []string{"5:9: warning: MX mail.example.net. is a CNAME"}, true},
		{"MX to nothing", "@ MX 10 mail\n", []string{"5:9: warning: MX mail.example.net. has no address record"}, true},
		{"the null MX", "@ MX 0 .\n", nil, true},
		{"SRV to a CNAME", "_s._tcp SRV 1 2 3 mail\nmail CNAME ns1\n", []string{"5:19: warning: SRV mail.example.net. is a CNAME"}, true},
		{"apex NS to a CNAME", "@ NS ns2\nns2 CNAME ns1\n", []string{"5:6: error: NS ns2.example.net. is a CNAME"}, false},
		{"apex NS without address", "@ NS ns2\n", []string{"5:6: error: NS ns2.example.net. has no address record"}, false},
		{"apex NS with a wildcard's address", "@ NS ns2.w\n*.w A 192.0.2.3\n", nil, true},
		{"apex NS below a DNAME", "@ NS ns.d\nd DNAME example.org.\n", []string{"5:6: error: NS ns.d.example.net. is below the DNAME of d.example.net."}, false},
		{"NS of a zone cut to a CNAME", "sub NS c\nc CNAME ns1\n", []string{"5:8: warning: NS c.example.net. is a CNAME"}, true},
		{"missing glue", "sub NS ns.sub\n", []string{"5:8: warning: NS ns.sub.example.net. is below the zone cut and has no address here: the glue is missing"}, true},
		{"glue", "sub NS ns.sub\nns.sub A 192.0.2.3\n", nil, true},
		{"out-of-zone data", "www.example.org. A 192.0.2.2\n", []string{"5:1: error: www.example.org. is not in the zone example.net.: named ignores the record"}, true},
		{"trap 10: a missing final dot", "www CNAME ns1.example.net\n", []string{`5:11: warning: "ns1.example.net" has no final dot: it is read as ns1.example.net.example.net.`}, true},
		{"a missing final dot in an owner", "www.example.net A 192.0.2.2\n", []string{`5:1: warning: "www.example.net" has no final dot`}, true},
		{"trap 10: MX to an address", "@ MX 10 192.0.2.2\n", []string{`5:9: warning: MX 192.0.2.2.example.net. has no address`, `5:9: warning: "192.0.2.2" looks like an address`}, true},
		{"an RRset with several TTLs", "a 60 A 192.0.2.2\nb A 192.0.2.2\na 120 A 192.0.2.3\n", []string{"5:1: warning: the A records of a.example.net. have several TTLs: all are served with 2m0s"}, true},
		{"a duplicate", "a A 192.0.2.2\n A 192.0.2.2\n", []string{"6:1: warning: the same A record of a.example.net. stands in line 5"}, true},
		{"a TTL that named takes for 0", "a 2147483648 A 192.0.2.2\n", []string{"5:3: error: TTL 2147483648 is above 2147483647 seconds"}, true},
		{"a string of 256 bytes", "a TXT " + strings.Repeat("x", 256) + "\n", []string{"5:7: error: TXT record of a.example.net.: "}, false},
		{"bad data", "a A 192.0.2.256\n", []string{"5:5: error: A record of a.example.net.: "}, false},
		{"no data", "a A\n", []string{"5:1: error: A record of a.example.net.: "}, false},
		{"a host with an underscore", "a_b A 192.0.2.2\n", []string{"5:1: error: A record of a_b.example.net.: "}, false},
		{"an NS of a wildcard", "*.a NS ns1\n", []string{"5:1: error: a wildcard cannot have an NS record"}, false},
		{"DS at the apex", "@ DS 1 8 2 " + strings.Repeat("ab", 32) + "\n", []string{"5:1: error: a DS record of the zone's apex"}, false},
		{"$GENERATE of what is no name", "$GENERATE 1-2 a..$ A 192.0.2.$\n", []string{"5:1: error: $GENERATE at 1: "}, false},
		{"no line end", "a A 192.0.2.2", []string{"5:14: warning: the last line has no line end"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Parse("db", "example.net", []byte(soundZone+test.text))
			require.NoError(t, err)
			var got []string
			for _, p := range f.Check() {
				got = append(got, strings.TrimPrefix(p.Error(), "db:"))
			}
			require.Len(t, got, len(test.want), "%q", got)
			for _, want := range test.want {
				assert.Contains(t, strings.Join(got, "\n"), want)
			}
			if test.text != "" {
				_, log, err := compile(t, t.TempDir(), "example.net.", soundZone+test.text, nil)
				assert.Equal(t, test.loads, err == nil, "named: %s", log)
			}
		})
	}
}

// TestCheckNeedsSOAAndNS looks at what a zone must have.
func TestCheckNeedsSOAAndNS(t *testing.T) {
	f, err := Parse("db", "example.net", []byte("www 60 A 192.0.2.1\n"))
	require.NoError(t, err)
	assert.Equal(t, "db: error: example.net. has no SOA record\ndb: error: example.net. has no NS record\n", f.Check().String())
}

// TestCheckOfTheTimers compares them with RFC 1912, section 2.2.
func TestCheckOfTheTimers(t *testing.T) {
	for soa, want := range map[string]string{
		"1 3h 15m 2w 10m":  "",
		"1 60 30 2w 10m":   "db:2:27: warning: SOA refresh of 60 seconds",
		"1 13h 15m 2w 10m": "db:2:27: warning: SOA refresh of 46800 seconds",
		"1 3h 4h 2w 10m":   "db:2:30: warning: SOA retry of 14400 seconds",
		"1 3h 15m 3d 10m":  "db:2:34: warning: SOA expire of 259200 seconds",
		"1 3h 15m 2w 1w":   "db:2:37: warning: SOA minimum of 604800 seconds",
	} {
		f, err := Parse("db", "example.net", []byte(strings.Replace(soundZone, "1 3h 15m 2w 10m", soa, 1)))
		require.NoError(t, err)
		got := f.Check().String()
		if want == "" {
			assert.Empty(t, got)
			continue
		}
		assert.Contains(t, got, want)
	}
}

// TestParseRefuses gives places.
func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a TXT \"open\nb A 192.0.2.1\n":      "db:5:7: quote that is not closed on its line",
		"a TXT ( open ; )\nb A 192.0.2.1\n":  "db:5:7: parenthesis that is not closed",
		"a TXT x )\n":                        "db:5:9: closing parenthesis without an opening one",
		"$FOO x\n":                           `db:5:1: unknown directive "$FOO"`,
		"$TTL h\n":                           `db:5:6: bad TTL "h"`,
		"$ORIGIN a b\n":                      `db:5:11: "b" after the arguments of $ORIGIN`,
		"$GENERATE 3-1 a$ A 192.0.2.$\n":     `db:5:11: $GENERATE: range "3-1" is not FIRST-LAST`,
		"a CH A 192.0.2.1\n":                 `db:5:3: class "CH" in a zone of class IN`,
		"a IN 1d IN A 192.0.2.1\n":           `db:5:9: unknown type "IN"`,
		"a 1h30 A 192.0.2.1\n":               `db:5:3: unknown type "1h30"`,
		"a AXFR x\n":                         `db:5:3: type AXFR cannot stand in a zone`,
		"a MD x\n":                           `db:5:3: type MD is obsolete`,
		"a..b A 192.0.2.1\n":                 `db:5:1: owner "a..b": empty label`,
		"a\\256 A 192.0.2.1\n":               `db:5:1: owner "a\\256": bad escape`,
		strings.Repeat("a", 64) + " A 1\n":   "label of more than 63 bytes",
		"a\n":                                "db:5:2: the type is missing",
		"sub SOA ns1 hostmaster 1 2 3 4 5\n": "db:5:5: SOA record that is not at the zone's apex",
		"a\x00b TXT x\n":                     "db:5:2: a NUL byte",
		"$TTL 5":                             "db:5:7: no line end after $TTL",
		"$INCLUDE\n":                         "db:5:9: $INCLUDE without its argument",
		"a \"A\" 192.0.2.1\n":                `db:5:3: unknown type "A"`,
		"a A 192.0.2.1\nb FOO x\nc BAR x\n":  "db:7:3: unknown type \"BAR\"", // all are told
	} {
		t.Run(text, func(t *testing.T) {
			_, err := Parse("db", "example.net", []byte(soundZone+text))
			require.ErrorContains(t, err, want)
			var bad *ParseError
			assert.ErrorAs(t, err, &bad)
			_, _, err = compile(t, t.TempDir(), "example.net.", soundZone+text, nil)
			assert.ErrorIs(t, err, errRefused, "named refuses it too")
		})
	}
	for text, want := range map[string]string{
		" A 192.0.2.1\n":                "db:1:2: record without an owner",
		"www A 192.0.2.1\n":             "db:1:1: no TTL",
		"@ SOA ns1 h 1 2 3 4 x\n":       "db:1:3: SOA record whose minimum is the default TTL",
		"\ufeff$TTL 5\nw A 192.0.2.1\n": `db:1:10: the type is missing`,
	} {
		_, err := Parse("db", "example.net", []byte(text))
		assert.ErrorContains(t, err, want)
	}
}

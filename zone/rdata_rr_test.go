package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rehost/rehost/internal/lab"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTypesAsNamedKnowsThem(t *testing.T) {
	lab.Need(t, "named-checkzone")
	var lines []string
	words := []string{"CLA", "IPN", "NXNAME", "TYPE65536", "TYPE000001", "DSYNCH"}
	for _, w := range typeWords {
		words = append(words, w.word, strings.ToLower(w.word))
	}
	for i, word := range words {
		lines = append(lines, caseOwner(i)+" IN 60 "+word+` \# 1 ff`)
	}
	said := refused(t, lines)
	for i, word := range words {
		_, ok := typeCode([]byte(word))
		assert.Equal(t, !strings.HasPrefix(said[i], "unknown RR type"), ok, "%s: %s", word, said[i])
	}
}

func TestCheckNamesAsNamedDoes(t *testing.T) {
	lab.Need(t, "named-checkzone")
	rows := []string{
		"host A 192.0.2.1", "ho_st A 192.0.2.1", "*.h1 A 192.0.2.1", "a.*.h2 A 192.0.2.1", "-h A 192.0.2.1", "h- A 192.0.2.1",
		`a\.b A 192.0.2.1`, `\104 A 192.0.2.1`, `\104\095 A 192.0.2.1`, "ho_st AAAA 2001:db8::1", "ho_st MX 10 a", "h_1 TXT a", "h_2 SRV 1 1 1 a", "h_3 HTTPS 1 a", "h_4 CNAME a", "h_5 NS a", "h_6 PTR a_b", "h_7 L32 1 192.0.2.1",
		"gc._msdcs A 192.0.2.1", "GC._msdcs.a A 192.0.2.1", "gc._msdcs.a_b A 192.0.2.1", "dc._msdcs A 192.0.2.1", "gc._msdcs AAAA 2001:db8::1",
		"gc._msdcs MX 10 a", "*.gc._msdcs A 192.0.2.1", "ho_st A \\# 4 c0000201", "host2 MX \\# 7 000a03615f6200", "host3 MX 10 a_b",
		"host4 RP a\\032b.c d", "host5 RP a\\ b.c d", "host6 RP a\\.b.c d", "host7 RP a\\@b.c d", "host8 RP a_b.c_d e", "host9 RP a. b",
		"*.x NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr", "0a NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr", "zz NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr",
		"1.in-addr.arpa. PTR a_b",
	}
	said := refused(t, rows)
	for i, row := range rows {
		f := strings.SplitN(row, " ", 3)
		toks, err := dataTokens(f[2])
		require.NoError(t, err)
		typ, _ := typeCode([]byte(f[1]))
		name, err := absoluteName([]byte(f[0]), "example.")
		require.NoError(t, err)
		_, err = rdataRR(name, 0, typ, toks, "example.")
		require.NoError(t, err, row)
		err = checkNames(name, typ, toks, "example.")
		if name == "1.in-addr.arpa." {
			assert.Error(t, err, row) // out of the zone for named; see isReverse
			continue
		}
		assert.Equal(t, said[i] == "", err == nil, "%s\nnamed: %s\nours: %v", row, said[i], err)
	}
	assert.False(t, isReverse("b._dns-sd._udp.2.0.192.in-addr.arpa."))
}

func TestNameFields(t *testing.T) {
	for text, want := range map[string][]int{
		"A 192.0.2.1":          nil,
		"NS a":                 {0},
		"MX 10 a":              {1},
		"MX 10":                nil,
		`MX \# 4 000a0161`:     nil,
		"SOA a b 1 2 3 4 5":    {0, 1},
		"SOA a":                {0},
		"TXT a b c":            nil,
		"SRV 1 2 3 a":          {3},
		"PX 1 a b":             {1, 2},
		`NAPTR 1 1 "" "" "" a`: {5},
		"RRSIG MX 8 2 3600 20300101000000 20200101000000 1234 a AA==": {7},
		"HTTPS 1 a alpn=h2":              {1},
		"NSEC a A NS":                    {0},
		"A6 0 ::1":                       nil,
		"A6 64 ::1 a":                    {2},
		"A6 128 a":                       {1},
		"IPSECKEY 10 1 2 192.0.2.1 AA==": nil,
		"IPSECKEY 10 3 2 a AA==":         {3},
		"AMTRELAY 10 0 3 a":              {3},
		"AMTRELAY 10 0 1 192.0.2.1":      nil,
		"HIP 2 20 AA== a b":              {3, 4},
		"DSYNC CDS NOTIFY 53 a":          {3},
		"TYPE65280 a":                    nil,
		`DNAME "a"`:                      {0},
	} {
		typ, data := dataCase{text: text}.split()
		toks, err := dataTokens(data)
		require.NoError(t, err)
		code, _ := typeCode([]byte(typ))
		got := nameFields(code, toks)
		assert.Equal(t, len(want), len(got), text)
		assert.Subset(t, got, want, text)
	}
}

// TestNameFieldsOfGoodData makes each name absolute, which must not change the data.
func TestNameFieldsOfGoodData(t *testing.T) {
	for i, c := range readCases(t) {
		typ, data := c.split()
		want, err := ours(caseOwner(i), typ, data)
		if err != nil {
			continue
		}
		toks, err := dataTokens(data)
		require.NoError(t, err)
		code, _ := typeCode([]byte(typ))
		for _, at := range nameFields(code, toks) {
			name, err := absoluteName(toks[at].text, "example.")
			require.NoError(t, err, c.text)
			toks[at].text = []byte(name)
		}
		got, err := encodeData(code, toks, "elsewhere.")
		require.NoError(t, err, c.text)
		assert.Equal(t, want, got, c.text)
	}
}

// TestGenericFormOfGoodData writes all good data as "\# n hex".
func TestGenericFormOfGoodData(t *testing.T) {
	for i, c := range readCases(t) {
		typ, data := c.split()
		wire, err := ours(caseOwner(i), typ, data)
		if err != nil {
			continue
		}
		code, _ := typeCode([]byte(typ))
		toks, err := dataTokens(fmt.Sprintf(`\# %d %x`, len(wire), wire))
		require.NoError(t, err)
		again, err := encodeData(code, toks, ".")
		if !errors.Is(err, errUnvalidated) {
			require.NoError(t, err, c.text)
		}
		assert.Equal(t, wire, again, c.text)
	}
}

func TestWireDataAsNamedCompares(t *testing.T) {
	lab.Need(t, "named-compilezone")
	rows := [][2]string{
		{"NS a.b.", "NS A.b."}, {"MX 1 a", "MX 1 A"}, {"PTR a", "PTR A"}, {"SRV 1 1 1 a", "SRV 1 1 1 A"}, {"HTTPS 1 a", "HTTPS 1 A"},
		{"SVCB 1 a", "SVCB 1 A"}, {`NAPTR 1 1 "a" "" "" a`, `NAPTR 1 1 "a" "" "" A`}, {`NAPTR 1 1 "a" "" "" a`, `NAPTR 1 1 "A" "" "" a`},
		{"RP a b", "RP a B"}, {"MINFO a b", "MINFO A b"}, {"PX 1 a b", "PX 1 a B"}, {"KX 1 a", "KX 1 A"}, {"LP 1 a", "LP 1 A"},
		{"NSAP-PTR a", "NSAP-PTR A"},
		{"HIP 2 20 AwEAAQ== a", "HIP 2 20 AwEAAQ== A"}, {"NSEC a A", "NSEC A A"},
		{"RRSIG MX 8 2 3600 20300101000000 20200101000000 1234 a AA==", "RRSIG MX 8 2 3600 20300101000000 20200101000000 1234 A AA=="},
		{"AFSDB 1 a", "AFSDB 1 A"}, {"RT 1 a", "RT 1 A"}, {"MB a", "MB A"}, {"MG a", "MG A"}, {"MR a", "MR A"}, {"TXT a", "TXT A"}, {"TXT a", `TXT \# 2 0161`},
		{"AAAA 2001:db8::1", "AAAA 2001:DB8:0::1"}, {"TXT ab", "TXT a b"}, {"CAA 0 issue a", "CAA 0 ISSUE a"},
	}
	for _, row := range rows {
		lines := []string{"x " + row[0], "x " + row[1]}
		count := len(compiledAll(t, lines))
		var key [2]string
		for i, text := range row {
			typ, data := dataCase{text: text}.split()
			toks, err := dataTokens(data)
			require.NoError(t, err)
			code, _ := typeCode([]byte(typ))
			key[i] = dataKey(code, toks, "example.")
		}
		assert.Equal(t, count == 1, key[0] == key[1], "%v", row)
	}
}

// TestQuotedParameter: a quoted value of SVCB belongs to the "=" that it touches,
// and a blank between them is another thing.
func TestQuotedParameter(t *testing.T) {
	toks, err := dataTokens(`1 . alpn="h2,h3" key9="a b"`)
	require.NoError(t, err)
	text := dataText(dns.TypeHTTPS, toks, "example.")
	assert.Equal(t, `1 . alpn="h2,h3" key9="a b"`, text)
	_, err = ours("x", "HTTPS", text)
	require.NoError(t, err)
	_, err = ours("x", "HTTPS", `1 . alpn= "h2,h3"`)
	require.Error(t, err)

	f, err := Parse("db", "example.", []byte(zoneHead))
	require.NoError(t, err)
	require.NoError(t, f.Add(Record{Owner: "x", Type: "HTTPS", Data: text}))
	require.Len(t, f.Lookup("x", "HTTPS"), 1)
	assert.Equal(t, text, f.Lookup("x", "HTTPS")[0].Data)
}

// TestDataTextOfGoodData writes all good data on one line, which must not change it.
func TestDataTextOfGoodData(t *testing.T) {
	for i, c := range readCases(t) {
		typ, data := c.split()
		want, err := ours(caseOwner(i), typ, data)
		if err != nil {
			continue
		}
		toks, err := dataTokens(data)
		require.NoError(t, err)
		code, _ := typeCode([]byte(typ))
		got, err := ours(caseOwner(i), typ, dataText(code, toks, "example."))
		require.NoError(t, err, c.text)
		assert.Equal(t, want, got, c.text)
	}
}

func TestRecordRR(t *testing.T) {
	hour, part, long := time.Hour, time.Second/2, time.Duration(1<<31)*time.Second
	rr, err := Record{Owner: "www.example.net", TTL: &hour, Type: "a", Data: "192.0.2.1"}.RR()
	require.NoError(t, err)
	assert.Equal(t, "www.example.net.\t3600\tIN\tA\t192.0.2.1", rr.String())
	rr, err = Record{Owner: "example.net.", Type: "MX", Data: "10 mail"}.RR()
	require.NoError(t, err)
	assert.Equal(t, "example.net.\t0\tIN\tMX\t10 mail.", rr.String())
	for want, r := range map[string]Record{
		`owner: "a..b": empty label in a name`:                                                         {Owner: "a..b", Type: "A", Data: "192.0.2.1"},
		`class: "XX": only IN is known`:                                                                {Owner: "a", Class: "XX", Type: "A", Data: "192.0.2.1"},
		`type: "XX": not a type that named knows`:                                                      {Owner: "a", Type: "XX", Data: "192.0.2.1"},
		`TTL: "500ms": not whole seconds from 0 to 2147483647`:                                         {Owner: "a", TTL: &part, Type: "A", Data: "192.0.2.1"},
		`TTL: "596523h14m8s": not whole seconds from 0 to 2147483647`:                                  {Owner: "a", TTL: &long, Type: "A", Data: "192.0.2.1"},
		`data: "192.0.2.1\nb A 192.0.2.2": byte '\n' cannot stand in a record; in a string it is \010`: {Owner: "a", Type: "A", Data: "192.0.2.1\nb A 192.0.2.2"},
		`data: "( a": parenthesis that is not closed`:                                                  {Owner: "a", Type: "NS", Data: "( a"},
		`data: "a ; b": a comment cannot be part of a record`:                                          {Owner: "a", Type: "NS", Data: "a ; b"},
		`data: "\"a": quote that is not closed on its line`:                                            {Owner: "a", Type: "TXT", Data: `"a`},
		`data: "10": the data ends too early`:                                                          {Owner: "a", Type: "MX", Data: "10"},
		`data: "192.0.2.1 x": "x": more than belongs to the record`:                                    {Owner: "a", Type: "A", Data: "192.0.2.1 x"},
	} {
		_, err := r.RR()
		var bad *ValueError
		require.ErrorAs(t, err, &bad)
		assert.EqualError(t, err, want)
	}
}

// FuzzRR: no data makes anything panic, and what RR returns packs and prints.
func FuzzRR(f *testing.F) {
	seeds := map[string]int{}
	for _, c := range readCases(f) {
		typ, data := c.split()
		if seeds[typ]++; seeds[typ] <= 2 { // to begin with all of them would take ten seconds
			f.Add("a.example.", "IN", typ, data)
		}
	}
	f.Add("a", "CH", "A", "a 0100")
	f.Fuzz(func(t *testing.T, owner, class, typ, data string) {
		code, known := typeCode([]byte(typ))
		if toks, err := dataTokens(data); err == nil && known {
			dataKey(code, toks, "example.")
			holdsAddress(code, toks, []netip.Addr{netip.MustParseAddr("192.0.2.1")})
		}
		rr, err := Record{Owner: owner, Class: class, Type: typ, Data: data}.RR()
		if err != nil {
			var bad *ValueError
			require.ErrorAs(t, err, &bad)
			return
		}
		_, err = dns.PackRR(rr, make([]byte, 1<<17), 0, nil, false)
		require.NoError(t, err)
		_ = rr.String()
	})
}

func BenchmarkRR(b *testing.B) {
	for _, c := range []string{"A 192.0.2.1", "MX 10 mail", `TXT "v=spf1 -all"`, "CNAME www"} {
		typ, data := dataCase{text: c}.split()
		toks, _ := dataTokens(data)
		code, _ := typeCode([]byte(typ))
		b.Run(typ, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rdataRR("www.example.net.", 60, code, toks, "example.net."); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncodeData is what it costs to validate the data of one record.
func BenchmarkEncodeData(b *testing.B) {
	for _, c := range []string{"A 192.0.2.1", "MX 10 mail", `TXT "v=spf1 -all"`, "CNAME www"} {
		typ, data := dataCase{text: c}.split()
		toks, _ := dataTokens(data)
		code, _ := typeCode([]byte(typ))
		b.Run(typ, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encodeData(code, toks, "example.net."); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

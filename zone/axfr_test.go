package zone

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// recordsOf is the records of a zone's text that holds no trap.
func recordsOf(t *testing.T, text string) iter.Seq[Record] {
	t.Helper()
	var records []Record
	parser := dns.NewZoneParser(strings.NewReader(text), "example.net.", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, fromRR(rr))
	}
	require.NoError(t, parser.Err())
	return slices.Values(records)
}

// many is a zone whose transfer takes several messages, with types that the
// parser does not know.
func many(serial uint32) string {
	text := small(serial, "odd TYPE65280 \\# 3 c0ffee", "txt TXT \"a\\\"b;\" \\100ef", "\\.dot\\032blank TXT x",
		"caa CAA 0 issue \"example.org\"", "MiXed MX 10 NS1", "nul TYPE65281 \\# 0", "last TYPE65535 \\# 0")
	var b strings.Builder
	b.WriteString(text)
	for i := range 5000 {
		fmt.Fprintf(&b, "h%d A 192.0.2.%d\n", i, i%250)
	}
	return b.String()
}

func TestAXFREqualsTheFile(t *testing.T) {
	s, r := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; allow-transfer { any; }; };`,
		Files:  map[string]string{"example.net": many(5)},
	})
	ctx := within(t, patience)
	records, err := AXFR(ctx, "Example.net", s.Addr, nil)
	require.NoError(t, err)
	assert.Len(t, records, 5010)
	assert.Equal(t, "SOA", records[0].Type)
	assert.Equal(t, "ns1.example.net. hostmaster.example.net. 5 60 60 3600 60", records[0].Data)
	assert.Empty(t, Diff(recordsOf(t, many(5)), slices.Values(records)))

	edited := strings.Replace(many(6), "odd TYPE65280", "odd 60 TYPE65280", 1)
	changes := Diff(slices.Values(records), recordsOf(t, edited))
	assert.Equal(t, `-example.net. 300 IN SOA ns1.example.net. hostmaster.example.net. 5 60 60 3600 60
+example.net. 300 IN SOA ns1.example.net. hostmaster.example.net. 6 60 60 3600 60
-odd.example.net. 300 IN TYPE65280 \# 3 c0ffee
+odd.example.net. 60 IN TYPE65280 \# 3 c0ffee
`, changes.String())

	write(t, s.Path("example.net"), edited)
	require.NoError(t, r.Reload(ctx, "example.net", 6))
	records, err = AXFR(ctx, "example.net", s.Addr, nil)
	require.NoError(t, err)
	assert.Empty(t, Diff(recordsOf(t, edited), slices.Values(records)))
}

func TestAXFRWithAKey(t *testing.T) {
	key, err := ParseKey("transfer.key", []byte(testKey))
	require.NoError(t, err)
	s, _ := start(t, lab.Named{
		Config: testKey + `zone "example.net" { type primary; file "example.net"; allow-transfer { key transfer; }; };`,
		Files:  map[string]string{"example.net": many(5)},
	})
	ctx := within(t, patience)
	records, err := AXFR(ctx, "example.net", s.Addr, &key)
	require.NoError(t, err)
	assert.Empty(t, Diff(recordsOf(t, many(5)), slices.Values(records)))

	_, err = AXFR(ctx, "example.net", s.Addr, nil)
	assert.EqualError(t, err, fmt.Sprintf("transfer of example.net. from %s: the server answers REFUSED", s.Addr))
	key.Secret, err = ParseSecret("b3RoZXI=")
	require.NoError(t, err)
	_, err = AXFR(ctx, "example.net", s.Addr, &key)
	assert.ErrorContains(t, err, "the server answers NOTAUTH")
}

func TestAXFRAnswers(t *testing.T) {
	key, err := ParseKey("transfer.key", []byte(testKey))
	require.NoError(t, err)
	rr := func(text string) dns.RR {
		rr, err := dns.NewRR(text)
		require.NoError(t, err)
		return rr
	}
	soa, other := rr("example.net. 300 SOA ns1 host 5 1 1 1 1"), rr("example.net. 300 SOA ns1 host 6 1 1 1 1")
	a := rr("example.net. 300 A 192.0.2.1")
	for name, test := range map[string]struct {
		answer []dns.RR
		key    *Key
		err    string
	}{
		"whole":             {[]dns.RR{soa, a, soa}, nil, ""},
		"empty":             {nil, nil, "no records"},
		"no SOA":            {[]dns.RR{a, soa}, nil, "does not begin with"},
		"another zone's":    {[]dns.RR{rr("net. 300 SOA ns1 host 5 1 1 1 1"), a}, nil, "does not begin with"},
		"changed meanwhile": {[]dns.RR{soa, a, other}, nil, "changed during the transfer"},
		"not signed":        {[]dns.RR{soa, a, soa}, &key, "not signed"},
		"cut off":           {[]dns.RR{soa, a}, nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := lab.StartDNS(t, nil, func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg).SetReply(q)
				m.Answer = test.answer
				w.WriteMsg(m)
				w.Close()
			})
			records, err := AXFR(within(t, patience), "example.net", server, test.key)
			if test.err == "" {
				require.NoError(t, err)
				assert.Len(t, records, 2)
				return
			}
			assert.ErrorContains(t, err, test.err)
			assert.Nil(t, records)
		})
	}
}

func TestAXFRFromAMuteServer(t *testing.T) {
	ctx, cancel := context.WithCancel(within(t, patience))
	server := lab.StartDNS(t, nil, func(dns.ResponseWriter, *dns.Msg) { cancel() })
	_, err := AXFR(ctx, "example.net", server, nil)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestDiff(t *testing.T) {
	ttl := func(seconds int) *time.Duration {
		d := time.Duration(seconds) * time.Second
		return &d
	}
	www := Record{Owner: "www.example.net.", TTL: ttl(300), Class: "IN", Type: "A", Data: "192.0.2.1"}
	edit := func(edit func(*Record)) Record {
		r := www
		edit(&r)
		return r
	}
	same := []Record{
		www,
		edit(func(r *Record) { r.Owner = "WWW.Example.NET." }),
		edit(func(r *Record) { r.Owner = `\119ww.example.net.` }),
		edit(func(r *Record) { r.Class, r.Type = "", "a" }),
		edit(func(r *Record) { r.Data = `\# 4 c0000201` }),
		edit(func(r *Record) { r.Type, r.Data = "TYPE1", `\# 4 C0 00 02 01` }),
	}
	for i, r := range same {
		assert.Empty(t, Diff(slices.Values(same[:1]), slices.Values([]Record{r})), "%d", i)
		assert.Empty(t, Diff(slices.Values([]Record{r}), slices.Values(same)), "%d: duplicates", i)
	}
	for i, r := range []Record{
		edit(func(r *Record) { r.TTL = ttl(60) }),
		edit(func(r *Record) { r.Data = "192.0.2.2" }),
		edit(func(r *Record) { r.Class = "CH" }),
		edit(func(r *Record) { r.Type, r.Data = "AAAA", "2001:db8::1" }),
		edit(func(r *Record) { r.Data = "cannot be read" }),
	} {
		changes := Diff(slices.Values(same[:1]), slices.Values([]Record{r}))
		assert.ElementsMatch(t, Changes{{Removed: true, Record: www}, {Record: r}}, changes, "%d", i)
		assert.Empty(t, Diff(slices.Values([]Record{r}), slices.Values([]Record{r})), "%d", i)
	}
	for _, pair := range [][2]string{{"10 Mail.example.net.", "10 mail.EXAMPLE.net."}} {
		a, b := edit(func(r *Record) { r.Type, r.Data = "MX", pair[0] }), edit(func(r *Record) { r.Type, r.Data = "MX", pair[1] })
		assert.Empty(t, Diff(slices.Values([]Record{a}), slices.Values([]Record{b})))
	}
	text := func(data string) iter.Seq[Record] {
		return slices.Values([]Record{edit(func(r *Record) { r.Type, r.Data = "TXT", data })})
	}
	assert.Len(t, Diff(text(`"a"`), text(`"A"`)), 2, "text has its case")
	assert.Empty(t, Diff(text(`"a b"`), text(`a\032b`)))
	assert.Len(t, Diff(text(`"a" "b"`), text(`"ab"`)), 2, "two strings are not one")
}

func TestDiffIsInOrder(t *testing.T) {
	a := recordsOf(t, small(5, "b A 192.0.2.2", "a.b A 192.0.2.2"))
	b := recordsOf(t, small(6, "a A 192.0.2.3", "b A 192.0.2.3", "b AAAA 2001:db8::1"))
	assert.Equal(t, `-example.net. 300 IN SOA ns1.example.net. hostmaster.example.net. 5 60 60 3600 60
+example.net. 300 IN SOA ns1.example.net. hostmaster.example.net. 6 60 60 3600 60
+a.example.net. 300 IN A 192.0.2.3
-b.example.net. 300 IN A 192.0.2.2
+b.example.net. 300 IN A 192.0.2.3
+b.example.net. 300 IN AAAA 2001:db8::1
-a.b.example.net. 300 IN A 192.0.2.2
`, Diff(a, b).String())
}

func BenchmarkDiff(b *testing.B) {
	for _, size := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			records := make([]Record, size)
			for i := range records {
				records[i] = Record{Owner: fmt.Sprintf("h%d.example.net.", i), Type: "A", Data: "192.0.2.1"}
			}
			changed := slices.Clone(records)
			for i := range changed {
				if i%2 == 0 {
					changed[i].Data = "192.0.2.2"
				}
			}
			for b.Loop() {
				if changes := Diff(slices.Values(records), slices.Values(changed)); len(changes) != size {
					b.Fatal(len(changes))
				}
			}
		})
	}
}

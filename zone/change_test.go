package zone

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const startOfZone = "$TTL 60\n@ SOA ns h 1 2h 1h 2w 5m\n@ NS ns\nns A 192.0.2.1\n"

func mustParse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("db", "example.net", []byte(text))
	require.NoError(t, err)
	return f
}

func TestReplaceWithWhatLookupGaveChangesNothing(t *testing.T) {
	signature := "%s RRSIG %s 8 3 300 20300101000000 20200101000000 1 example.net. AAAA\n"
	for _, test := range []struct{ name, typ, lines string }{
		{"nothing", "A", ""},
		{"several TTLs", "A", "www 300 A 192.0.2.1\nmail A 192.0.2.9\nwww 200 A 192.0.2.2\n"},
		{"several TTLs in a group", "A", "www 300 A 192.0.2.1\n 200 A 192.0.2.2\n"},
		{"made by $GENERATE", "A", "$GENERATE 1-3 www A 192.0.2.$\nwww 300 A 192.0.2.9\n"},
		{"written twice", "A", "www A 192.0.2.1\nwww IN A 192.0.2.1\n"},
		{"data that is none", "A", "www A 192.0.2\n"},
		{"mail to a name that is none", "MX", "www MX 10 a..b\n"},
		{"signatures with several TTLs", "RRSIG", fmt.Sprintf(signature, "www 300", "A") + fmt.Sprintf(signature, "www 400", "AAAA")},
		{"an unknown type", "TYPE65280", "www TYPE65280 \\# 2 ABCD\n"},
		{"beside a CNAME", "CNAME", "www CNAME ns\nwww A 192.0.2.1\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := mustParse(t, startOfZone+test.lines)
			found := f.Lookup("www", test.typ)
			assert.Equal(t, test.lines != "", len(found) > 0)
			require.NoError(t, f.Replace("www", test.typ, found...))
			for _, r := range found {
				require.NoError(t, f.Add(r))
			}
			assert.Empty(t, f.Changes())
			assert.False(t, f.edited)
		})
	}
}

func TestRemoveOfWhatNamedRefusesOrIgnores(t *testing.T) {
	negative := -time.Second // the TTL does not matter
	for _, r := range []Record{
		{Owner: "www", Type: "A", Data: "192.0.2", TTL: &negative},
		{Owner: "www.example.org.", Type: "A", Data: "192.0.2.1"},
	} {
		f := mustParse(t, startOfZone+"www A 192.0.2\nwww.example.org. A 192.0.2.1\n")
		removed, err := f.Remove(r)
		require.NoError(t, err)
		assert.True(t, removed)
		assert.Equal(t, 1, strings.Count(string(f.Bytes()), "www"), "%s", f.Bytes())
	}
}

func TestReplaceOfOneSignatureOfTwo(t *testing.T) {
	const of = "%s 8 3 300 20300101000000 20200101000000 1 example.net. AAAA"
	line := "www 300 RRSIG " + of + "\nwww 400 RRSIG " + of + "\n"
	f := mustParse(t, startOfZone+fmt.Sprintf(line, "A", "AAAA"))
	found := f.Lookup("www", "RRSIG")
	require.NoError(t, f.Replace("www", "RRSIG", found[1], Record{Data: fmt.Sprintf(of, "MX")}))
	assert.Equal(t, startOfZone+"www 400 RRSIG "+fmt.Sprintf(of, "AAAA")+"\nwww     RRSIG "+fmt.Sprintf(of, "MX")+"\n", string(f.Bytes()))
}

func TestFirstRecords(t *testing.T) {
	soa := Record{Owner: "@", Type: "SOA", Data: "ns h 1 2h 1h 2w 5m"}
	for _, test := range []struct {
		name, text string
		add        Record
		want       string
	}{
		{"an SOA, whose minimum becomes the default", "", soa, "@ SOA ns h 1 2h 1h 2w 5m\n"},
		{"after a comment", "; example.net\n", soa, "; example.net\n@ SOA ns h 1 2h 1h 2w 5m\n"},
		{"after a comment without a line end", "; example.net", soa, "; example.net\n@ SOA ns h 1 2h 1h 2w 5m\n"},
		{"after a default and a comment", "$TTL 60\n; hosts\n\n", www, "$TTL 60\n; hosts\n\nwww A 192.0.2.2\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := mustParse(t, test.text)
			require.NoError(t, f.Add(test.add))
			assert.Equal(t, test.want, string(f.Bytes()))
		})
	}
	var bad *ValueError
	f := mustParse(t, "")
	require.ErrorAs(t, f.Add(www), &bad)
	assert.Equal(t, "TTL", bad.Field, "there is none to take")

	f = mustParse(t, "; example.net\n")
	require.NoError(t, f.SetTTL(time.Hour))
	assert.Equal(t, "; example.net\n$TTL 3600\n", string(f.Bytes()))
}

func TestAddToAFileThatOnlyIncludes(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"$INCLUDE hosts\n", "$INCLUDE hosts\nwww A 192.0.2.2\n"},
		{"$INCLUDE hosts", "$INCLUDE hosts\nwww A 192.0.2.2\n"},
		{"; all\n$INCLUDE hosts\n; end\n", "; all\n$INCLUDE hosts\n; end\nwww A 192.0.2.2\n"},
	} {
		_, f := onDisk(t, map[string]string{"db": test.text, "hosts": startOfZone})
		require.NoError(t, f.Add(www))
		assert.Equal(t, test.want, string(f.Bytes()))
		found := f.Lookup("www", "A")
		require.Len(t, found, 1)
		assert.Equal(t, time.Minute, *found[0].TTL, "the $TTL of the included file holds on")
		assert.Equal(t, strings.Count(test.want, "\n"), found[0].Line)
	}
}

func TestAFileThatIsIncludedTwiceSaysWhere(t *testing.T) {
	dir, f := onDisk(t, map[string]string{"db": startOfZone + "$INCLUDE hosts\n$INCLUDE hosts\n", "hosts": "www A 192.0.2.1\n"})
	for _, r := range f.Lookup("www", "A") {
		assert.Equal(t, 1, r.Line)
	}
	var bad *ParseError
	require.ErrorAs(t, f.Replace("www", "A"), &bad)
	assert.Equal(t, filepath.Join(dir, "hosts"), bad.File)
	assert.Equal(t, 1, bad.Line)
}

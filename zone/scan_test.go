package zone

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A scanTest is a spelling, and what named reads from it beside the records of
// head or, where that is a zone by itself, in all.
type scanTest struct {
	name string
	in   string
	want string // a record a line, sorted
}

var scanTests = []scanTest{
	{"quotes break words", head + "www TXT ab\"cd\"ef\n", `www.example.net. 3600 IN TXT "ab" "cd" "ef"`},
	{"parentheses break words", head + "www(TXT)ab(cd)ef\n", `www.example.net. 3600 IN TXT "ab" "cd" "ef"`},
	{"a backslash takes a line end into a string", head + "www TXT \"a\\\nb\"\n", `www.example.net. 3600 IN TXT "a\010b"`},
	{"a carriage return ends a line", head + "www A 192.0.2.2\r TXT x\r\n", "www.example.net. 3600 IN A 192.0.2.2\nwww.example.net. 3600 IN TXT \"x\""},
	{"a carriage return does not end a comment", head + "www A 192.0.2.2 ; x\r TXT x\r\n", "www.example.net. 3600 IN A 192.0.2.2"},
	{"directives ignore case", head + "$OrIgIn sub\n$ttl 5\nwww A 192.0.2.2\n", "www.sub.example.net. 5 IN A 192.0.2.2"},
	{"a directive that does not begin its line is an owner's type", head + "www TXT x\n TXT $TTL\n", "www.example.net. 3600 IN TXT \"$TTL\"\nwww.example.net. 3600 IN TXT \"x\""},
	{"TTL and class in either order", head + "a IN 1d A 192.0.2.2\nb 1d IN A 192.0.2.2\n", "a.example.net. 86400 IN A 192.0.2.2\nb.example.net. 86400 IN A 192.0.2.2"},
	{"units in any order, and twice", head + "a 30m1h A 192.0.2.2\nb 1h1h A 192.0.2.2\n", "a.example.net. 5400 IN A 192.0.2.2\nb.example.net. 7200 IN A 192.0.2.2"},
	{"types, classes and TTLs are owners too", head + "A IN A 192.0.2.2\nIN IN A 192.0.2.2\n60 A 192.0.2.2\nmx MX 0 ns1\n",
		"60.example.net. 3600 IN A 192.0.2.2\na.example.net. 3600 IN A 192.0.2.2\nin.example.net. 3600 IN A 192.0.2.2\nmx.example.net. 3600 IN MX 0 ns1.example.net."},
	{"escapes", head + "\\097.b TXT x\na\\.b TXT x\n", "a.b.example.net. 3600 IN TXT \"x\"\na\\.b.example.net. 3600 IN TXT \"x\""},
	{"the first TTL of a set counts within an owner block", head + "www 60 A 192.0.2.2\n 90 A 192.0.2.3\n", "www.example.net. 60 IN A 192.0.2.2\nwww.example.net. 60 IN A 192.0.2.3"},
	{"the last owner block's TTL counts", head + "www 60 A 192.0.2.2\na TXT x\nwww 90 A 192.0.2.3\n",
		"a.example.net. 3600 IN TXT \"x\"\nwww.example.net. 90 IN A 192.0.2.2\nwww.example.net. 90 IN A 192.0.2.3"},
	{"glue does not end an owner block", head + "c NS ns.c\nns.c A 192.0.2.2\nc 90 NS ns1\n",
		"c.example.net. 3600 IN NS ns.c.example.net.\nc.example.net. 3600 IN NS ns1.example.net.\nns.c.example.net. 3600 IN A 192.0.2.2"},
	{"without a $TTL the TTL before", oldHead + "www 60 A 192.0.2.2\na TXT x\n", "a.example.net. 60 IN TXT \"x\"\nwww.example.net. 60 IN A 192.0.2.2"},
	{"without a $TTL the TTL that counts in the set before", oldHead + "www 60 A 192.0.2.2\n 90 A 192.0.2.3\na TXT x\n",
		"a.example.net. 60 IN TXT \"x\"\nwww.example.net. 60 IN A 192.0.2.2\nwww.example.net. 60 IN A 192.0.2.3"},
	{"without a $TTL glue of a second name server does not end an owner block",
		oldHead + "c NS ns.c\nc NS ns2.c\nc 70 TXT x\nns2.c 60 A 192.0.2.2\nc 80 TXT y\nns.c A 192.0.2.3\n",
		"c.example.net. 3600 IN NS ns.c.example.net.\nc.example.net. 3600 IN NS ns2.c.example.net.\nc.example.net. 70 IN TXT \"x\"\nc.example.net. 70 IN TXT \"y\"\nns.c.example.net. 70 IN A 192.0.2.3\nns2.c.example.net. 60 IN A 192.0.2.2"},
	{"$GENERATE", head + "$GENERATE 8-10/2 h${0,3,d} 60 A 192.0.2.$\n", "h008.example.net. 60 IN A 192.0.2.8\nh010.example.net. 60 IN A 192.0.2.10"},
	{"the offset of a $GENERATE goes on", head + "$GENERATE 1-1 h${5}-$-${2,2,x} TXT ${1}$\n", `h6-6-03.example.net. 3600 IN TXT "22"`},
	{"data outside of the zone is ignored", head + "www.example.org. A 192.0.2.2\n TXT x\n", ""},
	{"no line end", head + "www A 192.0.2.2", "www.example.net. 3600 IN A 192.0.2.2"},
}

func TestScan(t *testing.T) {
	for _, test := range scanTests {
		t.Run(test.name, func(t *testing.T) {
			compiled, log, err := compileAll(t, t.TempDir(), map[string]string{mainFile: test.in})
			require.NoError(t, err, log)
			f, err := Parse("zone", fuzzOrigin, []byte(test.in))
			require.NoError(t, err)
			read := canonAll(f, fuzzOrigin)
			assert.Empty(t, compiled.diff(read))
			begin, err := Parse("zone", fuzzOrigin, []byte(head))
			require.NoError(t, err)
			read.remove(func(c canon) bool { return canonAll(begin, fuzzOrigin)[c] })
			var got []string
			for _, c := range read.sorted() {
				got = append(got, c.String())
			}
			assert.Equal(t, test.want, strings.Join(got, "\n"))
			assert.Equal(t, test.in, string(f.Bytes()))
		})
	}
}

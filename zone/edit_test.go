package zone

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An editTest is an edit of the zone example.net, and what becomes of the text
// and of the zone that named compiles from it.
type editTest struct {
	name  string
	in    string // the main file, or a txtar archive with one called "zone"
	edit  func(*File) error
	want  string // all files as in in; "" if the edit is refused
	diff  string // of the compiled zone: "- gone" and "+ come", a record a line
	fails string // what the error says
}

// head is how the zones of a table begin.
const head = "$TTL 1h\n@ SOA ns1 host 7 3h 1h 1w 300\n@ NS ns1\nns1 A 192.0.2.1\n"

// oldHead is without a $TTL.
const oldHead = "@ 1h SOA ns1 host 7 3h 1h 1w 300\n@ NS ns1\nns1 A 192.0.2.1\n"

// noRecords are more lines than a block has.
var noRecords = strings.Repeat("$ORIGIN @\n", 2*blockSize)

func adds(owner string, ttl int, typ, data string) func(*File) error {
	return func(f *File) error { return f.Add(rec(owner, ttl, typ, data)) }
}

func removes(owner, typ, data string) func(*File) error {
	return func(f *File) error {
		_, err := f.Remove(rec(owner, -1, typ, data))
		return err
	}
}

func replaces(owner, typ string, ttl int, data ...string) func(*File) error {
	return func(f *File) error {
		var rs []Record
		for _, d := range data {
			rs = append(rs, rec(owner, ttl, typ, d))
		}
		return f.Replace(owner, typ, rs...)
	}
}

func lowers(limit time.Duration) func(*File) error {
	return func(f *File) error {
		_, err := f.LowerTTLs(limit)
		return err
	}
}

func bumps(f *File) error {
	_, err := f.Bump(Increment, time.Time{})
	return err
}

// rec is a record with a TTL in seconds; -1 is none.
func rec(owner string, ttl int, typ, data string) Record {
	r := Record{Owner: owner, Type: typ, Data: data}
	if d := time.Duration(ttl) * time.Second; ttl >= 0 {
		r.TTL = &d
	}
	return r
}

var editTests = []editTest{
	{
		name: "trap 1: the first record of an owner block goes",
		in:   head + "www  A 192.0.2.2 ; the old one\n     A 192.0.2.3 ; the new one\n\tTXT x\n",
		edit: removes("www", "A", "192.0.2.2"),
		want: head + "www  A 192.0.2.3 ; the new one\n\tTXT x\n",
		diff: "- www.example.net. 3600 IN A 192.0.2.2",
	}, {
		name: "trap 2: a line without an owner is not the place for another owner",
		in:   head + "www A 192.0.2.2\n  TXT x ; of www\n\n; mail\nmail A 192.0.2.3\n",
		edit: adds("ftp", -1, "A", "192.0.2.4"),
		want: head + "www A 192.0.2.2\n  TXT x ; of www\n\n; mail\nmail A 192.0.2.3\nftp  A 192.0.2.4\n",
		diff: "+ ftp.example.net. 3600 IN A 192.0.2.4",
	}, {
		name: "trap 2: the owner of a record is relative to the origin where it goes",
		in:   head + "$ORIGIN sub\nwww A 192.0.2.2 ; www.sub\n$ORIGIN example.org.\n",
		edit: adds("www.sub", -1, "AAAA", "2001:db8::2"),
		want: head + "$ORIGIN sub\nwww A 192.0.2.2 ; www.sub\nwww AAAA 2001:db8::2\n$ORIGIN example.org.\n",
		diff: "+ www.sub.example.net. 3600 IN AAAA 2001:db8::2",
	}, {
		name: "trap 2: an owner that goes on at another origin is not parted",
		in:   head + "www 60 A 192.0.2.2\n$ORIGIN sub\n A 192.0.2.3 ; of www too\n",
		edit: adds("ftp", -1, "A", "192.0.2.4"),
		want: head + "ftp A 192.0.2.4\nwww 60 A 192.0.2.2\n$ORIGIN sub\n A 192.0.2.3 ; of www too\n",
		diff: "+ ftp.example.net. 3600 IN A 192.0.2.4",
	}, {
		name: "trap 3: without a $TTL a new TTL is not that of the records after it",
		in:   oldHead + "www A 192.0.2.2\nmail A 192.0.2.3 ; takes what stands above\n",
		edit: adds("www", 60, "TXT", "x"),
		want: oldHead + "www A 192.0.2.2\nwww 60 TXT x\nmail 3600 A 192.0.2.3 ; takes what stands above\n",
		diff: "+ www.example.net. 60 IN TXT \"x\"",
	}, {
		name: "trap 3: without a $TTL a TTL that goes is still that of the records after it",
		in:   oldHead + "www 60 A 192.0.2.2\nmail A 192.0.2.3 ; takes what stands above\nftp A 192.0.2.4\n",
		edit: removes("www", "A", "192.0.2.2"),
		want: oldHead + "mail 60 A 192.0.2.3 ; takes what stands above\nftp A 192.0.2.4\n",
		diff: "- www.example.net. 60 IN A 192.0.2.2",
	}, {
		name: "trap 4: TTLs that records state are lowered too",
		in:   "$TTL 1d ; a day\n@ 2d SOA ns1 host 7 3h 1h 1w 300\n@ NS ns1\nns1 1W A 192.0.2.1\nwww 60 A 192.0.2.2\n$GENERATE 1-2 h$ 1d A 192.0.2.$\n$GENERATE 1-2 g$ A 192.0.2.$\n",
		edit: lowers(5 * time.Minute),
		want: "$TTL 5m ; a day\n@ 5m SOA ns1 host 7 3h 1h 1w 300\n@ NS ns1\nns1 5M A 192.0.2.1\nwww 60 A 192.0.2.2\n$GENERATE 1-2 h$ 5m A 192.0.2.$\n$GENERATE 1-2 g$ A 192.0.2.$\n",
		diff: `
- example.net. 172800 IN SOA ns1.example.net. host.example.net. 7 10800 3600 604800 300
- example.net. 86400 IN NS ns1.example.net.
- g1.example.net. 86400 IN A 192.0.2.1
- g2.example.net. 86400 IN A 192.0.2.2
- h1.example.net. 86400 IN A 192.0.2.1
- h2.example.net. 86400 IN A 192.0.2.2
- ns1.example.net. 604800 IN A 192.0.2.1
+ example.net. 300 IN NS ns1.example.net.
+ example.net. 300 IN SOA ns1.example.net. host.example.net. 7 10800 3600 604800 300
+ g1.example.net. 300 IN A 192.0.2.1
+ g2.example.net. 300 IN A 192.0.2.2
+ h1.example.net. 300 IN A 192.0.2.1
+ h2.example.net. 300 IN A 192.0.2.2
+ ns1.example.net. 300 IN A 192.0.2.1`,
	}, {
		name: "trap 4: the SOA's minimum is the default of a zone without any TTL",
		in:   "; a zone\n@ SOA ns1 host 7 3h 1h 1w 1h\n@ NS ns1\nns1 A 192.0.2.1\n",
		edit: lowers(5 * time.Minute),
		want: "; a zone\n$TTL 300\n@ SOA ns1 host 7 3h 1h 1w 1h\n@ NS ns1\nns1 A 192.0.2.1\n",
		diff: `
- example.net. 3600 IN NS ns1.example.net.
- example.net. 3600 IN SOA ns1.example.net. host.example.net. 7 10800 3600 604800 3600
- ns1.example.net. 3600 IN A 192.0.2.1
+ example.net. 300 IN NS ns1.example.net.
+ example.net. 300 IN SOA ns1.example.net. host.example.net. 7 10800 3600 604800 3600
+ ns1.example.net. 300 IN A 192.0.2.1`,
	}, {
		name: "trap 5: the serial is in an included file",
		in:   "-- zone --\n$TTL 1h\n$INCLUDE soa ; shared\n@ NS ns1\nns1 A 192.0.2.1\n-- soa --\n@ SOA ns1 host ( 7 ; serial\n 3h 1h 1w 300 )\n",
		edit: bumps,
		want: "-- zone --\n$TTL 1h\n$INCLUDE soa ; shared\n@ NS ns1\nns1 A 192.0.2.1\n-- soa --\n@ SOA ns1 host ( 8 ; serial\n 3h 1h 1w 300 )\n",
		diff: serial7to8,
	}, {
		name: "a zone that is but included files has its new records after them",
		in:   "-- zone --\n$INCLUDE soa\n$INCLUDE hosts\n-- soa --\n" + head + "-- hosts --\nwww A 192.0.2.2\n$TTL 60\n",
		edit: adds("ftp", -1, "A", "192.0.2.4"),
		want: "-- zone --\n$INCLUDE soa\n$INCLUDE hosts\nftp A 192.0.2.4\n-- soa --\n" + head + "-- hosts --\nwww A 192.0.2.2\n$TTL 60\n",
		diff: "+ ftp.example.net. 60 IN A 192.0.2.4",
	}, {
		name: "trap 8: a final $INCLUDE has no end",
		in:   "-- soa --\n" + head + "-- zone --\n; all of it\r\n$INCLUDE soa",
		edit: adds("ftp", -1, "A", "192.0.2.4"),
		want: "-- soa --\n" + head + "-- zone --\n; all of it\r\n$INCLUDE soa\r\nftp A 192.0.2.4\r\n",
		diff: "+ ftp.example.net. 3600 IN A 192.0.2.4",
	}, {
		name: "trap 6: a comment and a TXT hold the digits of the serial",
		in:   "$TTL 1h\n; serial 7 (\n@ SOA ns1 host ( ; 7 ; serial (\n 7 ; 7 was the serial\n 3h 1h 1w 300 )\n@ NS ns1\nns1 A 192.0.2.1\n7 TXT \"7\"\n",
		edit: bumps,
		want: "$TTL 1h\n; serial 7 (\n@ SOA ns1 host ( ; 7 ; serial (\n 8 ; 7 was the serial\n 3h 1h 1w 300 )\n@ NS ns1\nns1 A 192.0.2.1\n7 TXT \"7\"\n",
		diff: serial7to8,
	}, {
		name: "trap 7: the serial sticks to a parenthesis",
		in:   "$TTL 1h\n@ SOA ns1 host(7\n3h 1h 1w\n;\n300);glued\n@ NS ns1\nns1 A 192.0.2.1\n",
		edit: bumps,
		want: "$TTL 1h\n@ SOA ns1 host(8\n3h 1h 1w\n;\n300);glued\n@ NS ns1\nns1 A 192.0.2.1\n",
		diff: serial7to8,
	}, {
		name: "trap 7: the SOA is on ten lines, the serial written with zeros",
		in:   "$TTL 1h\n@ (\nIN\nSOA\nns1\nhost\n007\n3h\n1h ; retry\n1w\n300 )\n@ NS ns1\nns1 A 192.0.2.1\n",
		edit: bumps,
		want: "$TTL 1h\n@ (\nIN\nSOA\nns1\nhost\n8\n3h\n1h ; retry\n1w\n300 )\n@ NS ns1\nns1 A 192.0.2.1\n",
		diff: serial7to8,
	}, {
		name: "trap 7: the SOA is generic data",
		in:   "$TTL 1h\n@ TYPE6 \\# 38 036e7331076578616d706c65036e657400 00 ( 0000\n0007 00002a30 00000e10 00093a80 0000012c )\n@ NS ns1\nns1 A 192.0.2.1\n",
		edit: bumps,
		want: "$TTL 1h\n@ TYPE6 \\# 38 036e7331076578616d706c65036e657400 00 ( 0000\n0008 00002a30 00000e10 00093a80 0000012c )\n@ NS ns1\nns1 A 192.0.2.1\n",
		diff: strings.ReplaceAll(serial7to8, "host.example.net.", "."),
	}, {
		name: "trap 8: the last line has no end",
		in:   head + "www A 192.0.2.2 ; last",
		edit: adds("www", -1, "A", "192.0.2.3"),
		want: head + "www A 192.0.2.2 ; last\nwww A 192.0.2.3\n",
		diff: "+ www.example.net. 3600 IN A 192.0.2.3",
	}, {
		name: "trap 8: line ends, tabs and odd bytes stay",
		in:   strings.ReplaceAll(head, "\n", "\r\n") + "www\t\tA\t192.0.2.2\t; caf\xe9\r\n\t\tTXT\t\"\xff\"\nmail\tA 192.0.2.3\r\n",
		edit: replaces("www", "A", -1, "192.0.2.4", "192.0.2.5"),
		want: strings.ReplaceAll(head, "\n", "\r\n") + "www\t\tA\t192.0.2.4\t; caf\xe9\r\n\t\tA\t192.0.2.5\r\n\t\tTXT\t\"\xff\"\nmail\tA 192.0.2.3\r\n",
		diff: "- www.example.net. 3600 IN A 192.0.2.2\n+ www.example.net. 3600 IN A 192.0.2.4\n+ www.example.net. 3600 IN A 192.0.2.5",
	}, {
		name:  "trap 9: what a $GENERATE makes is not edited",
		in:    head + "$GENERATE 1-3 h$ A 192.0.2.$\n",
		edit:  removes("h2", "A", "192.0.2.2"),
		fails: "zone:5: h2.example.net. A is made by $GENERATE here",
	}, {
		name: "trap 12: what is there is not changed",
		in:   head + "www 60 IN A 192.0.2.2\n",
		edit: func(f *File) error { return f.Replace("www", "A", f.Lookup("WWW.example.net.", "A")...) },
		want: head + "www 60 IN A 192.0.2.2\n",
	}, {
		name: "a record that is named twice goes twice",
		in:   head + "www A 192.0.2.2\n\\119ww A 192.0.2.3\nWWW TYPE1 \\# 4 C0000202\n",
		edit: removes("www", "A", "192.0.2.2"),
		want: head + "\\119ww A 192.0.2.3\n",
		diff: "- www.example.net. 3600 IN A 192.0.2.2",
	}, {
		name: "a set keeps its TTL when the record that decided goes",
		in:   oldHead + "www A 192.0.2.2\nwww 60 A 192.0.2.3\n@ TXT x\n",
		edit: replaces("www", "A", -1, "192.0.2.3"),
		want: oldHead + "www 3600 A 192.0.2.3\n@ TXT x\n",
		diff: "- www.example.net. 3600 IN A 192.0.2.2",
	}, {
		name: "a set keeps the TTL that its first record stated, now that it goes",
		in:   oldHead + "www 60 TXT x\n  70 A 192.0.2.2\n  A 192.0.2.3 ; of 70 too\n",
		edit: removes("www", "A", "192.0.2.2"),
		want: oldHead + "www 60 TXT x\n  70 A 192.0.2.3 ; of 70 too\n",
		diff: "- www.example.net. 70 IN A 192.0.2.2",
	}, {
		name: "a set keeps its TTL when it is no longer parted by another owner",
		in:   head + "www A 192.0.2.2\nmail A 192.0.2.3\nwww 60 A 192.0.2.4\n",
		edit: removes("mail", "A", "192.0.2.3"),
		want: head + "www 60 A 192.0.2.2\nwww 60 A 192.0.2.4\n",
		diff: "- mail.example.net. 3600 IN A 192.0.2.3",
	}, {
		name: "a set keeps its TTL when only lines that are no records part it",
		in:   head + "www A 192.0.2.2\n" + noRecords + "mail A 192.0.2.3\nwww 60 A 192.0.2.4\n",
		edit: removes("mail", "A", "192.0.2.3"),
		want: head + "www 60 A 192.0.2.2\n" + noRecords + "www 60 A 192.0.2.4\n",
		diff: "- mail.example.net. 3600 IN A 192.0.2.3",
	}, {
		name: "a set keeps its TTL when it is parted by glue only",
		in:   head + "child NS ns.child\nns.child A 192.0.2.2\nwww A 192.0.2.3\nchild 60 NS ns1\n",
		edit: removes("www", "A", "192.0.2.3"),
		want: head + "child 60 NS ns.child\nns.child A 192.0.2.2\nchild 60 NS ns1\n",
		diff: "- www.example.net. 3600 IN A 192.0.2.3",
	}, {
		name: "two sets of one owner keep their TTLs when an owner in other letters goes",
		in:   head + "www HINFO a b\nWWW HINFO c d\n 60 TXT x\nwww TXT y\n",
		edit: removes("www", "HINFO", "c d"),
		want: head + "www HINFO a b\n 3600 TXT x\nwww TXT y\n",
		diff: "- www.example.net. 3600 IN HINFO \"c\" \"d\"",
	}, {
		name: "words whose quotes go are kept apart",
		in:   head + "www TXT\"a\"\"b\"\"c\" ; touch\n",
		edit: replaces("www", "TXT", -1, `d e "f"`),
		want: head + "www TXT d e\"f\" ; touch\n",
		diff: "- www.example.net. 3600 IN TXT \"a\" \"b\" \"c\"\n+ www.example.net. 3600 IN TXT \"d\" \"e\" \"f\"",
	}, {
		name: "the SOA's minimum is no longer the default, and another record decides",
		in:   "@ SOA ns1 host 7 3h 1h 1w 300\n@ NS ns1\nns1 A 192.0.2.1\nwww 60 A 192.0.2.2\n A 192.0.2.3\nmail A 192.0.2.4\n",
		edit: replaces("@", "SOA", 0, "ns1 host 7 3h 1h 1w 300"),
		want: "@ 0 SOA ns1 host 7 3h 1h 1w 300\n@ 300 NS ns1\nns1 A 192.0.2.1\nwww 60 A 192.0.2.2\n 300 A 192.0.2.3\nmail 300 A 192.0.2.4\n",
		diff: "- example.net. 300 IN SOA ns1.example.net. host.example.net. 7 10800 3600 604800 300\n+ example.net. 0 IN SOA ns1.example.net. host.example.net. 7 10800 3600 604800 300",
	},
}

const serial7to8 = "- example.net. 3600 IN SOA ns1.example.net. host.example.net. 7 10800 3600 604800 300\n+ example.net. 3600 IN SOA ns1.example.net. host.example.net. 8 10800 3600 604800 300"

// archive reads the files of a test, of which the last may have no line end.
func archive(text string) map[string]string {
	files := map[string]string{}
	for _, f := range txtar.Parse([]byte(text)).Files {
		files[f.Name] = string(f.Data)
		if f.Name == mainFile && !strings.HasSuffix(text, "\n") {
			files[f.Name] = strings.TrimSuffix(files[f.Name], "\n")
		}
	}
	if len(files) == 0 {
		files[mainFile] = text
	}
	return files
}

func TestEdits(t *testing.T) {
	for _, test := range editTests {
		t.Run(test.name, func(t *testing.T) {
			dir, files := t.TempDir(), archive(test.in)
			before, log, err := compileAll(t, dir, files)
			require.NoError(t, err, log)
			f, err := openZone(dir, fuzzOrigin)
			require.NoError(t, err)
			err = test.edit(f)
			if test.fails != "" {
				assert.ErrorContains(t, err, test.fails)
				assert.Equal(t, files, filesOf(f, dir))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, archive(test.want), filesOf(f, dir))
			after, log, err := compileAll(t, filepath.Join(dir, "after"), filesOf(f, dir))
			require.NoError(t, err, log)
			assert.Equal(t, strings.TrimSpace(test.diff), strings.TrimSpace(before.diff(after)))
			assert.Empty(t, after.diff(canonAll(f, fuzzOrigin)), "All is what named compiles")
		})
	}
}

// TestEditsWhereABlockEnds makes the edits below so many other lines that what
// they touch is in two blocks.
func TestEditsWhereABlockEnds(t *testing.T) {
	for _, test := range editTests {
		for _, start := range []string{head, oldHead} {
			in, ok := strings.CutPrefix(test.in, start)
			want, same := strings.CutPrefix(test.want, start)
			if !ok || !same {
				continue
			}
			for n := blockSize - 12; n <= blockSize; n++ {
				above := start + strings.Repeat("$ORIGIN @\n", n)
				f, err := Parse("zone", fuzzOrigin, []byte(above+in))
				require.NoError(t, err)
				require.NoError(t, test.edit(f), "%s, with %d lines above", test.name, n)
				wanted, err := Parse("zone", fuzzOrigin, []byte(above+want))
				require.NoError(t, err)
				again, err := Parse("zone", fuzzOrigin, f.Bytes())
				require.NoError(t, err)
				for _, got := range []*File{f, again} {
					diff := canonAll(wanted, fuzzOrigin).diff(canonAll(got, fuzzOrigin))
					require.Empty(t, diff, "%s, with %d lines above", test.name, n)
				}
			}
		}
	}
}

func compileAll(t *testing.T, dir string, files map[string]string) (canonSet, string, error) {
	list, log, err := compile(t, dir, fuzzOrigin, files[mainFile], files)
	set := canonSet{}
	for _, c := range list {
		set[c] = true
	}
	return set, log, err
}

// named loads nothing that is older than its last load, and other programs may
// have changed the file.
func TestTrap11SaveKeepsWhatAFileIsAndRenewsItsTime(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real"), filepath.Join(dir, "zone")
	require.NoError(t, os.WriteFile(path, []byte(head), 0o640))
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, os.Symlink("real", link))
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	f, err := Open(link, fuzzOrigin, nil)
	require.NoError(t, err)
	other, err := Open(link, fuzzOrigin, nil)
	require.NoError(t, err)
	started := time.Now().Add(-time.Second) // clocks of file systems are coarse
	for _, f := range []*File{f, other} {
		require.NoError(t, f.Add(Address("www", netip.MustParseAddr("192.0.2.2"))))
		assert.ErrorIs(t, f.Save(t.Context()), ErrSerial)
		require.NoError(t, bumps(f))
	}
	require.NoError(t, f.Save(t.Context()))
	assert.ErrorIs(t, other.Save(t.Context()), ErrStale)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	assert.True(t, info.ModTime().After(started))
	target, err := os.Readlink(link)
	require.NoError(t, err)
	assert.Equal(t, "real", target)
}

func TestTrap13WhatDoesNotEndIsAnErrorWithItsPlace(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"a quote", head + "www TXT \"x\nmail A 192.0.2.2\n", "zone:5:9: quote that is not closed"},
		{"a parenthesis", head + "www TXT ( x\nmail A 192.0.2.2\n", "zone:5:9: parenthesis that is not closed"},
		{"a file that includes itself", head + "$INCLUDE zone\n", "zone:5:10: $INCLUDE of \"zone\", which leads back to itself"},
		{"files that include each other", "-- zone --\n" + head + "$INCLUDE a\n-- a --\n$INCLUDE b\n-- b --\n\n$INCLUDE a\n", "b:2:10: $INCLUDE of \"a\", which leads back to itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if strings.Contains(test.in, "$INCLUDE") { // named runs out of files, or of memory
				for path, text := range archive(test.in) {
					require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600))
				}
			} else {
				_, _, err := compileAll(t, dir, archive(test.in))
				require.ErrorIs(t, err, errRefused)
			}
			_, err := openZone(dir, fuzzOrigin)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

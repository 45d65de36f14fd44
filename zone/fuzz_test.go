package zone

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const fuzzOrigin = "example.net."

const plainZone = "$TTL 300\n@ IN SOA ns1 host.master 2024010101 3h 1h 1w 300\n\tNS ns1\nns1\tA 192.0.2.1\n\tAAAA 2001:db8::1\nwww 60 IN A 192.0.2.2 ; the web\n\tTXT \"v=spf1 ip4:192.0.2.1 -all\"\n"

// awkward are zones that everyone tries first.
func awkward() []string {
	list := []string{
		"", "\n", ";", "()", plainZone, strings.ReplaceAll(plainZone, "\n", "\r\n"), strings.ReplaceAll(plainZone, "\n", "\r"),
		strings.TrimSuffix(plainZone, "\n"),
		"@ SOA . . (007;serial\n1 1 1 5);x\n@ NS ns1\nns1 TYPE1 \\# 4 c0000201",
		"@ 5 TYPE6 \\# 22 0000 00000001 00000002 ( 00000003 ; 1\n0000000400 000005 )\n",
		"@ SOA ns1 h (\n ; serial 2024010101\n 2024010101 ; serial (\n 1h ; \"\n 1h 1h 1h )\n",
		plainZone + "$ORIGIN sub\nIN IN IN A 192.0.2.3\n$ORIGIN example.com.\n\tTXT out\n@ TXT of\n",
		plainZone + "$GENERATE 1-3/2 h${0,3,d} 60 A 192.0.2.$\n TXT x\n$TTL 5\n$INCLUDE f sub ; not followed\n",
		plainZone + "www 5 A 192.0.2.2\nWWW 6 A 192.0.2.3\n\\119ww A 192.0.2.4\nc CNAME www\n",
		plainZone + "a\\.b TXT ab\"cd\"ef(\n) \"a\\\nb\" \\\"\n(t(TXT)a;\n)\n$ORIGIN .\nx TXT y\n",
		plainZone + "x TYPE65280 \\# 3 ( 01\n 0203 )\n* 1h1h TXT \xe9 ; \xff\n",
	}
	for seed := range uint64(8) {
		list = append(list, newRandomZone(seed).Files[mainFile])
	}
	return list
}

// most is how many records are compared: $GENERATE makes millions of one line.
const most = 2000

// readAll returns the records of a file, counted, without their places; ok is false
// if there are too many.
func readAll(f *File) (records map[Record]int, ttls map[Record]time.Duration, ok bool) {
	records, ttls = map[Record]int{}, map[Record]time.Duration{}
	for r := range f.All() {
		if len(records) > most {
			return nil, nil, false
		}
		ttl := *r.TTL
		r.Owner, r.TTL, r.File, r.Line = strings.ToLower(r.Owner), nil, "", 0
		records[r]++
		ttls[r] = ttl
	}
	return records, ttls, true
}

// FuzzParse reads any text: nothing panics or hangs, no byte is lost, and every
// place is one in the text.
func FuzzParse(f *testing.F) {
	for _, text := range awkward() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("zone", fuzzOrigin, text)
		if err != nil {
			parseErr, ok := errors.AsType[*ParseError](err)
			require.True(t, ok, err)
			require.LessOrEqual(t, parseErr.Line, strings.Count(string(text), "\n")+1)
			return
		}
		require.Equal(t, string(text), string(file.Bytes()), "Parse(x).Bytes() is x")
		n := 0
		for r := range file.All() {
			require.NotNil(t, r.TTL)
			require.True(t, strings.HasSuffix(r.Owner, "."), r.Owner)
			require.NotContains(t, r.Data, "\n")
			require.GreaterOrEqual(t, r.Line, 1)
			if n++; n > most {
				return
			}
		}
		for _, p := range file.Check() {
			require.LessOrEqual(t, p.Line, strings.Count(string(text), "\n")+1)
		}
	})
}

// FuzzEdit makes any edit with any words in any text. What it adds is one
// record, of the RRset that it names; the rest means what it meant.
func FuzzEdit(f *testing.F) {
	for _, text := range awkward() {
		for op := range byte(5) {
			f.Add([]byte(text), op, "www", "A", "192.0.2.9", int32(300))
			f.Add([]byte(text), op, "@", "TXT", `a "b;c" d`, int32(-1))
		}
	}
	for _, word := range []string{"x\n$TTL 5", "x ; y", "x (", `"`, `\`, "a b", "", ".", "@", "x\ry", "$TTL", "$x", "(", "\x00", "\xff", "x A 192.0.2.7\ny"} {
		f.Add([]byte(plainZone), byte(0), word, "A", "192.0.2.9", int32(300))
		f.Add([]byte(plainZone), byte(0), "www", word, "192.0.2.9", int32(300))
		f.Add([]byte(plainZone), byte(1), "www", "TXT", word, int32(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, op byte, owner, typ, data string, seconds int32) {
		file, err := Parse("zone", fuzzOrigin, text)
		if err != nil {
			return
		}
		before, ttlsBefore, ok := readAll(file)
		if !ok {
			return
		}
		r := Record{Owner: owner, Type: typ, Data: data}
		if ttl := time.Duration(seconds) * time.Second; seconds >= 0 {
			r.TTL = &ttl
		}
		switch op % 5 {
		case 0:
			err = file.Add(r)
		case 1:
			err = file.Replace(owner, typ, r)
		case 2:
			err = file.Replace(owner, typ)
		case 3:
			_, err = file.Remove(r)
		case 4: // of what is there, in place of what the words say
			if list := slices.Collect(file.All()); len(list) > 0 {
				r = list[int(uint32(seconds)%uint32(len(list)))]
				_, err = file.Remove(r)
			}
		}
		if err != nil {
			require.Equal(t, string(text), string(file.Bytes()), "a failed edit leaves the file untouched")
			return
		}
		after, ttls, _ := readAll(file)
		sets := map[rrsetName]bool{} // that changed
		var added []Record
		for c := range after {
			if before[c] == 0 {
				added = append(added, c)
			}
			if before[c] == 0 || ttls[c] != ttlsBefore[c] {
				sets[rrsetName{c.Owner, c.Type}] = true
			}
		}
		for c := range before {
			if after[c] == 0 {
				sets[rrsetName{c.Owner, c.Type}] = true
			}
		}
		require.LessOrEqual(t, len(sets), 1, "one RRset changes")
		require.LessOrEqual(t, len(added), 1, "one record comes")
		if len(added) == 1 {
			requireMeant(t, r, added[0])
		}
		again, err := Parse("zone", fuzzOrigin, file.Bytes())
		require.NoError(t, err, "parsing again")
		records, ttlsAgain, _ := readAll(again)
		require.Equal(t, after, records, "parsing again gives what was set")
		require.Equal(t, ttls, ttlsAgain)
	})
}

// requireMeant compares what came with what the words mean to miekg/dns, as far
// as it takes them: raw control characters it drops.
func requireMeant(t *testing.T, meant, came Record) {
	if strings.ContainsFunc(meant.Owner+meant.Type+meant.Data, unicode.IsControl) {
		return
	}
	want, err := canonRecord(meant, fuzzOrigin)
	if err != nil {
		return
	}
	zero := time.Duration(0)
	meant.TTL, came.TTL, want.TTL = nil, &zero, 0
	require.Equal(t, want, canonOf(came))
}

// FuzzSerial raises the serial of any text: nothing but its digits changes.
func FuzzSerial(f *testing.F) {
	for _, text := range awkward() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("zone", fuzzOrigin, text)
		if err != nil {
			return
		}
		before, ttls, ok := readAll(file)
		if !ok {
			return
		}
		old, err := file.Serial()
		if err != nil {
			return
		}
		serial, err := file.Bump(Increment, time.Time{})
		if err != nil {
			require.Equal(t, string(text), string(file.Bytes()), "a failed edit leaves the file untouched")
			return
		}
		require.Equal(t, max(old+1, 1), serial)
		bumped := string(file.Bytes())
		got, err := file.Serial()
		require.NoError(t, err)
		require.Equal(t, serial, got)
		again, err := file.Bump(Increment, time.Time{})
		require.NoError(t, err)
		require.Equal(t, serial, again)
		require.Equal(t, bumped, string(file.Bytes()), "a second Bump before Save does nothing")

		after, ttlsAfter, _ := readAll(file)
		require.Equal(t, withoutSerial(before), withoutSerial(after))
		require.Len(t, ttlsAfter, len(ttls))
		gone, come := middle(string(text), bumped)
		require.Equal(t, withoutDigits(gone), withoutDigits(come), "%q in place of %q", come, gone)
	})
}

// withoutDigits leaves what may stand between the digits of a serial: in the generic
// form of RFC 3597 they are hexadecimal, and blanks and parentheses part them.
func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return -1
		}
		return r
	}, text)
}

// withoutSerial sets the serial of SOA records to 0. Of one that is not complete,
// nothing is compared.
func withoutSerial(records map[Record]int) map[Record]int {
	out := map[Record]int{}
	for r, n := range records {
		if r.Type == "SOA" || r.Type == "TYPE6" {
			zero := time.Duration(0)
			r.TTL = &zero
			rr, _ := r.RR()
			r.TTL, r.Data = nil, ""
			if soa, ok := rr.(*dns.SOA); ok {
				soa.Serial = 0
				r.Data = soa.String()
			}
		}
		out[r] += n
	}
	return out
}

// middle is what remains of two texts without their common ends.
func middle(a, b string) (string, string) {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

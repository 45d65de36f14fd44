package zone

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rehost/rehost/internal/lab"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A dataCase is a type and data as in a zone file, and whether named takes it.
type dataCase struct {
	text string
	good bool
}

func (c dataCase) split() (typ, data string) {
	typ, data, _ = strings.Cut(c.text, " ")
	return typ, data
}

// readCases reads testdata/rdata.txt: "+" or "-", a type, data.
func readCases(t testing.TB) []dataCase {
	text, err := os.ReadFile("testdata/rdata.txt")
	require.NoError(t, err)
	var cases []dataCase
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
			cases = append(cases, dataCase{text: line[2:], good: line[0] == '+'})
		}
	}
	return cases
}

// ours is what this package says of data at an owner of the zone "example.".
func ours(owner, typ, data string) ([]byte, error) {
	owner += ".example."
	toks, err := dataTokens(data)
	if err != nil {
		return nil, err
	}
	code, ok := typeCode([]byte(typ))
	if !ok {
		return nil, errors.New("not a type")
	}
	wire, err := encodeData(code, toks, "example.")
	if err == nil {
		err = checkNames(owner, code, toks, "example.")
	}
	if err != nil {
		return nil, err
	}
	return wire, nil
}

const zoneHead = "$TTL 60\n@ IN SOA a. b. 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n"

// caseOwner is a name that suits every type: a host's, and base32.
func caseOwner(i int) string { return fmt.Sprintf("%032d", i) }

var (
	complaint = regexp.MustCompile(`db:(\d+): (.*)`)
	warning   = regexp.MustCompile(`^warning:|signature has expired|old style DNSSEC|^using RFC1035`)
)

// zoneText makes a zone of lines. One that is an SOA takes the place of the zone's.
func zoneText(lines []string) string {
	if len(lines) == 1 && isSOA(lines[0]) {
		_, soa, _ := strings.Cut(lines[0], " ")
		return "$TTL 60\n@ IN " + soa + "\n@ NS ns\nns A 192.0.2.1\n"
	}
	// After data that ends too early, named passes over the next line.
	return zoneHead + strings.Join(lines, "\n\n") + "\n"
}

func isSOA(text string) bool { return strings.Contains(text, "SOA ") }

// refused is what named-checkzone says of each line. What comes after an unclosed
// quote or parenthesis is not read, so data with them must stand alone.
func refused(t testing.TB, lines []string) map[int]string {
	file := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(file, []byte(zoneText(lines)), 0o600))
	out, _ := exec.Command("named-checkzone", "-i", "local", "-k", "fail", "-n", "ignore", "example.", file).CombinedOutput()
	said := map[int]string{}
	for _, m := range complaint.FindAllStringSubmatch(string(out), -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		if warning.MatchString(m[2]) {
			continue
		}
		n = max(0, n-strings.Count(zoneHead, "\n")-1) / 2 // what is before the lines is the SOA
		said[n] = m[2]
	}
	return said
}

// compiled is the data of each owner that has one record, in wire form.
func compiled(t testing.TB, lines []string) map[string][]byte {
	data := map[string][]byte{}
	for _, r := range compiledAll(t, lines) {
		data[r.owner] = r.data
	}
	return data
}

type wireRecord struct {
	owner string
	data  []byte
}

// compiledAll returns what named-compilezone makes of lines. Its raw format is a
// header, and then RRsets, each with its length. NS at the apex and the address of
// ns are left out.
func compiledAll(t testing.TB, lines []string) []wireRecord {
	file := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(file, []byte(zoneText(lines)), 0o600))
	out, err := exec.Command("named-compilezone", "-i", "none", "-n", "ignore", "-F", "raw", "-o", file+".raw", "example.", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	raw, err := os.ReadFile(file + ".raw")
	require.NoError(t, err)
	var records []wireRecord
	for raw = raw[24:]; len(raw) > 0; {
		set := raw[:binary.BigEndian.Uint32(raw)]
		raw = raw[len(set):]
		typ, count := binary.BigEndian.Uint16(set[6:]), binary.BigEndian.Uint32(set[14:])
		name, at, err := dns.UnpackDomainName(set, 20)
		require.NoError(t, err)
		if name == "example." && (typ != dns.TypeSOA || !isSOA(lines[0])) || name == "ns.example." {
			continue
		}
		for set = set[at:]; count > 0; count-- {
			size := 2 + int(binary.BigEndian.Uint16(set))
			records = append(records, wireRecord{strings.TrimSuffix(name, ".example."), set[2:size]})
			set = set[size:]
		}
	}
	return records
}

// alone tells data that could hide the lines after it when it is refused.
func alone(text string) bool {
	return isSOA(text) || strings.ContainsAny(text, "()") || strings.Count(text, `"`)%2 == 1 || strings.HasSuffix(text, `\`)
}

// verdicts asks named-checkzone about each record.
func verdicts(t testing.TB, cases []dataCase) []string {
	var lines []string
	said := make([]string, len(cases))
	for i, c := range cases {
		line := caseOwner(i) + " " + c.text
		if alone(c.text) {
			said[i] = refused(t, []string{line})[0]
			line = ""
		}
		lines = append(lines, line)
	}
	for i, s := range refused(t, lines) {
		said[i] = s
	}
	return said
}

// TestData compares with what named said when the table was made.
func TestData(t *testing.T) {
	for i, c := range readCases(t) {
		typ, data := c.split()
		_, err := ours(caseOwner(i), typ, data)
		if errors.Is(err, errUnvalidated) {
			assert.Regexp(t, withoutVerdict, c.text)
			continue
		}
		if disagreement.MatchString(c.text) {
			assert.NotEqual(t, c.good, err == nil, "%s: no disagreement any more", c.text)
			continue
		}
		assert.Equal(t, c.good, err == nil, "%s: %v", c.text, err)
	}
}

// TestDataAsNamedReads asks named itself, and compares the wire form.
func TestDataAsNamedReads(t *testing.T) {
	lab.Need(t, "named-checkzone", "named-compilezone")
	compare(t, readCases(t), true)
}

func compare(t *testing.T, cases []dataCase, marked bool) {
	said := verdicts(t, cases)
	var good []string
	for i, c := range cases {
		typ, data := c.split()
		_, err := ours(caseOwner(i), typ, data)
		if marked {
			assert.Equal(t, c.good, said[i] == "", "%s: the table is wrong: %s", c.text, said[i])
		}
		if disagreement.MatchString(c.text) {
			continue
		}
		if errors.Is(err, errUnvalidated) {
			assert.Regexp(t, withoutVerdict, c.text)
			continue
		}
		if !assert.Equal(t, said[i] == "", err == nil, "%s\nnamed: %s\nours: %v", c.text, said[i], err) || err != nil {
			continue
		}
		if line := caseOwner(i) + " " + c.text; isSOA(c.text) {
			data, _ := ours("x", "SOA", data)
			assert.Equal(t, data, compiled(t, []string{line})["example."], c.text)
		} else {
			good = append(good, line)
		}
	}
	wire := compiled(t, good)
	for i, c := range cases {
		typ, data := c.split()
		if want, ok := wire[caseOwner(i)]; ok {
			got, err := ours(caseOwner(i), typ, data)
			require.NoError(t, err)
			if !bytes.Equal(want, got) {
				assert.Fail(t, "another wire form", "%s\nnamed: %s\nours:  %s", c.text, hex.EncodeToString(want), hex.EncodeToString(got))
			}
		}
	}
}

// disagreement is the data on which this package and named disagree. Named reads an
// EUI with scanf, for which a sign and 0x are part of a number, and takes two signs
// in a LOC.
var disagreement = regexp.MustCompile(`^EUI(48|64) (.*-[-+]|.*0[xX]|\+)|^LOC .*[-+][-+]`)

// withoutVerdict is the data on which this package gives no verdict: types that next to
// no zone has, and what is rare in those that are in use.
var withoutVerdict = regexp.MustCompile(`^(A6|AMTRELAY|ATMA|AVC|BRID|DLV|DOA|DSYNC|EID|GPOS|HHIT|IPSECKEY|ISDN|KEY|KEYDATA|NIMLOC|NINFO|NSAP|NXT|RKEY|SIG|SINK|TA|TALINK|WALLET|WKS|X25)( |$)` +
	`|^C?DNSKEY ([^0-9\\]|\\[^#]|[0-9]+[^0-9 ]|\\# [0-9]+ .{6}fd)` + // flags as words; PRIVATEDNS
	`|^NAPTR ([0-9]+ [0-9]+ .+|\\#.+) ` + // with an expression
	`|^(HTTPS|SVCB) .*(dohpath|key[0-7])|^(APL|CERT|CSYNC|HTTPS|LOC|NSEC3?|RRSIG|SVCB) \\#`)

package zone

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// mainFile is what tests call the file that is not included; it lies in named's
// working directory.
const mainFile = "zone"

// A canon is a record in a form in which equal records are equal values: names
// in lower case, data as the wire form reads, every name absolute.
type canon struct {
	Owner, Class, Type, Data string
	TTL                      uint32
}

func (c canon) String() string {
	return fmt.Sprintf("%s %d %s %s %s", c.Owner, c.TTL, c.Class, c.Type, c.Data)
}

// An rrsetName names one: what shares a TTL and is replaced as a whole.
type rrsetName struct{ Owner, Type string }

func (c canon) set() rrsetName { return rrsetName{c.Owner, c.Type} }

// A canonSet is a zone by meaning: a zone holds no record twice.
type canonSet map[canon]bool

// compile runs named-compilezone over a zone whose main file has the text given
// and returns what named would serve, sorted.
func compile(t testing.TB, dir, origin, text string, includes map[string]string) (records []canon, log string, err error) {
	t.Helper()
	lab.Need(t, "named-compilezone")
	files := map[string]string{mainFile: text}
	for path, text := range includes {
		files[path] = text
	}
	set, log, err := compileFiles(dir, origin, files)
	return set.sorted(), log, err
}

// errRefused is named's refusal, as opposed to a failure of the test itself.
var errRefused = errors.New("named refuses the zone")

// errHangs is a $GENERATE of so many records that named does not come to an end.
var errHangs = errors.New("named does not come to an end")

// compileFiles does without a testing.TB, for workers beside the test's own
// goroutine. The working directory is dir, as relative $INCLUDE paths are
// relative to named's. "-i local" looks at this zone only: anything else asks
// the network, and hangs where there is none. Its startup (about 9 ms) is nearly
// all of the time it takes.
func compileFiles(dir, origin string, files map[string]string) (canonSet, string, error) {
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "named-compilezone", "-i", "local", "-s", "full", "-o", "-", origin, mainFile)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, stderr.String(), errHangs
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
			return nil, stderr.String(), errRefused
		}
		return nil, stderr.String(), err
	}
	set := canonSet{}
	for line := range strings.Lines(stdout.String()) {
		set[canonLine(line)] = true
	}
	return set, stderr.String(), nil
}

// canonLine reads a record that stands alone on a line with all its fields.
func canonLine(line string) canon {
	if rr, err := dns.NewRR(line); err == nil && rr != nil {
		if c, err := canonRR(rr); err == nil {
			return c
		}
	}
	// A type that miekg/dns does not know is compared as named prints it.
	f := strings.Fields(strings.ToLower(line))
	if len(f) < 4 {
		return canon{Data: line}
	}
	ttl, _ := strconv.ParseUint(f[1], 10, 32)
	return canon{Owner: f[0], TTL: uint32(ttl), Class: strings.ToUpper(f[2]), Type: strings.ToUpper(f[3]), Data: strings.Join(f[4:], " ")}
}

// canonRR goes through the wire, so that generic data and escapes become what
// they mean.
func canonRR(rr dns.RR) (canon, error) {
	wire := make([]byte, 1<<16)
	n, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		return canon{}, err
	}
	rr, _, err = dns.UnpackRR(wire[:n], 0)
	if err != nil {
		return canon{}, err
	}
	lowerNames(reflect.ValueOf(rr).Elem())
	h := rr.Header()
	data := strings.TrimPrefix(rr.String(), h.String())
	if unknown, ok := rr.(*dns.RFC3597); ok { // prints a header of its own
		data = fmt.Sprintf(`\# %d %s`, len(unknown.Rdata)/2, unknown.Rdata)
	}
	return canon{strings.ToLower(h.Name), dns.Class(h.Class).String(), dns.Type(h.Rrtype).String(), data, h.Ttl}, nil
}

func lowerNames(rr reflect.Value) {
	for i := range rr.NumField() {
		if strings.HasSuffix(rr.Type().Field(i).Tag.Get("dns"), "domain-name") && rr.Field(i).Kind() == reflect.String {
			rr.Field(i).SetString(strings.ToLower(rr.Field(i).String()))
		}
	}
}

// canonRecord reads a Record as a caller may write it, by miekg/dns alone.
func canonRecord(r Record, origin string) (canon, error) {
	ttl := uint32(0)
	if r.TTL != nil {
		ttl = uint32(*r.TTL / time.Second)
	}
	class := cmp.Or(r.Class, "IN")
	line := fmt.Sprintf("%s %d %s %s %s\n", r.Owner, ttl, class, r.Type, r.Data)
	p := dns.NewZoneParser(strings.NewReader(line), dns.Fqdn(origin), "")
	rr, ok := p.Next()
	if !ok {
		return canon{}, fmt.Errorf("%q: %w", line, p.Err())
	}
	return canonRR(rr)
}

// canonAll is what the package reads, without what named ignores: data outside
// of the zone.
func canonAll(f *File, origin string) canonSet {
	set := canonSet{}
	for r := range f.All() {
		if c := canonOf(r); dns.IsSubDomain(dns.Fqdn(strings.ToLower(origin)), c.Owner) {
			set[c] = true
		}
	}
	return set
}

// canonOf converts a Record that the package returned.
func canonOf(r Record) canon {
	if rr, err := r.RR(); err == nil {
		if c, err := canonRR(rr); err == nil {
			return c
		}
	}
	return canonLine(fmt.Sprintf("%s %d %s %s %s", r.Owner, *r.TTL/time.Second, r.Class, r.Type, r.Data))
}

func (s canonSet) sorted() []canon {
	list := make([]canon, 0, len(s))
	for c := range s {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b canon) int { return cmp.Compare(a.String(), b.String()) })
	return list
}

// diff lists what is only in s with "-", and what is only in other with "+";
// "" if there is no difference.
func (s canonSet) diff(other canonSet) string {
	var b strings.Builder
	for _, c := range s.sorted() {
		if !other[c] {
			fmt.Fprintf(&b, "- %v\n", c)
		}
	}
	for _, c := range other.sorted() {
		if !s[c] {
			fmt.Fprintf(&b, "+ %v\n", c)
		}
	}
	return b.String()
}

// flat writes the set as the plainest zone file, for named's opinion of it.
func (s canonSet) flat() string {
	var b strings.Builder
	for _, c := range s.sorted() {
		fmt.Fprintln(&b, c)
	}
	return b.String()
}

func TestCompileGivesOneFormOfEachRecord(t *testing.T) {
	got, log, err := compile(t, t.TempDir(), "example.net", "$TTL 1h\n@ SOA Ns1 h 1 2 3 4 5\n\tTYPE2 NS1\nns1 A \\# 4 c0000201\n$INCLUDE sub/f\nx TYPE65280 \\# 2 AbCd\n",
		map[string]string{"sub/f": " TXT a\\098\"c\" ; of ns1\n"})
	require.NoError(t, err, log)
	assert.Equal(t, []canon{
		{"example.net.", "IN", "NS", "ns1.example.net.", 3600},
		{"example.net.", "IN", "SOA", "ns1.example.net. h.example.net. 1 2 3 4 5", 3600},
		{"ns1.example.net.", "IN", "A", "192.0.2.1", 3600},
		{"ns1.example.net.", "IN", "TXT", `"ab" "c"`, 3600},
		{"x.example.net.", "IN", "TYPE65280", `\# 2 abcd`, 3600},
	}, got)

	_, log, err = compile(t, t.TempDir(), "example.net", "@ SOA ns1 h 1 2 3 4\n", nil)
	assert.ErrorIs(t, err, errRefused)
	assert.Contains(t, log, "unexpected end of input")
}

package zone

import (
	"os"
	"sort"
	"strings"
	"testing"
)

func TestZMark(t *testing.T) {
	if os.Getenv("MARK") == "" {
		t.Skip()
	}
	cs := readCases(t)
	said := verdicts(t, cs)
	var out []string
	for i, c := range cs {
		m := "+"
		if said[i] != "" {
			m = "-"
		}
		out = append(out, m+" "+c.text)
	}
	key := func(s string) string {
		k, _, _ := strings.Cut(s[2:], " ")
		n, _ := typeCode([]byte(k))
		return typeName(n)
	}
	sort.SliceStable(out, func(i, j int) bool { return key(out[i]) < key(out[j]) })
	var b strings.Builder
	b.WriteString("# Data of each type, \"+\" if named 9.18 takes it and \"-\" if it refuses it, in a zone\n# \"example.\" whose owner is a host.\n")
	last := ""
	for _, o := range out {
		if key(o) != last {
			last = key(o)
			b.WriteString("\n# " + last + "\n")
		}
		b.WriteString(o + "\n")
	}
	os.WriteFile("testdata/rdata.txt", []byte(b.String()), 0o644)
}

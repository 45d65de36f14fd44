package report

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestText compares with testdata/sample.txt, which UPDATE=1 writes anew.
func TestText(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, sample().Text(&out))
	const golden = "testdata/sample.txt"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), out.String())
	for line := range strings.Lines(out.String()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 81, line)
	}
}

// TestTextOfSeveralErrors keeps them apart, on one line.
func TestTextOfSeveralErrors(t *testing.T) {
	r := &Report{Phases: []Phase{{Findings: []Finding{{Check: "a check", Outcome: Failed, Detail: "ns1 is away\nns2 serves something else:\n-a\n+b\n"}}}}}
	var out bytes.Buffer
	require.NoError(t, r.Text(&out))
	assert.Contains(t, out.String(), "a check: ns1 is away; ns2 serves something else: -a; +b\n")
}

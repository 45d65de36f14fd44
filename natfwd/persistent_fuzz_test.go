package natfwd

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzRender tries that every line of others stays, in its place among the others, and
// that what was rendered is left as it is.
func FuzzRender(f *testing.F) {
	f.Add("*nat\r\n:PREROUTING ACCEPT [0:0]\r\n-A PREROUTING -j rehost-mail-pre\r\nCOMMIT\r\n")
	f.Add("# x\n*filter\n:INPUT ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n:rehost-mail-pre - [0:0]\n-A PREROUTING -m comment --comment \"-j rehost-mail-pre\" -j ACCEPT\n[1:2] -A rehost-mail-post -j x\n-I PREROUTING 1 -g rehost-mail-pre\nCOMMIT\n# end")
	f.Add("*nat\n-A x -j y\n:z - [0:0]\nCOMMIT")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := mailOnly().Render(IPv4, []byte(text))
		if err != nil {
			return
		}
		have := strings.SplitAfter(string(o.Data), "\n")
		for _, line := range strings.SplitAfter(text, "\n") {
			if strings.Contains(line, "rehost-mail-") || line == "" {
				continue
			}
			at := slices.IndexFunc(have, func(l string) bool { return strings.TrimSuffix(l, "\n") == strings.TrimSuffix(line, "\n") })
			require.GreaterOrEqual(t, at, 0, "lost %q of %q in %q", line, text, o.Data)
			have = have[at+1:]
		}
		again, err := mailOnly().Render(IPv4, o.Data)
		require.NoError(t, err)
		assert.Equal(t, string(o.Data), string(again.Data))
	})
}

package netbsdcfg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What is only split must be what the parser makes of it.
func FuzzSplit(f *testing.F) {
	for _, text := range []string{"up", "inet 10.0.0.1/24 \t alias", "a=b c=d", "route add $int", "$int", "if x", "exit", "function f", "cat -", "wg-keygen --pub", "x $inty", "! x", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sh := newShell("wg0")
		if _, ok := sh.split(text); !ok {
			return
		}
		for _, read := range []func(string) reading{sh.command, sh.arguments} {
			fast := read(text)
			slow := read(text + " #") // a comment, which the split leaves to the parser
			require.Equal(t, slow.argvs, fast.argvs, "%q", text)
			require.Equal(t, slow.input, fast.input, "%q", text)
			require.Equal(t, slow.err, fast.err, "%q", text)
		}
	})
}

package natfwd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// TestUnitLoadsAndRemovesTheSet runs the unit's commands with their input, as
// systemd does.
func TestUnitLoadsAndRemovesTheSet(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			lab.UseIPTables(t, backend)
			h := newRouter(t)
			addOthersRules(t, h)
			before := rulesOn(t, h)
			assert.Empty(t, runScript(t, h, mail(), "start"))
			loaded := rulesOn(t, h)
			assert.Empty(t, runScript(t, h, mail(), "stop"))
			unit, err := mail().Unit()
			require.NoError(t, err)
			for _, step := range []struct{ command, want string }{
				{"ExecStop", before},
				{"ExecStart", loaded},
				{"ExecReload", loaded},
				{"ExecStop", before},
				{"ExecStop", before},
			} {
				_, argv, ok := strings.Cut(string(unit.Data), "\n"+step.command+"=")
				require.True(t, ok, step.command)
				argv, _, _ = strings.Cut(argv, "\n")
				cmd := commandOn(t, h, strings.Fields(argv)...)
				cmd.Stdin = strings.NewReader(inputOf(t, unit.Data))
				out, err := cmd.CombinedOutput()
				require.NoError(t, err)
				assert.Empty(t, string(out))
				assert.Equal(t, step.want, rulesOn(t, h), step.command)
			}
		})
	}
}

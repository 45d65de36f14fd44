package natfwd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// TestRenderIsRestored boots a machine from its file, with and without the set.
func TestRenderIsRestored(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			lab.UseIPTables(t, backend)
			h := newRouter(t)
			restore := func(program string, text []byte) {
				t.Helper()
				cmd := commandOn(t, h, program)
				cmd.Stdin = strings.NewReader(string(text))
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s\n%s", out, text)
			}
			boot := func(s Set, present [2]string) (rendered [2]string) {
				t.Helper()
				for family, program := range []string{"iptables-restore", "ip6tables-restore"} {
					o, err := s.Render(Family(family), []byte(present[family]))
					require.NoError(t, err)
					again, err := s.Render(Family(family), o.Data)
					require.NoError(t, err)
					assert.Equal(t, string(o.Data), string(again.Data))
					restore(program, o.Data)
					rendered[family] = string(o.Data)
				}
				return rendered
			}
			saved := func() [2]string { return [2]string{h.Run(t, "iptables-save"), h.Run(t, "ip6tables-save")} }
			s := mail()
			s.Hairpin, s.Local = true, true

			runScript(t, h, s, "start")
			alone := rulesOn(t, h)
			runScript(t, h, s, "stop")
			boot(s, [2]string{})
			assert.Equal(t, alone, rulesOn(t, h))
			boot(Set{Name: "senate"}, saved())
			assert.NotContains(t, rulesOn(t, h), "rehost-")

			addOthersRules(t, h)
			before, files := rulesOn(t, h), saved()
			runScript(t, h, s, "start")
			loaded, full := rulesOn(t, h), saved()
			runScript(t, h, s, "stop")
			rendered := boot(s, files)
			assert.Equal(t, loaded, rulesOn(t, h))
			assert.Equal(t, full, boot(s, full), "what is saved with the set has it")
			assert.Equal(t, files, boot(Set{Name: "senate"}, rendered))
			assert.Equal(t, before, rulesOn(t, h))
		})
	}
}

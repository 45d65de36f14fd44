package natfwd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRenderIsRestored boots a machine from its file, with and without the set.
func TestRenderIsRestored(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			useBackend(t, backend)
			h := newHost(t)
			restore := func(program string, text []byte) {
				t.Helper()
				cmd := h.command(program)
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
			saved := func() [2]string { return [2]string{h.run("iptables-save"), h.run("ip6tables-save")} }
			s := senate()
			s.Hairpin, s.Local = true, true

			h.runScript(t, s, "start")
			alone := h.rules()
			h.runScript(t, s, "stop")
			boot(s, [2]string{})
			assert.Equal(t, alone, h.rules())
			boot(Set{Name: "senate"}, saved())
			assert.NotContains(t, h.rules(), "rehost-")

			h.addOthersRules()
			before, files := h.rules(), saved()
			h.runScript(t, s, "start")
			loaded, full := h.rules(), saved()
			h.runScript(t, s, "stop")
			rendered := boot(s, files)
			assert.Equal(t, loaded, h.rules())
			assert.Equal(t, full, boot(s, full), "what is saved with the set has it")
			assert.Equal(t, files, boot(Set{Name: "senate"}, rendered))
			assert.Equal(t, before, h.rules())
		})
	}
}

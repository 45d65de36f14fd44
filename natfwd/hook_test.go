package natfwd

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// save installs the hook below root.
func save(t *testing.T, s Set, root string) {
	t.Helper()
	outputs, err := s.Hook("ens5")
	require.NoError(t, err)
	for _, o := range outputs {
		_, err := o.Save(t.Context(), root)
		require.NoError(t, err)
	}
}

func TestHookIsCleanForShellcheck(t *testing.T) {
	lab.Need(t, "shellcheck", "dash")
	for _, s := range []Set{mail(), {Name: "senate"}, {Name: "out", Masquerade: []string{"ens5"}}} {
		dir := t.TempDir()
		save(t, s, dir)
		path := filepath.Join(dir, "/etc/network/if-post-down.d/rehost-"+s.Name)
		out, err := exec.CommandContext(t.Context(), "shellcheck", path).CombinedOutput()
		assert.NoError(t, err, string(out))
		out, err = exec.CommandContext(t.Context(), "dash", "-n", path).CombinedOutput()
		assert.NoError(t, err, string(out))
	}
}

func TestHookRefuses(t *testing.T) {
	for _, iface := range []string{"", "--all", "ens5 ens6", "ens5;reboot", "ens5'", "ens5\n", "$(reboot)", "ens5+", "averylonginterface"} {
		_, err := mail().Hook(iface)
		value, ok := errors.AsType[*ValueError](err)
		require.True(t, ok, "%q: %v", iface, err)
		assert.Equal(t, "interface", value.Field)
	}
	s := mail()
	s.Name = "senate.net"
	_, err := s.Hook("ens5")
	assert.ErrorContains(t, err, `name: "senate.net"`)
}

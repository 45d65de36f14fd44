package natfwd

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// inputOf reads what systemd gives the unit's programs as input, as systemd.exec(5)
// says.
func inputOf(t *testing.T, unit []byte) string {
	t.Helper()
	var input strings.Builder
	for line := range strings.Lines(string(unit)) {
		text, ok := strings.CutPrefix(line, "StandardInputText=")
		if !ok {
			continue
		}
		text = strings.Trim(text, " \t\r\n")
		require.NotEmpty(t, text, "clears what is before it")
		for i := 0; i < len(text); i++ {
			c := text[i]
			if c != '\\' && c != '%' {
				input.WriteByte(c)
				continue
			}
			i++
			require.Less(t, i, len(text), "%q ends in the middle", line)
			meaning, ok := map[string]string{`\\`: `\`, `\t`: "\t", "%%": "%"}[text[i-1:i+1]]
			require.True(t, ok, "%q", line)
			input.WriteString(meaning)
		}
		input.WriteByte('\n')
	}
	return input.String()
}

func TestUnit(t *testing.T) {
	unit, err := mail().Unit()
	require.NoError(t, err)
	assert.Equal(t, "/etc/systemd/system/rehost-senate.service (0644)", unit.String())
	assert.Equal(t, strings.ReplaceAll(mail().script(), "\n\n", "\n"), inputOf(t, unit.Data))
	_, err = Set{}.Unit()
	assert.ErrorContains(t, err, "name")
}

func TestUnitIsTakenBySystemd(t *testing.T) {
	lab.Need(t, "systemd-analyze")
	unit, err := mail().Unit()
	require.NoError(t, err)
	verify := func() string {
		dir := t.TempDir()
		_, err := unit.Save(t.Context(), dir)
		require.NoError(t, err)
		out, _ := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", filepath.Join(dir, unit.Path)).CombinedOutput()
		return string(out) // it may speak of the machine's own units too
	}
	assert.NotContains(t, verify(), "rehost-")
	unit.Data = []byte(strings.Replace(string(unit.Data), "StandardInput=data", "StandardInput=date", 1))
	assert.Contains(t, verify(), "rehost-senate.service:")
}

package bhyve

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// shReader reads as vm-bhyve does, with the programs that vm-bhyve uses, and
// prints a line with key and value for each line that it sees.
const shReader = `
for file; do
	echo "file $file"
	LC_ALL=C grep '^[a-z]' "$file" | LC_ALL=C awk -F'#' '{print $1}' | LC_ALL=C sed 's/ *$//' | LC_ALL=C tr -d '"' |
	while IFS= read -r line; do
		printf '%s|%s\n' "${line%%=*}" "${line#*=}"
	done
done
`

// TestShellAgrees compares Get with a real grep, awk, sed, tr and sh.
func TestShellAgrees(t *testing.T) {
	lab.Need(t, "sh", "grep", "awk", "sed", "tr")
	var texts []string
	for _, row := range readerRows {
		texts = append(texts, row.text)
	}
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"cpu", "x", "disk0_name", "=", "=", "\"", "#", " ", "\t", "\r", "'", "\n", "\n", "\ncpu=", "a b", "X", "\\", "*", "$x", "é", "-s", ";"}
	for range 150 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		texts = append(texts, b.String())
	}

	dir := t.TempDir()
	args := []string{"-c", shReader, "sh"}
	var want strings.Builder
	for i, text := range texts {
		path := filepath.Join(dir, fmt.Sprintf("%03d.conf", i))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		args = append(args, path)
		fmt.Fprintln(&want, "file", path)
		for _, line := range parse(t, text).lines {
			if s, ok := readLine(line); ok {
				fmt.Fprintf(&want, "%s|%s\n", s.key, s.value)
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, want.String(), string(out))
}

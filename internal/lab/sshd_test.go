package lab

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSSHDRunsWhatItsClientAsksFor(t *testing.T) {
	ssh := StartSSHD(t, SSHD{})
	out, err := exec.Command(ssh[0], append(ssh[1:], "echo $((6*7)); exit 3")...).Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 3, exit.ExitCode(), "stderr: %s", exit.Stderr)
	assert.Equal(t, "42\n", string(out))
}

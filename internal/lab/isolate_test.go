package lab

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	Isolate()
	os.Exit(m.Run())
}

func TestNothingOfTheHostIsSeen(t *testing.T) {
	NeedIsolation(t)
	assert.Equal(t, 1, os.Getpid())
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	require.NotEmpty(t, interfaces)
	for _, iface := range interfaces {
		if iface.Name == "lo" {
			assert.NotZero(t, iface.Flags&net.FlagUp)
		}
		assert.NotContains(t, iface.Name, "eth")
	}
}

// TestWhatCannotBeIsolatedSkips runs a test of this package again where the new
// namespaces cannot be furnished, as there is no ip(8).
func TestWhatCannotBeIsolatedSkips(t *testing.T) {
	NeedIsolation(t)
	Need(t, "unshare", "sh", "mount")
	self, err := os.Executable()
	require.NoError(t, err)
	again := func(real string) (string, error) {
		cmd := exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && PATH=/nonexistent exec "+self+" -test.v -test.run=TestNothingOfTheHostIsSeen")
		cmd.Env = append(os.Environ(), "REHOST_REAL="+real)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := again("")
	require.NoError(t, err, out)
	assert.Regexp(t, `no namespaces of its own, .*"ip": executable file not found`, out)
	assert.Contains(t, out, "--- SKIP: TestNothingOfTheHostIsSeen")
	out, err = again("require")
	require.Error(t, err)
	assert.Contains(t, out, "--- FAIL: TestNothingOfTheHostIsSeen")
}

// TestAnInterruptLeavesNothing interrupts a test that waits for ever, which has a folder.
func TestAnInterruptLeavesNothing(t *testing.T) {
	const waits = "REHOST_LAB_WAITS"
	if os.Getenv(waits) != "" {
		require.NoError(t, os.WriteFile(t.TempDir()+"/file", nil, 0o600))
		os.Stdout.WriteString("waiting\n")
		select {}
	}
	NeedIsolation(t)
	Need(t, "unshare", "sh", "mount")
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && exec "+self+" -test.run=^TestAnInterruptLeavesNothing$")
	cmd.Env = append(os.Environ(), waits+"=1", "TMPDIR="+dir)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "waiting\n", line)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

package lab

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALinkIsAsSlowAsItsLine(t *testing.T) {
	const mib = 1 << 20
	link := StartLink(t, Line{Delay: 20 * time.Millisecond, Rate: 20e6})
	ssh := StartSSHD(t, SSHD{Addr: netip.AddrPortFrom(link.B.Addr, 22), Prefix: link.B.Command()})
	argv := link.A.Command(append(ssh, "head", "-c", "1048576", "/dev/zero")...)
	began := time.Now()
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	require.NoError(t, err)
	assert.Len(t, out, mib)
	// No upper limit: a busy machine is slower than any line.
	assert.Greater(t, time.Since(began), time.Second*mib*8/20e6)
}

func TestNothingIsLeftOfALink(t *testing.T) {
	NeedIsolation(t) // or nothing is there, of which nothing could be left
	var ends [2]LinkEnd
	var programs []*exec.Cmd
	t.Run("link", func(t *testing.T) {
		link := StartLink(t, Line{})
		ends = [2]LinkEnd{link.A, link.B}
		for _, end := range ends {
			argv := end.Command("sh", "-c", "echo; exec sleep 60")
			cmd := exec.Command(argv[0], argv[1:]...)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = out.Read(make([]byte, 1))
			require.NoError(t, err)
			programs = append(programs, cmd)
		}
	})
	for _, cmd := range programs {
		cmd.Process.Signal(syscall.SIGTERM) // if it still runs
		require.Error(t, cmd.Wait())
		assert.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
	for _, end := range ends {
		_, err := os.Stat(filepath.Join("/run/netns", end.Netns))
		assert.ErrorIs(t, err, os.ErrNotExist)
	}
}

package lab

import (
	"net"
	"os"
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

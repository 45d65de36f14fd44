package lab

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHostsAreApartUntilTheyAreJoined(t *testing.T) {
	a, b := NewHost(t, "host-a"), NewHost(t, "host-b")
	Join(t,
		NIC{a, "eth0", []string{"192.0.2.1/24", "2001:db8::1/64"}},
		NIC{b, "eth1", []string{"192.0.2.2/24", "2001:db8::2/64"}})
	assert.Contains(t, b.Run(t, "ip", "-brief", "address"), "192.0.2.2/24")
	for _, addr := range []string{"192.0.2.2:7", "[2001:db8::2]:7"} {
		var listener net.Listener
		require.NoError(t, b.Do(func() (err error) {
			listener, err = net.Listen("tcp", addr)
			return err
		}))
		defer listener.Close()
		require.NoError(t, a.Do(func() error {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				conn.Close()
			}
			return err
		}))
	}
	_, err := net.Listen("tcp", "192.0.2.2:7")
	assert.Error(t, err, "an address of another host")
}

func TestWireGuardListensForItsTools(t *testing.T) {
	Need(t, "wg")
	t.Run("daemon", func(t *testing.T) {
		host := NewHost(t, "wg")
		StartWireGuard(t, host, "wglab0")
		assert.Contains(t, host.Run(t, "wg", "show", "wglab0"), "interface: wglab0")
		assert.Contains(t, host.Run(t, "ip", "-brief", "link", "show", "wglab0"), "wglab0")
	})
	_, err := os.Stat("/run/wireguard/wglab0.sock")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

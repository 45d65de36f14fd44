//go:build !freebsd || cgo

package wgpeer

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.zx2c4.com/wireguard/wgctrl"
)

func realClient(t testing.TB) Client {
	c, err := wgctrl.New()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

//go:build freebsd && !cgo

package wgpeer

import "testing"

func realClient(t testing.TB) Client {
	t.Skip("wgctrl needs cgo on FreeBSD")
	return nil
}

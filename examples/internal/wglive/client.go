//go:build !freebsd || cgo

// Package wglive reaches the live WireGuard devices of this machine.
package wglive

import "golang.zx2c4.com/wireguard/wgctrl"

// NewClient is to be closed by the caller.
func NewClient() (*wgctrl.Client, error) { return wgctrl.New() }

//go:build !freebsd || cgo

package main

import "golang.zx2c4.com/wireguard/wgctrl"

// newClient reaches the live devices of this machine.
func newClient() (*wgctrl.Client, error) { return wgctrl.New() }

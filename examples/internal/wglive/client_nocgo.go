//go:build freebsd && !cgo

// Package wglive reaches the live WireGuard devices of this machine.
package wglive

import (
	"errors"
	"fmt"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// NewClient needs FreeBSD's own library, and with it cgo: its error says so.
func NewClient() (NoClient, error) {
	return NoClient{}, fmt.Errorf("live devices: this program was built without cgo: %w", errors.ErrUnsupported)
}

// NoClient is what there is without cgo.
type NoClient struct{}

// Device is not there.
func (NoClient) Device(string) (*wgtypes.Device, error) { return nil, errors.ErrUnsupported }

// ConfigureDevice cannot.
func (NoClient) ConfigureDevice(string, wgtypes.Config) error { return errors.ErrUnsupported }

// Close does nothing.
func (NoClient) Close() error { return nil }

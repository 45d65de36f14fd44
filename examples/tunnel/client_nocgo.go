//go:build freebsd && !cgo

package main

import (
	"errors"
	"fmt"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// newClient needs FreeBSD's own library, and with it cgo.
func newClient() (noClient, error) {
	return noClient{}, fmt.Errorf("live devices: this program was built without cgo: %w", errors.ErrUnsupported)
}

type noClient struct{}

func (noClient) Device(string) (*wgtypes.Device, error)       { return nil, errors.ErrUnsupported }
func (noClient) ConfigureDevice(string, wgtypes.Config) error { return errors.ErrUnsupported }
func (noClient) Close() error                                 { return nil }

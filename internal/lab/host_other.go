//go:build !linux

package lab

import (
	"errors"
	"fmt"
)

// Do needs the network namespaces of Linux.
func (h Host) Do(func() error) error {
	return fmt.Errorf("on %s: %w", h.Netns, errors.ErrUnsupported)
}

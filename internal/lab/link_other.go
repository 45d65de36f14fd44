//go:build !linux

package lab

import (
	"errors"
	"fmt"
)

// OpenLink needs the network namespaces of Linux.
func OpenLink(Line) (*Link, func() error, error) {
	return nil, nil, fmt.Errorf("a link between network namespaces: %w", errors.ErrUnsupported)
}

//go:build !linux

package natfwd

import (
	"context"
	"errors"
	"fmt"
)

// deleteFlows needs the connection tracking of Linux.
func deleteFlows(context.Context, Family, []flow) error {
	return fmt.Errorf("forget UDP conversations: %w", errors.ErrUnsupported)
}

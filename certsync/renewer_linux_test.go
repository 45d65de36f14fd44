package certsync_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// However full a disk is: what the authority has made is kept.
func TestFullDiskCostsNoCertificate(t *testing.T) {
	for title, layout := range layouts {
		t.Run(title, func(t *testing.T) {
			failed := 0
			for room := uint64(0); ; room++ {
				r, c := newRenewer(t)
				r.Dir = &certsync.Dir{Path: smallDisk(t, 64), Layout: layout}
				r.Force = true
				require.Equal(t, 1, renewed(t, r))
				var disk syscall.Statfs_t
				require.NoError(t, syscall.Statfs(r.Dir.Path, &disk))
				pages := disk.Blocks - disk.Bfree + room
				require.NoError(t, syscall.Mount("", r.Dir.Path, "", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", pages*uint64(os.Getpagesize()))))
				_, err := r.Renew(t.Context())
				if err == nil {
					assert.Len(t, c.requests, 2)
					break
				}
				failed++
				require.ErrorIs(t, err, syscall.ENOSPC)
				require.Len(t, c.requests, 1)
			}
			assert.NotZero(t, failed)
		})
	}
}

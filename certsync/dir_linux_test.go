package certsync_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/lab"
)

// smallDisk is a file system of its own, of so many pages.
func smallDisk(t *testing.T, pages int) string {
	t.Helper()
	lab.NeedIsolation(t)
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", pages*os.Getpagesize())))
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// A disk that fills up, wherever it does, leaves the old pair, and the next run on a disk
// with room installs the new one.
func TestFullDisk(t *testing.T) {
	for title, layout := range layouts {
		t.Run(title, func(t *testing.T) {
			ca := authority(t)
			failed := 0
			for room := uint64(0); ; room++ {
				dir := &certsync.Dir{Path: smallDisk(t, 64), Layout: layout}
				old, next := issue(t, ca, "example.net"), issue(t, ca, "example.net")
				require.NoError(t, dir.Install(t.Context(), old))
				var disk syscall.Statfs_t
				require.NoError(t, syscall.Statfs(dir.Path, &disk))
				pages := disk.Blocks - disk.Bfree + room
				require.NoError(t, syscall.Mount("", dir.Path, "", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", pages*uint64(os.Getpagesize()))))
				err := dir.Install(t.Context(), next)
				if err == nil {
					break
				}
				failed++
				assert.ErrorIs(t, err, syscall.ENOSPC)
				have, err := dir.Fetch(t.Context(), "example.net", certsync.Fingerprint{})
				require.NoError(t, err)
				assert.Contains(t, []certsync.Fingerprint{old.Fingerprint(), next.Fingerprint()}, have.Fingerprint())
				require.NoError(t, syscall.Mount("", dir.Path, "", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", 64*os.Getpagesize())))
				require.NoError(t, dir.Install(t.Context(), next))
				_, err = dir.Fetch(t.Context(), "example.net", next.Fingerprint())
				assert.ErrorIs(t, err, certsync.ErrNotModified)
			}
			assert.NotZero(t, failed)
		})
	}
}

func TestReadOnlyDisk(t *testing.T) {
	g := newGuest(t, nil)
	disk := smallDisk(t, 64)
	g.Dir.Path, g.server.dir = disk, g.Dir
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	before := g.installed(t)
	require.NoError(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	g.renew(t)
	_, err = g.Sync(t.Context())
	assert.ErrorIs(t, err, syscall.EROFS)
	assert.Equal(t, before, g.installed(t))
	require.NoError(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT, ""))
	_, err = g.Sync(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, before, g.installed(t))
}

// Who may not write gets an error that says where, and the old pair stays.
func TestPermissionTrouble(t *testing.T) {
	lab.NeedRoot(t)
	g := newGuest(t, nil)
	_, err := g.Sync(t.Context())
	require.NoError(t, err)
	before := g.installed(t)
	next := g.renew(t)

	require.NoError(t, os.Chmod(filepath.Join(g.Dir.Path, "example.net"), 0o555))
	for dir := g.Dir.Path; dir != os.TempDir(); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	for _, dir := range []string{".certsync", "example.net/" + filepath.Base(readLink(t, g.Dir.Path, "example.net/live"))} {
		require.NoError(t, os.Chown(filepath.Join(g.Dir.Path, dir), 65534, -1))
	}
	_, err = asNobody(t, func() ([]certsync.Event, error) { return g.Sync(t.Context()) })
	require.ErrorIs(t, err, os.ErrPermission)
	assert.ErrorContains(t, err, g.Dir.Path)
	assert.Equal(t, before, g.installed(t))

	_, err = g.Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, next.Fingerprint(), g.installed(t))
}

// The lego program writes its files in place, one after the other. Whoever reads meanwhile
// waits for the pair to be whole: a third of a second, and so there is no disk here that might
// keep the writer busy for longer.
func TestPairWhileAnotherProgramWrites(t *testing.T) {
	ca := authority(t)
	bundles := []*certsync.Bundle{issue(t, ca, "example.net"), issue(t, ca, "example.net")}
	dir := &certsync.Dir{Path: smallDisk(t, 64), Layout: certsync.Pair}
	write := func(b *certsync.Bundle) error {
		for _, file := range []struct {
			ending string
			data   []byte
		}{{".crt", b.Chain}, {".issuer.crt", b.Chain}, {".key", b.Key.Reveal()}, {".json", []byte("{}")}} {
			if err := os.WriteFile(filepath.Join(dir.Path, b.Name+file.ending), file.data, 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, write(bundles[0]))
	for i := range 50 {
		written := make(chan error)
		go func() { written <- write(bundles[(i+1)%2]) }()
		b, err := dir.Fetch(t.Context(), "example.net", certsync.Fingerprint{})
		if assert.NoError(t, err) {
			assert.Contains(t, []certsync.Fingerprint{bundles[0].Fingerprint(), bundles[1].Fingerprint()}, b.Fingerprint())
		}
		require.NoError(t, <-written)
	}
}

func readLink(t *testing.T, path ...string) string {
	t.Helper()
	to, err := os.Readlink(filepath.Join(path...))
	require.NoError(t, err)
	return to
}

// asNobody calls with the file permissions of the user nobody.
func asNobody[T any](t *testing.T, call func() (T, error)) (T, error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, syscall.Setfsuid(65534))
	defer syscall.Setfsuid(0)
	return call()
}

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// OwnFiles gives a host files of its own for as long as the test lasts, in the memory: at
// first those of this machine, without what is mounted below /. What its programs write
// nobody else sees but through Root. /run is empty, /dev has only what every program asks
// for, and os.TempDir is everybody's, so that a test's folder has the same name everywhere.
func (h Host) OwnFiles(t testing.TB) Host {
	t.Helper()
	NeedIsolation(t)
	NeedRoot(t)
	Need(t, "mount", "umount", "chroot")
	dir := filepath.Join("/run/rehost-files", h.Netns)
	h.Root = filepath.Join(dir, "root")
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, d := range []string{h.Root, upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	overlay := fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)
	if err := command("mount", "-t", "overlay", "-o", overlay, "overlay", h.Root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The root is removed as an empty folder only: below it lie the test's own.
		err := errors.Join(endAll(h.Netns), command("umount", "-l", "-R", h.Root))
		if err = errors.Join(err, os.Remove(h.Root)); err == nil {
			err = os.RemoveAll(dir)
		}
		if err != nil {
			t.Error(err)
		}
	})
	h.mount(t, "/proc", "--bind", "/proc")
	h.mount(t, "/run", "-t", "tmpfs", "tmpfs")
	h.mount(t, "/dev", "-t", "tmpfs", "-o", "mode=755", "tmpfs")
	h.mount(t, os.TempDir(), "--bind", os.TempDir())
	if err := h.Do(func() error { // it shows the network of who mounts it
		return command("mount", "-t", "sysfs", "sysfs", h.Root+"/sys")
	}); err != nil {
		t.Fatal(err)
	}
	for _, device := range []string{"null", "zero", "full", "random", "urandom", "net/tun"} {
		path := filepath.Join(h.Root, "dev", device)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o666))
		if err != nil {
			t.Fatal(err)
		}
		h.mount(t, "/dev/"+device, "--bind", "/dev/"+device)
	}
	if err := os.Symlink("/proc/self/fd", h.Root+"/dev/fd"); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h Host) mount(t testing.TB, where string, words ...string) {
	t.Helper()
	if err := command("mount", append(words, h.Root+where)...); err != nil {
		t.Fatal(err)
	}
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

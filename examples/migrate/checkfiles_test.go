package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/report"
)

// TestLinksOfAMountedDiskStayOnIt has links as a guest in a chroot has them, and ones that
// lead to files of this machine.
func TestLinksOfAMountedDiskStayOnIt(t *testing.T) {
	dir := renderedDir(t)
	root := filepath.Join(dir, "root")
	installPhases(t, dir, "senate", "06-first-boot")
	look := func(step, words string) report.Finding {
		found, _ := checked(t, dir, "-on", "senate", "-root", root, step)
		return finding(t, found, words)
	}
	link := func(name, to string) {
		t.Helper()
		name = filepath.Join(root, name)
		require.NoError(t, os.RemoveAll(name))
		require.NoError(t, os.Symlink(to, name))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var/chroot"), 0o700))
	require.NoError(t, os.Rename(filepath.Join(root, "etc/namedb"), filepath.Join(root, "var/chroot/namedb")))
	link("etc/namedb", "/var/chroot/namedb")
	f := look("4.3", "No A record")
	assert.Equal(t, report.Held, f.Outcome, f.Detail)
	link("etc/namedb", "../../../../../var/chroot/../chroot/namedb")
	assert.Equal(t, report.Held, look("4.3", "No A record").Outcome)

	stranger := filepath.Join(dir, "stranger")
	add("stranger", "stranger\n")(t, dir)
	for _, to := range []string{stranger, "../../stranger", "loop"} {
		link("etc/loop", "loop")
		link("etc/rc.conf", to)
		link("etc/fstab", to)
		for words, step := range map[string]string{"as they were rendered": "6.2", "/etc/mygate": "6.2", "fstab": "5.1"} {
			f = look(step, words)
			assert.Equal(t, report.Failed, f.Outcome, words)
			assert.Contains(t, f.Detail, "no such file", words)
		}
		assert.NotEqual(t, report.Held, look("6.2", "Nothing in /etc").Outcome)
	}
	link("etc/rc.conf", stranger)
	assert.Contains(t, look("6.2", "Nothing in /etc").Detail, "which may be this machine's own: look at it on senate itself")
	add("root/var/chroot/namedb/example.net", "$include /etc/hostname\n")(t, dir)
	assert.Contains(t, look("4.3", "No A record").Detail, "has an $INCLUDE")

	link("etc/certificates", stranger)
	f = look("3.7", "belong together")
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "no such file")
	require.NoError(t, os.Remove(filepath.Join(root, "etc/certificates")))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc/certificates/senate.example.net"), 0o700))
	link("etc/certificates/senate.example.net/live", dir)
	assert.Equal(t, report.NotTried, look("3.7", "belong together").Outcome)
	require.NoError(t, os.Rename(filepath.Join(root, "etc/certificates"), filepath.Join(root, "etc/others")))
	link("etc/certificates", "others")
	assert.Equal(t, report.NotTried, look("3.7", "belong together").Outcome)
}

// TestALinkIsGone has a router whose script was removed, and its link was forgotten.
func TestALinkIsGone(t *testing.T) {
	dir := renderedDir(t)
	installPhases(t, dir, "ingress", "02-both-paths")
	require.NoError(t, os.Remove(filepath.Join(dir, "root/etc/network/if-pre-up.d/rehost-senate")))
	found, _ := checked(t, dir, "-on", "ingress", "-root", filepath.Join(dir, "root"), "-back", "2")
	assert.Contains(t, finding(t, found, "on ingress as they were before").Detail, "if-post-down.d/rehost-senate: it is still there")
}

package textfile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/textfile"
)

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// save saves twice: the second time must find nothing to do.
func save(t *testing.T, o textfile.Output, root string) {
	t.Helper()
	changed, err := o.Save(t.Context(), root)
	require.NoError(t, err)
	assert.True(t, changed)
	changed, err = o.Save(t.Context(), root)
	require.NoError(t, err)
	assert.False(t, changed)
	diff, err := o.Changes(root)
	require.NoError(t, err)
	assert.Empty(t, diff)
}

func changes(t *testing.T, o textfile.Output, root string) string {
	t.Helper()
	diff, err := o.Changes(root)
	require.NoError(t, err)
	return diff
}

func TestOutputIsInstalledBelowTheRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "fresh")
	o := textfile.Output{Path: "/etc/network/if-pre-up.d/nat", Mode: 0o775, Data: []byte("#!/bin/sh\n")}
	at := filepath.Join(root, "etc/network/if-pre-up.d/nat")
	assert.Equal(t, "--- /dev/null\n+++ "+at+"\n@@ -0,0 +1,1 @@\n+#!/bin/sh\n", changes(t, o, root))
	save(t, o, root)
	info, err := os.Stat(at)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o775), info.Mode(), "whatever the umask")

	o.Data = []byte("#!/bin/sh\nexit\n")
	assert.Equal(t, "--- "+at+"\n+++ "+at+"\n@@ -1,1 +1,2 @@\n #!/bin/sh\n+exit\n", changes(t, o, root))
	save(t, o, root)
	o.Mode = 0o755
	assert.Equal(t, at+": mode 0775 becomes 0755\n", changes(t, o, root))
	save(t, o, root)
	assert.Equal(t, []string{"nat"}, names(t, filepath.Dir(at)))
}

func TestOutputKeepsTheOwner(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	path := write(t, filepath.Join(root, "f"), "old\n", 0o644)
	require.NoError(t, os.Chown(path, 12, 34))
	save(t, textfile.Output{Path: "/f", Mode: 0o600, Data: []byte("new\n")}, root)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, uint32(12), info.Sys().(*syscall.Stat_t).Uid)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
}

func TestOutputLink(t *testing.T) {
	root := t.TempDir()
	o := textfile.Output{Path: "/etc/if-post-down.d/nat", Link: "../if-pre-up.d/nat"}
	at := filepath.Join(root, "etc/if-post-down.d/nat")
	assert.Equal(t, "--- "+at+"\n+++ "+at+"\n@@ -0,0 +1,1 @@\n+symbolic link to ../if-pre-up.d/nat\n", changes(t, o, root))
	save(t, o, root)
	to, err := os.Readlink(at)
	require.NoError(t, err)
	assert.Equal(t, "../if-pre-up.d/nat", to)

	o.Link = "/elsewhere"
	assert.Contains(t, changes(t, o, root), "-symbolic link to ../if-pre-up.d/nat\n+symbolic link to /elsewhere\n")
	save(t, o, root)
	assert.Equal(t, []string{"nat"}, names(t, filepath.Dir(at)))

	require.NoError(t, os.Remove(at))
	write(t, at, "text", 0o644)
	assert.Contains(t, changes(t, o, root), "-regular file\n")
	save(t, o, root)

	require.NoError(t, os.Remove(at))
	require.NoError(t, os.Mkdir(at, 0o755))
	_, err = o.Save(t.Context(), root)
	assert.ErrorContains(t, err, "neither a file nor a link")
}

func TestOutputFollowsALinkButNotOutOfTheRoot(t *testing.T) {
	outside := t.TempDir()
	secret := write(t, filepath.Join(outside, "f"), "host's own\n", 0o644)
	tests := []struct {
		name  string
		plant func(root string) error
	}{
		{"the file", func(root string) error { return os.Symlink(secret, filepath.Join(root, "f")) }},
		{"its directory", func(root string) error { return os.Symlink(outside, filepath.Join(root, "etc")) }},
		{"a directory above, to be made", func(root string) error { return os.Symlink(outside, filepath.Join(root, "new")) }},
	}
	paths := []string{"/f", "/etc/f", "/new/dir/f"}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			require.NoError(t, tt.plant(root))
			_, err := textfile.Output{Path: paths[i], Mode: 0o644, Data: []byte("guest's\n")}.Save(t.Context(), root)
			assert.ErrorContains(t, err, "leads out of "+root)
			assert.Equal(t, "host's own\n", read(t, secret))
			assert.Equal(t, []string{"f"}, names(t, outside))
		})
	}
	t.Run("inside is fine", func(t *testing.T) {
		root := t.TempDir()
		write(t, filepath.Join(root, "real"), "old\n", 0o644)
		require.NoError(t, os.Symlink("real", filepath.Join(root, "f")))
		save(t, textfile.Output{Path: "/f", Mode: 0o644, Data: []byte("new\n")}, root)
		assert.Equal(t, "new\n", read(t, filepath.Join(root, "real")))
	})
}

func TestOutputRefusesPathsAndModesThatMeanNothing(t *testing.T) {
	root := t.TempDir()
	for _, o := range []textfile.Output{
		{Path: "", Mode: 0o644},
		{Path: "/", Mode: 0o644},
		{Path: "/../f", Mode: 0o644},
		{Path: "a/../../f", Mode: 0o644},
		{Path: "/f"},
	} {
		_, err := o.Save(t.Context(), root)
		_, ok := errors.AsType[*textfile.ValueError](err)
		assert.True(t, ok, "%v: %v", o, err)
	}
	assert.Empty(t, names(t, root))
	_, err := textfile.Output{Path: "/f", Mode: 0o644}.Save(canceled(t), root)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, names(t, root))
}

func TestOutputNeverShowsASecret(t *testing.T) {
	root := t.TempDir()
	const secret = "cHJpdmF0ZSBrZXk="
	o := textfile.Output{Path: "/etc/wg/key", Mode: 0o600, Data: []byte(secret)}
	asJSON, err := json.Marshal(o)
	require.NoError(t, err)
	shown := []string{string(asJSON), changes(t, o, root), o.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		shown = append(shown, fmt.Sprintf(verb, o), fmt.Sprintf(verb, []textfile.Output{o}), fmt.Sprintf(verb, struct{ O textfile.Output }{o}))
	}
	for _, text := range shown {
		assert.NotContains(t, text, secret)
		assert.NotContains(t, text, "0x63, 0x48", "nor its bytes")
		assert.Contains(t, text, "/etc/wg/key")
	}
	save(t, o, root)
	o.Data = []byte("other")
	assert.NotContains(t, changes(t, o, root), secret, "nor the one that it replaces")
	write(t, filepath.Join(root, "etc/wg/key"), secret, 0o600)
	o.Mode = 0o644
	assert.NotContains(t, changes(t, o, root), secret, "nor when it is about to become public")
	assert.Equal(t, "/etc/wg/key (0644)", o.String())
	assert.Equal(t, "/a -> b", textfile.Output{Path: "/a", Link: "b"}.String())
}

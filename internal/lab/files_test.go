package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOwnFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shared")
	require.NoError(t, os.WriteFile(file, []byte("everybody's"), 0o600))
	var root string
	t.Run("while the test lasts", func(t *testing.T) {
		a := NewHost(t, "a").OwnFiles(t)
		b := NewHost(t, "b").OwnFiles(t)
		root = a.Root
		a.Run(t, "sh", "-c", "mkdir /only-a && echo a >/etc/only-a && echo >/run/only-a && echo >/dev/null")
		assert.Equal(t, "a\n", a.Run(t, "cat", "/etc/only-a"))
		assert.FileExists(t, filepath.Join(a.Root, "etc/only-a"))
		b.Run(t, "sh", "-c", "! ls /only-a /etc/only-a /run/only-a 2>/dev/null")
		assert.NoFileExists(t, "/etc/only-a")
		assert.NoFileExists(t, "/run/only-a")
		assert.Equal(t, "everybody's", b.Run(t, "cat", file))
		a.Run(t, "ip", "link", "add", "dummy-a", "type", "veth")
		a.Run(t, "test", "-e", "/sys/class/net/dummy-a")
		b.Run(t, "test", "!", "-e", "/sys/class/net/dummy-a")
	})
	assert.NoDirExists(t, root)
	assert.FileExists(t, file)
}

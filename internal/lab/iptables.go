package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// UseIPTables makes iptables and ip6tables, in PATH and for as long as the test
// lasts, those of one of the two backends: "nft" or "legacy".
func UseIPTables(t testing.TB, backend string) {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"iptables", "ip6tables"} {
		for _, ending := range []string{"", "-save", "-restore"} {
			name := program + "-" + backend + ending
			Need(t, name)
			path, err := exec.LookPath(name)
			if err == nil {
				err = os.Symlink(path, filepath.Join(dir, program+ending))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

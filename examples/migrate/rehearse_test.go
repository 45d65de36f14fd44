package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/report"
)

// rehearsed are the files that a rehearsal has left.
func rehearsed(t *testing.T, out string) []string {
	t.Helper()
	var names []string
	require.NoError(t, fs.WalkDir(os.DirFS(filepath.Join(out, rehearsalDir)), ".", func(name string, _ fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	}))
	return names
}

func TestTheDefaultIsARehearsal(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-out", out, "-json"}, &stdout, &stderr)
	require.Equal(t, 0, code, "%s%s", &stdout, &stderr)
	assert.Contains(t, stderr.String(), "rehearsing: The final pass\n")
	assert.Equal(t, []string{".", "report.html", "report.json"}, rehearsed(t, out))
	kept, err := os.ReadFile(filepath.Join(out, rehearsalDir, "report.json"))
	require.NoError(t, err)
	assert.Equal(t, stdout.String(), string(kept))
	var rep struct {
		Guest  string
		Phases []struct{ Findings []report.Finding }
		Disk   report.Disk
	}
	require.NoError(t, json.Unmarshal(kept, &rep))
	assert.Equal(t, "senate", rep.Guest)
	assert.Len(t, rep.Phases, 8)
	assert.EqualValues(t, 256<<20, rep.Disk.Size)
}

func TestAFailedRehearsal(t *testing.T) {
	t.Parallel()
	opt := options{out: filepath.Join(t.TempDir(), "out")}
	m, p, err := load(opt)
	require.NoError(t, err)
	require.NoError(t, write(t.Context(), opt.out, outputs(p)))
	vm := filepath.Join(opt.out, "06-first-boot/garage/vm/senate/senate.conf")
	single, err := os.ReadFile(filepath.Join(opt.out, "06-first-boot/garage-single-user/vm/senate/senate.conf"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(vm, single, 0o600))
	// An earlier one was killed, and somebody keeps a folder there.
	for _, dir := range []string{"work-1", "work"} {
		require.NoError(t, os.MkdirAll(filepath.Join(opt.out, rehearsalDir, dir), 0o700))
	}
	var stdout, stderr bytes.Buffer
	err = rehearse(t.Context(), m, p, opt, &stdout, &stderr)
	require.ErrorContains(t, err, "of the rehearsal's checks failed")
	assert.Contains(t, stdout.String(), "-s is still in grub_run")
	assert.Contains(t, stderr.String(), "work-1 is left from a rehearsal that was killed")
	assert.Equal(t, []string{".", "report.html", "report.json", "work", "work-1"}, rehearsed(t, opt.out))
}

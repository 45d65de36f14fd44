package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/move"
)

// TestTheRunbookMovesADisk runs every command line of diskmove in the runbook, in
// order, with the real program. ssh and sudo run what they are told to here.
func TestTheRunbookMovesADisk(t *testing.T) {
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	runbook, err := os.ReadFile(filepath.Join(dir, "out/RUNBOOK.md"))
	require.NoError(t, err)

	bin, far := filepath.Join(dir, "bin"), filepath.Join(dir, "far")
	for _, d := range []string{bin, far} {
		require.NoError(t, os.Mkdir(d, 0o700))
	}
	build, err := exec.Command("go", "build", "-o", bin, "../diskmove").CombinedOutput()
	require.NoError(t, err, "%s", build)
	require.NoError(t, os.Symlink(filepath.Join(bin, "diskmove"), filepath.Join(far, "diskmove"))) // where scp puts it
	for name, script := range map[string]string{
		"ssh":  "while [ $1 = -o ]; do shift 2; done\n[ $1 = starkiller ] || exit 1\nshift\ncd '" + far + "' && exec sh -c \"$*\"\n",
		"sudo": "[ $1 = -n ] || exit 1\nshift\nexec \"$@\"\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o700))
	}
	old, home := filepath.Join(dir, "old.img"), filepath.Join(dir, "home.img")
	disk := []byte(strings.Repeat("the disk of senate\n", 100_000))
	require.NoError(t, os.WriteFile(old, disk, 0o600))

	outputs := map[string]string{}
	lines := regexp.MustCompile("(?m)^    (diskmove .*)$|`(diskmove (?:copy|verify|status)[^`]*)`").FindAllStringSubmatch(string(runbook), -1)
	for _, line := range lines {
		command := line[1] + line[2]
		if command == "diskmove status /vm/senate/disk0.img.journal" && outputs["final"] != "" {
			continue // which stands there once more, after it has run
		}
		here := strings.NewReplacer("/dev/vms/senate", old, "/vm/senate/disk0.img", home).Replace(command)
		cmd := exec.Command("sh", "-c", here)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		kind := strings.TrimLeft(strings.Fields(command)[2], "-")
		if kind == "n" {
			assert.Equal(t, 3, cmd.ProcessState.ExitCode(), "%s: %s", command, out)
		} else {
			require.NoError(t, err, "%s: %s", command, out)
		}
		outputs[kind] = string(out)
		if kind == "live" { // the machine runs, and writes
			disk[1000]++
			require.NoError(t, os.WriteFile(old, disk, 0o600))
		}
	}
	assert.Contains(t, outputs["n"], "will be made")
	assert.Contains(t, outputs["live"], "dirty: ")
	assert.Contains(t, outputs["/vm/senate/disk0.img.journal"], "dirty")
	assert.Contains(t, outputs["final"], "complete: ")
	assert.Contains(t, outputs["sudo"], old, "verify ran")
	copied, err := os.ReadFile(home)
	require.NoError(t, err)
	assert.Equal(t, disk, copied)
}

func TestEstimate(t *testing.T) {
	const gb = 1e9
	tests := []struct {
		name string
		disk move.Disk
		want outage
	}{
		{"reading takes longer", move.Disk{Size: 100 * gb, Changed: 1 * gb, Read: gb / 5, Link: gb / 100},
			outage{read: 500 * time.Second, changes: 100 * time.Second, stop: 625 * time.Second, whole: 10_000 * time.Second}},
		{"the link takes longer", move.Disk{Size: 100 * gb, Changed: 10 * gb, Read: gb / 5, Link: gb / 100},
			outage{read: 500 * time.Second, changes: 1000 * time.Second, stop: 1250 * time.Second, whole: 10_000 * time.Second}},
		{"a link faster than the disks", move.Disk{Size: 100 * gb, Changed: 1 * gb, Read: gb / 5, Link: gb},
			outage{read: 500 * time.Second, changes: time.Second, stop: 625 * time.Second, whole: 500 * time.Second}},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, estimate(tt.disk), tt.name)
	}
	for d, want := range map[time.Duration]string{time.Second: "1m", time.Minute: "1m", 61 * time.Second: "2m", 115 * time.Minute: "1h55m", 25 * time.Hour: "25h00m"} {
		assert.Equal(t, want, short(d))
	}
}

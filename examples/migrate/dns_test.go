package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/zone"
)

// TestNamedLoadsBothZones gives the zones of phase 4 to the real named-checkzone.
func TestNamedLoadsBothZones(t *testing.T) {
	lab.Need(t, "named-checkzone")
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	for host, serial := range map[string]string{"senate-short-ttl": "2026112102", "senate": "2026112103"} {
		file := filepath.Join(dir, "out/04-dns", host, "etc/namedb/example.net")
		out, err := exec.Command("named-checkzone", "-i", "local", "example.net", file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "loaded serial "+serial)
		assert.Contains(t, string(out), "MX 'mail.example.net' is a CNAME (illegal)", "as before: it is for a person to mend")
	}
}

// TestTheSwitchedZoneDiffersInTheAddressAlone compares the two zones of phase 4 by
// meaning.
func TestTheSwitchedZoneDiffersInTheAddressAlone(t *testing.T) {
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	open := func(host string) *zone.File {
		f, err := zone.Open(filepath.Join(dir, "out/04-dns", host, "etc/namedb/example.net"), "example.net", nil)
		require.NoError(t, err)
		return f
	}
	before, after := open("senate-short-ttl"), open("senate")
	changed := map[string]int{}
	for _, c := range zone.Diff(before.All(), after.All()) {
		if c.Record.Type == "SOA" {
			continue
		}
		want := "203.0.113.63"
		if c.Removed {
			want = "198.51.100.25"
		}
		assert.Equal(t, want, c.Record.Data)
		changed[c.Record.Owner]++
	}
	assert.Equal(t, map[string]int{
		"example.net.": 2, "ns1.example.net.": 2, "ns6.example.net.": 2, "senate.example.net.": 2, "www.example.net.": 2,
	}, changed)
}

// TestTheZoneIsNeeded takes it away: a phase without it would be a promise.
func TestTheZoneIsNeeded(t *testing.T) {
	dir := sampleDir(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "in/senate/etc/namedb/example.net")))
	code, _, stderr := migrate(t, dir)
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "dns.zone: /etc/namedb/example.net is not among the present files of senate")
}

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
		assert.NotContains(t, string(out), "illegal")
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
		"example.net.": 2, "mail.example.net.": 2, "ns1.example.net.": 2, "ns6.example.net.": 2, "senate.example.net.": 2, "www.example.net.": 2,
	}, changed)
}

// TestIPv6AddressesOfNamesThatMoveAreShown gives a name one that nothing else knows of.
func TestIPv6AddressesOfNamesThatMoveAreShown(t *testing.T) {
	dir := sampleDir(t)
	rewrite(t, filepath.Join(dir, "in/senate/etc/namedb/example.net"), "mail\t\tIN A\t198.51.100.25", "mail\t\tIN A\t198.51.100.25\n\t\tIN AAAA\t2001:db8::25")
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	runbook, err := os.ReadFile(filepath.Join(dir, "out/RUNBOOK.md"))
	require.NoError(t, err)
	assert.Contains(t, string(runbook), "take it out, or make it 2001:db8:189c:700:b4d2::4")
	assert.Contains(t, string(runbook), "\n    /etc/namedb/example.net:19: mail.example.net. AAAA 2001:db8::25\n")
}

// TestTheZoneIsNeeded takes it away: a phase without it would be a promise.
func TestTheZoneIsNeeded(t *testing.T) {
	dir := sampleDir(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "in/senate/etc/namedb/example.net")))
	code, _, stderr := migrate(t, dir)
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "dns.zone: /etc/namedb/example.net is not among the present files of senate")
}

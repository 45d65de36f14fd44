package blockcopy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeSystem makes a tree like sysfs: two disks with partitions, a volume group with
// two logical volumes on sda3, an encrypted volume on one of them, and a mirror of
// sda2 and sdb1.
func fakeSystem(t *testing.T) system {
	t.Helper()
	dir := t.TempDir()
	y := system{sys: filepath.Join(dir, "sys"), dev: filepath.Join(dir, "dev"), proc: filepath.Join(dir, "proc")}
	write := func(path, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	link := func(to, from string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(from), 0o755))
		require.NoError(t, os.Symlink(to, from))
	}
	folder := map[string]string{}
	disk := func(place, number string, files map[string]string) {
		at := filepath.Join(y.sys, "devices", place)
		folder[filepath.Base(place)] = at
		write(filepath.Join(at, "dev"), number+"\n")
		for name, text := range files {
			write(filepath.Join(at, name), text+"\n")
		}
		link(at, filepath.Join(y.sys, "dev/block", number))
		link(at, filepath.Join(y.sys, "block", filepath.Base(place)))
	}
	part := func(n, start, size int) map[string]string {
		return map[string]string{"partition": fmt.Sprint(n), "start": fmt.Sprint(start), "size": fmt.Sprint(size),
			"uevent": fmt.Sprintf("DEVTYPE=partition\nPARTN=%d\nPARTUUID=0-%d", n, n)}
	}
	on := func(upper string, lower ...string) {
		for _, name := range lower {
			link(folder[name], filepath.Join(folder[upper], "slaves", name))
			link(folder[upper], filepath.Join(folder[name], "holders", upper))
		}
	}
	disk("sda", "8:0", map[string]string{"device/wwid": "t10.ATA     DISK  S1"})
	disk("sda/sda1", "8:1", part(1, 2048, 1000))
	disk("sda/sda2", "8:2", part(2, 4096, 1000))
	disk("sda/sda3", "8:3", part(3, 8192, 9000))
	disk("sdb", "8:16", map[string]string{"serial": "B2"})
	disk("sdb/sdb1", "8:17", part(1, 2048, 1000))
	disk("sdb/sdb2", "8:18", part(2, 4096, 1000))
	disk("sdc", "8:32", nil)
	disk("dm-0", "253:0", map[string]string{"dm/uuid": "LVM-vg-root", "dm/name": "vms-senate"})
	disk("dm-1", "253:1", map[string]string{"dm/uuid": "LVM-vg-home"})
	disk("dm-2", "253:2", map[string]string{"dm/uuid": "CRYPT-LUKS2-home"})
	disk("md0", "9:0", map[string]string{"md/uuid": "m0"})
	on("dm-0", "sda3")
	on("dm-1", "sda3")
	on("dm-2", "dm-1")
	on("md0", "sda2", "sdb1")
	write(filepath.Join(y.proc, "self/mountinfo"), strings.Join([]string{
		`22 1 0:21 / /proc rw - proc proc rw`,
		`a broken line`,
		`30 1 8:32 / /srv/a\040b\134c rw,relatime shared:1 - ext4 /dev/sdc rw`,
	}, "\n"))
	write(filepath.Join(y.proc, "swaps"), "Filename Type Size Used Priority\n")
	return y
}

func TestWhatLiesOnWhat(t *testing.T) {
	y := fakeSystem(t)
	over := func(name string) []span {
		rdev, ok := readDevice(filepath.Join(y.sys, "block", name))
		require.True(t, ok, name)
		return y.overDisk(rdev, 0, maxOffset)
	}
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"sda", "sda", true},
		{"sda", "sda1", true}, // a partition and its disk
		{"sda1", "sda2", false},
		{"sda", "sdb", false},
		{"dm-0", "sda3", true}, // logical and physical volume
		{"dm-0", "sda", true},
		{"dm-0", "sda1", false},
		{"dm-0", "dm-1", false}, // two volumes of one group
		{"dm-2", "dm-1", true},
		{"dm-2", "sda3", true},
		{"dm-2", "dm-0", false},
		{"md0", "sda2", true}, // an array and its members
		{"md0", "sdb1", true},
		{"md0", "sdb", true},
		{"md0", "sda1", false},
		{"md0", "dm-0", false},
		{"sdc", "md0", false},
	} {
		assert.Equal(t, tt.same, related(over(tt.a), over(tt.b)), "%s and %s", tt.a, tt.b)
		assert.Equal(t, tt.same, related(over(tt.b), over(tt.a)), "%s and %s", tt.b, tt.a)
	}
	// A file on a filesystem of sdc.
	file := y.over(span{where: fileName(unix.Mkdev(8, 32), 12), end: maxOffset}, unix.Mkdev(8, 32))
	other := y.over(span{where: fileName(unix.Mkdev(8, 32), 13), end: maxOffset}, unix.Mkdev(8, 32))
	assert.True(t, related(file, over("sdc")))
	assert.False(t, related(file, other))
	assert.False(t, related(file, over("sdb")))
}

func TestWhoUsesADisk(t *testing.T) {
	y := fakeSystem(t)
	for number, want := range map[[2]uint32]string{
		{8, 0}:   "its partition sda2: it is part of md0",
		{8, 1}:   "",
		{8, 3}:   "it is part of vms-senate",
		{8, 18}:  "",
		{8, 32}:  `it is mounted on /srv/a b\c`,
		{253, 1}: "it is part of dm-2",
		{253, 0}: "",
		{99, 9}:  "",
	} {
		s := &storage{}
		s.stat.Rdev = unix.Mkdev(number[0], number[1])
		got, err := y.usedBy(s)
		require.NoError(t, err)
		assert.Equal(t, want, got, "%d", number)
	}
}

func TestIdentityOfADisk(t *testing.T) {
	y := fakeSystem(t)
	for number, want := range map[[2]uint32]string{
		{8, 0}:   "disk wwid t10.ATA DISK S1",
		{8, 1}:   "disk wwid t10.ATA DISK S1 partition at 1048576 uuid 0-1",
		{8, 17}:  "disk serial B2 partition at 1048576 uuid 0-1",
		{8, 32}:  "disk 8:32",
		{253, 0}: "disk uuid LVM-vg-root",
		{9, 0}:   "disk uuid m0",
		{99, 9}:  "disk 99:9",
	} {
		assert.Equal(t, want, y.identify(unix.Mkdev(number[0], number[1])))
	}
}

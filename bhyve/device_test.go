package bhyve

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const twoOfEach = `# senate
network0_type="virtio-net" # in front
network0_switch="public"
network0_mac="58:9C:FC:1:02:03"
network0_slot=11
network1_type=e1000
network1_switch=lan
network1_span=On
disk0_type="virtio-blk"
disk0_name="disk0.img" # system
disk1_type=ahci-hd
disk1_name=/dev/da0
disk1_dev=custom
disk1_opts=nocache,direct
# the end
`

func TestDevicesAreRead(t *testing.T) {
	f := parse(t, twoOfEach)
	list, err := f.Disks()
	require.NoError(t, err)
	assert.Equal(t, []Disk{
		{Type: "virtio-blk", Name: "disk0.img"},
		{Type: "ahci-hd", Name: "/dev/da0", Dev: "custom", Opts: "nocache,direct"},
	}, list)
	ifs, err := f.NICs()
	require.NoError(t, err)
	assert.Equal(t, []NIC{
		{Type: "virtio-net", Switch: "public", MAC: net.HardwareAddr{0x58, 0x9c, 0xfc, 1, 2, 3}},
		{Type: "e1000", Switch: "lan", Span: true},
	}, ifs)
}

func TestEnumerationStopsAtTheFirstGap(t *testing.T) {
	for _, row := range []struct {
		name, text  string
		disks, nics int
	}{
		{"disk needs a type", "disk0_type=virtio-blk\ndisk0_name=a\ndisk1_name=b\n", 1, 0},
		{"disk needs a name", "disk0_type=virtio-blk\ndisk0_name=\"\"\n", 0, 0},
		{"disk gap", "disk0_type=virtio-blk\ndisk0_name=a\ndisk2_type=virtio-blk\ndisk2_name=b\n", 1, 0},
		{"disk numbering starts at 0", "disk1_type=virtio-blk\ndisk1_name=a\n", 0, 0},
		{"network needs its type", "network0_switch=public\n", 0, 0},
		{"network gap", "network0_type=e1000\nnetwork2_type=e1000\n", 0, 1},
		{"leading zero is another key", "disk00_type=virtio-blk\ndisk00_name=a\n", 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, row.text)
			list, err := f.Disks()
			require.NoError(t, err)
			assert.Len(t, list, row.disks)
			ifs, err := f.NICs()
			require.NoError(t, err)
			assert.Len(t, ifs, row.nics)
		})
	}
}

func TestEnumerationOfOneKeyFamilies(t *testing.T) {
	f := parse(t, "passthru0=6/0/0\npassthru2=7/0/0\ngrub_install0=a\ngrub_install1=b\ngrub_run1=c\n"+
		"grub_run_partition=msdos1\ngrub_run_dir=/grub\ngrub_run_file=grub.conf\n")
	g, err := f.Guest()
	require.NoError(t, err)
	assert.Equal(t, []string{"6/0/0"}, g.Passthru)
	assert.Equal(t, []string{"a", "b"}, g.GrubInstall)
	assert.Empty(t, g.GrubRun, "grub_run_partition and the like are plain keys")
	value, _ := f.Get("grub_run_partition")
	assert.Equal(t, "msdos1", value)
}

func TestVirtConsolesAtMost16(t *testing.T) {
	text := "loader=uefi\ncpu=1\nmemory=1G\n"
	for _, n := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"} {
		text += "virt_console" + n + "=yes\n"
	}
	assert.Empty(t, parse(t, text).Check())
	problems := parse(t, text+"virt_console16=yes\n").Check()
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Error(), "senate.conf:20:1: error: vm-bhyve reads at most 16 virt_consoleN")
}

func TestBadDeviceValuesArePlacedErrors(t *testing.T) {
	f := parse(t, "disk0_type=virtio-blk\ndisk0_name=\"disk 0.img\"\ndisk0_dev=fil\nnetwork0_type=e1000\nnetwork0_mac=01:00:00:00:00:00\n")
	list, err := f.Disks()
	require.ErrorContains(t, err, `senate.conf:2:12: disk0_name: "disk 0.img": must have no blank`)
	require.ErrorContains(t, err, `senate.conf:3:11: disk0_dev: "fil": must be one of file, zvol`)
	assert.Equal(t, []Disk{{Type: "virtio-blk", Name: "disk 0.img", Dev: "fil"}}, list)
	ifs, err := f.NICs()
	require.ErrorContains(t, err, "senate.conf:5:14: network0_mac")
	assert.Nil(t, ifs[0].MAC)
	var parseErr *ParseError
	require.ErrorAs(t, err, &parseErr)
	var valueErr *ValueError
	require.ErrorAs(t, err, &valueErr)
}

func TestSetDisk(t *testing.T) {
	for _, row := range []struct {
		name string
		i    int
		disk Disk
		from string // lines that change
		to   string
	}{
		{"same changes nothing", 0, Disk{Type: "virtio-blk", Name: "disk0.img"}, "", ""},
		{"one value", 0, Disk{Type: "nvme", Name: "disk0.img"}, "disk0_type=\"virtio-blk\"\n", "disk0_type=\"nvme\"\n"},
		{"new key beside the device", 0, Disk{Type: "virtio-blk", Name: "disk0.img", Opts: "ro"},
			"disk0_name=\"disk0.img\" # system\n", "disk0_name=\"disk0.img\" # system\ndisk0_opts=\"ro\"\n"},
		{"empty removes", 1, Disk{Type: "ahci-hd", Name: "/dev/da0", Dev: "custom"}, "disk1_opts=nocache,direct\n", ""},
		{"append", 2, Disk{Type: "virtio-blk", Name: "disk2.img", Dev: "zvol"}, "disk1_opts=nocache,direct\n",
			"disk1_opts=nocache,direct\ndisk2_type=\"virtio-blk\"\ndisk2_name=\"disk2.img\"\ndisk2_dev=\"zvol\"\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, twoOfEach)
			require.NoError(t, f.SetDisk(row.i, row.disk))
			assert.Equal(t, replace(t, twoOfEach, row.from, row.to), string(f.Bytes()))
			list, err := f.Disks()
			require.NoError(t, err)
			assert.Equal(t, row.disk, list[row.i])
		})
	}
}

func TestSetNIC(t *testing.T) {
	addr := net.HardwareAddr{0x58, 0x9c, 0xfc, 1, 2, 3}
	for _, row := range []struct {
		name     string
		i        int
		nic      NIC
		from, to string
	}{
		{"same changes nothing", 0, NIC{Type: "virtio-net", Switch: "public", MAC: addr}, "", ""},
		{"nil address keeps the one there", 0, NIC{Type: "virtio-net", Switch: "public"}, "", ""},
		{"nil address keeps the one there in an edit, and its spelling", 0, NIC{Type: "virtio-net", Switch: "lan"},
			"network0_switch=\"public\"\n", "network0_switch=\"lan\"\n"},
		{"another address", 0, NIC{Type: "virtio-net", Switch: "public", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}},
			"network0_mac=\"58:9C:FC:1:02:03\"\n", "network0_mac=\"02:00:00:00:00:09\"\n"},
		{"span off", 1, NIC{Type: "e1000", Switch: "lan"}, "network1_span=On\n", ""},
		{"span stays as it is spelt", 1, NIC{Type: "e1000", Switch: "dmz", Span: true}, "network1_switch=lan\n", "network1_switch=dmz\n"},
		{"append", 2, NIC{Type: "virtio-net", Switch: "public", Device: "tap7", Name: "web", MAC: addr, Span: true},
			"network1_span=On\n", "network1_span=On\nnetwork2_type=\"virtio-net\"\nnetwork2_switch=\"public\"\nnetwork2_device=\"tap7\"\n" +
				"network2_name=\"web\"\nnetwork2_mac=\"58:9c:fc:01:02:03\"\nnetwork2_span=\"yes\"\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, twoOfEach)
			require.NoError(t, f.SetNIC(row.i, row.nic))
			assert.Equal(t, replace(t, twoOfEach, row.from, row.to), string(f.Bytes()))
			list, err := f.NICs()
			require.NoError(t, err)
			assert.True(t, list[row.i].matches(row.nic))
		})
	}
}

func TestSetDeviceRefuses(t *testing.T) {
	for _, row := range []struct {
		name string
		set  func(*File) error
		want string
	}{
		{"a gap", func(f *File) error { return f.SetDisk(3, Disk{Type: "nvme", Name: "x"}) }, `disk: "3": the next one is disk2`},
		{"a negative number", func(f *File) error { return f.SetNIC(-1, NIC{Type: "e1000", Switch: "x"}) }, `network: "-1"`},
		{"a disk without a type", func(f *File) error { return f.SetDisk(0, Disk{Name: "x"}) }, "disk0_type"},
		{"a disk without a name", func(f *File) error { return f.SetDisk(2, Disk{Type: "nvme"}) }, "disk2_name"},
		{"a comma", func(f *File) error { return f.SetDisk(0, Disk{Type: "nvme", Name: "a,b"}) }, "comma"},
		{"an unknown backing", func(f *File) error { return f.SetDisk(0, Disk{Type: "nvme", Name: "a", Dev: "disk"}) }, "must be one of file"},
		{"a relative custom path", func(f *File) error { return f.SetDisk(0, Disk{Type: "nvme", Name: "da0", Dev: "custom"}) }, "full path"},
		{"a newline after good values", func(f *File) error { return f.SetDisk(0, Disk{Type: "nvme", Name: "new", Opts: "a\ncpu=1"}) }, "one line"},
		{"a NIC without a switch", func(f *File) error { return f.SetNIC(0, NIC{Type: "e1000", Device: "tap0"}) }, "drops a NIC without a switch"},
		{"a NIC without a type", func(f *File) error { return f.SetNIC(0, NIC{Switch: "lan"}) }, "network0_type"},
		{"a multicast address", func(f *File) error {
			return f.SetNIC(0, NIC{Type: "e1000", Switch: "lan", MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}})
		}, "one interface"},
		{"a short address", func(f *File) error {
			return f.SetNIC(0, NIC{Type: "e1000", Switch: "lan", MAC: net.HardwareAddr{2, 0, 0}})
		}, "one interface"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, twoOfEach)
			err := row.set(f)
			var valueErr *ValueError
			require.ErrorAs(t, err, &valueErr)
			assert.ErrorContains(t, err, row.want)
			assert.Equal(t, twoOfEach, string(f.Bytes()))
		})
	}
}

func TestAppendFillsAGapAndKeepsUnknownKeys(t *testing.T) {
	f := parse(t, "disk0_slot=9\ndisk0_opts=ro\n")
	require.NoError(t, f.SetDisk(0, Disk{Type: "nvme", Name: "a"}))
	assert.Equal(t, "disk0_slot=9\ndisk0_type=\"nvme\"\ndisk0_name=\"a\"\n", string(f.Bytes()))
}

// vm-bhyve hands out PCI slots through disks and then NICs, so a disk more gives
// the guest's NICs other slots, whatever the file says. What the guest knows them
// by, the address, must stay.
func TestAppendedDiskLeavesTheNICsWhoseSlotsItShifts(t *testing.T) {
	f := parse(t, twoOfEach)
	before, err := f.NICs()
	require.NoError(t, err)
	require.NoError(t, f.SetDisk(2, Disk{Type: "virtio-blk", Name: "disk2.img"}))
	after, err := f.NICs()
	require.NoError(t, err)
	assert.NotEmpty(t, before)
	assert.Equal(t, before, after)
}

func TestSetDeviceKeepsAnEmptyKey(t *testing.T) {
	f := parse(t, "disk0_type=\"virtio-blk\"\ndisk0_name=\"a\"\ndisk0_opts=\"\" # none yet\n")
	require.NoError(t, f.SetDisk(0, Disk{Type: "virtio-blk", Name: "b"}))
	assert.Equal(t, "disk0_type=\"virtio-blk\"\ndisk0_name=\"b\"\ndisk0_opts=\"\" # none yet\n", string(f.Bytes()))
}

func TestRemoveRenumbers(t *testing.T) {
	f := parse(t, twoOfEach)
	require.True(t, f.RemoveNIC(0))
	require.True(t, f.RemoveDisk(0))
	assert.Equal(t, `# senate
network0_type=e1000
network0_switch=lan
network0_span=On
disk0_type=ahci-hd
disk0_name=/dev/da0
disk0_dev=custom
disk0_opts=nocache,direct
# the end
`, string(f.Bytes()))
	assert.False(t, f.RemoveNIC(1))
	assert.False(t, f.RemoveNIC(-1))
	assert.True(t, f.RemoveNIC(0))
	assert.False(t, f.RemoveNIC(0))
}

func TestRemoveKeepsOddLines(t *testing.T) {
	f := parse(t, "network0_type=e1000\nnetwork0_type=dup\nn\"etwork1_type\"=\"e1000\" # c\r\n network0_mac=x\nnetwork3_type=x\nnetwork2_mac\nnetwork_slot_start=9")
	require.True(t, f.RemoveNIC(0))
	assert.Equal(t, "network0_type=\"e1000\" # c\r\n network0_mac=x\nnetwork2_type=x\nnetwork1_mac=network2_mac\nnetwork_slot_start=9", string(f.Bytes()))
}

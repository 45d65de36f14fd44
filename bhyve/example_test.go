package bhyve_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/rehost/rehost/bhyve"
)

// A guest's file as people keep them: comments, old habits, no order.
const conf = `# senate: moved here from the hosting provider
loader="grub"
cpu=1		# was 2
memory=2048M
network0_type="virtio-net"
network0_switch="public"
disk0_type="virtio-blk"
disk0_name="disk0.img"   # copied with dd
grub_run0="knetbsd -h -r ld0a /netbsd"  # ld0a: the virtio disk
`

func mustParse(text string) *bhyve.File {
	f, err := bhyve.Parse("senate.conf", []byte(text))
	if err != nil {
		log.Fatal(err)
	}
	return f
}

// Boot a guest to single-user mode once, and take it back.
func Example() {
	f := mustParse(conf)
	if err := f.SetSingleUser(true); err != nil {
		log.Fatal(err)
	}
	fmt.Print(f.Changes())
	if err := f.SetSingleUser(false); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", f.Changes())
	// Output:
	// --- senate.conf
	// +++ senate.conf
	// @@ -6,4 +6,4 @@
	//  network0_switch="public"
	//  disk0_type="virtio-blk"
	//  disk0_name="disk0.img"   # copied with dd
	// -grub_run0="knetbsd -h -r ld0a /netbsd"  # ld0a: the virtio disk
	// +grub_run0="knetbsd -h -s -r ld0a /netbsd"  # ld0a: the virtio disk
	// ""
}

// Edit a file on disk, which somebody else may be editing too.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "vm")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "senate.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		log.Fatal(err)
	}

	f, err := bhyve.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	if err := f.Set("cpu", "2"); err != nil {
		log.Fatal(err)
	}
	if err := f.Save(context.Background()); err != nil {
		log.Fatal(err)
	}
	saved, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(string(saved), "\ncpu=2 # was 2\n"))

	if err := os.WriteFile(path, []byte("cpu=4\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	if err := f.Set("cpu", "8"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(f.Save(context.Background()), bhyve.ErrStale))
	// Output:
	// true
	// true
}

func ExampleFile_Get() {
	f := mustParse("cpu=2 # for now\ncpu=4\n memory=4G\nvnc_password='a#b'\n")
	cpu, _ := f.Get("cpu")
	_, ok := f.Get("memory")
	password, _ := f.Get("vnc_password")
	fmt.Println(cpu, ok, password)
	// Output: 2 false 'a
}

func ExampleFile_Set() {
	f := mustParse(conf)
	for key, value := range map[string]string{
		"cpu":        "2",                              // keeps its comment
		"grub_run0":  "knetbsd -h -r ld0a /netbsd.new", // keeps its quotes
		"disk0_opts": "nocache",                        // joins its disk
	} {
		if err := f.Set(key, value); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Print(string(f.Bytes()))
	fmt.Println(f.Set("uuid", "x\ncpu=64"))
	// Output:
	// # senate: moved here from the hosting provider
	// loader="grub"
	// cpu=2 # was 2
	// memory=2048M
	// network0_type="virtio-net"
	// network0_switch="public"
	// disk0_type="virtio-blk"
	// disk0_name="disk0.img"   # copied with dd
	// disk0_opts="nocache"
	// grub_run0="knetbsd -h -r ld0a /netbsd.new"  # ld0a: the virtio disk
	// uuid: "x\ncpu=64": a value is one line without control characters
}

func ExampleFile_Check() {
	f := mustParse(`loader="grub"
cpu = 2
memory="2G"
disk0_type="virtio-blk"
disk0_name="disk0.img"
disk2_type="virtio-blk"
disk2_name='data.img'
network0_type="virtio-net"
network0_device="tap0"
ignore_bad_msr="yes"
grub_run0="knetbsd -h -s -r ld0a /netbsd"
`)
	fmt.Print(f.Check())
	// Output:
	// senate.conf: error: vm-bhyve does not start a guest without cpu: set it
	// senate.conf:2:4: error: vm-bhyve reads the key "cpu " with its blank, and never looks for it: write no blank before =
	// senate.conf:6:1: error: vm-bhyve ignores disk2: it counts from 0 and stops at disk1, for want of disk1_type and disk1_name
	// senate.conf:7:12: error: single quotes are part of the value for vm-bhyve, and not for sysrc(8): use double quotes
	// senate.conf:8:15: error: vm-bhyve silently drops network0, which has no switch: set network0_switch
	// senate.conf:10:1: error: vm-bhyve does not read ignore_bad_msr: ignore_msr was probably meant
	// senate.conf:11:23: warning: the guest boots to single-user mode: take -s out when you are done
}

// Write the file of a new guest, and never over one that is there.
func ExampleFile_SetGuest() {
	dir, err := os.MkdirTemp("", "vm")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	f, err := bhyve.Create(filepath.Join(dir, "senate.conf"))
	if err != nil {
		log.Fatal(err)
	}
	err = f.SetGuest(bhyve.Guest{
		Loader:      "grub",
		CPU:         1,
		Memory:      2 * bhyve.GiB,
		UUID:        "5f1f1d2e-3c4b-11ef-9a64-0025905a1c2b", // else a random one
		NICs:        []bhyve.NIC{{Type: "virtio-net", Switch: "public", MAC: []byte{2, 0x52, 0x48, 1, 2, 3}}},
		Disks:       []bhyve.Disk{{Type: "virtio-blk", Name: "disk0.img"}},
		GrubInstall: []string{"knetbsd -h -r cd0a /netbsd"},
		GrubRun:     []string{"knetbsd -h -r ld0a /netbsd"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(f.Bytes()))
	// then: f.Save(ctx)

	// Output:
	// loader="grub"
	// cpu="1"
	// memory="2048M"
	// uuid="5f1f1d2e-3c4b-11ef-9a64-0025905a1c2b"
	// network0_type="virtio-net"
	// network0_switch="public"
	// network0_mac="02:52:48:01:02:03"
	// disk0_type="virtio-blk"
	// disk0_name="disk0.img"
	// grub_install0="knetbsd -h -r cd0a /netbsd"
	// grub_run0="knetbsd -h -r ld0a /netbsd"
}

// A UUID and an address are made up where the guest has none.
func ExampleNew() {
	f, err := bhyve.New(bhyve.Guest{
		Loader: "uefi",
		CPU:    2,
		Memory: 4 * bhyve.GiB,
		NICs:   []bhyve.NIC{{Type: "virtio-net", Switch: "public"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	g, err := f.Guest()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Memory, len(g.UUID), len(g.NICs[0].MAC), f.Check())
	// Output: 4096M 36 6
}

// A file was copied for a second guest, and its address with it.
func ExampleCheckGuests() {
	one, err := bhyve.Parse("ab.conf", []byte("network0_type=e1000\nnetwork0_mac=58:9c:fc:0a:0b:0c\n"))
	if err != nil {
		log.Fatal(err)
	}
	two, err := bhyve.Parse("cd.conf", []byte("network0_type=e1000 # copied\nnetwork0_mac=58:9C:FC:A:B:C\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(bhyve.CheckGuests(one, two))
	// Output:
	// cd.conf:2:14: error: network0_mac 58:9c:fc:0a:0b:0c is that of ab.conf as well: give each guest its own
}

func ExampleFile_Guest() {
	g, err := mustParse(conf).Guest()
	fmt.Println(g.CPU, g.Memory, g.Disks, err)
	g, err = mustParse("cpu=one\n").Guest()
	fmt.Println(g.CPU, err)
	// Output:
	// 1 2048M [{virtio-blk disk0.img  }] <nil>
	// 0 senate.conf:1:5: cpu: "one": must be a number from 1 to 65535
}

func ExampleFile_RemoveDisk() {
	f := mustParse(`disk0_type="virtio-blk"
disk0_name="disk0.img"
disk1_type="ahci-hd" # data
disk1_name="data"
disk1_dev="zvol"
disk1_slot="9"
`)
	fmt.Println(f.RemoveDisk(0))
	if err := f.SetDisk(1, bhyve.Disk{Type: "virtio-blk", Name: "swap.img"}); err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(f.Bytes()))
	// Output:
	// true
	// disk0_type="ahci-hd" # data
	// disk0_name="data"
	// disk0_dev="zvol"
	// disk0_slot="9"
	// disk1_type="virtio-blk"
	// disk1_name="swap.img"
}

func ExampleFile_SetNIC() {
	f := mustParse(conf)
	nics, err := f.NICs()
	if err != nil {
		log.Fatal(err)
	}
	nics[0].Switch = "lan"
	if err := f.SetNIC(0, nics[0]); err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.SetNIC(1, bhyve.NIC{Type: "virtio-net", Device: "tap0"}))
	fmt.Print(f.Changes())
	// Output:
	// network1_switch: "": vm-bhyve drops a NIC without a switch
	// --- senate.conf
	// +++ senate.conf
	// @@ -3,7 +3,7 @@
	//  cpu=1		# was 2
	//  memory=2048M
	//  network0_type="virtio-net"
	// -network0_switch="public"
	// +network0_switch="lan"
	//  disk0_type="virtio-blk"
	//  disk0_name="disk0.img"   # copied with dd
	//  grub_run0="knetbsd -h -r ld0a /netbsd"  # ld0a: the virtio disk
}

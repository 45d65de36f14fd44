package main

import (
	"cmp"
	"fmt"
	"net"
	"path"
	"slices"

	"github.com/rehost/rehost/bhyve"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/internal/textfile"
	"github.com/rehost/rehost/netbsdcfg"
)

// firstBoot is phase 6: the guest starts at home, once in single-user mode to
// get its new network, and then for good.
func firstBoot(m *move.Move, ms *machines) (phase, error) {
	guest, home := m.Guest.Name, m.Hypervisor.Name
	if err := leftInSingleUser(m, ms); err != nil {
		return phase{}, err
	}
	memory, err := bhyve.ParseSize(m.Guest.VM.Memory)
	if err != nil {
		return phase{}, m.Problem("guest.vm.memory", "%v", err)
	}
	mac, err := net.ParseMAC(m.Guest.VM.MAC)
	if err != nil {
		return phase{}, m.Problem("guest.vm.mac", "%v", err)
	}
	vm, err := edit(ms, home, guestFile(m), bhyve.Parse, func(f *bhyve.File) error {
		return describeGuest(f, m.Guest.VM, memory, mac)
	})
	if err != nil {
		return phase{}, m.Problem("guest.vm", "%v", err)
	}
	single, err := singleUser(vm)
	if err != nil {
		return phase{}, err
	}
	network, err := homeNetwork(m, ms)
	if err != nil {
		return phase{}, err
	}
	steps := []step{
		{Title: "Start in single-user mode", Host: home,
			Do:    "The guest must not come up with the provider's addresses.",
			Files: []rendered{single},
			Run:   []string{"vm start " + guest, "vm console " + guest},
			Check: []string{"The kernel's last line asks for a shell. `~.` leaves the console."}},
		{Title: "The network at home", Host: guest,
			Do:    "On the console. The endpoint gets a route of its own through the gateway at home, and everything else goes into the tunnel. pf is not needed any more: there is one path.",
			Files: network,
			Run: []string{
				"fsck -p", "mount -u -o rw /", "mount -a -t ffs",
				"mkdir -p /root/move/before",
				"for f in /root/move/etc/*; do b=/root/move/before/${f##*/}; test -e $b || cp -p /etc/${f##*/} $b; cp $f /etc/; done",
				"for f in /root/move/etc/*; do cmp $f /etc/${f##*/}; done",
			},
			Check: []string{"The last command prints nothing. Then `shutdown -p now`."}},
		{Title: "Start for good", Host: home,
			Do:    "When `vm list` says Stopped: the same file without -s.",
			Files: []rendered{vm},
			Run:   []string{"vm start " + guest},
			Check: []string{
				fmt.Sprintf("On %s: `netstat -rn` shows default through %s and %s through %s.", guest, m.Tunnel.Router.Addr(true), m.Router.Address, m.Guest.Home.Gateway),
				"`grep grub_run " + guestFile(m) + "` shows no -s.",
			}},
	}
	return phase{Dir: "06-first-boot", Title: "First boot at home",
		Goal:  fmt.Sprintf("%s runs on %s and reaches the world through the tunnel only.", guest, home),
		Steps: steps,
		Back: []string{
			"In single-user mode on the console: `cp -p /root/move/before/* /etc/`.",
			fmt.Sprintf("Or stop it with `vm stop %s`, and when `vm list` says Stopped, start the guest at %s again.", guest, m.Guest.Old.Host),
		}}, nil
}

func guestFile(m *move.Move) string {
	return path.Join(m.Hypervisor.Datastore, m.Guest.Name, m.Guest.Name+".conf")
}

// leftInSingleUser refuses a guest that an earlier try has left in single-user
// mode: vm-bhyve has nothing against it, but nobody would ask for it here.
func leftInSingleUser(m *move.Move, ms *machines) error {
	name := m.Hypervisor.Name + guestFile(m)
	f, err := bhyve.Parse(name, ms.files[name])
	if err != nil || !f.SingleUser() {
		return err
	}
	if err := f.SetSingleUser(false); err != nil {
		return err
	}
	before, after := textfile.Lines(ms.files[name]), textfile.Lines(f.Bytes())
	line := slices.IndexFunc(before, func(line string) bool { return !slices.Contains(after, line) })
	return bhyve.Problem{File: path.Join(ms.from, name), Line: line + 1, Severity: bhyve.Error,
		Message: "the guest was left in single-user mode: take -s out, there and in the copy here"}
}

// describeGuest makes vm-bhyve's file say what the move file says. More disks
// and NICs, and boot commands of its own, stay as they are in the file.
func describeGuest(f *bhyve.File, vm move.VM, memory bhyve.Size, mac net.HardwareAddr) error {
	g, err := f.Guest()
	if err != nil {
		return err
	}
	g.CPU, g.Memory, g.UUID = vm.CPU, memory, vm.UUID
	g.Loader = cmp.Or(g.Loader, "grub")
	if len(g.NICs) == 0 {
		g.NICs = []bhyve.NIC{{Type: "virtio-net"}}
	}
	g.NICs[0].Switch, g.NICs[0].MAC = vm.Switch, mac
	if len(g.Disks) == 0 {
		g.Disks = []bhyve.Disk{{Type: "virtio-blk"}}
	}
	g.Disks[0].Name = vm.Disk
	if len(g.GrubInstall) == 0 {
		g.GrubInstall = []string{"knetbsd -h -r cd0a /netbsd"}
	}
	if len(g.GrubRun) == 0 {
		g.GrubRun = []string{"knetbsd -h -r ld0a /netbsd"}
	}
	return f.SetGuest(g)
}

// singleUser is the same file with -s, in a folder of its own.
func singleUser(vm rendered) (rendered, error) {
	f, err := bhyve.Parse(vm.Dir+vm.Path, vm.data)
	if err != nil {
		return rendered{}, err
	}
	if err := f.SetSingleUser(true); err != nil {
		return rendered{}, fmt.Errorf("%s: %w", vm.Dir+vm.Path, err)
	}
	return rendered{Dir: vm.Dir + "-single-user", Path: vm.Path, Mode: vm.Mode, Changes: f.Changes(), data: f.Bytes()}, nil
}

// homeNetwork renders the guest's network files for home.
func homeNetwork(m *move.Move, ms *machines) ([]rendered, error) {
	guest, home := m.Guest.Name, m.Guest.Home
	if err := asksDHCP(m, ms); err != nil { // before the edit, so that its line is today's
		return nil, err
	}
	lan, err := edit(ms, guest, "/etc/ifconfig."+home.Iface, netbsdcfg.ParseIfconfig, func(f *netbsdcfg.Ifconfig) error {
		for _, p := range f.Addrs() {
			if p == home.Address {
				continue
			}
			if _, err := f.RemoveAddr(p); err != nil {
				return err
			}
		}
		if err := f.AddAddr(home.Address); err != nil {
			return err
		}
		return f.AddLine("up")
	})
	if err != nil {
		return nil, err
	}
	wg, _, err := tunnelFile(m, ms, netbsdcfg.WireGuard{
		Addresses:     m.Tunnel.Guest.Addresses,
		EndpointVia:   home.Gateway,
		DefaultRoute4: m.Tunnel.Router.Addr(true),
		DefaultRoute6: m.Tunnel.Router.Addr(false),
	})
	if err != nil {
		return nil, err
	}
	rc, err := edit(ms, guest, "/etc/rc.conf", netbsdcfg.ParseRC, func(f *netbsdcfg.RC) error {
		for _, key := range []string{"defaultroute", "defaultroute6"} {
			if _, ok := f.Get(key); ok && !f.Comment(key) {
				return fmt.Errorf("%s is not on a line of its own: comment it out by hand", key)
			}
		}
		return f.Enable("pf", false)
	})
	return []rendered{lan, wg, rc}, err
}

// asksDHCP refuses a guest that would take its default route at home from DHCP:
// everything would pass the tunnel by.
func asksDHCP(m *move.Move, ms *machines) error {
	const reason = "DHCP at home would set a default route past the tunnel: take it out, the address is static"
	guest, iface := m.Guest.Name, m.Guest.Home.Iface
	problem := netbsdcfg.Problem{File: path.Join(ms.from, guest, "etc/ifconfig."+iface), Severity: netbsdcfg.Error, Message: reason}
	lan, err := netbsdcfg.ParseIfconfig(problem.File, ms.files[guest+"/etc/ifconfig."+iface])
	if err != nil {
		return err
	}
	for _, c := range lan.Commands(iface) {
		if len(c.Argv) > 0 && path.Base(c.Argv[0]) == "dhcpcd" {
			problem.Line = c.Line
			return problem
		}
	}
	problem.File = path.Join(ms.from, guest, "etc/rc.conf")
	rc, err := netbsdcfg.ParseRC(problem.File, ms.files[guest+"/etc/rc.conf"])
	if err != nil {
		return err
	}
	if on, _ := rc.Enabled("dhcpcd"); on {
		problem.Message = "dhcpcd=YES: " + reason
		return problem
	}
	return nil
}

package main

import (
	"cmp"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

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
		return phase{}, m.Problem("guest.vm.mac", "%v: write six bytes, such as 02:00:5e:00:53:04", err)
	}
	vm, err := edit(ms, home, guestFile(m), bhyve.Parse, func(f *bhyve.File) error {
		return describeGuest(f, m.Guest.VM, memory, mac)
	})
	if err != nil {
		return phase{}, m.Problem("guest.vm", "%v", err)
	}
	single, vm, err := singleUser(vm)
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
			Check: []check{byHand("The kernel's last line asks for a shell. `~.` leaves the console.")}},
		{Title: "The network at home", Host: guest,
			Do:    "On the console. The endpoint gets a route of its own through the gateway at home, and everything else goes into the tunnel. pf is not needed any more: there is one path.",
			Files: network,
			Run: []string{
				"fsck -p", "mount -u -o rw /", "mount -a -t ffs",
				"mkdir -p /root/move/before",
				"for f in " + strings.Join(gates(), " ") + "; do test ! -e $f || mv $f /root/move/before/; done",
				"for f in /root/move/etc/*; do b=/root/move/before/${f##*/}; test -e $b || cp -p /etc/${f##*/} $b; cp $f /etc/; done",
				"for f in /root/move/etc/*; do cmp $f /etc/${f##*/}; done",
			},
			Check: []check{
				byHand("The last command prints nothing."),
				onlyTheTunnel(m),
				networkFits(m),
			}},
		{Title: "Start for good", Host: home,
			Do:    "`shutdown -p now` on the guest's console. When `vm list` says Stopped: the same file without -s.",
			Files: []rendered{vm},
			Run:   []string{"vm start " + guest},
			Check: []check{
				byHand(fmt.Sprintf("On %s: `netstat -rn` shows default through %s and %s through %s.", guest, m.Tunnel.Router.Addr(true), m.Router.Address, m.Guest.Home.Gateway)),
				multiUser(m, "`grep grub_run "+guestFile(m)+"` shows no -s."),
			}},
	}
	return phase{Dir: "06-first-boot", Title: "First boot at home",
		Goal:  fmt.Sprintf("%s runs on %s and reaches the world through the tunnel only.", guest, home),
		Steps: steps,
		Back: []string{
			"In single-user mode on the console: `cp -p /root/move/before/* /etc/`.",
			fmt.Sprintf("Or stop it with `vm stop %s`, and when `vm list` says Stopped, put the old %s back and start the guest at %s again.", guest, path.Base(guestFile(m)), m.Guest.Old.Host),
		},
		BackCheck: slices.Concat(reachable(m, m.Guest.Old.Address), reachable(m, m.Router.Address))}, nil
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
	line, err := singleUserLine(f)
	if err != nil {
		return err
	}
	return bhyve.Problem{File: path.Join(ms.from, name), Line: line, Severity: bhyve.Error,
		Message: "the guest was left in single-user mode: take -s out, there and in the copy here"}
}

// singleUserLine is the first line that has the flag; it takes it out of f.
func singleUserLine(f *bhyve.File) (int, error) {
	before := textfile.Lines(f.Bytes())
	err := f.SetSingleUser(false)
	after := textfile.Lines(f.Bytes())
	return 1 + slices.IndexFunc(before, func(line string) bool { return !slices.Contains(after, line) }), err
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

// singleUser is the same file with -s, in a folder of its own. It is installed first, and
// the file for good replaces it.
func singleUser(vm rendered) (single, final rendered, err error) {
	name := vm.Dir + vm.Path
	f, err := bhyve.Parse(name, vm.data)
	if err != nil {
		return single, final, err
	}
	if err := f.SetSingleUser(true); err != nil {
		return single, final, fmt.Errorf("%s: %w: write \"knetbsd -h -r ld0a /netbsd\", or what the guest's kernel is called", name, err)
	}
	single, final = vm, vm
	single.Dir, single.data, single.Changes = vm.Dir+"-single-user", f.Bytes(), ""
	if single.before != nil {
		single.Changes = textfile.Diff(name, single.before, name, single.data)
	}
	final.before, final.Changes = single.data, textfile.Diff(name, single.data, name, vm.data)
	return single, final, nil
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
	for _, name := range gates() {
		delete(ms.files, guest+name) // the step moves them away
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

// gates are files that set a default route, whatever rc.conf says.
func gates() []string { return []string{"/etc/mygate", "/etc/mygate6"} }

// gatesToday warns of those that the guest has: where it runs today they may be right.
func gatesToday(m *move.Move, ms *machines) (problems netbsdcfg.Problems) {
	for _, name := range gates() {
		if _, ok := ms.files[m.Guest.Name+name]; ok {
			problems = append(problems, netbsdcfg.Problem{File: path.Join(ms.from, m.Guest.Name, name), Line: 1, Severity: netbsdcfg.Warning,
				Message: "at home it would set a default route past the tunnel, also with defaultroute commented out: let it be until step 6.2, which moves it to /root/move/before"})
		}
	}
	return problems
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

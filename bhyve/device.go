package bhyve

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
)

// A Disk is what the keys diskN_* say. vm-bhyve needs Type and Name.
type Disk struct {
	// Type is the device that the guest sees: virtio-blk, ahci-hd, ahci-cd, nvme.
	Type string
	// Name is a file or zvol of the guest, such as disk0.img; for Dev custom it
	// is a full path, for iscsi a target.
	Name string
	// Dev is what is behind it: file, zvol, sparse-zvol, custom, iscsi or 9p.
	// Empty means file.
	Dev string
	// Opts are bhyve(8)'s options of the device, separated by commas, such as
	// "nocache,direct". Empty means none.
	Opts string
}

// A NIC is what the keys networkN_* say. vm-bhyve needs Type and Switch: a NIC
// without a switch it silently drops, also if it has a Device.
type NIC struct {
	// Type is the device that the guest sees: virtio-net or e1000.
	Type string
	// Switch is the name of vm-bhyve's virtual switch, such as public.
	Switch string
	// Device is an existing tap interface of the host to use. Empty means that
	// vm-bhyve makes one.
	Device string
	// Name is what the interface that vm-bhyve makes is called on the host.
	// Empty means tapN.
	Name string
	// MAC is the address that the guest sees. If it is nil, vm-bhyve makes one
	// up at the next start and writes it to the file.
	MAC net.HardwareAddr
	// Span makes the interface a span port of the bridge.
	Span bool
}

// matches reports whether a file with n need not change to have want.
func (n NIC) matches(want NIC) bool {
	return n.Type == want.Type && n.Switch == want.Switch && n.Device == want.Device && n.Name == want.Name &&
		n.Span == want.Span && (want.MAC == nil || slices.Equal(n.MAC, want.MAC))
}

// A family is a kind of device, or of command, that vm-bhyve counts from 0 on.
// It stops at the first that lacks one of the keys in need.
type family struct {
	stem string
	need []string // what follows the number
	most int      // 0 if there is no limit
}

var (
	disks    = &family{stem: "disk", need: []string{"_type", "_name"}}
	nics     = &family{stem: "network", need: []string{"_type"}}
	passthru = &family{stem: "passthru", need: []string{""}}
	install  = &family{stem: "grub_install", need: []string{""}}
	run      = &family{stem: "grub_run", need: []string{""}}
	consoles = &family{stem: "virt_console", need: []string{""}, most: 16}

	families = []*family{disks, nics, passthru, install, run, consoles}
)

func (fam *family) key(n int, suffix string) string { return fam.stem + strconv.Itoa(n) + suffix }

// missing returns the keys that number n lacks.
func (fam *family) missing(v *view, n int) []string {
	var keys []string
	for _, suffix := range fam.need {
		if key := fam.key(n, suffix); v.get(key) == "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// count returns how many vm-bhyve finds.
func (fam *family) count(v *view) int {
	n := 0
	for len(fam.missing(v, n)) == 0 && (fam.most == 0 || n < fam.most) {
		n++
	}
	return n
}

// values returns the values of a family that has one key each.
func (fam *family) values(v *view) []string {
	var values []string
	for n := range fam.count(v) {
		values = append(values, v.valid(fam.key(n, "")))
	}
	return values
}

// splitKey takes a numbered key apart. For any other, fam is nil and n is -1.
func splitKey(key string) (fam *family, n int, suffix string) {
	for _, fam := range families {
		rest, ok := strings.CutPrefix(key, fam.stem)
		if !ok {
			continue
		}
		end := 0
		for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(rest[:end])
		// disk00_name is a key that vm-bhyve never builds.
		if err != nil || end > 1 && rest[0] == '0' || end < len(rest) && rest[end] != '_' {
			continue
		}
		return fam, n, rest[end:]
	}
	return nil, -1, ""
}

// pattern returns a key with N for its number.
func pattern(key string) string {
	if fam, _, suffix := splitKey(key); fam != nil {
		return fam.stem + "N" + suffix
	}
	return key
}

// Disks returns the disks that vm-bhyve attaches: from disk0 to the first that
// lacks its type or name. If bhyve would refuse a value the error joins a
// [*ParseError] for each, and the disks are returned as they stand.
func (f *File) Disks() ([]Disk, error) {
	v := f.view()
	return v.disks(), errors.Join(v.errs...)
}

func (v *view) disks() []Disk {
	var list []Disk
	for n := range disks.count(v) {
		list = append(list, Disk{
			Type: v.valid(disks.key(n, "_type")),
			Name: v.valid(disks.key(n, "_name")),
			Dev:  v.valid(disks.key(n, "_dev")),
			Opts: v.valid(disks.key(n, "_opts")),
		})
	}
	return list
}

// NICs returns the NICs that vm-bhyve counts: from network0 to the first that
// lacks its type. If bhyve would refuse a value the error joins a
// [*ParseError] for each; an address that is none is nil.
func (f *File) NICs() ([]NIC, error) {
	v := f.view()
	return v.nics(), errors.Join(v.errs...)
}

func (v *view) nics() []NIC {
	var list []NIC
	for n := range nics.count(v) {
		list = append(list, NIC{
			Type:   v.valid(nics.key(n, "_type")),
			Switch: v.valid(nics.key(n, "_switch")),
			Device: v.valid(nics.key(n, "_device")),
			Name:   v.valid(nics.key(n, "_name")),
			MAC:    parseMAC(v.valid(nics.key(n, "_mac"))),
			Span:   isYes(v.get(nics.key(n, "_span"))),
		})
	}
	return list
}

// SetDisk makes disk i what d says; i == len(Disks()) appends. Keys of the disk
// that Disk does not know, such as disk0_slot, stay. An appended disk may fill
// a gap, and those behind it then count. vm-bhyve that has no
// network_slot_start numbers PCI slots through disks and NICs, so there one
// disk more may give the guest's NICs other names.
//
// It refuses with a [*ValueError] what vm-bhyve or bhyve would.
func (f *File) SetDisk(i int, d Disk) error {
	list := f.view().disks()
	if i >= 0 && i < len(list) && list[i] == d {
		return nil
	}
	if d.Dev == "custom" && !strings.HasPrefix(d.Name, "/") {
		return &ValueError{Field: disks.key(i, "_name"), Value: d.Name, Reason: "a custom disk needs its full path"}
	}
	return f.setDevice(disks, i, len(list), "_type", d.Type, "_name", d.Name, "_dev", d.Dev, "_opts", d.Opts)
}

// SetNIC makes NIC i what n says; i == len(NICs()) appends. Keys of the NIC that
// NIC does not know stay, and so does the address if n.MAC is nil: a guest that
// got a new one would take it for a new interface.
//
// It refuses with a [*ValueError] what vm-bhyve or bhyve would, and a NIC without
// a switch.
func (f *File) SetNIC(i int, n NIC) error {
	v := f.view()
	list := v.nics()
	if i >= 0 && i < len(list) && list[i].matches(n) {
		return nil
	}
	if n.Switch == "" {
		return &ValueError{Field: nics.key(i, "_switch"), Reason: "vm-bhyve drops a NIC without a switch"}
	}
	addr, span := v.get(nics.key(i, "_mac")), v.get(nics.key(i, "_span"))
	if n.MAC != nil && !slices.Equal(parseMAC(addr), n.MAC) {
		addr = n.MAC.String()
	}
	if n.Span != isYes(span) {
		span = map[bool]string{true: "yes"}[n.Span]
	}
	return f.setDevice(nics, i, len(list), "_type", n.Type, "_switch", n.Switch, "_device", n.Device,
		"_name", n.Name, "_mac", addr, "_span", span)
}

// setDevice sets the keys of one device, given as suffix and value; an empty
// value removes a key that has one.
func (f *File) setDevice(fam *family, i, count int, pairs ...string) error {
	if i < 0 || i > count {
		return &ValueError{Field: fam.stem, Value: strconv.Itoa(i), Reason: "the next one is " + fam.key(count, "")}
	}
	return f.edit(func() error {
		for pair := range slices.Chunk(pairs, 2) {
			key, value := fam.key(i, pair[0]), pair[1]
			if value != "" || slices.Contains(fam.need, pair[0]) {
				if err := f.setValid(key, value); err != nil {
					return err
				}
			} else if old, _ := f.Get(key); old != "" {
				f.Unset(key)
			}
		}
		return nil
	})
}

// setValid is Set for a value that must be there and make sense.
func (f *File) setValid(key, value string) error {
	if value == "" {
		return &ValueError{Field: key, Reason: "must not be empty"}
	}
	if severity, reason := judge(key, value); reason != "" && severity == Error {
		return &ValueError{Field: key, Value: value, Reason: reason}
	}
	return f.Set(key, value)
}

// RemoveDisk removes all keys of disk i and gives those of the disks above it
// the next lower number, since vm-bhyve stops counting at a gap. It reports
// whether there was a disk i. In GRUB's commands, hd1 and up shift as well.
func (f *File) RemoveDisk(i int) bool { return f.remove(disks, i) }

// RemoveNIC removes all keys of NIC i and gives those of the NICs above it the
// next lower number. It reports whether there was a NIC i.
func (f *File) RemoveNIC(i int) bool { return f.remove(nics, i) }

func (f *File) remove(fam *family, i int) bool {
	if i < 0 || i >= fam.count(f.view()) {
		return false
	}
	var lines []string
	for _, line := range f.lines {
		s, _ := readLine(line)
		other, n, suffix := splitKey(s.key)
		switch {
		case other != fam || n < i:
			lines = append(lines, line)
		case n > i:
			lines = append(lines, s.withKey(fam.key(n-1, suffix)))
		}
	}
	f.lines = lines
	return true
}

// truncate removes all keys of number n and up, also behind a gap.
func (f *File) truncate(fam *family, n int) {
	f.lines = slices.DeleteFunc(f.lines, func(line string) bool {
		s, _ := readLine(line)
		other, m, _ := splitKey(s.key)
		return other == fam && m >= n
	})
}

// parseMAC reads an address as bhyve does, with ether_aton(3): one or two digits
// each. It returns nil for what bhyve refuses, which includes a multicast
// address and zero.
func parseMAC(text string) net.HardwareAddr {
	parts := strings.Split(text, ":")
	if len(parts) != 6 {
		return nil
	}
	addr := make(net.HardwareAddr, 6)
	for i, part := range parts {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil || len(part) > 2 {
			return nil
		}
		addr[i] = byte(b)
	}
	if addr[0]&1 != 0 || slices.Equal(addr, make(net.HardwareAddr, 6)) {
		return nil
	}
	return addr
}

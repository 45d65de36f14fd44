package bhyve

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"slices"
	"strconv"
	"strings"
)

// A Guest is what a guest's file says, as far as most guests need it. Everything
// else is a key for Get and Set.
type Guest struct {
	// Loader is what boots the guest: bhyveload, grub, uefi, uefi-csm,
	// uefi-custom or uefi-devel. vm-bhyve needs it.
	Loader string
	// CPU is the number of virtual CPUs, at least 1. vm-bhyve needs it.
	CPU int
	// Memory is in bytes, a multiple of MiB. vm-bhyve needs it.
	Memory Size
	// UUID is what the guest's firmware reports. Empty means that vm-bhyve makes
	// one up at the next start and writes it to the file.
	UUID string
	// NICs are network0 and up. They may be none.
	NICs []NIC
	// Disks are disk0 and up. A loader other than uefi needs one.
	Disks []Disk
	// Passthru are PCI devices of the host, as bus/slot/function, such as "6/0/0",
	// or "6/0/0=2:0" to choose the guest's slot.
	Passthru []string
	// GrubInstall are GRUB's commands to boot the installer, in order.
	GrubInstall []string
	// GrubRun are GRUB's commands to boot the guest, in order, such as
	// "knetbsd -h -r ld0a /netbsd".
	GrubRun []string
}

// Guest returns what vm-bhyve would start. What the file does not set is zero.
// If bhyve would refuse a value, the error joins a [*ParseError] for each, and
// the rest is filled in.
func (f *File) Guest() (Guest, error) {
	v := f.view()
	g := Guest{
		Loader:      v.valid("loader"),
		UUID:        v.valid("uuid"),
		NICs:        v.nics(),
		Disks:       v.disks(),
		Passthru:    passthru.values(v),
		GrubInstall: install.values(v),
		GrubRun:     run.values(v),
	}
	g.CPU, _ = strconv.Atoi(trim(v.valid("cpu")))    // what is wrong is noted
	g.Memory, _ = ParseSize(trim(v.valid("memory"))) // likewise
	return g, errors.Join(v.errs...)
}

// New makes the file of a new guest. It makes up what g leaves open: a random
// UUID, and for each NIC a locally administered address. The File has no place
// to be saved to; for one that has, see [Create] and [File.SetGuest].
//
// It refuses with a [*ValueError] what vm-bhyve or bhyve would.
func New(g Guest) (*File, error) {
	f, err := Parse("guest", nil)
	if err != nil {
		return nil, err
	}
	if err := f.SetGuest(g); err != nil {
		return nil, err
	}
	return f, nil
}

// SetGuest makes the file describe g, and changes no line that does so already:
// memory=2G stays if that is what g has. Disks, NICs, passthrough devices and
// commands beyond those of g are removed; keys that Guest does not know stay. An
// empty UUID and a nil MAC keep what the file has. In a file that sets nothing
// yet they are made up as New does, in another it is left to vm-bhyve.
//
// It refuses with a [*ValueError] what vm-bhyve or bhyve would.
func (f *File) SetGuest(g Guest) error {
	if now, err := f.Guest(); err == nil && now.matches(g) {
		return nil
	}
	if v := f.view(); len(v.at) == 0 {
		g.complete()
	}
	return f.edit(func() error { return f.setGuest(g) })
}

func (f *File) setGuest(g Guest) error {
	now, _ := f.Guest() // what it could not read is replaced
	if err := f.setValid("loader", g.Loader); err != nil {
		return err
	}
	if len(g.Disks) == 0 && !strings.HasPrefix(g.Loader, "uefi") {
		return &ValueError{Field: "disk0_name", Reason: "the loader " + g.Loader + " needs a disk"}
	}
	cpu, memory := strconv.Itoa(g.CPU), g.Memory.String()
	if old, ok := f.Get("cpu"); ok && now.CPU == g.CPU {
		cpu = old // as it is spelt
	}
	if old, ok := f.Get("memory"); ok && now.Memory == g.Memory {
		memory = old
	} else if g.Memory%MiB != 0 {
		return &ValueError{Field: "memory", Value: memory, Reason: "must be a multiple of 1M"}
	}
	if err := f.setValid("cpu", cpu); err != nil {
		return err
	}
	if err := f.setValid("memory", memory); err != nil {
		return err
	}
	if g.UUID != "" {
		if err := f.setValid("uuid", g.UUID); err != nil {
			return err
		}
	}
	for i, n := range g.NICs {
		if err := f.SetNIC(i, n); err != nil {
			return err
		}
	}
	f.truncate(nics, len(g.NICs))
	for i, d := range g.Disks {
		if err := f.SetDisk(i, d); err != nil {
			return err
		}
	}
	f.truncate(disks, len(g.Disks))
	if err := f.setList(passthru, g.Passthru); err != nil {
		return err
	}
	if err := f.setList(install, g.GrubInstall); err != nil {
		return err
	}
	return f.setList(run, g.GrubRun)
}

func (f *File) setList(fam *family, values []string) error {
	for i, value := range values {
		if err := f.setValid(fam.key(i, ""), value); err != nil {
			return err
		}
	}
	f.truncate(fam, len(values))
	return nil
}

// matches reports whether a file with g need not change to describe want.
func (g Guest) matches(want Guest) bool {
	return g.Loader == want.Loader && g.CPU == want.CPU && g.Memory == want.Memory &&
		(want.UUID == "" || g.UUID == want.UUID) &&
		slices.EqualFunc(g.NICs, want.NICs, NIC.matches) && slices.Equal(g.Disks, want.Disks) &&
		slices.Equal(g.Passthru, want.Passthru) &&
		slices.Equal(g.GrubInstall, want.GrubInstall) && slices.Equal(g.GrubRun, want.GrubRun)
}

// complete makes up what vm-bhyve would otherwise make up at the first start.
func (g *Guest) complete() {
	if g.UUID == "" {
		var b [16]byte
		rand.Read(b[:])         // never fails
		b[6] = b[6]&0x0f | 4<<4 // RFC 9562 section 5.4: version 4,
		b[8] = b[8]&0x3f | 2<<6 // and the variant
		g.UUID = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	g.NICs = slices.Clone(g.NICs)
	for i := range g.NICs {
		if g.NICs[i].MAC == nil {
			addr := make(net.HardwareAddr, 6)
			rand.Read(addr)
			addr[0] = addr[0]&^1 | 2 // one interface's, locally administered
			g.NICs[i].MAC = addr
		}
	}
}

// ValidateName returns a [*ValueError] if vm create would refuse a guest's name
// (util::check_name in vm-bhyve's lib/vm-util): it has 2 to 231 letters, digits,
// ".", "_" and "-", a letter or digit first and last. Before FreeBSD 13 it has at
// most 32.
func ValidateName(name string) error {
	ok := 2 <= len(name) && len(name) <= 231
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("._-", c) < 0, i == 0, i == len(name)-1:
			ok = false
		}
	}
	if ok {
		return nil
	}
	return &ValueError{Field: "guest name", Value: name,
		Reason: "must have 2 to 231 letters, digits, dots, _ and -, a letter or digit first and last"}
}

// A Size is a number of bytes.
type Size uint64

// The sizes that memory is counted in.
const (
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

const units = "KMGTPE"

// ParseSize reads a size as bhyve's -m does (expand_number(3)): a number and, in
// either case, B, K, M, G, T, P or E, in powers of 1024. As there, a number below
// 1048576 without a letter is taken for megabytes.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "bBkKmMgGtTpPeE")
	unit := strings.ToUpper(text[len(digits):])
	n, err := strconv.ParseUint(digits, 10, 64)
	shift := 0
	switch {
	case unit == "" && n < uint64(MiB):
		shift = 20
	case len(unit) == 1 && unit != "B":
		shift = 10 * (strings.Index(units, unit) + 1)
	}
	if err != nil || len(unit) > 1 || bits.Len64(n)+shift > 64 {
		return 0, &ValueError{Field: "size", Value: text, Reason: "must be a number and one of K, M, G, T, such as 2048M"}
	}
	return Size(n << shift), nil
}

// String returns the size in M, as vm-bhyve's own files mostly have it, in K or
// in bytes if it is no multiple of that. ParseSize reads all of these.
func (s Size) String() string {
	switch {
	case s%MiB == 0:
		return strconv.FormatUint(uint64(s/MiB), 10) + "M"
	case s%1024 == 0:
		return strconv.FormatUint(uint64(s/1024), 10) + "K"
	}
	return strconv.FormatUint(uint64(s), 10) + "B"
}

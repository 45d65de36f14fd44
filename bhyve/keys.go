package bhyve

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A rule says what is wrong with a value that is not empty: a reason that tells
// what to write instead, or "".
type rule func(value string) (Severity, string)

// keys are what vm-bhyve 1.5 to 1.7 looks for, with N for a number: the keys of
// its config.sample and those that its lib/vm-* read besides.
var keys = map[string]rule{
	"loader": oneOf(Error, loaders...),
	"cpu":    number(Error, 1, 65535), "cpu_sockets": number(Error, 1, 65535),
	"cpu_cores": number(Error, 1, 65535), "cpu_threads": number(Error, 1, 65535),
	"memory":     size,
	"hostbridge": oneOf(Warning, "standard", "amd", "no", "none"),
	"comports":   comports,
	"uuid":       uuid,
	"debug":      yesNo, "wired_memory": yesNo, "utctime": yesNo, "ignore_msr": yesNo,
	"uefi_vars": yesNo, "nulliso_fix": yesNo, "virt_random": yesNo, "xhci_mouse": yesNo,
	"bhyve_options": anything, "prestart": anything, "tags": anything, "fwcfg": anything,
	"on_restart": oneOf(Warning, "restart", "shutdown"), "on_fault": oneOf(Warning, "restart", "shutdown"),
	"priority":   number(Error, -20, 20),
	"limit_pcpu": anything, "limit_rbps": anything, "limit_wbps": anything,
	"limit_riops": anything, "limit_wiops": anything,
	"zfs_dataset_opts": anything, "zfs_zvol_opts": anything,

	"graphics": yesNo, "graphics_port": number(Error, 1, 65535), "graphics_listen": address,
	"graphics_res": oneOf(Warning, "1920x1200", "1920x1080", "1600x1200", "1600x900", "1280x1024",
		"1280x720", "1024x768", "800x600", "640x480"),
	"graphics_vga": oneOf(Error, "on", "off", "io"), "graphics_wait": oneOf(Warning, "auto", "yes", "no"),
	"vnc_password": argument,
	"sound":        yesNo, "sound_play": argument, "sound_rec": argument,

	"loader_timeout": number(Warning, -1, 3600),
	"bhyveload_args": anything, "bhyveload_loader": argument,
	"grub_run_partition": argument, "grub_run_dir": argument, "grub_run_file": argument,
	"grub_run_no_partition": yesNo,
	"grub_installN":         anything, "grub_runN": anything,

	// PCI slots. Only some versions know the finer ones.
	"start_slot": slot, "install_slot": slot, "hostbridge_slot": slot, "lpc_slot": slot,
	"disk_slot_start": slot, "network_slot_start": slot, "passthru_slot_start": slot,
	"virt_random_slot": slot, "virt_console_slot": slot, "sound_slot": slot, "xhci_slot": slot,
	"fbuf_slot": slot, "diskN_slot": slot, "networkN_slot": slot,

	"ahci_device_limit": number(Error, 2, 32),
	"diskN_type":        both(argument, oneOf(Warning, "virtio-blk", "ahci-hd", "ahci-cd", "ahci", "nvme", "virtio-scsi", "virtio-9p")),
	"diskN_name":        argument,
	"diskN_dev":         oneOf(Error, backings...),
	"diskN_opts":        options,
	"diskN_size":        anything, // templates only; vm create removes it
	"networkN_type":     both(argument, oneOf(Warning, "virtio-net", "e1000")),
	"networkN_switch":   argument,
	"networkN_device":   argument,
	"networkN_name":     argument,
	"networkN_mac":      mac,
	"networkN_span":     yesNo,
	"passthruN":         options, "passthruN_options": options,
	"virt_consoleN": argument,
}

var (
	loaders  = []string{"bhyveload", "grub", "uefi", "uefi-csm", "uefi-custom", "uefi-devel"}
	backings = []string{"file", "zvol", "sparse-zvol", "custom", "iscsi", "9p"}
)

// judge applies the rule of a key. It has nothing to say about empty values and
// unknown keys. A carriage return spoils every value: of a file's name, of a
// GRUB command, even of "no", which then counts as yes.
func judge(key, value string) (Severity, string) {
	r := keys[pattern(key)]
	if r == nil || value == "" {
		return 0, ""
	}
	if strings.Contains(value, "\r") {
		return Error, "must have no carriage return: end lines in LF alone"
	}
	return r(value)
}

func anything(string) (Severity, string) { return 0, "" }

func oneOf(severity Severity, list ...string) rule {
	want := "must be one of " + strings.Join(list, ", ")
	return func(value string) (Severity, string) {
		if slices.Contains(list, value) {
			return 0, ""
		}
		return severity, want
	}
}

func number(severity Severity, lowest, highest int) rule {
	want := "must be a number from " + strconv.Itoa(lowest) + " to " + strconv.Itoa(highest)
	return func(value string) (Severity, string) {
		if n, err := strconv.Atoi(trim(value)); err == nil && lowest <= n && n <= highest {
			return 0, ""
		}
		return severity, want
	}
}

// trim drops the blanks that a number loses when a shell splits it off, so that
// "cpu=1", a tab and a comment start the guest, though the tab is in the value.
func trim(value string) string { return strings.Trim(value, " \t") }

var slot = number(Error, 0, 31)

func both(first, second rule) rule {
	return func(value string) (Severity, string) {
		if severity, reason := first(value); reason != "" {
			return severity, reason
		}
		return second(value)
	}
}

// yesNo: util::yesno takes everything for yes but the words for no.
func yesNo(value string) (Severity, string) {
	if !isYes(value) || slices.Contains([]string{"yes", "on", "true", "1"}, strings.ToLower(value)) {
		return 0, ""
	}
	return Warning, "counts as yes: write yes or no"
}

// isYes is vm-bhyve's util::yesno.
func isYes(value string) bool {
	return !slices.Contains([]string{"", "no", "false", "off", "0"}, strings.ToLower(value))
}

// argument: vm-bhyve puts the value into a word of bhyve's command line, in
// which a comma separates, and does not quote it.
func argument(value string) (Severity, string) {
	if strings.ContainsAny(value, ", \t") {
		return Error, "must have no blank and no comma, which would split bhyve's argument"
	}
	return 0, ""
}

func options(value string) (Severity, string) {
	if strings.ContainsAny(value, " \t") {
		return Error, "must have no blank, which would split bhyve's argument"
	}
	return 0, ""
}

func size(value string) (Severity, string) {
	if n, err := ParseSize(trim(value)); err != nil || n == 0 {
		return Error, "must be a size such as 2048M or 2G"
	}
	return 0, ""
}

func comports(value string) (Severity, string) {
	for _, port := range strings.Fields(value) {
		if len(port) != 4 || !strings.HasPrefix(port, "com") || port[3] < '1' || port[3] > '4' {
			return Error, "must be com1 to com4, separated by blanks"
		}
	}
	return 0, ""
}

func address(value string) (Severity, string) {
	if _, err := netip.ParseAddr(strings.Trim(value, "[]")); err != nil {
		return Error, "must be an IP address"
	}
	return 0, ""
}

func mac(value string) (Severity, string) {
	if parseMAC(value) == nil {
		return Error, "must be the address of one interface, such as 58:9c:fc:01:02:03"
	}
	return 0, ""
}

func uuid(value string) (Severity, string) {
	ok := len(value) == 36
	for i := range len(value) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			ok = ok && value[i] == '-'
		} else {
			ok = ok && isHex(value[i])
		}
	}
	if !ok {
		return Error, "must have the form 00000000-0000-0000-0000-000000000000"
	}
	return 0, ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// nearest returns the known key that an unknown one was probably meant to be,
// or "". A third of the letters may differ: ignore_bad_msr, which the sample
// file documents, is ignore_msr.
func nearest(key string) string {
	unknown := pattern(key)
	best, least := "", len(unknown)/3+1
	for known := range keys {
		if len(unknown)-len(known) > least {
			continue // at least that many letters differ
		}
		if d := distance(unknown, known); d < least || d == least && known < best {
			best, least = known, d
		}
	}
	if _, n, _ := splitKey(key); n >= 0 {
		return strings.Replace(best, "N", strconv.Itoa(n), 1)
	}
	return strings.Replace(best, "N", "0", 1)
}

// distance is the least number of letters to add, drop or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

package bhyve

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sound is a file that Check has nothing against; each row goes below it.
const sound = "loader=\"grub\"\ncpu=1 # one\nmemory=2G\n  # indented comment\n\ndisk0_type=virtio-blk\ndisk0_name=disk0.img\n"

func TestCheck(t *testing.T) {
	const first = 8 // the line number of a row's first line
	for _, row := range []struct {
		name, text string
		want       string // with @ for the first line's number; "" for no problem
	}{
		{"sound", "", ""},
		{"CRLF only in comments", "# c\r\n\r\ndebug=no # c\r\n", ""},
		{"from the first letter to the last", "ahci_device_limit=2\nzfs_zvol_opts=\"volblocksize=64k\"\n", ""},
		{"every quoting that a shell reads alike", "debug=\"yes\"\nbhyve_options=\"-p 1:1\"\nprestart=a\"b c\"d\nvnc_password=\"a;b=c'd\"\n", ""},

		{"duplicate", "uuid=\"\"\ncpu=2\n", "senate.conf:9:1: error: cpu is set in line 2 already, which is what vm-bhyve uses, while sysrc(8) edits the last: remove all but one"},
		{"duplicate with the same value", "cpu=1\n", "senate.conf:@:1: warning: cpu is set in line 2 already"},
		{"indented line", "  debug=yes\n", "senate.conf:@:1: error: vm-bhyve ignores an indented line, and sysrc(8), with which it writes, edits it"},
		{"upper case", "UPPER=1\n", "senate.conf:@:1: error: vm-bhyve ignores a line that does not begin with a small letter"},
		{"leading underscore", "_x=1\n", "senate.conf:@:1: error: vm-bhyve ignores a line"},
		{"leading digit", "9x=1\n", "senate.conf:@:1: error: vm-bhyve ignores a line"},
		{"indented text", "\ttext\n", "senate.conf:@:1: error: vm-bhyve ignores a line"},
		{"blanks around =", "debug = yes\n", `senate.conf:@:6: error: vm-bhyve reads the key "debug " with its blank, and never looks for it`},
		{"export", "export debug=yes\n", `senate.conf:@:1: error: vm-bhyve looks for "debug" and reads "export debug": remove the word export`},
		{"+=", "bhyve_options+=\"x\"\n", "senate.conf:@:14: error: vm-bhyve does not know +=: write the whole value after ="},
		{"no =", "debug\n", "senate.conf:@:1: error: without = vm-bhyve reads the whole line as a key"},

		{"# inside quotes", "vnc_password=\"a #b\"\n", `senate.conf:@:17: error: vm-bhyve cuts the value at #, even inside quotes, and reads "a": # cannot be part of it`},
		{"# right behind a quoted letter", "vnc_password=\"a#b\"\n", `senate.conf:@:16: error: vm-bhyve cuts the value at #`},
		{"# in a bare value", "vnc_password=a#b\n", "senate.conf:@:15: error: vm-bhyve cuts the value at #"},
		{"single quotes", "tags='a'\n", "senate.conf:@:6: error: single quotes are part of the value for vm-bhyve, and not for sysrc(8): use double quotes"},
		{"blank after =", "debug= yes\n", "senate.conf:@:7: error: the blank before or behind the value is part of it for vm-bhyve: remove it"},
		{"blank after = of a number, which does no harm", "cpu_cores= 1\n", "senate.conf:@:11: warning: the blank before or behind"},
		{"tab before a comment, behind a number", "cpu_cores=1\t# c\n", "senate.conf:@:12: warning: the blank before or behind"},
		{"tab after the quotes", "debug=\"yes\"\t\n", "senate.conf:@:12: error: the blank before or behind"},
		{"blank inside the quotes", "vnc_password=\"x \"\n", "senate.conf:@:16: error: the blank before or behind"},
		{"two assignments in a line", "debug=yes; cpu=2\n", `senate.conf:@:7: error: vm-bhyve reads one value, "yes; cpu=2": write each key on a line of its own`},
		{"CRLF", "debug=\"no\"\r\ntags=\"x\"\r\n# c\r\n", "senate.conf:@:11: error: vm-bhyve reads the carriage return at the end of 2 lines as part of their values: end lines in LF alone"},
		{"blanks in a bare value", "bhyve_options=-p 1:1\n", "senate.conf:@:15: warning: sysrc(8), with which vm-bhyve writes, runs this line in a shell"},
		{"command substitution", "prestart=\"$(reboot)\"\n", "senate.conf:@:10: warning: prestart is \"$(reboot)\": sysrc(8), with which vm-bhyve writes, lets a shell expand $, ` and \\"},
		{"comment right behind the quotes", "debug=\"yes\"# c\n", "senate.conf:@:12: warning: sysrc(8), with which vm-bhyve writes, reads the file with a shell, for which this # begins no comment: put a blank before it"},
		{"comment right behind no value", "debug=# c\n", "senate.conf:@:7: warning: sysrc(8)"},
		{"quotes in the key", "d\"ebug\"=yes\n", "senate.conf:@:1: warning: sysrc(8), with which vm-bhyve writes, runs this line in a shell, which finds no key in it: write debug="},
		{"control character in quotes", "prestart=\"a\x01\"\n", "senate.conf:@:10: warning: prestart is \"a\\x01\": a value is one line without control characters"},
		{"not UTF-8", "prestart=\"\xff\"\n", "stop at text that is not UTF-8"},
		{"unclosed quote", "prestart=\"a\n", "senate.conf:@:10: warning: sysrc(8)"},

		{"unknown key that the sample documents", "ignore_bad_msr=\"no\"\n", "senate.conf:@:1: error: vm-bhyve does not read ignore_bad_msr: ignore_msr was probably meant"},
		{"misspelt device key", "disk0_optss=ro\n", "disk0_optss: disk0_opts was probably meant"},
		{"device number with a leading zero", "disk00_opts=ro\n", "disk00_opts: disk0_opts was probably meant"},
		{"unknown key like no other", "guest=generic\n", "senate.conf:@:1: warning: vm-bhyve 1.7 does not read guest"},

		{"cpu_cores below 1", "cpu_cores=0\n", `senate.conf:@:11: error: cpu_cores is "0": it must be a number from 1 to 65535`},
		{"topology that does not match", "cpu_sockets=2\ncpu_cores=2\n", "senate.conf:9:11: error: bhyve(8) refuses cpu=1 with a topology of 4"},
		{"topology with a tab before a comment, which a shell drops", "cpu_sockets=2\t# c\n", "senate.conf:@:13: error: bhyve(8) refuses cpu=1 with a topology of 2"},
		{"ahci_device_limit below 2", "ahci_device_limit=1\n", "must be a number from 2 to 32"},
		{"ahci_device_limit above 32", "ahci_device_limit=33\n", "must be a number from 2 to 32"},
		{"priority", "priority=-21\n", "must be a number from -20 to 20"},
		{"slot", "install_slot=32\n", "must be a number from 0 to 31"},
		{"graphics_port", "graphics_port=70000\n", "from 1 to 65535"},
		{"graphics_listen", "graphics_listen=localhost\n", "must be an IP address"},
		{"graphics_listen in brackets", "graphics_listen=\"[2001:db8::1]\"\n", ""},
		{"graphics_res that bhyve takes and the sample does not list", "graphics_res=1366x768\n", "senate.conf:@:14: warning: graphics_res is \"1366x768\": it must be one of 1920x1200"},
		{"comports", "comports=\"com1 tty1\"\n", "must be com1 to com4"},
		{"comports sound", "comports=\"com2 com1\"\n", ""},
		{"hostbridge", "hostbridge=intel\n", "warning: hostbridge"},
		{"uuid", "uuid=senate\n", "must have the form"},
		{"uuid with a bad digit", "uuid=5f1f1d2e-3c4b-11ef-9a64-0025905a1c2g\n", "must have the form"},
		{"yes and no in any case", "debug=FALSE\nutctime=On\ngraphics=0\nsound=1\n", ""},
		{"a word that counts as yes", "debug=flase\n", `senate.conf:@:7: warning: debug is "flase": it counts as yes: write yes or no`},
		{"disk type that bhyve may not know", "disk1_type=ide\ndisk1_name=a\n", "senate.conf:@:12: warning: disk1_type"},
		{"disk type with a comma", "disk1_type=ahci,hd\ndisk1_name=a\n", "senate.conf:@:12: error: disk1_type is \"ahci,hd\": it must have no blank and no comma"},
		{"disk name with a comma", "disk1_type=nvme\ndisk1_name=a,b\n", "senate.conf:9:12: error: disk1_name"},
		{"opts with a blank", "disk0_opts=\"ro, direct\"\n", "must have no blank"},
		{"custom disk without its path", "disk1_type=nvme\ndisk1_name=da0\ndisk1_dev=custom\n", "senate.conf:9:12: error: disk1_name is \"da0\": a custom disk needs its full path"},

		{"gap in the disks", "disk2_type=nvme\ndisk2_name=c\n", "senate.conf:@:1: error: vm-bhyve ignores disk2: it counts from 0 and stops at disk1, for want of disk1_type and disk1_name"},
		{"disk without a type", "disk1_name=b\n", "senate.conf:@:1: error: vm-bhyve ignores disk1: it counts from 0 and stops at disk1, for want of disk1_type"},
		{"gap in the NICs", "network1_type=e1000\n", "stops at network0, for want of network0_type"},
		{"gap in the grub commands", "grub_run1=boot\n", "vm-bhyve ignores grub_run1: it counts from 0 and stops at grub_run0, for want of grub_run0"},
		{"empty device keys, as in the sample", "network0_type=\"\"\ndisk1_name=\"\"\n", ""},
		{"NIC without a switch", "network0_type=e1000\nnetwork0_device=tap0\n", "senate.conf:@:15: error: vm-bhyve silently drops network0, which has no switch: set network0_switch"},
		{"NICs with one address", "network0_type=e1000\nnetwork0_switch=a\nnetwork0_mac=58:9c:fc:01:02:03\nnetwork1_type=e1000\nnetwork1_switch=a\nnetwork1_mac=58:9C:FC:1:2:3\n",
			"senate.conf:13:14: warning: 58:9c:fc:01:02:03 is the address of network0_mac as well"},
		{"multicast address", "network0_type=e1000\nnetwork0_switch=a\nnetwork0_mac=59:9c:fc:01:02:03\n", "must be the address of one interface"},
		{"address with three digits", "network0_type=e1000\nnetwork0_switch=a\nnetwork0_mac=58:9c:fc:001:02:03\n", "must be the address of one interface"},
		{"single user left on", "grub_run0=\"knetbsd -h -s -r ld0a /netbsd\"\n", "senate.conf:@:23: warning: the guest boots to single-user mode"},
		{"single user left on, combined", "grub_run0=\"knetbsd\" -hs /netbsd\n", "senate.conf:@:23: warning: the guest boots to single-user mode"},
		{"semicolon in a bare grub command", "grub_run0=a=b; c=d\n", "senate.conf:@:11: warning: sysrc(8)"},
		{"semicolon in a grub command", "grub_run0=\"set a=b; set c=d\"\n", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, sound+row.text)
			problems := f.Check()
			if row.want == "" {
				assert.Empty(t, problems)
				return
			}
			// A file with a flaw in one line may have a second there, never elsewhere.
			require.NotEmpty(t, problems)
			assert.Contains(t, problems.String(), strings.ReplaceAll(row.want, "@", "8"))
			for _, p := range problems {
				assert.GreaterOrEqual(t, p.Line, first)
			}
			assert.Equal(t, sound+row.text, string(f.Bytes()), "reported, not mended")
		})
	}
}

func TestCheckByteOrderMark(t *testing.T) {
	assert.Contains(t, parse(t, "\ufeff"+sound).Check().String(),
		"senate.conf:1:1: error: vm-bhyve ignores this line because of the byte-order mark before it: remove the mark\n")
	assert.Empty(t, parse(t, "\ufeff# comment\n"+sound).Check())
}

func TestCheckRequiredKeys(t *testing.T) {
	problems := parse(t, "cpu=\"\"\n").Check()
	require.Len(t, problems, 3)
	assert.Equal(t, "senate.conf: error: vm-bhyve does not start a guest without loader: set it", problems[0].Error())
	assert.Equal(t, "senate.conf: error: vm-bhyve does not start a guest without memory: set it", problems[1].Error())
	assert.Equal(t, "senate.conf:1: error: vm-bhyve does not start a guest without cpu: set it", problems[2].Error())
	require.Error(t, problems.Err())

	problems = parse(t, "loader=grub\ncpu=1\nmemory=1G\n").Check()
	require.Len(t, problems, 1)
	assert.Equal(t, "senate.conf:1:8: error: the loader grub needs a disk: set disk0_type and disk0_name", problems[0].Error())
	assert.Empty(t, parse(t, "loader=uefi\ncpu=1\nmemory=1G\n").Check())
	assert.Contains(t, parse(t, "loader=lilo\n").Check().String(), `loader is "lilo": it must be one of bhyveload, grub, uefi`)
	assert.Contains(t, parse(t, "memory=0\n").Check().String(), `memory is "0": it must be a size such as 2048M or 2G`)
}

func TestCheckGuestName(t *testing.T) {
	f, err := Parse("/vm/a/a.conf", []byte(sound))
	require.NoError(t, err)
	problems := f.Check()
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Error(), `/vm/a/a.conf: error: vm create refuses the guest name: "a": must have 2 to 231 letters`)
	f, err = Parse("-", []byte(sound))
	require.NoError(t, err)
	assert.Empty(t, f.Check(), "not the name of a guest's file")
}

func TestCheckOfTheSampleForNetBSD(t *testing.T) {
	// What vm-bhyve ships: sound but for its style, which is vm-bhyve's own.
	const sample = "loader=\"grub\"\ncpu=1\nmemory=256M\nnetwork0_type=\"virtio-net\"\nnetwork0_switch=\"public\"\n" +
		"disk0_type=\"virtio-blk\"\ndisk0_name=\"disk0.img\"\ngrub_install0=\"knetbsd -h -r cd0a /netbsd\"\ngrub_run0=\"knetbsd -h -r dk0 /netbsd\"\n"
	assert.Empty(t, parse(t, sample).Check())
}

func TestCheckGuestsFindsCopies(t *testing.T) {
	one := parse(t, senateText)
	two, err := Parse("copy.conf", []byte(strings.ReplaceAll(senateText, "58:9c:fc:0a:0b:0c", "58:9C:FC:A:B:C")))
	require.NoError(t, err)
	problems := CheckGuests(one, two)
	require.Len(t, problems, 2)
	assert.Equal(t, "copy.conf:4:6: error: uuid 5f1f1d2e-3c4b-11ef-9a64-0025905a1c2b is that of senate.conf as well: give each guest its own", problems[0].Error())
	assert.Equal(t, "copy.conf:7:14: error: network0_mac 58:9c:fc:0a:0b:0c is that of senate.conf as well: give each guest its own", problems[1].Error())
	assert.Empty(t, CheckGuests(one, parse(t, sound)))
	assert.Empty(t, CheckGuests(parse(t, "uuid=\nnetwork0_type=x\nnetwork0_mac=\n"), parse(t, "uuid=\nnetwork0_type=x\nnetwork0_mac=\n")))
	assert.Len(t, CheckGuests(one, parse(t, senateText)), 2, "files of one name are still two")
	assert.Empty(t, CheckGuests(one, one), "one file is one guest")
	problems = CheckGuests(one, parse(t, "network0_mac=58:9c:fc:0a:0b:0c\nnetwork0_type=x\nuuid=5f1f1d2e-3c4b-11ef-9a64-0025905a1c2b\n"))
	require.Len(t, problems, 2)
	assert.Equal(t, []int{1, 3}, []int{problems[0].Line, problems[1].Line}, "in the order of the file")
}

func TestEveryKnownKeyIsItsOwnNearest(t *testing.T) {
	for key := range keys {
		assert.Equal(t, strings.Replace(key, "N", "0", 1), nearest(key))
	}
	assert.Equal(t, "sound_rec", nearest("sound_req"), "a slip of the sample file")
	assert.Equal(t, "network12_switch", nearest("network12_swich"))
	assert.Empty(t, nearest("colour"))
}

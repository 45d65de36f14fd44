package bhyve

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// senate is a NetBSD guest with everything that one needs.
func senate() Guest {
	return Guest{
		Loader:      "grub",
		CPU:         1,
		Memory:      2048 * MiB,
		UUID:        "5f1f1d2e-3c4b-11ef-9a64-0025905a1c2b",
		NICs:        []NIC{{Type: "virtio-net", Switch: "public", MAC: net.HardwareAddr{0x58, 0x9c, 0xfc, 0x0a, 0x0b, 0x0c}}},
		Disks:       []Disk{{Type: "virtio-blk", Name: "disk0.img"}},
		GrubInstall: []string{"knetbsd -h -r cd0a /netbsd"},
		GrubRun:     []string{"knetbsd -h -r ld0a /netbsd"},
	}
}

const senateText = `loader="grub"
cpu="1"
memory="2048M"
uuid="5f1f1d2e-3c4b-11ef-9a64-0025905a1c2b"
network0_type="virtio-net"
network0_switch="public"
network0_mac="58:9c:fc:0a:0b:0c"
disk0_type="virtio-blk"
disk0_name="disk0.img"
grub_install0="knetbsd -h -r cd0a /netbsd"
grub_run0="knetbsd -h -r ld0a /netbsd"
`

func TestNewWritesACompleteFile(t *testing.T) {
	f, err := New(senate())
	require.NoError(t, err)
	assert.Equal(t, senateText, string(f.Bytes()))
	assert.Empty(t, f.Check())
	g, err := parse(t, senateText).Guest()
	require.NoError(t, err)
	assert.Equal(t, senate(), g)
}

func TestNewMakesUpWhatIsLeftOpen(t *testing.T) {
	g := senate()
	g.UUID, g.NICs = "", []NIC{{Type: "virtio-net", Switch: "a"}, {Type: "virtio-net", Switch: "b"}}
	one, err := New(g)
	require.NoError(t, err)
	two, err := New(g)
	require.NoError(t, err)
	assert.Nil(t, g.NICs[0].MAC, "the caller's guest stays as it is")

	got, err := one.Guest()
	require.NoError(t, err)
	assert.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", got.UUID)
	for _, n := range got.NICs {
		assert.Equal(t, byte(2), n.MAC[0]&3, "locally administered, and of one interface")
	}
	assert.NotEqual(t, got.NICs[0].MAC, got.NICs[1].MAC)
	assert.Empty(t, CheckGuests(one, two), "no address is used twice")

	comment := parse(t, "# only a comment\n")
	require.NoError(t, comment.SetGuest(g))
	got, err = comment.Guest()
	require.NoError(t, err)
	assert.NotEmpty(t, got.UUID, "the file set nothing yet")
	assert.Len(t, got.NICs[1].MAC, 6)
}

func TestSetGuestChangesOnlyWhatDiffers(t *testing.T) {
	const text = `# senate, from the hosting provider
loader=grub
cpu=01
memory=2G # enough
network0_type="virtio-net"
network0_switch="public"
network0_slot=9
network2_type="e1000"
disk0_type="virtio-blk"
disk0_name="disk0.img"
debug=yes
grub_run0="knetbsd -h -r ld0a /netbsd"
grub_run1="boot"
grub_run3="left over"
`
	f := parse(t, text)
	now, err := f.Guest()
	require.NoError(t, err)
	require.NoError(t, f.SetGuest(now))
	assert.Empty(t, f.Changes(), "what Guest returned changes nothing, though a UUID is missing")

	now.Memory *= 2
	now.GrubRun = now.GrubRun[:1]
	require.NoError(t, f.SetGuest(now))
	want := replace(t, text, "memory=2G # enough", "memory=4096M # enough")
	want = replace(t, want, "grub_run1=\"boot\"\ngrub_run3=\"left over\"\n", "")
	want = replace(t, want, "network2_type=\"e1000\"\n", "")
	assert.Equal(t, want, string(f.Bytes()))

	now.Disks, now.NICs, now.Loader, now.CPU = nil, nil, "uefi", 4
	now.Passthru = []string{"6/0/0"}
	require.NoError(t, f.SetGuest(now))
	again, err := parse(t, string(f.Bytes())).Guest()
	require.NoError(t, err)
	assert.Equal(t, now, again)
}

func TestTemplateMACIsKept(t *testing.T) {
	// vm create gives network0 a new address, whatever the template says; an
	// edit here leaves the one that the guest knows.
	f := parse(t, senateText)
	g := senate()
	g.NICs[0].MAC, g.UUID, g.CPU = nil, "", 2
	require.NoError(t, f.SetGuest(g))
	assert.Equal(t, replace(t, senateText, `cpu="1"`, `cpu="2"`), string(f.Bytes()))
}

func TestNewRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Guest)
		want   string
	}{
		{"no loader", func(g *Guest) { g.Loader = "" }, "loader"},
		{"unknown loader", func(g *Guest) { g.Loader = "lilo" }, "bhyveload, grub, uefi"},
		{"no CPU", func(g *Guest) { g.CPU = 0 }, "cpu"},
		{"no memory", func(g *Guest) { g.Memory = 0 }, "memory"},
		{"half a megabyte", func(g *Guest) { g.Memory = MiB / 2 }, "multiple of 1M"},
		{"no disk for grub", func(g *Guest) { g.Disks = nil }, "needs a disk"},
		{"bad disk", func(g *Guest) { g.Disks[0].Type = "" }, "disk0_type"},
		{"bad NIC", func(g *Guest) { g.NICs[0].Switch = "" }, "without a switch"},
		{"bad uuid", func(g *Guest) { g.UUID = "senate" }, "00000000-"},
		{"empty grub command", func(g *Guest) { g.GrubRun = []string{"a", ""} }, "grub_run1"},
		{"injection in a grub command", func(g *Guest) { g.GrubInstall = []string{"a\nloader=\"uefi\""} }, "one line"},
		{"blank in passthru", func(g *Guest) { g.Passthru = []string{"6/0/0 -s 3"} }, "passthru0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := senate()
			row.change(&g)
			f, err := New(g)
			assert.Nil(t, f)
			var valueErr *ValueError
			require.ErrorAs(t, err, &valueErr)
			assert.ErrorContains(t, err, row.want)

			const text = "# kept\ncpu=9"
			f = parse(t, text)
			require.Error(t, f.SetGuest(g))
			assert.Equal(t, text, string(f.Bytes()))
		})
	}
}

func TestSetGuestRefusesWhatTheFileHadWrongAlready(t *testing.T) {
	const text = "cpu=70000\nmemory=0\n"
	f := parse(t, text)
	g := senate()
	g.CPU = 70000
	require.ErrorContains(t, f.SetGuest(g), "cpu")
	g.CPU, g.Memory = 1, 0
	require.ErrorContains(t, f.SetGuest(g), "memory")
	assert.Equal(t, text, string(f.Bytes()))
}

func TestGuestReportsWhatBhyveRefuses(t *testing.T) {
	g, err := parse(t, "cpu=two\nmemory=lots\nloader=\"grub\"\n").Guest()
	require.ErrorContains(t, err, "senate.conf:1:5: cpu")
	require.ErrorContains(t, err, "senate.conf:2:8: memory")
	assert.Equal(t, Guest{Loader: "grub"}, g)
	g, err = parse(t, "cpu=1\t# one\nmemory= 2G\n").Guest()
	require.NoError(t, err, "the shell that starts bhyve drops the blanks")
	assert.Equal(t, Guest{CPU: 1, Memory: 2 * GiB}, g)
	_, err = parse(t, "grub_run0=\"knetbsd /netbsd\"\r\n").Guest()
	require.ErrorContains(t, err, "senate.conf:1:11: grub_run0: \"knetbsd /netbsd\\r\": must have no carriage return")
	g, err = parse(t, "").Guest()
	require.NoError(t, err)
	assert.Equal(t, Guest{}, g)
}

func TestGuestNamesNeedTwoCharacters(t *testing.T) {
	for _, name := range []string{"ab", "senate", "a.b", "A_b-9", strings.Repeat("a", 231)} {
		assert.NoError(t, ValidateName(name), name)
	}
	for _, name := range []string{"", "a", "-ab", "ab.", "_", "a b", "a/b", "a\nb", strings.Repeat("a", 232)} {
		var valueErr *ValueError
		assert.ErrorAs(t, ValidateName(name), &valueErr, name)
	}
}

func TestSizes(t *testing.T) {
	for _, row := range []struct {
		text string
		want Size
		out  string
	}{
		{"2048M", 2 * GiB, "2048M"},
		{"2G", 2 * GiB, "2048M"},
		{"512m", 512 * MiB, "512M"},
		{"256", 256 * MiB, "256M"}, // below a megabyte: megabytes
		{"1048576", MiB, "1M"},
		{"1536k", 1536 << 10, "1536K"},
		{"1000b", 1000, "1000B"},
		{"1T", 1 << 40, "1048576M"},
		{"15E", 15 << 60, "16492674416640M"},
		{"0", 0, "0M"},
	} {
		got, err := ParseSize(row.text)
		require.NoError(t, err, row.text)
		assert.Equal(t, row.want, got, row.text)
		assert.Equal(t, row.out, got.String(), row.text)
		back, err := ParseSize(row.out)
		require.NoError(t, err)
		assert.Equal(t, got, back)
	}
	for _, text := range []string{"", "G", "2GB", "-1M", "1.5G", "0x10", "16E", "99999999999999999999", "2 G", "1G\r"} {
		_, err := ParseSize(text)
		var valueErr *ValueError
		assert.ErrorAs(t, err, &valueErr, text)
	}
}

// replace insists that there is one place to replace.
func replace(t testing.TB, text, from, to string) string {
	t.Helper()
	if from == "" {
		return text
	}
	require.Equal(t, 1, strings.Count(text, from), "%q in the text", from)
	return strings.Replace(text, from, to, 1)
}

package netbsdcfg_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/netbsdcfg"
)

// refused asserts that an error is a *ValueError about field, for a reason that
// holds these words.
func refused(t *testing.T, err error, field, reason string) {
	t.Helper()
	var value *netbsdcfg.ValueError
	require.ErrorAs(t, err, &value)
	assert.Equal(t, field, value.Field)
	assert.Contains(t, value.Reason, reason)
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func TestAddrs(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a bare first address with a hexadecimal netmask", "192.168.14.5 netmask 0xffffff00\n", []string{"192.168.14.5/24"}},
		{"a bare first address with a length", "up\n192.168.14.5/24\n", []string{"192.168.14.5/24"}},
		{"a dotted netmask", "inet 10.0.1.12 netmask 255.255.252.0 media 100baseTX\n", []string{"10.0.1.12/22"}},
		{"a decimal netmask", "inet 10.0.1.12 netmask 4294967040\n", []string{"10.0.1.12/24"}},
		{"classes without netmask", "inet 10.0.0.1\ninet 172.16.0.1 alias\ninet 192.168.0.1 alias\n", []string{"10.0.0.1/8", "172.16.0.1/16", "192.168.0.1/24"}},
		{"inet6 with prefixlen, a length, and neither", "inet6 2001:db8::1 prefixlen 80 alias\ninet6 2001:db8::2/96\ninet6 2001:db8::3 alias\n", []string{"2001:db8::1/80", "2001:db8::2/96", "2001:db8::3/64"}},
		{"alias before the address", "inet 10.0.0.1/24\ninet alias 10.0.0.2/32\n", []string{"10.0.0.1/24", "10.0.0.2/32"}},
		{"without alias the first IPv4 address is replaced", "inet 10.0.0.1/24\ninet 10.0.0.2/24 alias\ninet6 2001:db8::1/64\ninet 10.0.0.3/24\n", []string{"10.0.0.2/24", "2001:db8::1/64", "10.0.0.3/24"}},
		{"an address again gets a new mask", "inet 10.0.0.1/24\ninet 10.0.0.1/25\ninet6 2001:db8::1/64\ninet6 2001:db8::1/80\n", []string{"10.0.0.1/25", "2001:db8::1/80"}},
		{"an address that is deleted again", "inet 10.0.0.1/24\ninet 10.0.0.2/24 alias\ninet 10.0.0.1 delete\ninet 10.0.0.2 -alias\n", nil},
		{"the end of a tunnel and a broadcast address are none", "tunnel 192.0.2.1 192.0.2.2\nbroadcast 10.0.0.255 inet 10.0.0.1/24\n", []string{"10.0.0.1/24"}},
		{"a destination is none", "inet 10.0.0.1 10.0.0.2 netmask 0xffffffff\n", []string{"10.0.0.1/32"}},
		{"a zone is dropped", "inet6 fe80::1%wg0 prefixlen 64\n", []string{"fe80::1/64"}},
		{"an ifconfig command after an exclamation mark", "!/sbin/ifconfig $int inet 10.0.0.1/24\n!ifconfig wg1 inet 10.0.0.2/24\n!ifconfig wg0\n", []string{"10.0.0.1/24"}},
		{"what cannot be known", "inet $ADDR\ninet home netmask 0xff\nup\n", nil},
		{"netmasks with holes and lengths that are none", "inet 10.0.0.1 netmask 0xff00ff00\ninet 10.0.0.2 netmask x\ninet 10.0.0.3 netmask\ninet 10.0.0.4/33\ninet 10.0.0.5/x\ninet6 ::1 prefixlen -1\n", nil},
		{"lines that are lost or eaten", "!wg-keygen --pub\ninet 10.0.0.1/24\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range parse(t, tt.text).Addrs() {
				got = append(got, p.String())
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// wg is a file in which each kind of line has a comment.
const wg = `# the tunnel home
inet 172.16.1.4/24

# key, then peer
!wgconfig $int set private-key /etc/wg/wg0
!wgconfig $int add peer router YTjI3Gmq3Dn6hhzZ/zT8XxgKu7VhbmmGf3xDwjTUHkI= \
    --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0
up

# everything goes there
!route add -host 203.0.113.63 192.168.14.254
# last
!route add default 172.16.1.1
`

func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		edit func(*netbsdcfg.Ifconfig) error
		want string
	}{
		{
			"an address goes after the last address, as an alias", wg,
			func(f *netbsdcfg.Ifconfig) error { return f.AddAddr(prefix("10.1.2.3/32")) },
			strings.Replace(wg, "/24\n", "/24\ninet 10.1.2.3/32 alias\n", 1),
		},
		{
			"an IPv6 address is always an alias", "up\n",
			func(f *netbsdcfg.Ifconfig) error { return f.AddAddr(prefix("2001:db8::4/80")) },
			"up\ninet6 2001:db8::4/80 alias\n",
		},
		{
			"a first address goes above the first command and its comment", "\n# c\n# key\n!wgconfig wg0 set private-key /k\n",
			func(f *netbsdcfg.Ifconfig) error { return f.AddAddr(prefix("10.0.0.1/8")) },
			"\ninet 10.0.0.1/8\n# c\n# key\n!wgconfig wg0 set private-key /k\n",
		},
		{
			"a key goes before the peers", wg,
			func(f *netbsdcfg.Ifconfig) error {
				return f.AddCommand("wgconfig", "wg0", "set", "listen-port", "51820")
			},
			strings.Replace(wg, "/wg0\n", "/wg0\n!wgconfig wg0 set listen-port 51820\n", 1),
		},
		{
			"a peer goes after the peers, and not inside a continued line", wg,
			func(f *netbsdcfg.Ifconfig) error { return f.AddCommand("wgconfig", "wg0", "delete", "peer", "old") },
			strings.Replace(wg, "0.0.0.0/0\n", "0.0.0.0/0\n!wgconfig wg0 delete peer old\n", 1),
		},
		{
			"a line for ifconfig goes before the routes", wg,
			func(f *netbsdcfg.Ifconfig) error { return f.AddLine("mtu", "1380") },
			strings.Replace(wg, "0.0.0.0/0\n", "0.0.0.0/0\nmtu 1380\n", 1),
		},
		{
			"a host route goes before the default route", wg,
			func(f *netbsdcfg.Ifconfig) error { return f.AddRoute(prefix("192.0.2.7/32"), addr("192.168.14.254")) },
			strings.Replace(wg, "14.254\n", "14.254\n!route add -host 192.0.2.7 192.168.14.254\n", 1),
		},
		{
			"a network's route goes after up, and above the default route and its comment", "inet 10.0.0.1/8\nup\n# all\n!route add default 10.0.0.2\n",
			func(f *netbsdcfg.Ifconfig) error { return f.AddRoute(prefix("192.0.2.0/24"), addr("10.0.0.3")) },
			"inet 10.0.0.1/8\nup\n!route add -net 192.0.2.0/24 10.0.0.3\n# all\n!route add default 10.0.0.2\n",
		},
		{
			"routes of IPv6", "inet6 2001:db8::4/80 alias\n",
			func(f *netbsdcfg.Ifconfig) error {
				if err := f.AddRoute(prefix("::/0"), addr("2001:db8::1")); err != nil {
					return err
				}
				if err := f.AddRoute(prefix("2001:db8:1::/48"), addr("fe80::1%vioif0")); err != nil {
					return err
				}
				return f.AddRoute(prefix("2001:db8:2::1/128"), addr("fe80::1%vioif0"))
			},
			"inet6 2001:db8::4/80 alias\n!route add -inet6 -net 2001:db8:1::/48 fe80::1%vioif0\n" +
				"!route add -inet6 -host 2001:db8:2::1 fe80::1%vioif0\n!route add -inet6 default 2001:db8::1\n",
		},
		{
			"any other command goes to the end", wg,
			func(f *netbsdcfg.Ifconfig) error { return f.AddCommand("logger", "wg0 is up; $5 for 'all'") },
			wg + `!logger 'wg0 is up; $5 for '\''all'\'''` + "\n",
		},
		{
			"nothing goes after a command that reads the rest of the file", "inet 10.0.0.1/8\n# old\n!wg-keygen --pub\nlost\n",
			func(f *netbsdcfg.Ifconfig) error { return f.AddCommand("logger", "x") },
			"inet 10.0.0.1/8\n!logger x\n# old\n!wg-keygen --pub\nlost\n",
		},
		{
			"a last line without newline gets one", "inet 10.0.0.1/8\nup",
			func(f *netbsdcfg.Ifconfig) error { return f.AddLine("mtu", "1400") },
			"inet 10.0.0.1/8\nup\nmtu 1400\n",
		},
		{
			"a last line without newline gets one when a line above is added", "inet 10.0.0.1/8\nup",
			func(f *netbsdcfg.Ifconfig) error { return f.AddAddr(prefix("10.0.0.2/8")) },
			"inet 10.0.0.1/8\ninet 10.0.0.2/8 alias\nup\n",
		},
		{
			"a last line that ends in a backslash does not swallow the new one", "inet 10.0.0.1/8\nup \\",
			func(f *netbsdcfg.Ifconfig) error { return f.AddLine("mtu", "1400") },
			"inet 10.0.0.1/8\nup \\\n\nmtu 1400\n",
		},
		{
			"new lines in a CRLF file have none of it", "inet 10.0.0.1/8 up\r\n",
			func(f *netbsdcfg.Ifconfig) error { return f.AddLine("mtu", "1400") },
			"inet 10.0.0.1/8 up\r\nmtu 1400\n",
		},
		{
			"what is quoted survives the shell, runs of blanks too", "",
			func(f *netbsdcfg.Ifconfig) error { return f.AddLine("ssid", "it's   my net", "#", "") },
			`ssid 'it'\''s '' '' my net' '#' ''` + "\n",
		},
		{
			"dhcp", "", func(f *netbsdcfg.Ifconfig) error { return f.AddLine("dhcp") }, "dhcp\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.text)
			require.NoError(t, tt.edit(f))
			assert.Equal(t, tt.want, string(f.Bytes()))
			require.NoError(t, tt.edit(f), "again")
			assert.Equal(t, tt.want, string(f.Bytes()), "again")
		})
	}
}

func TestAddWhatIsThereChangesNothing(t *testing.T) {
	f := parse(t, wg+"mtu   1380 # c\n!'logger' \"x\"") // its end is lost
	for _, err := range []error{
		f.AddAddr(prefix("172.16.1.4/24")),
		f.AddLine("mtu", "1380"),
		f.AddLine("inet", "172.16.1.4/24"),
		f.AddRoute(prefix("203.0.113.63/32"), addr("192.168.14.254")),
		f.AddRoute(prefix("0.0.0.0/0"), addr("172.16.1.1")),
		f.AddCommand("wgconfig", "wg0", "set", "private-key", "/etc/wg/wg0"),
	} {
		assert.NoError(t, err)
	}
	assert.Empty(t, f.Changes())
}

func TestRefusedEdits(t *testing.T) {
	f := parse(t, wg)
	add := func(argv ...string) error { return f.AddCommand(argv...) }
	via := func(dst, via string) error { return f.AddRoute(prefix(dst), addr(via)) }
	for _, tt := range []struct {
		name, field, reason string
		err                 error
	}{
		{"no address", "address", "no address", f.AddAddr(netip.Prefix{})},
		{"the unspecified address", "address", "not the address of an interface", f.AddAddr(prefix("0.0.0.0/0"))},
		{"a multicast address", "address", "not the address of an interface", f.AddAddr(prefix("ff02::1/64"))},
		{"IPv4 in IPv6 form", "address", "in IPv6 form", f.AddAddr(prefix("::ffff:192.0.2.1/120"))},
		{"an address with another length", "address", "the file has it as 172.16.1.4/24", f.AddAddr(prefix("172.16.1.4/32"))},
		{"an address that a later line would replace", "address", "replaced by a later line", parse(t, "!read x\nx\ninet 10.0.0.1/8\n").AddAddr(prefix("10.0.0.2/8"))},
		{"an empty line", "line", "no words", f.AddLine()},
		{"create", "line", "creates the interface itself", f.AddLine("create")},
		{"a newline in a word", "word", "control character", f.AddLine("descr", "a\n!reboot")},
		{"a tab in a word", "word", "control character", f.AddLine("descr", "a\tb")},
		{"a NUL in a word", "word", "control character", f.AddLine("descr", "a\x00b")},
		{"a carriage return in a word", "word", "control character", f.AddLine("up\r")},
		{"bytes that are not UTF-8", "word", "not UTF-8", f.AddLine("descr", "\xff")},
		{"no command", "command", "names no program", add()},
		{"an empty program", "command", "names no program", add("", "x")},
		{"a newline in an argument", "argument", "control character", add("logger", "a\nup")},
		{"a builtin of the shell", "command", "word of the shell", add("exit")},
		{"a function of rc.subr", "command", "word of the shell", add("warn", "x")},
		{"a reserved word", "command", "word of the shell", add("while", "true")},
		{"a command that reads its input", "command", "the rest of the file", add("wg-keygen", "--pub")},
		{"no destination", "route", "no destination", f.AddRoute(netip.Prefix{}, addr("10.0.0.1"))},
		{"a link-local gateway without its interface", "gateway", "fe80::1%vioif0", via("::/0", "fe80::1")},
		{"no gateway", "gateway", "not the address of a gateway", f.AddRoute(prefix("10.0.0.0/8"), netip.Addr{})},
		{"a network with host bits", "route", "the network is 10.0.0.0/8", via("10.1.2.3/8", "172.16.1.1")},
		{"a gateway of the other family", "gateway", "not of the family", via("2001:db8::/32", "172.16.1.1")},
		{"a default route to a gateway in no connected prefix", "gateway", "no connected prefix (172.16.1.0/24)", via("0.0.0.0/0", "10.17.3.1")},
		{"a second default route", "route", "line 13 routes it through 172.16.1.1", via("0.0.0.0/0", "172.16.1.2")},
		{"a second gateway for a host", "route", "line 11 routes it through 192.168.14.254", via("203.0.113.63/32", "192.168.14.1")},
	} {
		t.Run(tt.name, func(t *testing.T) { refused(t, tt.err, tt.field, tt.reason) })
	}
	assert.Empty(t, f.Changes(), "a failed edit changes nothing")
	assert.NoError(t, parse(t, "up\n").AddRoute(prefix("0.0.0.0/0"), addr("10.17.3.1")), "a file without addresses cannot tell")
}

func TestRemove(t *testing.T) {
	f := parse(t, wg)
	found, err := f.RemoveAddr(prefix("172.16.1.4/24"))
	require.NoError(t, err)
	assert.True(t, found)
	assert.True(t, f.RemoveCommand("route", "add", "default", "172.16.1.1"))
	assert.True(t, f.RemoveCommand("wgconfig", "wg0", "add", "peer", "router", "YTjI3Gmq3Dn6hhzZ/zT8XxgKu7VhbmmGf3xDwjTUHkI=",
		"--endpoint=203.0.113.63:51820", "--allowed-ips=0.0.0.0/0"), "a command on two lines, with $int")
	assert.Equal(t, `# the tunnel home

# key, then peer
!wgconfig $int set private-key /etc/wg/wg0
up

# everything goes there
!route add -host 203.0.113.63 192.168.14.254
# last
`, string(f.Bytes()))

	found, err = f.RemoveAddr(prefix("172.16.1.4/24"))
	assert.NoError(t, err)
	assert.False(t, found)
	assert.False(t, f.RemoveCommand("route", "add", "default", "172.16.1.1"))
	assert.False(t, f.RemoveCommand(), "an empty command")

	f = parse(t, "inet 10.0.0.1/8 mtu 1400\ninet 10.0.0.2/8 alias; hello\n!hello; hello\n")
	_, err = f.RemoveAddr(prefix("10.0.0.1/8"))
	refused(t, err, "address", "line 1 does more")
	_, err = f.RemoveAddr(prefix("10.0.0.2/8"))
	refused(t, err, "address", "line 2 does more")
	assert.False(t, f.RemoveCommand("hello"), "a line that does more")
	assert.Empty(t, f.Changes())
}

func TestRemoveOfWhatALostLastLineRepeats(t *testing.T) {
	f := parse(t, "!hello\nup\n!hello")
	assert.True(t, f.RemoveCommand("hello"))
	assert.Equal(t, "up\n", string(f.Bytes()), "completed, the last line would run")
	f = parse(t, "inet 10.0.0.1/8\nup\n inet 10.0.0.1/8 \\")
	found, err := f.RemoveAddr(prefix("10.0.0.1/8"))
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "up\n", string(f.Bytes()))
	f = parse(t, "inet 10.0.0.1/8\ninet 10.0.0.1/8 mtu 1400")
	_, err = f.RemoveAddr(prefix("10.0.0.1/8"))
	refused(t, err, "address", "line 2 does more")
	assert.Empty(t, f.Changes())
	f = parse(t, "up\nmtu 1400")
	assert.False(t, f.RemoveCommand("hello"))
	assert.Equal(t, "up\nmtu 1400", string(f.Bytes()), "what removes nothing changes nothing")
	assert.True(t, f.RemoveCommand("ifconfig", "wg0", "up"))
	assert.Equal(t, "mtu 1400\n", string(f.Bytes()))
}

func TestANameThatTellsNoInterface(t *testing.T) {
	f, err := netbsdcfg.ParseIfconfig("some text", []byte("inet 10.0.0.1/24\n!hello $int\n"))
	require.NoError(t, err)
	require.NoError(t, f.AddAddr(prefix("10.0.0.2/24")))
	assert.Equal(t, []netip.Prefix{prefix("10.0.0.1/24"), prefix("10.0.0.2/24")}, f.Addrs())
	assert.Equal(t, `3 ["hello" "wg0"]`, show(f.Commands("wg0"))[2])
}

func TestFileLifeCycle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ifconfig.vioif0")
	_, err := netbsdcfg.OpenIfconfig(path)
	require.ErrorIs(t, err, os.ErrNotExist)

	f, err := netbsdcfg.CreateIfconfig(path)
	require.NoError(t, err)
	require.NoError(t, f.AddLine("up"))
	require.NoError(t, f.Save(t.Context()))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode())
	_, err = netbsdcfg.CreateIfconfig(path)
	require.ErrorIs(t, err, os.ErrExist)

	f, err = netbsdcfg.OpenIfconfig(path)
	require.NoError(t, err)
	require.NoError(t, f.AddAddr(prefix("192.168.14.5/24")))
	assert.Equal(t, []string{`1 ["ifconfig" "vioif0" "up"]`, `2 ["ifconfig" "vioif0" "inet" "192.168.14.5/24"]`}, show(f.Commands("vioif0")))
	assert.Contains(t, f.Changes(), "\n+inet 192.168.14.5/24\n")
	require.NoError(t, os.WriteFile(path, []byte("down\n"), 0o644))
	require.ErrorIs(t, f.Save(t.Context()), netbsdcfg.ErrStale)

	f = parse(t, "up\n")
	require.NoError(t, f.Save(t.Context()), "nothing changed")
	require.NoError(t, f.AddLine("down"))
	require.Error(t, f.Save(t.Context()), "there is no file")
}

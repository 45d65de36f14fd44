package netbsdcfg

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostRoot writes the files of a txtar archive below a new etc.
func hostRoot(t testing.TB, files string) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	for _, f := range txtar.Parse([]byte(files)).Files {
		require.NoError(t, os.WriteFile(filepath.Join(root, "etc", f.Name), f.Data, 0o644))
	}
	return root
}

func openHost(t testing.TB, files string) *Host {
	t.Helper()
	h, err := OpenHost(hostRoot(t, files))
	require.NoError(t, err)
	return h
}

// homeHost is the guest of the move as it is to be at home.
const homeHost = `
-- rc.conf --
rc_configured=YES
#defaultroute=192.168.14.254
pf=NO
-- modules.conf --
if_wg
-- sysctl.conf --
net.inet.ip.forwarding=0
-- ifconfig.vioif0 --
up
inet 192.168.14.5/24
-- ifconfig.wg0 --
inet 172.16.1.4/24
inet6 2001:db8:189c:700:b4d2::4/80 alias
!wgconfig wg0 set private-key /etc/wg/wg0
!wgconfig wg0 add peer router MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0,::/0
!route add -host 203.0.113.63 192.168.14.254
!route add default 172.16.1.1
!route add -inet6 default 2001:db8:189c:700:b4d2::1
`

// spanning returns what Host.Check finds beyond the checks of each file.
func spanning(h *Host) string {
	alone := map[string]bool{}
	add := func(ps Problems) {
		for _, p := range ps {
			alone[p.Error()] = true
		}
	}
	if h.RC != nil {
		add(h.RC.Check())
	}
	for _, f := range h.Ifconfig {
		add(f.check(false))
	}
	var found []string
	for _, p := range h.Check() {
		if !alone[p.Error()] {
			p.File = filepath.Base(p.File)
			found = append(found, strings.ReplaceAll(p.Error(), h.Path("")+"/", ""))
		}
	}
	return strings.Join(found, "|")
}

func TestHostCheckOfWhatSpansFiles(t *testing.T) {
	without := func(text, line string) string {
		require.Contains(t, text, line)
		return strings.Replace(text, line+"\n", "", 1)
	}
	with := func(text, old, new string) string {
		require.Contains(t, text, old)
		return strings.Replace(text, old, new, 1)
	}
	provider := with(without(homeHost, "!route add default 172.16.1.1"), "#defaultroute", "defaultroute")
	tests := []struct{ name, files, want string }{
		{"the guest at home", homeHost, ""},
		{"the guest at its provider", provider, ""},
		{"an ifconfig_wg0 variable disables the file", with(homeHost, "pf=NO", "ifconfig_wg0=\"inet 172.16.1.4/24; inet6 2001:db8:189c:700:b4d2::4/80 alias\""),
			"rc.conf:3: error: ifconfig_wg0 is set, and rc.d/network does not read ifconfig.wg0: keep one of the two"},
		{"an empty ifconfig_wg0 variable does not", with(homeHost, "pf=NO", "ifconfig_wg0="), ""},
		{"a commented-out defaultroute leaves mygate active", without(homeHost, "!route add default 172.16.1.1") + "-- mygate --\n192.168.14.254\n",
			"rc.conf:2: error: defaultroute is commented out, so the default route is 192.168.14.254 of mygate"},
		{"an empty defaultroute leaves mygate active", with(without(homeHost, "!route add default 172.16.1.1"), "#defaultroute=192.168.14.254", "defaultroute=\"\"") + "-- mygate --\n192.168.14.254\n",
			"rc.conf:2: error: defaultroute is empty, so the default route is 192.168.14.254 of mygate"},
		{"a commented-out defaultroute6 leaves mygate6 active", with(without(homeHost, "!route add -inet6 default 2001:db8:189c:700:b4d2::1"), "pf=NO", "# defaultroute6=2001:db8:189c:700:b4d2::1") + "-- mygate6 --\n2001:db8:189c:700:b4d2::1\n",
			"rc.conf:3: error: defaultroute6 is commented out, so the default route is 2001:db8:189c:700:b4d2::1 of mygate6"},
		{"mygate alone is the normal way", without(without(homeHost, "!route add default 172.16.1.1"), "#defaultroute=192.168.14.254") + "-- mygate --\n192.168.14.254\n", ""},
		{"mygate does not count if there is a defaultroute", provider + "-- mygate --\n198.51.100.1\n", ""},
		{"mygate may count if a conditional sets defaultroute", with(without(homeHost, "!route add default 172.16.1.1"), "#defaultroute=192.168.14.254", "[ -f /x ] && defaultroute=192.168.14.254") + "-- mygate --\n198.51.100.1\n", ""},
		{"two default routes, of mygate and of a file", without(homeHost, "#defaultroute=192.168.14.254") + "-- mygate --\n# home\n192.168.14.254\n",
			"mygate:1: error: a comment, which reaches route(8) where rc.d/network reads the file with cat: remove it|" +
				"mygate:2: error: ifconfig.wg0:6 sets a default route already: this one fails"},
		{"two default routes, of rc.conf and of a file", with(homeHost, "#defaultroute", "defaultroute"),
			"rc.conf:2: error: ifconfig.wg0:6 sets a default route already: this one fails"},
		{"a default route that is deleted first", with(homeHost, "up\n", "up\n!route delete default\n") + "-- mygate --\n192.168.14.254\n",
			"rc.conf:2: error: defaultroute is commented out, so the default route is 192.168.14.254 of mygate"},
		{"wg0 is configured only with if_wg", without(homeHost, "if_wg"),
			"ifconfig.wg0: warning: if_wg is not in modules.conf, so that wg0 is not configured unless the kernel has wg(4): add it"},
		{"if_wg is lost in a last line without newline", with(homeHost, "-- modules.conf --\nif_wg\n", "-- nothing --\n"),
			"ifconfig.wg0: warning: if_wg is not in modules.conf, so that wg0 is not configured unless the kernel has wg(4): add it"},
		{"modules are switched off", with(homeHost, "pf=NO", "modules=NO"),
			"ifconfig.wg0: warning: modules=NO in rc.conf, so that wg0 is not configured unless the kernel has wg(4): set modules to YES"},
		{"without auto_ifconfig nothing is looked for", with(without(homeHost, "if_wg"), "pf=NO", "auto_ifconfig=NO net_interfaces=\"vioif0 wg0\""), ""},
		{"a gateway in no connected prefix", with(provider, "defaultroute=192.168.14.254", "defaultroute=10.17.3.1"),
			"rc.conf:2: error: gateway: \"10.17.3.1\": lies in no connected prefix (192.168.14.0/24, 172.16.1.0/24): name one that is connected, or take the route out"},
		{"the endpoint's gateway in no connected prefix", with(homeHost, "203.0.113.63 192.168.14.254", "203.0.113.63 192.168.15.254"),
			"ifconfig.wg0:5: error: gateway: \"192.168.15.254\": lies in no connected prefix (192.168.14.0/24, 172.16.1.0/24): name one that is connected, or take the route out"},
		{"a gateway is a name", with(provider, "defaultroute=192.168.14.254", "defaultroute=gate"), ""},
		{"an address of rc.conf is made by the shell", with(with(provider, "192.168.14.254", "10.17.3.1"), "pf=NO", "ifconfig_wm0=\"inet $ADDR\""), ""},
		{"rc.conf reads another file, which may configure anything", with(with(provider, "192.168.14.254", "10.17.3.1"), "rc_configured=YES", "rc_configured=YES\n. /etc/rc.conf.local"), ""},
		{"an alias of rc.conf", with(with(provider, "192.168.14.254", "10.17.3.1"), "pf=NO", "ifaliases_vioif0=\"10.17.3.4 255.255.255.0\""), ""},
		{"an rc.conf that the shell refuses says nothing about addresses", with(without(provider, "inet 192.168.14.5/24"), "defaultroute=192.168.14.254", "ifconfig_vioif0=\"inet 192.168.14.5/24"), ""},
		{"dhclient runs for all", with(with(provider, "192.168.14.254", "10.17.3.1"), "pf=NO", "dhclient=YES"), ""},
		{"an ifconfig_wg0 variable that only the shell could tell may disable the file", with(homeHost, "pf=NO", "ifconfig_wg0=\"inet $ADDR\""),
			"rc.conf:3: warning: ifconfig_wg0 may be set here, and rc.d/network does not read ifconfig.wg0 then: keep one of the two"},
		{"an interface has its address from DHCP", with(with(provider, "192.168.14.254", "10.17.3.1"), "up\ninet 192.168.14.5/24", "dhcp"), ""},
		{"the endpoint's host route is in another file", with(without(homeHost, "!route add -host 203.0.113.63 192.168.14.254"), "up\n", "up\n!route add -host 203.0.113.63 192.168.14.254\n"), ""},
		{"a gateway in the prefix of another interface", with(without(homeHost, "!route add -host 203.0.113.63 192.168.14.254"), "route add default 172.16.1.1", "route add default 192.168.14.254"), ""},
		{"no host route to the endpoint in any file", without(homeHost, "!route add -host 203.0.113.63 192.168.14.254"),
			"ifconfig.wg0:5: error: all traffic goes into the tunnel, that to its endpoint 203.0.113.63 too: it needs a host route through a gateway outside"},
		{"a file's gateway in no interface's prefix", with(homeHost, "default 172.16.1.1", "default 10.17.3.1"),
			"ifconfig.wg0:6: error: gateway: \"10.17.3.1\": lies in no connected prefix (192.168.14.0/24, 172.16.1.0/24): name one that is connected, or take the route out"},
		{"a file's gateway in no prefix, but another interface uses DHCP", with(with(homeHost, "default 172.16.1.1", "default 10.17.3.1"), "inet 192.168.14.5/24", "dhcp"),
			"ifconfig.wg0:6: warning: gateway: \"10.17.3.1\": lies in no connected prefix (172.16.1.0/24), unless in one that these files do not tell"},
		{"a host route through a gateway that DHCP connects", with(homeHost, "inet 192.168.14.5/24", "dhcp"), ""},
		{"an address is made by the shell", with(with(provider, "192.168.14.254", "10.17.3.1"), "inet 192.168.14.5/24", "inet $ADDR"), ""},
		{"dhcpcd runs for all", with(with(provider, "192.168.14.254", "10.17.3.1"), "pf=NO", "dhcpcd=YES"), ""},
		{"defaultroute into the tunnel, no route to the endpoint", with(without(provider, "!route add -host 203.0.113.63 192.168.14.254"), "defaultroute=192.168.14.254", "defaultroute=172.16.1.1"),
			"rc.conf:2: error: all traffic goes into the tunnel, that to its endpoint 203.0.113.63 too: it needs a host route through a gateway outside"},
		{"the route to the endpoint leads into the tunnel", with(homeHost, "203.0.113.63 192.168.14.254", "203.0.113.63 172.16.1.1"),
			"ifconfig.wg0:5: error: the route to the endpoint 203.0.113.63 leads into the tunnel itself"},
		{"the endpoint is beside the machine", with(without(homeHost, "!route add -host 203.0.113.63 192.168.14.254"), "203.0.113.63:51820", "192.168.14.9:51820"), ""},
		{"an IPv6 default needs no exclusion for an IPv4 endpoint", without(without(homeHost, "!route add -host 203.0.113.63 192.168.14.254"), "!route add default 172.16.1.1"), ""},
		{"an IPv6 endpoint needs its own exclusion", with(with(without(homeHost, "!route add -inet6 default 2001:db8:189c:700:b4d2::1"), "pf=NO", "defaultroute6=2001:db8:189c:700:b4d2::1"), "203.0.113.63:51820", "2001:db8:f::1:51820"),
			"rc.conf:3: error: all traffic goes into the tunnel, that to its endpoint 2001:db8:f::1 too: it needs a host route through a gateway outside"},
		{"an endpoint that is a name", with(without(homeHost, "!route add -host 203.0.113.63 192.168.14.254"), "203.0.113.63:51820", "router.example.net:51820"), ""},
		{"a copy that looks like an interface's", homeHost + "-- ifconfig.wg0.bak --\nup\n", "ifconfig.wg0.bak: warning: names no interface, but rc.d/network may take it for one: move it out of /etc"},
		{"no rc.conf", "-- ifconfig.wg0 --\n", "ifconfig.wg0: warning: if_wg is not in modules.conf, so that wg0 is not configured unless the kernel has wg(4): add it|" +
			"rc.conf: error: there is none, and the machine boots to single user: write one with rc_configured=YES"},
		{"a problem of modules.conf", "-- rc.conf --\nrc_configured=YES\n-- modules.conf --\nfoo it's\n", `modules.conf:1: error: the shell refuses "it's", and foo is not loaded: mend the quotes, or leave them out`},
		{"a Linux name in sysctl.conf", with(homeHost, "net.inet.ip.forwarding", "net.ipv4.ip_forward"),
			"sysctl.conf:1: error: net.ipv4.ip_forward is a name of Linux, not of NetBSD: net.inet.ip.forwarding is meant"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, spanning(openHost(t, tt.files)))
		})
	}
}

func TestHostReportsARouteOnceThatItsFileReports(t *testing.T) {
	h := openHost(t, strings.Replace(homeHost, "!route add -host 203.0.113.63 192.168.14.254\n", "", 1))
	problems := h.Check()
	require.Len(t, problems, 1)
	assert.Equal(t, 5, problems[0].Line)
	assert.Contains(t, problems[0].Message, "203.0.113.63")
	assert.ErrorContains(t, problems.Err(), "ifconfig.wg0:5: error: ")
}

func TestHostReportsAHostRouteAfterTheDefaultRoute(t *testing.T) {
	const hostRoute, defaultRoute = "!route add -host 203.0.113.63 192.168.14.254\n", "!route add default 172.16.1.1\n"
	problems := openHost(t, strings.Replace(homeHost, hostRoute+defaultRoute, defaultRoute+hostRoute, 1)).Check()
	require.Len(t, problems, 1)
	assert.ErrorContains(t, problems.Err(), "ifconfig.wg0:5: error: the host route to the endpoint 203.0.113.63 comes after")
}

func TestHostChecksAVariableLikeAFile(t *testing.T) {
	h := openHost(t, "-- rc.conf --\nrc_configured=YES\nifconfig_vioif0=\"up; inet 192.0.2.5/24; !route add default 192.0.3.1\"\n")
	assert.Equal(t, `rc.conf:2: error: gateway: "192.0.3.1": lies in no connected prefix (192.0.2.0/24): name one that is connected, or take the route out`, spanning(h))
	h = openHost(t, "-- rc.conf --\nrc_configured=YES\nifconfig_vioif0=\"inet 192.0.2.5/24; it's\"\n")
	assert.Contains(t, spanning(h), "rc.conf:2: error: sh refuses the line")
	h = openHost(t, "-- rc.conf --\nrc_configured=YES\nifconfig_vioif0=\"up\n\tinet 192.0.2.5/24\"\ndefaultroute=192.0.2.1\n")
	assert.Empty(t, spanning(h))
}

func TestHostLooksAtPfAndNpf(t *testing.T) {
	problems := openHost(t, "-- rc.conf --\nrc_configured=YES\npf=YES\nnpf=YES\n").Check()
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Message, "pf and npf are on together")
}

func TestOpenHostReadsWhatIsThere(t *testing.T) {
	h := openHost(t, homeHost+"-- mygate --\n192.0.2.1\n-- mygate6 --\n2001:db8::1\n-- ifconfig.lo --\n-- hosts --\n")
	assert.Equal(t, []string{"vioif0", "wg0"}, h.ifaces())
	assert.NotNil(t, h.RC)
	assert.NotNil(t, h.Modules)
	assert.NotNil(t, h.Sysctl)
	assert.Equal(t, "192.0.2.1", h.MyGate.Gateway())
	assert.Equal(t, "2001:db8::1", h.MyGate6.Gateway())

	empty := openHost(t, "")
	assert.Nil(t, empty.RC)
	assert.Nil(t, empty.Modules)
	assert.Nil(t, empty.Sysctl)
	assert.Nil(t, empty.MyGate)
	assert.Nil(t, empty.MyGate6)
	assert.Empty(t, empty.Ifconfig)
	assert.Empty(t, empty.Changes())

	_, err := OpenHost(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestOpenHostRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "rc.conf")
	require.NoError(t, os.WriteFile(outside, []byte("pf=NO\n"), 0o644))
	tests := []struct{ name, file, to, want string }{
		{"a link out of the root", "rc.conf", outside, "a symbolic link leads out of"},
		{"a relative link out of the root", "ifconfig.wg0", "../../../../../../../../etc/passwd", "a symbolic link leads out of"},
		{"a link to nowhere", "modules.conf", "missing", "a symbolic link leads nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := hostRoot(t, "")
			require.NoError(t, os.Symlink(tt.to, filepath.Join(root, "etc", tt.file)))
			_, err := OpenHost(root)
			require.ErrorContains(t, err, tt.want)
			require.NotErrorIs(t, err, fs.ErrNotExist)
		})
	}
	t.Run("a file that is no text", func(t *testing.T) {
		_, err := OpenHost(hostRoot(t, "-- sysctl.conf --\na\x00\n"))
		var parse *ParseError
		require.ErrorAs(t, err, &parse)
	})
	t.Run("a link that stays inside", func(t *testing.T) {
		root := hostRoot(t, "-- real --\npf=YES\n")
		require.NoError(t, os.Symlink("real", filepath.Join(root, "etc", "rc.conf")))
		h, err := OpenHost(root)
		require.NoError(t, err)
		require.NoError(t, h.RC.Enable("pf", false))
		require.NoError(t, h.Save(t.Context()))
		data, err := os.ReadFile(filepath.Join(root, "etc", "real"))
		require.NoError(t, err)
		assert.Equal(t, "pf=NO\n", string(data))
	})
}

func TestHostSavesAllThatChanged(t *testing.T) {
	root := hostRoot(t, homeHost+"-- mygate --\n192.168.14.254\n")
	h, err := OpenHost(root)
	require.NoError(t, err)
	require.NoError(t, h.Save(t.Context()))
	require.NoError(t, h.RC.Enable("pf", true))
	require.NoError(t, h.Modules.Add("pf"))
	require.NoError(t, h.Sysctl.Set("net.inet.ip.forwarding", "1"))
	require.True(t, h.MyGate.Unset())
	require.NoError(t, h.Ifconfig["vioif0"].AddAddr(netip.MustParsePrefix("192.168.14.6/24")))
	h.MyGate6, err = CreateMyGate(h.Path("mygate6"))
	require.NoError(t, err)
	require.NoError(t, h.MyGate6.Set(netip.MustParseAddr("2001:db8::1")))
	for _, line := range []string{"+pf=YES", "+pf", "+net.inet.ip.forwarding=1", "-192.168.14.254", "+2001:db8::1", "+inet 192.168.14.6/24 alias"} {
		assert.Contains(t, h.Changes(), "\n"+line+"\n")
	}
	require.NoError(t, h.Save(t.Context()))
	assert.Empty(t, h.Changes())
	again, err := OpenHost(root)
	require.NoError(t, err)
	on, _ := again.RC.Enabled("pf")
	assert.True(t, on)
	assert.Empty(t, again.MyGate.Gateway())
	assert.Equal(t, "2001:db8::1", again.MyGate6.Gateway())
}

func TestHostSavesNothingIfOneFileIsStale(t *testing.T) {
	root := hostRoot(t, homeHost)
	h, err := OpenHost(root)
	require.NoError(t, err)
	require.NoError(t, h.Modules.Add("pf"))
	require.NoError(t, h.RC.Enable("pf", true))
	require.NoError(t, os.WriteFile(h.Path("rc.conf"), []byte("pf=NO # by hand\n"), 0o644))
	err = h.Save(t.Context())
	require.True(t, errors.Is(err, ErrStale), "%v", err)
	data, err := os.ReadFile(h.Path("modules.conf"))
	require.NoError(t, err)
	assert.Equal(t, "if_wg\n", string(data))
}

func TestMyGate(t *testing.T) {
	tests := []struct{ name, in, gateway, want string }{
		{"a gateway", "192.0.2.1\n", "192.0.2.1", ""},
		{"a name", "gate # home\n", "gate", "1: error: a comment, which reaches route(8) where rc.d/network reads the file with cat: remove it"},
		{"comments and blank lines", "# x\n\n 192.0.2.1 \n", "192.0.2.1", "1: error: a comment, which reaches route(8) where rc.d/network reads the file with cat: remove it"},
		{"nothing", "", "", ""},
		{"a last line without newline", "192.0.2.1", "192.0.2.1", "1: error: the last line has no newline, and the kat of rc.subr(8) does not read it: add one"},
		{"two words", "192.0.2.1 -mtu 1400\n", "192.0.2.1", "1: error: more than one word, and all of them are arguments of route add default: leave the gateway alone in the file"},
		{"two lines", "192.0.2.1\n192.0.2.2\n", "192.0.2.1", "2: error: more than one word, and all of them are arguments of route add default: leave the gateway alone in the file"},
		{"CR LF", "192.0.2.1\r\n", "192.0.2.1", "1: error: the line ends in CR LF, and the CR becomes part of the address: remove it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := ParseMyGate("mygate", []byte(tt.in))
			require.NoError(t, err)
			assert.Equal(t, tt.in, string(g.Bytes()))
			assert.Equal(t, tt.gateway, g.Gateway())
			var got []string
			for _, p := range g.Check() {
				got = append(got, strings.TrimPrefix(p.Error(), "mygate:"))
			}
			assert.Equal(t, tt.want, strings.Join(got, "|"))
		})
	}
}

func TestMyGateSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mygate")
	_, err := OpenMyGate(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	g, err := CreateMyGate(path)
	require.NoError(t, err)
	require.NoError(t, g.Set(netip.MustParseAddr("192.0.2.1")))
	require.NoError(t, g.Save(t.Context()))
	_, err = CreateMyGate(path)
	require.ErrorIs(t, err, fs.ErrExist)
	g, err = OpenMyGate(path)
	require.NoError(t, err)
	require.NoError(t, g.Set(netip.MustParseAddr("192.0.2.1")))
	assert.Empty(t, g.Changes())
	for _, a := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("ff02::1"),
		netip.MustParseAddr("fe80::1").WithZone("wm0\nreboot"), netip.MustParseAddr("fe80::1").WithZone("$(reboot)")} {
		var refused *ValueError
		assert.ErrorAs(t, g.Set(a), &refused)
	}
	assert.Empty(t, g.Changes())
	assert.True(t, g.Unset())
	assert.False(t, g.Unset())
	assert.Empty(t, string(g.Bytes()))

	g, err = ParseMyGate("mygate", []byte("# home\n192.0.2.1\n"))
	require.NoError(t, err)
	require.NoError(t, g.Set(netip.MustParseAddr("192.0.2.1")))
	assert.Empty(t, g.Changes())
	require.NoError(t, g.Set(netip.MustParseAddr("192.0.2.2")))
	assert.Equal(t, "192.0.2.2\n", string(g.Bytes()))
	require.NoError(t, g.Set(netip.MustParseAddr("fe80::1%wm0")))
	assert.Equal(t, "fe80::1%wm0\n", string(g.Bytes()))
}

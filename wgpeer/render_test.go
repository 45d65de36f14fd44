package wgpeer

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// endOf is one end of aHub, as it sees the tunnel.
func endOf(t testing.TB, name string) Interface {
	t.Helper()
	i, err := aHub().Interface(name)
	require.NoError(t, err)
	return i
}

func TestWGQuickText(t *testing.T) {
	out, err := endOf(t, "senate").WGQuick()
	require.NoError(t, err)
	assert.Equal(t, "/etc/wireguard/wg0.conf (0600)", out.String())
	assert.Equal(t, `[Interface]
Address = 172.16.1.4/24, fd77::4/64
PostUp = wg set %i private-key /etc/wireguard/senate.key

[Peer]
# router
PublicKey = `+testKey(1).Public().String()+`
PresharedKey = `+testPSK(2).Reveal()+`
Endpoint = 203.0.113.63:51820
AllowedIPs = 0.0.0.0/0, ::/0
`, string(out.Data))
}

func TestSysctl(t *testing.T) {
	out, err := endOf(t, "router").Sysctl()
	require.NoError(t, err)
	assert.Equal(t, "/etc/sysctl.d/60-wg0.conf (0644)", out.String())
	assert.Equal(t, "net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n", string(out.Data))
	out, err = Interface{Iface: "wg0", Addresses: prefixes("172.16.1.1/24")}.Sysctl()
	require.NoError(t, err)
	assert.Equal(t, "net.ipv4.ip_forward = 1\n", string(out.Data))
}

func TestIfupdownText(t *testing.T) {
	i := Interface{
		Iface: "wg0", KeyFile: "/etc/wireguard/wg0.key", FwMark: 7, Addresses: prefixes("172.16.1.4/24"),
		Peers: []Peer{testPeer(1, "0.0.0.0/0", "172.16.0.0/16", "172.16.1.0/25")},
	}
	out, err := i.Ifupdown()
	require.NoError(t, err)
	assert.Equal(t, `auto wg0
iface wg0 inet manual
	# What a failed start left behind goes first.
	pre-up ! wg show $IFACE >/dev/null 2>&1 || ip link delete dev $IFACE
	pre-up ip link add dev $IFACE type wireguard
	pre-up wg setconf $IFACE /etc/wireguard/wg0.conf
	pre-up wg set $IFACE private-key /etc/wireguard/wg0.key
	pre-up ip link set dev $IFACE up
	down ip link delete dev $IFACE || true
	up ip -4 address add 172.16.1.4/24 dev $IFACE
	pre-up sysctl -q net.ipv4.conf.all.rp_filter=2
	up ip -4 route add 0.0.0.0/0 dev $IFACE table 7
	up ip -4 rule delete not fwmark 7 table 7 2>/dev/null || true
	up ip -4 rule delete not fwmark 7 table main suppress_prefixlength 0 2>/dev/null || true
	up ip -4 rule add not fwmark 7 table 7
	up ip -4 rule add not fwmark 7 table main suppress_prefixlength 0
	down ip -4 rule delete not fwmark 7 table 7 || true
	down ip -4 rule delete not fwmark 7 table main suppress_prefixlength 0 || true
	up ip -4 route add 172.16.0.0/16 dev $IFACE
`, string(out[0].Data))
}

func TestRendersRefuse(t *testing.T) {
	for name, change := range map[string]func(i *Interface){
		"no key":                             func(i *Interface) { i.PrivateKey = PrivateKey{} },
		"a device's name with a newline":     func(i *Interface) { i.Iface = "wg0\nup x" },
		"a device's name with a path":        func(i *Interface) { i.Iface = "../wg0" },
		"no device's name":                   func(i *Interface) { i.Iface = "" },
		"a device's name for all":            func(i *Interface) { i.Iface = "all" },
		"a key file with a blank":            func(i *Interface) { i.KeyFile = "/etc/a b" },
		"a key file with a command":          func(i *Interface) { i.KeyFile = "/etc/a;reboot" },
		"a key file with a newline":          func(i *Interface) { i.KeyFile = "/etc/a\nup reboot" },
		"a key file with wg-quick's device":  func(i *Interface) { i.KeyFile = "/etc/%i" },
		"a key file with a comment":          func(i *Interface) { i.KeyFile = "/etc/#a" },
		"a key file joined to the next line": func(i *Interface) { i.KeyFile = `/etc/a\` },
		"a relative key file":                func(i *Interface) { i.KeyFile = "wg.key" },
		"a peer's name with a newline":       func(i *Interface) { i.Peers[0].Name = "x\nPostUp = reboot" },
		"a peer's name with a return":        func(i *Interface) { i.Peers[0].Name = "x\r" },
		"an endpoint with a newline":         func(i *Interface) { i.Peers[0].Endpoint = "192.0.2.1:1\nx:1" },
		"an endpoint with a command":         func(i *Interface) { i.Peers[0].Endpoint = "$(reboot):1" },
		"a peer without a key":               func(i *Interface) { i.Peers[0].PublicKey = PublicKey{} },
		"a negative mark":                    func(i *Interface) { i.FwMark = -1 },
		"an MTU too small":                   func(i *Interface) { i.MTU = 1000 },
		"its own key as a peer":              func(i *Interface) { i.Peers[0].PublicKey = i.PrivateKey.Public() },
	} {
		t.Run(name, func(t *testing.T) {
			i := endOf(t, "router")
			change(&i)
			_, err1 := i.WGQuick()
			_, err2 := i.Setconf()
			_, err3 := i.Ifupdown()
			for _, err := range []error{err1, err2, err3} {
				_, ok := errors.AsType[*ValueError](err)
				assert.True(t, ok, "%v", err)
			}
		})
	}
	for name, change := range map[string]func(i *Interface){
		"an endpoint in the tunnel":    func(i *Interface) { i.Peers[0].Endpoint = "172.16.1.9:51820" },
		"an endpoint behind the peer":  func(i *Interface) { i.Peers[0].Endpoint = "192.168.14.5:51820" },
		"the table of all routes":      func(i *Interface) { i.FwMark = 254 },
		"nothing to send or to answer": func(i *Interface) { i.Addresses, i.Peers = nil, nil },
	} {
		i := endOf(t, "router")
		change(&i)
		_, err := i.Ifupdown()
		_, ok := errors.AsType[*ValueError](err)
		assert.True(t, ok, name)
	}
}

// What wg reads in our files is what we meant.
func TestFilesAreReadBackByWG(t *testing.T) {
	lab.Need(t, "wg", "wg-quick")
	host := lab.NewHost(t, "wgfile")
	c := startDevice(t, host, "wgfile")
	for name, i := range map[string]Interface{
		"router": endOf(t, "router"),
		"all that there is": {
			PrivateKey: testKey(9), PublicKey: testKey(9).Public(), ListenPort: 65535, FwMark: 0xca6c, MTU: 1380, Addresses: prefixes("172.16.1.4/24", "fd77::4/64"),
			Peers: []Peer{
				{Name: `odd = "name" # [Peer]`, PublicKey: testKey(1).Public(), Endpoint: "[2001:db8::1]:1", AllowedIPs: prefixes("0.0.0.0/0", "::/0"), Keepalive: 65535 * time.Second},
				{Name: "größer; ein\u00a0Name", PublicKey: testKey(2).Public(), PresharedKey: testPSK(1), AllowedIPs: prefixes("192.0.2.9/24", "fd77:1::9/64")},
				{PublicKey: testKey(3).Public(), Keepalive: time.Second, Endpoint: "localhost:51820"},
			},
		},
		"nothing but a key": {PrivateKey: testKey(9)},
	} {
		i.Iface = "wgfile"
		quick, err := i.WGQuick()
		require.NoError(t, err)
		plain, err := i.Setconf()
		require.NoError(t, err)
		root := t.TempDir()
		path := filepath.Join(root, quick.Path)
		for _, out := range []Output{quick, plain} {
			_, err := out.Save(t.Context(), root)
			require.NoError(t, err)
			if out.Path == quick.Path && strings.Contains(string(out.Data), "Address") {
				stripped := host.Run(t, "wg-quick", "strip", path)
				assert.NotContains(t, stripped, "Address", name)
				path = filepath.Join(root, "stripped")
				require.NoError(t, os.WriteFile(path, []byte(stripped), 0o600))
			}
			host.Run(t, "wg", "setconf", "wgfile", path)
			plan, err := Diff(t.Context(), c, "wgfile", i)
			require.NoError(t, err, name)
			assert.Empty(t, plan.String(), name)

			shown := filepath.Join(root, "shown")
			require.NoError(t, os.WriteFile(shown, []byte(host.Run(t, "wg", "showconf", "wgfile")), 0o600))
			host.Run(t, "wg", "setconf", "wgfile", shown)
			plan, err = Diff(t.Context(), c, "wgfile", i)
			require.NoError(t, err, name)
			assert.Empty(t, plan.String(), name)
			path = filepath.Join(root, plain.Path)
		}
	}
}

// standIn is for a kernel that cannot make WireGuard devices. It lies in /usr/local/sbin,
// because ifup(8) has a PATH of its own that begins there.
func standIn(t testing.TB) {
	lab.NeedIsolation(t)
	script := lab.WireGuardIP(t)
	const dir = "/usr/local/sbin"
	mountEmpty(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ip"), []byte(script), 0o755))
}

// etcWireGuard makes /etc/wireguard empty for the test, which has mounts of its own.
func etcWireGuard(t testing.TB) {
	lab.NeedIsolation(t)
	mountEmpty(t, "/etc/wireguard")
}

func mountEmpty(t testing.TB, dir string) {
	t.Helper()
	require.NoError(t, exec.Command("mount", "-t", "tmpfs", "tmpfs", dir).Run())
	t.Cleanup(func() { assert.NoError(t, exec.Command("umount", dir).Run()) })
}

// A tunnelHost is a host that ifupdown configures.
type tunnelHost struct {
	lab.Host
	fragment, state string
}

func newTunnelHost(t testing.TB, host lab.Host, i Interface) tunnelHost {
	standIn(t)
	h := tunnelHost{Host: host, state: t.TempDir()}
	out, err := i.Ifupdown()
	require.NoError(t, err)
	require.Len(t, out, 1)
	root := t.TempDir()
	_, err = out[0].Save(context.Background(), root)
	require.NoError(t, err)
	h.fragment = filepath.Join(root, out[0].Path)
	return h
}

func (h tunnelHost) words(argv ...string) []string {
	return append(argv, "-i", h.fragment, "--state-dir="+h.state)
}

func (h tunnelHost) do(t testing.TB, argv ...string) string { return h.Run(t, h.words(argv...)...) }

func (h tunnelHost) fails(t testing.TB, argv ...string) {
	t.Helper()
	words := h.Command(h.words(argv...)...)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	require.Error(t, err, "%s", out)
}

// shows is all that a fragment can change. Addresses of a link's own are left out: the
// daemon's device has one, by the kernel's choice.
func (h tunnelHost) shows(t testing.TB) string {
	t.Helper()
	var kept []string
	for _, argv := range [][]string{
		{"ip", "-o", "-4", "address", "show"}, {"ip", "-o", "-6", "address", "show"},
		{"ip", "-4", "route", "show", "table", "all"}, {"ip", "-6", "route", "show", "table", "all"},
		{"ip", "-4", "rule", "show"}, {"ip", "-6", "rule", "show"},
	} {
		for line := range strings.Lines(h.Run(t, argv...)) {
			if words := strings.Fields(line); !strings.Contains(line, "table local") && !strings.Contains(line, "fe80::") && !strings.Contains(line, "multicast") {
				if words[1] == "lo" {
					continue
				}
				if strings.HasSuffix(words[0], ":") && len(words) > 3 && (words[2] == "inet" || words[2] == "inet6") {
					words = words[1:4] // the device, its family and address
				}
				kept = append(kept, strings.Join(words, " "))
			}
		}
	}
	return strings.Join(kept, "\n") + "\n"
}

const bareRules = `0: from all lookup local
32766: from all lookup main
32767: from all lookup default
0: from all lookup local
32766: from all lookup main
`

func TestIfupdownMakesAndTakesAway(t *testing.T) {
	lab.Need(t, "ifup", "ifdown", "wg")
	etcWireGuard(t)
	i := endOf(t, "router")
	i.Iface, i.MTU, i.PrivateKey, i.KeyFile = "wgrt", 1380, PrivateKey{}, "/etc/wireguard/wgrt.key"
	key, err := testKey(1).File(i.KeyFile)
	require.NoError(t, err)
	conf, err := i.Setconf()
	require.NoError(t, err)
	for _, out := range []Output{key, conf} {
		_, err := out.Save(t.Context(), "/")
		require.NoError(t, err)
	}
	h := newTunnelHost(t, lab.NewHost(t, "wgrt"), i)
	before := h.shows(t)
	assert.Equal(t, bareRules, before)
	c := realClient(t)
	isUp := func() {
		t.Helper()
		assert.Equal(t, `wgrt inet 172.16.1.1/24
wgrt inet6 fd77::1/64
172.16.1.0/24 dev wgrt proto kernel scope link src 172.16.1.1
192.168.14.5 dev wgrt scope link
fd77::/64 dev wgrt proto kernel metric 256 pref medium
`+bareRules, h.shows(t))
		assert.Contains(t, h.Run(t, "ip", "link", "show", "wgrt"), "mtu 1380")
		plan, err := Diff(t.Context(), c, "wgrt", i)
		require.NoError(t, err)
		assert.Empty(t, plan.String())
	}
	h.do(t, "ifup", "wgrt")
	isUp()
	h.do(t, "ifup", "wgrt") // it is up
	isUp()
	h.do(t, "ifup", "--force", "wgrt") // from the beginning
	isUp()
	h.do(t, "ifdown", "wgrt")
	assert.Equal(t, before, h.shows(t))
	h.do(t, "ifup", "-a")
	isUp()
	h.Run(t, "ip", "link", "delete", "wgrt") // by somebody else
	h.do(t, "ifdown", "wgrt")
	assert.Equal(t, before, h.shows(t))

	// A start that fails half-way is not in the way of the next.
	require.NoError(t, os.Rename(i.KeyFile, i.KeyFile+".away"))
	h.fails(t, "ifup", "wgrt")
	require.NoError(t, os.Rename(i.KeyFile+".away", i.KeyFile))
	h.do(t, "ifup", "wgrt")
	isUp()
	h.do(t, "ifdown", "wgrt")
	assert.Equal(t, before, h.shows(t))

	// A device that is not WireGuard's is not ours to delete.
	h.Run(t, "ip", "link", "add", "wgrt", "type", "veth", "peer", "name", "other")
	h.fails(t, "ifup", "wgrt")
	h.Run(t, "ip", "link", "delete", "wgrt")
}

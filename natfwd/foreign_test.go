package natfwd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What Docker, libvirt and kube-proxy have in the nat table, as iptables-save prints it.
const busyRouter = `:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-EXT-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-SEP-QRSTUVWXYZABCDEF - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-ABCDEFGHIJKLMNOP - [0:0]
:LIBVIRT_PRT - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -i ens6 -p tcp -m set --match-set web src -m tcp ! --dport 1:1024 -j REDIRECT --to-ports 8080
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A POSTROUTING -j LIBVIRT_PRT
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8443 -j DNAT --to-destination 172.17.0.2:443
-A KUBE-EXT-ABCDEFGHIJKLMNOP -m comment --comment "masquerade traffic for kube-system/kube-dns:dns external destinations" -j KUBE-MARK-MASQ
-A KUBE-EXT-ABCDEFGHIJKLMNOP -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-NODEPORTS -p tcp -m comment --comment "kube-system/kube-dns:dns" -m tcp --dport 30053 -j KUBE-EXT-ABCDEFGHIJKLMNOP
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-SEP-ABCDEFGHIJKLMNOP -s 10.244.0.5/32 -m comment --comment "kube-system/kube-dns:dns" -j KUBE-MARK-MASQ
-A KUBE-SEP-ABCDEFGHIJKLMNOP -p udp -m comment --comment "kube-system/kube-dns:dns" -m udp -j DNAT --to-destination 10.244.0.5:53
-A KUBE-SEP-QRSTUVWXYZABCDEF -p udp -m comment --comment "kube-system/kube-dns:dns" -m udp -j DNAT --to-destination 10.244.0.6:53
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-ABCDEFGHIJKLMNOP ! -s 10.244.0.0/16 -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-MARK-MASQ
-A KUBE-SVC-ABCDEFGHIJKLMNOP -m comment --comment "kube-system/kube-dns:dns -> 10.244.0.5:53" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-ABCDEFGHIJKLMNOP
-A KUBE-SVC-ABCDEFGHIJKLMNOP -m comment --comment "kube-system/kube-dns:dns -> 10.244.0.6:53" -j KUBE-SEP-QRSTUVWXYZABCDEF
-A LIBVIRT_PRT -s 192.168.122.0/24 -d 224.0.0.0/24 -j RETURN
-A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535
`

func TestBesideDockerLibvirtAndKubernetes(t *testing.T) {
	set := mail()
	set.Local = true
	for i := range set.Forwards {
		set.Forwards[i].To, set.Forwards[i].Dst = guest[:1], []netip.Addr{addr("203.0.113.5")}
	}
	onRealSystems(t, func(t *testing.T, s *system) {
		rules := "*nat\n"
		for line := range strings.Lines(busyRouter) {
			if !strings.Contains(line, "--match-set") { // for which there would have to be a set
				rules += line
			}
		}
		require.NoError(t, s.b4.Load(t.Context(), []byte(rules+"COMMIT\n")))
		require.NoError(t, writeSysctl("net/ipv4/ip_forward"))
		before := s.rules(t)
		s.apply(t, set)
		assert.True(t, s.diff(t, set).Empty())
		problems, err := Verify(t.Context(), set, s.b4, s.b6)
		require.NoError(t, err)
		assert.Empty(t, problems)
		s.iptables(t, "-D PREROUTING -j rehost-senate-pre")
		s.iptables(t, "-A PREROUTING -j rehost-senate-pre") // after all of them
		problems, err = Verify(t.Context(), set, s.b4, s.b6)
		require.NoError(t, err)
		assert.Empty(t, problems)
		s.apply(t, Set{Name: "senate"})
		assert.Equal(t, before, s.rules(t))
	})
}

func TestConflictWithDockerAndKubernetes(t *testing.T) {
	r, err := parseRuleset("r", []byte("*nat\n"+busyRouter+"COMMIT\n"))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		change func(*Forward)
		want   string
	}{
		"a port that Docker publishes":             {func(f *Forward) { f.Ports = one(8443) }, "-A DOCKER ! -i docker0"},
		"but not to its own machines":              {func(f *Forward) { f.Ports, f.Iface = one(8443), "docker0" }, ""},
		"a service, to any address":                {func(f *Forward) { f.Proto, f.Ports = UDP, one(53) }, "takes udp port 53 on ens5 to 10.96.0.10"},
		"a service, and the router's address":      {func(f *Forward) { f.Proto, f.Ports, f.Dst = UDP, one(53), []netip.Addr{addr("203.0.113.5")} }, ""},
		"a port of the node":                       {func(f *Forward) { f.Ports = one(30053) }, ""}, // its service is UDP
		"what other matches leave out, counted in": {func(f *Forward) { f.Ports, f.Iface = one(22), "ens6" }, "-j REDIRECT --to-ports 8080"},
	} {
		t.Run(name, func(t *testing.T) {
			set := with(func(f *Forward) { f.To = guest[:1]; test.change(f) })
			require.NoError(t, set.Validate())
			err := set.conflict(IPv4, r.nat(), state{})
			if test.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.want)
		})
	}
}

package lab

import (
	"fmt"
	"testing"
)

// A Topology is a machine at home that is to be served through a router elsewhere,
// and is served through its home gateway meanwhile:
//
//	client ── internet ─┬─ router
//	                    └─ gateway ── guest
//
//	client   eth0  198.51.100.10  2001:db8:1::10
//	router   ens5  203.0.113.5    2001:db8:2::5
//	gateway  wan   192.0.2.2      2001:db8:3::2
//	guest    eth0  192.168.1.2    2001:db8:4::2
//
// All default routes lead to the internet. The gateway forwards the ports that
// [StartEcho] answers to the guest and masquerades what leaves home; IPv6 it only
// routes. The router is as it came: it forwards nothing, and has not heard of the
// guest.
type Topology struct {
	Client, Internet, Router, Gateway, Guest Host
}

// StartTopology makes a topology that lasts as long as the test. The hosts' names
// are those of its fields, so there can be one at a time.
func StartTopology(t testing.TB) *Topology {
	t.Helper()
	Need(t, "iptables")
	top := &Topology{
		Client:   NewHost(t, "client"),
		Internet: NewHost(t, "internet"),
		Router:   NewHost(t, "router"),
		Gateway:  NewHost(t, "gateway"),
		Guest:    NewHost(t, "guest"),
	}
	for _, cable := range []struct {
		host  Host
		iface string
		addrs []string
		up    Host // the next one on the way to the internet
		port  string
		via   []string
	}{
		{top.Client, "eth0", []string{"198.51.100.10/24", "2001:db8:1::10/64"}, top.Internet, "c0", []string{"198.51.100.1", "2001:db8:1::1"}},
		{top.Router, "ens5", []string{"203.0.113.5/24", "2001:db8:2::5/64"}, top.Internet, "r0", []string{"203.0.113.1", "2001:db8:2::1"}},
		{top.Gateway, "wan", []string{"192.0.2.2/24", "2001:db8:3::2/64"}, top.Internet, "h0", []string{"192.0.2.1", "2001:db8:3::1"}},
		{top.Guest, "eth0", []string{"192.168.1.2/24", "2001:db8:4::2/64"}, top.Gateway, "lan", []string{"192.168.1.1", "2001:db8:4::1"}},
	} {
		Join(t, NIC{cable.host, cable.iface, cable.addrs},
			NIC{cable.up, cable.port, []string{cable.via[0] + "/24", cable.via[1] + "/64"}})
		for _, via := range cable.via {
			cable.host.Run(t, "ip", "route", "add", "default", "via", via)
		}
	}
	for _, h := range []Host{top.Internet, top.Gateway} {
		h.Sysctl(t, "net.ipv4.ip_forward", "1")
		h.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	}
	top.Internet.Run(t, "ip", "route", "add", "2001:db8:4::/64", "via", "2001:db8:3::2")
	top.Gateway.Run(t, "iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE")
	for _, s := range echoed {
		top.Gateway.Run(t, "iptables", "-w", "-t", "nat", "-A", "PREROUTING", "-i", "wan", "-p", s.proto, "--dport", s.port,
			"-j", "DNAT", "--to-destination", "192.168.1.2")
	}
	return top
}

// A Path is a way by which a host reaches the world.
type Path struct {
	Iface string
	Via   []string // gateways, at most one per family; none: the far end of the interface
}

// ReplyTo makes a host answer by the path on which it was asked, whatever its
// default route says. In pf that is a rule for each path that is not the default,
//
//	pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any
//
// and the state that it makes sends the answers. Linux has the same in three parts:
// a new connection gets a mark that tells its path, the packets that answer it get
// the connection's mark before they are routed, and each mark has a routing table.
func ReplyTo(t testing.TB, h Host, paths ...Path) {
	t.Helper()
	Need(t, "iptables", "ip6tables")
	// Strict filtering would drop what arrives by another path than the default.
	h.Sysctl(t, "net.ipv4.conf.all.rp_filter", "2")
	for i, path := range paths {
		mark, table := fmt.Sprintf("%#x/0xfff", 0x101+i), fmt.Sprint(101+i)
		for _, family := range []string{"-4", "-6"} {
			h.Run(t, "ip", family, "rule", "add", "fwmark", mark, "table", table)
			if path.Via == nil {
				h.Run(t, "ip", family, "route", "add", "default", "dev", path.Iface, "table", table)
			}
		}
		for _, via := range path.Via {
			h.Run(t, "ip", "route", "add", "default", "via", via, "dev", path.Iface, "table", table)
		}
		for _, iptables := range []string{"iptables", "ip6tables"} {
			h.Run(t, iptables, "-w", "-t", "mangle", "-A", "PREROUTING", "-i", path.Iface,
				"-m", "conntrack", "--ctstate", "NEW", "-j", "CONNMARK", "--set-mark", mark)
		}
	}
	for _, iptables := range []string{"iptables", "ip6tables"} {
		h.Run(t, iptables, "-w", "-t", "mangle", "-A", "OUTPUT",
			"-m", "conntrack", "--ctdir", "REPLY", "-j", "CONNMARK", "--restore-mark", "--nfmask", "0xfff", "--ctmask", "0xfff")
	}
}

package wgpeer

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// defaultTable is the routing table, and the mark, that wg-quick(8) uses for a
// default route too.
const defaultTable = 51820

// Ifupdown renders /etc/network/interfaces.d/IFACE, the fragment of interfaces(5)
// that makes the device, gives it what [Interface.Setconf] says, its addresses and
// its routes, and takes all of it away again: for a Debian host whose interfaces
// ifup(8) starts, together with the file of Setconf. Where wg-quick is to do that,
// see [Interface.WGQuick].
//
// Every start begins with a new device, so one that failed half-way leaves nothing
// that would be in the way of the next; "ifdown --force" takes away what it made. A
// device of that name that is not WireGuard's is left alone, and the start fails.
//
// Peers' AllowedIPs become routes, but for what the device's own networks hold. A
// default route goes into a table of its own, which the tunnel's own packets, marked
// with FwMark (0: 51820), do not use, as wg-quick has it; routes of the main table that
// are no default routes come first. Answers to who came in over the old default route
// go into the tunnel then: whoever is logged in that way is cut off. Where it is IPv4's, the kernel's reverse path filter is loosened (net.ipv4.conf.all.rp_filter is 2
// then, and stays so): a strict one drops the answers to the tunnel's packets, and
// src_valid_mark does not change that unless a packet filter marks them.
//
// An endpoint that is a name must resolve when the interface starts, or wg setconf
// and with it the start fails.
//
// A *[ValueError] says what the fragment cannot hold, that there is no private key,
// or that an endpoint would be reached through the tunnel itself.
func (i Interface) Ifupdown() ([]Output, error) {
	if err := i.renderable(); err != nil {
		return nil, err
	}
	if err := i.loopFree(); err != nil {
		return nil, err
	}
	if i.FwMark >= 253 && i.FwMark <= 255 {
		return nil, &ValueError{Field: "FwMark", Value: strconv.Itoa(i.FwMark), Reason: "its routing table is one of the system's"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "auto %s\n", i.Iface)
	lines := i.linkLines()
	for _, f := range families {
		if i.uses(f) {
			lines = append(lines, i.familyLines(f)...)
			fmt.Fprintf(&b, "iface %s %s manual\n\t%s\n", i.Iface, f.stanza, strings.Join(lines, "\n\t"))
			lines = nil
		}
	}
	if lines != nil {
		return nil, &ValueError{Field: "Address", Reason: i.Iface + " has none, nor a route"}
	}
	return []Output{{Path: path.Join("/etc/network/interfaces.d", i.Iface), Mode: 0o644, Data: []byte(b.String())}}, nil
}

// A family is what ifupdown and ip(8) call a version of the protocol.
type family struct {
	stanza, ip string
	has        func(netip.Addr) bool
}

var families = []family{{"inet", "ip -4", netip.Addr.Is4}, {"inet6", "ip -6", netip.Addr.Is6}}

func (i Interface) uses(f family) bool {
	return hasFamily(i.Addresses, f.has) || hasFamily(i.routes(), f.has)
}

// linkLines make the device and take it away. They stand in the first stanza, since
// ifupdown goes through the stanzas in the order of the file, downwards as well.
func (i Interface) linkLines() []string {
	lines := []string{
		"# What a failed start left behind goes first.",
		"pre-up ! wg show $IFACE >/dev/null 2>&1 || ip link delete dev $IFACE",
		"pre-up ip link add dev $IFACE type wireguard",
		"pre-up wg setconf $IFACE " + i.configPath(),
	}
	if i.PrivateKey.IsZero() {
		lines = append(lines, "pre-up wg set $IFACE private-key "+i.KeyFile)
	}
	if i.FwMark == 0 && slices.ContainsFunc(i.routes(), isDefault) {
		lines = append(lines, fmt.Sprintf("pre-up wg set $IFACE fwmark %d", i.table()))
	}
	if i.MTU != 0 {
		lines = append(lines, fmt.Sprintf("pre-up ip link set dev $IFACE mtu %d", i.MTU))
	}
	return append(lines, "pre-up ip link set dev $IFACE up", "down ip link delete dev $IFACE || true")
}

// familyLines are the addresses and routes of a family. Those go with the device;
// rules do not, and are taken away by name.
func (i Interface) familyLines(f family) []string {
	var lines []string
	for _, p := range i.Addresses {
		if f.has(p.Addr()) {
			lines = append(lines, fmt.Sprintf("up %s address add %s dev $IFACE", f.ip, p))
		}
	}
	for _, p := range i.routes() {
		if !f.has(p.Addr()) {
			continue
		}
		if !isDefault(p) {
			lines = append(lines, fmt.Sprintf("up %s route add %s dev $IFACE", f.ip, p))
			continue
		}
		if p.Addr().Is4() {
			lines = append(lines, "pre-up sysctl -q net.ipv4.conf.all.rp_filter=2")
		}
		lines = append(lines, fmt.Sprintf("up %s route add %s dev $IFACE table %d", f.ip, p, i.table()))
		// The mark tells the second rule from that of another tunnel. What a failed start
		// left goes only now: without the route, table and rules would be another's.
		table := fmt.Sprintf("not fwmark %d table %d", i.table(), i.table())
		main := fmt.Sprintf("not fwmark %d table main suppress_prefixlength 0", i.table())
		lines = append(lines,
			fmt.Sprintf("up %s rule delete %s 2>/dev/null || true", f.ip, table),
			fmt.Sprintf("up %s rule delete %s 2>/dev/null || true", f.ip, main),
			fmt.Sprintf("up %s rule add %s", f.ip, table),
			fmt.Sprintf("up %s rule add %s", f.ip, main), // before the one before it
			fmt.Sprintf("down %s rule delete %s || true", f.ip, table),
			fmt.Sprintf("down %s rule delete %s || true", f.ip, main))
	}
	return lines
}

// routes are the prefixes that lead into the device besides its own networks'.
func (i Interface) routes() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range i.Peers {
		all = append(all, p.AllowedIPs...)
	}
	return slices.DeleteFunc(canonical(all), func(p netip.Prefix) bool {
		return slices.ContainsFunc(i.Addresses, func(own netip.Prefix) bool {
			return own.Bits() <= p.Bits() && own.Contains(p.Addr())
		})
	})
}

func isDefault(p netip.Prefix) bool { return p.Bits() == 0 }

// table is that of the default routes.
func (i Interface) table() int {
	if i.FwMark != 0 {
		return i.FwMark
	}
	return defaultTable
}

// loopFree refuses an endpoint whose packets would go into the tunnel that they
// carry. A default route is kept from that by the mark.
func (i Interface) loopFree() error {
	inside := slices.DeleteFunc(append(i.routes(), i.Addresses...), isDefault)
	for _, p := range i.Peers {
		if p.Endpoint == "" {
			continue
		}
		end, err := parseEndpoint(p.Endpoint)
		if err != nil {
			return err
		}
		if contains(inside, end.addr) {
			return &ValueError{Field: "Endpoint", Value: p.Endpoint, Reason: "lies inside the tunnel: the tunnel's own packets would go into it"}
		}
	}
	return nil
}

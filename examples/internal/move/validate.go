package move

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// validate finds what is missing, what cannot be put into a file or a command
// as it is, and which values do not fit each other. What only one package knows
// of its format stays with that package.
func (m *Move) validate() textfile.Problems {
	v := &validation{Move: m}
	v.name("domain", m.Domain, "-.")
	v.path("dns.zone", m.DNS.Zone)
	if m.DNS.Switch.IsZero() {
		v.add("dns.switch", "is missing: when the names are to point to the router, such as 2026-12-05T20:00:00Z")
	}
	if len(m.Guest.Name) == 1 {
		v.add("guest.name", "vm-bhyve wants at least two characters")
	}
	v.name("guest.old.host", m.Guest.Old.Host, "-.")
	v.path("guest.old.disk", m.Guest.Old.Disk)
	v.addr("guest.old.address", m.Guest.Old.Address)
	v.upgrade()
	v.name("guest.home.iface", m.Guest.Home.Iface, "")
	v.required("guest.vm.memory", m.Guest.VM.Memory)
	v.required("guest.vm.switch", m.Guest.VM.Switch)
	v.name("guest.vm.disk", m.Guest.VM.Disk, "-._")
	v.required("guest.vm.uuid", m.Guest.VM.UUID)
	v.required("guest.vm.mac", m.Guest.VM.MAC)
	v.disk()
	v.name("hypervisor.name", m.Hypervisor.Name, "-")
	v.path("hypervisor.datastore", m.Hypervisor.Datastore)
	if s := m.Router.Solver; s.Port() == 0 || s.Addr().Zone() != "" {
		v.add("router.solver", "is no address and port of the HTTP-01 solver, such as 127.0.0.1:8181")
	}
	if unit, ok := strings.CutPrefix(m.Tunnel.Iface, "wg"); !ok || strings.Trim(unit, "0123456789") != "" || unit == "" {
		v.add("tunnel.iface", "%q is no wg(4) interface of NetBSD, such as wg0", m.Tunnel.Iface)
	}
	if m.Tunnel.Router.PublicKey == "" {
		v.add("tunnel.router.public_key", "is missing: the guest knows the router by it")
	}
	v.required("tunnel.guest.key_file", m.Tunnel.Guest.KeyFile)
	v.home()
	v.between()
	if len(m.Services) == 0 {
		v.add("service", "is missing: say what the guest serves, and how it is reached")
	}
	v.certificates()
	v.problems.Sort()
	return v.problems
}

// between checks what the router and the guest have to know of each other.
func (v *validation) between() {
	v.name("guest.name", v.Guest.Name, "-")
	v.name("router.name", v.Router.Name, "-")
	v.hosts()
	v.name("router.iface", v.Router.Iface, "-._")
	v.addr("router.address", v.Router.Address)
	if p := v.Router.Prefix6; p.IsValid() && p.Addr().Is4() {
		v.add("router.prefix6", "%s is no IPv6 prefix", p)
	}
	v.name("tunnel.iface", v.Tunnel.Iface, "-._")
	if v.Tunnel.Port == 0 {
		v.add("tunnel.port", "is missing: the UDP port on which the router listens")
	}
	if v.Tunnel.PresharedKey != "" {
		v.path("tunnel.preshared_key_file", v.Tunnel.PresharedKey)
	}
	for key, end := range map[string]End{"tunnel.router": v.Tunnel.Router, "tunnel.guest": v.Tunnel.Guest} {
		if end.PublicKey != "" { // it is made in phase 1
			v.publicKey(key+".public_key", end.PublicKey)
		}
		if end.KeyFile != "" {
			v.path(key+".key_file", end.KeyFile)
		}
	}
	v.tunnel()
	for i := range v.Services {
		v.service(i)
	}
}

type validation struct {
	*Move
	problems textfile.Problems
}

func (v *validation) add(key, format string, args ...any) {
	v.problems = append(v.problems, v.Problem(key, format, args...))
}

func (v *validation) required(key, value string) bool {
	if value == "" {
		v.add(key, "is missing")
	}
	return value != ""
}

// name checks a word that becomes part of paths, commands and files.
func (v *validation) name(key, value, punctuation string) {
	if !v.required(key, value) {
		return
	}
	for i, c := range []byte(value) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || !strings.Contains(punctuation, string(c))) {
			v.add(key, "%q is no name: use letters, digits and %q", value, punctuation)
			return
		}
	}
}

func (v *validation) path(key, value string) {
	if !v.required(key, value) {
		return
	}
	if !path.IsAbs(value) || path.Clean(value) != value {
		v.add(key, "%q is no absolute path in its shortest form", value)
	}
	v.word(key, value)
}

// word refuses what a shell would take apart: the runbook's commands are pasted.
func (v *validation) word(key, value string) {
	if i := strings.IndexFunc(value, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("'\"\\$`;&|<>()*?[]{}~!#", r)
	}); i >= 0 {
		v.add(key, "%q: a shell would not take %q as it is", value, value[i])
	}
}

func (v *validation) addr(key string, a netip.Addr) {
	switch {
	case !a.IsValid():
		v.add(key, "is missing")
	case !a.Is4():
		v.add(key, "%s is no IPv4 address", a)
	}
}

func (v *validation) publicKey(key, value string) {
	// The decoder skips newlines; with them, 44 characters are not 32 bytes.
	if raw, err := base64.StdEncoding.Strict().DecodeString(value); err != nil || len(raw) != 32 || len(value) != 44 {
		v.add(key, "%q is no WireGuard key: 32 bytes in base64", value)
	}
}

func (v *validation) upgrade() {
	u := v.Guest.Upgrade
	v.name("guest.upgrade.from", u.From, "._")
	v.name("guest.upgrade.to", u.To, "._")
	v.required("guest.upgrade.url", u.URL)
	major, _, _ := strings.Cut(u.To, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 10 {
		v.add("guest.upgrade.to", "%q has no wg(4): NetBSD 10 is the first release that has", u.To)
	}
}

func (v *validation) disk() {
	for key, n := range map[string]Bytes{"disk.size": v.Disk.Size, "disk.changed": v.Disk.Changed, "disk.read": v.Disk.Read, "disk.link": v.Disk.Link} {
		switch {
		case v.file.Number(key):
			v.add(key, "it needs a unit, such as 80GiB, 2GB or 100Mbit, in quotes")
		case n == 0:
			v.add(key, "is missing: the stop is estimated from it")
		}
	}
	if v.Disk.Changed > v.Disk.Size {
		v.add("disk.changed", "more changes than the disk has")
	}
}

func (v *validation) hosts() {
	hosts := map[string]string{}
	for _, key := range []string{"guest", "hypervisor", "router"} {
		name := map[string]string{"guest": v.Guest.Name, "hypervisor": v.Hypervisor.Name, "router": v.Router.Name}[key]
		if other := hosts[name]; other != "" && name != "" {
			v.add(key+".name", "%q is the %s's name too", name, other)
		}
		hosts[name] = key
	}
}

func (v *validation) home() {
	home := v.Guest.Home
	switch {
	case !home.Address.IsValid():
		v.add("guest.home.address", "is missing: the guest's address at home with its prefix length")
	case !home.Gateway.IsValid():
		v.add("guest.home.gateway", "is missing: without a host route to %s through it, all traffic into the tunnel would include the tunnel itself", v.Router.Address)
	case !home.Address.Contains(home.Gateway):
		v.add("guest.home.gateway", "%s lies in no connected prefix: %s has %s", home.Gateway, home.Iface, home.Address)
	}
}

// tunnel checks that each end reaches the other: the guest's default routes go
// through the router's addresses.
func (v *validation) tunnel() {
	router, guest := v.Tunnel.Router, v.Tunnel.Guest
	if !router.Addr(true).IsValid() || !guest.Addr(true).IsValid() {
		v.add("tunnel", "both ends need an IPv4 address: give each one in its addresses, such as 172.16.1.1/24 and 172.16.1.4/24")
		return
	}
	if router.Addr(false).IsValid() != guest.Addr(false).IsValid() {
		v.add("tunnel", "only one end has an IPv6 address")
	}
	for _, is4 := range []bool{true, false} {
		gateway := router.Addr(is4)
		if !gateway.IsValid() || !guest.Addr(is4).IsValid() {
			continue
		}
		if !slices.ContainsFunc(guest.Addresses, func(p netip.Prefix) bool { return p.Contains(gateway) }) {
			v.add("tunnel.router.addresses", "the guest's default route goes through %s, which lies in no prefix that is connected to the guest: %s has %v there, so give both ends addresses of one network",
				gateway, v.Tunnel.Iface, guest.Addresses)
		}
	}
	for _, end := range []struct {
		key       string
		addresses []netip.Prefix
	}{{"tunnel.router.addresses", router.Addresses}, {"tunnel.guest.addresses", guest.Addresses}} {
		for _, p := range end.addresses {
			if p.Contains(v.Router.Address) {
				v.add(end.key, "%s holds the tunnel's own endpoint %s: its packets would go into the tunnel", p, v.Router.Address)
			}
		}
	}
}

func (v *validation) service(i int) {
	key := func(field string) string { return fmt.Sprintf("service.%d.%s", i, field) }
	s := v.Services[i]
	v.name(key("name"), s.Name, "-")
	if s.Port == 0 {
		v.add(key("port"), "is missing")
	}
	if len(s.Protos) == 0 {
		v.add(key("protos"), "is missing: tcp, udp or both")
	}
	for k, proto := range s.Protos {
		if proto != "tcp" && proto != "udp" {
			v.add(key("protos"), "%q is neither tcp nor udp", proto)
		}
		if slices.Contains(s.Protos[:k], proto) {
			v.add(key("protos"), "%s stands there twice", proto)
		}
		for _, other := range v.Services[:i] {
			if other.Port == s.Port && slices.Contains(other.Protos, proto) {
				v.add(key("port"), "%s has %s port %d already", other.Name, proto, s.Port)
			}
		}
	}
	if len(s.Sources) > 0 && s.Via != Forward {
		v.add(key("sources"), "only what is forwarded is forwarded to some and not to others")
	}
	switch s.Via {
	case Forward:
		if s.Port == v.Tunnel.Port && slices.Contains(s.Protos, "udp") {
			v.add(key("port"), "udp port %d is the tunnel's own: forwarded into the tunnel, it would cut it", s.Port)
		}
		if (s.Port == 80 || s.Port == 443) && slices.Contains(s.Protos, "tcp") && slices.ContainsFunc(v.Services, func(o Service) bool { return o.Via == Proxy }) {
			v.add(key("port"), "tcp port %d is nginx's on the router, which answers for what is reached by proxy", s.Port)
		}
	case TunnelOnly:
	case Proxy:
		if !slices.Equal(s.Protos, []string{"tcp"}) {
			v.add(key("protos"), "nginx passes on tcp only")
		}
		if len(s.Names) == 0 {
			v.add(key("names"), "is missing: the names under which nginx answers for it")
		}
		for _, name := range s.Names {
			v.name(key("names"), name, "-.")
		}
	default:
		v.add(key("via"), "%q is none of %s, %s and %s", s.Via, Forward, Proxy, TunnelOnly)
	}
}

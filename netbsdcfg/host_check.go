package netbsdcfg

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// Check reports the problems of all files, and those that no file has alone:
//
//   - a variable ifconfig_IF that is or may be set, for rc.d/network ignores the
//     file then;
//   - a defaultroute that is empty or commented out, so that mygate counts;
//   - two default routes of one family, of which the second fails;
//   - a gateway in no prefix that an interface connects;
//   - a wg(4) interface without if_wg in modules.conf;
//   - all traffic into a tunnel, and no route to its endpoint outside it.
//
// What an interface gets from DHCP, from a Shell command, from ifaliases_IF or
// from a host name is not known, and neither is what rc.conf does beyond plain
// assignments. Then a gateway may be in a prefix that is not known either, and at
// most a Warning says that it is not in those of its own file.
func (h *Host) Check() Problems {
	c := hostCheck{Host: h}
	if h.RC != nil {
		c.lines = newLineIndex(h.RC.text)
		c.found = append(c.found, h.RC.Check()...)
	} else {
		c.add(h.Path("rc.conf"), 0, Error, "there is none, and the machine boots to single user: write one with rc_configured=YES")
	}
	for _, iface := range h.ifaces() {
		c.found = append(c.found, h.Ifconfig[iface].check(false)...)
	}
	if h.Modules != nil {
		c.found = append(c.found, h.Modules.Check()...)
	}
	if h.Sysctl != nil {
		c.found = append(c.found, h.Sysctl.Check()...)
	}
	for _, g := range []*MyGate{h.MyGate, h.MyGate6} {
		if g != nil {
			c.found = append(c.found, g.Check()...)
		}
	}
	for _, path := range h.odd {
		c.add(path, 0, Warning, "names no interface, but rc.d/network may take it for one: move it out of /etc")
	}
	c.interfaces()
	c.gateways()
	c.tunnels()
	c.found.Sort()
	return slices.Compact(c.found)
}

// A hostCheck gathers the problems that span files.
type hostCheck struct {
	*Host
	found    Problems
	lines    lineIndex // of rc.conf
	links    []link
	routes   []hostRoute
	blind    bool // an interface may have addresses that are not known
	rerouted bool // a route(8) command does something else than to add
}

// A link is an interface as it will be configured.
type link struct {
	name  string
	file  string // where it is configured
	line  int    // of the variable; 0 if it is a file
	addrs []netip.Prefix
	cmds  []Command
}

// A hostRoute is a route and where it is set.
type hostRoute struct {
	route
	file  string
	line  int
	addrs []netip.Prefix // of the interface that sets it, if one does
}

func (c *hostCheck) add(file string, line int, severity Severity, format string, args ...any) {
	c.found = append(c.found, Problem{File: file, Line: line, Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// interfaces reads what configures each interface, the variable before the
// file.
func (c *hostCheck) interfaces() {
	names := c.ifaces()
	if c.RC != nil {
		for key := range c.RC.All() {
			if iface, ok := interfaceOf(key, "ifconfig_"); ok && c.Ifconfig[iface] == nil {
				names = append(names, iface)
			}
		}
		c.blind = c.rcHidesAddresses()
	}
	for _, name := range names {
		f := c.Ifconfig[name]
		value, line, _ := c.variable("ifconfig_" + name)
		switch {
		case value != "" && f != nil:
			c.add(c.RC.file.Name(), line, Error, "ifconfig_%s is set, and rc.d/network does not read %s: keep one of the two", name, f.file.Name())
			fallthrough
		case value != "":
			asFile := ifconfigVariable(name, value)
			for _, p := range asFile.check(false) {
				c.add(c.RC.file.Name(), line, p.Severity, "%s", p.Message)
			}
			c.configure(name, asFile, c.RC.file.Name(), line)
		case f != nil:
			if line := c.mayBeSet("ifconfig_" + name); line > 0 {
				c.add(c.RC.file.Name(), line, Warning, "ifconfig_%s may be set here, and rc.d/network does not read %s then: keep one of the two", name, f.file.Name())
			}
			c.configure(name, f, f.file.Name(), 0)
		}
	}
}

// rcHidesAddresses reports whether rc.conf may give an interface an address that
// is not known.
func (c *hostCheck) rcHidesAddresses() bool {
	for _, client := range []string{"dhcpcd", "dhclient"} {
		if on, _ := c.RC.Enabled(client); on {
			return true
		}
	}
	s := c.RC.script()
	for key, i := range s.vars {
		if strings.HasPrefix(key, "ifaliases_") || strings.HasPrefix(key, "ifconfig_") && i == unknown {
			return true
		}
	}
	return s.err != nil || slices.ContainsFunc(s.others, other.configures)
}

// mayBeSet returns the line of the last statement of rc.conf that is not
// evaluated and may set a variable, 0 if what counts is known.
func (c *hostCheck) mayBeSet(key string) int {
	if c.RC == nil {
		return 0
	}
	s := c.RC.script()
	if i, ok := s.vars[key]; !ok || i != unknown {
		return 0
	}
	for _, o := range slices.Backward(s.others) {
		if slices.Contains(o.names, key) {
			line, _ := c.lines.place(o.at)
			return line
		}
	}
	return 0
}

// configure takes down what configures one interface. line is that of a
// variable, 0 for a file.
func (c *hostCheck) configure(name string, f *Ifconfig, file string, line int) {
	l := link{name: name, file: file, line: line, addrs: f.Addrs(), cmds: f.Commands(name)}
	c.links = append(c.links, l)
	for _, cmd := range l.cmds {
		if cmd.Shell != "" {
			c.blind = true
			continue
		}
		program := path.Base(cmd.Argv[0])
		c.blind = c.blind || program == "dhcpcd"
		if r, ok := parseRoute(cmd.Argv); ok {
			at := hostRoute{route: r, file: file, line: cmd.Line, addrs: l.addrs}
			if line > 0 {
				at.line = line
			}
			c.routes = append(c.routes, at)
		} else if program == "route" {
			c.rerouted = true
		}
	}
}

// variable returns what rc.conf surely assigns, and in which line.
func (c *hostCheck) variable(key string) (value string, line int, ok bool) {
	if c.RC == nil {
		return "", 0, false
	}
	s := c.RC.script()
	if i, ok := s.vars[key]; ok && i != unknown {
		line, _ := c.lines.place(s.assigns[i].start)
		return s.assigns[i].value, line, true
	}
	return "", 0, false
}

// gateways checks the routes of all files together, in the order in which
// rc.d/network sets them.
func (c *hostCheck) gateways() {
	c.defaultRoute("defaultroute", c.MyGate, netip.IPv4Unspecified())
	c.defaultRoute("defaultroute6", c.MyGate6, netip.IPv6Unspecified())
	var near []netip.Prefix
	for _, l := range c.links {
		near = append(near, l.addrs...)
	}
	first := map[netip.Prefix]hostRoute{}
	for _, r := range c.routes {
		switch err := unconnected(r.via, near); {
		case err == nil || !r.via.IsValid():
		case !c.blind:
			c.add(r.file, r.line, Error, "%v: name one that is connected, or take the route out", err)
		case r.dst.Bits() == 0 && unconnected(r.via, r.addrs) != nil:
			c.add(r.file, r.line, Warning, "%v, unless in one that these files do not tell", err)
		}
		if r.dst.Bits() > 0 {
			continue
		}
		if before, ok := first[r.dst]; ok && !c.rerouted {
			c.add(r.file, r.line, Error, "%s:%d sets a default route already: this one fails", before.file, before.line)
		} else {
			first[r.dst] = r
		}
	}
}

// defaultRoute takes down the default route of rc.conf, or of the file that
// counts if that has none.
func (c *hostCheck) defaultRoute(key string, gate *MyGate, everything netip.Addr) {
	r := hostRoute{route: route{dst: netip.PrefixFrom(everything, 0)}}
	value, line, ok := c.variable(key)
	if words := strings.Fields(value); len(words) > 0 {
		r.file, r.line = c.RC.file.Name(), line
		r.via, _ = netip.ParseAddr(words[0]) // a host name has no address here
		c.routes = append(c.routes, r)
		return
	}
	if gate == nil || gate.Gateway() == "" {
		return
	}
	if c.RC != nil && !ok {
		s := c.RC.script()
		if _, maybe := s.vars[key]; maybe || s.err != nil {
			return
		}
		if at, _, found := c.RC.commentedOut(key); found {
			line, _ := c.lines.place(at)
			c.add(c.RC.file.Name(), line, Error, "%s is commented out, so the default route is %s of %s", key, gate.Gateway(), gate.file.Name())
		}
	}
	if ok {
		c.add(c.RC.file.Name(), line, Error, "%s is empty, so the default route is %s of %s", key, gate.Gateway(), gate.file.Name())
	}
	name, line := gate.find()
	r.file, r.line = gate.file.Name(), line
	r.via, _ = netip.ParseAddr(name)
	c.routes = append(c.routes, r)
}

// tunnels checks the wg(4) interfaces.
func (c *hostCheck) tunnels() {
	var inside []netip.Prefix // connected through a tunnel
	var beside []netip.Prefix // connected otherwise
	for _, l := range c.links {
		if l.isTunnel() {
			inside = append(inside, l.addrs...)
		} else {
			beside = append(beside, l.addrs...)
		}
	}
	for _, l := range c.links {
		if !l.isTunnel() {
			continue
		}
		c.module(l)
		for _, cmd := range l.cmds {
			if !isWGConfig(cmd.Argv) {
				continue
			}
			wg, err := parseWGConfig(cmd.Argv[1:])
			if end := wg.endpoint.addr; err == nil && end.IsValid() && !contains(beside, end) {
				c.endpoint(end, inside)
			}
		}
	}
}

// module checks that wg(4) is there when rc.d/network looks for it.
func (c *hostCheck) module(l link) {
	if auto, ok := c.enabled("auto_ifconfig"); ok && !auto {
		return // rc.d/network creates what net_interfaces names without looking
	}
	if on, ok := c.enabled("modules"); ok && !on {
		c.add(l.file, l.line, Warning, "modules=NO in rc.conf, so that %s is not configured unless the kernel has wg(4): set modules to YES", l.name)
	} else if c.Modules == nil || !slices.ContainsFunc(slices.Collect(c.Modules.All()), func(m Module) bool { return m.Name == "if_wg" }) {
		c.add(l.file, l.line, Warning, "if_wg is not in modules.conf, so that %s is not configured unless the kernel has wg(4): add it", l.name)
	}
}

func (c *hostCheck) enabled(key string) (on, ok bool) {
	if c.RC == nil {
		return false, false
	}
	return c.RC.Enabled(key)
}

// endpoint checks that what a tunnel itself sends to its far end goes outside
// it.
func (c *hostCheck) endpoint(end netip.Addr, inside []netip.Prefix) {
	var best hostRoute // the most specific one wins
	for _, r := range c.routes {
		if r.dst.Contains(end) && r.via.IsValid() && (best.file == "" || r.dst.Bits() > best.dst.Bits()) {
			best = r
		}
	}
	if best.file == "" || !contains(inside, best.via) {
		return
	}
	if best.dst.Bits() == 0 {
		c.add(best.file, best.line, Error, "all traffic goes into the tunnel, that to its endpoint %s too: it needs a host route through a gateway outside", end)
	} else {
		c.add(best.file, best.line, Error, "the route to the endpoint %s leads into the tunnel itself", end)
	}
}

func (l link) isTunnel() bool {
	unit, ok := strings.CutPrefix(l.name, "wg")
	return ok && strings.Trim(unit, "0123456789") == ""
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ifconfigVariable returns a variable ifconfig_IF as the file that rc.d/network
// makes of it: cut at each ; if it is one line.
func ifconfigVariable(iface, value string) *Ifconfig {
	if !strings.Contains(value, "\n") {
		value = strings.ReplaceAll(value, ";", "\n")
	}
	return newIfconfig(textfile.Parse("ifconfig."+iface, []byte(value+"\n")))
}

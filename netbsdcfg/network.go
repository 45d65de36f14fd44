package netbsdcfg

import (
	"net/netip"
	"slices"
)

// A network is what a file's commands have set up so far.
type network struct {
	addrs     []netip.Prefix
	hosts     []route // those that are not default routes
	peers     map[string]*wgPeers
	endpoints []located[endpoint]
	defaults  []located[route]
}

// A located is something and where the file says it, from 0.
type located[T any] struct {
	value T
	line  int
	hosts int // how many routes there were before it
}

// commands checks what the known commands come to, taken together.
func (c *checker) commands(entries []entry) {
	n := network{peers: map[string]*wgPeers{}}
	for _, e := range entries {
		for _, argv := range e.argvs {
			c.command(&n, e.first, argv)
		}
	}
	for _, d := range n.defaults {
		if err := unconnected(d.value.via, n.addrs); err != nil {
			if c.alone {
				c.report(d.line, 0, Error, "%v", err)
			}
			continue
		}
		for _, end := range n.endpoints {
			c.loop(n, d, end.value)
		}
	}
	for _, end := range n.endpoints {
		inside := func(p netip.Prefix) bool { return p.Contains(end.value.addr) }
		if i := slices.IndexFunc(n.addrs, inside); i >= 0 {
			c.report(end.line, 0, Error, "the endpoint %s lies inside the tunnel (%s): give its address outside", end.value.addr, n.addrs[i].Masked())
		}
	}
}

// command adds one command to the network.
func (c *checker) command(n *network, line int, argv []string) {
	if a, ok := parseAddr(argv, c.iface); ok {
		if a.defaultMask && !a.remove && a.prefix.Addr().Is4() {
			c.report(line, 0, Warning, "%s has no netmask, and its class makes it %s: write the length", a.prefix.Addr(), a.prefix)
		}
		var lost netip.Prefix
		if n.addrs, lost = a.apply(n.addrs); lost.IsValid() {
			c.report(line, 0, Error, "replaces the address %s: without the word alias ifconfig removes the first one", lost)
		}
	}
	if r, ok := parseRoute(argv); ok {
		if r.dst.Bits() == 0 {
			n.defaults = append(n.defaults, located[route]{r, line, len(n.hosts)})
		} else {
			n.hosts = append(n.hosts, r)
		}
	}
	if !isWGConfig(argv) {
		return
	}
	cmd, err := parseWGConfig(argv[1:])
	if err != nil {
		c.report(line, 0, Error, "%v", err)
		return
	}
	peers := n.peers[argv[1]]
	if peers == nil {
		peers = newWGPeers()
		n.peers[argv[1]] = peers
	}
	if err := peers.apply(cmd); err != nil {
		c.report(line, 0, Error, "%v", err)
	}
	if cmd.endpoint.port != 0 {
		n.endpoints = append(n.endpoints, located[endpoint]{cmd.endpoint, line, len(n.hosts)})
	}
}

// loop reports a default route into the tunnel by which the tunnel's own packets
// would enter it.
func (c *checker) loop(n network, d located[route], end endpoint) {
	via := d.value.via
	if !contains(n.addrs, via) {
		return
	}
	if !end.addr.IsValid() {
		c.report(d.line, 0, Warning, "the default route leads into the tunnel, and the endpoint %s is a name: give a host route to its address", end.name)
		return
	}
	if end.addr.Is4() != via.Is4() {
		return
	}
	leads := func(r route) bool { return r.dst.Contains(end.addr.WithZone("")) && !contains(n.addrs, r.via) }
	switch i := slices.IndexFunc(n.hosts, leads); {
	case i < 0 && c.alone:
		c.report(d.line, 0, Error, "the default route leads into the tunnel, and there is no host route to the endpoint %s through a gateway outside", end.addr)
	case i >= d.hosts:
		c.report(d.line, 0, Error, "the host route to the endpoint %s comes after this default route: move it before", end.addr)
	}
}

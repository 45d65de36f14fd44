package wgpeer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Validate reports as errors what cannot work, and as warnings what is probably not
// meant. A problem's File is the name of the end, or "hub" where it is of the whole.
func (h Hub) Validate() Problems {
	c := &hubCheck{Hub: h}
	if len(h.Guests) == 0 {
		c.add("hub", Error, "has no guests")
	}
	c.unique()
	var networks, guests []netip.Prefix
	for _, end := range c.all() {
		c.values(end)
		networks = append(networks, end.Addresses...)
	}
	for _, guest := range h.Guests {
		guests = append(guests, guest.allowed()...)
	}
	c.reach(h.Router, prefixSet(canonical(slices.Concat(networks, h.Router.allowed()))))
	routed := prefixSet(canonical(slices.Concat(networks, guests)))
	for _, guest := range h.Guests {
		c.reach(guest, routed)
	}
	if !h.Router.PresharedKey.IsZero() || h.Router.PingJob {
		c.add(h.Router.title(), Error, "a preshared key or a ping job belongs to a guest")
	}
	if err := disjoint(h.claims()); err != nil {
		c.refused("hub", err)
	}
	for _, guest := range h.Guests {
		c.tunnel(guest)
	}
	return c.found
}

type hubCheck struct {
	Hub
	found Problems
}

func (c *hubCheck) add(file string, s Severity, format string, args ...any) {
	c.found = append(c.found, Problem{File: file, Severity: s, Message: fmt.Sprintf(format, args...)})
}

func (c *hubCheck) refused(file string, errs ...error) {
	for _, err := range errs {
		if err != nil {
			c.add(file, Error, "%v", err)
		}
	}
}

// title is a name for messages, for want of a valid one too.
func (e End) title() string {
	if e.Name == "" {
		return "hub"
	}
	return e.Name
}

// claims are the guests' valid prefixes, between which the router has to choose.
func (h Hub) claims() []Peer {
	var peers []Peer
	for _, guest := range h.Guests {
		peer := Peer{Name: guest.Name}
		for _, p := range guest.allowed() {
			if p.IsValid() {
				peer.AllowedIPs = append(peer.AllowedIPs, p)
			}
		}
		peers = append(peers, peer)
	}
	return peers
}

// unique finds names, keys and addresses that two ends have.
func (c *hubCheck) unique() {
	names, keys, addrs := map[string]bool{}, map[PublicKey]string{}, map[netip.Addr]string{}
	for _, end := range c.all() {
		if names[end.Name] {
			c.add("hub", Error, "two ends are called %q", end.Name)
		}
		names[end.Name] = true
		if key := end.publicKey(); key != (PublicKey{}) {
			if other, ok := keys[key]; ok {
				c.add(end.title(), Error, "has the key of %s: %s", other, key)
			}
			keys[key] = end.title()
		}
		for _, p := range end.Addresses {
			if other, ok := addrs[p.Addr()]; ok && p.IsValid() {
				c.add(end.title(), Error, "has the address of %s: %s", other, p.Addr())
			}
			addrs[p.Addr()] = end.title()
		}
	}
}

// values looks at what an end says by itself.
func (c *hubCheck) values(end End) {
	name := end.title()
	if !endName.MatchString(end.Name) {
		c.refused(name, &ValueError{Field: "Name", Value: end.Name, Reason: "must be letters, digits and ._-"})
	}
	if end.publicKey() == (PublicKey{}) {
		c.add(name, Error, "has no public key, nor the private one from which it follows")
	}
	if len(end.Addresses) == 0 {
		c.add(name, Error, "has no address in the tunnel")
	}
	c.refused(name, Interface{
		Iface: end.iface(), KeyFile: end.KeyFile, PrivateKey: end.PrivateKey, PublicKey: end.PublicKey,
		Addresses: end.Addresses, MTU: end.MTU,
	}.valid(), validKeepalive(end.Keepalive))
	if end.MTU > usualMTU {
		c.add(name, Warning, "MTU %d: more than the path's MTU less %d, which is %d on most paths, is sent in fragments or lost", end.MTU, overhead, usualMTU)
	}
	for _, p := range end.AllowedIPs {
		err := validPrefix("AllowedIPs", p)
		c.refused(name, err)
		if err == nil && p != p.Masked() {
			c.add(name, Warning, "allowed IPs %s: WireGuard reads %s", p, p.Masked())
		}
	}
	if end.AllowedIPs == nil {
		return
	}
	for _, own := range end.Addresses {
		if !contains(end.AllowedIPs, own.Addr()) {
			c.add(name, Error, "its address %s is missing from its allowed prefixes: the other side would drop what it sends", own.Addr())
		}
	}
}

// reach looks at the way to an end. Who sends to it has the prefixes routed into the
// tunnel.
func (c *hubCheck) reach(end End, routed map[netip.Prefix]bool) {
	if end.Endpoint == "" {
		return
	}
	name := end.title()
	place, err := parseEndpoint(end.Endpoint)
	if err != nil {
		c.refused(name, err)
		return
	}
	if end.ListenPort == 0 {
		c.add(name, Error, "is reached at %s and has no listen port: the kernel would choose another at each start", end.Endpoint)
	}
	for bits := place.addr.BitLen(); bits > 0; bits-- { // a default route is kept from that
		if p, err := place.addr.Prefix(bits); err == nil && routed[p] {
			c.add(name, Error, "the endpoint %s lies inside the tunnel, in %s: the tunnel's own packets would go into it", end.Endpoint, p)
			return
		}
	}
}

// tunnel looks at a guest and the router together.
func (c *hubCheck) tunnel(guest End) {
	name := guest.title()
	if guest.Endpoint == "" && c.Router.Endpoint == "" {
		c.add(name, Error, "neither it nor the router has an endpoint: nobody can begin")
	}
	if slices.ContainsFunc(guest.allowed(), isDefault) {
		c.add(name, Warning, "the router's default route leads to it: who is logged in to the router over another one is cut off")
	}
	if err := sharedPrefix(guest.Addresses, c.Router.Addresses); err != nil {
		c.refused(name, err)
	}
	if guest.Endpoint == "" && guest.Keepalive == 0 && !guest.PingJob {
		remedy := "set a keepalive of 25s"
		if len(c.Router.Addresses) > 0 && c.Router.Addresses[0].IsValid() {
			remedy += ", or where there is none, as on NetBSD, run the cron job " + pingJob(c.Router)
		}
		c.add(name, Warning, "has no endpoint, so it is behind a translator of addresses, which forgets the path when nothing is sent: %s", remedy)
	}
}

// sharedPrefix refuses addresses of two ends that are not in one network. Ends that
// have one address each and no network are routed to each other alone.
func sharedPrefix(a, b []netip.Prefix) error {
	common := false
	for _, family := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
		if !hasFamily(a, family) || !hasFamily(b, family) {
			continue
		}
		common = true
		meet := slices.ContainsFunc(a, func(p netip.Prefix) bool {
			return slices.ContainsFunc(b, func(q netip.Prefix) bool {
				return family(p.Addr()) && family(q.Addr()) && (p.Overlaps(q) || p.IsSingleIP() && q.IsSingleIP())
			})
		})
		if !meet {
			return fmt.Errorf("addresses %v share no prefix with the router's %v", a, b)
		}
	}
	if !common && len(a) > 0 && len(b) > 0 {
		return errors.New("has no address of a family that the router has")
	}
	return nil
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

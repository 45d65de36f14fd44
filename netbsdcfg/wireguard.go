package netbsdcfg

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// A WireGuard is all that an ifconfig.wgN file says, as values. Before and after
// a tunnel becomes the way to everywhere are two values that differ in the
// routes.
//
// wg(4) has no keepalive: behind a network address translator something must
// send a packet now and then, such as a ping(8) from cron(8), or the far end
// cannot reach this machine.
type WireGuard struct {
	// Addresses are the interface's own addresses, with the lengths of their
	// networks' prefixes. At least one.
	Addresses []netip.Prefix

	// KeyFile is the absolute path of the file that holds the private key.
	KeyFile string

	// ListenPort is the UDP port; 0 leaves the choice to the kernel.
	ListenPort uint16

	// Peers are the far ends, in the order in which they are added.
	Peers []WGPeer

	// EndpointVia is the gateway outside the tunnel through which the peers'
	// endpoints of its family are reached: each gets a host route. Zero: none,
	// and then no default route of the endpoints' family can be set.
	EndpointVia netip.Addr

	// Uplink are the prefixes connected to the other interfaces. EndpointVia
	// must lie in one of them or be link-local, and an endpoint in one of them
	// needs no host route. Empty: they are not known, and nothing is checked.
	Uplink []netip.Prefix

	// DefaultRoute4 and DefaultRoute6 are the gateways inside the tunnel to
	// which everything else goes. Zero: the default route is set elsewhere.
	DefaultRoute4, DefaultRoute6 netip.Addr

	// Rerun deletes each peer before it is added, because to add one that is
	// there fails: the file can then be run again on a live interface. At boot
	// the deletion fails, which does no harm.
	Rerun bool
}

// A WGPeer is the far end of a tunnel, see wgconfig(8).
type WGPeer struct {
	// Name is what this machine calls the peer, 1 to 16 bytes.
	Name string

	// PublicKey is the peer's key, 44 characters of base64.
	PublicKey string

	// Endpoint is where the peer listens: "192.0.2.1:51820",
	// "[2001:db8::1]:51820" or "name:51820". Empty: the peer speaks first.
	Endpoint string

	// AllowedIPs are the addresses that the peer may use, at most 16 prefixes.
	AllowedIPs []netip.Prefix

	// PresharedKeyFile is the absolute path of the file that holds the
	// preshared key. Empty: there is none.
	PresharedKeyFile string
}

// Ifconfig renders the file, in the order that works: addresses, key, port,
// peers, host routes to the endpoints, up, default routes. The interface is
// $int in it, so that the text serves any wgN; its name in messages is
// ifconfig.wg0. A *ValueError says what is refused:
//
//   - what ValidateWGConfig refuses, and what the kernel does: two peers with
//     one name, key or prefix
//   - a default route whose gateway lies in none of the interface's prefixes
//   - a default route without a host route to the endpoints of its family, or
//     with an endpoint that is a name: the tunnel's own packets would go into
//     the tunnel
//   - an endpoint inside the tunnel, or reached through it
func (w WireGuard) Ifconfig() (*Ifconfig, error) {
	f, err := ParseIfconfig("ifconfig.wg0", nil)
	if err != nil {
		return nil, err
	}
	if len(w.Addresses) == 0 {
		return nil, refusal("address", "", "the interface has none")
	}
	for i, p := range w.Addresses {
		if slices.ContainsFunc(w.Addresses[:i], func(q netip.Prefix) bool { return q.Addr() == p.Addr() }) {
			return nil, refusal("address", p.String(), "is there twice")
		}
		if err := f.AddAddr(p); err != nil {
			return nil, err
		}
	}
	cmds, err := w.wgconfig()
	if err != nil {
		return nil, err
	}
	if err := w.addCommands(f, cmds); err != nil {
		return nil, err
	}
	routes, err := w.routes()
	if err != nil {
		return nil, err
	}
	hosts := slices.IndexFunc(routes, func(r route) bool { return r.dst.Bits() == 0 })
	if hosts < 0 {
		hosts = len(routes)
	}
	for _, r := range routes[:hosts] {
		if err := f.AddRoute(r.dst, r.via); err != nil {
			return nil, err
		}
	}
	// Here a route comes before "up", which AddLine has the other way round: the first
	// packet, which IPv6 itself sends, begins a handshake, and one that finds no way to the
	// endpoint is tried again only after five seconds.
	f.lines = textfile.Insert(f.lines, len(f.lines), "up")
	for _, r := range routes[hosts:] {
		if err := f.AddRoute(r.dst, r.via); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// wgconfig returns the arguments of the wgconfig commands after the interface.
func (w WireGuard) wgconfig() ([][]string, error) {
	if err := keyFile("key file", w.KeyFile); err != nil {
		return nil, err
	}
	cmds := [][]string{{"set", "private-key", w.KeyFile}}
	if w.ListenPort != 0 {
		cmds = append(cmds, []string{"set", "listen-port", strconv.Itoa(int(w.ListenPort))})
	}
	for _, p := range w.Peers {
		if w.Rerun {
			cmds = append(cmds, []string{"delete", "peer", p.Name})
		}
		add := []string{"add", "peer", p.Name, p.PublicKey}
		if p.Endpoint != "" {
			add = append(add, "--endpoint="+p.Endpoint)
		}
		if len(p.AllowedIPs) > 0 {
			var prefixes []string
			for _, ip := range p.AllowedIPs {
				prefixes = append(prefixes, ip.String())
			}
			add = append(add, "--allowed-ips="+strings.Join(prefixes, ","))
		}
		if p.PresharedKeyFile != "" {
			if err := keyFile("preshared key file", p.PresharedKeyFile); err != nil {
				return nil, err
			}
			add = append(add, "--preshared-key="+p.PresharedKeyFile)
		}
		cmds = append(cmds, add)
	}
	return cmds, nil
}

// addCommands checks the commands as wgconfig and the kernel would, and adds
// them with $int for the interface.
func (w WireGuard) addCommands(f *Ifconfig, cmds [][]string) error {
	iface := f.iface()
	peers, deleted := newWGPeers(), map[string]bool{}
	for _, args := range cmds {
		cmd, err := parseWGConfig(append([]string{iface}, args...))
		if err != nil {
			return err
		}
		if cmd.verb == "delete" {
			// It makes room for the same peer of the last run, not for a
			// second one of this name.
			if deleted[cmd.peer] {
				return refusal("peer", cmd.peer, "is there twice")
			}
			deleted[cmd.peer] = true
		}
		if err := peers.apply(cmd); err != nil {
			return err
		}
		var text string
		if err := quoteAll(args, &text, "wgconfig"); err != nil {
			return err
		}
		want := append([]string{"wgconfig", iface}, args...)
		if err := f.insert("!wgconfig $int "+text, want, rank(want, iface)); err != nil {
			return err
		}
	}
	return nil
}

// routes returns the host routes to the endpoints and then the default routes.
func (w WireGuard) routes() ([]route, error) {
	var routes []route
	if w.EndpointVia.IsValid() {
		if err := w.validVia(); err != nil {
			return nil, err
		}
	}
	for _, p := range w.Peers {
		if p.Endpoint == "" {
			continue
		}
		end, err := parseEndpoint(p.Endpoint)
		if err != nil {
			return nil, err
		}
		r, err := w.endpointRoute(p, end)
		if err != nil {
			return nil, err
		}
		if r.via.IsValid() && !slices.Contains(routes, r) {
			routes = append(routes, r)
		}
	}
	for _, d := range []struct {
		field string
		dst   netip.Prefix
		via   netip.Addr
	}{
		{"default route (IPv4)", netip.PrefixFrom(netip.IPv4Unspecified(), 0), w.DefaultRoute4},
		{"default route (IPv6)", netip.PrefixFrom(netip.IPv6Unspecified(), 0), w.DefaultRoute6},
	} {
		if !d.via.IsValid() {
			continue
		}
		if d.via.Is4() != d.dst.Addr().Is4() {
			return nil, refusal(d.field, d.via.String(), "is a gateway of the other family")
		}
		if err := outside(d.field, d.via, w.Addresses); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(w.Addresses, func(p netip.Prefix) bool { return p.Addr() == d.via }) {
			return nil, refusal(d.field, d.via.String(), "is this machine itself")
		}
		routes = append(routes, route{d.dst, d.via})
	}
	return routes, nil
}

// validVia checks the way to the endpoints.
func (w WireGuard) validVia() error {
	for _, p := range w.Addresses {
		if p.Contains(w.EndpointVia) {
			return refusal("endpoint via", w.EndpointVia.String(), "lies in the tunnel ("+p.Masked().String()+")")
		}
	}
	if len(w.Uplink) > 0 && !w.EndpointVia.IsLinkLocalUnicast() {
		return outside("endpoint via", w.EndpointVia, w.Uplink)
	}
	return nil
}

// endpointRoute returns the host route to a peer's endpoint, or a zero route if
// it needs none.
func (w WireGuard) endpointRoute(p WGPeer, end endpoint) (route, error) {
	if !end.addr.IsValid() {
		if w.DefaultRoute4.IsValid() || w.DefaultRoute6.IsValid() {
			return route{}, refusal("endpoint", p.Endpoint, "is a name, and a default route into the tunnel needs a host route to its address")
		}
		return route{}, nil
	}
	for _, own := range w.Addresses {
		if own.Contains(end.addr) {
			return route{}, refusal("endpoint", p.Endpoint, "lies inside the tunnel ("+own.Masked().String()+")")
		}
	}
	if slices.ContainsFunc(w.Uplink, func(p netip.Prefix) bool { return p.Contains(end.addr.WithZone("")) }) {
		return route{}, nil // connected, which beats a default route
	}
	if w.EndpointVia.IsValid() && w.EndpointVia.Is4() == end.addr.Is4() {
		return route{netip.PrefixFrom(end.addr.WithZone(""), end.addr.BitLen()), w.EndpointVia}, nil
	}
	into := w.DefaultRoute6
	if end.addr.Is4() {
		into = w.DefaultRoute4
	}
	if into.IsValid() {
		return route{}, refusal("endpoint", p.Endpoint, "has no gateway of its family for a host route: with the default route through "+
			into.String()+" the tunnel's own packets would go into the tunnel")
	}
	return route{}, nil
}

// keyFile refuses a path that depends on where the shell happens to be.
func keyFile(field, name string) error {
	if !path.IsAbs(name) {
		return refusal(field, name, "is not an absolute path")
	}
	return nil
}

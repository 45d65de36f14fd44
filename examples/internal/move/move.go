// Package move reads the move file, which describes one machine, where it runs,
// where it is to run, and what lies between.
package move

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/rehost/rehost/examples/internal/tomlfile"
)

// A Move is a whole move file.
type Move struct {
	Domain     string     `toml:"domain"`
	DNS        DNS        `toml:"dns"`
	Guest      Guest      `toml:"guest"`
	Disk       Disk       `toml:"disk"`
	Hypervisor Hypervisor `toml:"hypervisor"`
	Router     Router     `toml:"router"`
	Tunnel     Tunnel     `toml:"tunnel"`
	Services   []Service  `toml:"service"`

	Handover     Handover      `toml:"certificates"`
	Certificates []Certificate `toml:"certificate"`
	Daemons      []Daemon      `toml:"daemon"`

	file *tomlfile.File
}

// A DNS is the zone of the domain, of which the guest is the primary.
type DNS struct {
	Zone   string    `toml:"zone"`   // the zone file
	Switch time.Time `toml:"switch"` // when the names are to point to the router
}

// A Guest is the machine that moves.
type Guest struct {
	Name    string  `toml:"name"`
	Old     Old     `toml:"old"`
	Upgrade Upgrade `toml:"upgrade"`
	Home    Home    `toml:"home"`
	VM      VM      `toml:"vm"`
}

// Old is where the guest runs today.
type Old struct {
	Host    string     `toml:"host"`
	Disk    string     `toml:"disk"`
	Address netip.Addr `toml:"address"`
}

// An Upgrade is the way from the guest's release to one that has wg(4).
type Upgrade struct {
	From string `toml:"from"`
	To   string `toml:"to"`
	URL  string `toml:"url"`
}

// Home is the guest's network at home.
type Home struct {
	Iface   string       `toml:"iface"`
	Address netip.Prefix `toml:"address"`
	Gateway netip.Addr   `toml:"gateway"`
}

// A VM is the guest as vm-bhyve sees it.
type VM struct {
	CPU    int    `toml:"cpu"`
	Memory string `toml:"memory"`
	Switch string `toml:"switch"`
	Disk   string `toml:"disk"`
	UUID   string `toml:"uuid"`
	MAC    string `toml:"mac"`
}

// A Disk is what the estimate of the stop is made from.
type Disk struct {
	Size    Bytes `toml:"size"`
	Changed Bytes `toml:"changed"` // between the last live pass and the stop
	Read    Bytes `toml:"read"`    // per second, by the slower one of the two hosts
	Link    Bytes `toml:"link"`    // per second, between the two
}

// A Hypervisor is the machine at home that runs the guest under vm-bhyve.
type Hypervisor struct {
	Name      string `toml:"name"`
	Datastore string `toml:"datastore"`
}

// A Router is the instance in the cloud that holds the public address.
type Router struct {
	Name    string         `toml:"name"`
	Iface   string         `toml:"iface"`
	Address netip.Addr     `toml:"address"`
	Prefix6 netip.Prefix   `toml:"prefix6"`
	Solver  netip.AddrPort `toml:"solver"`
	Hairpin bool           `toml:"hairpin"` // the forwards work for who is behind the router too
	Local   bool           `toml:"local"`   // and for programs on the router itself
}

// A Tunnel is the WireGuard link between router and guest.
type Tunnel struct {
	Iface        string `toml:"iface"`
	Port         uint16 `toml:"port"`
	MTU          int    `toml:"mtu"`                // of both ends; 0: the program that makes the device decides
	PresharedKey string `toml:"preshared_key_file"` // where both machines have the second secret; "": none
	Router       End    `toml:"router"`
	Guest        End    `toml:"guest"`
}

// An End is one end of the tunnel.
type End struct {
	Addresses []netip.Prefix `toml:"addresses"`
	PublicKey string         `toml:"public_key"`
	KeyFile   string         `toml:"key_file"`
	Keepalive Seconds        `toml:"keepalive"` // between packets that keep its path open; 0: off
	PingJob   bool           `toml:"ping_job"`  // a cron job does that, as NetBSD has no keepalive
}

// Seconds is a time such as "25s" in a move file. It is a struct, since the decoder would
// put a bare number into an integer, as nanoseconds.
type Seconds struct{ time.Duration }

// UnmarshalText reads what [time.ParseDuration] does.
func (s *Seconds) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 || d%time.Second != 0 {
		return fmt.Errorf("%q is no time in whole seconds, such as 25s", text)
	}
	s.Duration = d
	return nil
}

// Addr returns the end's first address of a family, or the zero Addr.
func (e End) Addr(is4 bool) netip.Addr {
	for _, p := range e.Addresses {
		if p.Addr().Is4() == is4 {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// The ways in which a service is reached once the guest has moved.
const (
	Forward    = "forward" // the router forwards the port through the tunnel
	Proxy      = "proxy"   // nginx on the router answers and asks the guest
	TunnelOnly = "tunnel"  // only what is in the tunnel reaches it
)

// A Service is something that the guest serves.
type Service struct {
	Name    string         `toml:"name"`
	Protos  []string       `toml:"protos"`
	Port    uint16         `toml:"port"`
	Via     string         `toml:"via"`
	Names   []string       `toml:"names"`
	Sources []netip.Prefix `toml:"sources"` // who is forwarded; none: everybody
}

// A Handover is how the router gets certificates, and the guest gets them from it.
type Handover struct {
	Directory   string `toml:"directory"` // of the authority; "": Let's Encrypt
	AcceptTerms bool   `toml:"accept_terms"`
	Email       string `toml:"email"` // of the account, and who gets a mail when something is new
	Port        uint16 `toml:"port"`  // of the router's address in the tunnel
	Group       string `toml:"group"` // on the guest, that may read them
}

// A Certificate is one that the router gets and the guest installs.
type Certificate struct {
	Name    string   `toml:"name"`
	Domains []string `toml:"domains"` // nil: Name
}

// Covers returns the domains.
func (c Certificate) Covers() []string {
	if c.Domains == nil {
		return []string{c.Name}
	}
	return c.Domains
}

// CertificateFor returns the first certificate that covers all the names.
func (m *Move) CertificateFor(names []string) (Certificate, bool) {
	for _, c := range m.Certificates {
		missing := func(name string) bool { return !slices.Contains(c.Covers(), name) }
		if !slices.ContainsFunc(names, missing) {
			return c, true
		}
	}
	return Certificate{}, false
}

// A Daemon of the guest serves certificates.
type Daemon struct {
	Name         string   `toml:"name"`
	Certificates []string `toml:"certificates"`
	Reload       []string `toml:"reload"`   // a program and its arguments
	Services     []string `toml:"services"` // where it is asked which certificate it serves
}

// Probes are the ports at which the daemon is asked for its certificate.
func (m *Move) Probes(d Daemon) []string {
	var probes []string
	for _, s := range m.Services {
		if slices.Contains(d.Services, s.Name) {
			probes = append(probes, fmt.Sprintf("%s://127.0.0.1:%d", probeSchemes[s.Port], s.Port))
		}
	}
	return probes
}

// probeSchemes are how ports begin TLS: at once, or after STARTTLS.
var probeSchemes = map[uint16]string{25: "smtp", 587: "smtp", 143: "imap", 443: "tls", 465: "tls", 993: "tls", 995: "tls"}

// Protos returns the transport protocols that the services use, sorted.
func (m *Move) Protos() []string {
	var protos []string
	for _, s := range m.Services {
		protos = append(protos, s.Protos...)
	}
	slices.Sort(protos)
	return slices.Compact(protos)
}

package rehearsal

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
)

// network is what a move is drawn from.
func network(m *move.Move) report.Network {
	n := report.Network{
		Domain: m.Domain,
		Old:    report.Host{Name: m.Guest.Old.Host, Addresses: []string{m.Guest.Old.Address.String()}},
		Router: report.Host{Name: m.Router.Name, Addresses: []string{m.Router.Address.String()}},
		Home:   report.Host{Name: m.Hypervisor.Name, Addresses: []string{m.Guest.Home.Address.String()}},
	}
	if m.Router.Prefix6.IsValid() {
		n.Router.Addresses = append(n.Router.Addresses, m.Router.Prefix6.String())
	}
	n.Tunnel.Router = texts(m.Tunnel.Router.Addresses)
	n.Tunnel.Guest = texts(m.Tunnel.Guest.Addresses)
	for _, s := range m.Services {
		n.Services = append(n.Services, report.Service{
			Name: s.Name, Port: strings.Join(s.Protos, "+") + " " + strconv.Itoa(int(s.Port)), Via: s.Via,
		})
	}
	return n
}

func texts(prefixes []netip.Prefix) []string {
	var list []string
	for _, p := range prefixes {
		list = append(list, p.String())
	}
	return list
}

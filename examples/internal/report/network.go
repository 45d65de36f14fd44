package report

import (
	"fmt"
	"slices"
	"strings"
)

// The network is drawn in three columns: the clients, the router, and the guest's hosts,
// of which the old one stands above the one at home. Columns are as wide as their texts.
const (
	gap          = 110 // between columns
	servicePitch = 28
	cell         = 22 // of it, for a service's cell
)

// A row is a line of text in a box.
type row struct{ class, text string }

// A column lies between two places of the x axis.
type column struct{ from, to int }

func (c column) middle() int    { return (c.from + c.to) / 2 }
func (c column) inside() column { return column{c.from + margin, c.to - margin} }

// drawNetwork is nil where no host is known.
func (r *Report) drawNetwork() *picture {
	n := r.Network
	if n.Old.Name == "" && n.Router.Name == "" && n.Home.Name == "" {
		return nil
	}
	clients := []row{{"kind", "The world"}, {"name", "clients"}, {"data", n.Domain}}
	router := addressRows([]row{{"kind", "Router in the cloud"}, {"name", n.Router.Name}}, n.Router.Addresses)
	if len(n.Tunnel.Router) > 0 {
		router = addressRows(append(router, row{"kind", "its end of the tunnel"}), n.Tunnel.Router)
	}
	old := []row{{"kind", "Host of today"}, {"name", n.Old.Name}}
	oldGuest := addressRows([]row{{"name", r.Guest}}, n.Old.Addresses)
	home := []row{{"kind", "Host at home"}, {"name", n.Home.Name}}
	guest := addressRows([]row{{"name", r.Guest}}, slices.Concat(n.Home.Addresses, n.Tunnel.Guest))

	left := widest(clients) + 2*margin
	middle := max(widest(router), servicesWidth(n.Services)) + 2*margin
	right := max(widest(slices.Concat(old, home)), widest(slices.Concat(oldGuest, guest))+2*margin) + 2*margin
	atClients := column{1, 1 + left}
	atRouter := column{atClients.to + gap, atClients.to + gap + middle}
	atHosts := column{atRouter.to + gap, atRouter.to + gap + right}

	const top = 1
	oldGuestY := top + heightOf(old)
	oldBottom := oldGuestY + heightOf(oldGuest) + margin
	newY := oldBottom + 4*margin
	guestY := newY + heightOf(home)
	servicesY := newY + max(heightOf(router), heightOf(home))
	guestBottom := max(servicesY+max(len(n.Services), 1)*servicePitch, guestY+heightOf(guest))
	bottom := guestBottom + margin

	p := &picture{ID: "network", Title: "The network, before and after the move", Desc: r.describeNetwork(),
		Width: atHosts.to + 1, Height: bottom + 3*margin}
	p.box("box", atClients, top, bottom, clients)
	p.box("box", atHosts, top, oldBottom, old)
	p.box("guest past", atHosts.inside(), oldGuestY, oldBottom-margin, oldGuest)
	p.arrow("old", atClients.to, atHosts.inside().from, (oldGuestY+oldBottom-margin)/2)
	p.path("line moved", "M%d %dV%d", atHosts.middle(), oldBottom, newY-6)
	p.path("head moved", "M%d %dl-4 -8h8z", atHosts.middle(), newY)
	p.text("label", atHosts.middle()+8, (oldBottom+newY)/2+4, "the disk")

	p.box("box", atRouter, newY, bottom, router)
	p.box("box", atHosts, newY, bottom, home)
	p.rect("tunnel", atRouter.to, servicesY-6, gap+margin, bottom-servicesY, "")
	p.text("label middle", atRouter.to+gap/2, servicesY-14, "WireGuard tunnel")
	p.box("guest", atHosts.inside(), guestY, guestBottom, guest)
	p.services(n.Services, atClients, atRouter.inside(), atHosts.inside(), servicesY)

	legend := bottom + 2*margin
	p.path("line old", "M1 %dh36", legend)
	p.text("label", 45, legend+4, "old path")
	p.path("line new", "M131 %dh36", legend)
	p.text("label", 175, legend+4, "new path")
	return p
}

// services are cells in the router, each with the way to it, unless only the tunnel leads
// there, and with the way on to the guest.
func (p *picture) services(services []Service, clients, router, guest column, y int) {
	names := 0
	for _, s := range services {
		names = max(names, widthOf(s.Name))
	}
	for _, s := range services {
		class := "cell"
		if s.Via == "proxy" || s.Via == "tunnel" {
			class += " " + s.Via
		}
		p.rect(class, router.from, y, router.to-router.from, cell, "")
		p.text("data", router.from+margin, y+15, s.Name)
		p.text("data", router.from+names+2*margin, y+15, s.Port)
		p.text("data end", router.to-margin, y+15, s.Via)
		if s.Via != "tunnel" {
			p.arrow("new", clients.to, router.from, y+cell/2)
		}
		p.arrow("new", router.to, guest.from, y+cell/2)
		y += servicePitch
	}
}

// servicesWidth is that of their cells.
func servicesWidth(services []Service) int {
	names, ports, vias := 0, 0, 0
	for _, s := range services {
		names, ports, vias = max(names, widthOf(s.Name)), max(ports, widthOf(s.Port)), max(vias, widthOf(s.Via))
	}
	return names + ports + vias + 4*margin
}

// box draws a box with its rows.
func (p *picture) box(class string, at column, top, bottom int, rows []row) {
	p.rect(class, at.from, top, at.to-at.from, bottom-top, "")
	for i, row := range rows {
		p.text(row.class, at.from+margin, top+margin+8+i*lineHeight, row.text)
	}
}

func addressRows(rows []row, addresses []string) []row {
	for _, a := range addresses {
		rows = append(rows, row{"data", a})
	}
	return rows
}

func widest(rows []row) int {
	w := 0
	for _, row := range rows {
		w = max(w, widthOf(row.text))
	}
	return w
}

func heightOf(rows []row) int { return len(rows)*lineHeight + margin }

func (r *Report) describeNetwork() string {
	n := r.Network
	var b strings.Builder
	fmt.Fprintf(&b, "By the old path, the clients of %s ask %s at its host of today, %s. ", n.Domain, with(r.Guest, n.Old.Addresses), n.Old.Name)
	fmt.Fprintf(&b, "By the new path, they ask the router %s. A WireGuard tunnel leads from it%s to %s, which runs on %s at home. ",
		with(n.Router.Name, n.Router.Addresses), with("", n.Tunnel.Router), with(r.Guest, slices.Concat(n.Home.Addresses, n.Tunnel.Guest)), n.Home.Name)
	for _, s := range n.Services {
		fmt.Fprintf(&b, "%s (%s): %s. ", s.Name, s.Port, s.Via)
	}
	return strings.TrimSpace(b.String())
}

func with(name string, addresses []string) string {
	if len(addresses) == 0 {
		return name
	}
	return name + " (" + strings.Join(addresses, ", ") + ")"
}

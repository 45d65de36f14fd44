package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/examples/internal/wglive"
)

const showHelp = `Show prints what a live device is set to, and its peers. It shows no secret.
`

// A device is what there is to show, for scripts as well.
type device struct {
	Iface      string `json:"iface"`
	PublicKey  string `json:"public_key"`
	ListenPort int    `json:"listen_port"`
	FwMark     int    `json:"fwmark,omitempty"`
	Peers      []peer `json:"peers"`
}

type peer struct {
	PublicKey  string    `json:"public_key"`
	Preshared  bool      `json:"preshared"` // it has a second secret
	Endpoint   string    `json:"endpoint,omitempty"`
	AllowedIPs []string  `json:"allowed_ips"`
	Keepalive  float64   `json:"keepalive_seconds"`
	Handshake  time.Time `json:"last_handshake,omitzero"`
	Received   int64     `json:"received_bytes"`
	Sent       int64     `json:"sent_bytes"`
}

func (f *flags) show(_ context.Context, args []string) error {
	client, err := wglive.NewClient()
	if err != nil {
		return err
	}
	defer client.Close()
	found, err := client.Device(args[0])
	if err != nil {
		return unmade(args[0], fmt.Errorf("%s: %w", args[0], err))
	}
	d := device{found.Name, found.PublicKey.String(), found.ListenPort, found.FirewallMark, []peer{}}
	for _, p := range found.Peers {
		d.Peers = append(d.Peers, seen(p))
	}
	slices.SortFunc(d.Peers, func(a, b peer) int { return strings.Compare(a.PublicKey, b.PublicKey) })
	if f.json {
		return cli.JSON(d)
	}
	fmt.Printf("interface %s\n  public key   %s\n  listen port  %d\n", d.Iface, d.PublicKey, d.ListenPort)
	for _, p := range d.Peers {
		fmt.Printf("peer %s\n  endpoint     %s\n  allowed IPs  %s\n  keepalive    %gs\n  handshake    %s\n",
			p.PublicKey, p.Endpoint, strings.Join(p.AllowedIPs, ", "), p.Keepalive, p.Handshake.Format(time.DateTime))
	}
	return nil
}

func seen(p wgtypes.Peer) peer {
	s := peer{
		PublicKey:  p.PublicKey.String(),
		Preshared:  p.PresharedKey != wgtypes.Key{},
		AllowedIPs: []string{},
		Keepalive:  p.PersistentKeepaliveInterval.Seconds(),
		Handshake:  p.LastHandshakeTime,
		Received:   p.ReceiveBytes,
		Sent:       p.TransmitBytes,
	}
	if p.Endpoint != nil {
		s.Endpoint = p.Endpoint.String()
	}
	for _, n := range p.AllowedIPs {
		s.AllowedIPs = append(s.AllowedIPs, (*net.IPNet)(&n).String())
	}
	return s
}

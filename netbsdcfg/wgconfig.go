package netbsdcfg

import "net/netip"

// ValidateWGConfig refuses arguments that wgconfig(8) refuses, or should.
func ValidateWGConfig(args []string) error { return nil }

// WireGuard is an ifconfig.wgN file as values.
type WireGuard struct {
	Address                      []netip.Prefix
	KeyFile                      string
	ListenPort                   uint16
	Peers                        []WGPeer
	EndpointVia                  netip.Addr
	DefaultRoute4, DefaultRoute6 netip.Addr
	Rerun                        bool
}

// A WGPeer is the far end of a tunnel.
type WGPeer struct {
	Name             string
	PublicKey        string
	Endpoint         string
	AllowedIPs       []netip.Prefix
	PresharedKeyFile string
}

// Ifconfig renders the file.
func (w WireGuard) Ifconfig() (*Ifconfig, error) { return ParseIfconfig("ifconfig", nil) }

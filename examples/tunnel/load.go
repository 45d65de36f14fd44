package main

import (
	"fmt"
	"os"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/wgpeer"
)

// load reads FILE and returns this end's view of the tunnel, with the secret that both
// ends share.
func (f *flags) load(path string) (*move.Move, wgpeer.Interface, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, wgpeer.Interface{}, err
	}
	m, err := move.LoadTunnel(path, data)
	if err != nil {
		return nil, wgpeer.Interface{}, err
	}
	if err := keyed(m); err != nil {
		return nil, wgpeer.Interface{}, err
	}
	name, err := f.endName(m)
	if err != nil {
		return nil, wgpeer.Interface{}, err
	}
	hub, err := m.Hub()
	if err != nil {
		return nil, wgpeer.Interface{}, err
	}
	if key := m.Tunnel.PresharedKey; key != "" {
		if hub.Guests[0].PresharedKey, err = readPreshared(key); err != nil {
			return nil, wgpeer.Interface{}, err
		}
	}
	for _, problem := range hub.Validate() {
		if problem.Severity == wgpeer.Warning {
			fmt.Fprintln(os.Stderr, problem)
		}
	}
	i, err := hub.Interface(name)
	if f.iface != "" {
		i.Iface = f.iface
	}
	return m, i, err
}

// keyed refuses a file into which the public keys have not been put yet.
func keyed(m *move.Move) error {
	var missing wgpeer.Problems
	for _, end := range []struct{ key, name, public string }{
		{"tunnel.router.public_key", m.Router.Name, m.Tunnel.Router.PublicKey},
		{"tunnel.guest.public_key", m.Guest.Name, m.Tunnel.Guest.PublicKey},
	} {
		if end.public == "" {
			missing = append(missing, m.Problem(end.key, "is missing: tunnel keys prints it on %s", end.name))
		}
	}
	return missing.Err()
}

// endName is the name of the end that runs here.
func (f *flags) endName(m *move.Move) (string, error) {
	host := cli.Hostname()
	switch {
	case f.end == "router", f.end == "" && host == m.Router.Name:
		return m.Router.Name, nil
	case f.end == "guest", f.end == "" && host == m.Guest.Name:
		return m.Guest.Name, nil
	case f.end == "":
		return "", cli.Usagef("this machine is called %q, neither %s nor %s: give -end router or -end guest", host, m.Router.Name, m.Guest.Name)
	}
	return "", cli.Usagef("-end %q: it is router or guest", f.end)
}

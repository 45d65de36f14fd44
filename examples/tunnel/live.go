package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/examples/internal/wglive"
	"github.com/rehost/rehost/wgpeer"
)

// live reads FILE for the machine that it runs on: the private key is there, if this
// is the end that it says, and its name is that of the device.
func (f *flags) live(path string) (wgpeer.Interface, error) {
	_, i, err := f.load(path)
	if err != nil || i.KeyFile == "" {
		return i, err
	}
	i.PrivateKey, err = wgpeer.ReadPrivateKeyFile(i.KeyFile)
	if errors.Is(err, fs.ErrNotExist) { // the device keeps the one that it has
		err = nil
	}
	return i, err
}

const diffHelp = `Diff compares the live device with FILE, as lines with + and -.
`

func (f *flags) diff(ctx context.Context, args []string) error {
	f.dry = true
	return f.apply(ctx, args)
}

const applyHelp = `Apply makes the live device as FILE says, and prints what it changed. Peers that do not
change keep their sessions. Peers that FILE does not have are removed with -prune, and
not looked at with -peer; without either of the two, they are an error. Addresses and
routes are not the device's: wg-quick or ifupdown sets them.
`

func (f *flags) apply(ctx context.Context, args []string) error {
	i, err := f.live(args[0])
	if err != nil {
		return err
	}
	client, err := wglive.NewClient()
	if err != nil {
		return err
	}
	defer client.Close()
	p, err := f.plan(ctx, client, i)
	if err != nil {
		return unmade(i.Iface, err)
	}
	if !f.dry {
		if others := p.Removes(); len(others) > 0 && !f.prune {
			return fmt.Errorf("%s has peers that %s has not; -prune removes them, -peer leaves them alone: %s", i.Iface, args[0], others)
		}
		if err := wgpeer.Apply(ctx, p); err != nil {
			return err
		}
	}
	return cli.PrintPlan(p, f.dry, f.json)
}

func (f *flags) plan(ctx context.Context, client wgpeer.Client, i wgpeer.Interface) (*wgpeer.Plan, error) {
	if !f.peer {
		return wgpeer.Diff(ctx, client, i.Iface, i)
	}
	// Diff looks at the device itself, and DiffPeer does not.
	device, err := client.Device(i.Iface)
	if err != nil {
		return nil, err
	}
	if none := (wgpeer.PublicKey{}); i.PublicKey != none && i.PublicKey != device.PublicKey {
		return nil, fmt.Errorf("%s has the public key %s, and is meant to have %s: is this the right machine?", i.Iface, device.PublicKey, i.PublicKey)
	}
	return wgpeer.DiffPeer(ctx, client, i.Iface, i.Peers[0]) // each end has the other
}

// unmade says what to do where there is no such device.
func unmade(iface string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("this machine has no WireGuard device %s: wg-quick up or ifup makes it", iface)
	}
	return err
}

const healthHelp = `Health says of each peer when it last proved to be there and what is wrong with it. It
exits with status 3 if a peer cannot be reached, as far as the device knows.
`

func (f *flags) health(ctx context.Context, args []string) error {
	i, err := f.live(args[0])
	if err != nil {
		return err
	}
	client, err := wglive.NewClient()
	if err != nil {
		return err
	}
	defer client.Close()
	peers, err := wgpeer.Health(ctx, client, i.Iface, i, time.Now())
	if err != nil {
		return unmade(i.Iface, err)
	}
	if f.json {
		err = cli.JSON(peers)
	} else {
		err = printPeers(peers)
	}
	for _, p := range peers {
		if err == nil && p.Check().Err() != nil {
			err = cli.ErrDiffers
		}
	}
	return err
}

func printPeers(peers []wgpeer.PeerHealth) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PEER\tENDPOINT\tHANDSHAKE\tRECEIVED\tSENT")
	for _, p := range peers {
		name, endpoint, handshake := p.Name, "-", "never"
		if name == "" {
			name = p.PublicKey.String()
		}
		if p.Endpoint.IsValid() {
			endpoint = p.Endpoint.String()
		}
		if !p.LastHandshake.IsZero() {
			handshake = p.Age.Truncate(time.Second).String() + " ago"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\n", name, endpoint, handshake, p.Received, p.Sent)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, p := range peers {
		for _, problem := range p.Check() {
			fmt.Println(problem)
		}
	}
	return nil
}

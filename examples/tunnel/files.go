package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/wgpeer"
)

const keysHelp = `Keys writes a new private key into KEYFILE, which only its owner may read, and prints
the public key, which is no secret. A file that is there is not changed, and its public
key is printed. With -preshared, the key is a secret of both ends: nothing is printed,
and the file has to be copied to the other end.
`

func (f *flags) keys(_ context.Context, args []string) error {
	if f.preshared {
		key, err := wgpeer.NewPresharedKey()
		if err == nil {
			err = writeNew(args[0], key.Reveal())
		}
		if errors.Is(err, fs.ErrExist) {
			_, err = readPreshared(args[0])
			err = errors.Join(err, private(args[0]))
		}
		return err
	}
	key, err := wgpeer.NewPrivateKey()
	if err == nil {
		err = writeNew(args[0], key.Reveal())
	}
	if errors.Is(err, fs.ErrExist) {
		key, err = wgpeer.ReadPrivateKeyFile(args[0])
		err = errors.Join(err, private(args[0]))
	}
	if err == nil {
		_, err = fmt.Println(key.Public())
	}
	return err
}

// writeNew writes a line into a file that must not be there yet.
func writeNew(path, line string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, line)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // a piece of a key is none, and in the way
	}
	return nil
}

// private refuses a key that everybody may read: it may be everybody's by now.
func private(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode()&0o007 != 0 {
		err = fmt.Errorf("%s: its mode %04o gives everybody the key: make another one, or chmod 600 it", path, info.Mode().Perm())
	}
	return err
}

func readPreshared(path string) (wgpeer.PresharedKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return wgpeer.PresharedKey{}, err
	}
	key, err := wgpeer.ParsePresharedKey(string(data))
	if err != nil {
		return key, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

const renderHelp = `Render writes this end's file for wg-quick, or with -ifupdown the file for wg and a
fragment of /etc/network/interfaces.d; and on the router the settings with which Linux
forwards. Files that differ are printed. The private key is not in them: they name its
file. A NetBSD guest gets its files from migrate.

A file that is there is replaced as a whole. If it has peers that FILE does not have,
-prune is needed to lose them; a private key in it is not lost, but has to be put into
its file first. With -peer, a file that is there has its peer set, and all else in it
stays, such as the other guests of a router.

A router whose own IPv6 default route comes from router advertisements, as in most
clouds, loses it when it forwards, unless its uplink has net.ipv6.conf.ens5.accept_ra=2.
`

func (f *flags) render(ctx context.Context, args []string) error {
	m, i, err := f.load(args[0])
	if err != nil {
		return err
	}
	if f.peer {
		if f.ifupdown {
			return cli.Usagef("-peer edits the file for wg or wg-quick that is there; -ifupdown writes new ones")
		}
		return f.renderPeer(ctx, i)
	}
	var files []wgpeer.Output
	add := func(o wgpeer.Output, err error) error {
		files = append(files, o)
		return err
	}
	if f.ifupdown {
		err = add(i.Setconf())
		if err == nil {
			var fragments []wgpeer.Output
			fragments, err = i.Ifupdown()
			files = append(files, fragments...)
		}
	} else {
		err = add(i.WGQuick())
	}
	if err == nil && i.ListenPort == m.Tunnel.Port { // the router
		err = add(i.Sysctl())
	}
	if err == nil {
		err = f.loses(i, args[0])
	}
	if err != nil {
		return err
	}
	return cli.Install(ctx, files, f.root, f.dry, f.json)
}

// config is this end's file, which holds what wg(8) knows.
func (f *flags) config(i wgpeer.Interface) string {
	return filepath.Join(f.root, "etc/wireguard", i.Iface+".conf")
}

// loses refuses to replace what may exist nowhere else: a private key that is in no
// file of its own, and peers that FILE does not have.
func (f *flags) loses(i wgpeer.Interface, from string) error {
	file, err := wgpeer.Open(f.config(i))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := file.Interface()
	if err != nil {
		return err
	}
	if !there.PrivateKey.IsZero() {
		key, err := wgpeer.ReadPrivateKeyFile(filepath.Join(f.root, i.KeyFile))
		if err != nil || key != there.PrivateKey {
			return fmt.Errorf("%s holds a private key: put it into %s, which does not hold it", f.config(i), filepath.Join(f.root, i.KeyFile))
		}
	}
	var others []string
	for _, p := range there.Peers {
		if p.PublicKey != i.Peers[0].PublicKey { // each end has the other
			others = append(others, p.PublicKey.String())
		}
	}
	if len(others) > 0 && !f.prune {
		return fmt.Errorf("%s has peers that %s has not; -prune removes them, -peer leaves them alone: %s", f.config(i), from, others)
	}
	return nil
}

// An edit is how a file changes.
type edit string

func (e edit) Empty() bool    { return e == "" }
func (e edit) String() string { return string(e) }

func (f *flags) renderPeer(ctx context.Context, i wgpeer.Interface) error {
	file, err := wgpeer.Open(f.config(i))
	if err != nil {
		return err
	}
	if err := file.SetPeer(i.Peers[0]); err != nil {
		return err
	}
	changes := file.Changes()
	if !f.dry {
		if err := file.Save(ctx); err != nil {
			return err
		}
	}
	return cli.PrintPlan(edit(changes), f.dry, f.json)
}

package certsync

import (
	"context"
	"errors"
	"io/fs"
)

// A Dir keeps bundles as files that daemons read. It is a [Source] too.
type Dir struct {
	// Path is the directory. It is made if it is missing, with mode 0755.
	Path string
	// Layout is how a bundle lies in it. The zero value is [Versions].
	Layout Layout
	// Owner and Group own what is written: names or numbers. Empty: whoever the process
	// is.
	Owner, Group string
	// Mode is that of the files, which hold keys. 0: 0600. A directory can be searched by
	// whoever can read the files in it.
	Mode fs.FileMode
	// Keep is how many old versions are kept for a rollback. 0: three; negative: one.
	Keep int
}

// A Layout is how a bundle lies in files. NAME is the bundle's name, in which "*" is
// written "_".
type Layout int

// The layouts.
const (
	// Versions has a directory for each version, with fullchain.pem, privkey.pem and
	// combined.pem (digest, key, chain), and a symbolic link NAME/live to the one in use,
	// which is replaced by rename(2). Who resolves the link once, or reads only
	// combined.pem, sees chain and key of one version. Who opens two paths through the link
	// may see those of two versions, until the reload.
	Versions Layout = iota

	// Combined has one file for each bundle, NAME.pem: its digest in a comment, the key,
	// the chain. It is replaced by rename(2): whoever reads it sees one version. Beside it
	// lies NAME.sha256 with the digest, as sha256sum(1) writes it, for a [Client] that
	// fetches both from a plain web server.
	Combined

	// Pair has NAME.crt and NAME.key, as the lego program does, replaced one after the
	// other, the key first: whoever reads between the two sees a chain with another's key,
	// and so does everybody from a crash there until the next run. For daemons that can
	// do with nothing else.
	Pair
)

// Fetch returns the bundle that is installed.
func (d *Dir) Fetch(ctx context.Context, name string, have Fingerprint) (*Bundle, error) {
	return nil, errors.New("to come")
}

// Install puts the bundle in the place of the one that is there: chain and key together,
// or neither. If the same is there already, it does nothing. It does not validate: see
// [Bundle.Validate].
func (d *Dir) Install(ctx context.Context, b *Bundle) error { return errors.New("to come") }

// Rollback installs again what was there before the last Install, or returns
// [ErrNotFound].
func (d *Dir) Rollback(ctx context.Context, name string) error { return errors.New("to come") }

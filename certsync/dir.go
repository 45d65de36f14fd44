package certsync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A Dir keeps bundles as files that daemons read. It is a [Source] too.
type Dir struct {
	// Path is the directory. It is made if it is missing, with mode 0755. Nobody else should
	// be able to write in it.
	Path string
	// Layout is how a bundle lies in it. The zero value is [Versions].
	Layout Layout
	// Owner and Group own what is written: names or numbers. Empty: whoever the process
	// is.
	Owner, Group string
	// Mode is that of the files, which hold keys. 0: 0600. A directory can be searched by
	// whoever can read the files in it, and written by this process alone.
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
	// lies NAME.sha256 with the digest, which is that of all but the first line, for a
	// [Client] that asks a plain web server whether there is something new.
	Combined

	// Pair has NAME.crt and NAME.key, as the lego program does, replaced one after the
	// other, the key first: whoever reads between the two sees a chain with another's key,
	// and so does everybody from a crash there until the next run. For daemons that can
	// do with nothing else.
	Pair
)

// hidden is the directory in a Dir that no daemon reads.
const hidden = ".certsync"

// Fetch returns the bundle that is installed. A pair that does not belong together is an
// [*InvalidError]; it is read again before, since somebody may be replacing it.
func (d *Dir) Fetch(ctx context.Context, name string, have Fingerprint) (*Bundle, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	read := d.readVersion
	switch d.Layout {
	case Combined:
		read = d.readCombined
	case Pair:
		read = d.readPair
	}
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		b, err := read(name, have)
		_, mixed := errors.AsType[*InvalidError](err)
		replaced := errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNotFound)
		if !mixed && !replaced || pause > 200*time.Millisecond {
			return b, err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// readVersion reads the live version. That it is gone before it is read is fs.ErrNotExist:
// another has come.
func (d *Dir) readVersion(name string, have Fingerprint) (*Bundle, error) {
	dir, err := d.liveVersion(name)
	if err != nil {
		return nil, err
	}
	files, err := readFiles(name, dir)
	if err != nil {
		return nil, err
	}
	return parseUnlessSame(name, filepath.Join(dir, combinedFile), files.combined, have)
}

func (d *Dir) liveVersion(name string) (string, error) {
	store := d.store(name)
	version, err := os.Readlink(filepath.Join(store, live))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", store, ErrNotFound)
	}
	return filepath.Join(store, version), err
}

func (d *Dir) readCombined(name string, have Fingerprint) (*Bundle, error) {
	path := d.exported(name, ".pem")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return parseUnlessSame(name, path, data, have)
}

// parseUnlessSame spares the parsing of what the caller has: with a digest, that is a look
// at the bytes.
func parseUnlessSame(name, path string, data []byte, have Fingerprint) (*Bundle, error) {
	if want, body, ok := cutDigest(data); ok && want == have && sha256.Sum256(body) == have {
		return nil, ErrNotModified
	}
	b, err := ParseBundle(name, path, data)
	return checked(b, have, err)
}

func (d *Dir) readPair(name string, have Fingerprint) (*Bundle, error) {
	chainPath, keyPath := d.exported(name, ".crt"), d.exported(name, ".key")
	key, err := os.ReadFile(keyPath)
	if err == nil {
		var chain []byte
		if chain, err = os.ReadFile(chainPath); err == nil {
			b, err := ParsePair(name, chainPath, chain, keyPath, key)
			return checked(b, have, err)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", err, ErrNotFound)
	}
	return nil, err
}

// checked refuses a bundle of two halves, and one that the caller has.
func checked(b *Bundle, have Fingerprint, err error) (*Bundle, error) {
	if err != nil {
		return nil, err
	}
	if err := b.checkKey(); err != nil {
		return nil, err
	}
	if b.Fingerprint() == have {
		return nil, ErrNotModified
	}
	return b, nil
}

// Install puts the bundle in the place of the one that is there: chain and key together,
// or neither. What is there already, with the same owner and mode, is left as it is. A key
// that is another certificate's is refused with an [*InvalidError]; nothing else is
// validated: see [Bundle.Validate].
func (d *Dir) Install(ctx context.Context, b *Bundle) error {
	if err := errors.Join(checkName(b.Name), b.checkKey()); err != nil {
		return err
	}
	own, err := d.ownership()
	if err != nil {
		return err
	}
	if err := makeDir(d.Path, ownership{-1, -1, 0o755}); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(d.Path, hidden, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	have, sound := d.inspect(b.Name, own)
	if sound && have == b.Fingerprint() {
		return nil
	}
	s, err := d.openStore(b.Name, own)
	if err != nil {
		return err
	}
	if d.Layout != Versions && !have.IsZero() && digestOf(have) != s.live.digest {
		if err := d.adopt(ctx, s, have); err != nil {
			return err
		}
	}
	if err := s.add(b); err != nil {
		return err
	}
	if err := d.export(b, own); err != nil {
		return err
	}
	return s.prune(d.Keep)
}

// Rollback installs again what was there before the last Install, or returns
// [ErrNotFound]. A second one goes back one version more.
func (d *Dir) Rollback(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	own, err := d.ownership()
	if err != nil {
		return err
	}
	if _, err := os.Stat(d.store(name)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no version to go back to: %w", name, ErrNotFound)
	}
	unlock, err := lock(ctx, filepath.Join(d.Path, hidden, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	s, err := d.openStore(name, own)
	if err != nil {
		return err
	}
	v, b, err := s.before()
	if err != nil {
		return err
	}
	// The link comes last: who tries again after a failure goes back no further.
	if err := d.export(b, own); err != nil {
		return err
	}
	return s.use(v)
}

// ownership is that of the files that daemons read.
func (d *Dir) ownership() (ownership, error) {
	uid, gid, err := lookupOwner(d.Owner, d.Group)
	mode := d.Mode
	if mode == 0 {
		mode = 0o600
	}
	return ownership{uid, gid, mode.Perm()}, err
}

// store is the directory of a bundle's versions.
func (d *Dir) store(name string) string {
	if d.Layout == Versions {
		return filepath.Join(d.Path, fileName(name))
	}
	return filepath.Join(d.Path, hidden, "versions", fileName(name))
}

func (d *Dir) exported(name, ending string) string {
	return filepath.Join(d.Path, fileName(name)+ending)
}

// openStore opens the versions, which only daemons that read them there need to see.
func (d *Dir) openStore(name string, own ownership) (*store, error) {
	if d.Layout != Versions {
		own = private
		if err := removeTemps(d.Path); err != nil {
			return nil, err
		}
	}
	return openStore(d.store(name), name, own)
}

// adopt makes what daemons read the version in use, so that there is a way back to it:
// another program wrote it, or a crash has kept its successor from them.
func (d *Dir) adopt(ctx context.Context, s *store, have Fingerprint) error {
	for _, v := range slices.Backward(s.versions) {
		if v.digest == digestOf(have) {
			return s.use(v)
		}
	}
	b, err := d.Fetch(ctx, s.name, Fingerprint{})
	if err != nil {
		return err
	}
	return s.add(b)
}

// An export is a file outside of the versions.
type export struct {
	path string
	data []byte
}

// exports are in the order in which they are replaced.
func (d *Dir) exports(name string, files versionFiles) []export {
	switch d.Layout {
	case Combined:
		digest := fmt.Appendln(nil, files.fingerprint())
		return []export{{d.exported(name, ".pem"), files.combined}, {d.exported(name, ".sha256"), digest}}
	case Pair:
		return []export{{d.exported(name, ".key"), files.key}, {d.exported(name, ".crt"), files.chain}}
	}
	return nil
}

// export replaces the files outside of the versions. All are written before the first is
// renamed, so that a full disk replaces none.
func (d *Dir) export(b *Bundle, own ownership) error {
	exports := d.exports(b.Name, b.files())
	for _, e := range exports {
		temp, err := stageFile(e.path, own, e.data)
		if err != nil {
			return err
		}
		defer os.Remove(temp) // if it is still there
	}
	for _, e := range exports {
		if err := renameInto(tempName(e.path), e.path); err != nil {
			return err
		}
	}
	return nil
}

// inspect returns the fingerprint of what daemons read, zero if that is nothing or broken,
// and whether all is as Install would leave it.
func (d *Dir) inspect(name string, own ownership) (fp Fingerprint, sound bool) {
	dir, err := d.liveVersion(name)
	if err == nil {
		var files versionFiles
		if files, err = readFiles(name, dir); err == nil {
			exports := d.exports(name, files)
			for _, e := range exports {
				data, err := os.ReadFile(e.path)
				if err != nil || !bytes.Equal(data, e.data) {
					return d.fingerprint(name), false
				}
			}
			if d.Layout == Versions {
				exports = files.in(dir)
				for _, path := range []string{d.store(name), dir} {
					if info, err := os.Stat(path); err != nil || !own.directory().has(info) {
						return files.fingerprint(), false
					}
				}
			}
			return files.fingerprint(), !slices.ContainsFunc(exports, func(e export) bool {
				info, err := os.Stat(e.path)
				return err != nil || !own.has(info)
			})
		}
	}
	return d.fingerprint(name), false
}

// stamp tells whether the files that daemons read, and the owner and mode that they should
// have, may be others than when the stamp was the same: it is made of what stat(2) says of
// them. It is empty if one is missing.
func (d *Dir) stamp(name string, own ownership) string {
	dir, err := d.liveVersion(name)
	if err != nil {
		return ""
	}
	paths := []string{d.store(name)}
	for _, e := range d.exports(name, versionFiles{}) {
		paths = append(paths, e.path)
	}
	if d.Layout == Versions {
		paths = append(paths, dir)
		for _, e := range (versionFiles{}).in(dir) {
			paths = append(paths, e.path)
		}
	}
	sum := sha256.New()
	fmt.Fprintln(sum, own, dir)
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			return ""
		}
		stat := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(sum, stat.Ino, info.Size(), info.ModTime().UnixNano(), info.Mode(), stat.Uid, stat.Gid)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// fingerprint is that of what can be read, whoever wrote it.
func (d *Dir) fingerprint(name string) Fingerprint {
	b, err := d.Fetch(context.Background(), name, Fingerprint{})
	if err != nil {
		return Fingerprint{}
	}
	return b.Fingerprint()
}

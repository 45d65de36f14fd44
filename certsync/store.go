package certsync

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// live is the symbolic link to the version in use.
const live = "live"

// A store is a directory with the versions of one bundle. Each is a directory that is
// complete and flushed before it gets its name, NUMBER-DIGEST, and is not written again.
type store struct {
	path     string
	name     string
	own      ownership
	versions []version // by number
	live     version   // the one in use; zero: none
	replaced int       // the number of the one that was in use before; 0: none
}

type version struct {
	number int
	digest string // the first digits of the bundle's fingerprint
	dir    string // in the store
}

// digestOf is that of a version which holds the bundle.
func digestOf(fp Fingerprint) string { return fmt.Sprintf("%.16s", fp) }

// openStore reads a store, or makes it. The caller has the lock.
func openStore(path, name string, own ownership) (*store, error) {
	s := &store{path: path, name: name, own: own}
	if err := makeDir(path, own.directory()); err != nil {
		return nil, err
	}
	if err := own.directory().apply(path); err != nil {
		return nil, err
	}
	if err := removeTemps(path); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if v, ok := parseVersion(e.Name()); ok && e.IsDir() {
			s.versions = append(s.versions, v)
		}
	}
	slices.SortFunc(s.versions, func(a, b version) int { return a.number - b.number })
	to, err := os.Readlink(filepath.Join(path, live))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.live, _ = parseVersion(to)
	return s, nil
}

func parseVersion(dir string) (version, bool) {
	digits, digest, found := strings.Cut(dir, "-")
	number, err := strconv.Atoi(digits)
	if !found || err != nil || number <= 0 {
		return version{}, false
	}
	return version{number, digest, dir}, true
}

// add makes a version of the bundle and puts it in use.
func (s *store) add(b *Bundle) error {
	number := 1
	if n := len(s.versions); n > 0 {
		number = s.versions[n-1].number + 1
	}
	digest := digestOf(b.Fingerprint())
	v := version{number, digest, fmt.Sprintf("%06d-%s", number, digest)}
	temp, err := os.MkdirTemp(s.path, tempPrefix+"*") // mode 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	for _, file := range b.files().in(temp) {
		if err := writeFile(file.path, s.own, file.data); err != nil {
			return err
		}
	}
	dir, err := os.Open(temp)
	if err != nil {
		return err
	}
	if err := errors.Join(s.own.directory().give(dir), dir.Sync(), dir.Close()); err != nil {
		return err
	}
	if err := renameInto(temp, filepath.Join(s.path, v.dir)); err != nil {
		return err
	}
	s.versions = append(s.versions, v)
	return s.use(v)
}

func (s *store) use(v version) error {
	if err := replaceLink(filepath.Join(s.path, live), v.dir); err != nil {
		return err
	}
	s.replaced = s.live.number
	if s.live.digest == v.digest {
		s.replaced-- // the same with another owner or mode is nothing to go back to
	}
	s.live = v
	return nil
}

// before returns what was in use before the version that is, and makes its owner and mode
// those of today.
func (s *store) before() (version, *Bundle, error) {
	for _, v := range slices.Backward(s.versions) {
		if v.number >= s.live.number || v.digest == s.live.digest {
			continue
		}
		dir := filepath.Join(s.path, v.dir)
		files, err := readFiles(s.name, dir)
		if err != nil {
			return v, nil, err
		}
		b, err := parseUnlessSame(s.name, filepath.Join(dir, combinedFile), files.combined, Fingerprint{})
		if err != nil {
			return v, nil, err
		}
		err = s.own.directory().apply(dir)
		for _, file := range files.in(dir) {
			err = errors.Join(err, s.own.apply(file.path))
		}
		return v, b, err
	}
	return version{}, nil, fmt.Errorf("%s: no version to go back to: %w", s.name, ErrNotFound)
}

// prune removes the versions that are too many, and those that were never in use or were
// left by a rollback: they lie between the one in use and the one before it.
func (s *store) prune(keep int) error {
	switch {
	case keep == 0:
		keep = 3
	case keep < 0:
		keep = 1
	}
	for _, v := range slices.Backward(s.versions) {
		if v.number <= s.replaced {
			keep--
		}
		if v.number == s.live.number || v.number <= s.replaced && keep >= 0 {
			continue
		}
		// What is half removed must not look like a version.
		dead := filepath.Join(s.path, tempPrefix+v.dir)
		if err := os.Rename(filepath.Join(s.path, v.dir), dead); err != nil {
			return err
		}
		if err := os.RemoveAll(dead); err != nil {
			return err
		}
	}
	return nil
}

// The files of a version.
const (
	chainFile    = "fullchain.pem"
	keyFile      = "privkey.pem"
	combinedFile = "combined.pem"
)

// versionFiles are their contents. The last is a line with the digest, the key and the
// chain, so that each can be held against the others.
type versionFiles struct{ chain, key, combined []byte }

func (b *Bundle) files() versionFiles {
	return versionFiles{b.chain(), b.Key.Reveal(), b.Combined()}
}

func (f versionFiles) in(dir string) []export {
	return []export{
		{filepath.Join(dir, chainFile), f.chain},
		{filepath.Join(dir, keyFile), f.key},
		{filepath.Join(dir, combinedFile), f.combined},
	}
}

func (f versionFiles) fingerprint() Fingerprint {
	fp, _, _ := cutDigest(f.combined)
	return fp
}

// readFiles reads the files of a version, all of which must tell the same.
func readFiles(name, dir string) (f versionFiles, err error) {
	for file, into := range map[string]*[]byte{chainFile: &f.chain, keyFile: &f.key, combinedFile: &f.combined} {
		if *into, err = os.ReadFile(filepath.Join(dir, file)); err != nil {
			return f, err
		}
	}
	fp, body, ok := cutDigest(f.combined)
	if !ok || sha256.Sum256(body) != fp || !bytes.Equal(body, slices.Concat(f.key, f.chain)) {
		return f, &InvalidError{dir, name, RuleKey, fmt.Errorf("%s is not %s and %s together", combinedFile, keyFile, chainFile)}
	}
	return f, nil
}

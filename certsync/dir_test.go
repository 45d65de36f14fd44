package certsync_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/lab"
)

// authority is a LocalCA for a test.
func authority(t testing.TB) *certsync.LocalCA {
	t.Helper()
	ca, err := certsync.NewLocalCA(nil)
	require.NoError(t, err)
	return ca
}

func issue(t testing.TB, ca *certsync.LocalCA, name string, domains ...string) *certsync.Bundle {
	t.Helper()
	b, err := ca.Issue(t.Context(), certsync.Request{Name: name, Domains: domains})
	require.NoError(t, err)
	return b
}

func read(t testing.TB, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(data)
}

// tree lists every name below a directory, with modes.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		if e.Type()&os.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			require.NoError(t, err)
			rel += " -> " + to
		}
		list = append(list, info.Mode().String()+" "+rel)
		return nil
	}))
	return list
}

var layouts = map[string]certsync.Layout{"versions": certsync.Versions, "combined": certsync.Combined, "pair": certsync.Pair}

func TestInstallFetchRollback(t *testing.T) {
	for title, layout := range layouts {
		t.Run(title, func(t *testing.T) {
			ca := authority(t)
			dir := &certsync.Dir{Path: filepath.Join(t.TempDir(), "certs"), Layout: layout}
			_, err := dir.Fetch(t.Context(), "example.net", certsync.Fingerprint{})
			require.ErrorIs(t, err, certsync.ErrNotFound)
			require.ErrorIs(t, dir.Rollback(t.Context(), "example.net"), certsync.ErrNotFound)

			var made []*certsync.Bundle
			for range 3 {
				b := issue(t, ca, "example.net")
				made = append(made, b)
				require.NoError(t, dir.Install(t.Context(), b))
				have, err := dir.Fetch(t.Context(), "example.net", certsync.Fingerprint{})
				require.NoError(t, err)
				assert.Equal(t, b.Chain, have.Chain)
				assert.Equal(t, b.Key.Reveal(), have.Key.Reveal())
				_, err = dir.Fetch(t.Context(), "example.net", b.Fingerprint())
				assert.ErrorIs(t, err, certsync.ErrNotModified)
			}
			before := tree(t, dir.Path)
			require.NoError(t, dir.Install(t.Context(), made[2]))
			assert.Equal(t, before, tree(t, dir.Path), "nothing to do")

			installed := func() certsync.Fingerprint {
				b, err := dir.Fetch(t.Context(), "example.net", certsync.Fingerprint{})
				require.NoError(t, err)
				return b.Fingerprint()
			}
			require.NoError(t, dir.Rollback(t.Context(), "example.net"))
			assert.Equal(t, made[1].Fingerprint(), installed())
			// What was rolled back is not what a later rollback leads to.
			last := issue(t, ca, "example.net")
			require.NoError(t, dir.Install(t.Context(), last))
			require.NoError(t, dir.Rollback(t.Context(), "example.net"))
			assert.Equal(t, made[1].Fingerprint(), installed())
			require.NoError(t, dir.Rollback(t.Context(), "example.net"))
			assert.Equal(t, made[0].Fingerprint(), installed())
			assert.ErrorIs(t, dir.Rollback(t.Context(), "example.net"), certsync.ErrNotFound)
			assert.Equal(t, made[0].Fingerprint(), installed())
		})
	}
}

func TestWhatTheLayoutsLeave(t *testing.T) {
	ca := authority(t)
	b := issue(t, ca, "*.example.net")
	digest := b.Fingerprint().String()
	for _, test := range []struct {
		title string
		dir   certsync.Dir
		want  []string
	}{
		{"versions", certsync.Dir{Mode: 0o440}, []string{
			"drwx------ .certsync",
			"-rw------- .certsync/lock",
			"drwxr-x--- _.example.net",
			"drwxr-x--- _.example.net/000001-" + digest[:16],
			"-r--r----- _.example.net/000001-" + digest[:16] + "/combined.pem",
			"-r--r----- _.example.net/000001-" + digest[:16] + "/fullchain.pem",
			"-r--r----- _.example.net/000001-" + digest[:16] + "/privkey.pem",
			"Lrwxrwxrwx _.example.net/live -> 000001-" + digest[:16],
		}},
		{"combined", certsync.Dir{Layout: certsync.Combined, Mode: 0o640}, []string{
			"drwx------ .certsync",
			"-rw------- .certsync/lock",
			"drwxr-xr-x .certsync/versions",
			"drwx------ .certsync/versions/_.example.net",
			"drwx------ .certsync/versions/_.example.net/000001-" + digest[:16],
			"-rw------- .certsync/versions/_.example.net/000001-" + digest[:16] + "/combined.pem",
			"-rw------- .certsync/versions/_.example.net/000001-" + digest[:16] + "/fullchain.pem",
			"-rw------- .certsync/versions/_.example.net/000001-" + digest[:16] + "/privkey.pem",
			"Lrwxrwxrwx .certsync/versions/_.example.net/live -> 000001-" + digest[:16],
			"-rw-r----- _.example.net.pem",
			"-rw-r----- _.example.net.sha256",
		}},
		{"pair", certsync.Dir{Layout: certsync.Pair}, []string{
			"drwx------ .certsync",
			"-rw------- .certsync/lock",
			"drwxr-xr-x .certsync/versions",
			"drwx------ .certsync/versions/_.example.net",
			"drwx------ .certsync/versions/_.example.net/000001-" + digest[:16],
			"-rw------- .certsync/versions/_.example.net/000001-" + digest[:16] + "/combined.pem",
			"-rw------- .certsync/versions/_.example.net/000001-" + digest[:16] + "/fullchain.pem",
			"-rw------- .certsync/versions/_.example.net/000001-" + digest[:16] + "/privkey.pem",
			"Lrwxrwxrwx .certsync/versions/_.example.net/live -> 000001-" + digest[:16],
			"-rw------- _.example.net.crt",
			"-rw------- _.example.net.key",
		}},
	} {
		t.Run(test.title, func(t *testing.T) {
			test.dir.Path = t.TempDir()
			require.NoError(t, test.dir.Install(t.Context(), b))
			assert.Equal(t, test.want, tree(t, test.dir.Path))
		})
	}
}

// Key and chain in the combined file stand in the order that Postfix asks for, and the
// first line is what sha256sum says of the rest.
func TestCombinedFileHasTheKeyFirst(t *testing.T) {
	b := issue(t, authority(t), "example.net")
	dir := certsync.Dir{Path: t.TempDir(), Layout: certsync.Combined}
	require.NoError(t, dir.Install(t.Context(), b))
	text := read(t, dir.Path, "example.net.pem")
	assert.Equal(t, "# sha256 "+b.Fingerprint().String()+"\n"+string(b.Key.Reveal())+string(b.Chain), text)
	assert.Equal(t, b.Fingerprint().String()+"\n", read(t, dir.Path, "example.net.sha256"))
}

func TestOldVersionsAreKept(t *testing.T) {
	for keep, want := range map[int]int{0: 3, 1: 1, -1: 1, 5: 5} {
		ca := authority(t)
		dir := certsync.Dir{Path: t.TempDir(), Keep: keep}
		for range 8 {
			require.NoError(t, dir.Install(t.Context(), issue(t, ca, "example.net")))
		}
		entries, err := os.ReadDir(filepath.Join(dir.Path, "example.net"))
		require.NoError(t, err)
		assert.Len(t, entries, want+2, "keep %d: the old ones, the one in use and the link", keep)
	}
}

func TestOwnerAndModeAreSetAndMended(t *testing.T) {
	lab.NeedRoot(t)
	for title, layout := range layouts {
		t.Run(title, func(t *testing.T) {
			b := issue(t, authority(t), "example.net")
			dir := &certsync.Dir{Path: t.TempDir(), Layout: layout, Group: "mail", Mode: 0o440}
			path := map[certsync.Layout]string{certsync.Versions: "example.net/live/privkey.pem", certsync.Combined: "example.net.pem", certsync.Pair: "example.net.key"}[layout]
			path = filepath.Join(dir.Path, path)
			group := func() uint32 {
				info, err := os.Stat(path)
				require.NoError(t, err)
				assert.Equal(t, os.FileMode(0o440), info.Mode())
				return info.Sys().(*syscall.Stat_t).Gid
			}
			require.NoError(t, dir.Install(t.Context(), b))
			assert.EqualValues(t, 8, group(), "mail is group 8 on Debian")

			dir.Owner, dir.Group = "65534", "12"
			require.NoError(t, dir.Install(t.Context(), b))
			assert.EqualValues(t, 12, group())

			require.NoError(t, os.Chmod(path, 0o444))
			require.NoError(t, dir.Install(t.Context(), b))
			group()
		})
	}
	dir := certsync.Dir{Path: t.TempDir(), Group: "no such group"}
	_, isValue := errors.AsType[*certsync.ValueError](dir.Install(t.Context(), issue(t, authority(t), "example.net")))
	assert.True(t, isValue)
	assert.Empty(t, tree(t, dir.Path))
}

func TestAHalfIsNeverInstalled(t *testing.T) {
	ca := authority(t)
	good, other := issue(t, ca, "example.net"), issue(t, ca, "example.net")
	for title, layout := range layouts {
		for fault, b := range map[string]*certsync.Bundle{
			"mismatched pair": {Name: "example.net", Chain: good.Chain, Key: other.Key},
			"no key":          {Name: "example.net", Chain: good.Chain},
			"no chain":        {Name: "example.net", Key: good.Key},
			"not PEM":         {Name: "example.net", Chain: []byte("<html>404</html>"), Key: good.Key},
			"traversal":       {Name: "../example.net", Chain: good.Chain, Key: good.Key},
			"hidden":          {Name: ".certsync", Chain: good.Chain, Key: good.Key},
			"a wildcard's":    {Name: "_.example.net", Chain: good.Chain, Key: good.Key},
			"no name":         {Chain: good.Chain, Key: good.Key},
		} {
			t.Run(title+"/"+fault, func(t *testing.T) {
				dir := certsync.Dir{Path: t.TempDir(), Layout: layout}
				require.Error(t, dir.Install(t.Context(), b))
				assert.Empty(t, tree(t, dir.Path))
			})
		}
	}
}

// What somebody did by hand is found when it is read, and put right by an install.
func TestMixedFilesAreFound(t *testing.T) {
	for title, layout := range layouts {
		t.Run(title, func(t *testing.T) {
			ca := authority(t)
			b, other := issue(t, ca, "example.net"), issue(t, ca, "example.net")
			dir := certsync.Dir{Path: t.TempDir(), Layout: layout}
			require.NoError(t, dir.Install(t.Context(), b))
			path, text := filepath.Join(dir.Path, "example.net/live/privkey.pem"), other.Key.Reveal()
			switch layout {
			case certsync.Combined:
				path = filepath.Join(dir.Path, "example.net.pem")
				text = slices.Concat(other.Key.Reveal(), b.Chain)
			case certsync.Pair:
				path = filepath.Join(dir.Path, "example.net.key")
			}
			require.NoError(t, os.WriteFile(path, text, 0o600))
			_, err := dir.Fetch(t.Context(), "example.net", b.Fingerprint())
			invalid, ok := errors.AsType[*certsync.InvalidError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, certsync.RuleKey, invalid.Rule)
			require.NoError(t, dir.Install(t.Context(), b))
			_, err = dir.Fetch(t.Context(), "example.net", b.Fingerprint())
			assert.ErrorIs(t, err, certsync.ErrNotModified)
		})
	}
}

// The first install over files that another program wrote can be taken back.
func TestPresentFilesAreAdopted(t *testing.T) {
	ca := authority(t)
	present, next := issue(t, ca, "example.net"), issue(t, ca, "example.net")
	for title, dir := range map[string]certsync.Dir{"combined": {Layout: certsync.Combined}, "pair": {Layout: certsync.Pair}} {
		t.Run(title, func(t *testing.T) {
			dir.Path = t.TempDir()
			if dir.Layout == certsync.Combined {
				require.NoError(t, os.WriteFile(filepath.Join(dir.Path, "example.net.pem"), slices.Concat(present.Chain, present.Key.Reveal()), 0o600))
			} else {
				require.NoError(t, os.WriteFile(filepath.Join(dir.Path, "example.net.crt"), present.Chain, 0o600))
				require.NoError(t, os.WriteFile(filepath.Join(dir.Path, "example.net.key"), present.Key.Reveal(), 0o600))
			}
			_, err := dir.Fetch(t.Context(), "example.net", present.Fingerprint())
			require.ErrorIs(t, err, certsync.ErrNotModified)
			require.NoError(t, dir.Install(t.Context(), next))
			require.NoError(t, dir.Rollback(t.Context(), "example.net"))
			_, err = dir.Fetch(t.Context(), "example.net", present.Fingerprint())
			assert.ErrorIs(t, err, certsync.ErrNotModified)
		})
	}
}

func TestLeftoversOfACrashGo(t *testing.T) {
	ca := authority(t)
	dir := certsync.Dir{Path: t.TempDir(), Layout: certsync.Combined}
	require.NoError(t, dir.Install(t.Context(), issue(t, ca, "example.net")))
	clean := len(tree(t, dir.Path))
	for _, name := range []string{".certsync-1", ".certsync/versions/example.net/.certsync-2"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir.Path, name), []byte("half a key"), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir.Path, ".certsync/versions/example.net/000009-unused"), 0o700))
	require.NoError(t, dir.Install(t.Context(), issue(t, ca, "example.net")))
	list := tree(t, dir.Path)
	assert.Len(t, list, clean+4, "one version more, and nothing else: %s", strings.Join(list, "\n"))
}

// Neither the daemon that owns its files nor a group that may write them can put anything
// in the place of the directories in which root works.
func TestDirectoriesBelongToTheProcess(t *testing.T) {
	lab.NeedRoot(t)
	dir := certsync.Dir{Path: t.TempDir(), Owner: "65534", Mode: 0o660}
	require.NoError(t, dir.Install(t.Context(), issue(t, authority(t), "example.net")))
	for _, path := range []string{"example.net", "example.net/live"} {
		info, err := os.Stat(filepath.Join(dir.Path, path))
		require.NoError(t, err)
		assert.EqualValues(t, 0, info.Sys().(*syscall.Stat_t).Uid, path)
		assert.Equal(t, os.FileMode(0o751)|os.ModeDir, info.Mode(), path)
	}
	info, err := os.Stat(filepath.Join(dir.Path, "example.net/live/privkey.pem"))
	require.NoError(t, err)
	assert.EqualValues(t, 65534, info.Sys().(*syscall.Stat_t).Uid)
}

// A version that its readers cannot enter is put right.
func TestTheModeOfAVersionIsMended(t *testing.T) {
	dir := certsync.Dir{Path: t.TempDir(), Mode: 0o640}
	b := issue(t, authority(t), "example.net")
	require.NoError(t, dir.Install(t.Context(), b))
	live := filepath.Join(dir.Path, "example.net/live")
	require.NoError(t, os.Chmod(live, 0o700))
	require.NoError(t, dir.Install(t.Context(), b))
	info, err := os.Stat(live)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o750)|os.ModeDir, info.Mode())
}

// An owner that the file system does not take is an error, and no file is left with a key
// in it that another can read.
func TestAnOwnerThatIsNotKept(t *testing.T) {
	for _, id := range []string{"4294967295", "-1"} {
		dir := certsync.Dir{Path: t.TempDir(), Group: id}
		_, ok := errors.AsType[*certsync.ValueError](dir.Install(t.Context(), issue(t, authority(t), "example.net")))
		assert.True(t, ok, id)
	}
}

// A file where the versions of a bundle should lie is somebody's, and is left alone.
func TestAFileInThePlaceOfTheVersions(t *testing.T) {
	dir := certsync.Dir{Path: t.TempDir(), Mode: 0o644}
	path := filepath.Join(dir.Path, "example.net")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	require.ErrorIs(t, dir.Install(t.Context(), issue(t, authority(t), "example.net")), syscall.ENOTDIR)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
}

// A version goes back into use with the owner and mode of today.
func TestRollbackAfterAChangeOfMode(t *testing.T) {
	ca := authority(t)
	for title, layout := range layouts {
		t.Run(title, func(t *testing.T) {
			dir := certsync.Dir{Path: t.TempDir(), Layout: layout}
			old, next := issue(t, ca, "example.net"), issue(t, ca, "example.net")
			require.NoError(t, dir.Install(t.Context(), old))
			require.NoError(t, dir.Install(t.Context(), next))
			dir.Mode = 0o640
			for range 3 { // each a version more of the same
				require.NoError(t, dir.Install(t.Context(), next))
				dir.Mode ^= 0o040
			}
			dir.Mode = 0o644
			require.NoError(t, dir.Rollback(t.Context(), "example.net"))
			_, err := dir.Fetch(t.Context(), "example.net", old.Fingerprint())
			require.ErrorIs(t, err, certsync.ErrNotModified)
			before := tree(t, dir.Path)
			require.NoError(t, dir.Install(t.Context(), old))
			assert.Equal(t, before, tree(t, dir.Path), "nothing to put right")
			assert.ErrorIs(t, dir.Rollback(t.Context(), "example.net"), certsync.ErrNotFound)
		})
	}
}

// What another program has put in the place of the files is what a rollback leads to.
func TestRollbackToWhatAnotherProgramWrote(t *testing.T) {
	ca := authority(t)
	dir := certsync.Dir{Path: t.TempDir(), Layout: certsync.Pair}
	require.NoError(t, dir.Install(t.Context(), issue(t, ca, "example.net")))
	theirs := issue(t, ca, "example.net")
	require.NoError(t, os.WriteFile(filepath.Join(dir.Path, "example.net.crt"), theirs.Chain, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir.Path, "example.net.key"), theirs.Key.Reveal(), 0o600))
	require.NoError(t, dir.Install(t.Context(), issue(t, ca, "example.net")))
	require.NoError(t, dir.Rollback(t.Context(), "example.net"))
	_, err := dir.Fetch(t.Context(), "example.net", theirs.Fingerprint())
	assert.ErrorIs(t, err, certsync.ErrNotModified)
}

package zone

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onDisk writes a zone and what it includes, and opens it.
func onDisk(t *testing.T, files map[string]string) (dir string, f *File) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o640))
	}
	f, err := Open(filepath.Join(dir, "db"), "example.net", &Options{Dir: dir})
	require.NoError(t, err)
	return dir, f
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

var www = Record{Owner: "www", Type: "A", Data: "192.0.2.2"}

func bump(t *testing.T, f *File) uint32 {
	t.Helper()
	serial, err := f.Bump(Increment, time.Time{})
	require.NoError(t, err)
	return serial
}

func TestSaveReplacesWhatChanged(t *testing.T) {
	dir, f := onDisk(t, map[string]string{"db": soundZone})
	path := filepath.Join(dir, "db")
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	require.NoError(t, f.Save(t.Context()), "nothing to do")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, info.ModTime().Equal(old), "an unchanged file is not touched")

	require.NoError(t, f.Add(www))
	assert.Equal(t, uint32(2), bump(t, f))
	require.NoError(t, f.Save(t.Context()))
	assert.Equal(t, string(f.Bytes()), text(t, path))
	info, err = os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	assert.WithinDuration(t, time.Now(), info.ModTime(), time.Minute, "named loads nothing that is older than its last load")
	assert.Empty(t, f.Changes())
	assert.Equal(t, uint32(3), bump(t, f), "after a save, Bump raises again")
}

func TestSaveNeedsARaisedSerial(t *testing.T) {
	dir, f := onDisk(t, map[string]string{"db": soundZone})
	require.NoError(t, f.Add(www))
	require.ErrorIs(t, f.Save(t.Context()), ErrSerial)
	assert.Equal(t, soundZone, text(t, filepath.Join(dir, "db")), "nothing is written")

	require.NoError(t, f.Replace("@", "SOA", Record{Data: "ns1 hostmaster 0 3h 15m 2w 10m"}))
	require.ErrorIs(t, f.Save(t.Context()), ErrSerial, "0 is older than 1")

	_, err := f.Remove(www)
	require.NoError(t, err)
	require.NoError(t, f.Replace("@", "SOA", Record{Data: "ns1 hostmaster 1 3h 15m 2w 10m"}))
	require.NoError(t, f.Save(t.Context()), "there and back is no change")
}

func TestSaveRefusesWhatChangedOnDisk(t *testing.T) {
	dir, f := onDisk(t, map[string]string{"db": soundZone})
	require.NoError(t, f.Add(www))
	bump(t, f)
	other := soundZone + "other A 192.0.2.9\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "db"), []byte(other), 0o600))
	require.ErrorIs(t, f.Save(t.Context()), ErrStale)
	assert.Equal(t, other, text(t, filepath.Join(dir, "db")))
}

func TestSaveRefusesAZoneWithAJournal(t *testing.T) {
	dir, f := onDisk(t, map[string]string{"db": soundZone, "db.jnl": ""})
	require.NoError(t, f.Add(www))
	bump(t, f)
	require.ErrorIs(t, f.Save(t.Context()), ErrDynamic)
	assert.Equal(t, soundZone, text(t, filepath.Join(dir, "db")))
	while := context.WithValue(t.Context(), frozen{"example.net."}, true)
	require.NoError(t, f.Save(while), "within WhileFrozen")
}

func TestSaveOfParsedBytesIsAnError(t *testing.T) {
	f, err := Parse("db", "example.net", []byte(soundZone))
	require.NoError(t, err)
	require.NoError(t, f.Add(www))
	bump(t, f)
	assert.ErrorContains(t, f.Save(t.Context()), "parsed from bytes")
}

// TestSaveReplacesTheSOAFirst: a crash between two files shows as a serial that was
// raised for nothing, and never as records that changed under an old one.
func TestSaveReplacesTheSOAFirst(t *testing.T) {
	dir, f := onDisk(t, map[string]string{
		"db":        "$TTL 1d\n$INCLUDE soa/soa\n@ NS ns1\nns1 A 192.0.2.1\n$INCLUDE hosts\n",
		"soa/soa":   "@ IN SOA ns1 hostmaster 1 3h 15m 2w 10m ; shared\n",
		"hosts":     "mail A 192.0.2.3\n",
		"unrelated": "x",
	})
	require.NoError(t, f.Replace("mail", "A", Record{Data: "192.0.2.4"}))
	require.NoError(t, f.Replace("ns1", "A", Record{Data: "192.0.2.5"}))
	bump(t, f)
	var order []string
	for name := range f.saveOrder() {
		order = append(order, filepath.Base(name))
	}
	assert.Equal(t, []string{"soa", "db", "hosts"}, order)
	require.NoError(t, f.Save(t.Context()))
	assert.Equal(t, "@ IN SOA ns1 hostmaster 2 3h 15m 2w 10m ; shared\n", text(t, filepath.Join(dir, "soa/soa")))
	assert.Equal(t, "mail A 192.0.2.4\n", text(t, filepath.Join(dir, "hosts")))
	assert.Contains(t, text(t, filepath.Join(dir, "db")), "ns1 A 192.0.2.5\n")
}

func TestIncludes(t *testing.T) {
	_, f := onDisk(t, map[string]string{
		"db":    "$TTL 1d\n@ IN SOA ns1 hostmaster 1 3h 15m 2w 10m\n NS ns1\nns1 A 192.0.2.1\n$INCLUDE sub/a dept\nlast A 192.0.2.9\n",
		"sub/a": " A 192.0.2.2 ; still ns1\n$INCLUDE \"sub/b\"\nx A 192.0.2.3\n",
		"sub/b": "$TTL 60\ny A 192.0.2.4\n",
	})
	for name, want := range map[string]string{"ns1": "192.0.2.1", "x.dept": "192.0.2.3", "y.dept": "192.0.2.4", "last": "192.0.2.9"} {
		require.NotEmpty(t, f.Lookup(name, "A"), name)
		assert.Equal(t, want, f.Lookup(name, "A")[0].Data)
	}
	assert.Len(t, f.Lookup("ns1", "A"), 2, "an included file takes the owner before it")
	assert.Equal(t, time.Minute, *f.Lookup("last", "A")[0].TTL, "$TTL leaks out of an included file")
	y := f.Lookup("y.dept", "A")[0]
	assert.Equal(t, "b", filepath.Base(y.File))
	assert.Equal(t, 2, y.Line)
	require.NoError(t, f.Replace("y.dept", "A", Record{Data: "192.0.2.44"}))
	for name, data := range f.Files() {
		if filepath.Base(name) == "b" {
			assert.Equal(t, "$TTL 60\ny A 192.0.2.44\n", string(data))
		}
	}
}

func TestIncludesThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a loop":             {map[string]string{"db": soundZone + "$INCLUDE a\n", "a": "$INCLUDE b\n", "b": "\n$INCLUDE a\n"}, `b:2:10: $INCLUDE of "a", which leads back to itself`},
		"a file that is not": {map[string]string{"db": soundZone + "$INCLUDE a\n"}, "db:5:10: $INCLUDE: "},
		"a broken file":      {map[string]string{"db": soundZone + "$INCLUDE a\n", "a": "x A ( 192.0.2.1\n"}, "a:1:5: parenthesis that is not closed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range test.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
			_, err := Open(filepath.Join(dir, "db"), "example.net", &Options{Dir: dir})
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestAFileThatIsIncludedTwiceCannotBeEdited(t *testing.T) {
	_, f := onDisk(t, map[string]string{"db": soundZone + "$INCLUDE a one\n$INCLUDE a two\n", "a": "x A 192.0.2.1\n"})
	require.Len(t, f.Lookup("x.one", "A"), 1)
	require.Len(t, f.Lookup("x.two", "A"), 1)
	before := string(f.Bytes())
	err := f.Replace("x.two", "A", Record{Data: "192.0.2.2"})
	assert.ErrorContains(t, err, "the zone includes this file 2 times")
	assert.Equal(t, before, string(f.Bytes()))
}

func TestWhatGenerateMakesCannotBeEdited(t *testing.T) {
	f, err := Parse("db", "example.net", []byte(soundZone+"$GENERATE 1-3 h$ A 192.0.2.$\n"))
	require.NoError(t, err)
	require.Len(t, f.Lookup("h2", "A"), 1)
	for _, err := range []error{
		f.Replace("h2", "A", Record{Data: "192.0.2.9"}),
		func() error { _, err := f.Remove(Record{Owner: "h2", Type: "A", Data: "192.0.2.2"}); return err }(),
	} {
		assert.ErrorContains(t, err, "db:5: h2.example.net. A is made by $GENERATE here")
	}
}

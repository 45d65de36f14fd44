package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"zonectl": main})
}

func TestScript(t *testing.T) {
	testscript.Run(t, params(nil, "read.txtar", "edit.txtar", "usage.txtar"))
}

func params(env []string, scripts ...string) testscript.Params {
	p := testscript.Params{
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": lab.Exits},
		Setup: func(e *testscript.Env) error {
			// With the race detector, each program would sleep a second at its end.
			e.Vars = append(append(e.Vars, "GORACE=atexit_sleep_ms=0"), env...)
			return nil
		},
	}
	for _, name := range scripts {
		p.Files = append(p.Files, filepath.Join("testdata/script", name))
	}
	return p
}

// TestGuessOrigin tells when a file's name is taken for the zone's.
func TestGuessOrigin(t *testing.T) {
	for file, want := range map[string]string{
		"db.example.net":               "example.net",
		"/etc/bind/db.example.net":     "example.net",
		"example.net.zone":             "example.net",
		"example.net.db":               "example.net",
		"zones/example.net":            "example.net",
		"db.2.0.192.in-addr.arpa":      "2.0.192.in-addr.arpa",
		"db.127":                       "",
		"db.192.0.2":                   "",
		"db.local":                     "",
		"zone":                         "",
		"db.example.net.zone":          "example.net",
		"named/example.net.drain.zone": "example.net.drain",
	} {
		assert.Equal(t, want, guessOrigin(file), file)
	}
}

// TestServed runs the whole move against the real named: a primary, a secondary
// that hears of changes, and a slow one that does not and asks every two seconds.
func TestServed(t *testing.T) {
	lab.Need(t, "named", "rndc")
	archive, err := txtar.ParseFile("testdata/script/served.txtar")
	require.NoError(t, err)
	files := map[string]string{}
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "db.") {
			files[f.Name] = string(f.Data)
		}
	}
	notified := lab.FreeAddr(t)
	primary := lab.StartNamed(t, lab.Named{
		Options: lab.Notify,
		Config: fmt.Sprintf(`zone "example.net" { type primary; file "db.example.net"; allow-transfer { any; };
			notify explicit; also-notify { %s port %d; }; };
		zone "example.org" { type primary; file "db.example.org"; allow-transfer { any; }; allow-update { any; }; };`,
			notified.Addr(), notified.Port()),
		Files: files,
	})
	secondary := fmt.Sprintf(`type secondary; primaries { %s port %d; }; file "copy";`, primary.Addr.Addr(), primary.Addr.Port())
	lab.StartNamed(t, lab.Named{Addr: notified, Options: lab.Notify, Config: fmt.Sprintf(`zone "example.net" { %s };`, secondary)})
	slow := lab.StartNamed(t, lab.Named{Options: lab.Notify,
		Config: fmt.Sprintf(`zone "example.net" { %s min-refresh-time 2; max-refresh-time 2; };`, secondary)})
	conf := fmt.Sprintf("include %q;\noptions { default-server %s; default-port %d; default-key rndc-key; };\n",
		primary.RNDCKey, primary.RNDCHost, primary.RNDCPort)
	require.NoError(t, os.WriteFile(primary.Path("rndc.conf"), []byte(conf), 0o600))
	testscript.Run(t, params([]string{
		"ZONES=" + primary.Dir,
		"PRIMARY=" + primary.Addr.String(),
		"FAST=" + notified.String(),
		"SLOW=" + slow.Addr.String(),
	}, "served.txtar"))
}

// TestAsBefore raises serials of each kind without changing it.
func TestAsBefore(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for old, want := range map[uint32]uint32{
		7: 8, 4294967295: 1, 2026112107: 2026112200, 2999010100: 2999010101, 2026133107: 2026133108,
		1795348800: 1795348801, 1801010100: 1801010101, // seconds since 1970
	} {
		got, err := asBefore(old, now)
		require.NoError(t, err)
		assert.Equal(t, want, got, old)
	}
}

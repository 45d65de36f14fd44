package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rehost/rehost/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Isolate()
	testscript.Main(m, map[string]func(){"portfwd": main})
}

func TestUsage(t *testing.T) {
	lab.Need(t, "script")
	testscript.Run(t, params(t, "usage.txtar"))
}

// TestLive runs the commands against the real iptables of a router.
func TestLive(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			lab.UseIPTables(t, backend)
			router := lab.NewHost(t, "router")
			p := params(t, "live.txtar")
			p.Cmds["router"] = func(ts *testscript.TestScript, _ bool, args []string) {
				words := router.Command(args[1:]...)
				lab.Exits(ts, false, append([]string{args[0]}, words...))
			}
			testscript.Run(t, p)
		})
	}
}

func params(t *testing.T, script string) testscript.Params {
	sample, err := filepath.Abs("../migrate/senate.toml")
	if err != nil {
		t.Fatal(err)
	}
	return testscript.Params{
		Files:         []string{filepath.Join("testdata/script", script)},
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": lab.Exits},
		Setup: func(e *testscript.Env) error {
			// With the race detector, each program would sleep a second at its end.
			e.Vars = append(e.Vars, "GORACE=atexit_sleep_ms=0", "SENATE="+sample)
			return nil
		},
	}
}

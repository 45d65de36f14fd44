package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
				exits(ts, false, append([]string{args[0]}, words...))
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
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(e *testscript.Env) error {
			// With the race detector, each program would sleep a second at its end.
			e.Vars = append(e.Vars, "GORACE=atexit_sleep_ms=0", "SENATE="+sample)
			return nil
		},
	}
}

// exits is a command of the scripts: exits STATUS PROGRAM [ARGUMENT...].
func exits(ts *testscript.TestScript, _ bool, args []string) {
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		status, err = failed.ExitCode(), nil
	}
	if err != nil || strconv.Itoa(status) != args[0] {
		ts.Fatalf("%s exits with %d (%v), and not with status %s", strings.Join(args[1:], " "), status, err, args[0])
	}
}

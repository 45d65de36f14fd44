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
	testscript.Main(m, map[string]func(){"tunnel": main})
}

func TestFiles(t *testing.T) {
	lab.Need(t, "wg")
	sample, err := filepath.Abs("../migrate/senate.toml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, params([]string{"SENATE=" + sample}, "usage.txtar", "files.txtar"))
}

// TestLive runs the commands on two machines whose devices are WireGuard's own
// userspace program.
func TestLive(t *testing.T) {
	lab.Need(t, "wg", "bash")
	router, guest := lab.NewHost(t, "router"), lab.NewHost(t, "guest")
	lab.Join(t,
		lab.NIC{Host: router, Iface: "ens5", Addrs: []string{"203.0.113.5/24"}},
		lab.NIC{Host: guest, Iface: "eth0", Addrs: []string{"203.0.113.9/24"}})
	lab.StartWireGuard(t, router, "wgr")
	lab.StartWireGuard(t, guest, "wgv")
	p := params(nil, "live.txtar")
	for name, host := range map[string]lab.Host{"router": router, "guest": guest} {
		p.Cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) {
			lab.Exits(ts, false, append(args[:1:1], host.Command(args[1:]...)...))
		}
	}
	testscript.Run(t, p)
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

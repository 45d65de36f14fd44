package lab

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Exits is a command for a program's scripts: exits STATUS PROGRAM [ARGUMENT...].
func Exits(ts *testscript.TestScript, _ bool, args []string) {
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		status, err = failed.ExitCode(), nil
	}
	if err != nil || strconv.Itoa(status) != args[0] {
		ts.Fatalf("%s exits with %d (%v), and not with status %s", strings.Join(args[1:], " "), status, err, args[0])
	}
}

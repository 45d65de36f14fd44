//go:build !linux

package rehearsal

import (
	"errors"
	"os/exec"
)

// isolate is for Linux only.
func isolate(*exec.Cmd) error { return errors.New("only Linux has namespaces") }

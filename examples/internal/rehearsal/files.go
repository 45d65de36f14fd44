package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/zone"
)

// rendered is a file as a phase installs it; dir is the host, or a variant of it.
func (r *rehearsal) rendered(phase int, dir, file string) ([]byte, error) {
	return fs.ReadFile(r.Rendered, path.Join(r.Phases[phase-1].Dir, dir, file))
}

// file is a host's file as it is after a phase: as the last phase that has it installs it,
// or as it is today.
func (r *rehearsal) file(phase int, host, name string) ([]byte, error) {
	for n := phase; n > 0; n-- {
		if data, err := r.rendered(n, host, name); !missing(err) {
			return data, err
		}
	}
	return fs.ReadFile(r.Present, path.Join(host, name))
}

// guestNetwork are the guest's network files of today, and those that a phase installs.
var guestNetwork = []string{"rc.conf", "modules.conf", "sysctl.conf", "mygate", "mygate6", "ifconfig.*"}

// copyGuest copies the guest's network files, as they are after a phase, to /etc below
// root.
func (r *rehearsal) copyGuest(phase int, root string) error {
	etc := filepath.Join(root, "etc")
	if err := os.MkdirAll(etc, 0o700); err != nil {
		return err
	}
	errs := []error{copyNetwork(r.Present, r.Move.Guest.Name, etc)}
	for _, p := range r.Phases[:phase] {
		errs = append(errs, copyNetwork(r.Rendered, path.Join(p.Dir, r.Move.Guest.Name), etc))
	}
	return errors.Join(errs...)
}

func copyNetwork(in fs.FS, dir, to string) error {
	for _, pattern := range guestNetwork {
		names, err := fs.Glob(in, path.Join(dir, "etc", pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			data, err := fs.ReadFile(in, name)
			if err == nil {
				err = os.WriteFile(filepath.Join(to, path.Base(name)), data, 0o600)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rehearsal) zoneOfToday() (*zone.File, error) {
	data, err := fs.ReadFile(r.Present, path.Join(r.Move.Guest.Name, r.Move.DNS.Zone))
	if err != nil {
		return nil, err
	}
	return zone.Parse(r.Move.DNS.Zone, r.Move.Domain, data)
}

// missing tells a file that nothing was rendered for.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// tunnelFile is the guest's ifconfig.IF of the tunnel.
func tunnelFile(m *move.Move) string { return "/etc/ifconfig." + m.Tunnel.Iface }

// programPatience is how long a program may run.
const programPatience = 20 * time.Second

// why is the first line that a program said, or why it could not be run.
func why(said []byte, err error) string {
	if line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n"); line != "" {
		return line
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("it was not over after %s", report.Seconds(programPatience))
	}
	if _, ran := errors.AsType[*exec.ExitError](err); ran {
		return err.Error()
	}
	if errors.Is(err, syscall.ENOSPC) { // clone(2) says so
		err = errors.New("there may be no more user namespaces (sysctl user.max_user_namespaces)")
	}
	return fmt.Sprintf("it cannot be run in a network of its own: %v", err)
}

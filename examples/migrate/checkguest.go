package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/wgpeer"
)

// output runs a program of the machine that is looked at.
func (st *station) output(ctx context.Context, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = patience // for what it may have left behind
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", untried("there is no " + argv[0] + " here")
	case err != nil && os.Geteuid() != 0:
		return "", untried("only root can do this")
	case err != nil:
		return "", fmt.Errorf("%s: %s", strings.Join(argv, " "), cmp.Or(strings.TrimSpace(stderr.String()), err.Error()))
	}
	return stdout.String(), nil
}

// runsRelease is that the guest has come back with the new kernel.
func runsRelease(m *move.Move) check {
	to := m.Guest.Upgrade.To
	return check{Text: "`uname -r` says " + to + ".", On: m.Guest.Name, How: "uname -r",
		Try: func(ctx context.Context, st *station) (string, error) {
			out, err := st.output(ctx, "uname", "-r")
			if is := strings.TrimSpace(out); err == nil && is != to && !strings.HasPrefix(is, to+"_") {
				err = fmt.Errorf("it runs %s: has it been booted since the step before?", is)
			}
			return strings.TrimSpace(out), err
		}}
}

// guestKey is that the private key belongs to the public one that the router has.
func guestKey(m *move.Move, text string) check {
	return check{Text: text, On: m.Guest.Name, Files: true, How: "the key file is read",
		Try: func(_ context.Context, st *station) (string, error) {
			path := st.path(m.Tunnel.Guest.KeyFile)
			info, err := os.Stat(path)
			if err != nil {
				return "", missing(err, "make it, with the commands of this step")
			}
			if mode := info.Mode().Perm(); mode&0o077 != 0 {
				return "", fmt.Errorf("%s: its mode is %04o, and others can read the key: make another one", path, mode)
			}
			key, err := wgpeer.ReadPrivateKeyFile(path)
			if err != nil {
				return "", err
			}
			if public := key.Public().String(); public != m.Tunnel.Guest.PublicKey {
				return "", fmt.Errorf("%s: its public half is %s: put that into the move file as tunnel.guest.public_key and render again", path, public)
			}
			return "", nil
		}}
}

// tunnelAnswers is that packets pass the tunnel from the guest: it takes a handshake for
// that. A ping would ask the same; not every system has it where this program finds it.
func tunnelAnswers(m *move.Move, text string) check {
	router := m.Tunnel.Router.Addr(true)
	return check{Text: text, On: m.Guest.Name, How: "a TCP connection through the tunnel",
		Try: respondsAt(netip.AddrPortFrom(router, m.Handover.Port), "both ends' keys, udp "+fmt.Sprint(m.Tunnel.Port)+" in the cloud's inbound rules, and at the router's firewall")}
}

// networkFits is that what spans the guest's network files is right: the mistakes that
// are seen only when the machine boots.
func networkFits(m *move.Move) check {
	return check{Text: fmt.Sprintf("Nothing in /etc on %s keeps its network from coming up at the next boot.", m.Guest.Name),
		On: m.Guest.Name, Files: true, How: "rc.conf, ifconfig.*, modules.conf and mygate are read as rc(8) does",
		Try: func(_ context.Context, st *station) (string, error) {
			err := st.stay("/etc", func(name string) bool {
				return strings.HasPrefix(name, "ifconfig.") || slices.Contains([]string{"rc.conf", "modules.conf", "sysctl.conf", "mygate", "mygate6"}, name)
			})
			if err != nil {
				return "", err
			}
			host, err := netbsdcfg.OpenHost(st.root)
			if err != nil {
				return "", err
			}
			return "", host.Check().Err()
		}}
}

// onlyTheTunnel is that no other default route is left.
func onlyTheTunnel(m *move.Move) check {
	return check{Text: "`/etc/mygate` is gone, and defaultroute in rc.conf is commented out: the only default route is the tunnel's.", On: m.Guest.Name, Files: true, How: "both files are read",
		Try: func(_ context.Context, st *station) (string, error) {
			var errs []error
			for _, name := range gates() {
				if _, err := os.Lstat(st.path(name)); err == nil {
					errs = append(errs, fmt.Errorf("%s:1: it sets a default route past the tunnel: move it to /root/move/before", st.path(name)))
				} else if !errors.Is(err, fs.ErrNotExist) {
					errs = append(errs, err)
				}
			}
			rc, err := netbsdcfg.OpenRC(st.path("/etc/rc.conf"))
			if err != nil {
				return "", errors.Join(append(errs, err)...)
			}
			for _, key := range []string{"defaultroute", "defaultroute6"} {
				if value, _ := rc.Get(key); value != "" {
					errs = append(errs, fmt.Errorf("%s: %s is %q, a default route past the tunnel: comment it out", st.path("/etc/rc.conf"), key, value))
				}
			}
			return "", errors.Join(errs...)
		}}
}

// rulesReply is that pf is on, and has the rules which answer by the way of the question.
func rulesReply(m *move.Move, text string) check {
	return check{Text: text, On: m.Guest.Name, OldPath: true, How: "pfctl -s info, and pfctl -sr",
		Try: func(ctx context.Context, st *station) (string, error) {
			info, err := st.output(ctx, "pfctl", "-s", "info")
			if err != nil {
				return "", err
			}
			if !strings.Contains(info, "Status: Enabled") {
				return "", errors.New("pf has rules, and is off: /etc/rc.d/pf start, and kill the job that turns it off after five minutes")
			}
			out, err := st.output(ctx, "pfctl", "-sr")
			if err != nil {
				return "", err
			}
			var errs []error
			for _, p := range m.Tunnel.Router.Addresses {
				reply := fmt.Sprintf("reply-to (%s %s)", m.Tunnel.Iface, p.Addr())
				if !strings.Contains(out, reply) {
					errs = append(errs, fmt.Errorf("pf has no rule with %s: pfctl -f /etc/pf.conf", reply))
				}
			}
			return "", errors.Join(errs...)
		}}
}

// takenAlong is that the guest has the files of its first boot at home with it.
func takenAlong(m *move.Move) check {
	return check{Text: fmt.Sprintf("/root/move on %s has the files of phase 6.", m.Guest.Name), On: m.Guest.Name, Files: true, How: "they are read and compared",
		Try: func(_ context.Context, st *station) (string, error) {
			var errs []error
			n := 0
			for _, s := range st.p.Phases[6-1].Steps {
				for _, f := range s.Files {
					if s.Host != m.Guest.Name {
						continue
					}
					n++
					at := st.path("/root/move" + f.Path)
					data, err := os.ReadFile(at)
					if err == nil {
						err = differs(at, data, f)
					}
					errs = append(errs, missing(err, "copy the folder again"))
				}
			}
			return fmt.Sprintf("%d of them", n), errors.Join(errs...)
		}}
}

// diskAtHome is that fstab does not name the disk as the provider's host calls it.
func diskAtHome(m *move.Move) check {
	return check{Text: "/etc/fstab names the disk as it is called at home, ld0, or by NAME=.", On: m.Guest.Name, Files: true, How: "fstab is read",
		Try: func(_ context.Context, st *station) (string, error) {
			path := st.path("/etc/fstab")
			data, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			var errs []error
			n := 0
			for line := range strings.Lines(string(data)) {
				n++
				words := strings.Fields(line)
				if len(words) == 0 {
					continue
				}
				device, ok := strings.CutPrefix(words[0], "/dev/")
				if ok && !strings.HasPrefix(device, "ld0") && !strings.HasPrefix(device, "dk") && !strings.HasPrefix(device, "cd") {
					errs = append(errs, fmt.Errorf("%s:%d: there is no /dev/%s at home: write ld0, or NAME= of a wedge", path, n, device))
				}
			}
			return "", errors.Join(errs...)
		}}
}

// queued is how many mails may wait before something is wrong.
const queued = 500

// queueShort is that mail leaves: what could not be delivered waits in Postfix's queue.
func queueShort(m *move.Move, text string) check {
	return check{Text: text, On: m.Guest.Name, Files: true, How: "the files of Postfix's queue are counted",
		Try: func(_ context.Context, st *station) (string, error) {
			spool, n := st.path("/var/spool/postfix"), 0
			for _, queue := range []string{"incoming", "active", "deferred"} {
				err := filepath.WalkDir(filepath.Join(spool, queue), func(_ string, d fs.DirEntry, err error) error {
					if err == nil && d.Type().IsRegular() {
						n++
					}
					return err
				})
				if errors.Is(err, fs.ErrNotExist) {
					return "", untried("there is no " + filepath.Join(spool, queue) + ": look at mailq")
				}
				if err != nil {
					return "", err
				}
			}
			if n > queued {
				return "", fmt.Errorf("%s: %d mails wait: is port 25 open from %s to the world? Have the cloud open it, then \"postqueue -f\"", spool, n, m.Router.Name)
			}
			return fmt.Sprintf("%d mails wait", n), nil
		}}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rehost/rehost/bhyve"
	"github.com/rehost/rehost/examples/internal/certconf"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/internal/textfile"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/pfrules"
	"github.com/rehost/rehost/wgpeer"
	"github.com/rehost/rehost/zone"
)

// machines are the hosts' files: at first as they are today, and after each
// phase as it leaves them. A file is named by host and path, "senate/etc/rc.conf".
type machines struct {
	from  string // where they were read, for messages
	files map[string][]byte
}

// readMachines reads a folder that has one folder per host, and in it the host's
// files at their places. Those that no phase edits or checks are passed over: a
// whole /etc holds secrets, and links to places outside.
func readMachines(from string, in fs.FS, m *move.Move) (*machines, error) {
	ms := &machines{from: from, files: map[string][]byte{}}
	hosts := []string{m.Guest.Name, m.Hypervisor.Name, m.Router.Name}
	err := fs.WalkDir(in, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && name[0] == '.' {
				return fs.SkipDir // such as .git
			}
			return nil
		}
		host, file, _ := strings.Cut(name, "/")
		if !slices.Contains(hosts, host) {
			return fmt.Errorf("%s: no machine called %q in the move, which knows %s: call its folder one of these", path.Join(from, name), host, strings.Join(hosts, ", "))
		}
		kind := kindOf(m, host, file)
		if kind == unknown || (kind == nginxFile || kind == hookScript) && !d.Type().IsRegular() {
			return nil // a link in sites-enabled, or in if-post-down.d, leads to a file beside it
		}
		if info, err := fs.Stat(in, name); err != nil {
			return fmt.Errorf("%s: %w: a copy of the file itself has to be there, and no link out of the folder", path.Join(from, name), err)
		} else if !info.Mode().IsRegular() {
			return fmt.Errorf("%s: not a regular file: a copy of the file itself has to be there", path.Join(from, name))
		}
		ms.files[name], err = fs.ReadFile(in, name)
		return err
	})
	return ms, err
}

// A kind of file is what its reader makes of it.
type kind int

const (
	unknown kind = iota
	guestNetwork
	pfConf
	linuxSysctl
	wireGuard
	fragment // nothing reads it, but one that is there is replaced
	nginxFile
	vmBhyve
	certsyncdFile
	zoneFile
	hookScript
	rulesFile
)

func kindOf(m *move.Move, host, file string) kind {
	dir, base := path.Split(file)
	switch {
	case host == m.Guest.Name && file == "etc/pf.conf":
		return pfConf
	case host == m.Guest.Name && "/"+file == m.DNS.Zone:
		return zoneFile
	case host == m.Guest.Name && dir == "etc/" && (strings.HasPrefix(base, "ifconfig.") ||
		slices.Contains([]string{"rc.conf", "modules.conf", "sysctl.conf", "mygate", "mygate6"}, base)):
		return guestNetwork
	case host == m.Hypervisor.Name && "/"+file == guestFile(m):
		return vmBhyve
	case host == m.Router.Name && (file == "etc/sysctl.conf" || dir == "etc/sysctl.d/"):
		return linuxSysctl
	case host == m.Router.Name && "/"+file == wgConf(m):
		return wireGuard
	case host == m.Router.Name && file == "etc/network/interfaces.d/"+m.Tunnel.Iface:
		return fragment
	case host == m.Router.Name && (file == "etc/rc.local" || strings.HasPrefix(dir, "etc/network/if-")):
		return hookScript
	case host == m.Router.Name && dir == "etc/iptables/":
		return rulesFile
	case "/"+file == certsyncdPath:
		return certsyncdFile
	case strings.Contains(file, "/nginx/"):
		return nginxFile
	}
	return unknown
}

// A text is what the packages' files have in common.
type text interface {
	Bytes() []byte
	Changes() string
	Check() netbsdcfg.Problems
}

// edit changes a host's file, which need not exist, and keeps the result for the
// phases that follow.
func edit[F text](ms *machines, host, file string, parse func(string, []byte) (F, error), change func(F) error) (rendered, error) {
	name := host + file
	f, err := parse(name, ms.files[name])
	if err != nil {
		return rendered{}, err
	}
	if err := change(f); err != nil {
		if e, ok := errors.AsType[*netbsdcfg.ParseError](err); ok {
			return rendered{}, e // it names the file, and the line
		}
		return rendered{}, fmt.Errorf("%s: %w", name, err)
	}
	r := rendered{Dir: host, Path: file, Mode: 0o644, data: f.Bytes()}
	if old, ok := ms.files[name]; ok {
		r.Changes, r.before = f.Changes(), old
	}
	ms.files[name] = r.data
	return r, nil
}

// create renders a host's file as a whole; a phase before may have done so too.
func (ms *machines) create(host, file string, data []byte) rendered {
	name := host + file
	r := rendered{Dir: host, Path: file, Mode: 0o644, data: data}
	if old, ok := ms.files[name]; ok {
		r.Changes, r.before = textfile.Diff(name, old, name, data), old
	}
	ms.files[name] = data
	return r
}

func parseLinuxSysctl(name string, data []byte) (*netbsdcfg.Sysctl, error) {
	return netbsdcfg.ParseSysctl(name, netbsdcfg.Linux, data)
}

func parsePF(name string, data []byte) (*pfrules.File, error) {
	return pfrules.Parse(name, pfrules.NetBSD, data)
}

// check reads every file as the program that owns it does, in the state that a
// phase leaves, or as it is today. at is the phase's folder or where today's
// files are, for messages.
func (ms *machines) check(m *move.Move, at string) netbsdcfg.Problems {
	problems := ms.checkGuest(m)
	for _, name := range slices.Sorted(maps.Keys(ms.files)) {
		problems = append(problems, ms.checkFile(m, name)...)
	}
	problems.Sort()
	for i := range problems {
		problems[i].File = path.Join(at, problems[i].File)
	}
	return problems
}

func (ms *machines) checkFile(m *move.Move, name string) netbsdcfg.Problems {
	data := ms.files[name]
	host, file, _ := strings.Cut(name, "/")
	switch kindOf(m, host, file) {
	case vmBhyve:
		return problemsOf(bhyve.Parse(name, data))
	case pfConf:
		return problemsOf(parsePF(name, data))
	case linuxSysctl:
		return problemsOf(parseLinuxSysctl(name, data))
	case zoneFile:
		return append(problemsOf(zone.Parse(name, m.Domain, data)), includes(m, name, data)...)
	case wireGuard:
		return problemsOf(wgpeer.Parse(name, data))
	case nginxFile:
		return checkNginx(name, data)
	case hookScript:
		return checkHook(name, data)
	case rulesFile:
		return checkRules(name, data)
	case certsyncdFile:
		if _, err := certconf.Load(name, data); err != nil {
			return netbsdcfg.Problems{{File: name, Severity: netbsdcfg.Error, Message: err.Error()}}
		}
	}
	return nil // the guest's network files are checked together
}

// includes refuses a zone of several files: only the first one is edited, and what it
// includes would keep the old address and the long TTLs.
func includes(m *move.Move, name string, data []byte) (problems netbsdcfg.Problems) {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if bytes.HasPrefix(bytes.ToUpper(line), []byte("$INCLUDE")) {
			problems = append(problems, netbsdcfg.Problem{File: name, Line: n, Severity: netbsdcfg.Error,
				Message: fmt.Sprintf("$INCLUDE is not followed, and what it brings in would keep the old address: put its lines here, on %s too, with $ORIGIN where it has one", m.Guest.Name)})
		}
	}
	return problems
}

// problemsOf returns what is wrong with a file, also if it cannot be read at all.
func problemsOf[F text](f F, err error) netbsdcfg.Problems {
	if e, ok := errors.AsType[*netbsdcfg.ParseError](err); ok {
		return netbsdcfg.Problems{{File: e.File, Line: e.Line, Col: e.Col, Severity: netbsdcfg.Error, Message: e.Err.Error()}}
	}
	if err != nil {
		return netbsdcfg.Problems{{Severity: netbsdcfg.Error, Message: err.Error()}}
	}
	return f.Check()
}

// checkGuest checks the guest's /etc as a whole: its worst mistakes lie between
// two files.
func (ms *machines) checkGuest(m *move.Move) netbsdcfg.Problems {
	guest := m.Guest.Name
	root, err := os.MkdirTemp("", "migrate-")
	if err != nil { // which is no fault of the guest's
		return netbsdcfg.Problems{{Severity: netbsdcfg.Error, Message: "no room for a copy of the guest's files: " + err.Error()}}
	}
	defer os.RemoveAll(root)
	host, err := ms.copyGuest(guest, root)
	if err != nil {
		return netbsdcfg.Problems{{File: guest, Severity: netbsdcfg.Error, Message: err.Error()}}
	}
	problems := host.Check()
	for i := range problems {
		problems[i].Message = strings.ReplaceAll(problems[i].Message, root, "")
		if file, err := filepath.Rel(root, problems[i].File); err == nil {
			problems[i].File = path.Join(guest, filepath.ToSlash(file))
		}
	}
	return problems
}

// copyGuest copies the guest's files below root, and opens them.
func (ms *machines) copyGuest(guest, root string) (*netbsdcfg.Host, error) {
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o700); err != nil {
		return nil, err
	}
	for name, data := range ms.files {
		if file, ok := strings.CutPrefix(name, guest+"/"); ok {
			at := filepath.Join(root, filepath.FromSlash(file))
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, data, 0o600)); err != nil {
				return nil, err
			}
		}
	}
	return netbsdcfg.OpenHost(root)
}

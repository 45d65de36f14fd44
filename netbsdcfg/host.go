package netbsdcfg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// A Host is what configures the network of a machine: the files below its /etc,
// but for /etc/rc.conf.d/network, which rc.d/network reads after rc.conf.
// A file that the machine does not have is nil, or not in the map; to start one,
// put it there:
//
//	if host.Modules == nil {
//		host.Modules, err = netbsdcfg.CreateModules(host.Path("modules.conf"))
//	}
//
// Edits are made through the fields; Check and Save look at all of them.
type Host struct {
	RC       *RC                  // rc.conf, which every machine should have
	Ifconfig map[string]*Ifconfig // every ifconfig.IF, by interface
	Modules  *Modules             // modules.conf
	Sysctl   *Sysctl              // sysctl.conf
	MyGate   *MyGate              // mygate, the gateway if rc.conf names none
	MyGate6  *MyGate              // mygate6, the same for IPv6

	root string
	odd  []string // paths like that of an ifconfig.IF, without an interface
}

// OpenHost reads the files below root: "/", or where the file system of another
// machine is mounted or copied to. The error is os.ErrNotExist if there is no
// etc in it. A symbolic link that leads out of root is an error, for it would
// lead to a file of this machine.
func OpenHost(root string) (*Host, error) {
	h := &Host{root: root, Ifconfig: map[string]*Ifconfig{}}
	entries, err := os.ReadDir(h.Path(""))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		iface, ok := strings.CutPrefix(entry.Name(), "ifconfig.")
		if !ok || entry.IsDir() {
			continue
		}
		if !ifaceName(iface) {
			h.odd = append(h.odd, h.Path(entry.Name()))
			continue
		}
		if h.Ifconfig[iface], err = openIn(h, entry.Name(), OpenIfconfig); err != nil {
			return nil, err
		}
	}
	openSysctl := func(path string) (*Sysctl, error) { return OpenSysctl(path, NetBSD) }
	var errs [5]error
	h.RC, errs[0] = openIn(h, "rc.conf", OpenRC)
	h.Modules, errs[1] = openIn(h, "modules.conf", OpenModules)
	h.Sysctl, errs[2] = openIn(h, "sysctl.conf", openSysctl)
	h.MyGate, errs[3] = openIn(h, "mygate", OpenMyGate)
	h.MyGate6, errs[4] = openIn(h, "mygate6", OpenMyGate)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return h, nil
}

// Path returns the path of a file of /etc, such as "modules.conf", below the
// root of the host.
func (h *Host) Path(name string) string { return filepath.Join(h.root, "etc", name) }

// Changes returns the unified diffs of all files that changed.
func (h *Host) Changes() string {
	var b strings.Builder
	for _, e := range h.files() {
		b.WriteString(e.File.Changes(e.Data))
	}
	return b.String()
}

// Save replaces all files that changed; rc.conf, which turns the rest on, is the
// last. All new texts are on disk before the first file is replaced: an error
// from before that point, such as ErrStale, means that nothing has changed.
func (h *Host) Save(ctx context.Context) error { return textfile.Save(ctx, h.files()...) }

// files returns the files that there are, with their texts.
func (h *Host) files() []textfile.Edit {
	var edits []textfile.Edit
	if h.Modules != nil {
		edits = append(edits, textfile.Edit{File: h.Modules.file, Data: h.Modules.Bytes()})
	}
	if h.Sysctl != nil {
		edits = append(edits, textfile.Edit{File: h.Sysctl.file, Data: h.Sysctl.Bytes()})
	}
	for _, iface := range h.ifaces() {
		f := h.Ifconfig[iface]
		edits = append(edits, textfile.Edit{File: f.file, Data: f.Bytes()})
	}
	for _, g := range []*MyGate{h.MyGate, h.MyGate6} {
		if g != nil {
			edits = append(edits, textfile.Edit{File: g.file, Data: g.Bytes()})
		}
	}
	if h.RC != nil {
		edits = append(edits, textfile.Edit{File: h.RC.file, Data: h.RC.Bytes()})
	}
	return edits
}

// ifaces returns the interfaces that have a file, sorted.
func (h *Host) ifaces() []string {
	var names []string
	for name, f := range h.Ifconfig {
		if f != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// openIn opens a file of the host, if there is one.
func openIn[T any](h *Host, name string, open func(string) (*T, error)) (*T, error) {
	path := h.Path(name)
	if err := h.inside(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return open(path)
}

// inside refuses a path that a symbolic link leads out of the root.
func (h *Host) inside(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return err
	}
	root, err := filepath.EvalSymlinks(h.root)
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		// A link to nowhere is not a missing file: the machine has it elsewhere.
		return fmt.Errorf("%s: a symbolic link leads nowhere: %v", path, err)
	}
	if rel, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("%s: a symbolic link leads out of %s", path, h.root)
	}
	return nil
}

// ifaceName reports whether a text is the name of an interface: a driver's name
// and a unit, ifconfig(8).
func ifaceName(name string) bool {
	driver := strings.TrimRight(name, "0123456789")
	return driver != name && validKey(driver)
}

package netbsdcfg

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// An Ifconfig is an /etc/ifconfig.IF file: lines for ifconfig(8) and shell
// commands, which rc.d/network runs when it configures the interface; see
// ifconfig.if(5).
//
// The text is the only truth, and everything else is computed from it:
//
//   - Bytes returns what was parsed, byte for byte, until something is changed.
//   - To add what is there changes nothing.
//   - An edit adds or removes the lines that it names. A last line that the
//     script loses, because it has no newline or ends in a backslash, gets what
//     it lacks, and is read from then on.
//   - What was added is what Commands and Addrs return.
//   - An edit that fails changes nothing.
//
// Where a line is added matters, since the script runs from top to bottom:
// addresses come before the key and the peers of a wg(4) interface, these before
// routes, and host routes before default routes.
type Ifconfig struct {
	file  *textfile.File
	lines []string // the text, cut after each newline
}

// ParseIfconfig takes a file's text. The name is for messages, and tells the
// interface if it ends in "ifconfig.IF". The result cannot be saved. There is no
// text that rc.d/network refuses as a whole, so the error is nil; Check says
// what is wrong with it.
func ParseIfconfig(name string, data []byte) (*Ifconfig, error) {
	return newIfconfig(textfile.Parse(name, data)), nil
}

// OpenIfconfig reads the file at path; a missing one is os.ErrNotExist.
func OpenIfconfig(path string) (*Ifconfig, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newIfconfig(file), nil
}

// CreateIfconfig starts an empty file at path, with mode 0644, since keys stay in
// files of their own: os.ErrExist if it is there, and Save fails if it has appeared
// by then.
func CreateIfconfig(path string) (*Ifconfig, error) {
	file, err := textfile.Create(path, 0o644)
	if err != nil {
		return nil, err
	}
	return newIfconfig(file), nil
}

func newIfconfig(file *textfile.File) *Ifconfig {
	return &Ifconfig{file: file, lines: textfile.Lines(file.Original())}
}

// Bytes returns the text as it is now.
func (f *Ifconfig) Bytes() []byte { return textfile.Join(f.lines) }

// Changes returns the unified diff from what was read, "" if nothing changed.
func (f *Ifconfig) Changes() string { return f.file.Changes(f.Bytes()) }

// Save replaces the file if it changed, keeping owner and mode. It is ErrStale
// if the file on disk is no longer what was read.
func (f *Ifconfig) Save(ctx context.Context) error { return f.file.Save(ctx, f.Bytes()) }

// iface returns the interface that the file's name tells, or "".
func (f *Ifconfig) iface() string {
	_, iface, ok := strings.Cut(filepath.Base(f.file.Name()), "ifconfig.")
	if !ok {
		return ""
	}
	return iface
}

// AddAddr adds an address, with the length of its network's prefix, after those
// that are there. An IPv4 address becomes an alias if there is one already,
// since without that word ifconfig(8) replaces the first; an IPv6 address always
// does. A *ValueError says why an address is refused: it is there with another
// prefix length, or no interface can have it.
func (f *Ifconfig) AddAddr(p netip.Prefix) error {
	if err := validAddr(p); err != nil {
		return err
	}
	there := func(g *Ifconfig) bool { return slices.Contains(g.Addrs(), p) }
	return f.edit(there, func(g *Ifconfig) error {
		words := "inet6 " + p.String() + " alias"
		if p.Addr().Is4() {
			words = "inet " + p.String()
		}
		for _, have := range g.Addrs() {
			switch {
			case have.Addr() == p.Addr():
				return refusal("address", p.String(), "the file has it as "+have.String()+"; remove that first")
			case have.Addr().Is4() && p.Addr().Is4():
				words = "inet " + p.String() + " alias"
			}
		}
		if err := g.insert(words, append([]string{"ifconfig", g.iface()}, strings.Fields(words)...), rankAddr); err != nil {
			return err
		}
		if !there(g) {
			return refusal("address", p.String(), "is replaced by a later line, which follows a command that may read the lines after it")
		}
		return nil
	})
}

// RemoveAddr removes the line that gives the interface the address, and reports
// whether there was one. A line that does more, such as to set the MTU as well,
// is left alone, with a *ValueError that names it. Without the first IPv4
// address, the next one is the first, whether its line says alias or not.
func (f *Ifconfig) RemoveAddr(p netip.Prefix) (bool, error) {
	iface := f.iface()
	gives := func(c Command) bool {
		a, ok := parseAddr(c.Argv, iface)
		return ok && a.prefix == p && !a.remove
	}
	for _, e := range f.completed().read(iface) {
		for _, cmd := range e.cmds {
			if a, _ := parseAddr(cmd.Argv, iface); gives(cmd) && (len(e.cmds) > 1 || a.more) {
				return false, refusal("address", p.String(), fmt.Sprintf("line %d does more than give this address", cmd.Line))
			}
		}
	}
	return f.removeLines(gives), nil
}

// AddLine adds a line for ifconfig(8): the words are its arguments after the
// interface. They are quoted as needed. A line that gives an address goes after
// the addresses, any other before the routes. The line "dhcp" starts dhcpcd(8).
//
// A *ValueError is returned for words that cannot get through the shell, such as
// one with a control character, and for the line "create", which the script
// skips because it creates the interface by itself.
func (f *Ifconfig) AddLine(words ...string) error {
	if len(words) == 0 {
		return refusal("line", "", "has no words")
	}
	text := strings.Join(words, " ")
	if text == "create" {
		return refusal("line", text, "rc.d/network skips this line; it creates the interface itself")
	}
	iface := f.iface()
	want := append([]string{"ifconfig", iface}, words...)
	if text == "dhcp" {
		want = []string{"dhcpcd", "-n", iface}
	} else if err := quoteAll(words, &text, "word"); err != nil {
		return err
	}
	return f.add(text, want, cmp.Or(rank(want, iface), rankLink))
}

// AddCommand adds a line that begins with ! and runs one program with these
// arguments, exactly as given: they are quoted, so that the shell sees no $, *
// or ; in them. wgconfig(8) and route(8) commands go where they work, any other
// at the end of the file.
//
// A *ValueError is returned for what sh cannot run as a program or cannot hold
// on a line, and for a program that is known, see Commands, to read the rest of
// the file as its input.
func (f *Ifconfig) AddCommand(argv ...string) error {
	if len(argv) == 0 || argv[0] == "" {
		return refusal("command", strings.Join(argv, " "), "names no program")
	}
	if slices.Contains(notPrograms, argv[0]) || slices.Contains(reserved, argv[0]) {
		return refusal("command", argv[0], "is no program but a word of the shell")
	}
	var text string
	if err := quoteAll(argv, &text, "argument"); err != nil {
		return err
	}
	return f.add("!"+text, argv, cmp.Or(rank(argv, f.iface()), rankLast))
}

// RemoveCommand removes every line that runs exactly this command and nothing
// else, however it is quoted, and reports whether there was one. A line for
// ifconfig is the command "ifconfig", the interface and the words. $int in the
// file is the interface that the file's name tells.
func (f *Ifconfig) RemoveCommand(argv ...string) bool {
	return f.removeLines(func(c Command) bool { return c.Argv != nil && slices.Equal(c.Argv, argv) })
}

// AddRoute adds a route(8) command for a host (a prefix of full length), a
// network, or everything (0.0.0.0/0 or ::/0), in the place that works.
//
// A *ValueError is returned if the gateway is of the other family, if another
// gateway is set for the same destination, or if a default route's gateway lies
// in none of the prefixes that the file connects, when it connects any of that
// family.
func (f *Ifconfig) AddRoute(dst netip.Prefix, via netip.Addr) error {
	if err := validRoute(dst, via); err != nil {
		return err
	}
	want := route{dst, via}
	find := func(g *Ifconfig) (have route, line int) {
		for _, cmd := range g.Commands(g.iface()) {
			if r, ok := parseRoute(cmd.Argv); ok && r.dst == dst {
				return r, cmd.Line
			}
		}
		return route{}, 0
	}
	there := func(g *Ifconfig) bool { have, _ := find(g); return have == want }
	return f.edit(there, func(g *Ifconfig) error {
		if dst.Bits() == 0 {
			if err := unconnected(via, g.Addrs()); err != nil {
				return err
			}
		}
		if have, line := find(g); line > 0 {
			return refusal("route", dst.String(), fmt.Sprintf("line %d routes it through %s", line, have.via))
		}
		return g.AddCommand(want.argv()...)
	})
}

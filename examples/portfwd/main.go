// Portfwd forwards a router's ports to a machine behind it with iptables, and keeps
// them forwarded.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/natfwd"
)

const help = `usage: portfwd COMMAND [flags] FILE

Portfwd forwards ports of this router to a machine behind it, in IPv4 and IPv6.
Its rules are in chains of their own, called rehost-NAME-...: other people's are
not touched. A change is made in one step for each family, and UDP conversations
with an old target are ended.

Commands; portfwd COMMAND -h tells more:

    diff FILE      says what would change
    apply FILE     makes the live rules those of FILE
    remove FILE    takes the rules of FILE away
    verify FILE    says what keeps the forwards from working: for a cron job
    hook FILE      installs a script by which ifupdown loads the rules at boot
    inbound FILE   prints what the cloud's own firewall has to let in, as JSON

Forwarding for the first time, and for good:

    portfwd diff tunnel.toml
    portfwd apply tunnel.toml
    portfwd verify tunnel.toml
    portfwd hook tunnel.toml
    portfwd inbound tunnel.toml >permissions.json
    aws ec2 authorize-security-group-ingress --group-id GROUP \
        --ip-permissions file://permissions.json

FILE is a move file, or one that has no more than these tables of it:

    [router]
    name = "ingress"
    iface = "ens5"                    # by which packets arrive
    address = "203.0.113.63"
    hairpin = true                    # for who is behind the router too
    local = true                      # and for programs on the router itself

    [guest]
    name = "senate"                   # names the chains

    [tunnel]
    iface = "wg0"
    port = 51820

    [tunnel.router]
    addresses = ["172.16.1.1/24", "fd77::1/64"]

    [tunnel.guest]
    addresses = ["172.16.1.4/24", "fd77::4/64"]

    [[service]]
    name = "dns"
    protos = ["tcp", "udp"]
    port = 53
    via = "forward"
    sources = ["198.51.100.0/24"]     # without it, everybody

A guest's IPv6 address within router.prefix6 is public, and needs no forward.
`

func main() { program().Main() }

// flags are those of all commands, of which each has some.
type flags struct {
	dry, json, unit bool
	root, iface     string
}

func program() cli.Program {
	f := &flags{}
	dry := func(set *flag.FlagSet) { set.BoolVar(&f.dry, "n", false, "change nothing, say what would change") }
	json := func(set *flag.FlagSet) { set.BoolVar(&f.json, "json", false, "print JSON") }
	both := func(set *flag.FlagSet) { dry(set); json(set) }
	hook := func(set *flag.FlagSet) {
		both(set)
		set.StringVar(&f.root, "root", "/", "`DIR` below which the files are written")
		set.StringVar(&f.iface, "iface", "", "the `NAME` of the interface with which the rules are loaded; without it, router.iface")
		set.BoolVar(&f.unit, "unit", false, "install a systemd unit instead")
	}
	return cli.Program{Name: "portfwd", Help: help, Commands: []cli.Command{
		{Name: "diff", Args: "FILE", Help: diffHelp, Flags: json, Run: f.diff},
		{Name: "apply", Args: "FILE", Help: applyHelp, Flags: both, Run: f.apply},
		{Name: "remove", Args: "FILE", Help: removeHelp, Flags: both, Run: f.remove},
		{Name: "verify", Args: "FILE", Help: verifyHelp, Flags: json, Run: f.verify},
		{Name: "hook", Args: "FILE", Help: hookHelp, Flags: hook, Run: f.hook},
		{Name: "inbound", Args: "FILE", Help: inboundHelp, Run: f.inbound},
	}}
}

// load reads FILE.
func load(path string) (*move.Move, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return move.LoadTunnel(path, data)
}

// loadSet reads FILE, and refuses one that forwards nothing: its set would be a removal.
func loadSet(path string) (*move.Move, natfwd.Set, error) {
	m, err := load(path)
	if err != nil {
		return nil, natfwd.Set{}, err
	}
	set := m.Forwards()
	if len(set.Forwards) == 0 {
		return nil, set, fmt.Errorf("%s: no service has via = %q; portfwd remove takes the rules away", path, move.Forward)
	}
	return m, set, nil
}

// backends are the router's iptables. A router without IPv6 will do for a set that
// forwards none. The guest has the same FILE, and is not the router: only a removal makes
// sense there.
func backends(m *move.Move, set natfwd.Set) ([]natfwd.Backend, error) {
	if name := cli.Hostname(); name == m.Guest.Name && len(set.Forwards) > 0 {
		return nil, fmt.Errorf("this machine is called %s, as the guest is: the forwards are for the router, %s", name, m.Router.Name)
	}
	var list []natfwd.Backend
	for _, family := range []natfwd.Family{natfwd.IPv4, natfwd.IPv6} {
		b, err := natfwd.NewIPTables(family, nil)
		if family == natfwd.IPv6 && errors.Is(err, errors.ErrUnsupported) && !forwards6(set) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

func forwards6(set natfwd.Set) bool {
	return slices.ContainsFunc(set.Forwards, func(f natfwd.Forward) bool { return len(f.To) == 2 })
}

// Tunnel describes a WireGuard tunnel once, and makes files and live devices of both
// its ends say so.
package main

import (
	"flag"

	"github.com/rehost/rehost/examples/internal/cli"
)

const help = `usage: tunnel COMMAND [flags] ARGUMENT

Tunnel keeps a WireGuard tunnel between a router and a guest. Both ends are made
from one FILE, so that they cannot disagree. Private keys stay on their machines.

Commands; tunnel COMMAND -h tells more:

    keys KEYFILE   makes a private key, and prints the public one
    render FILE    writes this end's files for wg-quick or ifupdown
    show IFACE     prints a live device
    diff FILE      says how the live device differs
    apply FILE     makes the live device as FILE says
    health FILE    says how the peers are: for a cron job

From nothing to a tunnel, on each of the two machines:

    tunnel keys /etc/wireguard/wg0.key   put what it prints into both FILEs
    tunnel render -n tunnel.toml
    tunnel render tunnel.toml
    sysctl --system                      on the router, which has to forward
    systemctl enable --now wg-quick@wg0
    tunnel health tunnel.toml

and later, when FILE has changed, without a break for other peers:

    tunnel diff tunnel.toml
    tunnel apply tunnel.toml
    tunnel render tunnel.toml            so that it holds after a boot

Where a router has several guests, each has its FILE, and -peer sets one guest in the
router's file, or on its device, beside the others.

FILE is a move file, or one that has no more than these tables of it:

    [router]
    name = "ingress"
    iface = "ens5"
    address = "203.0.113.63"          # where the guest reaches the router

    [guest]
    name = "senate"

    [tunnel]
    iface = "wg0"
    port = 51820
    mtu = 1420                        # may be left out
    preshared_key_file = "/etc/wireguard/wg0.psk"   # so may this

    [tunnel.router]
    addresses = ["172.16.1.1/24", "fd77::1/64"]
    public_key = "dMlWBAQ0J/C+4dDha/pTr9U39zatAHPEzE4cyzqCtdw="
    key_file = "/etc/wireguard/wg0.key"

    [tunnel.guest]
    addresses = ["172.16.1.4/24", "fd77::4/64"]
    public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="
    key_file = "/etc/wireguard/wg0.key"
    keepalive = "25s"                 # it is behind the home's router

The guest sends all its traffic into the tunnel, since clients keep their addresses
when they are forwarded to it.
`

func main() { program().Main() }

// flags are those of all commands, of which each has some.
type flags struct {
	dry, json           bool
	end, iface, root    string
	preshared, ifupdown bool
	prune, peer         bool
}

func program() cli.Program {
	f := &flags{}
	json := func(set *flag.FlagSet) { set.BoolVar(&f.json, "json", false, "print JSON") }
	end := func(set *flag.FlagSet) {
		json(set)
		set.StringVar(&f.end, "end", "", "which `END` this is: router or guest; without it, the one with this machine's name")
		set.StringVar(&f.iface, "iface", "", "the `NAME` of the interface here, if it is not tunnel.iface")
	}
	dry := func(set *flag.FlagSet) {
		end(set)
		set.BoolVar(&f.dry, "n", false, "change nothing, say what would change")
	}
	return cli.Program{Name: "tunnel", Help: help, Commands: []cli.Command{
		{Name: "keys", Args: "KEYFILE", Help: keysHelp, Run: f.keys, Flags: func(set *flag.FlagSet) {
			set.BoolVar(&f.preshared, "preshared", false, "make a key that both ends share")
		}},
		{Name: "render", Args: "FILE", Help: renderHelp, Run: f.render, Flags: func(set *flag.FlagSet) {
			dry(set)
			f.peerFlags(set)
			set.StringVar(&f.root, "root", "/", "`DIR` below which the files are written")
			set.BoolVar(&f.ifupdown, "ifupdown", false, "for ifupdown instead of wg-quick")
		}},
		{Name: "show", Args: "IFACE", Help: showHelp, Run: f.show, Flags: json},
		{Name: "diff", Args: "FILE", Help: diffHelp, Run: f.diff, Flags: func(set *flag.FlagSet) { end(set); f.peerFlag(set) }},
		{Name: "apply", Args: "FILE", Help: applyHelp, Run: f.apply, Flags: func(set *flag.FlagSet) {
			dry(set)
			f.peerFlags(set)
		}},
		{Name: "health", Args: "FILE", Help: healthHelp, Run: f.health, Flags: end},
	}}
}

func (f *flags) peerFlags(set *flag.FlagSet) {
	f.peerFlag(set)
	set.BoolVar(&f.prune, "prune", false, "remove peers that FILE does not have")
}

func (f *flags) peerFlag(set *flag.FlagSet) {
	set.BoolVar(&f.peer, "peer", false, "only the peer that FILE has: leave all else alone")
}

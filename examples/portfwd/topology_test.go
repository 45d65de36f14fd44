package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

const topologyFile = `
[router]
name = "ingress"
iface = "ens5"
address = "203.0.113.5"

[guest]
name = "senate"

[tunnel]
iface = "wg0"
port = 51820

[tunnel.router]
addresses = ["10.77.0.1/24", "fd77::1/64"]
public_key = "%s"
key_file = "%s"

[tunnel.guest]
addresses = ["10.77.0.2/24", "fd77::2/64"]
public_key = "%s"
key_file = "%s"
keepalive = "25s"

[[service]]
name = "smtp"
protos = ["tcp"]
port = 25
via = "forward"

[[service]]
name = "dns"
protos = ["tcp", "udp"]
port = 53
via = "forward"

[[service]]
name = "smtps"
protos = ["tcp"]
port = 465
via = "forward"

[[service]]
name = "submission"
protos = ["tcp"]
port = 587
via = "forward"
`

// The ports at which the guest is asked, and the addresses at which it is: those of
// the router and, as they were before, those at home.
var (
	ports    = []probe{{"tcp", "25", ""}, {"tcp", "53", ""}, {"tcp", "465", ""}, {"tcp", "587", ""}, {"udp", "53", ""}}
	newPaths = []string{"203.0.113.5", "2001:db8:2::5"}
	oldPaths = []string{"192.0.2.2", "2001:db8:4::2"}
)

// TestTopology serves a guest at home through a router, which nothing but this
// program and tunnel have configured, while the old path goes on.
func TestTopology(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			lab.UseIPTables(t, backend)
			top := lab.StartTopology(t)
			file := startTunnel(t, top)

			top.Router.Run(t, "portfwd", "apply", file)
			assert.Empty(t, top.Router.Run(t, "portfwd", "verify", file))
			lab.StartEcho(t, top.Guest)
			for at, err := range ask(t, top.Client, newPaths, ports, patience) {
				assert.NoError(t, err, at)
			}
			top.Router.Run(t, "tunnel", "health", "-end", "router", "-iface", "wgr", file)
			assert.Empty(t, top.Router.Run(t, "tunnel", "diff", "-end", "router", "-iface", "wgr", file))
			assert.Empty(t, top.Guest.Run(t, "tunnel", "diff", "-end", "guest", "-iface", "wgv", file))

			// The answers to what comes by the old path go into the tunnel, and are lost.
			for at, err := range ask(t, top.Client, oldPaths, ports, 2*time.Second) {
				assert.Error(t, err, at)
			}
			lab.ReplyTo(t, top.Guest,
				lab.Path{Iface: "eth0", Via: []string{"192.168.1.1", "2001:db8:4::1"}},
				lab.Path{Iface: "wgv"})
			bothAnswer := func() {
				answers := ask(t, top.Client, slices.Concat(oldPaths, newPaths), []probe{ports[0], ports[3], ports[4]}, patience)
				assert.Len(t, answers, 12)
				for at, err := range answers {
					assert.NoError(t, err, at)
				}
			}
			bothAnswer()
			// So they do while the default route is still that of home.
			for _, family := range []string{"-4", "-6"} {
				top.Guest.Run(t, "ip", family, "rule", "delete", "not", "fwmark", "51820", "table", "51820")
			}
			assert.Contains(t, top.Guest.Run(t, "ip", "route", "get", "198.51.100.10"), "dev eth0")
			bothAnswer()

			top.Router.Run(t, "portfwd", "remove", file)
			for at, err := range ask(t, top.Client, newPaths, ports, 2*time.Second) {
				assert.Error(t, err, at)
			}
		})
	}
}

// startTunnel makes the tunnel's two devices from one file, whose path it returns.
func startTunnel(t *testing.T, top *lab.Topology) string {
	lab.Need(t, "go", "wg", "wg-quick", "wireguard", "sysctl")
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir, "../tunnel").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("WG_QUICK_USERSPACE_IMPLEMENTATION", "wireguard")

	ends := []struct {
		name, iface string
		host        lab.Host
		key         string
	}{{"router", "wgr", top.Router, dir + "/router.key"}, {"guest", "wgv", top.Guest, dir + "/guest.key"}}
	var words []any
	for _, end := range ends {
		words = append(words, strings.TrimSpace(end.host.Run(t, "tunnel", "keys", end.key)), end.key)
	}
	file := filepath.Join(dir, "tunnel.toml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, topologyFile, words...), 0o600))
	for _, end := range ends {
		root := filepath.Join(dir, end.name)
		end.host.Run(t, "tunnel", "render", "-end", end.name, "-iface", end.iface, "-root", root, file)
		config := filepath.Join(root, "etc/wireguard", end.iface+".conf")
		end.host.Run(t, "wg-quick", "up", config)
		t.Cleanup(func() { end.host.Run(t, "wg-quick", "down", config) })
	}
	top.Router.Run(t, "sysctl", "-p", filepath.Join(dir, "router/etc/sysctl.d/60-wgr.conf"))
	return file
}

// patience is for paths that answer.
const patience = time.Minute

// A probe is one question to one port.
type probe struct{ proto, port, addr string }

// ask puts all questions at once, and returns for each what went wrong: that there was
// no answer in time, or that the guest did not see the client's own address.
func ask(t *testing.T, client lab.Host, addrs []string, ports []probe, limit time.Duration) map[probe]error {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	answers := map[probe]error{}
	for _, addr := range addrs {
		own := "198.51.100.10"
		if strings.Contains(addr, ":") {
			own = "2001:db8:1::10"
		}
		for _, p := range ports {
			p.addr = addr
			all.Go(func() {
				seen, err := lab.Probe(ctx, client, p.proto, net.JoinHostPort(p.addr, p.port))
				if err == nil && seen.String() != own {
					err = fmt.Errorf("the guest saw %s", seen)
				}
				mu.Lock()
				defer mu.Unlock()
				answers[p] = err
			})
		}
	}
	all.Wait()
	return answers
}

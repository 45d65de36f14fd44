package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// A labMachine is a machine of the move: a host with files and daemons of its own.
type labMachine struct {
	lab.Host
	name    string
	daemons []*labDaemon
}

// A labNetwork is all that stands between a client and the guest, with the addresses of
// the sample:
//
//	client ── internet ─┬─ elsewhere   the secondaries, the authority
//	                    ├─ starkiller ── senate, until its stop
//	                    ├─ ingress
//	                    └─ gateway ── garage ── senate, from its first boot there
//
// Starkiller and garage are bridges to their guest. Behind the gateway there is no IPv6.
type labNetwork struct {
	client, internet, gateway                      lab.Host
	elsewhere, starkiller, ingress, garage, senate *labMachine
}

// Addresses: the first two are the sample's, the others it does not know.
const (
	labOldAddress, labNewAddress   = "198.51.100.25", "203.0.113.63"
	labClient4, labClient6         = "192.0.2.10", "2001:db8:1::10"
	labSecondary1, labSecondary2   = "192.0.2.66", "192.0.2.67"
	labAuthority                   = "192.0.2.68"
	labRouter6, labRouterGateway6  = "2001:db8:189c:700::63", "2001:db8:189c:700::1"
	labStarkiller, labProviderHost = "198.51.100.20", "198.51.100.1"
)

func startLabNetwork(t *testing.T) *labNetwork {
	machine := func(name string) *labMachine {
		return &labMachine{Host: lab.NewHost(t, name).OwnFiles(t), name: name}
	}
	n := &labNetwork{
		client: lab.NewHost(t, "client"), internet: lab.NewHost(t, "internet"), gateway: lab.NewHost(t, "gateway"),
		elsewhere: machine("elsewhere"), starkiller: machine("starkiller"), ingress: machine("ingress"),
		garage: machine("garage"), senate: machine("senate"),
	}
	bridge := func(h lab.Host, name string) {
		// Without an address of its own it has that of one of its ports, until that one goes.
		h.Run(t, "ip", "link", "add", name, "address", "02:00:5e:00:53:01", "type", "bridge")
		h.Run(t, "ip", "link", "set", name, "up")
	}
	bridge(n.starkiller.Host, "br0")
	bridge(n.garage.Host, "public")
	nic := func(h lab.Host, iface string, addrs ...string) lab.NIC {
		return lab.NIC{Host: h, Iface: iface, Addrs: addrs}
	}
	for _, cable := range [][2]lab.NIC{
		{nic(n.client, "eth0", labClient4+"/26", labClient6+"/64"), nic(n.internet, "client", "192.0.2.1/26", "2001:db8:1::1/64")},
		{nic(n.elsewhere.Host, "eth0", labSecondary1+"/26", labSecondary2+"/26", labAuthority+"/26"), nic(n.internet, "elsewhere", "192.0.2.65/26")},
		{nic(n.starkiller.Host, "uplink"), nic(n.internet, "provider", labProviderHost+"/24")},
		{nic(n.starkiller.Host, "tap0"), nic(n.senate.Host, "vioif0")},
		{nic(n.ingress.Host, "ens5"), nic(n.internet, "cloud", "203.0.113.1/24", labRouterGateway6+"/64")},
		{nic(n.gateway, "wan", "192.0.2.130/26"), nic(n.internet, "home", "192.0.2.129/26")},
		{nic(n.garage.Host, "lan"), nic(n.gateway, "lan", "192.168.14.254/24")},
	} {
		lab.Join(t, cable[0], cable[1])
	}
	n.starkiller.Run(t, "ip", "link", "set", "uplink", "master", "br0")
	n.starkiller.Run(t, "ip", "link", "set", "tap0", "master", "br0")
	n.starkiller.Run(t, "ip", "address", "add", labStarkiller+"/24", "dev", "br0")
	n.garage.Run(t, "ip", "link", "set", "lan", "master", "public")
	n.garage.Run(t, "ip", "address", "add", "192.168.14.2/24", "dev", "public")
	for _, way := range []struct {
		host lab.Host
		via  string
	}{
		{n.client, "192.0.2.1"}, {n.client, "2001:db8:1::1"}, {n.elsewhere.Host, "192.0.2.65"}, {n.starkiller.Host, labProviderHost},
		{n.gateway, "192.0.2.129"}, {n.garage.Host, "192.168.14.254"},
	} {
		way.host.Run(t, "ip", "route", "add", "default", "via", way.via)
	}
	for _, h := range []lab.Host{n.internet, n.gateway} {
		h.Sysctl(t, "net.ipv4.ip_forward", "1")
		h.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	}
	n.gateway.Run(t, "iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE")
	// What the cloud's console does when it assigns the prefix to the interface.
	n.internet.Run(t, "ip", "route", "add", "2001:db8:189c:700:b4d2::/80", "via", labRouter6)
	return n
}

// path is where a file of the machine lies for the test.
func (m *labMachine) path(name string) string { return filepath.Join(m.Root, name) }

// write writes files of the machine: names and texts in turn.
func (m *labMachine) write(t *testing.T, mode os.FileMode, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := m.path(files[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(files[i+1]), mode))
		require.NoError(t, os.Chmod(path, mode)) // it may have been there
	}
}

// shell is a line for the machine's shell, with the PATH of a login of root's, so that
// stand-ins go before what they stand in for.
func (m *labMachine) shell(line string) *exec.Cmd {
	words := m.Command("sh", "-c", line)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	return cmd
}

// sh runs a line as root would, and returns what it prints.
func (m *labMachine) sh(t *testing.T, line string) string {
	t.Helper()
	out, err := m.try(line)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s%s", m.name, line, err, out, m.logs())
	}
	return out
}

func (m *labMachine) try(line string) (string, error) {
	var out bytes.Buffer
	cmd := m.shell(line)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 30 * time.Second // a daemon that it leaves behind may keep the outputs
	err := cmd.Run()
	return out.String(), err
}

// A labDaemon is a program that runs on a machine until it is stopped.
type labDaemon struct {
	name  string
	cmd   *exec.Cmd
	log   string
	end   string // a command that ends it; "": SIGTERM does
	ended chan struct{}
}

// start starts a daemon that stays in the foreground, and waits until it is ready.
func (m *labMachine) start(t *testing.T, name, line, end string, ready func() error) {
	t.Helper()
	d := &labDaemon{name: name, cmd: m.shell("exec " + line), log: filepath.Join(t.TempDir(), name+".log"), end: end, ended: make(chan struct{})}
	log, err := os.Create(d.log)
	require.NoError(t, err)
	defer log.Close()
	d.cmd.Stdout, d.cmd.Stderr = log, log
	require.NoError(t, d.cmd.Start())
	go func() {
		defer close(d.ended)
		d.cmd.Wait()
	}()
	m.daemons = append(m.daemons, d)
	labAwait(t, m.name+": "+name+" is ready", func() error {
		select {
		case <-d.ended:
			t.Fatalf("%s: %s has ended: %s\n%s", m.name, name, d.cmd.ProcessState, m.logs())
		default:
		}
		return ready()
	})
}

// stop ends all daemons of the machine, as a shutdown does.
func (m *labMachine) stop(t *testing.T) {
	t.Helper()
	for _, d := range m.daemons {
		if d.end != "" {
			m.sh(t, d.end)
		} else {
			d.cmd.Process.Signal(os.Interrupt)
		}
	}
	for _, d := range m.daemons {
		select {
		case <-d.ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: %s does not end\n%s", m.name, d.name, m.logs())
		}
	}
	m.daemons = nil
}

// logs are the last lines of all daemons, and of those that have logs of their own.
func (m *labMachine) logs() string {
	var b strings.Builder
	files := []string{m.path("/var/log/messages"), m.path("/var/log/maillog"), m.path("/var/log/dovecot.log"), m.path("/var/log/nginx/error.log")}
	for _, d := range m.daemons {
		files = append(files, d.log)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			fmt.Fprintf(&b, "-- %s of %s:\n%s\n", filepath.Base(file), m.name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	}
	return b.String()
}

// labAwait asks again until there is no error, or half a minute is over.
func labAwait(t *testing.T, what string, ask func() error) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	limit := time.After(30 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("not within half a minute: %s: %v", what, err)
		}
	}
}

package natfwd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rehost/rehost/internal/lab"
)

func TestDeleteFlowsTakesTheNamedEntriesOnly(t *testing.T) {
	lab.Need(t, "conntrack")
	tests := []struct {
		Family
		dst, other, to, oldTo, peer string
	}{
		{IPv4, "203.0.113.63", "203.0.113.64", "10.77.0.2", "10.77.0.3", "198.51.100.7"},
		{IPv6, "2001:db8:189c:700::63", "2001:db8:189c:700::64", "fd77::2", "fd77::3", "2001:db8::7"},
	}
	for _, tt := range tests {
		t.Run(tt.String(), func(t *testing.T) {
			h := newRouter(t)
			family := strings.ToLower(tt.String())
			bits := "/24"
			if tt.Family == IPv6 {
				bits = "/64"
			}
			h.Run(t, "ip", "address", "add", tt.dst+bits, "dev", "ens5")
			add := func(proto, source, dst, port, to, toPort string, more ...string) {
				t.Helper()
				h.Run(t, append([]string{"conntrack", "-I", "-p", proto, "--timeout", "600",
					"-s", tt.peer, "-d", dst, "--sport", source, "--dport", port,
					"--reply-src", to, "--reply-dst", tt.peer, "--reply-port-src", toPort, "--reply-port-dst", source}, more...)...)
			}
			tcp := []string{"--state", "ESTABLISHED"}
			add("udp", "1001", tt.dst, "53", tt.oldTo, "53")   // to the old target
			add("udp", "1002", tt.dst, "53", tt.dst, "53")     // to the router itself
			add("udp", "1003", tt.dst, "53", tt.to, "53")      // where it should
			add("udp", "1004", tt.dst, "5353", tt.oldTo, "53") // another port
			add("udp", "1005", tt.other, "53", tt.oldTo, "53") // another machine's address
			add("tcp", "1006", tt.dst, "53", tt.oldTo, "53", tcp...)
			sources := func() string {
				var list []string
				for line := range strings.Lines(h.Run(t, "conntrack", "-L", "-f", family)) {
					for _, source := range []string{"1001", "1002", "1003", "1004", "1005", "1006"} {
						if strings.Contains(line, " sport="+source+" ") {
							list = append(list, source)
						}
					}
				}
				return strings.Join(list, " ")
			}
			assert.ElementsMatch(t, strings.Fields("1001 1002 1003 1004 1005 1006"), strings.Fields(sources()))

			to, dns := netip.MustParseAddr(tt.to), PortRange{First: 53}
			forget := func(f Family, flows ...flow) {
				t.Helper()
				require.NoError(t, h.Do(func() error { return deleteFlows(t.Context(), f, flows) }))
			}
			forget(tt.Family)
			forget(tt.Family, flow{Iface: "gone", Ports: dns, To: to})
			forget(tt.Family, flow{Iface: "ens5", Ports: PortRange{First: 54}, To: to})
			forget(1-tt.Family, flow{Iface: "ens5", Ports: dns, To: to})
			assert.ElementsMatch(t, strings.Fields("1001 1002 1003 1004 1005 1006"), strings.Fields(sources()))
			forget(tt.Family, flow{Iface: "ens5", Ports: dns, To: to})
			assert.ElementsMatch(t, strings.Fields("1003 1004 1005 1006"), strings.Fields(sources()))
			// The forward is removed.
			other := netip.MustParseAddr(tt.other)
			forget(tt.Family, flow{Dst: netip.PrefixFrom(other, other.BitLen()), Ports: dns}, flow{Ports: dns})
			assert.ElementsMatch(t, strings.Fields("1004 1006"), strings.Fields(sources()))
		})
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, deleteFlows(ctx, IPv4, []flow{{Ports: PortRange{First: 53}}}), context.Canceled)
}

// What is no packet to the router, or is to its loopback, is never a forward's,
// whatever the port: so it is with the router's own questions to name servers.
func TestConversationsWithOthersStay(t *testing.T) {
	lab.Need(t, "conntrack")
	onRealSystems(t, func(t *testing.T, s *system) {
		run := func(argv ...string) string {
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			require.NoError(t, err, "%q: %s", argv, out)
			return string(out)
		}
		run("ip", "link", "add", "ens5", "type", "veth", "peer", "name", "far")
		run("ip", "link", "set", "ens5", "up")
		for _, tt := range []struct{ own, server, elsewhere, guest, loopback string }{
			{"203.0.113.63", "192.0.2.53", "192.0.2.54", "10.77.0.2", "127.0.0.1"},
			{"2001:db8:189c:700::63", "2001:db8::53", "2001:db8::54", "fd77::2", "::1"},
		} {
			run("ip", "address", "add", tt.own, "dev", "ens5")
			for _, c := range []struct{ sport, src, dst, to, back string }{
				{"1001", tt.own, tt.server, tt.server, tt.own},        // the router asks
				{"1002", tt.guest, tt.server, tt.server, tt.own},      // a guest asks, masqueraded
				{"1003", tt.guest, tt.server, tt.elsewhere, tt.own},   // and another's rule sends it elsewhere
				{"1004", tt.loopback, tt.loopback, tt.server, tt.own}, // another's rule for the router itself
				{"1005", tt.server, tt.own, tt.own, tt.server},        // the forward's
			} {
				run("conntrack", "-I", "-p", "udp", "--timeout", "600", "-s", c.src, "-d", c.dst, "--sport", c.sport, "--dport", "53",
					"--reply-src", c.to, "--reply-dst", c.back, "--reply-port-src", "53", "--reply-port-dst", c.sport)
			}
		}
		remain := func(sport string) int {
			return strings.Count(run("conntrack", "-L", "-f", "ipv4")+run("conntrack", "-L", "-f", "ipv6"), " sport="+sport+" ")
		}
		set := mail()
		set.Hairpin, set.Local = true, true
		require.Equal(t, 2, remain("1005"))
		for _, set := range []Set{set, {Name: set.Name}} {
			s.apply(t, set)
			for _, sport := range []string{"1001", "1002", "1003", "1004"} {
				assert.Equal(t, 2, remain(sport), sport)
			}
			assert.Zero(t, remain("1005"))
		}
	})
}

// powerless is a backend whose thread may not touch the kernel's network any more
// once the rules are loaded; the programs that it starts may.
type powerless struct{ *IPTables }

func (p powerless) Load(ctx context.Context, rules []byte) error {
	return errors.Join(p.IPTables.Load(ctx, rules), setPower(false))
}

func setPower(on bool) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	if on {
		data[0].Effective |= 1 << unix.CAP_NET_ADMIN
	}
	return unix.Capset(&header, &data[0])
}

func TestWhatCouldNotBeForgottenIsReportedAndTriedAgain(t *testing.T) {
	onRealSystems(t, func(t *testing.T, s *system) {
		b4 := s.b4.(*IPTables)
		set := Set{Name: "dns", Forwards: []Forward{{Proto: UDP, Iface: "ens5", Ports: one(53), To: guest[:1]}}}
		p, err := Diff(t.Context(), set, powerless{b4})
		require.NoError(t, err)
		err = Apply(t.Context(), p)
		require.NoError(t, setPower(true))
		assert.ErrorIs(t, err, os.ErrPermission)
		assert.ErrorContains(t, err, "the rules are as planned, but UDP conversations go on")

		const todo = "UDP conversations with ens5 port 53 that do not go to 10.77.0.2"
		told := func() string {
			problems, err := Verify(t.Context(), set, b4)
			require.NoError(t, err)
			return fmt.Sprint(problems)
		}
		assert.Contains(t, told(), "still to be forgotten, as the next Apply does: "+todo)
		p, err = Diff(t.Context(), set, b4)
		require.NoError(t, err)
		assert.Equal(t, "- "+todo+"\n", p.String())
		require.NoError(t, Apply(t.Context(), p))
		assert.NotContains(t, told(), "still to be forgotten")
		p, err = Diff(t.Context(), set, b4)
		require.NoError(t, err)
		assert.True(t, p.Empty())
	})
}

func TestWhatCannotBeRememberedChangesNothing(t *testing.T) {
	onRealSystems(t, func(t *testing.T, s *system) {
		dir := t.TempDir()
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY, ""))
		defer unix.Unmount(dir, unix.MNT_DETACH)
		before := s.rules(t)
		for _, b := range []Backend{s.b4, s.b6} {
			b.(*IPTables).flows = filepath.Join(dir, "rehost")
		}
		assert.ErrorIs(t, Apply(t.Context(), s.diff(t, mail())), unix.EROFS)
		assert.Equal(t, before, s.rules(t))
	})
}

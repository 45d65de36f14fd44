package rehearsal

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/lab"
)

// one is a phase of some stages.
func one(stages ...func(context.Context) error) []bar {
	return []bar{{number: 1, title: "a test", stages: stages}}
}

// TestRenderedFiles have a fault each, which the rehearsal finds.
func TestRenderedFiles(t *testing.T) {
	const (
		guestWG = "/senate/etc/ifconfig.wg0"
		moved   = "04-dns/senate/etc/namedb/example.net"
		vm      = "/vm/senate/senate.conf"
		hook    = "02-both-paths/ingress/etc/network/if-pre-up.d/rehost-senate"
	)
	for _, test := range []struct{ name, file, old, new, check, detail string }{
		{"the home address goes elsewhere", "01-prepare/ingress/etc/wireguard/wg0.conf", ", 192.168.14.5/32", "", "both ends of the tunnel", "sends nothing to 192.168.14.5"},
		{"another peer", "01-prepare" + guestWG, "dMlWBAQ0J/C+4dDha", "E5FQb0jN5fR8XPvWL", "both ends of the tunnel", "the router's key is"},
		{"another port", "02-both-paths" + guestWG, ":51820", ":51821", "both ends of the tunnel", `"203.0.113.63:51821", and the router`},
		{"clients are dropped", "02-both-paths" + guestWG, ",::/0", "", "both ends of the tunnel", "::/0 is not in its --allowed-ips"},
		{"no module", "01-prepare/senate/etc/modules.conf", "if_wg\n", "", "loads wg(4)", "no if_wg"},
		{"one family of replies", "02-both-paths/senate/etc/pf.conf", "pass in on wg0 reply-to (wg0 2001:db8:189c:700:b4d2::1)", "pass in on wg0", "answers leave through the tunnel", "2001:db8:189c:700:b4d2::1"},
		{"no replies to udp", "02-both-paths/senate/etc/pf.conf", "inet proto { tcp udp } from", "inet proto tcp from", "answers leave through the tunnel", "172.16.1.1"},
		{"no forwarding", "02-both-paths/ingress/etc/sysctl.d/60-forwarding.conf", "ip_forward=1", "ip_forward=0", "router forwards packets", `ip_forward is "0"`},
		{"a closed port", "02-both-paths/cloud/inbound.json", `"FromPort": 587`, `"FromPort": 588`, "cloud lets in", "tcp port 587"},
		{"a lost forward", hook, "-A rehost-senate-pre -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 172.16.1.4\n", "", "loads every forward", "--dport 25"},
		{"a forward to nobody", hook, "--dport 25 -j DNAT --to-destination 172.16.1.4", "--dport 25 -j DNAT --to-destination 172.16.1.5", "loads every forward", "172.16.1.5"},
		{"rules twice", hook, `[ -n "$calls" ] || echo`, "echo", "second start", "PREROUTING -j rehost-senate-pre"},
		{"a stop that stops nothing", hook, "stop)", "halt)", "a stop of the hook", "rehost-senate-pre"},
		{"a hook that flushes", hook, "change iptables </dev/null", "iptables -t nat -F PREROUTING; change iptables </dev/null", "a stop of the hook", "--dport 9"},
		{"a typing error in the hook", hook, "-j MASQUERADE", "-j MASQERADE", "loads every forward", "MASQERADE"},
		{"a typing error for nginx", "02-both-paths/ingress/etc/nginx/conf.d/senate.conf", "proxy_cache_use_stale error", "proxy_cache_use_stail error", "nginx takes", "proxy_cache_use_stail"},
		{"another port to fetch from", "03-certificates/senate/etc/certsyncd.toml", ":8182", ":8183", "fetches where the router publishes", "8183"},
		{"the guest may not fetch", "03-certificates/ingress/etc/certsyncd.toml", `"172.16.1.4/32"`, `"172.16.1.5/32"`, "the guest may fetch", "172.16.1.4"},
		{"everybody may fetch", "03-certificates/ingress/etc/certsyncd.toml", `"172.16.1.4/32"`, `"0.0.0.0/0"`, "gets no key", "200"},
		{"a name is missing", "03-certificates/senate/etc/certsyncd.toml", `, "www.example.net"`, "", "both ends have a file", "www.example.net"},
		{"a key that nobody knows", "03-certificates/senate/etc/certsyncd.toml", "rollback", "rolback", "both ends have a file", "rolback"},
		{"no raised serial", moved, "2026112103", "2026112102", "point to the router: the serial is raised", "was 2026112102"},
		{"no raised serial, and so no transfer", moved, "2026112103", "2026112102", "every name that had", "still gives 198.51.100.25"},
		{"an old TTL", "04-dns/senate-short-ttl/etc/namedb/example.net", "senate	5m", "senate	2d", "no TTL is longer", "48 h 00 min"},
		{"a forgotten name", moved, "www		IN A	203.0.113.63", "www		IN A	198.51.100.25", "nothing but texts", "www.example.net. A 198.51.100.25"},
		{"a name with another address", moved, "www		IN A	203.0.113.63", "www		IN A	203.0.113.64", "every name that had", "does not give 203.0.113.63 for www.example.net."},
		{"a zone that does not load", moved, "IN MX	10 mail", "IN MX	mail", "named loads the zone", "MX"},
		{"-s is left in", "06-first-boot/garage" + vm, "-h -r ld0a", "-h -s -r ld0a", "the start for good is not", "-s is still"},
		{"-s was never in", "06-first-boot/garage-single-user" + vm, "-h -s -r ld0a", "-h -r ld0a", "in single-user mode", "does not"},
		{"two guests", "06-first-boot/garage-single-user" + vm, "2048M", "1024M", "both files are of one guest", "more than -s"},
		{"the tunnel goes through itself", "06-first-boot" + guestWG, "!route add -host 203.0.113.63 192.168.14.254\n", "", "everything goes into the tunnel", "203.0.113.63"},
		{"a gateway that nobody has", "06-first-boot" + guestWG, "default 172.16.1.1", "default 10.17.3.1", "network at home has no mistake", "10.17.3.1"},
		{"the old default route", "06-first-boot/senate/etc/rc.conf", "#defaultroute", "defaultroute", "nothing of the old network", "198.51.100.1"},
		{"pf stays", "06-first-boot/senate/etc/rc.conf", "pf=NO", "pf=YES", "nothing of the old network", "pf is still on"},
		{"the old address", "06-first-boot/senate/etc/ifconfig.vioif0", "inet 192.168.14.5/24", "inet 198.51.100.25/24", "nothing of the old network", "198.51.100.25"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := sample(t)
			spoil(t, r, test.file, test.old, test.new)
			stages := []func(context.Context) error{r.newPath}
			switch test.file[:2] {
			case "01":
				stages = append(stages, r.prepare)
			case "02":
				stages = append(stages, r.filters, r.forwards, r.site(2))
			case "03":
				stages = append(stages, r.certificateFiles, r.firstCertificates, r.refusals)
			case "04":
				stages = append(stages, r.shortTTLs, r.moveNames)
			case "06":
				stages = append(stages, r.bootFiles, r.homeNetwork)
			}
			rep, err := r.run(t.Context(), one(stages...))
			require.NoError(t, err)
			if test.file == hook {
				needTried(t, rep, "the hook loads every forward of the move", "iptables")
			}
			if test.check == "nginx takes" {
				needTried(t, rep, "nginx takes the site's configuration", "nginx")
			}
			found := failed(rep)
			require.NotEmpty(t, found)
			assert.Condition(t, func() bool {
				for _, f := range found {
					if containsBoth(f, test.check, test.detail) {
						return true
					}
				}
				return false
			}, "%q", found)
		})
	}
}

// needTried skips the test where a check could not be tried for want of a program.
func needTried(t *testing.T, rep *report.Report, check, program string) {
	t.Helper()
	for _, f := range rep.Phases[0].Findings {
		if f.Check == check && f.Outcome == report.NotTried {
			lab.Need(t, program)
			t.Skip(f.Detail)
		}
	}
}

// TestMyGate has a gateway of today that would count at home.
func TestMyGate(t *testing.T) {
	r := sample(t)
	present := t.TempDir()
	require.NoError(t, os.CopyFS(present, r.Present))
	require.NoError(t, os.WriteFile(present+"/senate/etc/mygate", []byte("198.51.100.1\n"), 0o600))
	r.Present = os.DirFS(present)
	rep, err := r.run(t.Context(), one(r.homeNetwork))
	require.NoError(t, err)
	assert.Contains(t, failed(rep), "nothing of the old network is left: there is an /etc/mygate or /etc/mygate6: remove it")
}

// TestDaemonKeepsTheOldOne has a reload that changes nothing.
func TestDaemonKeepsTheOldOne(t *testing.T) {
	r := sample(t)
	forget := func(context.Context) error {
		r.guest.tls.list = nil
		return nil
	}
	rep, err := r.run(t.Context(), one(r.firstCertificates, forget, r.renewal))
	require.NoError(t, err)
	require.Len(t, failed(rep), 1)
	assert.Contains(t, failed(rep)[0], "a renewed certificate reaches the service")
}

// TestRefusals have a source that is not reached, and one of which there is nothing to
// refuse.
func TestRefusals(t *testing.T) {
	r := sample(t)
	refuse := func(ctx context.Context) error {
		var asked atomic.Bool
		r.refused(ctx, "no way there", "a test", sourceFunc(func(context.Context, string) (*certsync.Bundle, error) {
			return nil, errors.New("no route to host")
		}), &asked)
		r.refused(ctx, "a good one", "a test", sourceFunc(func(ctx context.Context, name string) (*certsync.Bundle, error) {
			asked.Store(true)
			return r.published.Fetch(ctx, name, certsync.Fingerprint{})
		}), &asked)
		return nil
	}
	rep, err := r.run(t.Context(), one(r.newPath, r.firstCertificates, refuse))
	require.NoError(t, err)
	require.Len(t, failed(rep), 2)
	assert.Contains(t, failed(rep)[0], "no way there: nothing was fetched")
	assert.Contains(t, failed(rep)[1], "a good one: sync has nothing to say against it")
}

// TestForgottenSerial has a secondary that takes every zone.
func TestForgottenSerial(t *testing.T) {
	r := sample(t)
	forget := func(context.Context) error {
		r.secondary.mu.Lock()
		defer r.secondary.mu.Unlock()
		r.secondary.records = nil
		return nil
	}
	rep, err := r.run(t.Context(), one(forget, r.forgottenSerial))
	require.NoError(t, err)
	require.NotEmpty(t, failed(rep))
	assert.Equal(t, "a serial that is not raised is noticed: the secondary does not have what was there before", failed(rep)[0])
}

// TestDiskByte has one byte flipped on the copy.
func TestDiskByte(t *testing.T) {
	r := sample(t)
	flip := func(ctx context.Context) error {
		f, err := os.OpenFile(r.homeDisk(), os.O_RDWR, 0)
		require.NoError(t, err)
		defer f.Close()
		b := make([]byte, 1)
		_, err = f.ReadAt(b, 5<<20)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte{^b[0]}, 5<<20)
		require.NoError(t, err)
		want, err := blockcopy.ParseDigest(r.report.Disk.Digest)
		require.NoError(t, err)
		return r.compareDisks(ctx, want)
	}
	rep, err := r.run(t.Context(), one(r.newPath, r.livePass, r.stopGuest, r.finalPass, flip))
	require.NoError(t, err)
	require.Len(t, failed(rep), 1)
	assert.Contains(t, failed(rep)[0], "both disks are the same, to the byte: ")
	assert.Contains(t, failed(rep)[0], "home.img has ")
}

// TestNoFinalPass boots from what a live pass has left.
func TestNoFinalPass(t *testing.T) {
	r := sample(t)
	deliver := func(ctx context.Context) error {
		for range 3 {
			require.NoError(t, r.client.deliver(ctx, r.router.service.addr))
		}
		return nil
	}
	rep, err := r.run(t.Context(), one(r.newPath, r.livePass, deliver, r.stopGuest, r.boot))
	require.NoError(t, err)
	assert.Contains(t, failed(rep)[0], "nothing that was acknowledged before the stop is lost: it is ")
}

// TestNoLowPorts has an nginx that may not take the site's ports, which is no fault of it.
func TestNoLowPorts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has namespaces")
	}
	for program, why := range map[string]string{
		`case $(cat "$4"nginx.conf) in *listen*|*include*) echo "bind() to 0.0.0.0:80 failed" >&2; exit 1;; esac`: "bind() to 0.0.0.0:80 failed",
		"echo 'no such thing' >&2; exit 1": "no such thing",
	} {
		r := sample(t)
		bin := t.TempDir()
		require.NoError(t, os.WriteFile(bin+"/nginx", []byte("#!/bin/sh\n"+program+"\n"), 0o700))
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		rep, err := r.run(t.Context(), one(r.newPath, r.site(2)))
		require.NoError(t, err)
		assert.Empty(t, failed(rep))
		notTried := rep.Named(report.NotTried)
		require.Len(t, notTried, 1)
		assert.Equal(t, "nginx takes the site's configuration", notTried[0].Check)
		assert.Equal(t, "rendered but not tried: "+why, notTried[0].Detail)
	}
}

// hangUp has the router lead who wants TLS to somebody who hangs up, and waits until the
// watch has met him.
func hangUp(t *testing.T, r *rehearsal) func(context.Context) error {
	return func(context.Context) error {
		met := make(chan bool, 1)
		s, err := serve(func(net.Conn) {
			select {
			case met <- true:
			default:
			}
		})
		require.NoError(t, err)
		t.Cleanup(s.stop)
		r.router.leadTo(&guest{service: r.guest.service, tls: &tlsDaemon{server: s}, dns: r.guest.dns})
		<-met
		return nil
	}
}

// TestSilence has a service that stops where it is not to.
func TestSilence(t *testing.T) {
	r := sample(t)
	rep, err := r.run(t.Context(), one(r.newPath, hangUp(t, r)))
	require.NoError(t, err)
	require.NotEmpty(t, failed(rep))
	assert.Contains(t, failed(rep)[0], "every service answers all the time, but for the stop: TLS by new: ")
}

// TestSilenceAtHome has one that stops again after the guest has answered at home.
func TestSilenceAtHome(t *testing.T) {
	r := sample(t)
	rep, err := r.run(t.Context(), one(r.newPath, r.livePass, r.stopGuest, r.finalPass, r.boot, hangUp(t, r)))
	require.NoError(t, err)
	require.Len(t, failed(rep), 1)
	assert.Contains(t, failed(rep)[0], "every service answers all the time, but for the stop: TLS by new: ")
}

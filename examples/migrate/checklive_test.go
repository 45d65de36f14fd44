package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	dnswire "github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/wgpeer"
	"github.com/rehost/rehost/zone"
)

var secondary = netip.MustParseAddr("192.0.2.53")

// twoServers is the sample with a secondary.
func twoServers(t *testing.T) string {
	dir := sampleDir(t)
	replace("in/senate/etc/namedb/example.net", "\t\tIN NS\tns6\n", "\t\tIN NS\tns6\n\t\tIN NS\tns2\n")(t, dir)
	replace("in/senate/etc/namedb/example.net", "ns6\t\tIN A", "ns2\t\tIN A\t192.0.2.53\nns6\t\tIN A")(t, dir)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	return dir
}

// TestAServerThatLagsBehindIsNamed has a secondary that has not followed yet, follows, and
// caches that forget two days after that.
func TestAServerThatLagsBehindIsNamed(t *testing.T) {
	dir := twoServers(t)
	today, err := os.ReadFile(filepath.Join(dir, "in/senate/etc/namedb/example.net"))
	require.NoError(t, err)
	serveZone(t, routerAddress, renderedZone(t, dir, "senate-short-ttl"))
	behind := serveZone(t, secondary, string(today))
	look := func(later time.Duration) report.Finding {
		st := stationAt(t, dir, elsewhere)
		st.now = st.now.Add(later)
		return finding(t, st.try(t.Context(), 4, 2, false).Findings, "-drain 48h0m0s")
	}
	f := look(0)
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "has not reached 1 of 2 servers: 192.0.2.53:53")
	assert.Contains(t, f.Detail, `"rndc retransfer example.net" there`)
	kept := filepath.Join(dir, "out/drain-4.2.json")
	assert.NoFileExists(t, kept)

	require.NoError(t, os.WriteFile(behind.Path("example.net"), []byte(renderedZone(t, dir, "senate-short-ttl")), 0o600))
	runOK(t, "rndc", "-s", behind.RNDCHost, "-p", fmt.Sprint(behind.RNDCPort), "-k", behind.RNDCKey, "reload", "example.net")
	require.True(t, behind.Await("loaded serial 2026112102"))
	f = look(0)
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "2 servers have it, but caches may hold what was there before until ")
	assert.FileExists(t, kept)
	f = look(47 * time.Hour)
	assert.Contains(t, f.Detail, "which is in 1h0", "the instant is that of the first time")
	f = look(49 * time.Hour)
	assert.Equal(t, report.Held, f.Outcome, f.Detail)
	assert.Contains(t, f.Detail, "serial 2026112102: the old records are gone after ")

	require.NoError(t, os.WriteFile(kept, []byte("{}"), 0o600))
	assert.Contains(t, look(0).Detail, "drain-4.2.json")
}

// TestTheNamesHaveMoved has the last zone of the phase at all servers.
func TestTheNamesHaveMoved(t *testing.T) {
	dir := twoServers(t)
	serveZone(t, routerAddress, renderedZone(t, dir, "senate"))
	serveZone(t, secondary, renderedZone(t, dir, "senate"))
	st := stationAt(t, dir, elsewhere)
	look := func(step int, words string) report.Finding {
		return finding(t, st.try(t.Context(), 4, step, false).Findings, words)
	}
	f := look(2, "-drain 48h0m0s")
	assert.Equal(t, report.NotTried, f.Outcome)
	assert.Contains(t, f.Detail, "since when is not in")
	drain, err := json.Marshal(zone.Drain{Serial: 2026112102, OldTTL: 48 * time.Hour, Until: st.now.Add(time.Hour)})
	require.NoError(t, err)
	add("out/drain-4.2.json", string(drain))(t, dir)
	f = look(2, "-drain 48h0m0s")
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "the TTLs were lowered too late, and the names point to the router already")

	assert.Contains(t, look(3, "-drain 5m0s").Detail, "which is in ")
	f = look(3, "Every server answers the names")
	assert.Equal(t, report.Held, f.Outcome, f.Detail)
	assert.Equal(t, "6 names, 2 servers", f.Detail)
	assert.Contains(t, finding(t, st.try(t.Context(), 4, 0, true).Findings, "again").Detail, "example.net. has 198.51.100.25, and 192.0.2.53:53 answers 203.0.113.63")
	st.now = st.now.Add(6 * time.Minute)
	assert.Equal(t, report.Held, look(3, "-drain 5m0s").Outcome)
}

// TestPortsAreAskedFromOutside has a router of which one port does not answer, and one
// that takes connections without a service behind it.
func TestPortsAreAskedFromOutside(t *testing.T) {
	dir := renderedDir(t)
	serveZone(t, routerAddress, renderedZone(t, dir, "senate-short-ttl"))
	haveAddress(t, secondary)
	listen(t, netip.AddrPortFrom(routerAddress, 25), "220 senate.example.net ESMTP\r\n")
	listen(t, netip.AddrPortFrom(secondary, 25), "")
	serveTLS(t, "203.0.113.63:465", installCertificate(t, filepath.Join(dir, "served"), "senate.example.net"))
	listen(t, netip.AddrPortFrom(secondary, 465), "")
	found, code := checked(t, dir, "-on", elsewhere, "2.4")
	assert.Equal(t, 3, code)
	for words, outcome := range map[string]report.Outcome{
		"nc -w 5 203.0.113.63 25 ": report.Held, "-connect '203.0.113.63:465'": report.Held, "dig +tcp +short soa example.net @203.0.113.63": report.Held,
		"dig +short soa example.net @203.0.113.63": report.Held, "nc -w 5 203.0.113.63 587 ": report.Failed,
		"nc -w 5 198.51.100.25 25": report.Failed,
	} {
		f := finding(t, found, words)
		assert.Equal(t, outcome, f.Outcome, "%s: %s", words, f.Detail)
	}
	_, err := greets(netip.AddrPortFrom(secondary, 25), "220", "look")(t.Context(), nil)
	assert.ErrorContains(t, err, "takes the connection, and says nothing")
	_, err = greets(netip.AddrPortFrom(routerAddress, 25), "* OK", "look")(t.Context(), nil)
	assert.ErrorContains(t, err, `begins with "220 senate.example.net ESMTP", and not with * OK: look`)
	_, err = shakesHands(netip.AddrPortFrom(secondary, 465), "look")(t.Context(), nil)
	assert.Error(t, err)
	assert.Contains(t, finding(t, found, "203.0.113.63 587").Detail, "look at the forwards (migrate check 2 on ingress)")
	found, _ = checked(t, dir, "-on", elsewhere, "7.3")
	for _, words := range []string{"nc -w 5 2001:db8:189c:700:b4d2::4 25", "dig +short soa example.net @2001:db8", "-connect '[2001:db8:189c:700:b4d2::4]:465'"} {
		f := finding(t, found, words)
		assert.Equal(t, report.NotTried, f.Outcome, words)
		assert.Equal(t, "this machine has no IPv6", f.Detail)
	}

	found, _ = checked(t, dir, "-on", elsewhere)
	assert.Contains(t, finding(t, found, "198.51.100.25 25 ").Detail, "phase 5 ends this path")
	found, code = checked(t, dir, "-on", elsewhere, "-back", "2")
	assert.Equal(t, 3, code)
	assert.Equal(t, report.Failed, finding(t, found, "198.51.100.25 25").Outcome)
}

// listen takes connections at an address that this machine has, or gets, and greets.
func listen(t *testing.T, at netip.AddrPort, greeting string) {
	t.Helper()
	l, err := net.Listen("tcp", at.String())
	require.NoError(t, err)
	acceptAll(t, l, func(conn net.Conn) { io.WriteString(conn, greeting) })
}

// TestAWrongZoneIsNoAnswer has a server that does not know the domain.
func TestAWrongZoneIsNoAnswer(t *testing.T) {
	s := lab.StartNamed(t, lab.Named{})
	for _, over := range []string{"udp", "tcp"} {
		_, err := answersSOA("example.net", over, s.Addr, "")(t.Context(), nil)
		assert.ErrorContains(t, err, "REFUSED, and does not have the zone")
	}
}

// TestALostQuestionIsAskedAgain has a server that never hears the first one.
func TestALostQuestionIsAskedAgain(t *testing.T) {
	soa, err := dnswire.NewRR("example.net. SOA ns1.example.net. hostmaster.example.net. 1 3h 15m 2w 10m")
	require.NoError(t, err)
	var asked atomic.Int32
	at := lab.StartDNS(t, func(w dnswire.ResponseWriter, question *dnswire.Msg) {
		if asked.Add(1) == 1 {
			return
		}
		answer := new(dnswire.Msg).SetReply(question)
		answer.Authoritative, answer.Answer = true, []dnswire.RR{soa}
		w.WriteMsg(answer)
	}, nil)
	_, err = answersSOA("example.net", "udp", at, "")(t.Context(), nil)
	assert.NoError(t, err)
}

// TestServersAreAskedForTheirCertificates has a real Postfix and a real Dovecot serve one.
func TestServersAreAskedForTheirCertificates(t *testing.T) {
	dir := renderedDir(t)
	name := "senate.example.net"
	cert := move.Certificate{Name: name, Domains: sampleDomains[name]}
	installCertificate(t, filepath.Join(dir, "root/read"), name)
	installCertificate(t, filepath.Join(dir, "root/new"), name) // the daemons have what they have read
	live := filepath.Join(dir, "root/read", name, "live")
	chain, key := filepath.Join(live, "fullchain.pem"), filepath.Join(live, "privkey.pem")
	for daemon, start := range map[string]func() (probes []string){
		"postfix": func() []string {
			s := lab.StartPostfix(t, lab.Postfix{Chain: chain, Key: key})
			return []string{"smtp://" + s.Plain.String(), "tls://" + s.TLS.String()}
		},
		"dovecot": func() []string {
			s := lab.StartDovecot(t, lab.Dovecot{Chain: chain, Key: key})
			return []string{"imap://" + s.Plain.String(), "tls://" + s.TLS.String()}
		},
	} {
		for _, probe := range start() {
			st := stationAt(t, dir, "senate")
			look := func(a asked) report.Finding { return st.find(t.Context(), serves("senate", probe, a)) }
			f := look(asked{probe, "/read", cert, daemon})
			assert.Equal(t, report.Held, f.Outcome, f.Detail)
			f = look(asked{probe, "/new", cert, daemon})
			assert.Equal(t, report.Failed, f.Outcome)
			assert.Contains(t, f.Detail, daemon+" serves another certificate")
			f = look(asked{probe, "", move.Certificate{Name: "example.org"}, daemon})
			assert.Equal(t, report.Failed, f.Outcome)
			assert.Contains(t, f.Detail, "it does not serve the certificate example.org")
			st.now = st.now.AddDate(20, 0, 0)
			assert.Contains(t, look(asked{probe, "", cert, daemon}).Detail, "has expired on")
		}
	}
}

// TestTheHandshakeIsFresh has both ends of the tunnel, before and after they meet.
func TestTheHandshakeIsFresh(t *testing.T) {
	lab.NeedIsolation(t)
	lab.Need(t, "wg", "bash")
	router, guest := lab.NewHost(t, "ingress"), lab.NewHost(t, "senate")
	lab.Join(t,
		lab.NIC{Host: router, Iface: "ens5", Addrs: []string{"203.0.113.63/24"}},
		lab.NIC{Host: guest, Iface: "eth0", Addrs: []string{"203.0.113.9/24"}})
	dir := sampleDir(t)
	look := func(later time.Duration, step int, words string) report.Finding {
		st := stationAt(t, dir, "ingress")
		st.root, st.now = "/", st.now.Add(later)
		return finding(t, st.try(t.Context(), 1, step, false).Findings, words)
	}
	assert.Contains(t, look(0, 11, "lists the peer").Detail, "there is no wg0 here: ifup, or wg-quick up, makes it")

	lab.StartWireGuard(t, router, "wg0")
	lab.StartWireGuard(t, guest, "guest0")
	keys := map[string]wgpeer.PrivateKey{}
	for _, end := range []string{"router", "guest"} {
		key, err := wgpeer.NewPrivateKey()
		require.NoError(t, err)
		keys[end] = key
		add(end+".key", key.Reveal())(t, dir)
	}
	assert.Contains(t, look(0, 11, "public-key` prints").Detail, "put that into the move file as tunnel.router.public_key")
	replace("m.toml", "dMlWBAQ0J/C+4dDha/pTr9U39zatAHPEzE4cyzqCtdw=", keys["router"].Public().String())(t, dir)
	replace("m.toml", "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw=", keys["guest"].Public().String())(t, dir)
	router.Run(t, "wg", "set", "wg0", "private-key", filepath.Join(dir, "router.key"), "listen-port", "51820")
	assert.Equal(t, report.Held, look(0, 11, "public-key` prints").Outcome)
	f := look(0, 11, "lists the peer")
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "wg0 does not have the peer "+keys["guest"].Public().String())

	router.Run(t, "wg", "set", "wg0", "peer", keys["guest"].Public().String(), "allowed-ips", "172.16.1.4/32")
	guest.Run(t, "wg", "set", "guest0", "private-key", filepath.Join(dir, "guest.key"),
		"peer", keys["router"].Public().String(), "endpoint", "203.0.113.63:51820", "allowed-ips", "172.16.1.1/32")
	assert.Equal(t, report.Held, look(0, 11, "lists the peer").Outcome)
	f = look(0, 12, "On ingress: `wg show wg0`")
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "there was no handshake yet: look at udp 51820")

	router.Run(t, "ip", "address", "add", "172.16.1.1/24", "dev", "wg0")
	router.Run(t, "ip", "link", "set", "wg0", "up")
	guest.Run(t, "ip", "address", "add", "172.16.1.4/24", "dev", "guest0")
	guest.Run(t, "ip", "link", "set", "guest0", "up")
	tunnelUp := tunnelAnswers(stationAt(t, dir, "senate").m, "")
	require.NoError(t, guest.Do(func() error {
		_, err := tunnelUp.Try(t.Context(), nil)
		return err
	}), "a refusal is an answer")
	f = look(0, 12, "On ingress: `wg show wg0`")
	assert.Equal(t, report.Held, f.Outcome, f.Detail)
	assert.Contains(t, look(4*time.Minute, 12, "On ingress: `wg show wg0`").Detail, "the last handshake was 4m")
}

// TestTheRouterForwards has the kernel and the rules as they were rendered, and without.
func TestTheRouterForwards(t *testing.T) {
	lab.NeedIsolation(t)
	lab.Need(t, "iptables", "ip6tables")
	dir := renderedDir(t)
	found, _ := checked(t, dir, "-on", "ingress", "2.3")
	f := finding(t, found, "sysctl")
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "/proc/sys/net/ipv4/ip_forward:1: it is 0")
	f = finding(t, found, "each once")
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, "missing: ")
	found, _ = checked(t, dir, "-on", "ingress", "-back", "2")
	assert.Equal(t, report.Held, finding(t, found, "finds nothing").Outcome)

	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		file := filepath.Join("/proc/sys", key)
		require.NoError(t, os.WriteFile(file, []byte("1"), 0))
		t.Cleanup(func() { os.WriteFile(file, []byte("0"), 0) })
	}
	runForwardHook(t, dir)
	found, _ = checked(t, dir, "-on", "ingress", "2.3")
	assert.Equal(t, report.Held, finding(t, found, "sysctl").Outcome)
	f = finding(t, found, "each once")
	assert.Equal(t, report.Held, f.Outcome, f.Detail)
	found, _ = checked(t, dir, "-on", "ingress", "-back", "2")
	assert.Contains(t, finding(t, found, "finds nothing").Detail, "the rules are still there: IFACE=ens5 MODE=stop")
}

// TestRulesThatCannotBeReadAreNotGone has an iptables that is too old to be asked.
func TestRulesThatCannotBeReadAreNotGone(t *testing.T) {
	lab.NeedIsolation(t)
	dir, bin := renderedDir(t), t.TempDir()
	for _, name := range []string{"iptables", "ip6tables"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho "+name+" v1.4.21\n"), 0o700))
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	found, _ := checked(t, dir, "-on", "ingress", "-back", "2")
	f := finding(t, found, "finds nothing")
	assert.Equal(t, report.NotTried, f.Outcome, f.Detail)
	assert.Contains(t, f.Detail, "iptables is 1.4.21")
}

// runForwardHook loads the forwards by the rendered script, as long as the test lasts.
func runForwardHook(t *testing.T, dir string) {
	t.Helper()
	hook := func(mode string) {
		cmd := exec.Command("sh", filepath.Join(dir, "out/02-both-paths/ingress/etc/network/if-pre-up.d/rehost-senate"))
		cmd.Env = append(os.Environ(), "IFACE=ens5", "MODE="+mode)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	hook("start")
	t.Cleanup(func() { hook("stop") })
}

// TestMailCanLeave asks another's mail server.
func TestMailCanLeave(t *testing.T) {
	dir := renderedDir(t)
	haveAddress(t, secondary)
	look := func(args ...string) report.Finding {
		found, _ := checked(t, dir, append(append([]string{"-on", "ingress"}, args...), "7.5")...)
		return finding(t, found, "It begins with 220")
	}
	assert.Equal(t, "-mail-server HOST says whom to ask", look().Detail)
	assert.Contains(t, look("-mail-server", secondary.String()).Detail, "clouds block outbound port 25 until asked")
	for greeting, outcome := range map[string]report.Outcome{"220 mail.example.com ESMTP\r\n": report.Held, "554 5.7.1 \x1b[2Jgo away\r\n": report.Failed, "": report.Failed} {
		t.Run(string(outcome)+greeting, func(t *testing.T) {
			listen(t, netip.AddrPortFrom(secondary, 25), greeting)
			f := look("-mail-server", secondary.String())
			assert.Equal(t, outcome, f.Outcome, f.Detail)
			assert.NotContains(t, f.Detail, "\x1b")
		})
	}
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// A mistake is one that people make in a move. It is made in a copy of the sample, or,
// where it shows only while the move is under way, on a machine that has the files of
// the phases before.
type mistake struct {
	name  string
	spoil func(t *testing.T, dir string)
	check []string // arguments of migrate check; nil: the sample is rendered
	warns bool     // rendered all the same
	place string   // where the message begins, below the copy or a phase's folder
	want  []string // what it says
}

// TestMistakes makes each mistake, one at a time. Each is found with its place, and with
// what to do. With -v it prints them as a table.
func TestMistakes(t *testing.T) {
	var table strings.Builder
	for _, list := range [][]mistake{routeMistakes, zoneMistakes, moduleMistakes, ruleMistakes, certificateMistakes, guestMistakes, routerMistakes, ownMistakes} {
		for _, m := range list {
			t.Run(m.name, func(t *testing.T) {
				dir := sampleDir(t)
				said := m.make(t, dir)
				if !t.Failed() {
					fmt.Fprintf(&table, "| %s | %s |\n", m.name, strings.ReplaceAll(said, "|", `\|`))
				}
			})
		}
	}
	t.Logf("\n| mistake | what migrate says |\n| --- | --- |\n%s", &table)
}

// make makes the mistake, and returns the line that tells of it.
func (m mistake) make(t *testing.T, dir string) string {
	if m.check != nil {
		code, _, stderr := migrate(t, dir)
		require.Equal(t, 0, code, stderr)
	}
	if m.spoil != nil {
		m.spoil(t, dir)
	}
	var text string
	switch {
	case m.check != nil:
		code, stdout, stderr := migrateCheck(t, dir, m.check...)
		assert.Equal(t, 3, code, stderr)
		text = stdout
	case m.warns:
		code, stdout, stderr := migrate(t, dir)
		require.Equal(t, 0, code, stderr)
		text = stdout
	default:
		code, stdout, stderr := migrate(t, dir)
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout)
		assert.NoFileExists(t, filepath.Join(dir, "out"))
		text = stderr
	}
	text = strings.ReplaceAll(text, dir+"/", "")
	// What a check has found goes on in the lines that are set in as far.
	for part := range strings.SplitSeq(strings.ReplaceAll(text, "\n             ", " "), "\n") {
		at := strings.Index(part, m.place)
		if at >= 0 && !slices.ContainsFunc(m.want, func(want string) bool { return !strings.Contains(part[at:], want) }) {
			return part[at:]
		}
	}
	assert.Fail(t, "nothing is said of it", "no line begins with %q and has %q:\n%s", m.place, m.want, text)
	return ""
}

// migrateCheck is migrate check on the copy of the sample.
func migrateCheck(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	fixed := []string{"check", "-move", filepath.Join(dir, "m.toml"), "-in", filepath.Join(dir, "in"), "-out", filepath.Join(dir, "out")}
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "DIR", dir)
	}
	code = run(t.Context(), append(fixed, args...), &out, &errOut)
	return code, out.String(), errOut.String()
}

// replace edits a file, which has the text once.
func replace(file, old, new string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, file)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(data), old), "%s has it once", file)
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o600))
	}
}

// add writes a file.
func add(file, text string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// hostWith is a machine below root that has what the phases up to one install, and one
// mistake.
func hostWith(host, last string, spoil func(t *testing.T, dir string)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		installPhases(t, dir, host, last)
		spoil(t, dir)
	}
}

// installPhases makes the machine below root: its files of today, and those of each phase
// up to the last.
func installPhases(t *testing.T, dir, host, last string) {
	t.Helper()
	root := filepath.Join(dir, "root")
	install := func(from string) {
		if _, err := os.Stat(from); err != nil {
			return
		}
		out, err := exec.CommandContext(t.Context(), "cp", "-RPp", from+"/.", root).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	require.NoError(t, os.MkdirAll(root, 0o755))
	install(filepath.Join(dir, "in", host))
	phases, err := filepath.Glob(filepath.Join(dir, "out/0*"))
	require.NoError(t, err)
	for _, phase := range phases {
		if filepath.Base(phase) <= last {
			install(filepath.Join(phase, host))
		}
	}
}

// "A default route to a gateway that lies in no connected prefix (10.17.3.1 on a
// 172.16.1.0/24 tunnel); all traffic into the tunnel with no host route to the endpoint."
var routeMistakes = []mistake{
	{name: "a default route to a gateway in no connected prefix",
		spoil: replace("m.toml", `"172.16.1.1/24"`, `"10.17.3.1/24"`),
		place: "m.toml:", want: []string{"10.17.3.1", "lies in no prefix that is connected to the guest"}},
	{name: "a default route in a file, with its gateway nowhere",
		spoil: add("in/senate/etc/ifconfig.vioif1", "inet 172.16.9.4/24\n!route add default 10.17.3.1\n"),
		place: "in/senate/etc/ifconfig.vioif1:2", want: []string{"10.17.3.1"}},
	{name: "such a route on the guest",
		spoil: hostWith("senate", "06-first-boot", replace("root/etc/ifconfig.wg0", "default 172.16.1.1", "default 10.17.3.1")),
		check: []string{"-on", "senate", "-root", "DIR/root", "6.2"},
		place: "root/etc/ifconfig.wg0:7", want: []string{"10.17.3.1", "connected"}},
	{name: "all traffic into the tunnel, no host route to the endpoint",
		spoil: replace("m.toml", `gateway = "192.168.14.254"`, ""),
		place: "m.toml:", want: []string{"guest.home.gateway", "host route to 203.0.113.63"}},
	{name: "no host route to the endpoint on the guest",
		spoil: hostWith("senate", "06-first-boot", replace("root/etc/ifconfig.wg0", "!route add -host 203.0.113.63 192.168.14.254\n", "")),
		check: []string{"-on", "senate", "-root", "DIR/root", "6.2"},
		place: "root/etc/ifconfig.wg0:5", want: []string{"1 line is gone, from \"!route add -host 203.0.113.63 192.168.14.254\" on", "Install the rendered file"}},
}

// "MX pointing to a name that is a CNAME"; "the serial not raised; the TTL lowered too
// late".
var zoneMistakes = []mistake{
	{name: "an MX that points to a CNAME", warns: true,
		spoil: replace("in/senate/etc/namedb/example.net", "mail\t\tIN A\t198.51.100.25", "mail\t\tIN CNAME\tsenate"),
		place: "in/senate/etc/namedb/example.net:11:12: warning: ", want: []string{"MX mail.example.net. is a CNAME", "give the name address records"}},
	{name: "records in a file that the zone includes",
		spoil: replace("in/senate/etc/namedb/example.net", "mail\t\tIN A\t198.51.100.25", "$include hosts.inc"),
		place: "in/senate/etc/namedb/example.net:18: error: ", want: []string{"$INCLUDE is not followed", "put its lines here"}},
	{name: "a $GENERATE with the old address",
		spoil: replace("in/senate/etc/namedb/example.net", "mail\t\tIN A\t198.51.100.25", "mail\t\tIN A\t198.51.100.25\n$GENERATE 1-3 h$ A 198.51.100.25"),
		place: "senate/etc/namedb/example.net:19: ", want: []string{"h1.example.net. A is made by $GENERATE"}},
	{name: "the serial not raised",
		spoil: hostWith("senate", "04-dns", replace("root/etc/namedb/example.net", "2026112103", "2026112102")),
		check: []string{"-on", "senate", "-root", "DIR/root", "4.3"},
		place: "root/etc/namedb/example.net:3: ", want: []string{"was not raised", "make it 2026112103 and reload"}},
	{name: "other records served under the same serial",
		spoil: hostWith("senate", "04-dns", func(t *testing.T, dir string) {
			serveZone(t, tunnelGuest, strings.Replace(renderedZone(t, dir, "senate-short-ttl"), "2026112102", "2026112103", 1))
		}),
		check: []string{"-on", "senate", "-root", "DIR/root", "4.3"},
		place: "root/etc/namedb/example.net:12: ", want: []string{"answers 198.51.100.25", "raise the serial in line 3, and reload"}},
	{name: "the TTL lowered too late, before the move", warns: true,
		spoil: replace("m.toml", "switch = 2026-12-05T20:00:00Z", "switch = 2025-12-05T20:00:00Z"),
		place: "m.toml:13:1: warning: dns.switch: ", want: []string{"the short TTLs had to be served by 2025-12-03T", "choose"}},
	{name: "the TTL lowered too late, in the move",
		spoil: func(t *testing.T, dir string) {
			serveZone(t, routerAddress, renderedZone(t, dir, "senate-short-ttl"))
		},
		check: []string{"-on", "elsewhere", "4.2"},
		place: "1 server has it, but caches may hold what was there before until ", want: []string{"which is in 48h0", "do not begin the next step before"}},
}

// "echo if_wg > /etc/modules.conf wipes the file".
var moduleMistakes = []mistake{
	{name: "echo if_wg > /etc/modules.conf",
		spoil: hostWith("senate", "01-prepare", add("root/etc/modules.conf", "if_wg\n")),
		check: []string{"-on", "senate", "-root", "DIR/root", "1.12"},
		place: "root/etc/modules.conf:1: ", want: []string{"4 lines are gone, from ", "written with > and not with >>", "Install the rendered file"}},
}

// "-A run twice doubles the rules; DSTIP empty because the host is missing from
// /etc/hosts".
var ruleMistakes = []mistake{
	{name: "-A in a script that runs at every start", warns: true,
		spoil: add("in/ingress/etc/network/if-pre-up.d/forward", "#!/bin/sh\niptables -t nat -A PREROUTING -i ens5 -p tcp --dport 25 -j DNAT --to 172.16.1.4\n"),
		place: "in/ingress/etc/network/if-pre-up.d/forward:2:1: warning: ", want: []string{"appends this rule again", "take it out"}},
	{name: "-A run twice, and saved", warns: true,
		spoil: add("in/ingress/etc/iptables/rules.v4", "*nat\n-A POSTROUTING -o ens5 -j MASQUERADE\n-A POSTROUTING -o ens5 -j MASQUERADE\nCOMMIT\n"),
		place: "in/ingress/etc/iptables/rules.v4:3:1: warning: ", want: []string{"the rule of line 2 stands here again", "remove this line"}},
	{name: "-A run twice, on the router", spoil: doubleRule, check: []string{"-on", "ingress", "2.3"},
		place: "iptables-save:", want: []string{"--dport 25", "172.16.1.4", "MODE=start", "loads the rules as they were rendered"}},
	{name: "DSTIP from /etc/hosts", warns: true,
		spoil: add("in/ingress/etc/network/if-pre-up.d/forward", "#!/bin/sh\nDSTIP=$(awk '/senate/ { print $1 }' /etc/hosts)\niptables-restore -n <<END\nEND\n"),
		place: "in/ingress/etc/network/if-pre-up.d/forward:2:1: warning: ", want: []string{"DSTIP is empty where the host is not known", "write the address"}},
	{name: "no address to forward to",
		spoil: replace("m.toml", `addresses = ["172.16.1.4/24", "2001:db8:189c:700:b4d2::4/80"]`, ""),
		place: "m.toml:", want: []string{"both ends need an IPv4 address", "give each one"}},
}

// "An HTML error page installed as certificate; key and certificate of different
// generations; a reload that exits 0 and serves nothing".
var certificateMistakes = []mistake{
	{name: "an HTML error page installed as certificate",
		spoil: withCertificates(add("root/etc/certificates/senate.example.net/live/fullchain.pem", "<!DOCTYPE html>\n<title>404</title>\n")),
		check: []string{"-on", "senate", "-root", "DIR/root", "3.7"},
		place: "root/etc/certificates/senate.example.net/live/fullchain.pem:1", want: []string{"it is a page of HTML", "installs chain and key anew"}},
	{name: "key and certificate of different generations",
		spoil: withCertificates(otherKey),
		check: []string{"-on", "senate", "-root", "DIR/root", "3.7"},
		place: "root/etc/certificates/senate.example.net/live/fullchain.pem: ", want: []string{"the private key belongs to another certificate", "installs chain and key anew"}},
	{name: "a reload that exits 0, and the old certificate is served",
		spoil: withCertificates(serveOld),
		check: []string{"-on", "senate", "-root", "DIR/root", "3.8"},
		place: "root/etc/certificates/senate.example.net/live/fullchain.pem: ", want: []string{"dovecot serves another certificate", "restart it"}},
	{name: "a reload that exits 0, and nothing is served",
		spoil: withCertificates(func(*testing.T, string) {}),
		check: []string{"-on", "senate", "-root", "DIR/root", "3.8"},
		place: "127.0.0.1:993: ", want: []string{"connection refused", "is dovecot running"}},
}

// "A commented-out defaultroute with an /etc/mygate still there; a last line without
// newline in ifconfig.wg0"; "The single-user flag left in the guest's file"; "more than
// 500 mails queued because outbound 25 was closed".
var guestMistakes = []mistake{
	{name: "a mygate, where only defaultroute will be commented out", warns: true,
		spoil: add("in/senate/etc/mygate", "198.51.100.1\n"),
		place: "in/senate/etc/mygate:1: warning: ", want: []string{"past the tunnel", "until step 6.2, which moves it"}},
	{name: "defaultroute commented out, with mygate still there",
		spoil: hostWith("senate", "06-first-boot", add("root/etc/mygate", "198.51.100.1\n")),
		check: []string{"-on", "senate", "-root", "DIR/root", "6.2"},
		place: "root/etc/mygate:1: ", want: []string{"a default route past the tunnel", "move it to /root/move/before"}},
	{name: "a last line without newline",
		spoil: replace("in/senate/etc/ifconfig.vioif0", "0xffffff00\n", "0xffffff00"),
		place: "in/senate/etc/ifconfig.vioif0:3", want: []string{"newline"}},
	{name: "a last line without newline in ifconfig.wg0",
		spoil: hostWith("senate", "01-prepare", replace("root/etc/ifconfig.wg0", "\nup\n", "\nup")),
		check: []string{"-on", "senate", "-root", "DIR/root", "1.12"},
		place: "root/etc/ifconfig.wg0:4: ", want: []string{"the last line has no newline", "install the rendered file again"}},
	{name: "the single-user flag left on, before the move",
		spoil: replace("in/garage/vm/senate/senate.conf", "-h -r ld0a", "-h -s -r ld0a"),
		place: "in/garage/vm/senate/senate.conf:10", want: []string{"single-user"}},
	{name: "the single-user flag left on in a later command",
		spoil: replace("in/garage/vm/senate/senate.conf", "/netbsd\"\nuuid", "/netbsd\"\ngrub_run1=\"knetbsd -s -r dk1 /netbsd\"\nuuid"),
		place: "in/garage/vm/senate/senate.conf:11", want: []string{"single-user"}},
	{name: "the single-user flag left on, in the move",
		spoil: hostWith("garage", "06-first-boot", replace("root/vm/senate/senate.conf", "-h -r ld0a", "-h -s -r ld0a")),
		check: []string{"-on", "garage", "-root", "DIR/root", "6.3"},
		place: "root/vm/senate/senate.conf:11: ", want: []string{"-s is still there", "install the file of the last step"}},
	{name: "more than 500 mails queued",
		spoil: hostWith("senate", "06-first-boot", func(t *testing.T, dir string) {
			for _, queue := range []string{"incoming", "active"} {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, "root/var/spool/postfix", queue), 0o700))
			}
			for i := range 501 {
				add(fmt.Sprintf("root/var/spool/postfix/deferred/%X/%d", i%16, i), "")(t, dir)
			}
		}),
		check: []string{"-on", "senate", "-root", "DIR/root", "7.5"},
		place: "root/var/spool/postfix: ", want: []string{"501 mails wait", "port 25", "postqueue -f"}},
}

// "A header named X-Real_IP in the proxy; BSD sysctl names in a Linux sysctl.conf".
var routerMistakes = []mistake{
	{name: "a header that nginx drops",
		spoil: replace("in/ingress/etc/nginx/sites-available/default", "location / {", "location / { proxy_set_header X-Real_IP $remote_addr;"),
		place: "in/ingress/etc/nginx/sites-available/default:6:32: ", want: []string{"X-Real_IP", "write X-Real-IP"}},
	{name: "a BSD sysctl name in a Linux file",
		spoil: replace("in/ingress/etc/sysctl.d/60-router.conf", "net.ipv4.ip_forward = 1", "net.inet.ip.forwarding=1"),
		place: "in/ingress/etc/sysctl.d/60-router.conf:2", want: []string{"net.ipv4.ip_forward"}},
}

// Those that are not on the list.
var ownMistakes = []mistake{
	{name: "a modules.conf without its last newline",
		spoil: replace("in/senate/etc/modules.conf", "accf_httpready\n", "accf_httpready"),
		place: "in/senate/etc/modules.conf:4", want: []string{"newline"}},
	{name: "a guest that GRUB does not boot", spoil: replace("in/garage/vm/senate/senate.conf", "grub_run0=\"knetbsd -h -r ld0a /netbsd\"", "grub_run0=\"chainloader +1\""),
		place: "garage/vm/senate/senate.conf: ", want: []string{"no grub_run line boots a NetBSD kernel", "write \"knetbsd -h -r ld0a /netbsd\""}},
	{name: "a Linux sysctl name on NetBSD",
		spoil: replace("in/senate/etc/sysctl.conf", "kern.sbmax=1048576", "net.ipv4.ip_forward=1"),
		place: "in/senate/etc/sysctl.conf:2", want: []string{"net.inet.ip.forwarding"}},
	{name: "a rule that takes an address for an interface",
		spoil: replace("in/senate/etc/pf.conf", "port $web\n", "port $web\npass in on wg0 reply-to 172.16.1.1 proto tcp all\n"),
		place: "in/senate/etc/pf.conf:19", want: []string{"interface"}},
	{name: "a quick rule that makes the new rules dead",
		spoil: replace("in/senate/etc/pf.conf", "pass out on $ext_if", "pass in quick all\npass out on $ext_if"),
		place: "02-both-paths/senate/etc/pf.conf:", want: []string{"quick", "let that one leave them, or stand below"}},
	{name: "an ifconfig_wg0 variable that hides the file",
		spoil: replace("in/senate/etc/rc.conf", "npf=NO", "npf=NO\nifconfig_wg0='inet 172.16.1.4/24'"),
		place: "01-prepare/senate/etc/rc.conf:33", want: []string{"does not read /etc/ifconfig.wg0"}},
	{name: "an ifconfig.wg0 of one's own",
		spoil: add("in/senate/etc/ifconfig.wg0", "inet 172.16.1.9/24\n"),
		place: "m.toml:", want: []string{"senate has /etc/ifconfig.wg0 already"}},
	{name: "an upgrade that skips a release",
		spoil: replace("m.toml", `from = "9.0"`, `from = "8.2"`),
		place: "m.toml:", want: []string{"skips a major release"}},
	{name: "a MAC that is none", spoil: replace("m.toml", `"02:00:5e:00:53:04"`, `"02:00"`), place: "m.toml:", want: []string{"guest.vm.mac", "write six bytes"}},
	{name: "a memory size that is none", spoil: replace("m.toml", `"2048M"`, `"much"`), place: "m.toml:", want: []string{"guest.vm.memory"}},
	{name: "no rc.conf, which would be wiped",
		spoil: func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "in/senate/etc/rc.conf")))
		},
		place: "in/senate/etc/rc.conf: ", want: []string{"there is none"}},
	{name: "a folder of a machine that is not in the move", spoil: add("in/senat/etc/rc.conf", "pf=NO\n"), place: "in/senat", want: []string{`no machine called "senat"`, "call its folder one of these"}},
	{name: "an rc.conf that is a link to this machine's own",
		spoil: func(t *testing.T, dir string) {
			rc := filepath.Join(dir, "in/senate/etc/rc.conf")
			require.NoError(t, os.Remove(rc))
			require.NoError(t, os.Symlink("/etc/hostname", rc))
		},
		place: "in/senate/etc/rc.conf: ", want: []string{"escapes", "a copy of the file itself has to be there"}},
	{name: "a pipe for a file",
		spoil: func(t *testing.T, dir string) {
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "in/senate/etc/mygate"), 0o600))
		},
		place: "in/senate/etc/mygate: ", want: []string{"not a regular file"}},
	{name: "an interface that asks DHCP",
		spoil: replace("in/senate/etc/ifconfig.vioif0", "inet 198.51.100.25 netmask 0xffffff00", "dhcp"),
		place: "in/senate/etc/ifconfig.vioif0:3: ", want: []string{"past the tunnel"}},
	{name: "dhcpcd on", spoil: replace("in/senate/etc/rc.conf", "dhcpcd=NO", "dhcpcd=YES"),
		place: "in/senate/etc/rc.conf: ", want: []string{"past the tunnel"}},
	{name: "a default route that shares its line",
		spoil: replace("in/senate/etc/rc.conf", "defaultroute=\"198.51.100.1\"\t", "dhcpcd=NO defaultroute=\"198.51.100.1\"\t"),
		place: "senate/etc/rc.conf: ", want: []string{"defaultroute is not on a line of its own"}},
}

// doubleRule loads the forwards, and one of them again.
func doubleRule(t *testing.T, dir string) {
	lab.NeedIsolation(t)
	lab.Need(t, "iptables", "ip6tables")
	runForwardHook(t, dir)
	runOK(t, "iptables", "-t", "nat", "-A", "rehost-senate-pre", "-i", "ens5", "-p", "tcp", "--dport", "25", "-j", "DNAT", "--to-destination", "172.16.1.4")
}

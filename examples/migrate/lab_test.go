package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/wgpeer"
	"github.com/rehost/rehost/zone"
)

// TestLabRehearsal makes the whole move of the sample with the real programs, on machines
// that are network namespaces with files of their own. The files are those that migrate has
// rendered, at their places, and the commands those of the runbook. Meanwhile a client asks
// every service by every path ten times a second: nobody is to notice anything before the
// stop, nor after the first boot.
func TestLabRehearsal(t *testing.T) {
	lab.NeedIsolation(t)
	lab.NeedRoot(t)
	lab.Need(t, "go", "ip", "iptables", "ip6tables", "sysctl", "wg", "wireguard", "ifup", "named", "named-checkzone", "rndc", "rndc-confgen",
		"dig", "nginx", "pebble", "postfix", "dovecot", "doveadm", "sshd", "ssh", "ssh-keygen", "openssl", "ss", "touch", "pgrep")
	l := newLabMove(t)
	l.today()
	l.prepare()
	l.bothPaths()
	l.certificates()
	l.dns()
	l.diskLive()
	l.finalPass()
	l.firstBoot()
	l.lastCheck()
	l.judge()
}

// today starts everything as it is before the move, and the clients that ask all the time.
func (l *labMove) today() {
	l.boot()
	l.disk.use(l.t.Context())
	l.startSecondaries(l.move.Guest.Old.Address)
	l.startAuthority()
	l.answerBy("old", labOld)
	l.report = report.New("senate", "network namespaces, with named, nginx, pebble, Postfix, Dovecot, sshd, iptables, ifupdown and WireGuard in userspace", time.Now())
	l.watch = report.StartWatch(l.t.Context(), 100*time.Millisecond, time.Minute, l.questions("old", labOld)...)
}

// prepare brings up the tunnel, beside everything that is there.
func (l *labMove) prepare() {
	l.begin(1, labPrepare)
	l.skip("A snapshot", "there is no provider here who makes one")
	for _, s := range l.phase.Steps {
		if strings.HasPrefix(s.Title, "Upgrade: ") {
			l.skip(s.Title, "the guest is a Linux here, which has no sysupgrade")
		}
	}
	l.skip("Render again", "no upgrade has merged anything here")
	l.take("The guest's key", nil)
	l.take("The router's end of the tunnel", nil)
	l.take("The guest's end of the tunnel", nil)
	l.notTried("The guest's end of the tunnel", l.added("The guest's end of the tunnel", "root's crontab"), "cron does not run here, and somebody always asks")
}

// bothPaths has the guest answer through the router too, before and after a reboot of it.
func (l *labMove) bothPaths() {
	l.begin(2, "Both paths answer")
	l.take("Answers go back the way the question came", instead{
		"nohup sh -c 'sleep 300; pfctl -d' >/dev/null 2>&1 &": "nobody is logged in who could lock himself out",
		"pfctl -nf /etc/pf.conf && /etc/rc.d/pf start":        l.startPF,
		"pfctl -sr": "the rules are marks and routes here",
	})
	for _, a := range l.step("The cloud's console").Add {
		l.notTried("The cloud's console", a.To, "there is no cloud here: it lets everything in")
	}
	l.notTried("Forwarding", "iface ens5 inet6 dhcp", "nobody here answers DHCP: the address stands in the file")
	l.take("Forwarding", nil)
	l.rebootRouter()
	l.held("After a reboot", "sysctl --system; ifup -a; nginx", "")
	l.answerBy("new", labForwarded)
	l.tryChecks("After a reboot")
	l.take("The web site", nil)
	l.watchAlso("new", labNew)
	l.notTried("Both paths answer, IPv6", "pass in on wg0 reply-to ... inet6", "the provider gives the guest no IPv6: without a route to the client, its answer ends before any rule sees it")
	l.watchAlso("tunnel", []string{"imaps"})
}

// certificates has the router get them, while the names still point to the old address, and
// the guest and nginx serve them.
func (l *labMove) certificates() {
	l.begin(3, labCertificates)
	l.skip("Install certsyncd at both ends", "it is built for this machine, and a link to it stands where scp puts it")
	include := l.added("The solver answers for every name", "the default server of nginx")
	l.edit(l.net.ingress, "/etc/nginx/sites-available/default", "\tlocation / {", "\t"+include+"\tlocation / {")
	l.take("The solver answers for every name", nil)
	const forwarding = "Challenges reach the new solver"
	location := l.added(forwarding, "the server blocks for port 80, where it is nginx")
	l.edit(l.net.senate, "/etc/nginx/conf.d/guest.conf", "\troot /var/www/senate;\n", "\troot /var/www/senate;\n"+location)
	const reload = "nginx -t && nginx -s reload"
	require.Contains(l.t, l.step(forwarding).Do, "`"+reload+"`")
	l.run(l.net.senate, reload)
	l.held(forwarding, location+reload, "")
	l.tryChecks(forwarding)
	l.take("Get them", nil)
	l.take("The web site over TLS", nil)
	l.watch.Begin(l.t.Context(), l.questions("new", []string{"web/tls"})[0])
	l.take("Publish and renew", instead{
		"systemctl daemon-reload":              "systemd does not run here",
		"systemctl enable --now certsyncd-run": l.startCertsyncdUnit,
	})
	l.take("Fetch, compare, install", nil)
	const tlsFiles = "smtpd_tls_cert_file = /etc/ssl/old.pem\nsmtpd_tls_key_file = /etc/ssl/old.key\n"
	l.edit(l.net.senate, "/etc/postfix/main.cf", tlsFiles, l.added("The daemons serve them", "Postfix's main.cf"))
	const sslFiles = "ssl_cert = </etc/ssl/old.pem\nssl_key = </etc/ssl/old.key\n"
	l.edit(l.net.senate, "/etc/dovecot/conf.d/10-ssl.conf", sslFiles, l.added("The daemons serve them", "Dovecot's conf.d/10-ssl.conf"))
	l.take("The daemons serve them", nil)
	labAwait(l.t, "the mail is delivered", func() error {
		mail, err := os.ReadFile(l.net.senate.path("/var/mail/inbox"))
		if err == nil && !(bytes.Contains(mail, []byte("postfix")) && bytes.Contains(mail, []byte("dovecot"))) {
			err = fmt.Errorf("it names no daemons: %s", mail)
		}
		return err
	})
	l.take("From now on by itself", instead{
		"/etc/rc.d/certsyncd start":  l.startCertsyncd,
		"/etc/rc.d/certsyncd reload": func() { l.looks(func() { l.net.senate.sh(l.t, "/etc/rc.d/certsyncd reload") }) },
	})
	l.newCertificates()
}

// dns lowers the TTLs, and has the names point to the router: everything is served by it now,
// from where it always was.
func (l *labMove) dns() {
	l.begin(4, labDNS)
	l.skip("The timetable", "it is for two days")
	l.takeZone("Short TTLs, well ahead")
	l.check("Nothing is served for longer than "+shortTTL.String(), "the zone is transferred from a secondary", l.servedFor(shortTTL))
	l.notTried("Caches have forgotten the old TTL", "zonectl wait -drain", "it takes two days")
	l.takeZone("The names point to the router")
	l.notTried("Caches have forgotten the old address", "zonectl wait -drain", "it takes five minutes")
	for _, s := range []string{labSecondary1, labSecondary2} {
		l.net.elsewhere.write(l.t, 0o644, "/root/example.net", fileText(l.t, l.net.senate.path("/etc/namedb/example.net")))
		l.net.elsewhere.sh(l.t, "zonectl diff -origin example.net /root/example.net @"+s)
	}
	f, err := zone.Open(l.net.senate.path("/etc/namedb/example.net"), "example.net", nil)
	require.NoError(l.t, err)
	left := f.References(l.move.Guest.Old.Address)
	require.Len(l.t, left, 1)
	assert.Equal(l.t, "TXT", left[0].Type)
	const texts, registrar = "Texts that name the old address", "The registrar, and what else knows the address"
	assert.Contains(l.t, strings.Join(l.step(texts).Show, "\n"), left[0].Data)
	l.held(texts, "the zone is read, and compared with the runbook", "they are all that is left of it, and stay until the last check")
	l.net.elsewhere.stop(l.t)
	l.startSecondaries(l.move.Router.Address)
	l.served(labOldAddress, labNewAddress)
	l.held(registrar, l.added(registrar, "the registrar"), "the secondaries have another primary; there is no glue here")
	for _, to := range []string{"the cloud", "the list of whom to tell"} {
		l.notTried(registrar, l.added(registrar, to), "nobody here has it")
	}
}

// diskLive copies the disk while the guest writes to it. The first pass is cut off, the second
// goes on from there, and the third moves what has changed since.
func (l *labMove) diskLive() {
	l.begin(5, labLivePass)
	l.net.senate.write(l.t, 0o644, "/etc/fstab", "/dev/ld0a / ffs rw 1 1\n")
	require.NoError(l.t, os.MkdirAll(l.net.senate.path("/root/move"), 0o755))
	require.NoError(l.t, os.CopyFS(l.net.senate.path("/root/move"), os.DirFS(filepath.Join(string(l.out), "06-first-boot/senate"))))
	l.take("Take the files of phase 6 along", nil)
	l.take("The host is ready", instead{
		"pkg info vm-bhyve grub2-bhyve": "there is no bhyve here",
		"vm switch list":                "there is no bhyve here",
	})
	l.skip("Install diskmove at both ends", "it is built for this machine, and links to it stand where scp puts it")
	l.take("What there is to do", nil)
	first := l.interrupt("The live pass")
	second := l.pass("The live pass")
	third := l.pass("The live pass")
	l.held("The live pass", l.passLine("The live pass"), "cut off once, and done again shortly before the stop")
	l.tryChecks("The live pass")
	assert.Equal(l.t, "dirty", third.State)
	assert.NotZero(l.t, second.Resumed)
	l.report.Disk = report.Disk{Size: labDiskSize, Live: first.Moved + second.Moved + third.Moved, Resumed: second.Resumed}
}

// finalPass stops the guest, and copies what is left. Nothing answers from here on.
func (l *labMove) finalPass() {
	l.begin(5, labFinalPass)
	l.away.Store(true)
	l.watch.End("old")
	l.watch.Settle()
	l.take("Stop", instead{"shutdown -p now": l.shutDown})
	line := l.passLine("The final pass")
	final := l.pass("The final pass")
	assert.Equal(l.t, "complete", final.State)
	l.report.Disk.Final, l.report.Disk.Digest = final.Moved, final.Digest
	l.held("The final pass", line, fmt.Sprintf("complete; it moved %d of %d bytes", final.Moved, labDiskSize))
	l.tryChecks("The final pass")
}

// shutDown ends what runs on the guest, and draws its cable.
func (l *labMove) shutDown() {
	l.stopped = time.Now()
	l.net.senate.sh(l.t, "/etc/rc.d/certsyncd stop")
	l.net.senate.stop(l.t)
	l.disk.stop()
	require.NoError(l.t, <-l.disk.written)
	l.net.senate.Run(l.t, "ip", "link", "delete", "wg0") // whose daemon would take the socket of the next one away
	l.net.senate.Run(l.t, "ip", "link", "delete", "vioif0")
}

// firstBoot starts the guest at home, with the files that were rendered for it, until
// everything answers again.
func (l *labMove) firstBoot() {
	l.begin(6, "First boot at home")
	l.atHome()
	l.take("Start in single-user mode", instead{
		"vm start senate":   "there is no bhyve here",
		"vm console senate": "there is no bhyve here",
	})
	const network = "The network at home" // its files are those in /root/move
	assert.Empty(l.t, l.runLines(network, instead{
		"fsck -p":          "the guest's files are a folder here",
		"mount -u -o rw /": "the guest's files are a folder here",
		"mount -a -t ffs":  "the guest's files are a folder here",
	}), "files that differ from those that were taken along")
	l.tryChecks(network)
	l.take("Start for good", instead{"vm start senate": l.boot})
	l.answerBy("new", append([]string{"web/tls"}, labNew...))
	l.answerBy("tunnel", []string{"imaps"})
	l.away.Store(false)
	l.answering = time.Now()
	l.held("Everything answers from home", "a question to each service", report.Seconds(l.answering.Sub(l.stopped)).String()+" after the guest was told to stop")
	l.watchAlso("new, IPv6", labForwarded)
}

// atHome gives the guest the hardware at home, with nothing configured yet. Its files have
// moved: those of a real guest are on the disk that was copied.
func (l *labMove) atHome() {
	t := l.t
	root := l.net.senate.Root
	l.net.senate.Host = lab.NewHost(t, "senate-at-home")
	l.net.senate.Root = root
	lab.Join(t, lab.NIC{Host: l.net.garage.Host, Iface: "tap0"}, lab.NIC{Host: l.net.senate.Host, Iface: "vioif0"})
	l.net.garage.Run(t, "ip", "link", "set", "tap0", "master", "public")
}

// lastCheck looks whether all of it is as it was meant to be, mail and IPv6 included.
func (l *labMove) lastCheck() {
	l.begin(7, labCheck)
	t, net := l.t, l.net
	for _, line := range l.step("The tunnel and the forwards").Run {
		l.run(net.ingress, strings.Replace(line, "MOVE-FILE", "/root/m.toml", 1))
		l.held("The tunnel and the forwards", line, "")
	}
	l.runLines("The certificates that are served", nil)
	for _, title := range []string{"From the inside", "From the outside", "Mail leaves"} {
		l.skip(title, "the checks and the clients ask the same")
	}
	routes := net.senate.Run(t, "ip", "route")
	assert.Contains(t, routes, "default via 172.16.1.1 dev wg0")
	assert.Contains(t, routes, "203.0.113.63 via 192.168.14.254 dev vioif0")
	l.greet(net.elsewhere.Host, labAuthority+":25")
	l.check("Mail leaves the guest", "a connection to port 25 elsewhere", l.reaches(net.senate, labAuthority+":25"))
	l.greet(net.client, "["+labClient6+"]:25")
	l.check("Mail leaves the guest, IPv6", "the same over IPv6", l.reaches(net.senate, "["+labClient6+"]:25"))
	l.newCertificates()
	l.served(labNewAddress)
	l.forgetOldAddress()
	l.held("The old host", "the old address is taken out of the zone", "")
	for _, s := range l.phase.Steps {
		l.tryChecks(s.Title)
	}
	assert.Equal(t, l.report.Disk.Digest, l.sum(l.disk.path), "the disk at the old host")
	assert.Equal(t, l.report.Disk.Digest, l.sum(l.disk.home), "the disk at home")
}

// newLabMove renders the sample, with what is different here: an authority of the lab's, and
// the public halves of keys whose private ones are known.
func newLabMove(t *testing.T) *labMove {
	dir := sampleDir(t)
	key := func() wgpeer.PrivateKey {
		key, err := wgpeer.NewPrivateKey()
		require.NoError(t, err)
		return key
	}
	router, guest := key(), key()
	file := filepath.Join(dir, "m.toml")
	rewrite(t, file,
		"dMlWBAQ0J/C+4dDha/pTr9U39zatAHPEzE4cyzqCtdw=", router.Public().String(),
		"hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw=", guest.Public().String(),
		"accept_terms = true\n", fmt.Sprintf("accept_terms = true\ndirectory = %q\n", labDirectory))
	out := renderSample(t, dir)
	m, p, err := load(options{move: file, in: filepath.Join(dir, "in")})
	require.NoError(t, err)
	l := &labMove{t: t, dir: dir, out: out, move: m, plan: p, net: startLabNetwork(t)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.net.senate.logs(), l.net.ingress.logs(), l.net.elsewhere.logs())
		}
	})
	furnishGuest(t, l.net.senate)
	furnishServices(t, l.net.senate)
	l.net.senate.write(t, 0o600, "/etc/wg/wg0.key", guest.Reveal()+"\n")
	l.furnishRouter(router.Reveal() + "\n")
	l.net.ingress.write(t, 0o600, "/root/m.toml", fileText(t, file))
	l.makeDisk()
	l.joinHosts()
	l.buildPrograms()
	return l
}

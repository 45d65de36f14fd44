package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

const labGuestNamed = `options {
	directory "/etc/namedb"; pid-file none; session-keyfile none;
	listen-on { any; }; listen-on-v6 { any; };
	recursion no; dnssec-validation no;
	notify explicit; also-notify { ` + labSecondary1 + `; ` + labSecondary2 + `; };
	` + lab.Notify + `
};
zone "example.net" { type primary; file "/etc/namedb/example.net"; };
zone "example.org" { type primary; file "/etc/namedb/example.org"; };
`

const labOtherZone = `$TTL 5m
@ IN SOA ns1.example.net. hostmaster.example.net. ( 1 3h 15m 2w 10m )
  IN NS ns1.example.net.
  IN A 198.51.100.25
`

// The mails to the domain are delivered, so that those of certsyncd can be read. All who ask
// are one client, which has more than fifty connections when answers are slow.
const labPostfixMain = `compatibility_level = 3.6
myhostname = senate.example.net
mydestination =
inet_interfaces = all
inet_protocols = all
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
alias_maps =
alias_database =
virtual_mailbox_domains = example.net
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = static:inbox
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
maillog_file = /var/log/maillog
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/ssl/old.pem
smtpd_tls_key_file = /etc/ssl/old.key
`

const labPostfixMaster = `smtp inet n - n - - smtpd
submission inet n - n - - smtpd
smtps inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// One process answers all: with the probes, a new one for each takes a processor.
const labDovecot = `protocols = imap
listen = *, ::
mail_location = maildir:/var/mail/%u
log_path = /var/log/dovecot.log
service imap-login {
  chroot =
  service_count = 0
}
passdb {
  driver = static
  args = password=x
}
userdb {
  driver = static
  args = uid=8 gid=8 home=/var/mail/%u
}
!include conf.d/*.conf
`

const labGuestWeb = `server {
	listen 80 default_server;
	listen [::]:80 default_server;
	server_name _;
	root /var/www/senate;
}
`

// furnishServices gives the guest its daemons' files of today.
func furnishServices(t *testing.T, senate *labMachine) {
	for _, gone := range []string{"/etc/dovecot/conf.d", "/etc/nginx/sites-enabled", "/etc/nginx/conf.d"} {
		require.NoError(t, os.RemoveAll(senate.path(gone)))
	}
	senate.write(t, 0o644,
		"/etc/namedb/named.conf", labGuestNamed, "/etc/namedb/example.org", labOtherZone,
		"/etc/postfix/main.cf", labPostfixMain, "/etc/postfix/master.cf", labPostfixMaster,
		"/etc/dovecot/dovecot.conf", labDovecot,
		"/etc/dovecot/conf.d/10-ssl.conf", "ssl = yes\nssl_cert = </etc/ssl/old.pem\nssl_key = </etc/ssl/old.key\n",
		"/etc/nginx/conf.d/guest.conf", labGuestWeb, "/var/www/senate/index.html", "senate\n")
	senate.sh(t, "rm -f /etc/bind/rndc.key && rndc-confgen -a") // named reads root's only
	certificate, key := oldCertificate(t)
	senate.write(t, 0o600, "/etc/ssl/old.pem", certificate, "/etc/ssl/old.key", key)
}

// oldCertificate is what the daemons have before phase 3.
func oldCertificate(t *testing.T) (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the old one"},
		DNSNames: []string{"senate.example.net"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", pkcs8)
}

// answers asks one of the questions on a machine until it is answered.
func (l *labMove) answers(host lab.Host, service, addr string) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
		defer cancel()
		return labAsk(ctx, host, service, netip.MustParseAddr(addr))
	}
}

func (l *labMove) startNamed() {
	l.net.senate.start(l.t, "named", "named -g -n 1 -c /etc/namedb/named.conf", "", l.answers(l.net.senate.Host, "dns/udp", "127.0.0.1"))
}

func (l *labMove) startPostfix() {
	l.net.senate.start(l.t, "postfix", "postfix start-fg", "postfix stop", l.answers(l.net.senate.Host, "smtps", "127.0.0.1"))
}

func (l *labMove) startDovecot() {
	l.net.senate.start(l.t, "dovecot", "dovecot -F", "", l.answers(l.net.senate.Host, "imaps", "127.0.0.1"))
}

// startWeb starts the guest's web server, which is an nginx here.
func (l *labMove) startWeb() {
	l.net.senate.start(l.t, "nginx", "nginx -g 'daemon off;'", "", l.answers(l.net.senate.Host, "web", "127.0.0.1"))
}

// startCertsyncdUnit starts what the unit's ExecStart says, without systemd's fences.
func (l *labMove) startCertsyncdUnit() {
	unit := fileText(l.t, l.net.ingress.path("/etc/systemd/system/certsyncd-run.service"))
	_, rest, found := strings.Cut(unit, "\nExecStart=")
	require.True(l.t, found)
	line, _, _ := strings.Cut(rest, "\n")
	l.net.ingress.start(l.t, "certsyncd", line, "", func() error {
		_, err := l.net.ingress.try("ss -ltnH sport = :8182 | grep -q 8182")
		return err
	})
}

// startSecondaries has the registrar's two servers follow a primary.
func (l *labMove) startSecondaries(primary netip.Addr) {
	for i, addr := range []string{labSecondary1, labSecondary2} {
		dir := fmt.Sprintf("/etc/registrar%d", i+1)
		l.net.elsewhere.write(l.t, 0o644, dir+"/named.conf", labSecondaryConf(dir, addr, primary))
		l.net.elsewhere.start(l.t, "named-"+addr, "named -g -4 -n 1 -c "+dir+"/named.conf", "", l.answers(l.net.elsewhere.Host, "dns/udp", addr))
	}
}

func labSecondaryConf(dir, addr string, primary netip.Addr) string {
	text := fmt.Sprintf(`controls { };
options {
	directory %q; pid-file none; session-keyfile none;
	listen-on { %s; }; listen-on-v6 { none; };
	query-source address %[2]s; transfer-source %[2]s;
	recursion no; dnssec-validation no; notify no;
	`+lab.Notify+`
};
`, dir, addr)
	for _, zone := range []string{"example.net", "example.org"} {
		text += fmt.Sprintf("zone %q { type secondary; primaries { %s; }; file %q; };\n", zone, primary, zone)
	}
	return text
}

// startAuthority starts a pebble that resolves names as the world does, by a secondary,
// and looks for answers on port 80.
func (l *labMove) startAuthority() {
	authority := lab.StartPebble(l.t, lab.Pebble{Host: l.net.elsewhere.Host, Addr: netip.MustParseAddr(labAuthority),
		Resolver: netip.MustParseAddrPort(labSecondary1 + ":53"), HTTPPort: 80})
	require.Equal(l.t, labDirectory, authority.Directory)
	// The router trusts who has signed pebble's own certificate, as it does Let's Encrypt's.
	l.net.ingress.write(l.t, 0o644, "/etc/ssl/certs/ca-certificates.crt", fileText(l.t, authority.CertFile))
	l.authority = authority
}

const labDirectory = "https://" + labAuthority + ":14000/dir"

// furnishRouter gives the router its files of today, and brings it up: the tunnel to the
// laptop was made by hand.
func (l *labMove) furnishRouter(key string) {
	t, ingress := l.t, l.net.ingress
	for _, gone := range []string{"/etc/nginx/conf.d", "/etc/nginx/sites-enabled", "/etc/nginx/sites-available", "/etc/network", "/etc/wireguard",
		"/etc/sysctl.d", "/etc/sysctl.conf", "/usr/lib/sysctl.d", "/lib/sysctl.d"} { // the last four are the test machine's own
		require.NoError(t, os.RemoveAll(ingress.path(gone)))
	}
	for _, dir := range []string{"sites-enabled", "conf.d"} {
		require.NoError(t, os.MkdirAll(ingress.path("/etc/nginx/"+dir), 0o755))
	}
	for _, phase := range []string{"pre-up", "up", "down", "post-down"} {
		require.NoError(t, os.MkdirAll(ingress.path("/etc/network/if-"+phase+".d"), 0o755))
	}
	require.NoError(t, os.MkdirAll(ingress.path("/run/network"), 0o755))
	require.NoError(t, os.CopyFS(ingress.path("/"), os.DirFS("testdata/present/ingress")))
	require.NoError(t, os.Symlink("../sites-available/default", ingress.path("/etc/nginx/sites-enabled/default")))
	// The cloud gives ens5 its IPv6 address by DHCP; here it is written down.
	ingress.write(t, 0o644, "/etc/network/interfaces", fmt.Sprintf(`source /etc/network/interfaces.d/*
auto ens5
iface ens5 inet static
	address 203.0.113.63/24
	gateway 203.0.113.1
iface ens5 inet6 manual
	up ip -6 address replace %s/64 dev ens5
	up ip -6 route replace default via %s dev ens5
`, labRouter6, labRouterGateway6))
	ingress.write(t, 0o755, "/usr/local/sbin/ip", lab.WireGuardIP(t))
	ingress.write(t, 0o600, "/etc/wireguard/wg0.key", key)
	ingress.sh(t, "ifup -a")
	ingress.sh(t, "ip link add dev wg0 type wireguard && wg setconf wg0 /etc/wireguard/wg0.conf && wg set wg0 private-key /etc/wireguard/wg0.key && ip link set wg0 up")
	l.startRouterWeb()
}

func (l *labMove) startRouterWeb() {
	l.net.ingress.start(l.t, "nginx", "nginx -g 'daemon off;'", "", func() error {
		_, err := os.Stat(l.net.ingress.path("/run/nginx.pid"))
		return err
	})
}

// rebootRouter takes away all that a reboot does, and starts what the files say.
func (l *labMove) rebootRouter() {
	t, ingress := l.t, l.net.ingress
	ingress.stop(t)
	ingress.sh(t, "ip link delete wg0; ip address flush dev ens5; ip link set ens5 down; rm -f /run/network/*")
	for _, program := range []string{"iptables", "ip6tables"} {
		ingress.sh(t, program+" -t nat -F; "+program+" -t nat -X")
	}
	for _, key := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		ingress.Sysctl(t, key, "0")
	}
	ingress.sh(t, "sysctl --system && ifup -a")
	l.startRouterWeb()
}

// buildPrograms puts them where the runbook's scp does.
func (l *labMove) buildPrograms() {
	t, dir := l.t, l.t.TempDir()
	args := []string{"build", "-o", dir, "."}
	for _, name := range []string{"certsyncd", "diskmove", "zonectl", "tunnel", "portfwd"} {
		args = append(args, "../"+name)
	}
	l.programs = dir
	out, err := exec.Command("go", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, place := range []struct {
		m          *labMachine
		name, path string
	}{
		{l.net.ingress, "certsyncd", "/usr/local/bin/certsyncd"}, {l.net.senate, "certsyncd", "/usr/local/bin/certsyncd"},
		{l.net.garage, "diskmove", "/usr/local/bin/diskmove"}, {l.net.starkiller, "diskmove", "/root/diskmove"},
		{l.net.senate, "zonectl", "/usr/local/bin/zonectl"}, {l.net.elsewhere, "zonectl", "/usr/local/bin/zonectl"},
		{l.net.ingress, "tunnel", "/usr/local/bin/tunnel"}, {l.net.ingress, "portfwd", "/usr/local/bin/portfwd"},
	} {
		require.NoError(t, os.Symlink(filepath.Join(dir, place.name), place.m.path(place.path)))
	}
}

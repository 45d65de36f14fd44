package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/pfrules"
)

// The guest is a NetBSD, and here it is a Linux. What its files and the runbook call of
// NetBSD's programs, these do with Linux's; a word that they do not know is an error.
var netbsdPrograms = map[string]string{
	"ifconfig": `
case "$1 $2" in
"-C ") echo lo wg; exit ;; # what can be made
*" create") exec ip link add dev "$1" type wireguard ;;
*" up") exec ip link set dev "$1" up ;;
*" inet" | *" inet6") ;;
*) echo "ifconfig: $*" >&2; exit 1 ;;
esac
address=$3
case "$*" in
*" netmask 0xffffff00"*) address=$3/24 ;;
*" netmask "*) echo "ifconfig: $*" >&2; exit 1 ;;
esac
exec ip address replace "$address" dev "$1"`,
	"wgconfig": `
iface=$1 do="$2 $3"
case "$do" in
" ") exec wg show "$iface" ;;
"set private-key") exec wg set "$iface" private-key "$4" ;;
"add peer") ;;
*) echo "wgconfig: $*" >&2; exit 1 ;;
esac
shift 4
set -- "$iface" peer "$@"
for word; do
	case "$word" in
	--endpoint=*) set -- "$@" endpoint "${word#*=}" ;;
	--allowed-ips=*) set -- "$@" allowed-ips "${word#*=}" ;;
	--*) echo "wgconfig: $word" >&2; exit 1 ;;
	*) set -- "$@" "$word" ;;
	esac
	shift
done
exec wg set "$@"`,
	"wg-keygen": `
case "$1" in
"") exec wg genkey ;;
--pub) exec wg pubkey ;;
*) exit 1 ;;
esac`,
	"route": `
case "$1 $2" in
"add -host") exec ip route add "$3" via "$4" ;;
"add default") exec ip route add default via "$3" ;;
"add -inet6") exec ip -6 route add "$3" via "$4" ;;
*) echo "route: $*" >&2; exit 1 ;;
esac`,
}

// netbsdSubr is what rc.d scripts source: as much of rc.subr(8) as that of certsyncd uses.
// A process of another machine is no process of this one.
const netbsdSubr = `
load_rc_config() { . /etc/rc.conf; }
running() {
	for pid in $(pgrep -f "^$command "); do
		[ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ] && echo $pid
	done
}
run_rc_command() {
	eval enabled=\$$rcvar
	case "$enabled" in [Yy][Ee][Ss]) ;; *) echo "$rcvar is off in rc.conf" >&2; return 1 ;; esac
	for file in $required_files; do
		[ -r "$file" ] || { echo "$file is not there" >&2; return 1; }
	done
	pids=$(running)
	case "$1 ${pids:+running}" in
	"start ") [ -x "$command" ] && eval $command $command_args ;;
	"status running") echo "$name is running as pid $pids." ;;
	"reload running") case "$extra_commands" in *reload*) kill -HUP $pids ;; *) return 1 ;; esac ;;
	"stop running") kill $pids && while [ -n "$(running)" ]; do :; done ;;
	*) echo "$name: $1 cannot be done ${pids:+while it runs}" >&2; return 1 ;;
	esac
}
`

// furnishGuest gives the guest the files of today and the programs.
func furnishGuest(t *testing.T, senate *labMachine) {
	for _, gone := range []string{"/etc/sysctl.conf", "/etc/modules.conf", "/etc/pf.conf", "/etc/rc.conf"} { // the test machine's
		require.NoError(t, os.RemoveAll(senate.path(gone)))
	}
	require.NoError(t, os.CopyFS(senate.path("/"), os.DirFS("testdata/present/senate")))
	for name, script := range netbsdPrograms {
		senate.write(t, 0o755, "/usr/local/sbin/"+name, "#!/bin/sh"+script+"\n")
	}
	senate.write(t, 0o755, "/usr/local/sbin/ip", lab.WireGuardIP(t),
		"/usr/local/sbin/logger", "#!/bin/sh\nexec cat >>/var/log/messages\n") // nobody has a syslogd here
	senate.write(t, 0o644, "/etc/rc.subr", netbsdSubr)
	doveadm, err := exec.LookPath("doveadm")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(senate.path("/usr/pkg/bin"), 0o755))
	require.NoError(t, os.Symlink(doveadm, senate.path("/usr/pkg/bin/doveadm")))
}

// boot does what NetBSD does at its start with the network files, in the order of
// rc.d/network, and starts what rc.conf names.
func (l *labMove) boot() {
	t, senate := l.t, l.net.senate
	host, err := netbsdcfg.OpenHost(senate.path("/"))
	require.NoError(t, err)
	require.NoError(t, host.Check().Err())
	for _, iface := range []string{"vioif0", "wg0"} {
		f := host.Ifconfig[iface]
		if f == nil {
			continue
		}
		if iface == "wg0" {
			require.Contains(t, netbsdModules(host), "if_wg")
			senate.sh(t, "ifconfig wg0 create")
		}
		for _, c := range f.Commands(iface) {
			senate.sh(t, strings.Join(c.Argv, " ")) // no word of ours needs quotes
		}
	}
	if gateway, ok := host.RC.Get("defaultroute"); ok {
		senate.sh(t, "route add default "+gateway)
	}
	on := func(service string) bool {
		enabled, _ := host.RC.Enabled(service)
		return enabled
	}
	if on("pf") {
		l.startPF()
	}
	for _, service := range []struct {
		name  string
		start func()
	}{{"named", l.startNamed}, {"postfix", l.startPostfix}, {"dovecot", l.startDovecot}, {"apache", l.startWeb}, {"certsyncd", l.startCertsyncd}} {
		if on(service.name) {
			service.start()
		}
	}
}

func netbsdModules(host *netbsdcfg.Host) []string {
	var names []string
	if host.Modules != nil {
		for m := range host.Modules.All() {
			names = append(names, m.Name)
		}
	}
	return names
}

// startCertsyncd has the rendered script of rc.d start it, and waits until it has looked for
// certificates: a signal that comes before would end it.
func (l *labMove) startCertsyncd() {
	l.looks(func() { l.net.senate.sh(l.t, "/etc/rc.d/certsyncd start") })
}

// looks waits until what is done has made the guest's certsyncd look for certificates.
func (l *labMove) looks(do func()) {
	l.t.Helper()
	const status = "certsyncd status -json " + certsyncdPath // which has the time
	before := l.net.senate.sh(l.t, status)
	do()
	labAwait(l.t, "certsyncd has looked for certificates", func() error {
		now, err := l.net.senate.try(status)
		if err == nil && now == before {
			err = errors.New("it has not since " + now)
		}
		return err
	})
}

// startPF has the guest answer by the path on which it was asked, as the reply-to rules of
// its pf.conf say. The rules that filter are left out: Linux cannot read them.
func (l *labMove) startPF() {
	t, senate := l.t, l.net.senate
	f, err := pfrules.Open(senate.path("/etc/pf.conf"), pfrules.NetBSD)
	require.NoError(t, err)
	require.NoError(t, f.Check().Err())
	var paths []lab.Path
	for line, rule := range f.All() {
		if rule.Route.Kind != pfrules.ReplyTo {
			continue
		}
		// No other rule is translated below.
		known := pfrules.ReplyVia(rule.Route.Iface, rule.Route.Gateway, "tcp", "udp")
		known.Family = rule.Family
		require.Equal(t, known, rule, "line %d of pf.conf", line)
		if n := len(paths); n == 0 || paths[n-1].Iface != rule.Route.Iface {
			paths = append(paths, lab.Path{Iface: rule.Route.Iface})
		}
		last := &paths[len(paths)-1]
		last.Via = append(last.Via, rule.Route.Gateway.String())
	}
	require.NotEmpty(t, paths)
	lab.ReplyTo(t, senate.Host, paths...)
}

package netbsdcfg_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/rehost/rehost/netbsdcfg"
)

// Set edits the assignment that counts and keeps its quotes and its comment.
func ExampleRC_Set() {
	rc, err := netbsdcfg.ParseRC("/etc/rc.conf", []byte(`rc_configured=YES
hostname=old.example.net
hostname="old.example.net"	# also in /etc/hosts
ntpd=YES ntpd_flags='-g'
`))
	if err != nil {
		log.Fatal(err)
	}
	if err := rc.Set("hostname", "senate.example.net"); err != nil {
		log.Fatal(err)
	}
	if err := rc.Set("ntpd_flags", "-g -x"); err != nil {
		log.Fatal(err)
	}
	if err := rc.Set("named", "YES\nreboot"); err != nil {
		fmt.Println(err)
	}
	os.Stdout.Write(rc.Bytes())
	// Output:
	// named: "YES\nreboot": is not one line of text
	// rc_configured=YES
	// hostname=old.example.net
	// hostname="senate.example.net"	# also in /etc/hosts
	// ntpd=YES ntpd_flags='-g -x'
}

// A default route goes while all traffic takes the tunnel, and comes back byte
// for byte.
func ExampleRC_Comment() {
	rc, err := netbsdcfg.ParseRC("/etc/rc.conf", []byte(`rc_configured=YES
#defaultroute=198.51.100.1	# the old provider
	defaultroute="192.168.14.254"	# home
sshd=YES
`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rc.Comment("defaultroute"))
	os.Stdout.Write(rc.Bytes())
	fmt.Println(rc.Uncomment("defaultroute"), rc.Changes() == "")
	// Output:
	// true
	// rc_configured=YES
	// #defaultroute=198.51.100.1	# the old provider
	// 	#defaultroute="192.168.14.254"	# home
	// sshd=YES
	// true true
}

// Services are switched as rc.subr(8) reads them.
func ExampleRC_Enable() {
	rc, err := netbsdcfg.ParseRC("/etc/rc.conf", []byte("rc_configured=YES\nsshd=on\npf=NO\t# until the move\n"))
	if err != nil {
		log.Fatal(err)
	}
	for _, service := range []string{"sshd", "pf"} {
		if err := rc.Enable(service, true); err != nil {
			log.Fatal(err)
		}
	}
	on, ok := rc.Enabled("pf")
	fmt.Println(on, ok)
	fmt.Print(rc.Changes())
	// Output:
	// true true
	// --- /etc/rc.conf
	// +++ /etc/rc.conf
	// @@ -1,3 +1,3 @@
	//  rc_configured=YES
	//  sshd=on
	// -pf=NO	# until the move
	// +pf=YES	# until the move
}

// What only running the script could tell is reported, never evaluated.
func ExampleRC_Check() {
	rc, err := netbsdcfg.ParseRC("rc.conf", []byte(`rc_configured=YES
pf=YES
npf=YES
[ -f /etc/rc.local.conf ] && . /etc/rc.local.conf
sshd = YES
pf=YES
`))
	if err != nil {
		log.Fatal(err)
	}
	_, ok := rc.Get("npf")
	fmt.Println(ok)
	fmt.Print(rc.Check())
	// Output:
	// false
	// rc.conf:2:1: warning: pf is assigned again in line 6, which counts: remove one
	// rc.conf:4:1: warning: not a plain assignment: kept as it is, not evaluated; it may set any variable, and those assigned above are unknown
	// rc.conf:5:1: error: no assignment, for the shell runs a command of this name: write name=value, without blanks around the = and with a name of letters, digits and _
}

// No line is lost, as "echo if_wg > /etc/modules.conf" would do, and none is
// glued to the last one, which has no newline here.
func ExampleModules_Add() {
	modules, err := netbsdcfg.ParseModules("/etc/modules.conf", []byte("# loaded at boot\npuffs"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(modules.Check())
	if err := modules.Add("if_wg"); err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(modules.Bytes())
	// Output:
	// /etc/modules.conf:2: error: the last line has no newline or ends in a backslash, so that rc.d/modules does not read it: end it with a newline, or puffs is not loaded
	// # loaded at boot
	// puffs
	// if_wg
}

// The names of one system in the file of the other are found, and refused.
func ExampleSysctl_Check() {
	sysctl, err := netbsdcfg.ParseSysctl("/etc/sysctl.conf", netbsdcfg.Linux, []byte("; the router\nnet.inet.ip.forwarding = 1\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(sysctl.Check())
	sysctl.Unset("net.inet.ip.forwarding")
	fmt.Println(sysctl.Set("net.inet6.ip6.forwarding", "1"))
	if err := sysctl.Set("net.ipv4.ip_forward", "1"); err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(sysctl.Bytes())
	// Output:
	// /etc/sysctl.conf:2: error: net.inet.ip.forwarding is a name of NetBSD, not of Linux: net.ipv4.ip_forward is meant
	// sysctl variable: "net.inet6.ip6.forwarding": is a name of NetBSD, not of Linux: net.ipv6.conf.all.forwarding is meant
	// ; the router
	// net.ipv4.ip_forward=1
}

// The same the other way round: the guest's file got a line of the router's.
func ExampleSysctl_Set() {
	sysctl, err := netbsdcfg.ParseSysctl("/etc/sysctl.conf", netbsdcfg.NetBSD, []byte(`ddb.onpanic?=0	# reboot
kern.maxfiles=10000	# for dovecot
net.ipv4.ip_forward=1
`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(sysctl.Check())
	sysctl.Unset("net.ipv4.ip_forward")
	fmt.Println(sysctl.Set("net.ipv4.ip_forward", "0"))
	if err := sysctl.Set("kern.maxfiles", "20000"); err != nil {
		log.Fatal(err)
	}
	if err := sysctl.Set("net.inet.ip.forwarding", "0"); err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(sysctl.Bytes())
	// Output:
	// /etc/sysctl.conf:3: error: net.ipv4.ip_forward is a name of Linux, not of NetBSD: net.inet.ip.forwarding is meant
	// sysctl variable: "net.ipv4.ip_forward": is a name of Linux, not of NetBSD: net.inet.ip.forwarding is meant
	// ddb.onpanic?=0	# reboot
	// kern.maxfiles=20000	# for dovecot
	// net.inet.ip.forwarding=0
}

// The default route was commented out for the move. The file that then counts
// is found, and emptied.
func ExampleHost_Check() {
	root, err := os.MkdirTemp("", "senate")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	for name, text := range map[string]string{
		"rc.conf":         "rc_configured=YES\n#defaultroute=192.168.14.254\n",
		"mygate":          "192.168.14.254\n",
		"modules.conf":    "if_wg\n",
		"ifconfig.vioif0": "inet 192.168.14.5/24\n",
		"ifconfig.wg0":    "inet 172.16.1.4/24\n!route add default 172.16.1.1\n",
	} {
		path := filepath.Join(root, "etc", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}

	host, err := netbsdcfg.OpenHost(root)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(strings.ReplaceAll(host.Check().String(), root, ""))
	host.MyGate.Unset()
	fmt.Print(strings.ReplaceAll(host.Changes(), root, ""))
	fmt.Println(len(host.Check()), "problems left")
	// Output:
	// /etc/mygate:1: error: /etc/ifconfig.wg0:2 sets a default route already: this one fails
	// /etc/rc.conf:2: error: defaultroute is commented out, so the default route is 192.168.14.254 of /etc/mygate
	// --- /etc/mygate
	// +++ /etc/mygate
	// @@ -1,1 +0,0 @@
	// -192.168.14.254
	// 0 problems left
}

// The guest of the move has NetBSD 9.0, which has no wg(4).
func ExampleUpgradeSteps() {
	steps, err := netbsdcfg.UpgradeSteps("9.0", "10.1", "https://cdn.NetBSD.org/pub/NetBSD/NetBSD-10.1/amd64")
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range steps {
		fmt.Println(strings.Join(step.Command, " "))
		if step.Reboot {
			fmt.Println("reboot")
		}
	}
	_, err = netbsdcfg.UpgradeSteps("9.0", "11.0", "https://cdn.NetBSD.org/pub/NetBSD/NetBSD-11.0/amd64")
	fmt.Println(err)
	// Output:
	// sysupgrade fetch https://cdn.NetBSD.org/pub/NetBSD/NetBSD-10.1/amd64
	// sysupgrade kernel
	// sysupgrade modules
	// reboot
	// sysupgrade sets
	// sysupgrade etcupdate
	// sysupgrade postinstall
	// sysupgrade clean
	// reboot
	// version: "11.0": skips a major release: upgrade 9.0 to 10 first
}

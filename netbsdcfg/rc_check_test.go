package netbsdcfg

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRCCheck(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"as NetBSD ships it, configured", rcDefaults + "sshd=YES\n", ""},
		{"two assignments", "pf=YES\nntpd=NO pf=NO\n", "2:1: warning: pf is assigned again in line 3, which counts: remove one"},
		{"pf and npf both on", "pf=YES\nnpf=yes\n", "3:1: warning: pf and npf are on together, and each packet passes all of them: leave one on"},
		{"pf on and npf off", "pf=YES\nnpf=NO\n", ""},
		{"neither YES nor NO", "sshd=yess\n", `2:1: error: sshd="yess" is neither YES nor NO, and rc(8) takes it for NO with a warning: write one of them`},
		{"a string that is no switch", "hostname=yess\n", ""},
		{"an odd word of ifaliases", "ifaliases_vioif0=\"192.0.2.1 0xffffff00 192.0.2.2\"\n", `2:1: error: "192.0.2.2" has no netmask behind it, and vioif0 gets no such alias: add one`},
		{"pairs of ifaliases", "ifaliases_vioif0=\"192.0.2.1 0xffffff00\"\n", ""},
		{"a ; that splits", "ifconfig_vioif0=\"up; inet 192.0.2.1/24\"\n", ""},
		{"a ; in quotes splits all the same", "ifconfig_ath0=\"ssid 'a;b'\"\n", "2:1: error: the ; in quotes ends a line all the same: write the line to /etc/ifconfig.ath0"},
		{"a ; behind quotes", "ifconfig_ath0=\"ssid 'a'; up\"\n", ""},
		{"a ; beside a newline does not split", "ifconfig_vioif0=\"up; inet 192.0.2.1/24\nmtu 1400\"\n", "2:1: error: a value of several lines is not cut at its ;, and what follows one is run as a command: put it on a line of its own"},
		{"a ; in a command beside a newline", "ifconfig_vioif0=\"up\n!echo a; echo b\n# x;y\"\n", ""},
		{"DAD flags are no interface", "ifconfig_wait_dad_flags=\"-w 15; 'x;y'\"\n", ""},
		{"a file that is read", "a=1\n. /etc/my.conf\n", "3:1: warning: a command: kept as it is, not executed; it may set any variable, and those assigned above are unknown"},
		{"the defaults, but too late", "a=1\n. /etc/defaults/rc.conf\n", "3:1: warning: a command: kept as it is, not executed; it may set any variable, and those assigned above are unknown"},
		{"the defaults, behind a conditional", "[ -f /x ] && a=1\n. /etc/defaults/rc.conf\n", "2:1: warning: not a plain assignment: kept as it is, not evaluated; it may set a, unknown unless assigned below|" +
			"3:1: warning: a command: kept as it is, not executed; it may set any variable, and those assigned above are unknown"},
		{"a conditional", "if x; then a=1 b=2; fi\n", "2:1: warning: not a plain assignment: kept as it is, not evaluated; it may set a, b, unknown unless assigned below"},
		{"an expansion", "b=1 a=$b\n", "2:5: warning: not a plain assignment: kept as it is, not evaluated; it may set a, unknown unless assigned below"},
		{"a command", "umask 022\n", "2:1: warning: a command: kept as it is, not executed"},
		{"for a command only", "a=1 cmd\n", "2:1: warning: assigned for this one command only, and lost behind it: put a value with blanks in quotes"},
		{"blanks around the =", "pf = YES\n", "2:1: error: no assignment, for the shell runs a command of this name: write name=value, without blanks around the = and with a name of letters, digits and _"},
		{"+=", "a+=1\n", "2:1: error: no assignment, for the shell runs a command of this name: write name=value, without blanks around the = and with a name of letters, digits and _"},
		{"a name with a hyphen", "ssh-agent=YES\n", "2:1: error: no assignment, for the shell runs a command of this name: write name=value, without blanks around the = and with a name of letters, digits and _"},
		{"behind an exit", "exit\npf=YES\n", "2:1: warning: the reading of the file ends here: remove this if more is to come|3:1: error: never read, for the file ends at the exit or return above: move it up, or remove that"},
		{"a readonly variable", "readonly a=1\na=2\n", "2:1: warning: a command: kept as it is, not executed; it may set a, unknown unless assigned below|3:1: error: the variable is readonly, and the shell stops here: remove one of the two"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.HasPrefix(tt.in, rcDefaults) {
				tt.in = "rc_configured=YES\n" + tt.in
			}
			var got []string
			for _, p := range parseRC(t, tt.in).Check() {
				got = append(got, strings.TrimPrefix(p.Error(), "rc.conf:"))
			}
			assert.Equal(t, tt.want, strings.Join(got, "|"))
		})
	}
}

func TestRCCheckOfTheFileAsAWhole(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"not configured", "rc_configured=NO\n", "rc.conf:1:1: error: rc_configured is not YES, and the machine boots to single user: set it to YES"},
		{"no word about it", "sshd=YES\n", "rc.conf: warning: rc_configured is not set, and an /etc/rc.conf without it boots to single user: set it to YES"},
		{"CR LF", "rc_configured=YES\r\nsshd=YES\r\n", "rc.conf:1:1: error: rc_configured is not YES, and the machine boots to single user: set it to YES|" +
			"rc.conf:1:18: error: 2 lines end in CR LF, and the shell makes the CR part of the value: remove the CRs|" +
			`rc.conf:2:1: error: sshd="YES\r" is neither YES nor NO, and rc(8) takes it for NO with a warning: write one of them`},
		{"a byte order mark", "\ufeff# x\nrc_configured=YES\n", "rc.conf:1:1: error: a byte order mark, which the shell takes for part of the first word: remove it|" +
			"rc.conf:1:1: warning: a command: kept as it is, not executed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range parseRC(t, tt.in).Check() {
				got = append(got, p.Error())
			}
			assert.Equal(t, tt.want, strings.Join(got, "|"))
		})
	}
}

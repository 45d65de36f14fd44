package netbsdcfg

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Check reports what the shell or rc(8) would refuse, ignore or misread in the
// script, and what is probably not meant. What spans files is found by
// [Host.Check].
func (r *RC) Check() Problems {
	c := rcCheck{script: r.script(), text: r.text, file: r.file.Name(), lines: newLineIndex(r.text)}
	if c.err != nil {
		err := c.err
		return Problems{{File: c.file, Line: err.Line, Col: err.Col, Severity: Error,
			Message: "the shell stops here, and so does the boot: " + err.Err.Error()}}
	}
	c.bytes()
	c.statements()
	c.assignments()
	c.configured()
	c.filters()
	c.found.Sort()
	return c.found
}

// An rcCheck gathers the problems of one script.
type rcCheck struct {
	*script
	text, file string
	lines      lineIndex
	found      Problems
}

// add reports a problem at an offset; -1 is the file as a whole.
func (c *rcCheck) add(at int, severity Severity, format string, args ...any) {
	p := Problem{File: c.file, Severity: severity, Message: fmt.Sprintf(format, args...)}
	if at >= 0 {
		p.Line, p.Col = c.lines.place(at)
	}
	c.found = append(c.found, p)
}

func (c *rcCheck) bytes() {
	if strings.HasPrefix(c.text, "\ufeff") {
		c.add(0, Error, "a byte order mark, which the shell takes for part of the first word: remove it")
	}
	if i := strings.Index(c.text, "\r\n"); i >= 0 {
		c.add(i, Error, "%d lines end in CR LF, and the shell makes the CR part of the value: remove the CRs", strings.Count(c.text, "\r\n"))
	}
}

func (c *rcCheck) statements() {
	for i, o := range c.others {
		// Nothing is lost by reading the defaults first.
		if o.any && !o.configures() && (len(c.assigns) == 0 || o.at < c.assigns[0].start) &&
			!slices.ContainsFunc(c.others[:i], func(o other) bool { return len(o.names) > 0 }) {
			continue
		}
		message, severity := o.message, Warning
		switch {
		case o.error:
			severity = Error
		case o.any:
			message += "; it may set any variable, and those assigned above are unknown"
		case len(o.names) > 0:
			message += "; it may set " + strings.Join(o.names, ", ") + ", unknown unless assigned below"
		}
		c.add(o.at, severity, "%s", message)
	}
}

func (c *rcCheck) assignments() {
	last := map[string]int{}
	for i, a := range c.assigns {
		last[a.key] = i
	}
	for i, a := range c.assigns {
		if j := last[a.key]; j != i {
			line, _ := c.lines.place(c.assigns[j].start)
			c.add(a.start, Warning, "%s is assigned again in line %d, which counts: remove one", a.key, line)
			continue
		}
		if _, ok := yesno(a.value); !ok && slices.Contains(switches, a.key) {
			c.add(a.start, Error, "%s=%q is neither YES nor NO, and rc(8) takes it for NO with a warning: write one of them", a.key, a.value)
		}
		if iface, ok := interfaceOf(a.key, "ifconfig_"); ok {
			c.ifconfig(a, iface)
		}
		if iface, ok := interfaceOf(a.key, "ifaliases_"); ok {
			if words := strings.Fields(a.value); len(words)%2 != 0 {
				c.add(a.start, Error, "%q has no netmask behind it, and %s gets no such alias: add one", words[len(words)-1], iface)
			}
		}
	}
}

// ifconfig checks how rc.d/network cuts the value into lines.
func (c *rcCheck) ifconfig(a assignment, iface string) {
	if !strings.Contains(a.value, "\n") {
		if quotedSemicolon(a.value) {
			c.add(a.start, Error, "the ; in quotes ends a line all the same: write the line to /etc/ifconfig.%s", iface)
		}
		return
	}
	for line := range strings.Lines(a.value) {
		line = strings.TrimLeft(line, " \t")
		if strings.Contains(line, ";") && line[0] != '!' && line[0] != '#' {
			c.add(a.start, Error, "a value of several lines is not cut at its ;, and what follows one is run as a command: put it on a line of its own")
			return
		}
	}
}

// configured checks what rc(8) looks at first.
func (c *rcCheck) configured() {
	i, ok := c.vars["rc_configured"]
	switch {
	case !ok && !slices.ContainsFunc(c.others, other.configures):
		c.add(-1, Warning, "rc_configured is not set, and an /etc/rc.conf without it boots to single user: set it to YES")
	case ok && i != unknown:
		if on, _ := yesno(c.assigns[i].value); !on {
			c.add(c.assigns[i].start, Error, "rc_configured is not YES, and the machine boots to single user: set it to YES")
		}
	}
}

// filters reports packet filters that would be on at the same time.
func (c *rcCheck) filters() {
	var on []string
	at := 0
	for _, name := range []string{"pf", "npf", "ipfilter"} {
		if i, ok := c.vars[name]; ok && i != unknown {
			if yes, _ := yesno(c.assigns[i].value); yes {
				on, at = append(on, name), max(at, c.assigns[i].start)
			}
		}
	}
	if len(on) > 1 {
		c.add(at, Warning, "%s are on together, and each packet passes all of them: leave one on", strings.Join(on, " and "))
	}
}

// interfaceOf returns the IF of a variable such as ifconfig_IF.
func interfaceOf(key, prefix string) (iface string, ok bool) {
	iface, ok = strings.CutPrefix(key, prefix)
	return iface, ok && key != "ifconfig_wait_dad_flags"
}

// quotedSemicolon reports whether a ; stands between quotes.
func quotedSemicolon(value string) bool {
	quote := rune(0)
	for _, c := range value {
		switch {
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		case c == ';' && quote != 0:
			return true
		}
	}
	return false
}

// A lineIndex holds the offset at which each line begins.
type lineIndex []int

func newLineIndex(text string) lineIndex {
	index := lineIndex{0}
	for i := range len(text) {
		if text[i] == '\n' {
			index = append(index, i+1)
		}
	}
	return index
}

// place returns line and column, from 1, of an offset.
func (x lineIndex) place(at int) (line, col int) {
	line = sort.SearchInts(x, at+1)
	return line, at - x[line-1] + 1
}

// switches are the variables of /etc/defaults/rc.conf that checkyesno reads.
var switches = strings.Fields(`
	accounting altqd amd apmd auto_ifconfig autofs blacklistd blocklistd bluetooth bootparamd bthcid ccd certctl_init cgd
	clear_tmp cron devpubd dhcpcd dhcpd dhcpd6 dhcrelay dmesg do_rcshutdown envsys fccache flushroutes ftp_proxy ftpd gpio
	hostapd httpd identd ifwatchd inetd ip6addrctl ip6addrctl_verbose ip6uniquelocal ipfilter ipfs ipmon ipnat ipsec irdaattach
	iscsi_target iscsid isibootd kdc ldconfig ldpd lockd lpd lvm makemandb mdnsd mixerctl modules mopd mountd moused mrouted
	named ndbootd newsyslog nfs_client nfs_server no_swap npf npfd nsd ntpd ntpdate per_user_tmp pf pflogd postfix powerd ppp
	quota racoon raidframe random_seed rarpd rbootd resize_disklabel resize_root rndctl route6d routed rpcbind rtadvd
	rtclocaltime rwhod savecore screenblank sdpd smtoff sshd statd swapoff sysdb syslogd timed tpctl unbound update_motd
	veriexec virecover wdogctl wpa_supplicant wscons wsmoused xdm xfs ypbind yppasswdd ypserv zfs`)

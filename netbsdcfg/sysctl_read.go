package netbsdcfg

import (
	"fmt"
	"slices"
	"strings"
)

// A sysctlEntry is a line that is not blank, or what a backslash has joined to
// one.
type sysctlEntry struct {
	first, end int    // the lines
	name       string // with dots between its parts
	value      string
	sets       bool   // a name and a value
	before     string // what stands before the value
	comment    string // what stands behind it, blanks included, without the line end
	key        string // what stands before the =
}

// with returns the line with another value.
func (e sysctlEntry) with(os OS, value string) string {
	comment := e.comment
	if os == NetBSD && !isNumber(value) {
		// Only of a number sysctl(8) removes the blanks before a comment.
		comment = strings.TrimLeft(comment, blanks)
	}
	return e.before + value + comment + "\n"
}

// blanks are what isspace(3) knows, but for the newline.
const blanks = " \t\r\v\f"

// lastEntries returns the index of the entry that counts, for each variable.
func lastEntries(entries []sysctlEntry) map[string]int {
	last := map[string]int{}
	for i, e := range entries {
		if e.sets {
			last[e.name] = i
		}
	}
	return last
}

func (s *Sysctl) entries() []sysctlEntry {
	var found []sysctlEntry
	for i := 0; i < len(s.lines); {
		e := sysctlEntry{first: i, end: i + 1}
		if s.os == NetBSD {
			e.netbsd(s.lines)
		} else {
			e.linux(s.lines[i])
		}
		if e.key != "" || e.sets {
			found = append(found, e)
		}
		i = e.end
	}
	return found
}

// linux reads a line as sysctl(8) of procps does.
func (e *sysctlEntry) linux(line string) {
	text := strings.Trim(line, blanks+"\n")
	if text == "" || text[0] == '#' || text[0] == ';' {
		return
	}
	key, rest, ok := strings.Cut(strings.TrimRight(line, blanks+"\n"), "=")
	e.value = strings.TrimLeft(rest, blanks)
	e.key = strings.Trim(key, blanks)
	e.name = dotted(strings.TrimPrefix(e.key, "-"))
	e.sets = ok && e.value != "" && e.name != ""
	if ok {
		e.before = key + "=" + rest[:len(rest)-len(e.value)]
	}
}

// netbsd reads lines as fparseln(3) and then parse() of NetBSD's sysctl(8) do:
// a # begins a comment and a backslash at the end joins lines, unless a
// backslash stands before them. The backslashes themselves stay.
func (e *sysctlEntry) netbsd(lines []string) {
	var joined strings.Builder
	for e.end = e.first; ; {
		line := strings.TrimSuffix(lines[e.end], "\n")
		e.end++
		if at := commentAt(line); at >= 0 {
			joined.WriteString(line[:at])
			e.comment = line[at:]
			break
		}
		if !continues(line) {
			joined.WriteString(line)
			break
		}
		joined.WriteString(line[:len(line)-1])
		if e.end == len(lines) {
			break
		}
	}
	text := joined.String()
	key, rest, ok := strings.Cut(text, "=")
	value := strings.TrimLeft(rest, blanks)
	e.key, e.value = key, value
	if number := strings.TrimRight(value, blanks); isNumber(number) {
		e.value, e.comment = number, value[len(number):]+e.comment
	}
	e.name = dotted(strings.TrimSuffix(key, "?"))
	e.sets = ok && e.name != "" && !strings.HasPrefix(key, "..") && !strings.HasPrefix(key, "//")
	e.before = text[:len(text)-len(value)]
}

// commentAt returns where a comment begins in a line of NetBSD, -1 if nowhere.
func commentAt(line string) int {
	for i := range len(line) {
		if line[i] == '#' && !continues(line[:i]) {
			return i
		}
	}
	return -1
}

// continues reports whether a text ends in a backslash that is not itself
// behind one.
func continues(text string) bool {
	return (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
}

// isNumber reports whether strtouq(3), which sysctl(8) uses, takes all of a
// text.
func isNumber(text string) bool {
	digits, set := strings.TrimLeft(text, "+-"), "0123456789"
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		digits, set = hex, "0123456789abcdef"
	}
	return digits != "" && strings.Trim(digits, set) == ""
}

// dotted writes a name with dots. In one whose first separator is a slash, dots
// and slashes have each other's meaning, for sysctl(8) of both systems.
func dotted(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '.' {
		return name
	}
	return strings.Map(func(c rune) rune {
		switch c {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return c
	}, name)
}

// sysctlName reports whether Set may write a name.
func sysctlName(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		for i := range len(part) {
			c := part[i]
			if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && (i == 0 || c != '-' && c != '/') {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return strings.Contains(name, ".") && dotted(name) == name
}

// sysctlTrees are the parts of the name tree that one system has and the other
// has not.
var sysctlTrees = map[OS][]string{
	NetBSD: {"net.inet.", "net.inet6.", "net.local.", "net.route.", "net.bpf.", "kern.", "hw.", "machdep.", "vfs.", "ddb.", "proc.", "security."},
	Linux:  {"net.ipv4.", "net.ipv6.", "net.core.", "net.netfilter.", "net.bridge.", "net.unix.", "net.nf_conntrack_max", "kernel.", "fs.", "dev.", "abi."},
}

// sysctlTwins are variables of NetBSD and of Linux that mean the same.
var sysctlTwins = [][2]string{
	{"net.inet.ip.forwarding", "net.ipv4.ip_forward"},
	{"net.inet.ip.forwarding", "net.ipv4.conf.all.forwarding"},
	{"net.inet6.ip6.forwarding", "net.ipv6.conf.all.forwarding"},
	{"net.inet6.ip6.forwarding", "net.ipv6.conf.default.forwarding"},
	{"net.inet.ip.redirect", "net.ipv4.conf.all.send_redirects"},
	{"net.inet.icmp.rediraccept", "net.ipv4.conf.all.accept_redirects"},
	{"net.inet6.icmp6.rediraccept", "net.ipv6.conf.all.accept_redirects"},
	{"net.inet.ip.allowsrcrt", "net.ipv4.conf.all.accept_source_route"},
	{"net.inet.ip.ttl", "net.ipv4.ip_default_ttl"},
	{"kern.maxfiles", "fs.file-max"},
	{"kern.hostname", "kernel.hostname"},
	{"kern.somaxconn", "net.core.somaxconn"},
}

// foreign returns why a name is none of this system, "" if it may be one.
func (os OS) foreign(name string) string {
	other := Linux
	if os == Linux {
		other = NetBSD
	}
	has := func(tree string) bool { return strings.HasPrefix(name, tree) }
	if !slices.ContainsFunc(sysctlTrees[other], has) {
		return ""
	}
	reason := fmt.Sprintf("is a name of %s, not of %s", other, os)
	for _, twin := range sysctlTwins {
		if twin[other-1] == name {
			return reason + ": " + twin[os-1] + " is meant"
		}
	}
	return reason
}

// Check reports lines that the system's sysctl(8) refuses or misreads, names of
// the other system, and variables that are set twice.
func (s *Sysctl) Check() Problems {
	var found Problems
	add := func(e sysctlEntry, severity Severity, format string, args ...any) {
		found = append(found, Problem{File: s.file.Name(), Line: e.first + 1, Severity: severity, Message: fmt.Sprintf(format, args...)})
	}
	entries := s.entries()
	last := lastEntries(entries)
	for i, e := range entries {
		if !e.sets {
			s.checkNoValue(e, add)
			continue
		}
		if reason := s.os.foreign(e.name); reason != "" {
			add(e, Error, "%s %s", e.name, reason)
		}
		if j := last[e.name]; j != i {
			add(e, Warning, "%s is set again in line %d, which counts: remove one", e.name, entries[j].first+1)
		}
		switch {
		case s.os == Linux && strings.ContainsAny(e.value, "#"):
			add(e, Error, "a comment must be a line of its own: this one becomes part of the value %q", e.value)
		case s.os == NetBSD && strings.ContainsAny(e.key, blanks):
			add(e, Error, "%q has a blank before the =, and sysctl(8) takes it for part of the name: remove it", e.key)
		case s.os == NetBSD && strings.HasSuffix(e.value, "\r"):
			add(e, Error, "the line ends in CR LF, and the CR becomes part of the value: remove it")
		case s.os == NetBSD && strings.TrimRight(e.value, blanks) != e.value:
			add(e, Warning, "the blanks at the end of %q become part of the value: remove them", e.value)
		}
	}
	return found
}

// checkNoValue reports a line that sets nothing.
func (s *Sysctl) checkNoValue(e sysctlEntry, add func(sysctlEntry, Severity, string, ...any)) {
	switch {
	case s.os == NetBSD && (strings.HasPrefix(e.key, "..") || strings.HasPrefix(e.key, "//")):
		// creates, destroys or describes a variable: not modelled
	case s.os == NetBSD && strings.Trim(e.key, blanks) == "":
		add(e, Warning, "blanks alone, which sysctl(8) takes for a name, with a complaint: remove them")
	case s.os == Linux && strings.HasPrefix(e.key, "-") && e.before == "":
		// keeps a name out of the patterns above, sysctl.d(5)
	default:
		add(e, Error, "%q sets nothing, for it has no name or no value: write name=value, or make it a comment", e.key)
	}
}

package bhyve

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Check returns what vm-bhyve's reader refuses, ignores or misreads in the file
// (Error), and what works and is probably not meant (Warning). An unknown key
// is an Error if it looks like a known one misspelt, else a Warning: a newer
// vm-bhyve may know it. The carriage returns of a file are one problem, at the
// first that counts.
func (f *File) Check() Problems {
	c := &checker{view: f.view()}
	for i, line := range f.lines {
		if s, ok := readLine(line); ok {
			c.setting(located{s, i + 1})
		} else {
			c.invisible(i+1, line)
		}
	}
	if c.returns > 0 {
		c.add(c.firstReturn, c.firstReturnCol, Error,
			"vm-bhyve reads the carriage return at the end of %d lines as part of their values: end lines in LF alone", c.returns)
	}
	c.required()
	c.numbering(f.lines)
	c.devices()
	c.singleUser()
	c.name()
	c.problems.Sort()
	return c.problems
}

// CheckGuests returns what only several guests' files together show: an address
// or UUID that two of them have, as after a file was copied.
func CheckGuests(files ...*File) Problems {
	var problems Problems
	first := map[string]*File{}
	for _, f := range files {
		c := &checker{view: f.view()}
		keys := []string{"uuid"}
		for n := range nics.count(c.view) {
			keys = append(keys, nics.key(n, "_mac"))
		}
		for _, key := range keys {
			value := strings.ToLower(c.get(key))
			if addr := parseMAC(value); addr != nil {
				value = addr.String()
			}
			if value == "" {
				continue
			}
			switch other := first[value]; other {
			case nil, f: // Check reports an address that a guest has twice
				first[value] = f
			default:
				c.addAt(key, Error, "%s %s is that of %s as well: give each guest its own", key, value, other.text.Name())
			}
		}
		c.problems.Sort()
		problems = append(problems, c.problems...)
	}
	return problems
}

type checker struct {
	*view
	problems Problems

	returns                     int // lines with a carriage return in the value
	firstReturn, firstReturnCol int
}

func (c *checker) add(line, col int, severity Severity, format string, args ...any) {
	c.problems = append(c.problems, Problem{
		File: c.file, Line: line, Col: col, Severity: severity, Message: fmt.Sprintf(format, args...),
	})
}

// addAt adds a problem at the value of a key.
func (c *checker) addAt(key string, severity Severity, format string, args ...any) {
	l := c.at[key]
	c.add(l.line, l.col(), severity, format, args...)
}

// invisible checks a line that vm-bhyve does not see. A comment is meant so.
func (c *checker) invisible(n int, line string) {
	text, bom := strings.CutPrefix(strings.TrimRight(line, " \t\r\n"), "\ufeff")
	trimmed := strings.TrimLeft(text, " \t")
	switch {
	case trimmed == "" || trimmed[0] == '#':
	case bom:
		c.add(n, 1, Error, "vm-bhyve ignores this line because of the byte-order mark before it: remove the mark")
	case trimmed != text && strings.Contains(trimmed, "="):
		c.add(n, 1, Error, "vm-bhyve ignores an indented line, and sysrc(8), with which it writes, edits it: remove the indent or the line")
	default:
		c.add(n, 1, Error, "vm-bhyve ignores a line that does not begin with a small letter: write the key in small letters from column 1, or # before a comment")
	}
}

// setting checks a line that vm-bhyve sees.
func (c *checker) setting(l located) {
	if first := c.at[l.key]; first.line != l.line {
		severity := Error
		if first.value == l.value {
			severity = Warning
		}
		c.add(l.line, 1, severity, "%s is set in line %d already, which is what vm-bhyve uses, while sysrc(8) edits the last: remove all but one", l.key, first.line)
		return
	}
	blank := strings.IndexAny(l.rawKey, " \t")
	switch {
	case !l.assigns():
		c.add(l.line, 1, Error, "without = vm-bhyve reads the whole line as a key: write key=\"value\", or # before a comment")
		return
	case strings.HasPrefix(l.key, "export "):
		c.add(l.line, 1, Error, "vm-bhyve looks for %q and reads %q: remove the word export", strings.TrimSpace(l.key[7:]), l.key)
		return
	case blank >= 0:
		c.add(l.line, blank+1, Error, "vm-bhyve reads the key %q with its blank, and never looks for it: write no blank before =", l.key)
		return
	case strings.HasSuffix(l.key, "+"):
		c.add(l.line, len(l.rawKey)-1, Error, "vm-bhyve does not know +=: write the whole value after =")
		return
	}
	c.known(l)
	c.value(l)
}

func (c *checker) known(l located) {
	if keys[pattern(l.key)] != nil {
		return
	}
	if near := nearest(l.key); near != "" {
		c.add(l.line, 1, Error, "vm-bhyve does not read %s: %s was probably meant", l.key, near)
	} else {
		c.add(l.line, 1, Warning, "vm-bhyve 1.7 does not read %s: remove it, or see whether your version does", l.key)
	}
}

// value reports the first thing that is wrong with a value.
func (c *checker) value(l located) {
	raw, hasReturn := strings.CutSuffix(l.rawValue, "\r")
	value := strings.TrimSuffix(l.value, "\r")
	if hasReturn {
		if c.returns++; c.returns == 1 {
			c.firstReturn, c.firstReturnCol = l.line, l.col()+len(raw)
		}
	}
	quoted := strings.Count(raw, `"`)%2 != 0 // where vm-bhyve cuts it
	hash := strings.Index(l.rest, "#")
	severity, reason := judge(l.key, value)
	switch {
	case hash >= 0 && (quoted || hash == 0 && raw != "" && strings.IndexByte("\"\t", raw[len(raw)-1]) < 0):
		c.add(l.line, l.col()+len(l.rawValue)+hash, Error, "vm-bhyve cuts the value at #, even inside quotes, and reads %q: # cannot be part of it", value)
	case strings.HasPrefix(raw, "'"):
		c.add(l.line, l.col(), Error, "single quotes are part of the value for vm-bhyve, and not for sysrc(8): use double quotes")
	case trim(value) != value:
		// A number, or a command, survives the blank; a word or path does not.
		at, severity := 0, Warning
		if value[0] != ' ' && value[0] != '\t' {
			at = len(value) - 1
		}
		if reason != "" {
			severity = Error
		}
		c.add(l.line, l.col()+l.rawIndex(at), severity, "the blank before or behind the value is part of it for vm-bhyve: remove it")
	case hidesAssignment(l.key, raw):
		c.add(l.line, l.col(), Error, "vm-bhyve reads one value, %q: write each key on a line of its own", value)
	case reason != "":
		c.add(l.line, l.col(), severity, "%s is %q: it %s", l.key, value, reason)
	case unfit(value) != "":
		c.add(l.line, l.col(), Warning, "%s is %q: %s", l.key, value, unfit(value))
	case hash == 0:
		c.add(l.line, l.col()+len(l.rawValue), Warning, "sysrc(8), with which vm-bhyve writes, reads the file with a shell, for which this # begins no comment: put a blank before it")
	case !isShellWord(raw):
		c.add(l.line, l.col(), Warning, "sysrc(8), with which vm-bhyve writes, runs this line in a shell: put double quotes around the value")
	case strings.Contains(l.rawKey, `"`):
		c.add(l.line, 1, Warning, "sysrc(8), with which vm-bhyve writes, runs this line in a shell, which finds no key in it: write %s=", l.key)
	}
}

// hidesAssignment reports whether a shell would read the value as two lines:
// a=1; b=2. In GRUB's commands a ";" is legitimate.
func hidesAssignment(key, raw string) bool {
	before, after, found := strings.Cut(raw, ";")
	if !found || strings.Count(before, `"`)%2 != 0 || strings.HasPrefix(key, "grub_") {
		return false
	}
	next, _, found := strings.Cut(strings.TrimLeft(after, " \t"), "=")
	return found && isKey(next)
}

func (c *checker) required() {
	for _, key := range []string{"loader", "cpu", "memory"} {
		if c.get(key) == "" {
			c.add(c.at[key].line, 0, Error, "vm-bhyve does not start a guest without %s: set it", key)
		}
	}
	if loader := c.get("loader"); (loader == "grub" || loader == "bhyveload") && disks.count(c.view) == 0 {
		c.addAt("loader", Error, "the loader %s needs a disk: set disk0_type and disk0_name", loader)
	}
	product, set := 1, ""
	for _, key := range []string{"cpu_sockets", "cpu_cores", "cpu_threads"} {
		if n, err := strconv.Atoi(trim(c.get(key))); err == nil && 0 < n && n < 1<<16 {
			product, set = product*n, key
		}
	}
	if n, err := strconv.Atoi(trim(c.get("cpu"))); err == nil && set != "" && n != product {
		c.addAt(set, Error, "bhyve(8) refuses cpu=%d with a topology of %d: make sockets, cores and threads, multiplied, the same", n, product)
	}
}

// numbering reports devices that vm-bhyve does not reach, each at its first key.
func (c *checker) numbering(lines []string) {
	counts := map[*family]int{}
	for _, fam := range families {
		counts[fam] = fam.count(c.view)
	}
	reported := map[string]bool{}
	for i, line := range lines {
		s, _ := readLine(line)
		fam, n, _ := splitKey(s.key)
		if fam == nil || n < counts[fam] || s.value == "" || reported[fam.key(n, "")] {
			continue
		}
		reported[fam.key(n, "")] = true
		if fam.most > 0 && n >= fam.most {
			c.add(i+1, 1, Error, "vm-bhyve reads at most %d %sN: remove this one", fam.most, fam.stem)
			continue
		}
		stop := counts[fam]
		c.add(i+1, 1, Error, "vm-bhyve ignores %s: it counts from 0 and stops at %s, for want of %s",
			fam.key(n, ""), fam.key(stop, ""), strings.Join(fam.missing(c.view, stop), " and "))
	}
}

func (c *checker) devices() {
	macs := map[string]string{}
	for n := range nics.count(c.view) {
		if c.get(nics.key(n, "_switch")) == "" {
			c.addAt(nics.key(n, "_type"), Error, "vm-bhyve silently drops network%d, which has no switch: set %s", n, nics.key(n, "_switch"))
		}
		key := nics.key(n, "_mac")
		addr := parseMAC(c.get(key)).String()
		if other := macs[addr]; other != "" {
			c.addAt(key, Warning, "%s is the address of %s as well: give each NIC its own", addr, other)
		} else if addr != "" {
			macs[addr] = key
		}
	}
	for n := range disks.count(c.view) {
		name := disks.key(n, "_name")
		if c.get(disks.key(n, "_dev")) == "custom" && !strings.HasPrefix(c.get(name), "/") {
			c.addAt(name, Error, "%s is %q: a custom disk needs its full path", name, c.get(name))
		}
	}
}

func (c *checker) singleUser() {
	for n := range run.count(c.view) {
		l := c.at[run.key(n, "")]
		if k, _ := readKernel(l.value); len(k.single) > 0 {
			at := k.single[0]
			if strings.IndexByte(" \t", l.value[at]) >= 0 {
				at++
			}
			c.add(l.line, l.col()+l.rawIndex(at), Warning, "the guest boots to single-user mode: take -s out when you are done")
		}
	}
}

// name checks the guest's name, which is that of its file.
func (c *checker) name() {
	name, ok := strings.CutSuffix(filepath.Base(c.file), ".conf")
	if err := ValidateName(name); ok && err != nil {
		c.add(0, 0, Error, "vm create refuses the %v", err)
	}
}

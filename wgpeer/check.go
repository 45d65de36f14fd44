package wgpeer

import (
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Check returns what wg or wg-quick refuses, ignores or misreads in the file
// (Error), and what works and is probably not meant (Warning). A file that was
// opened is looked at on disk too: others must not be able to read a secret, or to
// write.
func (f *File) Check() Problems {
	v := f.view()
	v.checkKeys()
	v.checkCommands(f.lines)
	v.checkAllowed()
	if v.quick() && strings.HasSuffix(v.file, ".conf") && v.Iface == "" {
		v.noteFile(Error, "wg-quick takes the interface's name from the file's: at most 15 of letters, digits and _=+.-, and .conf")
	}
	if v.saves != nil {
		v.note(v.saves, Warning, "wg-quick down writes the file anew from the device: comments, names and edits are lost")
	}
	v.checkMode(f.path)
	problems := append(v.refused, v.odd...)
	problems.Sort()
	return problems
}

// noteFile notes something about the file as a whole.
func (v *view) noteFile(severity Severity, message string) {
	v.odd = append(v.odd, Problem{File: v.file, Severity: severity, Message: message})
}

// checkMode looks at the file on disk, if there is one.
func (v *view) checkMode(path string) {
	info, err := os.Stat(path)
	secret := !v.PrivateKey.IsZero() || slices.ContainsFunc(v.Peers, func(p Peer) bool { return !p.PresharedKey.IsZero() })
	switch {
	case path == "" || err != nil:
	case info.Mode()&0o002 != 0:
		v.noteFile(Warning, "everybody can write it: set its mode to 0600")
	case info.Mode()&0o004 != 0 && secret:
		v.noteFile(Warning, "holds a secret and everybody can read it: set its mode to 0600")
	}
}

// checkKeys looks for the interface's own key.
func (v *view) checkKeys() {
	all, _ := v.interfaces()
	private := find(all, "PrivateKey")
	switch {
	case v.PrivateKey.IsZero() && v.setsKey == nil && !slices.ContainsFunc(private, isBad):
		v.noteFile(Warning, "has no PrivateKey: setconf takes away the one that the device has, and a command has to set it again")
	case !v.PrivateKey.IsZero() && v.setsKey != nil:
		v.note(private[len(private)-1], Warning, "the command in line %d sets another key after this one", v.setsKey.line+1)
	}
	if v.PublicKey == (PublicKey{}) {
		return
	}
	for _, s := range v.sectionsOf(v.PublicKey) {
		v.note(s.find("PublicKey")[0], Error, "this is the interface itself: wg ignores the peer")
	}
}

// checkCommands looks for commands of wg-quick that are cut.
func (v *view) checkCommands(lines []string) {
	_, quick := v.interfaces()
	for _, key := range []string{"PreUp", "PostUp", "PreDown", "PostDown"} {
		for _, set := range find(quick, key) {
			line := lines[set.line]
			command, _, cut := strings.Cut(line, "#")
			if cut && inWord(command[set.start:]) {
				v.odd = append(v.odd, Problem{
					File: v.file, Line: set.line + 1, Col: len(command) + 1, Severity: Error,
					Message: "wg-quick cuts the command here: it cannot hold a #",
				})
			}
		}
	}
}

// inWord reports whether a command of the shell ends inside a word, where a # would
// begin no comment: behind anything but a blank or an operator, or in quotes.
func inWord(command string) bool {
	var quote rune
	word, escaped := false, false
	for _, c := range command {
		switch {
		case escaped:
			escaped = false
		case c == '\\' && quote != '\'':
			word, escaped = true, true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			word, quote = true, c
		default:
			word = !strings.ContainsRune(" \t;&|()<>", c)
		}
	}
	return word || escaped
}

// checkAllowed looks for prefixes that peers share.
func (v *view) checkAllowed() {
	first := map[netip.Prefix]allowedIP{}
	for _, a := range v.allowed {
		if a.in != v.counts[a.in.key] {
			continue // a later section replaces it
		}
		if other, ok := first[a.prefix]; ok {
			v.note(a.at, Error, "%s is the peer's in line %d too: a device gives it to the last peer alone", a.prefix, other.at.line+1)
			continue
		}
		first[a.prefix] = a
	}
	for _, a := range v.allowed {
		if a.in != v.counts[a.in.key] || first[a.prefix].in != a.in {
			continue
		}
		for bits := a.prefix.Bits() - 1; bits > 0; bits-- { // one that has all the rest is common
			wider := netip.PrefixFrom(a.prefix.Addr(), bits).Masked()
			if other, ok := first[wider]; ok && other.in != a.in {
				v.note(a.at, Warning, "%s is taken from %s, which is another peer's in line %d", a.prefix, wider, other.at.line+1)
				break
			}
		}
	}
	for _, s := range v.sections {
		if s.keyed && v.counts[s.key] == s && len(s.find("AllowedIPs")) == 0 {
			v.note(s.find("PublicKey")[0], Warning, "the peer has no AllowedIPs: nothing goes to it, and what comes from it is dropped")
		}
	}
}

package wgpeer

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// A view is one reading of a whole file, and what was found wrong on the way.
type view struct {
	Interface
	file     string
	sections []*section
	peerAt   map[PublicKey]int // in Peers
	refused  Problems          // by wg or wg-quick
	odd      Problems          // what they read, and not as it looks

	allowed  []allowedIP
	counts   map[PublicKey]*section // whose AllowedIPs count
	saves    *setting               // SaveConfig, if it is true
	setsKey  *setting               // a command that gives the device its key
	addsAddr map[netip.Prefix]int   // the line of each Address, from 0
}

// An allowedIP is an entry of AllowedIPs and its place.
type allowedIP struct {
	prefix netip.Prefix
	in     *section
	at     *setting
}

func (f *File) view() *view {
	v := &view{
		file:     f.text.Name(),
		peerAt:   map[PublicKey]int{},
		counts:   map[PublicKey]*section{},
		addsAddr: map[netip.Prefix]int{},
	}
	if name := quickFile.FindStringSubmatch(v.file); name != nil {
		v.Iface = name[1]
	}
	v.sections = sections(f.lines, func(line, col int, message string) {
		v.refused = append(v.refused, Problem{File: v.file, Line: line, Col: col, Severity: Error, Message: message})
	})
	var device []*setting
	for _, s := range v.sections {
		if s.peer {
			v.repeated(s.settings)
			v.readPeer(s, f.lines)
		} else {
			device = append(device, s.settings...)
		}
	}
	v.repeated(device)
	v.readInterface(device)
	v.PublicKey = v.PrivateKey.Public()
	v.refused.Sort()
	return v
}

// quickFile is what wg-quick wants a file to be called.
var quickFile = regexp.MustCompile(`(?:^|/)([a-zA-Z0-9_=+.-]{1,15})\.conf$`)

// quick reports whether the file has keys of wg-quick.
func (v *view) quick() bool {
	return slices.ContainsFunc(v.sections, func(s *section) bool {
		return slices.ContainsFunc(s.settings, func(set *setting) bool { return quickKeys[fold(set.key)] != "" })
	})
}

// refuse notes that wg or wg-quick refuses a setting. A key in the wrong place may
// be a secret.
func (v *view) refuse(set *setting, err error) {
	set.bad = true
	if err != errNotAKey && keyLike.MatchString(set.value) {
		err = errors.New("this is a key")
	}
	v.refused = append(v.refused, Problem{File: v.file, Line: set.line + 1, Col: set.col(), Severity: Error, Message: set.key + ": " + err.Error()})
}

// note notes something odd at a setting.
func (v *view) note(set *setting, severity Severity, format string, args ...any) {
	v.odd = append(v.odd, Problem{File: v.file, Line: set.line + 1, Col: set.col(), Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// repeated notes keys that are there more often than they are used.
func (v *view) repeated(settings []*setting) {
	first := map[string]*setting{}
	for _, set := range settings {
		switch set.key {
		case "AllowedIPs", "Address", "DNS", "PreUp", "PostUp", "PreDown", "PostDown":
			continue
		}
		if other := first[set.key]; other == nil {
			first[set.key] = set
		} else if other.value == set.value {
			v.note(set, Warning, "%s is in line %d already", set.key, other.line+1)
		} else {
			v.note(set, Error, "%s is in line %d already, which this one overrides", set.key, other.line+1)
		}
	}
}

var errNotAKey = errors.New(notAKey)

func (v *view) readInterface(settings []*setting) {
	for _, set := range settings {
		var err error
		switch set.key {
		case "PrivateKey":
			if key, ok := readKey(set.value); ok {
				v.PrivateKey = privateKey(key)
			} else {
				err = errNotAKey
			}
		case "ListenPort":
			var exact bool
			if v.ListenPort, exact, err = readPort(set.value); err == nil && !exact {
				v.notExact(set, v.ListenPort)
			}
		case "FwMark":
			v.FwMark, err = readFwMark(set.value)
		case "MTU":
			v.MTU, err = readMTU(set.value)
		case "Address":
			err = v.readAddresses(set)
		case "SaveConfig":
			switch fold(set.value) {
			case "true":
				v.saves = set
			case "false":
				v.saves = nil
			default:
				err = errors.New("wg-quick wants true or false")
			}
		case "PostUp": // "wg setconf" would undo an earlier one
			if path, ok := v.keyFile(set); ok {
				v.KeyFile = path
			}
			if strings.Contains(set.value, "private-key") {
				v.setsKey = set
			}
		}
		if err != nil && !set.bad {
			v.refuse(set, err)
		}
	}
}

func (v *view) notExact(set *setting, port uint16) {
	v.note(set, Error, "a port is at most 65535: wg on Linux reads %s as %d", set.value, port)
}

// addressWords cuts a value of Address as wg-quick does.
func addressWords(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || isSpace(r) })
}

func (v *view) readAddresses(set *setting) error {
	for _, word := range addressWords(set.value) {
		p, err := readAddress(word)
		if err != nil {
			return err
		}
		if line, again := v.addsAddr[p]; again {
			v.note(set, Error, "%s is in line %d already: ip(8) refuses it, and wg-quick gives up", p, line+1)
			continue
		}
		v.addsAddr[p] = set.line
		v.Addresses = append(v.Addresses, p)
	}
	return nil
}

// keyFile returns the path in a line "PostUp = wg set %i private-key PATH".
func (v *view) keyFile(set *setting) (path string, ok bool) {
	words := strings.Fields(set.value)
	if len(words) != 5 || words[0] != "wg" || words[1] != "set" || words[3] != "private-key" {
		return "", false
	}
	path = words[4]
	if v.Iface != "" {
		words[2], path = strings.ReplaceAll(words[2], "%i", v.Iface), strings.ReplaceAll(path, "%i", v.Iface)
	}
	if words[2] != v.Iface && words[2] != "%i" || !filePath.MatchString(path) {
		return "", false
	}
	return path, true
}

func (v *view) readPeer(s *section, lines []string) {
	header := &setting{line: s.head, key: "[Peer]"}
	for _, set := range s.find("PublicKey") {
		key, ok := readKey(set.value)
		if !ok {
			if !set.bad {
				v.refuse(set, errNotAKey)
			}
			continue
		}
		if s.key, s.keyed = key, true; key == (PublicKey{}) {
			v.note(set, Error, "the key of zeros is nobody's")
		}
	}
	if len(s.find("PublicKey")) == 0 {
		v.refuse(header, errors.New("has no PublicKey"))
	}
	p := &Peer{} // of a section without a key only the errors count
	if s.keyed {
		i, again := v.peerAt[s.key]
		if !again {
			i = len(v.Peers)
			v.peerAt[s.key] = i
			v.Peers = append(v.Peers, Peer{PublicKey: s.key})
		} else {
			v.note(header, Error, "the peer has a section in line %d already, whose AllowedIPs this one replaces", v.counts[s.key].head+1)
		}
		v.counts[s.key] = s
		p = &v.Peers[i]
	}
	if p.Name == "" {
		p.Name = s.name(lines)
	}
	p.AllowedIPs = nil
	for _, set := range s.settings {
		if set.bad {
			continue
		}
		var err error
		switch set.key {
		case "PresharedKey":
			if key, ok := readKey(set.value); ok {
				p.PresharedKey = presharedKey(key)
			} else {
				err = errNotAKey
			}
		case "Endpoint":
			err = v.readEndpoint(set, p)
		case "PersistentKeepalive":
			p.Keepalive, err = readKeepalive(set.value)
		case "AllowedIPs":
			err = v.readAllowedIPs(set, s, p)
		}
		if err != nil {
			v.refuse(set, err)
		}
	}
}

func (v *view) readEndpoint(set *setting, p *Peer) error {
	e, err := readEndpoint(set.value)
	if err != nil {
		return err
	}
	p.Endpoint = e.text
	switch {
	case !e.exact:
		v.notExact(set, e.port)
	case e.port == 0:
		v.note(set, Error, "nothing can be sent to port 0")
	case e.bare:
		v.note(set, Warning, "wg takes what is behind the last colon for the port: write %s", e.text)
	}
	return nil
}

func (v *view) readAllowedIPs(set *setting, s *section, p *Peer) error {
	for entry := range strings.SplitSeq(set.value, ",") {
		prefix, err := readAllowedIP(entry)
		if err != nil {
			return err
		}
		if masked := prefix.Masked(); masked != prefix {
			v.note(set, Warning, "%s is not the first address of its prefix: wg makes it %s", entry, masked)
			prefix = masked
		}
		if s.allowed[prefix] {
			continue
		}
		s.allowed[prefix] = true
		p.AllowedIPs = append(p.AllowedIPs, prefix)
		v.allowed = append(v.allowed, allowedIP{prefix, s, set})
	}
	return nil
}

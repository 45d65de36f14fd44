package wgpeer

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SetPeer makes the file say that a peer is p. A peer that is there keeps its lines:
// those that say something else are edited, or removed, and new ones come behind
// them. Its comments stay, and so its Name. A new peer gets a section at the end,
// with its Name as a comment. The order of AllowedIPs means nothing, and their host
// bits are cleared.
//
// SetPeer refuses with a [*ValueError] what the file cannot hold, what wg would
// refuse or read as something else, and the public key of the interface itself,
// which wg ignores. It does not compare peers; Check does.
func (f *File) SetPeer(p Peer) error {
	v := f.view()
	i, ok := v.peerAt[p.PublicKey]
	if ok && !anyBad(v.sectionsOf(p.PublicKey)) && samePeer(p, v.Peers[i]) {
		return nil
	}
	if err := p.valid(); err != nil {
		return err
	}
	if p.PublicKey == v.PublicKey {
		return ownKey(p)
	}
	if p.Endpoint != "" {
		end, err := readEndpoint(p.Endpoint) // in the form in which it is read again
		if err != nil {
			return &ValueError{Field: "Endpoint", Value: p.Endpoint, Reason: err.Error()}
		}
		p.Endpoint = end.text
	}
	e := newEdit(f.lines)
	if !ok {
		if comment("#"+p.Name) != p.Name {
			return &ValueError{Field: "Name", Value: p.Name, Reason: "a name in a comment does not begin with # or a blank, end with a blank, or hold a ="}
		}
		e.addPeer(p)
	} else {
		e.editPeer(v.sectionsOf(p.PublicKey), v.counts[p.PublicKey], p, v.Peers[i])
	}
	f.lines = e.apply()
	return nil
}

func samePeer(a, b Peer) bool {
	return a.PresharedKey == b.PresharedKey && a.Endpoint == b.Endpoint && a.Keepalive == b.Keepalive &&
		slices.Equal(a.prefixes(), b.prefixes())
}

// addPeer adds a section for a new peer.
func (e *edit) addPeer(p Peer) {
	end := len(e.lines) - 1
	if end >= 0 && !isBlank(e.lines[end]) {
		e.insert(end, "")
	}
	var text strings.Builder
	Interface{Peers: []Peer{p}}.wgPeers(&text)
	e.insert(end, strings.Split(strings.Trim(text.String(), "\n"), "\n")...)
}

// editPeer edits the sections of a peer, of which the last has the AllowedIPs that count.
func (e *edit) editPeer(all []*section, last *section, p, have Peer) {
	keepalive := "off" // "wg syncconf" leaves alone what a file does not say
	if p.Keepalive != 0 {
		keepalive = strconv.Itoa(int(p.Keepalive / time.Second))
	}
	e.single(all, last, "PresharedKey", p.PresharedKey.Reveal(), p.PresharedKey == have.PresharedKey)
	e.list([]*section{last}, last, "AllowedIPs", p.prefixes(), have.AllowedIPs, entries, maskedAllowedIP)
	e.single(all, last, "Endpoint", p.Endpoint, p.Endpoint == have.Endpoint)
	e.single(all, last, "PersistentKeepalive", keepalive, p.Keepalive == have.Keepalive)
}

// sectionsOf are the sections of a peer.
func (v *view) sectionsOf(key PublicKey) []*section {
	return slices.DeleteFunc(slices.Clone(v.sections), func(s *section) bool { return !s.keyed || s.key != key })
}

func entries(value string) []string { return strings.Split(value, ",") }

func maskedAllowedIP(word string) (netip.Prefix, error) {
	p, err := readAllowedIP(squeeze(word))
	return p.Masked(), err
}

// RemovePeer removes a peer, and reports whether it was there: all its sections,
// with the comments in them, directly above, and directly below where those are not
// directly above the next one's.
func (f *File) RemovePeer(key PublicKey) bool {
	v := f.view()
	if _, ok := v.peerAt[key]; !ok {
		return false
	}
	e := newEdit(f.lines)
	for _, s := range v.sectionsOf(key) {
		e.removeSection(s)
	}
	f.lines = e.apply()
	return true
}

// SetInterface makes the file say what an interface is, but for its Peers. Iface,
// which is the file's name, is not used. Where neither PrivateKey nor KeyFile is
// known, the file keeps those it has; otherwise it has what is known alone: KeyFile
// is "PostUp = wg set %i private-key PATH". Addresses, MTU and KeyFile are for
// wg-quick; a file that has them is of no use to "wg setconf".
//
// SetInterface refuses with a [*ValueError] what the file cannot hold, and a
// PublicKey that is not that of the private key.
func (f *File) SetInterface(want Interface) error {
	now := f.view()
	keep := want.PrivateKey.IsZero() && want.KeyFile == ""
	if keep {
		want.PrivateKey, want.KeyFile = now.PrivateKey, now.KeyFile
	}
	all, _ := now.interfaces()
	if !anyBad(all) && sameInterface(want, now.Interface) {
		return nil
	}
	want.Iface, want.Peers = "wg0", nil // the file's name and its other sections
	if err := want.valid(); err != nil {
		return err
	}
	g := &File{text: f.text, lines: f.withSection(want)}
	v := g.view()
	all, quick := v.interfaces()
	e := newEdit(g.lines)
	last := all[len(all)-1]
	port := ""
	if want.ListenPort != 0 {
		port = strconv.Itoa(int(want.ListenPort))
	}
	mark := ""
	if want.FwMark != 0 {
		mark = fmt.Sprintf("%#x", want.FwMark)
	}
	if !keep {
		e.single(all, last, "PrivateKey", want.PrivateKey.Reveal(), want.PrivateKey == v.PrivateKey)
	}
	e.single(all, last, "ListenPort", port, want.ListenPort == v.ListenPort)
	e.single(all, last, "FwMark", mark, want.FwMark == v.FwMark)
	if len(quick) > 0 {
		e.setQuick(v, quick, want)
	}
	f.lines = e.apply()
	return nil
}

func sameInterface(want, have Interface) bool {
	return want.PrivateKey == have.PrivateKey && want.KeyFile == have.KeyFile &&
		(want.PublicKey == PublicKey{} || want.PublicKey == have.PublicKey) &&
		want.ListenPort == have.ListenPort && want.FwMark == have.FwMark && want.MTU == have.MTU &&
		maps.Equal(prefixSet(want.Addresses), prefixSet(have.Addresses))
}

// interfaces are the sections [Interface]: those of wg, and those of them that
// wg-quick takes for one too.
func (v *view) interfaces() (all, quick []*section) {
	for _, s := range v.sections {
		if !s.peer {
			all = append(all, s)
		}
		if !s.peer && s.quick {
			quick = append(quick, s)
		}
	}
	return all, quick
}

// withSection returns the lines with a section [Interface] that can hold want.
func (f *File) withSection(want Interface) []string {
	v := f.view()
	all, quick := v.interfaces()
	forQuick := len(want.Addresses) > 0 || want.MTU != 0 || want.KeyFile != ""
	e := newEdit(f.lines)
	switch {
	case len(all) > 0 && forQuick && len(quick) == 0:
		e.insert(all[len(all)-1].last(""), "[Interface]")
	case len(all) > 0:
		return f.lines
	case len(v.sections) > 0:
		e.insert(above(f.lines, v.sections[0].head)-1, "[Interface]", "")
	default:
		e.insert(len(f.lines)-1, "[Interface]")
	}
	return e.apply()
}

// setQuick sets what wg-quick keeps to itself.
func (e *edit) setQuick(v *view, quick []*section, want Interface) {
	last := quick[len(quick)-1]
	e.list(quick, last, "Address", want.Addresses, v.Addresses, addressWords, readAddress)
	mtu := ""
	if want.MTU != 0 {
		mtu = strconv.Itoa(want.MTU)
	}
	e.single(quick, last, "MTU", mtu, want.MTU == v.MTU)
	if want.KeyFile == v.KeyFile {
		return
	}
	for _, set := range find(quick, "PostUp") {
		if _, ok := v.keyFile(set); ok {
			e.remove(set.line, set.line+1)
		}
	}
	if want.KeyFile != "" {
		e.put(last, "PostUp", "wg set %i private-key "+want.KeyFile)
	}
}

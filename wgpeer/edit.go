package wgpeer

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// SetPeer makes the file say that a peer is p. A peer that is there keeps its lines:
// those that say something else are edited, or removed, and new ones come behind
// them. Its comments stay, and so its Name. A new peer gets a section at the end,
// with its Name as a comment. The order of AllowedIPs means nothing.
//
// SetPeer refuses with a [*ValueError] what the file cannot hold, what wg would
// refuse or read as something else, AllowedIPs with host bits, and the public key of
// the interface itself, which wg ignores. It does not compare peers; Check does.
func (f *File) SetPeer(p Peer) error {
	if err := checkPeer(&p); err != nil {
		return err
	}
	v := f.view()
	e := &edit{lines: f.lines}
	i, ok := v.peerAt[p.PublicKey]
	if !ok {
		if p.PublicKey == v.PublicKey {
			return &ValueError{Field: "PublicKey", Value: p.PublicKey.String(), Reason: "the interface's own: wg ignores such a peer"}
		}
		if n := len(f.lines); n > 0 && !isBlank(f.lines[n-1]) {
			e.insert(n-1, "")
		}
		e.insert(len(f.lines)-1, newPeer(p)...)
		f.lines = e.apply()
		return nil
	}
	all := v.sectionsOf(p.PublicKey)
	last := v.counts[p.PublicKey]
	have := v.Peers[i]
	e.single(all, last, "PresharedKey", p.PresharedKey.Reveal(), p.PresharedKey == have.PresharedKey)
	e.list([]*section{last}, last, "AllowedIPs", p.AllowedIPs, have.AllowedIPs, entries, maskedAllowedIP)
	e.single(all, last, "Endpoint", p.Endpoint, p.Endpoint == have.Endpoint)
	e.single(all, last, "PersistentKeepalive", keepalive(p), p.Keepalive == have.Keepalive)
	f.lines = e.apply()
	return nil
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

// keepalive is off rather than nothing: "wg syncconf" leaves alone what a file does
// not say.
func keepalive(p Peer) string {
	if p.Keepalive == 0 {
		return "off"
	}
	return strconv.Itoa(int(p.Keepalive / time.Second))
}

func newPeer(p Peer) []string {
	text := []string{"[Peer]"}
	if p.Name != "" {
		text = append(text, "# "+p.Name)
	}
	text = append(text, "PublicKey = "+p.PublicKey.String())
	if !p.PresharedKey.IsZero() {
		text = append(text, "PresharedKey = "+p.PresharedKey.Reveal())
	}
	if len(p.AllowedIPs) > 0 {
		text = append(text, "AllowedIPs = "+join(p.AllowedIPs))
	}
	if p.Endpoint != "" {
		text = append(text, "Endpoint = "+p.Endpoint)
	}
	if p.Keepalive != 0 {
		text = append(text, "PersistentKeepalive = "+keepalive(p))
	}
	return text
}

// checkPeer returns why a peer cannot be written, and gives its endpoint the form in
// which it is read.
func checkPeer(p *Peer) error {
	switch name := p.Name; {
	case p.PublicKey == PublicKey{}:
		return &ValueError{Field: "PublicKey", Value: p.PublicKey.String(), Reason: "the key of zeros is nobody's"}
	case strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
		return &ValueError{Field: "Name", Value: name, Reason: "a comment is one line of text"}
	case comment("#"+name) != name:
		return &ValueError{Field: "Name", Value: name, Reason: "does not begin with # or a blank, end with a blank, or hold a ="}
	case p.Keepalive < 0 || p.Keepalive > 65535*time.Second || p.Keepalive%time.Second != 0:
		return &ValueError{Field: "PersistentKeepalive", Value: p.Keepalive.String(), Reason: "whole seconds up to 65535"}
	}
	for _, prefix := range p.AllowedIPs {
		if !prefix.IsValid() || prefix != prefix.Masked() {
			return &ValueError{Field: "AllowedIPs", Value: prefix.String(), Reason: "wants the first address of its prefix, such as " + prefix.Masked().String()}
		}
	}
	if p.Endpoint == "" {
		return nil
	}
	e, err := readEndpoint(p.Endpoint)
	switch {
	case err != nil:
		return &ValueError{Field: "Endpoint", Value: p.Endpoint, Reason: err.Error()}
	case !e.exact || e.port == 0:
		return &ValueError{Field: "Endpoint", Value: p.Endpoint, Reason: "a port is 1 to 65535"}
	case e.bare:
		return &ValueError{Field: "Endpoint", Value: p.Endpoint, Reason: "an IPv6 address stands in brackets"}
	}
	p.Endpoint = e.text
	return nil
}

// RemovePeer removes a peer, and reports whether it was there: all its sections,
// with the comments in them, directly above, and directly below where those are not
// directly above the next one's.
func (f *File) RemovePeer(key PublicKey) bool {
	v := f.view()
	if _, ok := v.peerAt[key]; !ok {
		return false
	}
	e := &edit{lines: f.lines}
	for _, s := range v.sectionsOf(key) {
		e.removeSection(s)
	}
	f.lines = e.apply()
	return true
}

// SetInterface makes the file say what an interface is, but for its Peers. Iface,
// which is the file's name, is not used, nor is PublicKey, unless it is not that of
// PrivateKey. Where neither PrivateKey nor KeyFile is known, the file keeps those it
// has; otherwise it has what is known alone: KeyFile is "PostUp = wg set %i
// private-key PATH". Addresses, MTU and KeyFile are for wg-quick; a file that has
// them is of no use to "wg setconf".
//
// SetInterface refuses with a [*ValueError] what the file cannot hold.
func (f *File) SetInterface(want Interface) error {
	if err := checkInterface(want); err != nil {
		return err
	}
	g := &File{text: f.text, lines: f.withSection(want)}
	v := g.view()
	all, quick := v.interfaces()
	if len(all) == 0 {
		return nil
	}
	e := &edit{lines: g.lines}
	last := all[len(all)-1]
	port := ""
	if want.ListenPort != 0 {
		port = strconv.Itoa(int(want.ListenPort))
	}
	mark := ""
	if want.FwMark != 0 {
		mark = fmt.Sprintf("%#x", want.FwMark)
	}
	if !want.PrivateKey.IsZero() || want.KeyFile != "" {
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
	e := &edit{lines: f.lines}
	switch {
	case len(all) > 0 && forQuick && len(quick) == 0:
		e.insert(all[len(all)-1].last(), "[Interface]")
	case len(all) > 0, !forQuick && want.PrivateKey.IsZero() && want.ListenPort == 0 && want.FwMark == 0:
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
	if want.PrivateKey.IsZero() && want.KeyFile == "" || want.KeyFile == v.KeyFile {
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

func checkInterface(i Interface) error {
	switch {
	case !i.PrivateKey.IsZero() && i.PublicKey != PublicKey{} && i.PublicKey != i.PrivateKey.Public():
		return &ValueError{Field: "PublicKey", Value: i.PublicKey.String(), Reason: "is not that of the private key"}
	case i.FwMark < 0 || uint64(i.FwMark) > math.MaxUint32:
		return &ValueError{Field: "FwMark", Value: strconv.Itoa(i.FwMark), Reason: "a mark has 32 bits"}
	case i.MTU < 0 || i.MTU > 65535:
		return &ValueError{Field: "MTU", Value: strconv.Itoa(i.MTU), Reason: "0 to 65535"}
	case i.KeyFile != "" && !isKeyPath(i.KeyFile):
		return &ValueError{Field: "KeyFile", Value: i.KeyFile, Reason: "a shell reads the line: an absolute path of letters, digits and /._+@-"}
	}
	for _, p := range i.Addresses {
		if !p.IsValid() {
			return &ValueError{Field: "Address", Value: p.String(), Reason: "wants an address and the length of its network's prefix"}
		}
	}
	return nil
}

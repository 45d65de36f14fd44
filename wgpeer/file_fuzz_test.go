package wgpeer

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lessThan reports whether b is a without some of its lines.
func lessThan(a, b []string) bool {
	for _, line := range a {
		if len(b) > 0 && b[0] == line {
			b = b[1:]
		}
	}
	return len(b) == 0
}

// FuzzFile tries the five properties on any text and any edit.
func FuzzFile(f *testing.F) {
	for i, tt := range oddFiles {
		f.Add([]byte(fill.Replace(tt.text)), byte(i), "Anna", "192.0.2.1:51820", []byte{10, 77, 0, 2, 32}, uint16(25))
	}
	for op := range byte(8) {
		for _, text := range []string{officeText, strings.ReplaceAll(officeText, "\n", "\r\n"), officeText + officeText} {
			f.Add([]byte(fill.Replace(text)), op, "Dora\n[Peer]", "vpn.example.net:domain", []byte{10, 77, 0, 3, 24, 0, 0, 0, 0, 0}, uint16(0))
			f.Add([]byte(fill.Replace(text)), op, "# x = y", "[2001:db8::1]:51820\nAllowedIPs=::/0", []byte{}, uint16(1380))
			f.Add([]byte(fill.Replace(text)), op, "/etc/wireguard/%i.key", "", []byte{10, 77, 0, 3, 99}, uint16(60000))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, op byte, name, endpoint string, allowed []byte, number uint16) {
		file, err := Parse("wg0.conf", data)
		if bytes.IndexByte(data, 0) >= 0 {
			var parseErr *ParseError
			require.ErrorAs(t, err, &parseErr)
			return
		}
		require.NoError(t, err)
		require.Equal(t, string(data), string(file.Bytes()), "Parse(x).Bytes() is x")
		require.Empty(t, file.Changes())
		for _, p := range file.Check() {
			require.LessOrEqual(t, p.Line, len(file.lines))
			if p.Col > 0 {
				require.LessOrEqual(t, p.Col, len(file.lines[p.Line-1])+1)
			}
		}
		before := file.view()
		setWhatIsRead(t, file, before.Interface)
		require.Equal(t, string(data), string(file.Bytes()), "setting what is there")

		want := Peer{Name: name, Endpoint: endpoint, Keepalive: time.Duration(number) * time.Second}
		for chunk := range slices.Chunk(allowed, 5) {
			if len(chunk) == 5 {
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte(chunk)), int(chunk[4]))
				if chunk[4] > 32 {
					p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 15: chunk[0]}), int(chunk[4]))
				}
				want.AllowedIPs = append(want.AllowedIPs, p)
			}
		}
		want.PublicKey = PublicKey(bytes.Repeat([]byte{op | 1}, 32))
		if n := len(before.Peers); n > 0 && op&16 != 0 {
			want.PublicKey = before.Peers[int(op>>5)%n].PublicKey
		}
		if op&8 != 0 {
			want.PresharedKey = presharedKey(want.PublicKey)
		}
		switch op % 3 {
		case 0:
			err = fuzzSetPeer(t, file, before, want)
		case 1:
			fuzzRemovePeer(t, file, before, want.PublicKey)
		case 2:
			device := Interface{Addresses: want.AllowedIPs, ListenPort: number, FwMark: int(op), MTU: int(number), PrivateKey: privateKey(want.PublicKey)}
			if op&4 != 0 {
				device.PrivateKey, device.KeyFile = PrivateKey{}, name
			}
			err = fuzzSetInterface(t, file, before, device)
		}
		if err != nil {
			var valueErr *ValueError
			require.ErrorAs(t, err, &valueErr)
			require.Equal(t, string(data), string(file.Bytes()), "a failed edit leaves the file untouched")
		}
		require.Equal(t, string(data) == string(file.Bytes()), file.Changes() == "")
	})
}

func setWhatIsRead(t *testing.T, file *File, i Interface) {
	if file.view().refused != nil {
		return
	}
	require.NoError(t, file.SetInterface(i))
	for _, p := range i.Peers {
		require.NoError(t, file.SetPeer(p))
	}
}

// reread is the reading of the file's text, which the file's own must be.
func reread(t *testing.T, file *File) *view {
	again, err := Parse("wg0.conf", file.Bytes())
	require.NoError(t, err)
	require.True(t, slices.Equal(file.lines, again.lines), "a line is one line")
	return again.view()
}

// others are the peers but one.
func others(v *view, key PublicKey) []Peer {
	return slices.DeleteFunc(append([]Peer{}, v.Peers...), func(p Peer) bool { return p.PublicKey == key })
}

// untouched are the lines that an edit of some sections must leave alone.
func untouched(lines []string, sections []*section) []string {
	out := slices.Clone(lines)
	for _, s := range sections {
		for _, set := range s.settings {
			out[set.line] = ""
		}
	}
	if n := len(out); n > 0 && !strings.HasSuffix(out[n-1], "\n") {
		out = out[:n-1] // it may have had to be ended
	}
	return slices.DeleteFunc(out, func(line string) bool { return line == "" })
}

// device is an interface without its peers.
func device(v *view) Interface {
	i := v.Interface
	i.Peers = nil
	return i
}

// worse reports whether wg refuses lines that it did not refuse before.
func worse(before, after *view) bool { return len(after.refused) > len(before.refused) }

func fuzzSetPeer(t *testing.T, file *File, before *view, want Peer) error {
	old := slices.Clone(file.lines)
	_, had := before.peerAt[want.PublicKey]
	if err := file.SetPeer(want); err != nil {
		return err
	}
	after := reread(t, file)
	require.False(t, worse(before, after))
	require.Equal(t, device(before), device(after))
	require.Equal(t, others(before, want.PublicKey), others(after, want.PublicKey))
	got := after.Peers[after.peerAt[want.PublicKey]]
	if want.Endpoint != "" {
		e, err := readEndpoint(want.Endpoint)
		require.NoError(t, err)
		want.Endpoint = e.text
	}
	if !anyBad(after.sectionsOf(want.PublicKey)) { // such as a repeated Endpoint, of which only the last is mended
		require.True(t, samePeer(want, got), "parsing again returns what was set: %v, %v", want, got)
	}
	if !had {
		require.Equal(t, want.Name, got.Name)
		if n := len(old); n > 0 && !strings.HasSuffix(old[n-1], "\n") {
			old[n-1] = file.lines[n-1]
		}
		require.True(t, slices.Equal(old, file.lines[:len(old)]), "what was there stays")
		return nil
	}
	if len(before.Peers) > 0 {
		require.Equal(t, before.Peers[before.peerAt[want.PublicKey]].Name, got.Name)
	}
	require.True(t, lessThan(file.lines, untouched(old, before.sectionsOf(want.PublicKey))), "other lines stay")
	return nil
}

func fuzzRemovePeer(t *testing.T, file *File, before *view, key PublicKey) {
	old := slices.Clone(file.lines)
	_, had := before.peerAt[key]
	require.Equal(t, had, file.RemovePeer(key))
	after := reread(t, file)
	require.False(t, worse(before, after))
	require.Equal(t, device(before), device(after))
	unnamed := func(v *view) []Peer { // a comment may come to stand above another header
		peers := others(v, key)
		for i := range peers {
			peers[i].Name = ""
		}
		return peers
	}
	require.Equal(t, unnamed(before), unnamed(after))
	require.True(t, lessThan(old, file.lines), "nothing is new and the order stays")
}

func fuzzSetInterface(t *testing.T, file *File, before *view, want Interface) error {
	old := slices.Clone(file.lines)
	if err := file.SetInterface(want); err != nil {
		return err
	}
	after := reread(t, file)
	require.False(t, worse(before, after))
	require.Equal(t, others(before, PublicKey{31: 255}), others(after, PublicKey{31: 255}))
	touched, quick := before.interfaces()
	left := untouched(old, touched)
	if len(quick) == 0 { // what wg-quick did not find before, it may find in the new section
		left = slices.DeleteFunc(left, func(line string) bool {
			line, _, _ = strings.Cut(line, "#")
			key, _, _ := strings.Cut(strings.ToLower(squeeze(line)), "=")
			return slices.Contains([]string{"address", "mtu", "postup"}, key)
		})
	}
	require.True(t, lessThan(file.lines, left), "other lines stay")
	all, _ := after.interfaces()
	if want.PrivateKey.IsZero() && want.KeyFile == "" {
		want.PrivateKey, want.KeyFile = before.PrivateKey, before.KeyFile
	}
	if !anyBad(all) {
		require.True(t, sameInterface(want, after.Interface), "parsing again returns what was set")
	}
	return nil
}

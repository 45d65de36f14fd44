package wgpeer

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("wg0.conf", []byte(text))
	require.NoError(t, err)
	return f
}

func read(t *testing.T, f *File) Interface {
	t.Helper()
	i, err := f.Interface()
	require.NoError(t, err)
	return i
}

func publicKey(t *testing.T, text string) PublicKey {
	t.Helper()
	key, err := ParsePublicKey(text)
	require.NoError(t, err)
	return key
}

// officeText is a file as people keep them.
const officeText = `# Tunnel of the office. Ask Carla before you change it!

[Interface]   # the router
  Address = 10.77.0.1/24,fd77::1/64
  PrivateKey=OWN
ListenPort = 51820	# open in the cloud's console too
PostUp = echo "[Peer]"; iptables -A FORWARD -i %i -j ACCEPT   # until natfwd does it
#PostDown = iptables -D FORWARD -i %i -j ACCEPT
# Anna's laptop
[peer]
publickey = ANNA  # since May
	AllowedIPs = 10.77.0.2/32 ,fd77::2/128 # both
	Endpoint=192.0.2.7:51820
# she travels

# --- people of the other office ---

[Peer]
# Bert
PublicKey = BERT
PresharedKey = PSK
AllowedIPs = 10.77.0.3
`

func TestSetPeer(t *testing.T) {
	bertKeeps := func(p *Peer) {
		p.PublicKey, p.AllowedIPs = publicKey(t, bert), prefixes("10.77.0.3/32")
		p.PresharedKey, _ = ParsePresharedKey(shared)
	}
	annaKeeps := func(p *Peer) {
		p.PublicKey, p.AllowedIPs, p.Endpoint = publicKey(t, anna), prefixes("fd77::2/128", "10.77.0.2/32"), "192.0.2.7:51820"
	}
	tests := []struct {
		name     string
		peer     func(*Peer)
		old, new string // of the text
	}{
		{"what is there", annaKeeps, "", ""},
		{"what is there, the other peer", bertKeeps, "", ""},
		{"an endpoint", func(p *Peer) { annaKeeps(p); p.Endpoint = "vpn.example.net:51821" }, "=192.0.2.7:51820", "=vpn.example.net:51821"},
		{"an endpoint in its usual form", func(p *Peer) { annaKeeps(p); p.Endpoint = "[2001:DB8::0:1]:051821" }, "=192.0.2.7:51820", "=[2001:db8::1]:51821"},
		{"no endpoint", func(p *Peer) { annaKeeps(p); p.Endpoint = "" }, "\tEndpoint=192.0.2.7:51820\n", ""},
		{"a keepalive", func(p *Peer) { annaKeeps(p); p.Keepalive = 25 * time.Second }, "7:51820\n", "7:51820\n\tPersistentKeepalive = 25\n"},
		{"a preshared key", func(p *Peer) { annaKeeps(p); p.PresharedKey, _ = ParsePresharedKey(shared) }, "7:51820\n", "7:51820\n\tPresharedKey = PSK\n"},
		{"no preshared key", func(p *Peer) { bertKeeps(p); p.PresharedKey = PresharedKey{} }, "PresharedKey = PSK\n", ""},
		{"one more address", func(p *Peer) { annaKeeps(p); p.AllowedIPs = append(p.AllowedIPs, prefixes("10.77.9.1/24")...) }, "10.77.0.2/32 ,fd77::2/128 #", "10.77.0.2/32, fd77::2/128, 10.77.9.0/24 #"},
		{"one address less", func(p *Peer) { annaKeeps(p); p.AllowedIPs = p.AllowedIPs[:1] }, "10.77.0.2/32 ,fd77::2/128 #", "fd77::2/128 #"},
		{"other addresses", func(p *Peer) { bertKeeps(p); p.AllowedIPs = prefixes("10.77.8.0/24", "10.77.7.0/24") }, "= 10.77.0.3\n", "= 10.77.7.0/24, 10.77.8.0/24\n"},
		{"no address", func(p *Peer) { bertKeeps(p); p.AllowedIPs = nil }, "AllowedIPs = 10.77.0.3\n", ""},
		{"a new peer", func(p *Peer) {
			p.Name, p.PublicKey, p.AllowedIPs = "Dora's phone #2", PublicKey{1}, prefixes("fd77::4/128", "10.77.0.4/32")
			p.PresharedKey, _ = ParsePresharedKey(shared)
			p.Endpoint, p.Keepalive = "[2001:db8::1]:51820", 25*time.Second
		}, "10.77.0.3\n", "10.77.0.3\n\n[Peer]\n# Dora's phone #2\nPublicKey = AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nPresharedKey = PSK\n" +
			"Endpoint = [2001:db8::1]:51820\nAllowedIPs = 10.77.0.4/32, fd77::4/128\nPersistentKeepalive = 25\n"},
	}
	text := fill.Replace(officeText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, text)
			var p Peer
			tt.peer(&p)
			require.NoError(t, f.SetPeer(p))
			require.Contains(t, text, fill.Replace(tt.old))
			assert.Equal(t, strings.Replace(text, fill.Replace(tt.old), fill.Replace(tt.new), 1), string(f.Bytes()))
			v := f.view()
			assert.True(t, samePeer(p, v.Peers[v.peerAt[p.PublicKey]]) || p.Endpoint != v.Peers[v.peerAt[p.PublicKey]].Endpoint)
			now := string(f.Bytes())
			require.NoError(t, f.SetPeer(p))
			assert.Equal(t, now, string(f.Bytes()), "again")
		})
	}
}

func TestSetPeerOfOddFiles(t *testing.T) {
	tests := []struct {
		name, text, want string
		peer             Peer
	}{
		{"empty", "", "[Peer]\nPublicKey = ANNA\n", Peer{}},
		{"no newline at the end", "[Interface]", "[Interface]\n\n[Peer]\nPublicKey = ANNA\n", Peer{}},
		{"a blank at the end", "[Interface]\n\n", "[Interface]\n\n[Peer]\nPublicKey = ANNA\n", Peer{}},
		{"CRLF", "[Interface]\r\n[Peer]\r\nPublicKey = ANNA", "[Interface]\r\n[Peer]\r\nPublicKey = ANNA\r\nPersistentKeepalive = 5\r\n", Peer{Keepalive: 5 * time.Second}},
		{"CRLF and a value", "[Peer]\r\nPublicKey = ANNA\r\nEndpoint = 192.0.2.1:1\r\n", "[Peer]\r\nPublicKey = ANNA\r\nEndpoint = 192.0.2.1:2\r\n", Peer{Endpoint: "192.0.2.1:2"}},
		{"the last line counts", "[Peer]\nEndpoint=192.0.2.1:1\nEndpoint=192.0.2.1:2 #b\nPublicKey=ANNA\n", "[Peer]\nEndpoint=192.0.2.1:1\nEndpoint=192.0.2.1:3 #b\nPublicKey=ANNA\n", Peer{Endpoint: "192.0.2.1:3"}},
		{"all lines go", "[Peer]\nEndpoint=192.0.2.1:1\nEndpoint=192.0.2.1:2 #b\nPublicKey=ANNA\n", "[Peer]\nPublicKey=ANNA\n", Peer{}},
		{"keepalive goes off", "[Peer]\nPublicKey=ANNA\nPersistentKeepalive = 25 # ping\n", "[Peer]\nPublicKey=ANNA\nPersistentKeepalive = off # ping\n", Peer{}},
		{"keepalive is off", "[Peer]\nPublicKey=ANNA\nPersistentKeepalive = OFF\n", "[Peer]\nPublicKey=ANNA\nPersistentKeepalive = OFF\n", Peer{}},
		{"two sections", "[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2\nEndpoint=192.0.2.1:1\n[Peer]\nPublicKey=BERT\n[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.3\n",
			"[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2\nEndpoint=192.0.2.1:2\n[Peer]\nPublicKey=BERT\n[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.3, 10.77.0.2/32\n",
			Peer{Endpoint: "192.0.2.1:2", AllowedIPs: prefixes("10.77.0.2/32", "10.77.0.3/32")}},
		{"two lines of addresses", "[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2,10.77.0.3\nAllowedIPs=10.77.0.4,10.77.0.5#b\n", "[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2,10.77.0.3\nAllowedIPs=10.77.0.5#b\n",
			Peer{AllowedIPs: prefixes("10.77.0.2/32", "10.77.0.3/32", "10.77.0.5/32")}},
		{"host bits stay", "[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2/24\n", "[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2/24, 10.78.0.0/16\n", Peer{AllowedIPs: prefixes("10.77.0.0/24", "10.78.0.0/16")}},
		{"what wg refuses is mended", "[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2,\nEndpoint=192.0.2.1 # no port\nPersistentKeepalive\n", "[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.2\nPersistentKeepalive = off\n", Peer{AllowedIPs: prefixes("10.77.0.2/32")}},
		{"a line that wg refuses before one that counts", "[Peer]\nPublicKey=ANNA\nEndpoint=x\nEndpoint=192.0.2.1:1\n", "[Peer]\nPublicKey=ANNA\nEndpoint=192.0.2.1:1\n", Peer{Endpoint: "192.0.2.1:1"}},
		{"what is there, though it cannot be written", "[Peer]\nPublicKey=ANNA\nAllowedIPs=::ffff:10.77.0.2/128\nEndpoint=[fe80::1%eth0]:1\n", "[Peer]\nPublicKey=ANNA\nAllowedIPs=::ffff:10.77.0.2/128\nEndpoint=[fe80::1%eth0]:1\n",
			Peer{Endpoint: "[fe80::1%eth0]:1", AllowedIPs: prefixes("::ffff:10.77.0.2/128")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, fill.Replace(tt.text))
			tt.peer.PublicKey = publicKey(t, anna)
			require.NoError(t, f.SetPeer(tt.peer))
			assert.Equal(t, fill.Replace(tt.want), string(f.Bytes()))
			v := f.view()
			assert.True(t, samePeer(tt.peer, v.Peers[v.peerAt[tt.peer.PublicKey]]))
			assert.NoError(t, v.refused.Err())
		})
	}
}

// TestNothingIsInjected offers what would become lines, comments or commands.
func TestNothingIsInjected(t *testing.T) {
	ok := Peer{PublicKey: PublicKey{1}}
	peer := func(change func(*Peer)) func(*File) error {
		return func(f *File) error { p := ok; change(&p); return f.SetPeer(p) }
	}
	device := func(i Interface) func(*File) error { return func(f *File) error { return f.SetInterface(i) } }
	tests := []struct {
		name  string
		edit  func(*File) error
		field string
	}{
		{"a newline in a name", peer(func(p *Peer) { p.Name = "Bert\n[Interface]\nPostUp = reboot" }), "Name"},
		{"a carriage return in a name", peer(func(p *Peer) { p.Name = "Bert\rx" }), "Name"},
		{"a line separator of 8 bits", peer(func(p *Peer) { p.Name = "Bert\u0085x" }), "Name"},
		{"a NUL in a name", peer(func(p *Peer) { p.Name = "Bert\x00" }), "Name"},
		{"a name that is not UTF-8", peer(func(p *Peer) { p.Name = "Bert\xff" }), "Name"},
		{"a name that is a setting", peer(func(p *Peer) { p.Name = "AllowedIPs = 0.0.0.0/0" }), "Name"},
		{"a name that begins with #", peer(func(p *Peer) { p.Name = "#Bert" }), "Name"},
		{"a name that ends with a blank", peer(func(p *Peer) { p.Name = "Bert " }), "Name"},
		{"a newline in an endpoint", peer(func(p *Peer) { p.Endpoint = "vpn.example.net:1\nAllowedIPs = 0.0.0.0/0" }), "Endpoint"},
		{"a newline in a host", peer(func(p *Peer) { p.Endpoint = "vpn\n.example.net:1" }), "Endpoint"},
		{"a comment in a host", peer(func(p *Peer) { p.Endpoint = "vpn#.example.net:1" }), "Endpoint"},
		{"a zone", peer(func(p *Peer) { p.Endpoint = "[fe80::1%a\nb]:1" }), "Endpoint"},
		{"a port above 65535", peer(func(p *Peer) { p.Endpoint = "vpn.example.net:70000" }), "Endpoint"},
		{"no brackets", peer(func(p *Peer) { p.Endpoint = "2001:db8::1:51820" }), "Endpoint"},
		{"no address", peer(func(p *Peer) { p.Endpoint = "192.0.2.010:51820" }), "Endpoint"},
		{"an invalid prefix", peer(func(p *Peer) { p.AllowedIPs = []netip.Prefix{{}} }), "AllowedIPs"},
		{"a part of a second", peer(func(p *Peer) { p.Keepalive = time.Second / 2 }), "PersistentKeepalive"},
		{"no key", peer(func(p *Peer) { p.PublicKey = PublicKey{} }), "PublicKey"},
		{"the own key", peer(func(p *Peer) { p.PublicKey = publicKey(t, wgPublic) }), "PublicKey"},
		{"a command in a path", device(Interface{KeyFile: "/etc/wireguard/$(reboot)"}), "KeyFile"},
		{"a second command", device(Interface{KeyFile: "/etc/wireguard/key; reboot"}), "KeyFile"},
		{"a newline in a path", device(Interface{KeyFile: "/etc/wireguard/key\nPostUp = reboot"}), "KeyFile"},
		{"a relative path", device(Interface{KeyFile: "key"}), "KeyFile"},
		{"an invalid address", device(Interface{Addresses: []netip.Prefix{{}}}), "Address"},
		{"an MTU", device(Interface{MTU: 100}), "MTU"},
		{"a mark", device(Interface{FwMark: -1}), "FwMark"},
		{"a key that is another's", device(Interface{PrivateKey: read(t, parse(t, fill.Replace(officeText))).PrivateKey, PublicKey: ok.PublicKey}), "PublicKey"},
		{"a key that is not the file's", func(f *File) error {
			i := read(t, f)
			i.PrivateKey, i.PublicKey = PrivateKey{}, ok.PublicKey
			return f.SetInterface(i)
		}, "PublicKey"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := fill.Replace(officeText)
			f := parse(t, text)
			err := tt.edit(f)
			var valueErr *ValueError
			require.ErrorAs(t, err, &valueErr)
			assert.Equal(t, tt.field, valueErr.Field)
			assert.Equal(t, text, string(f.Bytes()))
		})
	}
}

func TestRemovePeer(t *testing.T) {
	head, rest, _ := strings.Cut(officeText, "# Anna's laptop\n")
	_, tail, _ := strings.Cut(rest, "# she travels\n\n")
	tests := []struct{ name, text, want string }{
		{"with its comments and not others'", officeText, head + "\n" + tail},
		{"the last", "[Interface]\n\n# A\n[Peer]\nPublicKey=ANNA\n# hers\n\n\n", "[Interface]\n\n"},
		{"the last, the file ends there", "[Interface]\n\n\n[Peer]\nPublicKey=ANNA\n#x", "[Interface]\n"},
		{"the only one", "[Peer]\nPublicKey=ANNA\n", ""},
		{"between two", "[Peer]\nPublicKey=BERT\n\n[Peer]\nPublicKey=ANNA\n\n[Interface]\n", "[Peer]\nPublicKey=BERT\n\n[Interface]\n"},
		{"close to others", "[Peer]\nPublicKey=BERT\n[Peer]\nPublicKey=ANNA\n# next\n[Interface]\n", "[Peer]\nPublicKey=BERT\n# next\n[Interface]\n"},
		{"a setting that is off belongs to the section above", "[Peer]\nPublicKey=ANNA\n#Endpoint=192.0.2.1:1\n# Bert\n[Peer]\nPublicKey=BERT\n", "# Bert\n[Peer]\nPublicKey=BERT\n"},
		{"all its sections", "[Peer]\nPublicKey=ANNA\n\n[Peer]\nPublicKey=BERT\n\n[Peer]\nPublicKey=ANNA\n", "[Peer]\nPublicKey=BERT\n"},
		{"with lines that wg refuses", "[Peer]\nPublicKey=ANNA\nNonsense = 1\n\n[Interface]\n", "[Interface]\n"},
		{"a peer that is off stays off", "[Peer]\nPublicKey=ANNA\n\n#[Peer]\n#PublicKey=BERT\n\n[Interface]\n", "#[Peer]\n#PublicKey=BERT\n\n[Interface]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, fill.Replace(tt.text))
			assert.False(t, f.RemovePeer(PublicKey{1}))
			assert.True(t, f.RemovePeer(publicKey(t, anna)))
			assert.Equal(t, fill.Replace(tt.want), string(f.Bytes()))
			assert.False(t, f.RemovePeer(publicKey(t, anna)))
		})
	}
}

func TestSetInterface(t *testing.T) {
	key, err := ParsePrivateKey("//////////////////////////////////////////8=")
	require.NoError(t, err)
	own, err := ParsePrivateKey(wgKey)
	require.NoError(t, err)
	tests := []struct {
		name, text string
		change     func(*Interface)
		want       string
	}{
		{"what is there", officeText, func(*Interface) {}, officeText},
		{"a port", officeText, func(i *Interface) { i.ListenPort = 51821 }, strings.Replace(officeText, "51820	#", "51821	#", 1)},
		{"no port", officeText, func(i *Interface) { i.ListenPort = 0 }, strings.Replace(officeText, "ListenPort = 51820	# open in the cloud's console too\n", "", 1)},
		{"a key", officeText, func(i *Interface) { i.PrivateKey, i.PublicKey = key, PublicKey{} }, strings.Replace(officeText, "OWN", key.Reveal(), 1)},
		{"no key is no change", officeText, func(i *Interface) { i.PrivateKey = PrivateKey{} }, officeText},
		{"an address", officeText, func(i *Interface) { i.Addresses = prefixes("fd77::1/64", "10.77.0.9/24") }, strings.Replace(officeText, "10.77.0.1/24,fd77::1/64", "fd77::1/64, 10.77.0.9/24", 1)},
		{"an address given twice", "[Interface]\nPrivateKey=OWN\n", func(i *Interface) { i.Addresses = prefixes("10.77.0.9/24", "10.77.0.9/24") }, "[Interface]\nPrivateKey=OWN\nAddress = 10.77.0.9/24\n"},
		{"new lines", officeText, func(i *Interface) { i.MTU, i.FwMark = 1380, 51820 }, strings.Replace(officeText, "#PostDown", "FwMark = 0xca6c\nMTU = 1380\n#PostDown", 1)},
		{"a key file", "[Interface]\nPrivateKey=OWN\n", func(i *Interface) {
			i.PrivateKey, i.PublicKey, i.KeyFile = PrivateKey{}, PublicKey{}, "/etc/wireguard/key"
		}, "[Interface]\nPostUp = wg set %i private-key /etc/wireguard/key\n"},
		{"no key file", "[Interface]\nPostUp = wg set wg0 private-key /etc/wireguard/%i.key\nPostUp = wg set wg1 private-key /key\n", func(i *Interface) { i.PrivateKey, i.KeyFile = own, "" }, "[Interface]\nPostUp = wg set wg1 private-key /key\nPrivateKey = OWN\n"},
		{"what is there of a key file", "[Interface]\nPostUp = wg set %i private-key /etc/wireguard/%i.key\n", func(i *Interface) { i.KeyFile = "/etc/wireguard/wg0.key" }, "[Interface]\nPostUp = wg set %i private-key /etc/wireguard/%i.key\n"},
		{"an empty file", "", func(i *Interface) { i.ListenPort, i.Addresses = 51820, prefixes("10.77.0.1/24") }, "[Interface]\nListenPort = 51820\nAddress = 10.77.0.1/24\n"},
		{"nothing", "# c\n", func(*Interface) {}, "# c\n"},
		{"peers alone", "# c\n\n# Anna\n[Peer]\nPublicKey=ANNA\n", func(i *Interface) { i.ListenPort = 51820 }, "# c\n\n[Interface]\nListenPort = 51820\n\n# Anna\n[Peer]\nPublicKey=ANNA\n"},
		{"peers at the top", "[Peer]\nPublicKey=ANNA", func(i *Interface) { i.ListenPort = 51820 }, "[Interface]\nListenPort = 51820\n\n[Peer]\nPublicKey=ANNA"},
		{"a section that wg-quick does not see", "[ Interface ]\nFwMark = 0x5 # c\n[Peer]\nPublicKey=ANNA\n", func(i *Interface) { i.MTU = 1380 }, "[ Interface ]\nFwMark = 0x5 # c\n[Interface]\nMTU = 1380\n[Peer]\nPublicKey=ANNA\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, fill.Replace(tt.text))
			want := read(t, f)
			tt.change(&want)
			require.NoError(t, f.SetInterface(want))
			assert.Equal(t, fill.Replace(tt.want), string(f.Bytes()))
			have := read(t, f)
			if want.PrivateKey.IsZero() && want.KeyFile == "" {
				want.PrivateKey, want.KeyFile = have.PrivateKey, have.KeyFile
			}
			assert.True(t, sameInterface(want, have))
		})
	}
}

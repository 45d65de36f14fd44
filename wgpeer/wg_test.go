package wgpeer

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// Keys of which the files of the tests are full.
const (
	wgKey    = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	wgPublic = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
	anna     = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	bert     = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
	shared   = "/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak="
	zeros    = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)

var fill = strings.NewReplacer("OWN", wgKey, "SELF", wgPublic, "ANNA", anna, "BERT", bert, "PSK", shared, "ZEROS", zeros)

// An oddFile is read by wg, if need be behind wg-quick, and by us.
type oddFile struct {
	name, text string
	strict     bool // we alone refuse it
}

func peerWith(lines string) string { return "[Peer]\nPublicKey = ANNA\n" + lines }

var oddFiles = []oddFile{
	{name: "empty", text: ""},
	{name: "plain", text: "[Interface]\nPrivateKey = OWN\nListenPort = 51820\n\n[Peer]\nPublicKey = ANNA\nPresharedKey = PSK\nAllowedIPs = 10.77.0.2/32, fd77::2/128\nEndpoint = 192.0.2.1:51820\nPersistentKeepalive = 25\n"},
	{name: "no newline at the end", text: "[Interface]\nListenPort = 51820"},
	{name: "white space anywhere", text: " [ Inter face ]\nL i s t e nPort = 51 820\n\tP r i v a t e K e y=" + wgKey[:9] + " \v" + wgKey[9:] + "\n"},
	{name: "case", text: "[INTERFACE]\nlistenport = 51820\nFWMARK=0x10\n[peer]\npublickey=ANNA\nallowedips=10.77.0.2\nPERSISTENTKEEPALIVE = OFF\n"},
	{name: "case is ASCII", text: "[Interface]\nLi\u017ftenPort = 51820\n"},
	{name: "case is ASCII, the Kelvin sign", text: "[Interface]\nPrivate\u212aey = OWN\n"},
	{name: "comments", text: "# top\n[Interface] # head\nListenPort = 51#820\n#FwMark = 3\n##\n"},
	{name: "a comment in a value", text: "[Interface]\nListenPort = # 51820\n"},
	{name: "semicolon", text: "; no comment\n[Interface]\n"},
	{name: "CRLF", text: "[Interface]\r\nListenPort = 51820\r\n\r\n[Peer]\r\nPublicKey = ANNA\r\nAllowedIPs = 10.77.0.2/32\r\n"},
	{name: "byte-order mark", text: "\ufeff[Interface]\nListenPort = 51820\n"},
	{name: "bytes that are not UTF-8", text: "[Interface]\nListenPort = 51820 # \xff\n"},
	{name: "the same in a key", text: "[Interface]\nListenPort\xff = 51820\n"},
	{name: "before the first section", text: "ListenPort = 51820\n[Interface]\n"},
	{name: "unknown section", text: "[Interface]\n[Network]\n"},
	{name: "unknown key", text: "[Interface]\nListenPorts = 51820\n"},
	{name: "a word alone", text: "[Interface]\nListenPort\n"},
	{name: "a key in the other section", text: "[Interface]\nPublicKey = ANNA\n"},
	{name: "repeated sections", text: "[Interface]\nFwMark = 5\n[Peer]\nPublicKey = ANNA\n[Interface]\nListenPort = 51820\n[Peer]\nPublicKey = BERT\n"},
	{name: "repeated keys", text: "[Interface]\nFwMark = 5\nFwMark = 6\n" + peerWith("AllowedIPs = 10.77.0.2\nAllowedIPs = 10.77.0.3, 10.77.0.2/32\nEndpoint = 192.0.2.1:1\nEndpoint = 192.0.2.2:2\n")},
	{name: "repeated PublicKey", text: peerWith("PublicKey = BERT\n")},
	{name: "no PublicKey", text: peerWith("[Peer]\nAllowedIPs = 10.77.0.2\n")},
	{name: "repeated peers", text: peerWith("PresharedKey = PSK\nAllowedIPs = 10.77.0.0/24\nEndpoint = 192.0.2.1:1\nPersistentKeepalive = 5\n[Peer]\nPublicKey = BERT\n[Peer]\nPublicKey = ANNA\nAllowedIPs = 10.77.1.0/24\n")},
	{name: "repeated peers, the last with nothing", text: peerWith("AllowedIPs = 10.77.0.0/24\nPersistentKeepalive = 5\n[Peer]\nPublicKey = ANNA\n")},
	{name: "repeated peers, the last with all else", text: peerWith("PresharedKey = PSK\nEndpoint = 192.0.2.1:1\nPersistentKeepalive = 5\n[Peer]\nPublicKey = ANNA\nPresharedKey = ZEROS\nEndpoint = [2001:db8::1]:2\nPersistentKeepalive = off\n")},
	{name: "own key as a peer", text: "[Interface]\nPrivateKey = OWN\n[Peer]\nPublicKey = SELF\n"},
	{name: "the key of zeros as a peer", text: "[Peer]\nPublicKey = ZEROS\n"},
	{name: "the key of zeros as a private key", text: "[Interface]\nPrivateKey = ZEROS\n"},
	{name: "a key that is not clamped", text: "[Interface]\nPrivateKey = //////////////////////////////////////////8=\n"},
	{name: "a key that is not canonical", text: "[Interface]\nPrivateKey = //////////////////////////////////////////9=\n"},
	{name: "a key without its end", text: "[Peer]\nPublicKey = " + anna[:43] + "\n"},
	{name: "a key that is too long", text: "[Peer]\nPublicKey = A" + anna + "\n"},

	{name: "service name", text: "[Interface]\nListenPort = domain\n"},
	{name: "service name in capitals", text: "[Interface]\nListenPort = DOMAIN\n"},
	{name: "no service", text: "[Interface]\nListenPort = wireguardian\n"},
	{name: "port 70000 is 4464", text: "[Interface]\nListenPort = 70000\n"},
	{name: "port of more than 32 bits", text: "[Interface]\nListenPort = 4294967376\n"},
	{name: "port of 32 bits", text: "[Interface]\nListenPort = 4294967295\n"},
	{name: "port with a sign", text: "[Interface]\nListenPort = +51820\n"},
	{name: "port with a minus", text: "[Interface]\nListenPort = -1\n"},
	{name: "port with a minus and nothing", text: "[Interface]\nListenPort = -0\n"},
	{name: "port of more than 64 bits", text: "[Interface]\nListenPort = 99999999999999999999\n"},
	{name: "port of all 64 bits", text: "[Interface]\nListenPort = 18446744073709551615\n"},
	{name: "port with zeros", text: "[Interface]\nListenPort = 0051820\n"},
	{name: "hexadecimal port", text: "[Interface]\nListenPort = 0x50\n"},
	{name: "port with underscores", text: "[Interface]\nListenPort = 51_820\n"},

	{name: "fwmark off", text: "[Interface]\nFwMark = Off\n"},
	{name: "fwmark", text: "[Interface]\nFwMark = 4294967295\n"},
	{name: "fwmark too large", text: "[Interface]\nFwMark = 4294967296\n"},
	{name: "fwmark with a zero is decimal", text: "[Interface]\nFwMark = 010\n"},
	{name: "fwmark in capitals", text: "[Interface]\nFwMark = 0X10\n"},
	{name: "fwmark without digits", text: "[Interface]\nFwMark = 0x\n"},
	{name: "fwmark twice hexadecimal", text: "[Interface]\nFwMark = 0x0x5\n"},
	{name: "fwmark with a sign", text: "[Interface]\nFwMark = +5\n"},

	{name: "keepalive", text: peerWith("PersistentKeepalive = 65535\n")},
	{name: "keepalive too large", text: peerWith("PersistentKeepalive = 65536\n")},
	{name: "keepalive with a unit", text: peerWith("PersistentKeepalive = 25s\n")},

	{name: "host bits", text: peerWith("AllowedIPs = 10.77.0.2/24, fd77::2/64\n")},
	{name: "all addresses", text: peerWith("AllowedIPs = 0.0.0.0/0, ::/0\n")},
	{name: "no length", text: peerWith("AllowedIPs = 10.77.0.2, fd77::2\n")},
	{name: "length with a zero", text: peerWith("AllowedIPs = 10.77.0.0/024\n")},
	{name: "length too large", text: peerWith("AllowedIPs = 10.77.0.0/33\n")},
	{name: "length with a sign", text: peerWith("AllowedIPs = 10.77.0.0/+24\n")},
	{name: "length missing", text: peerWith("AllowedIPs = 10.77.0.0/\n")},
	{name: "two lengths", text: peerWith("AllowedIPs = 10.77.0.0/24/24\n")},
	{name: "netmask", text: peerWith("AllowedIPs = 10.77.0.0/255.255.255.0\n")},
	{name: "short address", text: peerWith("AllowedIPs = 10.77/16\n")},
	{name: "address with a zero", text: peerWith("AllowedIPs = 10.77.0.02\n")},
	{name: "address with a zone", text: peerWith("AllowedIPs = fe80::1%lo\n")},
	{name: "mapped address", text: peerWith("AllowedIPs = ::ffff:10.77.0.3/127\n")},
	{name: "trailing comma", text: peerWith("AllowedIPs = 10.77.0.2,\n")},
	{name: "only a comma", text: peerWith("AllowedIPs = ,\n")},
	{name: "empty AllowedIPs", text: peerWith("AllowedIPs =\n")},
	{name: "incremental AllowedIPs", text: peerWith("AllowedIPs = +10.77.0.2\n")},
	{name: "the same twice", text: peerWith("AllowedIPs = 10.77.0.2, 10.77.0.2\n")},
	{name: "the same in two peers", text: peerWith("AllowedIPs = 10.77.0.0/24, 10.77.1.0/24\n[Peer]\nPublicKey = BERT\nAllowedIPs = 10.77.0.0/24\n")},

	{name: "endpoint without brackets splits at the last colon", text: peerWith("Endpoint = 2001:db8::1:51820\n")},
	{name: "endpoint with brackets", text: peerWith("Endpoint = [2001:DB8:0::1]:51820\n")},
	{name: "IPv4 in brackets", text: peerWith("Endpoint = [192.0.2.1]:51820\n")},
	{name: "endpoint with a zone", text: peerWith("Endpoint = [fe80::1%lo]:51820\n")},
	{name: "endpoint with a mapped address", text: peerWith("Endpoint = [::ffff:192.0.2.1]:51820\n")},
	{name: "endpoint with a service", text: peerWith("Endpoint = 192.0.2.1:domain\n")},
	{name: "endpoint with port 70000", text: peerWith("Endpoint = 192.0.2.1:70000\n")},
	{name: "endpoint with port 0", text: peerWith("Endpoint = 192.0.2.1:0\n")},
	{name: "endpoint without a port", text: peerWith("Endpoint = 192.0.2.1\n")},
	{name: "endpoint with an empty port", text: peerWith("Endpoint = 192.0.2.1:\n")},
	{name: "endpoint without a host", text: peerWith("Endpoint = :51820\n")},
	{name: "endpoint without its bracket", text: peerWith("Endpoint = [2001:db8::1:51820\n")},
	{name: "endpoint without a port behind the bracket", text: peerWith("Endpoint = [2001:db8::1]51820\n")},
	{name: "endpoint with an octal number", text: peerWith("Endpoint = 192.0.2.010:51820\n"), strict: true},
	{name: "endpoint with a number", text: peerWith("Endpoint = 1:51820\n"), strict: true},
	{name: "endpoint with a hexadecimal number", text: peerWith("Endpoint = 0x7f.1:51820\n"), strict: true},
	{name: "endpoint with any port", text: peerWith("Endpoint = 192.0.2.1:*\n"), strict: true},

	{name: "wg-quick", text: "[Interface]\nAddress = 10.77.0.1/24\nPrivateKey = OWN\nDNS = 10.77.0.1\nMTU = 1380\nTable = off\nPreUp = true; true # so\nPostDown = echo '[Peer]'\nSaveConfig = True\n" + peerWith("AllowedIPs = 10.77.0.2\n")},
	{name: "wg-quick without blanks", text: "[interface]\naddress=10.77.0.1\n  mtu=1380  # of the line\n"},
	{name: "wg-quick in a section with blanks", text: "[ Interface ]\nAddress = 10.77.0.1/24\n"},
	{name: "wg-quick in a section with blanks, and its own", text: "[ Interface ]\nFwMark = 3\n[Interface]\nAddress = 10.77.0.1/24\n"},
	{name: "wg-quick behind what is no section to wg", text: "[Interface]=\nAddress = 10.77.0.1/24\n"},
	{name: "the same in a peer", text: peerWith("[interface] = x\nMTU = 1380\n")},
	{name: "a word of wg-quick with blanks", text: "[Interface]\nAdd ress = 10.77.0.1/24\n"},
	{name: "wg-quick in a peer", text: "[Interface]\nAddress = 10.77.0.1/24\n" + peerWith("MTU = 1380\n")},
	{name: "wg-quick before the first section", text: "Address = 10.77.0.1/24\n[Interface]\n"},
	{name: "wg-quick with an empty value", text: "[Interface]\nAddress =\nMTU =\nListenPort = 51820\n"},
	{name: "neither true nor false", text: "[Interface]\nSaveConfig = yes\n"},
	{name: "CRLF in wg-quick", text: "[Interface]\r\nAddress = 10.77.0.1/24\r\nSaveConfig = true\r\nListenPort = 51820\r\n"},
	{name: "a command with a #", text: "[Interface]\nPostUp = echo # [Peer]\nFwMark = 7\n"},
}

// setconf lets wg read a file, and returns what the device is then.
func setconf(t *testing.T, iface, path string) (Interface, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "wg", "setconf", iface, path)
	cmd.Env = append(os.Environ(), "WG_ENDPOINT_RESOLUTION_RETRIES=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("wg: %q", out)
		return Interface{}, err
	}
	out, err := exec.CommandContext(t.Context(), "wg", "show", iface, "dump").Output()
	require.NoError(t, err)
	return readDump(t, string(out)), nil
}

func readDump(t *testing.T, dump string) Interface {
	var i Interface
	for line := range strings.Lines(dump) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for k, word := range words {
			if word == "(none)" || word == "off" {
				words[k] = ""
			}
		}
		if len(words) == 4 {
			require.NoError(t, i.PrivateKey.UnmarshalText([]byte(words[0])))
			port, err := strconv.ParseUint(words[2], 10, 16)
			require.NoError(t, err)
			i.ListenPort = uint16(port)
			mark, _ := strconv.ParseUint(words[3], 0, 32)
			i.FwMark = int(mark)
			continue
		}
		require.Len(t, words, 8)
		p := Peer{Endpoint: words[2]}
		var ok bool
		p.PublicKey, ok = readKey(words[0])
		require.True(t, ok)
		require.NoError(t, p.PresharedKey.UnmarshalText([]byte(words[1])))
		for _, word := range strings.FieldsFunc(words[3], func(r rune) bool { return r == ',' }) {
			p.AllowedIPs = append(p.AllowedIPs, netip.MustParsePrefix(word))
		}
		seconds, _ := strconv.Atoi(words[7])
		p.Keepalive = time.Duration(seconds) * time.Second
		i.Peers = append(i.Peers, p)
	}
	return i
}

// onDevice is what becomes of an interface on a device: no names, no own key, each
// prefix the last peer's, and no order.
func onDevice(i Interface) Interface {
	d := Interface{PrivateKey: i.PrivateKey, ListenPort: i.ListenPort, FwMark: i.FwMark}
	taken := map[netip.Prefix]bool{}
	for _, p := range slices.Backward(i.Peers) {
		if !i.PrivateKey.IsZero() && p.PublicKey == i.PrivateKey.Public() {
			continue
		}
		var allowed []netip.Prefix
		for _, prefix := range p.AllowedIPs {
			if !taken[prefix] {
				taken[prefix] = true
				allowed = append(allowed, prefix)
			}
		}
		slices.SortFunc(allowed, netip.Prefix.Compare)
		p.Name, p.AllowedIPs = "", allowed
		d.Peers = append(d.Peers, p)
	}
	slices.SortFunc(d.Peers, func(a, b Peer) int { return bytes.Compare(a.PublicKey[:], b.PublicKey[:]) })
	return d
}

// TestWeReadAsWGDoes lets the real programs read each odd file.
func TestWeReadAsWGDoes(t *testing.T) {
	lab.Need(t, "wg", "wg-quick")
	lab.StartWireGuard(t, lab.NewHost(t, "odd"), "odd0")
	path := filepath.Join(t.TempDir(), "odd0.conf")
	stripped := path + ".stripped"
	for _, tt := range oddFiles {
		t.Run(tt.name, func(t *testing.T) {
			text := fill.Replace(tt.text)
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			f, err := Open(path)
			require.NoError(t, err)
			ours, oursErr := f.Interface()
			assert.Equal(t, oursErr != nil, f.view().refused.Err() != nil)

			theirs, theirErr := Interface{}, error(nil)
			out, err := exec.CommandContext(t.Context(), "wg-quick", "strip", path).Output()
			if err != nil {
				theirErr = err
			} else {
				require.NoError(t, os.WriteFile(stripped, out, 0o600))
				theirs, theirErr = setconf(t, "odd0", stripped)
			}
			if !f.view().quick() {
				alone, err := setconf(t, "odd0", path)
				require.Equal(t, err == nil, theirErr == nil)
				theirs.ListenPort = alone.ListenPort // which may be any
				require.Equal(t, onDevice(alone), onDevice(theirs))
			}
			if tt.strict {
				assert.NoError(t, theirErr)
				assert.Error(t, oursErr)
				return
			}
			if theirErr != nil {
				require.Error(t, oursErr)
				assert.Error(t, f.Check().Err())
				t.Logf("we: %v", oursErr)
				return
			}
			require.NoError(t, oursErr)
			if ours.ListenPort == 0 {
				theirs.ListenPort = 0
			}
			assert.Equal(t, onDevice(theirs), onDevice(ours))
		})
	}
}

// TestWGReadsWhatWeWrite edits files and lets the real programs read them.
func TestWGReadsWhatWeWrite(t *testing.T) {
	lab.Need(t, "wg", "wg-quick")
	lab.StartWireGuard(t, lab.NewHost(t, "written"), "written0")
	key, err := NewPrivateKey()
	require.NoError(t, err)
	psk, err := NewPresharedKey()
	require.NoError(t, err)
	peer := Peer{
		Name: "Dora", PublicKey: PublicKey{1}, PresharedKey: psk, Endpoint: "[2001:db8::4]:51820",
		AllowedIPs: prefixes("10.77.0.4/32", "fd77::4/128"), Keepalive: 25 * time.Second,
	}
	for _, text := range []string{"", officeText, strings.ReplaceAll(officeText, "\n", "\r\n"), strings.TrimSuffix(officeText, "\n")} {
		path := filepath.Join(t.TempDir(), "written0.conf")
		require.NoError(t, os.WriteFile(path, []byte(fill.Replace(text)), 0o600))
		f, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, f.SetInterface(Interface{PrivateKey: key, ListenPort: 51821, FwMark: 0x10, MTU: 1380, Addresses: prefixes("10.77.0.9/24")}))
		require.NoError(t, f.SetPeer(peer))
		other := Peer{PublicKey: publicKey(t, anna), AllowedIPs: prefixes("0.0.0.0/0"), Endpoint: "192.0.2.9:1"}
		require.NoError(t, f.SetPeer(other))
		f.RemovePeer(publicKey(t, bert))
		require.NoError(t, f.Save(t.Context()))

		out, err := exec.CommandContext(t.Context(), "wg-quick", "strip", path).Output()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, out, 0o600))
		device, err := setconf(t, "written0", path)
		require.NoError(t, err)
		want := Interface{PrivateKey: key, ListenPort: 51821, FwMark: 0x10, Peers: []Peer{peer, other}}
		assert.Equal(t, onDevice(want), onDevice(device))
	}
}

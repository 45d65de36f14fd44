package wgpeer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	head := "[Interface]\nPrivateKey = OWN\n"
	annas := "[Peer]\nPublicKey = ANNA\nAllowedIPs = 10.77.0.2\n"
	tests := []struct{ name, text, want string }{
		{"nothing", head + annas, ""},
		{"a file as people keep them", officeText, ""},
		{"no key", "[Interface]\n", "wg0.conf: warning: has no PrivateKey: setconf takes away the one that the device has, and a command has to set it again"},
		{"a key file", "[Interface]\nPostUp = wg set %i private-key /etc/wireguard/%i.key\n", ""},
		{"a key from a command", "[Interface]\nPostUp = wg set %i private-key <(pass wg0)\n", ""},
		{"two keys", "[Interface]\nPrivateKey = OWN\nPostUp = wg set %i private-key /key\n", "wg0.conf:2:14: warning: the command in line 3 sets another key after this one"},
		{"a key and a command", head + "PostUp = wg set %i private-key <(pass wg0)\n", "wg0.conf:2:14: warning: the command in line 3 sets another key after this one"},
		{"a key from a command that comes too early", "[Interface]\nPreUp = wg set %i private-key /key\n", "wg0.conf: warning: has no PrivateKey: setconf takes away the one that the device has, and a command has to set it again"},
		{"the key of zeros", "[Interface]\nPrivateKey = ZEROS\n", "wg0.conf: warning: has no PrivateKey: setconf takes away the one that the device has, and a command has to set it again"},
		{"port 70000", head + "ListenPort = 70000\n", "wg0.conf:3:14: error: a port is at most 65535: wg on Linux reads 70000 as 4464"},
		{"host bits", head + annas + "AllowedIPs = 10.78.0.2/24\n", "wg0.conf:6:14: warning: 10.78.0.2/24 is not the first address of its prefix: wg makes it 10.78.0.0/24"},
		{"endpoint port 70000", head + annas + "Endpoint = 192.0.2.1:70000", "wg0.conf:6:12: error: a port is at most 65535: wg on Linux reads 192.0.2.1:70000 as 4464"},
		{"endpoint port 0", head + annas + "Endpoint = 192.0.2.1:0", "wg0.conf:6:12: error: nothing can be sent to port 0"},
		{"no brackets", head + annas + "Endpoint = 2001:db8::1:51820", "wg0.conf:6:12: warning: wg takes what is behind the last colon for the port: write [2001:db8::1]:51820"},
		{"repeated key", head + "FwMark = 1\nFwMark = 1\nFwMark = 2\n", "wg0.conf:4:10: warning: FwMark is in line 3 already\nwg0.conf:5:10: error: FwMark is in line 3 already, which this one overrides"},
		{"repeated key in repeated sections", head + "ListenPort = 1\n[Peer]\nPublicKey = ANNA\nAllowedIPs = ::/0\n[Interface]\nListenPort = 2\n", "wg0.conf:8:14: error: ListenPort is in line 3 already, which this one overrides"},
		{"repeated peer", head + annas + annas, "wg0.conf:6:1: error: the peer has a section in line 3 already, whose AllowedIPs this one replaces"},
		{"own key", head + strings.Replace(annas, "ANNA", "SELF", 1), "wg0.conf:4:13: error: this is the interface itself: wg ignores the peer"},
		{"key of zeros", head + strings.Replace(annas, "ANNA", "ZEROS", 1), "wg0.conf:4:13: error: the key of zeros is nobody's"},
		{"the same addresses", head + annas + strings.Replace(annas, "ANNA", "BERT", 1), "wg0.conf:8:14: error: 10.77.0.2/32 is the peer's in line 5 too: a device gives it to the last peer alone"},
		{"addresses in others", head + annas + "[Peer]\nPublicKey=BERT\nAllowedIPs=10.77.0.0/24", "wg0.conf:5:14: warning: 10.77.0.2/32 is taken from 10.77.0.0/24, which is another peer's in line 8"},
		{"addresses in one's own", head + annas + "AllowedIPs = 10.77.0.0/24", ""},
		{"two default routes", head + "[Peer]\nPublicKey=BERT\nAllowedIPs=0.0.0.0/0,::/0\n[Peer]\nPublicKey=ANNA\nAllowedIPs=::/0\n", "wg0.conf:8:12: error: ::/0 is the peer's in line 5 too: a device gives it to the last peer alone"},
		{"one default route and others", head + annas + "[Peer]\nPublicKey=BERT\nAllowedIPs=0.0.0.0/0\n", ""},
		{"what a later section replaces", head + annas + "[Peer]\nPublicKey=BERT\nAllowedIPs=10.77.0.2\n[Peer]\nPublicKey=ANNA\nAllowedIPs=10.77.0.3\n", "wg0.conf:9:1: error: the peer has a section in line 3 already, whose AllowedIPs this one replaces"},
		{"no addresses", head + "[Peer]\nPublicKey = ANNA\n", "wg0.conf:4:13: warning: the peer has no AllowedIPs: nothing goes to it, and what comes from it is dropped"},
		{"SaveConfig", head + "SaveConfig = true\n", "wg0.conf:3:14: warning: wg-quick down writes the file anew from the device: comments, names and edits are lost"},
		{"SaveConfig is off again", head + "SaveConfig = true\nSaveConfig = false\n", "wg0.conf:4:14: error: SaveConfig is in line 3 already, which this one overrides"},
		{"an MTU that is octal", head + "MTU = 01400\n", "wg0.conf:3:7: error: MTU: \"01400\" is no number of bytes"},
		{"what may be half a secret", head + "abcdefghijklmnopqrstuvwxy = 1\nabc/ = 1\n", "wg0.conf:3:1: error: wg does not know this line\nwg0.conf:4:1: error: wg does not know this line"},
		{"a command that is cut", head + "PostUp = true # so\nPostUp = echo a#b\nPostUp = echo 'a # b'\n", "wg0.conf:4:16: error: wg-quick cuts the command here: it cannot hold a #\nwg0.conf:5:18: error: wg-quick cuts the command here: it cannot hold a #"},
		{"a command before a comment", head + "PostUp = # none\nPostUp = echo \"it's\" \\' 'a\\' # so\nPostUp = (true;#)\n", ""},
		{"a command that is cut in quotes", head + "PostUp = echo \"a' # b\"\nPostUp = echo a\\ # b\nPostUp = echo \"\\\" # b\"\n", "wg0.conf:3:19: error: wg-quick cuts the command here: it cannot hold a #\nwg0.conf:4:18: error: wg-quick cuts the command here: it cannot hold a #\nwg0.conf:5:19: error: wg-quick cuts the command here: it cannot hold a #"},
		{"an address twice", head + "Address = 10.77.0.1/24, 10.77.0.1/24\n", "wg0.conf:3:11: error: 10.77.0.1/24 is in line 3 already: ip(8) refuses it, and wg-quick gives up"},

		{"no PublicKey", head + "[Peer] # Anna\n", "wg0.conf:3:1: error: [Peer]: has no PublicKey"},
		{"unknown key", head + "ListenPorts = 1\n", "wg0.conf:3:1: error: wg does not know the key ListenPorts"},
		{"a secret without its key", "[Interface]\n  OWN\n", "wg0.conf: warning: has no PrivateKey: setconf takes away the one that the device has, and a command has to set it again\nwg0.conf:2:3: error: wg does not know this line"},
		{"a secret in the wrong place", "PrivateKey = OWN\n" + head, "wg0.conf:1:1: error: PrivateKey belongs in a section [Interface]"},
		{"a bad secret", "[Interface]\nPrivateKey = xOWN\n", "wg0.conf:2:14: error: PrivateKey: a key is 44 characters of base64, such as \"wg genkey\" writes"},
		{"semicolon", head + "; no comment\n", "wg0.conf:3:1: error: ; begins no comment: write #"},
		{"byte-order mark", "\ufeff# c\n" + head, "wg0.conf:1:1: error: a byte-order mark: wg takes it for a part of the line"},
		{"wg-quick's key with blanks", head + "Add ress = 10.77.0.1/24\n", "wg0.conf:3:1: error: Address is for wg-quick alone, which wants it in [Interface], and no blanks inside the two words"},
		{"empty AllowedIPs", head + "[Peer]\nPublicKey = ANNA\nAllowedIPs =\n", "wg0.conf:5:13: error: AllowedIPs has no value"},
		{"trailing comma", head + "[Peer]\nPublicKey = ANNA\nAllowedIPs = 10.77.0.2,\n", "wg0.conf:5:14: error: AllowedIPs: \"\" is no address"},
		{"other errors", head + "FwMark = x\nListenPort = x\nMTU = x\nAddress = x\nSaveConfig = x\n[Peer]\nPublicKey = x\nPersistentKeepalive = x\nEndpoint = x\n",
			`wg0.conf:3:10: error: FwMark: "x" is neither off nor a mark of 32 bits
wg0.conf:4:14: error: ListenPort: "x" is neither a port nor the name of a UDP service here
wg0.conf:5:7: error: MTU: "x" is no number of bytes
wg0.conf:6:11: error: Address: "x" is no address with the length of its network's prefix
wg0.conf:7:14: error: SaveConfig: wg-quick wants true or false
wg0.conf:9:13: error: PublicKey: a key is 44 characters of base64, such as "wg genkey" writes
wg0.conf:10:23: error: PersistentKeepalive: "x" is neither off nor a number of seconds up to 65535
wg0.conf:11:12: error: Endpoint: "x" has no port`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, fill.Replace(tt.text))
			assert.Equal(t, tt.want, strings.TrimSuffix(f.Check().String(), "\n"))
		})
	}
}

func TestErrorsSayWhereAndHoldNoSecret(t *testing.T) {
	_, err := parse(t, fill.Replace("[Interface]\nPrivateKey = OWNx\n[Peer]\nPresharedKey =\tPSK=\nPSK\nPublicKey = ANNA\nAllowedIPs = 10.77.0.2,\nAllowedIPs = PSK\nEndpoint = OWN:51820\n")).Interface()
	assert.EqualError(t, err, `wg0.conf:2:14: PrivateKey: a key is 44 characters of base64, such as "wg genkey" writes
wg0.conf:4:16: PresharedKey: a key is 44 characters of base64, such as "wg genkey" writes
wg0.conf:5:1: wg does not know this line
wg0.conf:7:14: AllowedIPs: "" is no address
wg0.conf:8:14: AllowedIPs: this is a key
wg0.conf:9:12: Endpoint: this is a key`)
	parseErr, ok := errors.AsType[*ParseError](err)
	require.True(t, ok)
	assert.Equal(t, 2, parseErr.Line)
}

func TestCheckOfNamesAndModes(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"wg0.conf", "[Interface]\nPrivateKey = OWN\n", 0o600, ""},
		{"wg0.conf", "[Interface]\nPrivateKey = OWN\n", 0o640, ""},
		{"wg0.conf", "[Interface]\nPrivateKey = OWN\n", 0o644, "wg0.conf: warning: holds a secret and everybody can read it: set its mode to 0600\n"},
		{"wg0.conf", "[Interface]\nPostUp = wg set %i private-key /key\n", 0o644, ""},
		{"wg0.conf", "[Interface]\nPostUp = wg set %i private-key /key\n", 0o602, "wg0.conf: warning: everybody can write it: set its mode to 0600\n"},
		{"wg0.conf", "[Interface]\nPostUp = wg set %i private-key /key\n[Peer]\nPublicKey=ANNA\nPresharedKey=PSK\nAllowedIPs=::/0\n", 0o604, "wg0.conf: warning: holds a secret and everybody can read it: set its mode to 0600\n"},
		{"a-very-long-name.conf", "[Interface]\nPrivateKey = OWN\n", 0o600, ""},
		{"a-very-long-name.conf", "[Interface]\nPrivateKey = OWN\nMTU = 1380", 0o600, "a-very-long-name.conf: error: wg-quick takes the interface's name from the file's: at most 15 of letters, digits and _=+.-, and .conf\n"},
	}
	for _, tt := range tests {
		path := filepath.Join(dir, tt.name)
		require.NoError(t, os.WriteFile(path, []byte(fill.Replace(tt.text)), 0o600))
		require.NoError(t, os.Chmod(path, tt.mode))
		f, err := Open(path)
		require.NoError(t, err)
		assert.Equal(t, tt.want, strings.ReplaceAll(f.Check().String(), dir+"/", ""))
	}
}

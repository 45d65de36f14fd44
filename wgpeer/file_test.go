package wgpeer

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInterface(t *testing.T) {
	private, err := ParsePrivateKey(wgKey)
	require.NoError(t, err)
	preshared, err := ParsePresharedKey(shared)
	require.NoError(t, err)
	assert.Equal(t, Interface{
		Iface:      "wg0",
		PrivateKey: private,
		PublicKey:  publicKey(t, wgPublic),
		Addresses:  prefixes("10.77.0.1/24", "fd77::1/64"),
		ListenPort: 51820,
		Peers: []Peer{
			{Name: "Anna's laptop", PublicKey: publicKey(t, anna), AllowedIPs: prefixes("10.77.0.2/32", "fd77::2/128"), Endpoint: "192.0.2.7:51820"},
			{Name: "Bert", PublicKey: publicKey(t, bert), PresharedKey: preshared, AllowedIPs: prefixes("10.77.0.3/32")},
		},
	}, read(t, parse(t, fill.Replace(officeText))))
}

func TestNames(t *testing.T) {
	tests := []struct{ text, want string }{
		{"[Peer] # Anna\nPublicKey=ANNA\n", "Anna"},
		{"# Carla\n[Peer]\n\n## Anna = x\n #  Anna, office\n# Bert\nPublicKey=ANNA\n", "Anna, office"},
		{"# Anna\n[Peer]\nPublicKey=ANNA # Bert\n# Bert\n", "Anna"},
		{"# Anna\n\n[Peer]\nPublicKey=ANNA\n", ""},
		{"#Endpoint = 192.0.2.1:1\n[Peer]\n#AllowedIPs = 10.77.0.9\nPublicKey=ANNA\n", ""},
		{"[Peer]\nPublicKey=ANNA\n[Peer] # Anna\nPublicKey=ANNA\n[Peer] # Bert\nPublicKey=ANNA\n", "Anna"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, read(t, parse(t, fill.Replace(tt.text))).Peers[0].Name, tt.text)
	}
}

func TestParseRefusesANUL(t *testing.T) {
	_, err := Parse("wg0.conf", []byte("[Interface]\nListenPort = 5\x0018\n"))
	var parseErr *ParseError
	require.ErrorAs(t, err, &parseErr)
	assert.EqualError(t, err, "wg0.conf:2:15: a NUL byte hides the rest of the line from wg")
}

func TestAFileOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wg0.conf")
	_, err := Open(path)
	require.ErrorIs(t, err, os.ErrNotExist)

	f, err := Create(path)
	require.NoError(t, err)
	i := Interface{Addresses: prefixes("10.77.0.1/24"), ListenPort: 51820}
	i.PrivateKey, err = ParsePrivateKey(wgKey)
	require.NoError(t, err)
	require.NoError(t, f.SetInterface(i))
	assert.Equal(t, "--- /dev/null\n+++ "+path+"\n@@ -0,0 +1,4 @@\n+[Interface]\n+PrivateKey = (secret 1)\n+ListenPort = 51820\n+Address = 10.77.0.1/24\n", f.Changes())
	require.NoError(t, f.Save(t.Context()))
	assert.Empty(t, f.Changes())
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
	_, err = Create(path)
	require.ErrorIs(t, err, os.ErrExist)

	f, err = Open(path)
	require.NoError(t, err)
	g, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, f.SetPeer(Peer{PublicKey: publicKey(t, anna)}))
	require.NoError(t, f.Save(t.Context()))
	require.NoError(t, g.SetPeer(Peer{PublicKey: publicKey(t, bert)}))
	assert.ErrorIs(t, g.Save(t.Context()), ErrStale)
	require.Error(t, parse(t, "").SetInterface(Interface{MTU: 1}))
	f = parse(t, "")
	require.NoError(t, f.SetInterface(i))
	assert.ErrorContains(t, f.Save(t.Context()), "was parsed from bytes")
}

func TestChangesShowNoSecret(t *testing.T) {
	text := fill.Replace("#PrivateKey = OWN # old\n[Interface]\n#Private Key = " + shared[:20] + " " + shared[20:] + "\nP rivateKey = " + wgKey[:9] + " " + wgKey[9:] + " # OWN\n" +
		"PostUp = wg set %i peer ANNA preshared-key <(echo PSK)\n[Peer]\nPublicKey = ANNA\nPresharedKey = PSK\nPrivatKey = short secret\n[Peer]\nPublicKey = BERT # OWN\n")
	f := parse(t, text)
	p := Peer{PublicKey: publicKey(t, anna)}
	var err error
	p.PresharedKey, err = ParsePresharedKey(bert)
	require.NoError(t, err)
	require.NoError(t, f.SetPeer(p))
	assert.Equal(t, fill.Replace(`--- wg0.conf
+++ wg0.conf
@@ -5,7 +5,7 @@
 PostUp = wg set %i peer (secret 5) preshared-key <(echo (secret 6))
 [Peer]
 PublicKey = ANNA
-PresharedKey = (secret 6)
+PresharedKey = (secret 8)
 PrivatKey = (secret 7)
 [Peer]
 PublicKey = BERT # (secret 4)
`), f.Changes())

	all := string(masker{}.mask(f.lines))
	for _, secret := range []string{wgKey, wgKey[9:], shared, shared[20:], "short", strings.TrimRight(shared[:20], "=")} {
		assert.NotContains(t, all, secret)
	}
	assert.Contains(t, all, "PublicKey = "+bert, "a public key, though a preshared one is the same")
}

func TestAThousandPeers(t *testing.T) {
	f := parse(t, fill.Replace("[Interface]\nPrivateKey = OWN\n"))
	for i := range 1000 {
		p := Peer{PublicKey: PublicKey{byte(i), byte(i >> 8), 1}, Keepalive: time.Duration(i%3) * time.Second}
		require.NoError(t, f.SetPeer(p))
	}
	assert.Len(t, read(t, f).Peers, 1000)
	assert.NoError(t, f.Check().Err())
}

func TestRenderedFilesAreReadBack(t *testing.T) {
	want := read(t, parse(t, fill.Replace(officeText)))
	for _, keyFile := range []string{"", "/etc/wireguard/wg0.key"} {
		if keyFile != "" {
			want.PrivateKey, want.PublicKey, want.KeyFile = PrivateKey{}, PublicKey{}, keyFile
		}
		out, err := want.WGQuick()
		require.NoError(t, err)
		f, err := Parse(out.Path, out.Data)
		require.NoError(t, err)
		assert.Equal(t, want, read(t, f))
		assert.Empty(t, f.Check())
	}
}

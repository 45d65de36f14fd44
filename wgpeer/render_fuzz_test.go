package wgpeer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever the values, a file that is rendered says what was meant and nothing else.
func FuzzRender(f *testing.F) {
	f.Add("wg0", "/etc/wireguard/wg0.key", "senate", "203.0.113.63:51820")
	f.Add("wg0\nup x", "/etc/a;reboot", "a\nPostUp = b", "hub.example.net:51820")
	f.Add("w-g.0", "/etc/$(x)", "# x = y", "[2001:db8::1]:1")
	f.Fuzz(func(t *testing.T, iface, keyFile, name, endpoint string) {
		i := Interface{Iface: iface, KeyFile: keyFile, Peers: []Peer{{Name: name, PublicKey: testKey(1).Public(), Endpoint: endpoint, AllowedIPs: prefixes("172.16.1.1/32")}}}
		quick, err := i.WGQuick()
		if err != nil {
			return
		}
		file, err := Parse(quick.Path, quick.Data)
		require.NoError(t, err)
		got, err := file.Interface()
		require.NoError(t, err)
		got.Peers[0].Name = name // a file can only hold one that looks like no setting
		assert.Equal(t, i.Iface, got.Iface)
		assert.Equal(t, i.KeyFile, got.KeyFile)
		require.Len(t, got.Peers, 1)
		assert.Equal(t, i.Peers[0].PublicKey, got.Peers[0].PublicKey)
		if endpoint != "" {
			meant, err := parseEndpoint(endpoint)
			require.NoError(t, err)
			read, err := parseEndpoint(got.Peers[0].Endpoint)
			require.NoError(t, err)
			meant.name, read.name = strings.ToLower(meant.name), strings.ToLower(read.name)
			assert.Equal(t, meant, read)
		}

		fragment, err := i.Ifupdown()
		require.NoError(t, err)
		assert.Len(t, strings.Split(string(fragment[0].Data), "\n"), 11)
		assert.Equal(t, 1, strings.Count(string(fragment[0].Data), "private-key "+keyFile+"\n"))
	})
}

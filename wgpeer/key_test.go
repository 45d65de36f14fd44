package wgpeer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func TestSecretsAreNotShown(t *testing.T) {
	private, err := ParsePrivateKey(wgKey)
	require.NoError(t, err)
	preshared, err := ParsePresharedKey(shared)
	require.NoError(t, err)
	type seen struct {
		Private   PrivateKey
		Preshared *PresharedKey
		Peers     []Peer
	}
	type hidden struct {
		private   PrivateKey
		preshared *PresharedKey
		peers     map[string]Interface
	}
	peer := Peer{PresharedKey: preshared}
	values := []any{
		private, &private, preshared, &preshared, []PrivateKey{private}, map[string]any{"key": private}, fmt.Errorf("with %v", private),
		seen{private, &preshared, []Peer{peer}},
		hidden{private, &preshared, map[string]Interface{"wg0": {PrivateKey: private, Peers: []Peer{peer}}}},
		&hidden{private, &preshared, nil},
	}
	secrets := []string{wgKey, shared}
	for _, verb := range []string{"%v", "%d", "%d", "% x", "%x", "%X", "%o", "%s"} {
		for _, key := range [][32]byte{private.bytes(), preshared.bytes()} {
			text := fmt.Sprintf(verb, key)
			secrets = append(secrets, text[1:len(text)-1], text)
		}
	}
	var shownTexts []string
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "% X", "%d", "%o", "%c", "%T"} {
			shownTexts = append(shownTexts, fmt.Sprintf(verb, v))
		}
		text, err := json.Marshal(v)
		require.NoError(t, err)
		shownTexts = append(shownTexts, string(text))
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("key", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "v", v)
		shownTexts = append(shownTexts, log.String())
	}
	for _, text := range shownTexts {
		for _, secret := range secrets {
			require.NotContains(t, text, secret)
		}
	}
	assert.Equal(t, "redacted redacted", fmt.Sprintf("%v %#x", private, preshared))
	assert.Equal(t, "redacted", private.String())
	assert.Equal(t, wgKey, private.Reveal())
	assert.Equal(t, shared, preshared.Reveal())
}

func TestKeysAreMadeAsWGMakesThem(t *testing.T) {
	lab.Need(t, "wg")
	key, err := NewPrivateKey()
	require.NoError(t, err)
	bits := key.bytes()
	assert.Zero(t, bits[0]&7)
	assert.Equal(t, byte(64), bits[31]&192)
	cmd := exec.CommandContext(t.Context(), "wg", "pubkey")
	cmd.Stdin = strings.NewReader(key.Reveal())
	out, err := cmd.Output()
	require.NoError(t, err)
	public, err := ParsePublicKey(string(out))
	require.NoError(t, err)
	assert.Equal(t, public, key.Public())

	psk, err := NewPresharedKey()
	require.NoError(t, err)
	back, err := ParsePresharedKey(psk.Reveal())
	require.NoError(t, err)
	assert.True(t, back == psk)

	var none PrivateKey
	assert.True(t, none.IsZero())
	assert.Empty(t, none.Reveal())
	assert.Zero(t, none.Public())
	assert.False(t, key.IsZero())
}

// TestKeysAreReadAsWGReadsThem compares with wg pubkey, which reads a private key.
func TestKeysAreReadAsWGReadsThem(t *testing.T) {
	lab.Need(t, "wg")
	tests := []struct {
		name, text string
		strict     bool // wg takes it
	}{
		{name: "as it is", text: wgKey},
		{name: "white space behind", text: wgKey + " \r\n\n"},
		{name: "white space before", text: "\n" + wgKey},
		{name: "white space inside", text: wgKey[:20] + "\n" + wgKey[20:]},
		{name: "line ends inside", text: wgKey[:20] + "\n\n\n\n" + wgKey[24:]},
		{name: "more behind", text: wgKey + "x"},
		{name: "no padding", text: wgKey[:43]},
		{name: "too short", text: wgKey[:40] + "===="},
		{name: "not canonical", text: wgKey[:42] + "l="},
		{name: "for URLs", text: strings.NewReplacer("+", "-", "/", "_").Replace(wgKey)},
		{name: "hexadecimal", text: strings.Repeat("c8", 32)},
		{name: "not clamped", text: "//////////////////////////////////////////8="},
		{name: "empty", text: ""},
		{name: "zeros", text: zeros, strict: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "wg", "pubkey")
			cmd.Stdin = strings.NewReader(tt.text)
			out, theirs := cmd.Output()
			key, ours := ParsePrivateKey(tt.text)
			if tt.strict {
				assert.NoError(t, theirs)
				assert.Error(t, ours)
				return
			}
			require.Equal(t, theirs == nil, ours == nil)
			_, err := ParsePublicKey(tt.text)
			assert.Equal(t, ours == nil, err == nil)
			_, err = ParsePresharedKey(tt.text)
			assert.Equal(t, ours == nil, err == nil)
			if ours != nil {
				var valueErr *ValueError
				require.ErrorAs(t, ours, &valueErr)
				assert.Equal(t, "redacted", valueErr.Value)
				return
			}
			assert.Equal(t, strings.TrimSpace(string(out)), key.Public().String())
		})
	}
}

func TestKeysOfOneMeaningAreTheSame(t *testing.T) {
	a, err := ParsePrivateKey("//////////////////////////////////////////8=")
	require.NoError(t, err)
	b, err := ParsePrivateKey("+P///////////////////////////////////////38=")
	require.NoError(t, err)
	assert.True(t, a == b)
	assert.Equal(t, "+P///////////////////////////////////////38=", a.Reveal())
}

func TestKeysAreReadFromText(t *testing.T) {
	var in struct {
		Private   PrivateKey
		Preshared PresharedKey
		None      PrivateKey
	}
	text := fmt.Sprintf(`{"Private":%q,"Preshared":%q,"None":""}`, wgKey, shared)
	require.NoError(t, json.Unmarshal([]byte(text), &in))
	assert.Equal(t, wgKey, in.Private.Reveal())
	assert.Equal(t, shared, in.Preshared.Reveal())
	assert.True(t, in.None.IsZero())
	out, err := json.Marshal(in)
	require.NoError(t, err)
	assert.Error(t, json.Unmarshal(out, &in), "what was not shown cannot be read again")
	assert.True(t, in.Private.IsZero())
	require.NoError(t, json.Unmarshal([]byte(`{"Preshared":""}`), &in))
	assert.True(t, in.Preshared.IsZero(), "empty text is none")
}

func TestKeyFiles(t *testing.T) {
	root := t.TempDir()
	key, err := ParsePrivateKey(wgKey)
	require.NoError(t, err)
	file, err := key.File("/etc/wireguard/wg0.key")
	require.NoError(t, err)
	_, err = file.Save(t.Context(), root)
	require.NoError(t, err)
	path := filepath.Join(root, "etc/wireguard/wg0.key")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
	back, err := ReadPrivateKeyFile(path)
	require.NoError(t, err)
	assert.True(t, back == key)

	_, err = PrivateKey{}.File("/etc/wireguard/wg0.key")
	assert.Error(t, err)
	_, err = ReadPrivateKeyFile(filepath.Join(root, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte(wgKey+"x"), 0o600))
	_, err = ReadPrivateKeyFile(path)
	var parseErr *ParseError
	require.ErrorAs(t, err, &parseErr)
	assert.NotContains(t, err.Error(), wgKey)
}

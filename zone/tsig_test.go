package zone

import (
	"encoding/json"
	"fmt"
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

const testKey = `key "transfer" {
	algorithm hmac-sha256;
	secret "bm90IHNvIHNlY3JldCBhcyBpdCBzZWVtcyB0byBiZQ==";
};
`

func TestSecretIsRedacted(t *testing.T) {
	key, err := ParseKey("transfer.key", []byte(testKey))
	require.NoError(t, err)
	revealed := key.Secret.Reveal()
	require.Equal(t, "bm90IHNvIHNlY3JldCBhcyBpdCBzZWVtcyB0byBiZQ==", revealed)
	type private struct {
		key  Key
		ptr  *Key
		opts WaitOptions
	}
	var printed []string
	for _, value := range []any{key, &key, key.Secret, &key.Secret, private{key, &key, WaitOptions{Key: &key}}, []Key{key}, map[string]Secret{"a": key.Secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			printed = append(printed, fmt.Sprintf(verb, value))
		}
		var logged strings.Builder
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("key", "value", value)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("key", "value", value)
		text, err := json.Marshal(value)
		require.NoError(t, err)
		printed = append(printed, logged.String(), string(text))
	}
	for _, text := range printed {
		assert.NotContains(t, text, revealed)
		assert.NotContains(t, strings.ToLower(text), fmt.Sprintf("%x", revealed))
	}
	assert.Equal(t, "redacted", key.Secret.String())
	assert.Equal(t, "{transfer hmac-sha256 redacted}", fmt.Sprint(key))
	assert.Empty(t, Secret{}.Reveal())
}

func TestParseKey(t *testing.T) {
	for _, text := range []string{
		testKey,
		"# made by tsig-keygen\n" + testKey + "// the end",
		`key transfer{/* old */secret bm90IHNvIHNlY3JldCBhcyBpdCBzZWVtcyB0byBiZQ==;algorithm "HMAC-SHA256";};`,
		strings.ReplaceAll(testKey, "\n", "\r\n"),
	} {
		key, err := ParseKey("key", []byte(text))
		require.NoError(t, err, "%s", text)
		assert.Equal(t, "transfer", key.Name)
		assert.Equal(t, "hmac-sha256", key.Algorithm)
		assert.Equal(t, "bm90IHNvIHNlY3JldCBhcyBpdCBzZWVtcyB0byBiZQ==", key.Secret.Reveal())
	}
	for text, want := range map[string]string{
		"":                           `k:1: a key statement was expected`,
		"\n\nzone \"x\" {};":         `k:3: a key statement was expected`,
		"key {":                      `k:1: "{" is no name for a key`,
		"key a;":                     `k:1: "{" was expected after the name of the key`,
		"key a {\nalgorithm md4;};":  `k:2: the algorithm is not one of hmac-sha256, hmac-sha512, hmac-sha384, hmac-sha224, hmac-sha1`,
		"key a {\nsecret \"x!y\";};": `k:2: secret: "redacted": it is not in base64`,
		"key a {\nsecret x y;};":     `k:2: a ";" is missing in the key statement`,
		"key a { server 1; };":       `k:1: a key has an algorithm and a secret, and nothing else`,
		"key a { secret \"eA==\"; }": `k:1: a ";" is missing after the key statement`,
		"key a { secret eA==; };":    `k:1: the key "a" lacks its algorithm or its secret`,
		testKey + testKey:            `k:5: one key statement was expected, and more follows`,
		"key a { secret \"eA==":      `k:1: a ";" is missing in the key statement`,
		"key a { /* ":                `k:1: a ";" is missing in the key statement`,
	} {
		_, err := ParseKey("k", []byte(text))
		assert.EqualError(t, err, want, "%s", text)
		var e *ParseError
		assert.ErrorAs(t, err, &e)
	}
}

func TestOpenKey(t *testing.T) {
	lab.Need(t, "tsig-keygen")
	for _, algorithm := range keyAlgorithms {
		text, err := exec.CommandContext(t.Context(), "tsig-keygen", "-a", algorithm, "transfer").Output()
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "transfer.key")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		key, err := OpenKey(path)
		require.NoError(t, err)
		assert.Equal(t, algorithm, key.Algorithm)
		assert.Contains(t, string(text), key.Secret.Reveal())
	}
	_, err := OpenKey(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

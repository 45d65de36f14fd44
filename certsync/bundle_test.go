package certsync_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

func TestParseBundleTakesWhatToolsWrite(t *testing.T) {
	b := issue(t, authority(t), "example.net")
	signer, err := b.Key.Signer()
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(signer.(*ecdsa.PrivateKey))
	require.NoError(t, err)
	oldKey := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})
	params := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}})
	key, chain := b.Key.Reveal(), b.Chain
	crlf := bytes.ReplaceAll(chain, []byte("\n"), []byte("\r\n"))
	for title, text := range map[string][]byte{
		"combined":        b.Combined(),
		"key first":       slices.Concat(key, chain),
		"chain first":     slices.Concat(chain, key),
		"SEC 1":           slices.Concat(chain, oldKey),
		"EC PARAMETERS":   slices.Concat(params, oldKey, chain),
		"CRLF":            slices.Concat(key, crlf),
		"text in between": slices.Concat([]byte("subject=CN = example.net\n\n"), chain, []byte("# the key\n"), key, []byte("\n\n")),
		"no last newline": slices.Concat(key, bytes.TrimSpace(chain)),
	} {
		t.Run(title, func(t *testing.T) {
			got, err := certsync.ParseBundle("example.net", "file.pem", text)
			require.NoError(t, err)
			assert.Equal(t, b.Fingerprint(), got.Fingerprint(), "what is in it is the same")
			assert.Equal(t, string(b.Combined()), string(got.Combined()))
			require.NoError(t, got.Validate(certsync.Policy{}))
		})
	}
	pair, err := certsync.ParsePair("example.net", "c", crlf, "k", oldKey)
	require.NoError(t, err)
	assert.Equal(t, b.Fingerprint(), pair.Fingerprint())
}

func TestParseBundleSaysWhatIsWrong(t *testing.T) {
	b := issue(t, authority(t), "example.net")
	key, chain := string(b.Key.Reveal()), string(b.Chain)
	combined := string(b.Combined())
	lines := strings.Count(key, "\n")
	for title, test := range map[string]struct{ text, want string }{
		"empty":              {"", "file.pem:1:1: it holds no PEM block: it is empty"},
		"a page of HTML":     {"<!DOCTYPE html>\n<title>404</title>", "file.pem:1:1: it holds no PEM block: it is a page of HTML"},
		"DER":                {"\x30\x82\x01\x00", "file.pem:1:1: it holds no PEM block: it looks like DER or PKCS #12"},
		"text":               {"moved", "file.pem:1:1: it holds no PEM block"},
		"no key":             {chain, "file.pem: it holds no private key"},
		"no certificate":     {key, "file.pem: it holds no certificate"},
		"two keys":           {key + key + chain, fmt.Sprintf("file.pem:%d:1: a second private key", lines+1)},
		"cut in a block":     {key + chain[:len(chain)-30], "a PEM block is cut off"},
		"cut before its end": {key + chain[:100], fmt.Sprintf("file.pem:%d:1: a PEM block is cut off", lines+1)},
		"damaged":            {key + strings.Replace(chain, "MII", "M#I", 1), "a PEM block is damaged"},
		"one in the other":   {key + "-----BEGIN CERTIFICATE-----\n" + chain, fmt.Sprintf("file.pem:%d:1: a PEM block is cut off", lines+1)},
		"not a certificate":  {key + "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "x509: "},
		"a request":          {key + "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n", "CERTIFICATE REQUEST where a certificate was expected"},
		"not a key":          {"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n" + chain, "file.pem:1:1: the private key cannot be read"},
		"an encrypted key":   {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n" + chain, "file.pem:1:1: the private key is encrypted"},
		"an old one":         {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMAA=\n-----END RSA PRIVATE KEY-----\n" + chain, "file.pem:1:1: the private key is encrypted"},
		"cut at a block":     {combined[:strings.LastIndex(combined, "-----BEGIN")], "file.pem:1:1: what follows does not have this digest"},
		"a changed byte":     {strings.Replace(combined, "-----END PRIVATE", "\n-----END PRIVATE", 1), "file.pem:1:1: what follows does not have this digest"},
		"no digest":          {"# sha256 \n" + key + chain, "file.pem:1:1: what follows does not have this digest"},
	} {
		t.Run(title, func(t *testing.T) {
			_, err := certsync.ParseBundle("example.net", "file.pem", []byte(test.text))
			require.ErrorContains(t, err, test.want)
			_, ok := errors.AsType[*certsync.ParseError](err)
			assert.True(t, ok, "%T", err)
			assert.NotContains(t, err.Error(), strings.Split(key, "\n")[1])
		})
	}
}

func TestFingerprint(t *testing.T) {
	ca := authority(t)
	b := issue(t, ca, "example.net")
	leafOnly := &certsync.Bundle{Name: b.Name, Key: b.Key, Chain: b.Chain[:bytes.LastIndex(b.Chain, []byte("-----BEGIN"))]}
	seen := map[certsync.Fingerprint]bool{b.Fingerprint(): true}
	for title, other := range map[string]*certsync.Bundle{
		"another leaf":  issue(t, ca, "example.net"),
		"another key":   {Name: b.Name, Chain: b.Chain, Key: issue(t, ca, "example.net").Key},
		"another chain": leafOnly,
	} {
		assert.False(t, seen[other.Fingerprint()], title)
		seen[other.Fingerprint()] = true
	}
	named := *b
	named.Name, named.From = "other", "elsewhere"
	assert.Equal(t, b.Fingerprint(), named.Fingerprint())

	data, err := json.Marshal(map[string]certsync.Fingerprint{"a": b.Fingerprint(), "none": {}})
	require.NoError(t, err)
	var back map[string]certsync.Fingerprint
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, b.Fingerprint(), back["a"])
	assert.True(t, back["none"].IsZero())
	for _, text := range []string{"a", "zz", strings.Repeat("0", 66), strings.Repeat("g", 64)} {
		_, err := certsync.ParseFingerprint(text)
		_, ok := errors.AsType[*certsync.ValueError](err)
		assert.True(t, ok, text)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	b := issue(t, authority(t), "example.net")
	secret := strings.Split(string(b.Key.Reveal()), "\n")[1]
	type holder struct {
		key    certsync.PrivateKey
		Public certsync.PrivateKey
		bundle *certsync.Bundle
		B      certsync.Bundle
	}
	h := holder{b.Key, b.Key, b, *b}
	var text strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&text, verb+"\n", h)
		fmt.Fprintf(&text, verb+"\n", &h)
		fmt.Fprintf(&text, verb+"\n", b)
		fmt.Fprintf(&text, verb+"\n", b.Key)
	}
	for _, v := range []any{h, b, b.Key} {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		text.Write(data)
	}
	slog.New(slog.NewTextHandler(&text, nil)).Info("key", "key", b.Key, "bundle", b, "holder", h)
	slog.New(slog.NewJSONHandler(&text, nil)).Info("key", "key", b.Key, "bundle", b, "holder", h)
	assert.NotContains(t, text.String(), secret)
	assert.NotContains(t, text.String(), fmt.Sprintf("%x", secret[:20]))
	assert.Contains(t, text.String(), "redacted")
}

func TestKeyTypes(t *testing.T) {
	for _, kind := range []certsync.KeyType{certsync.ECDSAP256, certsync.ECDSAP384, certsync.RSA2048, certsync.Ed25519} {
		key, err := certsync.NewPrivateKey(kind)
		require.NoError(t, err)
		got, err := key.Type()
		require.NoError(t, err)
		assert.Equal(t, kind, got)
		again, err := certsync.ParsePrivateKey(key.Reveal())
		require.NoError(t, err)
		assert.Equal(t, key.Reveal(), again.Reveal())
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs1, err := certsync.ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}))
	require.NoError(t, err)
	same, err := certsync.PrivateKeyOf(rsaKey)
	require.NoError(t, err)
	assert.Equal(t, same.Reveal(), pkcs1.Reveal())

	odd, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	key, err := certsync.PrivateKeyOf(odd)
	require.NoError(t, err)
	got, err := key.Type()
	require.NoError(t, err)
	assert.Equal(t, certsync.KeyType("ecdsa-p521"), got)

	_, err = certsync.NewPrivateKey("dsa")
	_, ok := errors.AsType[*certsync.ValueError](err)
	assert.True(t, ok)
	_, err = certsync.PrivateKey{}.Type()
	assert.Error(t, err)
	_, err = certsync.ParsePrivateKey(slices.Concat(key.Reveal(), key.Reveal()))
	assert.ErrorContains(t, err, "a second block")
}

// FuzzParseBundle asserts that what is read is written and read again as the same, whatever
// the text, and that a text with a digest line does not parse with another byte in it.
func FuzzParseBundle(f *testing.F) {
	ca := authority(f)
	b := issue(f, ca, "example.net")
	key, chain := b.Key.Reveal(), b.Chain
	f.Add(b.Combined())
	f.Add(slices.Concat(chain, key))
	f.Add(slices.Concat(key, []byte("text\n"), bytes.ReplaceAll(chain, []byte("\n"), []byte("\r\n"))))
	f.Add([]byte("# sha256 00\n-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nA: b\n\nMAA=\n-----END PRIVATE KEY-----\n-----BEGIN "))
	f.Add([]byte("<html>404</html>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := certsync.ParseBundle("example.net", "file.pem", data)
		if err != nil {
			_, ok := errors.AsType[*certsync.ParseError](err)
			require.True(t, ok, "%T %v", err, err)
			return
		}
		text := got.Combined()
		again, err := certsync.ParseBundle("example.net", "file.pem", text)
		require.NoError(t, err)
		assert.Equal(t, got.Fingerprint(), again.Fingerprint())
		assert.Equal(t, text, again.Combined())
		got.Validate(certsync.Policy{}) // may say what it likes, but not panic
		_, err = got.Leaf()
		require.NoError(t, err)
		cut := len(text) - 1 - len(data)%len(text)
		if _, err := certsync.ParseBundle("example.net", "file.pem", text[:max(cut, 1)]); err == nil {
			t.Fatalf("%d of %d bytes are taken for a bundle", cut, len(text))
		}
	})
}

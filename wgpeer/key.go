package wgpeer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unique"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// A PublicKey names a peer. It is no secret, and prints as base64.
type PublicKey = wgtypes.Key

// A PrivateKey is the secret of an interface. The zero value is none. Keys are the
// same if == says so: a key is kept as a device shows it, with the bits that
// Curve25519 does not use cleared ("clamped").
type PrivateKey struct{ secret }

// A PresharedKey is a second secret, which two peers share. The zero value is none.
type PresharedKey struct{ secret }

// A secret prints, marshals and logs as "redacted". fmt does not ask the methods of
// what an unexported field of another struct holds; there it finds a pointer, and it
// follows those to arrays, but not those to strings.
type secret struct{ key unique.Handle[string] }

func newSecret(key wgtypes.Key) secret {
	if key == (wgtypes.Key{}) {
		return secret{}
	}
	return secret{unique.Make(string(key[:]))}
}

// IsZero reports whether there is no key.
func (s secret) IsZero() bool { return s == secret{} }

// Reveal returns the key as base64, as wg(8) writes it, or "" if there is none.
func (s secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.bytes().String()
}

// bytes is the key as wgctrl wants it: all zero is none.
func (s secret) bytes() wgtypes.Key {
	if s.IsZero() {
		return wgtypes.Key{}
	}
	return wgtypes.Key([]byte(s.key.Value()))
}

const redacted = "redacted"

// String returns "redacted".
func (secret) String() string { return redacted }

// Format prints "redacted", whatever the verb.
func (secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText returns "redacted", which UnmarshalText refuses.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// NewPrivateKey makes a key, as "wg genkey" does.
func NewPrivateKey() (PrivateKey, error) {
	key, err := wgtypes.GeneratePrivateKey()
	return privateKey(key), err
}

// NewPresharedKey makes a key, as "wg genpsk" does.
func NewPresharedKey() (PresharedKey, error) {
	key, err := wgtypes.GenerateKey()
	return presharedKey(key), err
}

// privateKey clamps, as devices do when they are given a key.
func privateKey(key wgtypes.Key) PrivateKey {
	if key != (wgtypes.Key{}) {
		key[0] &= 248
		key[31] = key[31]&127 | 64
	}
	return PrivateKey{newSecret(key)}
}

func presharedKey(key wgtypes.Key) PresharedKey { return PresharedKey{newSecret(key)} }

// ParsePrivateKey reads a key as "wg pubkey" reads its input: 44 characters of
// base64, of which the last bits must be zero, and then nothing but white space.
// Unlike wg, it refuses the key of zeros, which means none in a file. The
// [*ValueError] does not hold the text.
func ParsePrivateKey(text string) (PrivateKey, error) {
	key, err := parseKey("PrivateKey", text, redacted)
	return privateKey(key), err
}

// ParsePresharedKey is [ParsePrivateKey] for a preshared key.
func ParsePresharedKey(text string) (PresharedKey, error) {
	key, err := parseKey("PresharedKey", text, redacted)
	return presharedKey(key), err
}

// ParsePublicKey is [ParsePrivateKey] for a public key. wgtypes.ParseKey takes keys
// that wg refuses, and that would then compare as different.
func ParsePublicKey(text string) (PublicKey, error) {
	return parseKey("PublicKey", text, text)
}

// parseKey returns the key of zeros with an error, which holds what is to be shown.
func parseKey(field, text, shown string) (wgtypes.Key, error) {
	key, ok := readKey(strings.TrimRight(text, space))
	switch {
	case !ok:
		return key, &ValueError{Field: field, Value: shown, Reason: notAKey}
	case key == wgtypes.Key{}:
		return key, &ValueError{Field: field, Value: shown, Reason: "the key of zeros is none"}
	}
	return key, nil
}

const notAKey = `a key is 44 characters of base64, such as "wg genkey" writes`

// readKey reads a key as wg reads one from a file.
func readKey(text string) (key wgtypes.Key, ok bool) {
	if len(text) != base64.StdEncoding.EncodedLen(len(key)) {
		return key, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(key) { // the decoder passes over line ends
		return key, false
	}
	return wgtypes.Key(raw), true
}

// UnmarshalText is [ParsePrivateKey], for formats such as TOML. Empty text is no key.
func (k *PrivateKey) UnmarshalText(text []byte) (err error) {
	*k = PrivateKey{}
	if len(text) > 0 {
		*k, err = ParsePrivateKey(string(text))
	}
	return err
}

// UnmarshalText is [ParsePresharedKey], for formats such as TOML. Empty text is no
// key.
func (k *PresharedKey) UnmarshalText(text []byte) (err error) {
	*k = PresharedKey{}
	if len(text) > 0 {
		*k, err = ParsePresharedKey(string(text))
	}
	return err
}

// Public returns the public key, or the zero key if there is no private one.
func (k PrivateKey) Public() PublicKey {
	if k.IsZero() {
		return PublicKey{}
	}
	return k.bytes().PublicKey()
}

// File is the file of a private key, as "wg set wg0 private-key PATH" reads it.
func (k PrivateKey) File(path string) (Output, error) {
	if k.IsZero() {
		return Output{}, errors.New("no private key to write")
	}
	return Output{Path: path, Mode: 0o600, Data: []byte(k.Reveal() + "\n")}, nil
}

// ReadPrivateKeyFile reads the file of a private key. Unlike wg, it refuses an empty
// file, which wg takes for no key.
func ReadPrivateKeyFile(path string) (PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return PrivateKey{}, err
	}
	key, err := ParsePrivateKey(string(data))
	if err != nil {
		return PrivateKey{}, &ParseError{File: path, Err: err}
	}
	return key, nil
}

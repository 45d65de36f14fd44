package wgpeer

import "golang.zx2c4.com/wireguard/wgctrl/wgtypes"

// A PublicKey names a peer. It is no secret, and prints as base64.
type PublicKey = wgtypes.Key

// A PrivateKey is a secret.
type PrivateKey struct{ key wgtypes.Key }

// A PresharedKey is a secret.
type PresharedKey struct{ key wgtypes.Key }

func NewPrivateKey() (PrivateKey, error) {
	k, err := wgtypes.GeneratePrivateKey()
	return PrivateKey{k}, err
}

func ParsePrivateKey(s string) (PrivateKey, error) {
	k, err := wgtypes.ParseKey(s)
	return PrivateKey{k}, err
}

func NewPresharedKey() (PresharedKey, error) {
	k, err := wgtypes.GenerateKey()
	return PresharedKey{k}, err
}

func (k PrivateKey) IsZero() bool      { return k.key == wgtypes.Key{} }
func (k PrivateKey) Reveal() string    { return k.key.String() }
func (k PrivateKey) Public() PublicKey { return k.key.PublicKey() }
func (k PresharedKey) IsZero() bool    { return k.key == wgtypes.Key{} }
func (k PresharedKey) Reveal() string  { return k.key.String() }

package wgpeer

import "golang.zx2c4.com/wireguard/wgctrl/wgtypes"

// A PublicKey names a peer. It is no secret, and prints as base64.
type PublicKey = wgtypes.Key

// A PrivateKey is a secret.
type PrivateKey struct{ key wgtypes.Key }

// A PresharedKey is a secret.
type PresharedKey struct{ key wgtypes.Key }

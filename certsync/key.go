package certsync

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
)

// A PrivateKey is the secret half of a certificate. The zero value is none. It prints,
// marshals and logs as "redacted".
type PrivateKey struct {
	// fmt does not ask the methods of what an unexported field of another struct holds;
	// there it finds a pointer, and it follows those to arrays, but not those to strings.
	pem *string
}

// IsZero reports whether there is no key.
func (k PrivateKey) IsZero() bool { return k.pem == nil }

// Reveal returns the key as PEM in PKCS #8 (RFC 7468, section 10), or nil if there is
// none.
func (k PrivateKey) Reveal() []byte {
	if k.IsZero() {
		return nil
	}
	return []byte(*k.pem)
}

// Signer returns the key to sign with: an *ecdsa.PrivateKey, an *rsa.PrivateKey or an
// ed25519.PrivateKey.
func (k PrivateKey) Signer() (crypto.Signer, error) {
	block, _ := pem.Decode(k.Reveal())
	if block == nil {
		return nil, errors.New("there is no private key")
	}
	return parseKeyDER(block)
}

// Type returns the kind of key and its size.
func (k PrivateKey) Type() (KeyType, error) {
	signer, err := k.Signer()
	if err != nil {
		return "", err
	}
	return keyType(signer.Public()), nil
}

const redacted = "redacted"

// String returns "redacted".
func (PrivateKey) String() string { return redacted }

// Format prints "redacted", whatever the verb.
func (PrivateKey) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText returns "redacted".
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// ParsePrivateKey reads a key from PEM: PKCS #8, SEC 1 ("EC PRIVATE KEY") or PKCS #1
// ("RSA PRIVATE KEY"), not encrypted. Its error is a [*ParseError] without any of the text.
func ParsePrivateKey(data []byte) (PrivateKey, error) {
	blocks, err := parsePEM("private key", data)
	if err != nil {
		return PrivateKey{}, err
	}
	var key PrivateKey
	for _, b := range blocks {
		switch {
		case b.Type == "EC PARAMETERS":
		case !key.IsZero():
			return PrivateKey{}, b.fail("a second block, %s, where one key was expected", b.Type)
		default:
			if key, err = b.key(); err != nil {
				return PrivateKey{}, err
			}
		}
	}
	return key, nil
}

// NewPrivateKey makes a key. An empty type is [ECDSAP256].
func NewPrivateKey(t KeyType) (PrivateKey, error) {
	var signer crypto.Signer
	var err error
	switch t {
	case "", ECDSAP256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048, RSA3072, RSA4096:
		bits := map[KeyType]int{RSA2048: 2048, RSA3072: 3072, RSA4096: 4096}[t]
		signer, err = rsa.GenerateKey(rand.Reader, bits)
	case Ed25519:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		return PrivateKey{}, &ValueError{Field: "key type", Value: string(t), Reason: "it is not one of this package's"}
	}
	if err != nil {
		return PrivateKey{}, err
	}
	return PrivateKeyOf(signer)
}

// PrivateKeyOf keeps a key that a caller has.
func PrivateKeyOf(signer crypto.Signer) (PrivateKey, error) {
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return PrivateKey{}, err
	}
	return keyFromPKCS8(der), nil
}

func keyFromPKCS8(der []byte) PrivateKey {
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return PrivateKey{&text}
}

func parseKeyDER(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the private key is encrypted, and no daemon could read it unattended")
	default:
		return nil, fmt.Errorf("%s is no private key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a private key of type %T cannot sign", key)
	}
	return signer, nil
}

// A KeyType is a kind of key with its size, as tools write it.
type KeyType string

// The kinds of keys. Certificate authorities on the Internet sign no Ed25519 yet.
const (
	ECDSAP256 KeyType = "ecdsa-p256"
	ECDSAP384 KeyType = "ecdsa-p384"
	RSA2048   KeyType = "rsa-2048"
	RSA3072   KeyType = "rsa-3072"
	RSA4096   KeyType = "rsa-4096"
	Ed25519   KeyType = "ed25519"
)

// keyType names the type of a public key; what NewPrivateKey does not make has a name
// that says what it is.
func keyType(public any) KeyType {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return KeyType(fmt.Sprintf("ecdsa-p%d", k.Curve.Params().BitSize))
	case *rsa.PublicKey:
		return KeyType(fmt.Sprintf("rsa-%d", k.N.BitLen()))
	case ed25519.PublicKey:
		return Ed25519
	}
	return KeyType(fmt.Sprintf("%T", public))
}

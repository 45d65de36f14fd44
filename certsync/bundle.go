package certsync

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A Bundle is a certificate with its chain and its key: what belongs together.
type Bundle struct {
	Name  string     // by which sources and directories know it
	Chain []byte     // certificates as PEM, the leaf first
	Key   PrivateKey // of the leaf
	From  string     // where it was read, for error messages: a path or an address
}

// ParseBundle reads a bundle from one text, such as [Bundle.Combined] writes: one private
// key and at least one certificate. If the text begins with a digest, what follows must
// have it. From is where the text comes from. Errors are [*ParseError]; whether the parts
// belong together is for [Bundle.Validate] to say.
func ParseBundle(name, from string, data []byte) (*Bundle, error) {
	if want, rest, ok := cutDigest(data); ok && sha256.Sum256(rest) != want {
		return nil, &ParseError{File: from, Line: 1, Col: 1, Err: errors.New("what follows does not have this digest: it is cut off, or was changed")}
	}
	blocks, err := parsePEM(from, data)
	if err != nil {
		return nil, err
	}
	return bundleOf(name, from, blocks)
}

// ParsePair reads a bundle from a text with the chain and another with the key, and the
// names of the two for errors.
func ParsePair(name, chainFrom string, chain []byte, keyFrom string, key []byte) (*Bundle, error) {
	blocks, err := parsePEM(chainFrom, chain)
	if err != nil {
		return nil, err
	}
	keyBlocks, err := parsePEM(keyFrom, key)
	if err != nil {
		return nil, err
	}
	return bundleOf(name, chainFrom, append(keyBlocks, blocks...))
}

func bundleOf(name, from string, blocks []pemBlock) (*Bundle, error) {
	b := &Bundle{Name: name, From: from}
	var chain strings.Builder
	for _, block := range blocks {
		switch {
		case block.Type == "EC PARAMETERS": // openssl ecparam writes them before the key
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if !b.Key.IsZero() {
				return nil, block.fail("a second private key")
			}
			key, err := block.key()
			if err != nil {
				return nil, err
			}
			b.Key = key
		default:
			if _, err := block.certificate(); err != nil {
				return nil, err
			}
			encodeCertificate(&chain, block.Bytes)
		}
	}
	b.Chain = []byte(chain.String())
	switch {
	case b.Key.IsZero():
		return nil, &ParseError{File: from, Err: errors.New("it holds no private key")}
	case len(b.Chain) == 0:
		return nil, &ParseError{File: from, Err: errors.New("it holds no certificate")}
	}
	return b, nil
}

// Certificates returns the chain, the leaf first.
func (b *Bundle) Certificates() ([]*x509.Certificate, error) {
	blocks, err := parsePEM(b.From, b.Chain)
	if err != nil {
		return nil, err
	}
	list := make([]*x509.Certificate, len(blocks))
	for i, block := range blocks {
		if list[i], err = block.certificate(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Leaf returns the first certificate of the chain.
func (b *Bundle) Leaf() (*x509.Certificate, error) {
	list, err := b.Certificates()
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// TLS returns the bundle as a server of package crypto/tls takes it.
func (b *Bundle) TLS() (tls.Certificate, error) {
	return tls.X509KeyPair(b.Chain, b.Key.Reveal())
}

// Combined returns the bundle as one text: a comment with its digest, the key, the chain.
// This is what [Handler] sends and what a combined file holds, in the order that Postfix
// wants (smtpd_tls_chain_files). The digest is the SHA-256 of all that follows its line.
func (b *Bundle) Combined() []byte {
	body := b.body()
	return append(digestLine(sha256.Sum256(body)), body...)
}

// body is the key and the chain. It depends on nothing but their content, since both are
// encoded here, without the comments and line ends that they came with.
func (b *Bundle) body() []byte {
	return append(b.Key.Reveal(), b.chain()...)
}

// chain is the chain as it is written: if it cannot be read, as it is.
func (b *Bundle) chain() []byte {
	blocks, err := parsePEM(b.From, b.Chain)
	if err != nil {
		return b.Chain
	}
	var text strings.Builder
	for _, block := range blocks {
		encodeCertificate(&text, block.Bytes)
	}
	return []byte(text.String())
}

// Fingerprint identifies what the bundle holds. It differs if the leaf, another
// certificate of the chain or the key does, and only then: comments, line ends and the
// encoding of the key do not matter. It is not the fingerprint of the leaf that openssl
// shows.
func (b *Bundle) Fingerprint() Fingerprint { return sha256.Sum256(b.body()) }

// A Fingerprint is the digest of a bundle. The zero value is none.
type Fingerprint [sha256.Size]byte

// IsZero reports whether there is none.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// String returns it in hexadecimal, or "" if there is none.
func (f Fingerprint) String() string {
	if f.IsZero() {
		return ""
	}
	return hex.EncodeToString(f[:])
}

// ParseFingerprint reads what String wrote.
func ParseFingerprint(text string) (f Fingerprint, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(f) && text != "" {
		return f, &ValueError{Field: "fingerprint", Value: text, Reason: "it has 64 hexadecimal digits"}
	}
	copy(f[:], raw)
	return f, nil
}

// MarshalText is String.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is [ParseFingerprint].
func (f *Fingerprint) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFingerprint(string(text))
	return err
}

const digestPrefix = "# sha256 "

// digestLine is a line that programs which read PEM pass over.
func digestLine(f Fingerprint) []byte { return fmt.Appendf(nil, "%s%x\n", digestPrefix, f[:]) }

// cutDigest cuts the digest from the front of a text. It is false if there is none.
func cutDigest(data []byte) (want Fingerprint, rest []byte, ok bool) {
	line, rest, found := bytes.Cut(data, []byte("\n"))
	digits, ok := bytes.CutPrefix(line, []byte(digestPrefix))
	if !ok || !found {
		return want, data, false
	}
	// Digits that are none leave a digest of zeros, which no text has.
	want, _ = ParseFingerprint(string(digits))
	return want, rest, true
}

package certsync

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// A pemBlock is a PEM block (RFC 7468) and where it begins.
type pemBlock struct {
	*pem.Block
	file string
	line int
}

var beginPEM = []byte("-----BEGIN ")

// parsePEM reads every block of a text. Other lines between blocks are explanatory text
// (RFC 7468, section 2). Package pem passes silently over a block that is damaged; here
// that is an error.
func parsePEM(file string, data []byte) ([]pemBlock, error) {
	var blocks []pemBlock
	line, whole := 1, data
	for len(data) > 0 {
		text, rest, _ := bytes.Cut(data, []byte("\n"))
		if !bytes.HasPrefix(text, beginPEM) {
			data, line = rest, line+1
			continue
		}
		end := bytes.Index(rest, []byte("-----END "))
		if next := bytes.Index(rest, beginPEM); end < 0 || next >= 0 && next < end {
			return nil, &ParseError{File: file, Line: line, Col: 1, Err: errors.New("a PEM block is cut off")}
		}
		block, after := pem.Decode(data)
		used := len(data) - len(after)
		if block == nil || bytes.Count(data[:used], beginPEM) != 1 {
			return nil, &ParseError{File: file, Line: line, Col: 1, Err: errors.New("a PEM block is damaged")}
		}
		blocks = append(blocks, pemBlock{block, file, line})
		line += bytes.Count(data[:used], []byte("\n"))
		data = after
	}
	if len(blocks) == 0 {
		return nil, &ParseError{File: file, Line: 1, Col: 1, Err: errors.New("it holds no PEM block" + whatItIs(whole))}
	}
	return blocks, nil
}

// whatItIs names what is often found where PEM should be.
func whatItIs(data []byte) string {
	text := bytes.ToLower(bytes.TrimSpace(data))
	switch {
	case len(text) == 0:
		return ": it is empty"
	case bytes.HasPrefix(text, []byte("<!doctype")), bytes.HasPrefix(text, []byte("<html")):
		return ": it is a page of HTML"
	case data[0] == 0x30: // an ASN.1 sequence
		return ": it looks like DER or PKCS #12"
	}
	return ""
}

func (b pemBlock) fail(format string, args ...any) error {
	return &ParseError{File: b.file, Line: b.line, Col: 1, Err: fmt.Errorf(format, args...)}
}

// key reads a private key, and keeps it as PKCS #8, so that equal keys are equal bytes.
func (b pemBlock) key() (PrivateKey, error) {
	if len(b.Headers) > 0 {
		return PrivateKey{}, b.fail("the private key is encrypted, and no daemon could read it unattended")
	}
	signer, err := parseKeyDER(b.Block)
	if err != nil {
		return PrivateKey{}, b.fail("%w", err)
	}
	return PrivateKeyOf(signer)
}

// certificate checks that the block is one.
func (b pemBlock) certificate() (*x509.Certificate, error) {
	if b.Type != "CERTIFICATE" {
		return nil, b.fail("%s where a certificate was expected", b.Type)
	}
	cert, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, b.fail("%w", err)
	}
	return cert, nil
}

func encodeCertificate(b *strings.Builder, der []byte) {
	pem.Encode(b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
}

package certsync

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A LocalCA is an authority of one's own, an [Issuer] for tests, rehearsals and names
// that are not on the Internet. It has a root, which clients must be told to trust, and
// an intermediate, which signs.
type LocalCA struct {
	opt          LocalCAOptions
	root         *Bundle // each with its own certificate alone
	intermediate *Bundle
}

// LocalCAOptions are the choices of a [LocalCA].
type LocalCAOptions struct {
	// Path is a directory in which the authority is kept, with its keys, and from which one
	// that is there is read. It is made if it is missing, with mode 0700. Empty: in memory
	// only.
	Path string
	// Organization is in the names of its certificates. Empty: "Local CA".
	Organization string
	// KeyType is that of its own keys and of those that it makes. Empty: [ECDSAP256].
	KeyType KeyType
	// Lifetime is how long a certificate is valid from when it is made. 0: 90 days.
	Lifetime time.Duration
	// Backdate is how long it has been valid when it is made, for clocks that are slow.
	// 0: an hour; negative: not at all.
	Backdate time.Duration
	// NoIntermediate has the root sign, so that chains are only a leaf.
	NoIntermediate bool
}

// caLifetime is that of root and intermediate: longer than anybody rehearses.
const caLifetime = 10 * 365 * 24 * time.Hour

// NewLocalCA makes an authority, or reads the one that lies at Path. Nil options are the
// zero value.
func NewLocalCA(opt *LocalCAOptions) (*LocalCA, error) {
	ca := &LocalCA{}
	if opt != nil {
		ca.opt = *opt
	}
	if ca.opt.Organization == "" {
		ca.opt.Organization = "Local CA"
	}
	if ca.opt.Lifetime == 0 {
		ca.opt.Lifetime = 90 * 24 * time.Hour
	}
	if ca.opt.Backdate == 0 {
		ca.opt.Backdate = time.Hour
	}
	var err error
	if ca.opt.Path == "" {
		err = ca.generate()
	} else if err = ca.load(); errors.Is(err, fs.ErrNotExist) {
		err = ca.create()
	}
	if err != nil {
		return nil, fmt.Errorf("local authority: %w", err)
	}
	return ca, nil
}

// Root returns the root's certificate as PEM, for the trust store of a client.
func (ca *LocalCA) Root() []byte { return slices.Clone(ca.root.Chain) }

// Roots returns a pool that holds the root.
func (ca *LocalCA) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.root.Chain)
	return pool
}

// Issue makes a certificate with a new key, for servers and for clients.
func (ca *LocalCA) Issue(_ context.Context, req Request) (*Bundle, error) {
	if err := checkName(req.Name); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature,
		// A consumer may show it to a Publisher that asks for a client's.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, domain := range domains(req.Name, req.Domains) {
		if ip := net.ParseIP(domain); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, domain)
	}
	now := time.Now()
	template.NotBefore = now.Add(-max(ca.opt.Backdate, 0))
	template.NotAfter = now.Add(ca.opt.Lifetime)
	signer := ca.intermediate
	if ca.opt.NoIntermediate {
		signer = ca.root
	}
	b, err := ca.sign(template, signer)
	if err != nil {
		return nil, err
	}
	b.Name = req.Name
	if !ca.opt.NoIntermediate {
		b.Chain = append(b.Chain, ca.intermediate.Chain...)
	}
	return b, nil
}

// generate makes root and intermediate.
func (ca *LocalCA) generate() (err error) {
	if ca.root, err = ca.authority("Root", nil); err != nil {
		return err
	}
	ca.intermediate, err = ca.authority("Intermediate", ca.root)
	return err
}

func (ca *LocalCA) authority(role string, signer *Bundle) (*Bundle, error) {
	now := time.Now()
	return ca.sign(&x509.Certificate{
		Subject:               pkix.Name{Organization: []string{ca.opt.Organization}, CommonName: ca.opt.Organization + " " + role},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        signer != nil, // the intermediate makes no further ones
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, signer)
}

// sign makes a key and a certificate for it. Without a signer it signs itself.
func (ca *LocalCA) sign(template *x509.Certificate, signer *Bundle) (*Bundle, error) {
	key, err := NewPrivateKey(ca.opt.KeyType)
	if err != nil {
		return nil, err
	}
	own, err := key.Signer()
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	parent, parentKey := template, crypto.Signer(own)
	if signer != nil {
		if parent, err = signer.Leaf(); err != nil {
			return nil, err
		}
		if parentKey, err = signer.Key.Signer(); err != nil {
			return nil, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	return &Bundle{Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: key}, nil
}

// authorityFile has the keys and certificates of root and intermediate. It is one file,
// so that a crash leaves both or neither, and its name does not invite anybody to hand it
// to clients as the root to trust.
const authorityFile = "authority.pem"

func (ca *LocalCA) load() error {
	path := filepath.Join(ca.opt.Path, authorityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	blocks, err := parsePEM(path, data)
	if err != nil {
		return err
	}
	if len(blocks) != 4 {
		return &ParseError{File: path, Err: errors.New("it does not hold the keys and certificates of a root and an intermediate")}
	}
	if ca.root, err = bundleOf("root", path, blocks[:2]); err != nil {
		return err
	}
	ca.intermediate, err = bundleOf("intermediate", path, blocks[2:])
	return err
}

// create makes the authority and keeps it, unless another process has just done so.
func (ca *LocalCA) create() error {
	unlock, err := lock(context.Background(), filepath.Join(ca.opt.Path, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := ca.load(); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := errors.Join(removeTemps(ca.opt.Path), ca.generate()); err != nil {
		return err
	}
	path := filepath.Join(ca.opt.Path, authorityFile)
	return replaceFile(path, private, slices.Concat(ca.root.body(), ca.intermediate.body()))
}

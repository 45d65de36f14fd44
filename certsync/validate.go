package certsync

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Policy says what a bundle must be before it is installed. The zero value asks for all
// but a certain root: see its fields.
type Policy struct {
	// Names are the domains and addresses that the leaf must cover. Nil: the bundle's
	// name. A wildcard is covered by the same wildcard only.
	Names []string
	// Roots are those to which the chain must lead. Nil: any issuer is fine, but the
	// chain must bring it, since no client would find it by itself.
	Roots *x509.CertPool
	// KeyTypes are those that are allowed. Nil: all.
	KeyTypes []KeyType
	// Installed is what the bundle would replace: it must not be valid for longer. Nil:
	// nothing.
	Installed *x509.Certificate
	// Tolerance is by how much this machine's clock may be slow when a certificate is not
	// yet valid. 0: five minutes; negative: none.
	Tolerance time.Duration
	// Now is the time at which it must be valid. Zero: time.Now().
	Now time.Time
}

// A Rule is one of those that [Bundle.Validate] checks.
type Rule string

// The rules that a bundle can break.
const (
	RulePEM     Rule = "pem"           // the text can be read
	RuleKey     Rule = "key"           // the key is the leaf's
	RuleLeaf    Rule = "leaf first"    // the first certificate is for servers, and no authority's
	RuleChain   Rule = "chain"         // each is signed by the next, to an intermediate or a root
	RuleNames   Rule = "names"         // every name is covered
	RuleExpired Rule = "expired"       // all are still valid
	RuleNotYet  Rule = "not yet valid" // and already
	RuleOlder   Rule = "older"         // it does not end before the installed one
	RuleKeyType Rule = "key type"      // the policy allows it
)

// An InvalidError says which rule a bundle breaks. Several are joined; errors.As finds
// the first.
type InvalidError struct {
	File    string // where the bundle comes from, or its name
	Subject string // of the certificate that breaks the rule
	Rule    Rule
	Err     error
}

// Error returns "file: subject: rule: reason".
func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s: %s: %s: %v", e.File, e.Subject, e.Rule, e.Err)
}

// Unwrap returns Err.
func (e *InvalidError) Unwrap() error { return e.Err }

// Validate returns every rule that the bundle breaks, each an [*InvalidError].
func (b *Bundle) Validate(p Policy) error {
	chain, err := b.Certificates()
	if err != nil {
		return &InvalidError{b.origin(), b.Name, RulePEM, err}
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	if p.Tolerance == 0 {
		p.Tolerance = 5 * time.Minute
	}
	p.Names = domains(b.Name, p.Names)
	v := violations{file: b.origin()}
	v.checkLeaf(chain[0], b.Key, p)
	v.checkTimes(chain, p)
	v.checkChain(chain, p)
	return errors.Join(v.errs...)
}

type violations struct {
	file string
	errs []error
}

func (v *violations) add(c *x509.Certificate, rule Rule, format string, args ...any) {
	v.errs = append(v.errs, &InvalidError{v.file, subject(c), rule, fmt.Errorf(format, args...)})
}

// subject is how an error calls a certificate: authorities leave the common name of a
// leaf out by now.
func subject(c *x509.Certificate) string {
	if c.Subject.CommonName == "" && len(c.DNSNames) > 0 {
		return "CN=" + c.DNSNames[0]
	}
	return c.Subject.String()
}

func (v *violations) checkLeaf(leaf *x509.Certificate, key PrivateKey, p Policy) {
	if err := checkPair(leaf, key); err != nil {
		v.add(leaf, RuleKey, "%w", err)
	}
	if t := keyType(leaf.PublicKey); p.KeyTypes != nil && !slices.Contains(p.KeyTypes, t) {
		v.add(leaf, RuleKeyType, "%s is not allowed", t)
	}
	if leaf.IsCA {
		v.add(leaf, RuleLeaf, "the first certificate is that of an authority")
	}
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		v.add(leaf, RuleLeaf, "it is not for servers")
	}
	for _, name := range p.Names {
		if !covers(leaf, name) {
			v.add(leaf, RuleNames, "%q is not covered", name)
		}
	}
}

// checkPair reports whether the key is the leaf's.
func checkPair(leaf *x509.Certificate, key PrivateKey) error {
	signer, err := key.Signer()
	if err != nil {
		return err
	}
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(signer.Public()) {
		return errors.New("the private key belongs to another certificate")
	}
	return nil
}

// checkKey is the rule without which a bundle is none.
func (b *Bundle) checkKey() error {
	leaf, err := b.Leaf()
	if err != nil {
		return err
	}
	if err := checkPair(leaf, b.Key); err != nil {
		return &InvalidError{b.origin(), subject(leaf), RuleKey, err}
	}
	return nil
}

// origin is how errors call the bundle's file.
func (b *Bundle) origin() string {
	if b.From == "" {
		return b.Name
	}
	return b.From
}

// covers is VerifyHostname, but for wildcards, which that takes for no host.
func covers(leaf *x509.Certificate, name string) bool {
	if strings.HasPrefix(name, "*.") {
		return slices.ContainsFunc(leaf.DNSNames, func(have string) bool { return strings.EqualFold(have, name) })
	}
	return leaf.VerifyHostname(name) == nil
}

func (v *violations) checkTimes(chain []*x509.Certificate, p Policy) {
	for _, c := range chain {
		if p.Now.After(c.NotAfter) {
			v.add(c, RuleExpired, "not valid after %s", c.NotAfter.Format(time.RFC3339))
		}
		if early := c.NotBefore.Sub(p.Now); early > max(p.Tolerance, 0) {
			v.add(c, RuleNotYet, "not valid before %s, and it is %s", c.NotBefore.Format(time.RFC3339), p.Now.UTC().Format(time.RFC3339))
		}
	}
	if leaf := chain[0]; p.Installed != nil && leaf.NotAfter.Before(p.Installed.NotAfter) {
		v.add(leaf, RuleOlder, "it ends %s, and the installed one %s", leaf.NotAfter.Format(time.RFC3339), p.Installed.NotAfter.Format(time.RFC3339))
	}
}

// checkChain asks for signatures, not for times, which checkTimes has reported.
func (v *violations) checkChain(chain []*x509.Certificate, p Policy) {
	for i, c := range chain[:len(chain)-1] {
		if err := c.CheckSignatureFrom(chain[i+1]); err != nil {
			v.add(c, RuleChain, "the next certificate, %s, has not signed it: %w", subject(chain[i+1]), err)
			return
		}
	}
	leaf, last := chain[0], chain[len(chain)-1]
	if p.Roots == nil {
		if len(chain) == 1 {
			v.add(leaf, RuleChain, "the intermediate certificate of %s is missing", leaf.Issuer)
		}
		return
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	// At an instant at which all certificates of the chain are valid, if there is one.
	at := p.Now
	for _, c := range chain {
		if at.Before(c.NotBefore) {
			at = c.NotBefore
		}
		if at.After(c.NotAfter) {
			at = c.NotAfter
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: p.Roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		v.add(last, RuleChain, "it does not lead to a trusted root: %w", err)
	}
}

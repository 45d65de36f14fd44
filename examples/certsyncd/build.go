package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/certsync/acme"
	"github.com/rehost/rehost/examples/internal/certconf"
)

// A config makes the library's values of what FILE says.
type config struct {
	*certconf.Config
	path string
	log  *slog.Logger // nil for a single run, which prints what happens
}

func (c *config) certificates() []certsync.Certificate {
	var list []certsync.Certificate
	for _, cert := range c.Certificates {
		list = append(list, certsync.Certificate{Name: cert.Name, Domains: cert.Domains})
	}
	return list
}

// state is the path of a file that keeps what was done; "": the library's own.
func (c *config) state(file string) string {
	if c.State == "" {
		return ""
	}
	return filepath.Join(c.State, file)
}

// published is where issued certificates are kept, and given away from.
func (c *config) published() *certsync.Dir {
	return &certsync.Dir{Path: c.Publish.Dir, Layout: c.Publish.Layout.Layout}
}

// renewer asks issuer for certificates. Nil: it is for a look at the files alone, and asks
// nobody.
func (c *config) renewer(issuer certsync.Issuer) *certsync.Renewer {
	return &certsync.Renewer{
		Issuer:       cmp.Or(issuer, certsync.Issuer(nobody{})),
		Dir:          c.published(),
		Certificates: c.certificates(),
		State:        c.state("renewals.json"),
		Interval:     c.Interval.Duration,
		Alarm:        c.Alarm.Duration,
		Notify:       c.mailer(),
		Log:          c.log,
	}
}

type nobody struct{}

func (nobody) Issue(context.Context, certsync.Request) (*certsync.Bundle, error) {
	return nil, errors.ErrUnsupported
}

func (c *config) issuer() (certsync.Issuer, error) {
	i := c.Issue
	if i.LocalCA != "" {
		return certsync.NewLocalCA(&certsync.LocalCAOptions{Path: i.LocalCA, KeyType: i.KeyType})
	}
	cfg := acme.Config{
		Directory:      i.Directory,
		AcceptTerms:    i.AcceptTerms,
		Email:          i.Email,
		Path:           i.Account,
		KeyID:          i.KeyID,
		Profile:        i.Profile,
		PreferredChain: i.PreferredChain,
		KeyType:        i.KeyType,
		ReuseKey:       i.ReuseKey,
		HTTP01:         i.HTTP01,
		TLSALPN01:      i.TLSALPN01,
		Log:            c.log,
	}
	var err error
	if cfg.HTTP, err = trusting(i.CA); err != nil {
		return nil, err
	}
	if i.HMACFile != "" {
		text, err := os.ReadFile(i.HMACFile)
		if err != nil {
			return nil, err
		}
		if cfg.HMAC, err = acme.ParseHMAC(string(bytes.TrimSpace(text))); err != nil {
			return nil, fmt.Errorf("%s: %w", i.HMACFile, err)
		}
	}
	return acme.New(cfg)
}

func (c *config) consumer() (*certsync.Consumer, error) {
	source, err := c.source()
	if err != nil {
		return nil, err
	}
	i := c.Install
	policy := certsync.Policy{KeyTypes: i.KeyTypes}
	if i.Roots != "" {
		if policy.Roots, err = pool(i.Roots); err != nil {
			return nil, err
		}
	}
	return &certsync.Consumer{
		Source:       source,
		Dir:          &certsync.Dir{Path: i.Dir, Layout: i.Layout.Layout, Owner: i.Owner, Group: i.Group, Mode: i.Mode.FileMode, Keep: i.Keep},
		Certificates: c.certificates(),
		Policy:       policy,
		Daemons:      c.daemons(),
		Rollback:     c.Rollback,
		State:        c.state("state.json"),
		Interval:     c.Interval.Duration,
		Alarm:        c.Alarm.Duration,
		Notify:       c.mailer(),
		Log:          c.log,
	}, nil
}

func (c *config) source() (certsync.Source, error) {
	f := c.Fetch
	if f.Dir != "" {
		return &certsync.Dir{Path: f.Dir, Layout: f.Layout.Layout}, nil
	}
	client, err := trusting(f.CA)
	return &certsync.Client{URL: f.URL, Layout: f.Layout.Layout, HTTP: client, Plain: f.Plain, Log: c.log}, err
}

// trusting is a client that trusts the roots in a file. "": nil, for the library's own.
func trusting(ca string) (*http.Client, error) {
	if ca == "" {
		return nil, nil
	}
	roots, err := pool(ca)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	return &http.Client{Transport: transport}, nil
}

func pool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: it holds no certificate", path)
	}
	return roots, nil
}

func (c *config) daemons() []certsync.Daemon {
	var list []certsync.Daemon
	for _, d := range c.Daemons {
		daemon := certsync.Daemon{Name: d.Name, Names: d.Certificates, Patience: d.Patience.Duration}
		switch {
		case d.Reload != nil:
			daemon.Reload = certsync.ReloadCommand(d.Reload...)
		case d.Signal != "":
			daemon.Reload = certsync.ReloadSignal(d.PIDFile, certconf.Signals[d.Signal])
		}
		var probes []certsync.Probe
		for _, p := range d.Probes {
			probes = append(probes, p.Sync(c.serverName(d)))
		}
		if probes != nil {
			daemon.Probe = certsync.Probes(probes...)
		}
		list = append(list, daemon)
	}
	return list
}

// serverName is what a daemon is asked for at a bare address: the first domain of its
// first certificate.
func (c *config) serverName(d certconf.Daemon) string {
	for _, cert := range c.Certificates {
		if d.Certificates == nil || cert.Name == d.Certificates[0] {
			if cert.Domains != nil {
				return cert.Domains[0]
			}
			return cert.Name
		}
	}
	return ""
}

// mailer sends the events of a run to those who want to know; nil: nobody does.
func (c *config) mailer() func(context.Context, []certsync.Event) error {
	if c.Notify == nil {
		return nil
	}
	return func(ctx context.Context, events []certsync.Event) error {
		return sendMail(ctx, c.Notify, c.path, events, time.Now())
	}
}

package rehearsal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rehost/rehost/certsync"
)

// A tlsDaemon stands for those of the guest that serve certificates. It reads them when
// it starts, and when it is told to.
type tlsDaemon struct {
	server *server
	dir    *certsync.Dir
	list   []certsync.Certificate

	mu      sync.Mutex
	served  map[string]*tls.Certificate // by domain
	reloads int
}

// startTLSDaemon serves those of the certificates that are in the folder, and the old ones
// for the others.
func startTLSDaemon(dir *certsync.Dir, list []certsync.Certificate, old map[string]*certsync.Bundle) (*tlsDaemon, error) {
	d := &tlsDaemon{dir: dir, list: list, served: map[string]*tls.Certificate{}}
	for _, c := range list {
		if b := old[c.Name]; b != nil {
			if err := d.take(c, b); err != nil {
				return nil, err
			}
		}
	}
	if err := d.read(context.Background()); err != nil {
		return nil, err
	}
	config := &tls.Config{GetCertificate: d.certificate}
	var err error
	d.server, err = serve(func(conn net.Conn) {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		tls.Server(conn, config).Handshake()
	})
	return d, err
}

// listener is nil for a daemon that was never started.
func (d *tlsDaemon) listener() *server {
	if d == nil {
		return nil
	}
	return d.server
}

func (d *tlsDaemon) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.served[hello.ServerName]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no certificate for %q", hello.ServerName)
}

// reload is a certsync.Reload.
func (d *tlsDaemon) reload(ctx context.Context) error {
	d.mu.Lock()
	d.reloads++
	d.mu.Unlock()
	return d.read(ctx)
}

func (d *tlsDaemon) read(ctx context.Context) error {
	var errs []error
	for _, c := range d.list {
		b, err := d.dir.Fetch(ctx, c.Name, certsync.Fingerprint{})
		if err == nil {
			err = d.take(c, b)
		}
		if !errors.Is(err, certsync.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (d *tlsDaemon) take(c certsync.Certificate, b *certsync.Bundle) error {
	pair, err := b.TLS()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, domain := range ownDomains(d.list, c.Name) {
		d.served[domain] = &pair
	}
	return nil
}

// told is how often it was told to read its certificates again.
func (d *tlsDaemon) told() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reloads
}

// ownDomains are those of a certificate that none before it in the list covers.
func ownDomains(list []certsync.Certificate, name string) []string {
	var own []string
	taken := map[string]bool{}
	for _, c := range list {
		for _, domain := range covers(c) {
			if c.Name == name && !taken[domain] {
				own = append(own, domain)
			}
			taken[domain] = true
		}
	}
	return own
}

func covers(c certsync.Certificate) []string {
	if c.Domains == nil {
		return []string{c.Name}
	}
	return c.Domains
}

// issueAll has an authority make each certificate.
func issueAll(ctx context.Context, ca *certsync.LocalCA, list []certsync.Certificate) (map[string]*certsync.Bundle, error) {
	made := map[string]*certsync.Bundle{}
	for _, c := range list {
		b, err := ca.Issue(ctx, certsync.Request{Name: c.Name, Domains: c.Domains})
		if err != nil {
			return nil, err
		}
		made[c.Name] = b
	}
	return made, nil
}

package rehearsal

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
)

// The paths by which the watch asks.
const (
	oldPath       = "old"
	newPath       = "new"
	secondaryPath = "secondary"
)

// A client is whoever uses the guest's services.
type client struct {
	domain string
	name   string // that it asks for over TLS
	roots  *x509.CertPool
	acks   *acks
}

// acks is the highest number of a message for which a client had an answer.
type acks struct {
	mu   sync.Mutex
	last uint64
}

func (a *acks) add(n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = max(a.last, n)
}

func (a *acks) get() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// newClient trusts some authorities.
func newClient(m *move.Move, authorities ...*certsync.LocalCA) client {
	c := client{domain: m.Domain, name: watched(m).Covers()[0], roots: x509.NewCertPool(), acks: &acks{}}
	for _, ca := range authorities {
		c.roots.AppendCertsFromPEM(ca.Root())
	}
	return c
}

// watched is the first certificate that a daemon serves.
func watched(m *move.Move) move.Certificate {
	for _, c := range m.Certificates {
		if len(m.Daemons) > 0 && c.Name == m.Daemons[0].Certificates[0] {
			return c
		}
	}
	return m.Certificates[0]
}

// deliver gives the service a message, and waits for its number.
func (c client) deliver(ctx context.Context, addr netip.AddrPort) error {
	n, err := c.say(ctx, addr, deliver)
	if err == nil {
		c.acks.add(n)
	}
	return err
}

// say asks the service something that it answers with a number.
func (c client) say(ctx context.Context, addr netip.AddrPort, what string) (uint64, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", addr.String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	fmt.Fprintln(conn, what)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("no answer from the service: %w", err)
	}
	return strconv.ParseUint(strings.TrimSpace(line), 10, 64)
}

// shake asks for a certificate, and verifies it as any client does.
func (c client) shake(ctx context.Context, addr netip.AddrPort) error {
	conn, err := (&tls.Dialer{Config: &tls.Config{ServerName: c.name, RootCAs: c.roots}}).DialContext(ctx, "tcp4", addr.String())
	if err != nil {
		return err
	}
	conn.Close()
	return nil
}

// resolve asks for the zone's SOA record.
func (c client) resolve(ctx context.Context, network string, server netip.AddrPort) error {
	_, err := ask(ctx, network, server, c.domain, dns.TypeSOA)
	return err
}

// startWatch asks all services by the old path, and the secondary, from now on.
func (r *rehearsal) startWatch(ctx context.Context) {
	g, c := r.guest, r.client
	r.watch = report.StartWatch(ctx, 100*time.Millisecond, patience,
		report.Question{Service: "mail", Path: oldPath, Ask: func(ctx context.Context) error { return c.deliver(ctx, g.service.addr) }},
		report.Question{Service: "TLS", Path: oldPath, Ask: func(ctx context.Context) error { return c.shake(ctx, g.tls.server.addr) }},
		report.Question{Service: "DNS", Path: oldPath, Ask: func(ctx context.Context) error { return c.resolve(ctx, "udp", g.dns.addr) }},
		report.Question{Service: "DNS", Path: secondaryPath, Ask: func(ctx context.Context) error { return c.resolve(ctx, "udp", r.secondary.addr) }},
	)
}

// watchNewPath asks them by the new path too.
func (r *rehearsal) watchNewPath(ctx context.Context) {
	rt, c := r.router, r.client
	r.watch.Begin(ctx, report.Question{Service: "mail", Path: newPath, Ask: func(ctx context.Context) error { return c.deliver(ctx, rt.service.addr) }})
	r.watch.Begin(ctx, report.Question{Service: "TLS", Path: newPath, Ask: func(ctx context.Context) error { return c.shake(ctx, rt.tls.addr) }})
	r.watch.Begin(ctx, report.Question{Service: "DNS", Path: newPath, Ask: func(ctx context.Context) error { return c.resolve(ctx, "tcp", rt.dns.addr) }})
}

package rehearsal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/certconf"
)

// certificates are those of the move.
func (r *rehearsal) certificates() []certsync.Certificate {
	var list []certsync.Certificate
	for _, c := range r.Move.Certificates {
		list = append(list, certsync.Certificate{Name: c.Name, Domains: c.Domains})
	}
	return list
}

// certificateFiles reads what certsyncd is to do at both ends.
func (r *rehearsal) certificateFiles(context.Context) error {
	m := r.Move
	const how = "certsyncd.toml of both ends, loaded as certsyncd does"
	router, err := r.certsyncd(m.Router.Name)
	guest, err2 := r.certsyncd(m.Guest.Name)
	if err := errors.Join(err, err2); err != nil {
		r.check("both ends have a file for certsyncd", how, "", err)
		return nil
	}
	r.check("both ends have a file for certsyncd", how, "", sameCertificates(router, guest, r.certificates()))
	if router.Publish == nil || guest.Fetch == nil {
		r.check("the guest may fetch, and fetches where the router publishes", how, "", errors.New("the router has no table publish, or the guest no table fetch"))
		return nil
	}
	at := m.Tunnel.Guest.Addr(true)
	allowed := certsync.AllowFrom(router.Publish.Allow...)(&http.Request{RemoteAddr: netip.AddrPortFrom(at, 1024).String()}, "")
	switch to := router.Publish.Listen.String(); {
	case !allowed:
		err = fmt.Errorf("the router gives nothing to %s, which is the guest", at)
	case !strings.Contains(guest.Fetch.URL, "//"+to+"/"):
		err = fmt.Errorf("the guest fetches from %q, and the router publishes at %s", guest.Fetch.URL, to)
	}
	r.check("the guest may fetch, and fetches where the router publishes", how, "", err)
	r.notTried("the files belong to the group that may read them", "a look at the guest", "it needs root there, and its groups")
	r.notTried("the authority reaches the solver for every name", "HTTP-01", "a local authority stands for it, which asks for no challenge")
	return nil
}

func (r *rehearsal) certsyncd(host string) (*certconf.Config, error) {
	const name = "/etc/certsyncd.toml"
	data, err := r.rendered(3, host, name)
	if err != nil {
		return nil, err
	}
	return certconf.Load(host+name, data)
}

// sameCertificates tells whether both ends, and the move, have the same in mind.
func sameCertificates(router, guest *certconf.Config, want []certsync.Certificate) error {
	var errs []error
	for host, c := range map[string]*certconf.Config{"the router": router, "the guest": guest} {
		for _, w := range want {
			there := func(have certconf.Certificate) bool {
				return have.Name == w.Name && slices.Equal(covers(certsync.Certificate(have)), covers(w))
			}
			if !slices.ContainsFunc(c.Certificates, there) {
				errs = append(errs, fmt.Errorf("%s does not have %s for %s", host, w.Name, strings.Join(covers(w), ", ")))
			}
		}
	}
	return errors.Join(errs...)
}

// firstCertificates are got, published, fetched, installed and served.
func (r *rehearsal) firstCertificates(ctx context.Context) error {
	if _, err := r.renewer(false).Renew(ctx); err != nil {
		return err
	}
	return r.withPublisher(func(url string, client *http.Client) {
		consumer := r.consumer(&certsync.Client{URL: url, HTTP: client, Retries: -1})
		_, err := consumer.Sync(ctx)
		r.check("the first certificates are installed and served", "a local authority, HTTPS, the guest's folder, a reload, a handshake", r.newest(), errors.Join(err, r.servesNewest(ctx, r.guest.tls.server.addr)))
		told := r.guest.tls.told()
		events, err := consumer.Sync(ctx)
		if again := r.guest.tls.told() - told; err == nil && (len(events) > 0 || again > 0) {
			err = fmt.Errorf("%d events, %d reloads", len(events), again)
		}
		r.check("a second sync changes nothing, and tells nobody", "what the daemon has been told", "", err)
	})
}

// renewal gets everything anew.
func (r *rehearsal) renewal(ctx context.Context) error {
	if _, err := r.renewer(true).Renew(ctx); err != nil {
		return err
	}
	return r.withPublisher(func(url string, client *http.Client) {
		_, err := r.consumer(&certsync.Client{URL: url, HTTP: client, Retries: -1}).Sync(ctx)
		r.check("a renewed certificate reaches the service", "a forced renewal, a sync, a handshake", r.newest(), errors.Join(err, r.servesNewest(ctx, r.guest.tls.server.addr)))
	})
}

// refusals are what is not to be given away, and what is not to be installed.
func (r *rehearsal) refusals(ctx context.Context) error {
	if router, err := r.certsyncd(r.Move.Router.Name); err == nil && router.Publish != nil {
		r.check("an address that is not allowed gets no key", "HTTPS with the rendered allow list, asked from another address", "answered with 403", r.stranger(router.Publish.Allow))
	}
	var asked atomic.Bool
	page := func(w http.ResponseWriter, _ *http.Request) {
		asked.Store(true)
		io.WriteString(w, "<html><title>503 Service Unavailable</title></html>\n")
	}
	err := r.withHTTPS(http.HandlerFunc(page), func(url string, client *http.Client) {
		r.refused(ctx, "an error page is not taken for a certificate", "HTML with status 200 in the publisher's place",
			&certsync.Client{URL: url, HTTP: client, Retries: -1}, &asked)
	})
	if err != nil {
		return err
	}
	asked.Store(false)
	others, err := issueAll(ctx, r.authority, r.certificates())
	if err != nil {
		return err
	}
	r.refused(ctx, "a chain with the key of another generation is not taken", "two certificates of one name, mixed",
		sourceFunc(func(ctx context.Context, name string) (*certsync.Bundle, error) {
			b, err := r.published.Fetch(ctx, name, certsync.Fingerprint{})
			if err != nil {
				return nil, err
			}
			asked.Store(true)
			return &certsync.Bundle{Name: name, Chain: others[name].Chain, Key: b.Key, From: "a mixture"}, nil
		}), &asked)
	return nil
}

// refused syncs with a source of which nothing is to be installed. That it was asked has to
// show: what the source gives is to be refused, not the way there to fail.
func (r *rehearsal) refused(ctx context.Context, check, how string, from certsync.Source, asked *atomic.Bool) {
	events, err := r.consumer(from).Sync(ctx)
	if !asked.Load() {
		r.check(check, how, "", errors.Join(errors.New("nothing was fetched"), err))
		return
	}
	// What cannot be had today is a warning, as long as the one in place is good.
	if err == nil && !slices.ContainsFunc(events, func(e certsync.Event) bool { return e.Err != nil }) {
		r.check(check, how, "", errors.New("sync has nothing to say against it"))
		return
	}
	r.check(check, how, "the one of before is still served", r.servesNewest(ctx, r.guest.tls.server.addr))
}

// sourceFunc is a certsync.Source that always has something else.
type sourceFunc func(ctx context.Context, name string) (*certsync.Bundle, error)

func (f sourceFunc) Fetch(ctx context.Context, name string, _ certsync.Fingerprint) (*certsync.Bundle, error) {
	return f(ctx, name)
}

func (r *rehearsal) renewer(force bool) *certsync.Renewer {
	return &certsync.Renewer{Issuer: r.authority, Dir: r.published, Certificates: r.certificates(), Force: force}
}

// consumer is the guest's. One daemon stands for all those of the move.
func (r *rehearsal) consumer(from certsync.Source) *certsync.Consumer {
	return &certsync.Consumer{Source: from, Dir: r.certs, Certificates: r.certificates(), Daemons: []certsync.Daemon{{
		Name: "tls", Reload: r.guest.tls.reload,
		Probe: certsync.ProbeTLS(r.guest.tls.server.addr.String(), r.client.name), Patience: patience,
	}}}
}

// newest describes the certificates that are published.
func (r *rehearsal) newest() string {
	var list []string
	for _, c := range r.certificates() {
		if leaf, err := r.leaf(context.Background(), c.Name); err == nil {
			list = append(list, fmt.Sprintf("%s with serial %x, until %s", c.Name, leaf.SerialNumber, leaf.NotAfter.Format(time.DateOnly)))
		}
	}
	return strings.Join(list, "; ")
}

// leaf is of a certificate that the router has.
func (r *rehearsal) leaf(ctx context.Context, name string) (*x509.Certificate, error) {
	b, err := r.published.Fetch(ctx, name, certsync.Fingerprint{})
	if err != nil {
		return nil, err
	}
	return b.Leaf()
}

// servesNewest asks for the certificates that are served, which are to be those that the
// router has.
func (r *rehearsal) servesNewest(ctx context.Context, at netip.AddrPort) error {
	var errs []error
	for _, c := range r.certificates() {
		domains := ownDomains(r.certificates(), c.Name)
		if len(domains) == 0 {
			continue // nobody would be shown it
		}
		want, err := r.leaf(ctx, c.Name)
		if err != nil {
			return err
		}
		got, err := certsync.ProbeTLS(at.String(), domains[0])(ctx)
		if err == nil && !got.Equal(want) {
			err = fmt.Errorf("%s: the one with serial %x is served, and the router has %x", c.Name, got.SerialNumber, want.SerialNumber)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// stranger asks a publisher with the rendered allow list from loopback, which is not in it.
func (r *rehearsal) stranger(allow []netip.Prefix) (err error) {
	if e := r.withHTTPS(certsync.Handler(r.published, certsync.AllowFrom(allow...)), func(url string, client *http.Client) {
		var answer *http.Response
		if answer, err = client.Get(url + r.Move.Certificates[0].Name); err != nil {
			return
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			err = fmt.Errorf("it is answered with %s", answer.Status)
		}
	}); e != nil {
		return e
	}
	return err
}

// withPublisher calls use with the address of the router's publisher, which gives the keys
// to loopback: that is where the guest is.
func (r *rehearsal) withPublisher(use func(url string, client *http.Client)) error {
	loopback := netip.MustParsePrefix("127.0.0.1/32")
	return r.withHTTPS(certsync.Handler(r.published, certsync.AllowFrom(loopback)), use)
}

// withHTTPS serves with a certificate of the authority's while use runs.
func (r *rehearsal) withHTTPS(handler http.Handler, use func(url string, client *http.Client)) error {
	b, err := r.authority.Issue(context.Background(), certsync.Request{Name: "publisher", Domains: []string{"127.0.0.1"}})
	if err != nil {
		return err
	}
	pair, err := b.TLS()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, ErrorLog: log.New(io.Discard, "", 0)}
	var done sync.WaitGroup
	done.Go(func() { server.ServeTLS(listener, "", "") })
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.authority.Roots()}}
	use("https://"+listener.Addr().String()+"/", &http.Client{Transport: transport, Timeout: 10 * time.Second})
	transport.CloseIdleConnections()
	err = server.Close()
	done.Wait()
	return err
}

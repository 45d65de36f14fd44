package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/rehost/rehost/certsync"
)

// logger writes to standard error, from where systemd and logger(1) take it.
func logger() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }

const serveHelp = `Serve gives certificates and their keys, from publish.dir, to those whose addresses are
in publish.allow, on publish.listen alone. What is asked and answered goes to standard
error. SIGTERM ends it when everybody has been answered.
`

func (f *flags) serve(ctx context.Context, args []string) error {
	c, err := load(args[0])
	if err != nil {
		return err
	}
	if c.Publish == nil || !c.Publish.Listen.IsValid() {
		return c.lacks("publish with listen")
	}
	c.log = logger()
	listener, err := c.listen(ctx)
	if err != nil {
		return err
	}
	return c.answer(ctx, listener)
}

func (c *config) listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Publish.Listen.String())
	if err != nil {
		return nil, err
	}
	c.log.InfoContext(ctx, "serving", "listen", listener.Addr().String(), "dir", c.Publish.Dir)
	if c.Publish.TLS == "" {
		return listener, nil
	}
	return tls.NewListener(listener, &tls.Config{
		GetCertificate: (&ownCertificate{dir: c.published(), name: c.Publish.TLS}).get,
		NextProtos:     []string{"http/1.1"},
	}), nil
}

// answer gives certificates to whoever asks at a listener, until the context ends.
func (c *config) answer(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:      &certsync.Publisher{Source: c.published(), Allow: certsync.AllowFrom(c.Publish.Allow...), Log: c.log},
		ReadTimeout:  10 * time.Second, // of a body too, which nobody has a reason to send
		WriteTimeout: time.Minute,
		IdleTimeout:  2 * time.Minute,
		ErrorLog:     slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	<-ended
	return nil
}

// ownCertificate is what serve speaks TLS with. It is read again when it has changed.
type ownCertificate struct {
	dir  *certsync.Dir
	name string

	mu          sync.Mutex
	fingerprint certsync.Fingerprint
	loaded      tls.Certificate
}

func (o *ownCertificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, err := o.dir.Fetch(hello.Context(), o.name, o.fingerprint)
	if err == nil {
		var loaded tls.Certificate
		if loaded, err = b.TLS(); err == nil {
			o.loaded, o.fingerprint = loaded, b.Fingerprint()
		}
	}
	if o.fingerprint.IsZero() {
		return nil, err
	}
	// What cannot be read now must not take away what was good before.
	own := o.loaded
	return &own, nil
}

const runHelp = `Run issues, serves and syncs, whatever FILE has tables for, in one process: at once, and
then at every interval. SIGHUP has it look at once, SIGTERM ends it. FILE is read at the
start only: start it again after a change. What happens goes to standard error. It may run
beside the other commands.
`

func (f *flags) run(ctx context.Context, args []string) error {
	c, err := load(args[0])
	if err != nil {
		return err
	}
	c.log = logger()
	parts, err := c.parts(ctx)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() { cancel(part(running)) }) // none goes on without the others
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil // somebody has ended it
	}
	return context.Cause(running)
}

// parts are what run does, all at the same time.
func (c *config) parts(ctx context.Context) ([]func(context.Context) error, error) {
	var parts []func(context.Context) error
	wake := hangups()
	if c.Issue != nil {
		issuer, err := c.issuer()
		if err != nil {
			return nil, err
		}
		r := c.renewer(issuer)
		r.Wake = hangups()
		mail := r.Notify
		r.Notify = func(ctx context.Context, events []certsync.Event) error {
			select { // what is new here is installed here at once
			case wake <- syscall.SIGHUP:
			default:
			}
			if mail == nil {
				return nil
			}
			return mail(ctx, events)
		}
		parts = append(parts, r.Run)
	}
	if c.Install != nil {
		consumer, err := c.consumer()
		if err != nil {
			return nil, err
		}
		consumer.Wake = wake
		parts = append(parts, consumer.Run)
	}
	if c.Publish != nil && c.Publish.Listen.IsValid() {
		// Not in the part: where it fails, as long as there is no tunnel, systemd starts
		// all of this every ten seconds, and every time would ask the authority.
		listener, err := c.listen(ctx)
		if err != nil {
			return nil, err
		}
		parts = append(parts, func(ctx context.Context) error { return c.answer(ctx, listener) })
	}
	return parts, nil
}

func hangups() chan os.Signal {
	wake := make(chan os.Signal, 1)
	signal.Notify(wake, syscall.SIGHUP)
	return wake
}

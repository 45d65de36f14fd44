package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/challenge/http01"
	"github.com/go-acme/lego/v4/challenge/resolver"
	"github.com/go-acme/lego/v4/challenge/tlsalpn01"
)

// solvers answer the authority's questions while a certificate is got. They take the place
// of lego's, which open the port anew for each name: a port that is taken is found before
// the authority is asked for anything, and it is free the moment that they are closed. They
// also answer a proxy that does not pass the Host header on: the token is secret enough.
type solvers struct {
	http *httpSolver // nil: not wanted
	tls  *tlsSolver
}

// listen opens the ports that the configuration names.
func (i *Issuer) listen() (*solvers, error) {
	s := &solvers{}
	if i.cfg.HTTP01.IsValid() {
		l, err := net.Listen("tcp", i.cfg.HTTP01.String())
		if err != nil {
			return nil, err
		}
		s.http = serveHTTP(l)
	}
	if i.cfg.TLSALPN01.IsValid() {
		l, err := net.Listen("tcp", i.cfg.TLSALPN01.String())
		if err != nil {
			s.close()
			return nil, err
		}
		s.tls = serveTLS(l)
	}
	return s, nil
}

// use tells lego of them, and of the DNS provider.
func (s *solvers) use(manager *resolver.SolverManager, cfg Config) error {
	var err error
	if s.http != nil {
		err = errors.Join(err, manager.SetHTTP01Provider(s.http))
	}
	if s.tls != nil {
		err = errors.Join(err, manager.SetTLSALPN01Provider(s.tls))
	}
	if cfg.DNS01 != nil {
		err = errors.Join(err, manager.SetDNS01Provider(cfg.DNS01, cfg.DNS01Options...))
	}
	return err
}

func (s *solvers) close() {
	if s.http != nil {
		s.http.listener.Close() // the server may not know of it yet
		s.http.server.Close()
	}
	if s.tls != nil {
		s.tls.listener.Close()
	}
}

// solverTimeout is how long a client of a solver may take.
const solverTimeout = 10 * time.Second

// An httpSolver answers HTTP-01 (RFC 8555, section 8.3).
type httpSolver struct {
	listener net.Listener
	server   *http.Server
	answers  sync.Map // by path
}

func serveHTTP(l net.Listener) *httpSolver {
	s := &httpSolver{listener: l}
	s.server = &http.Server{
		Handler:     s,
		ReadTimeout: solverTimeout, WriteTimeout: solverTimeout,
		ErrorLog: log.New(io.Discard, "", 0), // of clients that break off
	}
	s.server.SetKeepAlivesEnabled(false)
	go s.server.Serve(l)
	return s
}

// ServeHTTP answers what is asked for, and nothing else.
func (s *httpSolver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, ok := s.answers.Load(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, answer.(string))
}

// Present is for lego.
func (s *httpSolver) Present(_, token, keyAuth string) error {
	s.answers.Store(http01.ChallengePath(token), keyAuth)
	return nil
}

// CleanUp is for lego.
func (s *httpSolver) CleanUp(_, token, _ string) error {
	s.answers.Delete(http01.ChallengePath(token))
	return nil
}

// A tlsSolver answers TLS-ALPN-01 (RFC 8737). lego's own would serve
// http.DefaultServeMux, whatever the program has there, to anybody who connects.
type tlsSolver struct {
	listener net.Listener
	mu       sync.Mutex
	current  *tls.Certificate // lego solves one challenge after the other
}

func serveTLS(l net.Listener) *tlsSolver {
	s := &tlsSolver{listener: l}
	config := &tls.Config{NextProtos: []string{tlsalpn01.ACMETLS1Protocol}, GetCertificate: s.certificate}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				ctx, cancel := context.WithTimeout(context.Background(), solverTimeout)
				defer cancel()
				tls.Server(conn, config).HandshakeContext(ctx) // the certificate is the answer
			}()
		}
	}()
	return s
}

func (s *tlsSolver) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || !slices.Contains(hello.SupportedProtos, tlsalpn01.ACMETLS1Protocol) {
		return nil, errors.New("no challenge")
	}
	return s.current, nil
}

// Present is for lego.
func (s *tlsSolver) Present(domain, _, keyAuth string) error {
	cert, err := tlsalpn01.ChallengeCert(domain, keyAuth)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = cert
	return err
}

// CleanUp is for lego.
func (s *tlsSolver) CleanUp(_, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	return nil
}

package rehearsal

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
)

// A server answers each connection to a port of loopback.
type server struct {
	addr     netip.AddrPort
	listener net.Listener
	done     sync.WaitGroup

	mu    sync.Mutex
	ended bool
	conns map[net.Conn]bool
}

func serve(handle func(net.Conn)) (*server, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{addr: netip.MustParseAddrPort(listener.Addr().String()), listener: listener, conns: map[net.Conn]bool{}}
	s.done.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && s.keep(conn) {
				s.done.Go(func() {
					handle(conn)
					s.drop(conn)
				})
			}
		}
	})
	return s, nil
}

func (s *server) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		conn.Close()
		return false
	}
	s.conns[conn] = true
	return true
}

func (s *server) drop(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// stop closes all connections, as a machine that is switched off does.
func (s *server) stop() {
	s.listener.Close()
	s.mu.Lock()
	s.ended = true
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

// A router stands for the one in the cloud and its tunnel: each of its ports leads to one
// of the guest.
type router struct {
	service, tls, dns *server

	mu    sync.Mutex
	guest *guest // nil while it is stopped
}

func startRouter(g *guest) (*router, error) {
	r := &router{guest: g}
	var errs [3]error
	r.service, errs[0] = r.forward(func(g *guest) netip.AddrPort { return g.service.addr })
	r.tls, errs[1] = r.forward(func(g *guest) netip.AddrPort { return g.tls.server.addr })
	r.dns, errs[2] = r.forward(func(g *guest) netip.AddrPort { return g.dns.addr })
	if err := errors.Join(errs[:]...); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *router) forward(to func(*guest) netip.AddrPort) (*server, error) {
	return serve(func(from net.Conn) {
		r.mu.Lock()
		g := r.guest
		r.mu.Unlock()
		if g == nil {
			return
		}
		conn, err := net.Dial("tcp4", to(g).String())
		if err != nil {
			return
		}
		var back sync.WaitGroup
		back.Go(func() {
			io.Copy(from, conn)
			from.Close()
		})
		io.Copy(conn, from)
		conn.Close()
		back.Wait()
	})
}

// leadTo changes where the ports lead; nil is nowhere.
func (r *router) leadTo(g *guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guest = g
}

func (r *router) stop() {
	for _, s := range []*server{r.service, r.tls, r.dns} {
		if s != nil {
			s.stop()
		}
	}
}

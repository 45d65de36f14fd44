package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// echoed are the ports that StartEcho answers: those of mail and DNS.
var echoed = []struct{ proto, port string }{
	{"tcp", "25"}, {"tcp", "53"}, {"tcp", "465"}, {"tcp", "587"}, {"udp", "53"},
}

// StartEcho answers on a host, as long as the test lasts, at TCP ports 25, 53, 465
// and 587 and at UDP port 53: it tells clients the address that it sees them have.
// Each address that the host has now gets a socket of its own, as named(8) does it:
// over UDP, one for all would answer from the address of the default route, and not
// from the one that was asked.
func StartEcho(t testing.TB, h Host) {
	t.Helper()
	err := h.Do(func() error {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			addr := a.(*net.IPNet).IP
			if addr.IsLinkLocalUnicast() {
				continue
			}
			for _, s := range echoed {
				at := net.JoinHostPort(addr.String(), s.port)
				if err := echo(t, s.proto, at); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func echo(t testing.TB, proto, at string) error {
	if proto == "udp" {
		conn, err := net.ListenPacket(proto, at)
		if err != nil {
			return err
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			for {
				_, client, err := conn.ReadFrom(make([]byte, 512))
				if err != nil {
					return
				}
				conn.WriteTo([]byte(client.String()), client)
			}
		}()
		return nil
	}
	listener, err := net.Listen(proto, at)
	if err != nil {
		return err
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, conn.RemoteAddr())
			conn.Close()
		}
	}()
	return nil
}

// Probe asks, from a host, one who answers as [StartEcho] does, and returns the
// address that it sees. Where nothing answers it waits until the context ends: a
// path that answers does so within milliseconds.
func Probe(ctx context.Context, h Host, proto, at string) (netip.Addr, error) {
	var conn net.Conn
	err := h.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, proto, at)
		return err
	})
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var answer []byte
	if proto == "udp" {
		answer, err = question(conn)
	} else {
		answer, err = io.ReadAll(conn)
	}
	if err != nil {
		return netip.Addr{}, err
	}
	seen, err := netip.ParseAddrPort(string(answer))
	return seen.Addr(), err
}

// question asks over UDP, where packets are lost: again every second, until there is
// an answer or the connection is closed.
func question(conn net.Conn) ([]byte, error) {
	answer := make([]byte, 512)
	for {
		if _, err := conn.Write([]byte("?")); err != nil {
			return nil, err
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(answer)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return answer[:n], err
		}
	}
}

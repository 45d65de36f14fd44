package lab

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// StartDNS starts a server that answers as no real one can be made to: lame,
// truncating, mute. Without a handler, UDP is mute and TCP is closed.
func StartDNS(t testing.TB, udp, tcp dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	if udp == nil {
		udp = func(dns.ResponseWriter, *dns.Msg) {}
	}
	addr := FreeAddr(t)
	packets, err := net.ListenPacket("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &dns.Server{PacketConn: packets, Handler: udp})
	if tcp != nil {
		listener, err := net.Listen("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		serve(t, &dns.Server{Listener: listener, Handler: tcp})
	}
	return addr
}

func serve(t testing.TB, server *dns.Server) {
	started, ended := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	server.ReadTimeout, server.WriteTimeout = 30*time.Second, 30*time.Second // and not two, on a busy machine
	go func() {
		defer close(ended)
		if err := server.ActivateAndServe(); err != nil {
			t.Error(err)
		}
	}()
	<-started
	t.Cleanup(func() {
		server.Shutdown()
		<-ended
	})
}

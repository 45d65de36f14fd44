package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/rehost/rehost/zone"
)

// A nameServer serves one zone on a port of loopback, over UDP and TCP. It is a primary
// that was given a file, or a secondary that follows one.
type nameServer struct {
	origin  string
	addr    netip.AddrPort
	servers []*dns.Server
	done    sync.WaitGroup

	mu      sync.Mutex
	records []dns.RR       // the SOA record first; none before a zone was loaded
	primary netip.AddrPort // of a secondary
}

func startNameServer(origin string) (*nameServer, error) {
	packets, listener, err := listenBoth()
	if err != nil {
		return nil, err
	}
	s := &nameServer{origin: origin, addr: netip.MustParseAddrPort(listener.Addr().String())}
	s.servers = []*dns.Server{{PacketConn: packets}, {Listener: listener}}
	for _, server := range s.servers {
		started := make(chan struct{})
		server.Handler = dns.HandlerFunc(s.handle)
		server.NotifyStartedFunc = func() { close(started) }
		server.ReadTimeout, server.WriteTimeout = patience, patience // its own are two seconds
		s.done.Go(func() { server.ActivateAndServe() })
		<-started
	}
	return s, nil
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth() (net.PacketConn, net.Listener, error) {
	var errs []error
	for range 10 {
		packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		listener, err := net.Listen("tcp4", packets.LocalAddr().String())
		if err == nil {
			return packets, listener, nil
		}
		packets.Close()
		errs = append(errs, err)
	}
	return nil, nil, errors.Join(errs...)
}

func (s *nameServer) stop() {
	for _, server := range s.servers {
		server.Shutdown()
	}
	s.done.Wait()
}

// load serves a zone from now on, whatever its serial is, as named does.
func (s *nameServer) load(f *zone.File) error {
	var records []zone.Record
	for r := range f.All() {
		records = append(records, r)
	}
	return s.serve(records)
}

func (s *nameServer) serve(records []zone.Record) error {
	var soa, others []dns.RR
	for _, r := range records {
		rr, err := r.RR()
		if err != nil {
			return err
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			soa = append(soa, rr)
		} else {
			others = append(others, rr)
		}
	}
	if len(soa) == 0 {
		return fmt.Errorf("zone %s has no SOA record", s.origin)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(soa[:1], others...) // a transfer has it at both ends
	return nil
}

// notify tells a secondary that there is something new (RFC 1996), and returns when it has
// looked.
func (s *nameServer) notify(ctx context.Context, secondary netip.AddrPort) error {
	client := &dns.Client{Timeout: 10 * time.Second} // ctx alone does not wait for less than two
	_, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetNotify(s.origin), secondary.String())
	return err
}

// follow says where a secondary transfers the zone from.
func (s *nameServer) follow(primary netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary = primary
}

// refresh transfers the zone if the primary's serial is higher.
func (s *nameServer) refresh(ctx context.Context) error {
	s.mu.Lock()
	primary, have := s.primary, s.records
	s.mu.Unlock()
	if len(have) > 0 {
		answer, err := ask(ctx, "tcp", primary, s.origin, dns.TypeSOA)
		if err != nil {
			return err
		}
		soa, ok := answer[0].(*dns.SOA)
		if !ok {
			return fmt.Errorf("%s gives %s for the SOA record", primary, answer[0])
		}
		if order, ok := zone.CompareSerial(soa.Serial, have[0].(*dns.SOA).Serial); !ok || order <= 0 {
			return nil
		}
	}
	records, err := zone.AXFR(ctx, s.origin, primary, nil)
	if err != nil {
		return err
	}
	return s.serve(records)
}

func (s *nameServer) handle(w dns.ResponseWriter, m *dns.Msg) {
	reply := new(dns.Msg).SetReply(m)
	if len(m.Question) != 1 {
		reply.Rcode = dns.RcodeFormatError
		w.WriteMsg(reply)
		return
	}
	q := m.Question[0]
	switch {
	case m.Opcode == dns.OpcodeNotify:
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if s.refresh(ctx) != nil {
			reply.Rcode = dns.RcodeServerFailure
		}
	case q.Qtype == dns.TypeAXFR:
		s.transfer(w, m)
		return
	default:
		s.answer(reply, q)
	}
	if _, overUDP := w.RemoteAddr().(*net.UDPAddr); overUDP {
		reply.Truncate(dns.MinMsgSize)
	}
	w.WriteMsg(reply)
}

func (s *nameServer) answer(reply *dns.Msg, q dns.Question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) == 0 {
		reply.Rcode = dns.RcodeServerFailure
		return
	}
	reply.Authoritative = true
	reply.Rcode = dns.RcodeNameError
	name := dns.CanonicalName(q.Name)
	for _, rr := range s.records {
		h := rr.Header()
		if dns.CanonicalName(h.Name) != name {
			continue
		}
		reply.Rcode = dns.RcodeSuccess
		if h.Rrtype == q.Qtype || h.Rrtype == dns.TypeCNAME {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = s.records[:1]
	}
}

// transfer sends the whole zone (RFC 5936), some records in each message.
func (s *nameServer) transfer(w dns.ResponseWriter, m *dns.Msg) {
	s.mu.Lock()
	records := append(s.records[:len(s.records):len(s.records)], s.records[:min(1, len(s.records))]...)
	s.mu.Unlock()
	const each = 100
	envelopes := make(chan *dns.Envelope, len(records)/each+1)
	for ; len(records) > 0; records = records[min(each, len(records)):] {
		envelopes <- &dns.Envelope{RR: records[:min(each, len(records))]}
	}
	close(envelopes)
	new(dns.Transfer).Out(w, m, envelopes)
}

// ask returns the answer of a server with authority: at least one record.
func ask(ctx context.Context, network string, server netip.AddrPort, name string, typ uint16) ([]dns.RR, error) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)
	answer, _, err := (&dns.Client{Net: network, Timeout: 10 * time.Second}).ExchangeContext(ctx, m, server.String())
	switch {
	case err != nil:
		return nil, err
	case answer.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("%s says %s for %s %s", server, dns.RcodeToString[answer.Rcode], name, dns.TypeToString[typ])
	case !answer.Authoritative || len(answer.Answer) == 0:
		return nil, fmt.Errorf("%s has no answer for %s %s", server, name, dns.TypeToString[typ])
	}
	return answer.Answer, nil
}

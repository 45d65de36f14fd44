package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// AXFR transfers a zone from a server, the SOA record first, as the server has
// it. A key signs the question, and each message of the answer must be signed
// then; nil is no key. It reads until ctx ends.
func AXFR(ctx context.Context, origin string, server netip.AddrPort, key *Key) ([]Record, error) {
	records, err := transfer(ctx, dns.Fqdn(origin), server, key)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // rather than "i/o timeout"
		}
		return nil, fmt.Errorf("transfer of %s from %s: %w", dns.Fqdn(origin), server, err)
	}
	return records, nil
}

// transfer does what dns.Transfer does, which knows no context and takes
// messages that are not signed.
func transfer(ctx context.Context, origin string, server netip.AddrPort, key *Key) ([]Record, error) {
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", server.String())
	if err != nil {
		return nil, err
	}
	defer tcp.Close()
	defer context.AfterFunc(ctx, func() { tcp.SetDeadline(time.Unix(1, 0)) })()

	conn := &dns.Conn{Conn: tcp}
	question := new(dns.Msg).SetAxfr(origin)
	var packed []byte
	var mac string
	if key == nil {
		packed, err = question.Pack()
	} else {
		key.sign(question)
		packed, mac, err = dns.TsigGenerate(question, key.Secret.Reveal(), "", false)
	}
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(packed); err != nil {
		return nil, err
	}
	var records []Record
	for {
		packed, err := conn.ReadMsgHeader(nil)
		if err != nil {
			return nil, err
		}
		answer := new(dns.Msg)
		if err := answer.Unpack(packed); err != nil {
			return nil, err
		}
		switch {
		case answer.Id != question.Id || !answer.Response:
			return nil, errors.New("the answer is to another question")
		case answer.Rcode != dns.RcodeSuccess:
			return nil, fmt.Errorf("the server answers %s", dns.RcodeToString[answer.Rcode])
		case key != nil && answer.IsTsig() == nil:
			return nil, errors.New("the answer is not signed")
		case key != nil:
			if err := dns.TsigVerify(packed, key.Secret.Reveal(), mac, len(records) > 0); err != nil {
				return nil, err
			}
			mac = answer.IsTsig().MAC
		}
		if len(answer.Answer) == 0 {
			return nil, errors.New("the answer has no records")
		}
		for _, rr := range answer.Answer {
			_, soa := rr.(*dns.SOA)
			switch {
			case len(records) == 0 && (!soa || !strings.EqualFold(rr.Header().Name, origin)):
				return nil, errors.New("the answer does not begin with the zone's SOA record")
			case len(records) > 0 && soa: // the end, where it is repeated
				if last := fromRR(rr); last.Data != records[0].Data {
					return nil, errors.New("the zone changed during the transfer")
				}
				return records, nil
			}
			records = append(records, fromRR(rr))
		}
	}
}

// fromRR returns a record in the form that the package gives out.
func fromRR(rr dns.RR) Record {
	header := rr.Header()
	data := strings.TrimPrefix(rr.String(), header.String())
	if unknown, ok := rr.(*dns.RFC3597); ok { // has a header of its own
		data = strings.TrimSpace(fmt.Sprintf(`\# %d %s`, len(unknown.Rdata)/2, unknown.Rdata))
	}
	ttl := time.Duration(header.Ttl) * time.Second
	return Record{
		Owner: header.Name,
		TTL:   &ttl,
		Class: className(header.Class),
		Type:  typeName(header.Rrtype),
		Data:  data,
	}
}

package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"
)

// WaitOptions say how WaitSerial asks. The zero value, and nil, are good for
// servers in the Internet.
type WaitOptions struct {
	Key         *Key              // signs the questions; nil for none
	Timeout     time.Duration     // for one answer, over UDP and again over TCP; 0 is 3 seconds
	Interval    time.Duration     // the pause after the first answer of a server; it doubles; 0 is half a second
	MaxInterval time.Duration     // the longest pause; 0 is 5 seconds
	Changed     func(ServerState) // called when a server's state or serial changes, for one server at a time; nil for nobody
}

// A State is what a server has come to.
type State string

// The states. Only a server that has Reached the serial is done with; all others
// are asked again.
const (
	Reached          State = "reached"           // it serves the serial, or a newer one
	Stale            State = "stale"             // it serves an older one
	Ahead            State = "ahead"             // its serial is 2^31 away: it never catches up by itself
	Refused          State = "refused"           // it does not answer us for this zone, or does not take the key
	Unreachable      State = "unreachable"       // nobody listens, or there is no way to it
	TimedOut         State = "timeout"           // no answer, neither over UDP nor over TCP
	NotAuthoritative State = "not authoritative" // it answers without authority: the zone is not configured there
	Expired          State = "expired"           // SERVFAIL: a secondary whose copy expired or never came, a primary with a broken zone
	Failed           State = "failed"            // anything else, which Err tells
	Unasked          State = "unasked"           // the context ended before it could answer
)

// A ServerState is how one address of a server does.
type ServerState struct {
	Server   netip.AddrPort `json:"server"`
	State    State          `json:"state"`
	Serial   uint32         `json:"serial,omitempty"` // the last one seen
	At       time.Time      `json:"at,omitzero"`      // when it was first seen to have reached the serial
	Attempts int            `json:"attempts"`         // how often it was asked
	Err      string         `json:"error,omitempty"`  // why the last attempt did not do
}

// String returns the state with what is known: "192.0.2.1:53: stale, serves 5".
func (s ServerState) String() string {
	text := fmt.Sprintf("%s: %s", s.Server, s.State)
	if s.Err != "" {
		text += ", " + s.Err
	}
	return text
}

// A Report is how far a serial has come.
type Report struct {
	Origin  string        `json:"origin"`  // with its final dot
	Serial  uint32        `json:"serial"`  // at least this was waited for
	Servers []ServerState `json:"servers"` // in the order in which they were given
}

// Reached reports whether all servers have reached the serial. It is false if there
// is no server.
func (r Report) Reached() bool {
	return len(r.Servers) > 0 && len(r.laggards()) == 0
}

func (r Report) laggards() []ServerState {
	return slices.DeleteFunc(slices.Clone(r.Servers), func(s ServerState) bool { return s.State == Reached })
}

// String returns a table with a line per server.
func (r Report) String() string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "SERVER\tSTATE\tSERIAL\tASKED\tREMARK\n")
	for _, s := range r.Servers {
		serial, remark := "-", s.Err
		if s.Serial != 0 || s.State == Reached {
			serial = fmt.Sprint(s.Serial)
		}
		if s.State == Reached {
			remark = "since " + s.At.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", s.Server, s.State, serial, s.Attempts, remark)
	}
	table.Flush()
	return b.String()
}

// WaitSerial asks each server for the zone's SOA record until all serve at least
// the serial min, compared as in RFC 1982, or ctx ends. All are asked at once and
// on their own, so that a slow one delays no other; over UDP, and over TCP where
// the answer is truncated or none comes. Only answers with authority count.
//
// The Report is filled on failure too. The error then names each server that
// has not reached the serial, with the reason, and wraps that of ctx, without a
// deadline of which WaitSerial may never return.
//
// With inline signing, min is the serial of the signed copy: see
// [Status.Served].
func WaitSerial(ctx context.Context, origin string, min uint32, servers []netip.AddrPort, opt *WaitOptions) (Report, error) {
	w := waiter{min: min}
	if opt != nil {
		w.WaitOptions = *opt
	}
	w.ask = (&question{dns.Fqdn(origin), w.Key, orDefault(w.Timeout, 3*time.Second)}).serial
	return w.wait(ctx, dns.Fqdn(origin), servers)
}

func orDefault(d, standard time.Duration) time.Duration {
	if d <= 0 {
		return standard
	}
	return d
}

type waiter struct {
	WaitOptions
	min uint32
	ask func(context.Context, netip.AddrPort) (uint32, error)

	changed sync.Mutex // serialises calls of Changed
}

func (w *waiter) wait(ctx context.Context, origin string, servers []netip.AddrPort) (Report, error) {
	report := Report{Origin: origin, Serial: w.min, Servers: make([]ServerState, len(servers))}
	if len(servers) == 0 {
		return report, errors.New("no server to ask: nothing would be proved")
	}
	var all sync.WaitGroup
	for i, server := range servers {
		s := &report.Servers[i]
		*s = ServerState{Server: server, State: Unasked}
		all.Go(func() { w.follow(ctx, s) })
	}
	all.Wait()
	laggards := report.laggards()
	if len(laggards) == 0 {
		return report, nil
	}
	reasons := make([]string, len(laggards))
	for i, s := range laggards {
		reasons[i] = s.String()
	}
	return report, fmt.Errorf("serial %d of %s has not reached %d of %d servers: %s: %w", w.min, origin,
		len(laggards), len(servers), strings.Join(reasons, "; "), context.Cause(ctx))
}

// follow asks one server until it has the serial or ctx ends.
func (w *waiter) follow(ctx context.Context, s *ServerState) {
	pause, longest := orDefault(w.Interval, time.Second/2), orDefault(w.MaxInterval, 5*time.Second)
	for ctx.Err() == nil {
		serial, err := w.ask(ctx, s.Server)
		if over(ctx) && err != nil && (s.Attempts > 0 || errors.Is(ctx.Err(), context.Canceled)) {
			<-ctx.Done()
			return // an attempt cut short says nothing of the server
		}
		before := *s
		w.judge(s, serial, err)
		if w.Changed != nil && (before.State != s.State || before.Serial != s.Serial) {
			w.changed.Lock()
			w.Changed(*s)
			w.changed.Unlock()
		}
		if s.State == Reached {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// over says whether ctx has ended, or is about to at this instant: a socket with
// the deadline of ctx may be told first.
func over(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(end)
}

func (w *waiter) judge(s *ServerState, serial uint32, err error) {
	s.Attempts++
	s.Err = ""
	if err != nil {
		s.State, s.Err = Failed, err.Error()
		var a *askError
		if errors.As(err, &a) {
			s.State = a.state
		}
		return
	}
	s.Serial = serial
	switch order, ok := CompareSerial(serial, w.min); {
	case !ok:
		s.State, s.Err = Ahead, fmt.Sprintf("serves %d, which is neither older nor newer: raise the serial, or transfer the zone anew", serial)
	case order < 0:
		s.State, s.Err = Stale, fmt.Sprintf("serves %d", serial)
	default:
		s.State, s.At = Reached, time.Now().UTC().Round(0)
	}
}

// An askError is why a server gave no serial.
type askError struct {
	state  State
	reason string
}

func (e *askError) Error() string { return e.reason }

// A question is for the SOA record of a zone.
type question struct {
	origin  string
	key     *Key
	timeout time.Duration
}

// serial asks over UDP, and over TCP if that does not do.
func (q *question) serial(ctx context.Context, server netip.AddrPort) (uint32, error) {
	answer, err := q.exchange(ctx, "udp", server)
	if (err != nil && answer == nil || err == nil && answer.Truncated) && ctx.Err() == nil {
		var overTCP error
		answer, overTCP = q.exchange(ctx, "tcp", server)
		if overTCP != nil && err != nil {
			// A closed TCP port says no more than that the server is mute.
			overTCP = err
		}
		err = overTCP
	}
	if err != nil {
		return 0, err
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeRefused:
		return 0, &askError{Refused, "it answers REFUSED"}
	case dns.RcodeServerFailure:
		return 0, &askError{Expired, "it answers SERVFAIL: it has the zone and no data to serve"}
	case dns.RcodeNotAuth:
		return 0, &askError{Refused, "it does not take the key, or not the time"}
	default:
		return 0, fmt.Errorf("it answers %s", dns.RcodeToString[answer.Rcode])
	}
	for _, rr := range answer.Answer {
		if soa, ok := rr.(*dns.SOA); ok && strings.EqualFold(soa.Hdr.Name, q.origin) {
			if !answer.Authoritative {
				return 0, &askError{NotAuthoritative, "it answers from a cache"}
			}
			return soa.Serial, nil
		}
	}
	if !answer.Authoritative {
		return 0, &askError{NotAuthoritative, "it answers without authority: the zone is not configured there"}
	}
	return 0, errors.New("it answers without the SOA record: the name is no zone there")
}

// exchange asks over one transport. An answer that comes with an error is one of
// the server's that cannot be used; asking again over TCP would not help.
func (q *question) exchange(ctx context.Context, network string, server netip.AddrPort) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return nil, unanswered(err)
	}
	defer conn.Close()
	// miekg/dns keeps to a deadline and not to a cancelled context.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()

	m := new(dns.Msg).SetQuestion(q.origin, dns.TypeSOA)
	m.RecursionDesired = false
	client := &dns.Client{Net: network, Timeout: q.timeout}
	if q.key != nil {
		q.key.sign(m)
		client.TsigSecret = q.key.secrets()
	}
	answer, _, err := client.ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: conn})
	switch {
	case answer != nil && answer.Rcode == dns.RcodeNotAuth:
		return answer, nil // which cannot be signed with a key that it does not know
	case errors.Is(err, dns.ErrSig), errors.Is(err, dns.ErrTime), errors.Is(err, dns.ErrSecret), errors.Is(err, dns.ErrKeyAlg):
		return new(dns.Msg), fmt.Errorf("its signature is wrong: %w", err)
	case err != nil:
		return nil, unanswered(err)
	case q.key != nil && answer.IsTsig() == nil:
		return new(dns.Msg), errors.New("its answer is not signed")
	}
	return answer, nil
}

// unanswered tells silence from a closed port. It leaves out the addresses, of
// which ours is another one each time.
func unanswered(err error) error {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return &askError{TimedOut, "it does not answer"}
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return &askError{Unreachable, err.Error()}
}

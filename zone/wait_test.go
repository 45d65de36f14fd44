package zone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func secondaryOf(p *lab.NamedServer, options string) string {
	return fmt.Sprintf(`zone "example.net" { type secondary; file "copy"; primaries { %s port %d; }; %s };`,
		p.Addr.Addr(), p.Addr.Port(), options)
}

func addrs(servers ...*lab.NamedServer) []netip.AddrPort {
	var all []netip.AddrPort
	for _, s := range servers {
		all = append(all, s.Addr)
	}
	return all
}

var quick = &WaitOptions{Timeout: time.Second, Interval: 20 * time.Millisecond, MaxInterval: 200 * time.Millisecond}

// A primary, a secondary that gets a NOTIFY, and one that gets none and asks
// every two seconds.
func TestWaitSerial(t *testing.T) {
	notified := lab.FreeAddr(t)
	p, r := start(t, lab.Named{
		Options: lab.Notify,
		Config: fmt.Sprintf(`zone "example.net" { type primary; file "example.net"; allow-transfer { any; };
			notify explicit; also-notify { %s port %d; }; };`, notified.Addr(), notified.Port()),
		Files: map[string]string{"example.net": small(5)},
	})
	fast, _ := start(t, lab.Named{Addr: notified, Options: lab.Notify, Config: secondaryOf(p, "")})
	slow, _ := start(t, lab.Named{Options: lab.Notify, Config: secondaryOf(p, "min-refresh-time 2; max-refresh-time 2;")})
	ctx := within(t, patience)
	everywhere := addrs(p, fast, slow)
	_, err := WaitSerial(ctx, "example.net", 5, everywhere, quick)
	require.NoError(t, err)

	write(t, p.Path("example.net"), small(6))
	require.NoError(t, r.Reload(ctx, "example.net", 6))
	var changes []ServerState
	opt := *quick
	opt.Changed = func(s ServerState) { changes = append(changes, s) }
	report, err := WaitSerial(ctx, "Example.net", 6, everywhere, &opt)
	require.NoError(t, err)
	require.True(t, report.Reached())
	assert.Equal(t, "Example.net.", report.Origin)
	last := time.Time{}
	for i, s := range report.Servers {
		assert.Equal(t, everywhere[i], s.Server)
		assert.Equal(t, Reached, s.State)
		assert.Equal(t, uint32(6), s.Serial)
		assert.Contains(t, changes, s)
		if s.At.After(last) {
			last = s.At
		}
	}
	drain, ok := report.Drain(5 * time.Minute)
	require.True(t, ok)
	assert.Equal(t, last.Add(5*time.Minute), drain.Until)
}

func TestWaitSerialForAServerThatStartsLate(t *testing.T) {
	p, _ := primary(t, "allow-transfer { any; };")
	late := lab.FreeAddr(t)
	both, asked := make(chan struct{}), map[netip.AddrPort]bool{}
	opt := *quick
	opt.Changed = func(s ServerState) {
		if asked[s.Server] || s.Server == p.Addr && s.State != Reached {
			return
		}
		if asked[s.Server] = true; len(asked) == 2 {
			close(both)
		}
	}
	type result struct {
		report Report
		err    error
	}
	results := make(chan result)
	ctx := within(t, patience)
	go func() {
		report, err := WaitSerial(ctx, "example.net", 5, []netip.AddrPort{p.Addr, late}, &opt)
		results <- result{report, err}
	}()
	<-both
	lab.StartNamed(t, lab.Named{Addr: late, Options: lab.Notify, Config: secondaryOf(p, "")})
	got := <-results
	require.NoError(t, got.err)
	assert.True(t, got.report.Servers[1].At.After(got.report.Servers[0].At))
}

func TestWaitSerialNamesEachLaggard(t *testing.T) {
	p, _ := primary(t, "allow-transfer { any; };")
	stale, _ := start(t, lab.Named{Options: lab.Notify, Config: secondaryOf(p, "")})
	ctx := within(t, patience)
	_, err := WaitSerial(ctx, "example.net", 5, addrs(stale), quick)
	require.NoError(t, err)

	refusing, _ := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; allow-query { none; }; };`,
		Files:  map[string]string{"example.net": small(6)},
	})
	ahead, _ := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; };`,
		Files:  map[string]string{"example.net": small(6 + 1<<31)},
	})
	fresh, _ := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; };`,
		Files:  map[string]string{"example.net": small(7)},
	})
	empty, _ := start(t, lab.Named{Config: `zone "example.net" { type secondary; primaries { 127.0.0.1 port 1; }; };`})
	servers := addrs(stale, refusing, ahead, fresh, empty)
	servers = append(servers, lab.FreeAddr(t), lab.StartDNS(t, nil, nil))
	states := []State{Stale, Refused, Ahead, Reached, Expired, Unreachable, TimedOut}

	ctx, cancel := context.WithCancel(ctx)
	seen := make([]State, len(servers))
	opt := *quick
	opt.Changed = func(s ServerState) {
		seen[slices.Index(servers, s.Server)] = s.State
		if slices.Equal(seen, states) { // a busy machine may be late with an answer at first
			cancel()
		}
	}
	report, err := WaitSerial(ctx, "example.net", 6, servers, &opt)
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, report.Reached())
	for i, s := range report.Servers {
		assert.Equal(t, states[i], s.State, "%s", s)
		if s.State == Reached {
			assert.NotContains(t, err.Error(), s.Server.String())
		} else {
			assert.Contains(t, err.Error(), fmt.Sprintf("%s: %s, %s", s.Server, s.State, s.Err))
			assert.NotEmpty(t, s.Err)
		}
		assert.Positive(t, s.Attempts)
	}
	assert.Contains(t, err.Error(), "serial 6 of example.net. has not reached 6 of 7 servers")
	assert.Contains(t, err.Error(), ": stale, serves 5")
	_, ok := report.Drain(time.Hour)
	assert.False(t, ok)

	text, err := json.Marshal(report)
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, report, back)
}

// A secondary whose copy expires while its primary is away says SERVFAIL.
func TestWaitSerialOfACopyThatExpires(t *testing.T) {
	p, _ := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; allow-transfer { any; }; };`,
		Files:  map[string]string{"example.net": "@ 300 SOA ns1 hostmaster 5 1 1 2 60\n@ 300 NS ns1\nns1 300 A 192.0.2.1\n"},
	})
	s, _ := start(t, lab.Named{
		Options: lab.Notify,
		Config:  secondaryOf(p, "min-refresh-time 1; max-refresh-time 1; min-retry-time 1; max-retry-time 1;"),
	})
	ctx, cancel := context.WithCancel(within(t, patience))
	_, err := WaitSerial(ctx, "example.net", 5, addrs(s), quick)
	require.NoError(t, err)
	opt := *quick
	opt.Changed = func(s ServerState) {
		switch {
		case s.State == Stale: // the serial has been seen
			p.Stop()
		case s.State == Expired && s.Serial != 0:
			cancel()
		}
	}
	report, err := WaitSerial(ctx, "example.net", 6, addrs(s), &opt)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Expired, report.Servers[0].State)
	assert.Equal(t, uint32(5), report.Servers[0].Serial, "the last one seen")
}

// soaAnswer answers with the SOA record of the question's name.
func soaAnswer(serial uint32, edit func(*dns.Msg)) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		rr, _ := dns.NewRR(fmt.Sprintf("%s 300 SOA ns1 hostmaster %d 1 1 1 1", q.Question[0].Name, serial))
		m.Answer = []dns.RR{rr}
		if edit != nil {
			edit(m)
		}
		w.WriteMsg(m)
	}
}

func TestWaitSerialAnswers(t *testing.T) {
	truncate := func(m *dns.Msg) { m.Truncated, m.Answer = true, nil }
	lame := func(m *dns.Msg) {
		m.Authoritative, m.Answer = false, nil
		rr, _ := dns.NewRR("net. 300 NS ns1.example.org.")
		m.Ns = []dns.RR{rr}
	}
	for name, test := range map[string]struct {
		udp, tcp dns.HandlerFunc
		min      uint32
		want     State
		err      string
	}{
		"newer":                         {soaAnswer(9, nil), nil, 6, Reached, ""},
		"newer past the wrap":           {soaAnswer(3, nil), nil, 4294967290, Reached, ""},
		"older past the wrap":           {soaAnswer(4294967290, nil), nil, 3, Stale, "serves 4294967290"},
		"truncated, then TCP":           {soaAnswer(0, truncate), soaAnswer(6, nil), 6, Reached, ""},
		"truncated, and no TCP":         {soaAnswer(0, truncate), nil, 6, Unreachable, "connect: connection refused"},
		"mute over UDP, then TCP":       {nil, soaAnswer(6, nil), 6, Reached, ""},
		"mute":                          {nil, nil, 6, TimedOut, "it does not answer"},
		"mute over TCP too":             {nil, func(dns.ResponseWriter, *dns.Msg) {}, 6, TimedOut, "it does not answer"},
		"lame":                          {soaAnswer(0, lame), nil, 6, NotAuthoritative, "not configured there"},
		"from a cache":                  {soaAnswer(6, func(m *dns.Msg) { m.Authoritative = false }), nil, 6, NotAuthoritative, "from a cache"},
		"no zone":                       {soaAnswer(0, func(m *dns.Msg) { m.Answer = nil }), nil, 6, Failed, "is no zone there"},
		"no such name":                  {soaAnswer(0, func(m *dns.Msg) { m.Answer, m.Rcode = nil, dns.RcodeNameError }), nil, 6, Failed, "NXDOMAIN"},
		"of another zone":               {soaAnswer(6, func(m *dns.Msg) { m.Answer[0].Header().Name = "net." }), nil, 6, Failed, "is no zone there"},
		"exactly half way":              {soaAnswer(6+1<<31, nil), nil, 6, Ahead, "neither older nor newer"},
		"REFUSED":                       {soaAnswer(0, func(m *dns.Msg) { m.Answer, m.Rcode = nil, dns.RcodeRefused }), nil, 6, Refused, "REFUSED"},
		"SERVFAIL is not asked for TCP": {soaAnswer(0, func(m *dns.Msg) { m.Answer, m.Rcode = nil, dns.RcodeServerFailure }), soaAnswer(6, nil), 6, Expired, "SERVFAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(within(t, patience))
			opt := WaitOptions{Timeout: 300 * time.Millisecond, Changed: func(s ServerState) {
				if s.State == test.want { // and not that a busy machine answered too late
					cancel()
				}
			}}
			server := lab.StartDNS(t, test.udp, test.tcp)
			report, err := WaitSerial(ctx, "example.net", test.min, []netip.AddrPort{server}, &opt)
			assert.Equal(t, test.want, report.Servers[0].State)
			assert.Contains(t, report.Servers[0].Err, test.err)
			assert.Equal(t, test.want == Reached, err == nil)
		})
	}
}

func TestWaitSerialWithAKey(t *testing.T) {
	key, err := ParseKey("transfer.key", []byte(testKey))
	require.NoError(t, err)
	s, _ := start(t, lab.Named{
		Config: testKey + `zone "example.net" { type primary; file "example.net"; allow-query { key transfer; }; };`,
		Files:  map[string]string{"example.net": small(5)},
	})
	other := key
	other.Secret, err = ParseSecret("b3RoZXI=")
	require.NoError(t, err)
	stranger := key
	stranger.Name = "stranger"
	unsigned := lab.StartDNS(t, soaAnswer(5, nil), soaAnswer(5, nil))
	for name, test := range map[string]struct {
		server netip.AddrPort
		key    *Key
		want   State
		err    string
	}{
		"right key":     {s.Addr, &key, Reached, ""},
		"no key":        {s.Addr, nil, Refused, "REFUSED"},
		"wrong secret":  {s.Addr, &other, Refused, "does not take the key"},
		"unknown key":   {s.Addr, &stranger, Refused, "does not take the key"},
		"no signature":  {unsigned, &key, Failed, "not signed"},
		"needs no sign": {unsigned, nil, Reached, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(within(t, patience))
			opt := WaitOptions{Key: test.key, Timeout: patience, Changed: func(ServerState) { cancel() }}
			report, _ := WaitSerial(ctx, "example.net", 5, []netip.AddrPort{test.server}, &opt)
			assert.Equal(t, test.want, report.Servers[0].State)
			assert.Contains(t, report.Servers[0].Err, test.err)
		})
	}
}

func TestWaitSerialOfNoServer(t *testing.T) {
	report, err := WaitSerial(t.Context(), "example.net", 5, nil, nil)
	require.ErrorContains(t, err, "no server to ask")
	assert.False(t, report.Reached())
}

func TestWaitSerialAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := WaitSerial(ctx, "example.net", 5, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}, nil)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Unasked, report.Servers[0].State)
}

// A wait that is given up at once accuses nobody of silence.
func TestWaitSerialGivenUpBeforeTheFirstAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(within(t, patience))
	server := lab.StartDNS(t, func(dns.ResponseWriter, *dns.Msg) { cancel() }, nil)
	report, err := WaitSerial(ctx, "example.net", 5, []netip.AddrPort{server}, &WaitOptions{Timeout: patience})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Unasked, report.Servers[0].State)
}

// A server that takes the whole timeout each time, one that is there at once and
// one that follows after a while.
func TestWaitSerialOneSlowServerDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := netip.MustParseAddrPort("192.0.2.1:53")
		ready := netip.MustParseAddrPort("192.0.2.2:53")
		later := netip.MustParseAddrPort("192.0.2.3:53")
		begin := time.Now()
		w := waiter{min: 6}
		w.Interval, w.MaxInterval = time.Second, 4*time.Second
		w.ask = func(ctx context.Context, server netip.AddrPort) (uint32, error) {
			switch server {
			case mute:
				select {
				case <-time.After(10 * time.Second):
				case <-ctx.Done():
				}
				return 0, &askError{TimedOut, "it does not answer"}
			case later:
				if time.Since(begin) < 10*time.Second {
					return 5, nil
				}
			}
			return 6, nil
		}
		var order []string
		w.Changed = func(s ServerState) {
			order = append(order, fmt.Sprintf("%v %s %s", time.Since(begin), s.Server.Addr(), s.State))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("a minute is over"))
		defer cancel()
		report, err := w.wait(ctx, "example.net.", []netip.AddrPort{mute, ready, later})
		assert.EqualError(t, err, "serial 6 of example.net. has not reached 1 of 3 servers: 192.0.2.1:53: timeout, it does not answer: a minute is over")
		assert.ElementsMatch(t, []string{"0s 192.0.2.2 reached", "0s 192.0.2.3 stale", "10s 192.0.2.1 timeout", "11s 192.0.2.3 reached"}, order)
		assert.Equal(t, begin.Add(11*time.Second).UTC().Round(0), report.Servers[2].At)
		assert.Equal(t, 5, report.Servers[2].Attempts, "at 0, 1, 3, 7 and 11 seconds")
		assert.Equal(t, time.Minute, time.Since(begin))
	})
}

// The last attempt is cut short by the deadline, which the socket hears of before
// ctx does.
func TestWaitSerialKeepsTheReasonWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		ctx := &unaware{Context: inner}
		w := waiter{min: 6}
		w.Interval = 3 * time.Second / 2
		w.ask = func(context.Context, netip.AddrPort) (uint32, error) {
			end, _ := ctx.Deadline()
			if time.Until(end) > time.Second {
				return 0, &askError{Unreachable, "nobody listens"}
			}
			time.Sleep(time.Until(end))
			ctx.once = true
			return 0, &askError{TimedOut, "it does not answer"}
		}
		report, err := w.wait(ctx, "example.net.", []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, Unreachable, report.Servers[0].State)
	})
}

// unaware has once not heard that its time is up.
type unaware struct {
	context.Context
	once bool
}

func (u *unaware) Err() error {
	if u.once {
		u.once = false
		return nil
	}
	return u.Context.Err()
}

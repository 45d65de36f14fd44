package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/rehost/rehost/examples/internal/move"
)

// reachable are the forwarded ports at an address, asked from outside.
func reachable(m *move.Move, at netip.Addr) []check {
	look := "look at the forwards (migrate check 2 on " + m.Router.Name + "), the cloud's inbound rules, pf on the guest, and the service"
	if at == m.Guest.Old.Address {
		look = "look at pf on the guest, and at the service"
	}
	var checks []check
	for _, p := range forwardProbes(m, at) {
		c := check{Text: fmt.Sprintf("From outside: %s (%s).", p.sentence(), p.service), On: outside, OldPath: at == m.Guest.Old.Address}
		switch {
		case p.proto == "dns":
			c.How, c.Try = "a question for the SOA record over "+strings.ToUpper(p.net), answersSOA(m.Domain, p.net, p.at, look)
		case p.proto == "tls":
			c.How, c.Try = "a TLS handshake", shakesHands(p.at, look)
		case p.greeting != "":
			c.How, c.Try, c.Patience = "the first words of the service", greets(p.at, p.greeting, look), slowGreeting
		case p.net == "tcp":
			c.How, c.Try = "a TCP connection", connects(p.at, look)
		}
		checks = append(checks, c)
	}
	return checks
}

// connects tries a TCP port; look says what to do if there is no answer.
func connects(at netip.AddrPort, look string) func(context.Context, *station) (string, error) {
	return func(ctx context.Context, _ *station) (string, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.String())
		if err != nil {
			return "", noRoute(err, at.Addr(), look)
		}
		return "", conn.Close()
	}
}

// greets wants the first words of a service that speaks first: a proxy on the way, or a
// firewall, may take any connection.
func greets(at netip.AddrPort, greeting, look string) func(context.Context, *station) (string, error) {
	return func(ctx context.Context, _ *station) (string, error) {
		said, err := firstLine(ctx, at.String())
		if err != nil {
			return "", noRoute(err, at.Addr(), look)
		}
		if !strings.HasPrefix(said, greeting) {
			return "", fmt.Errorf("%s begins with %q, and not with %s: %s", at, said, greeting, look)
		}
		return "", nil
	}
}

// firstLine is what a server says to a client that says nothing.
func firstLine(ctx context.Context, at string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	said, err := bufio.NewReader(io.LimitReader(conn, 1<<10)).ReadString('\n')
	if err != nil && said == "" {
		return "", fmt.Errorf("%s takes the connection, and says nothing: %w", at, cmp.Or(ctx.Err(), err))
	}
	return strings.TrimRight(said, "\r\n"), nil
}

// shakesHands is that TLS is spoken. Who has the certificate is another check's.
func shakesHands(at netip.AddrPort, look string) func(context.Context, *station) (string, error) {
	return func(ctx context.Context, _ *station) (string, error) {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", at.String())
		if err != nil {
			return "", noRoute(err, at.Addr(), look)
		}
		return "", conn.Close()
	}
}

// noRoute says of an error that this machine lacks the family, or what to do.
func noRoute(err error, at netip.Addr, what string) error {
	if at.Is6() && (errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)) {
		return untried("this machine has no IPv6")
	}
	return fmt.Errorf("%w: %s", err, what)
}

// answersSOA asks a name server over UDP or TCP alone.
func answersSOA(domain, over string, at netip.AddrPort, look string) func(context.Context, *station) (string, error) {
	return func(ctx context.Context, _ *station) (string, error) {
		question := new(miekg.Msg).SetQuestion(miekg.Fqdn(domain), miekg.TypeSOA)
		answer, err := exchange(ctx, over, question, at)
		switch {
		case err != nil:
			return "", noRoute(err, at.Addr(), look)
		case answer.Rcode != miekg.RcodeSuccess || !answer.Authoritative || len(answer.Answer) == 0:
			return "", fmt.Errorf("%s answers %s, and does not have the zone: look at named on the guest", at, miekg.RcodeToString[answer.Rcode])
		}
		return "", nil
	}
}

// exchange asks a name server, and again, as dig does, if there is no answer: UDP may lose it.
func exchange(ctx context.Context, over string, question *miekg.Msg, at netip.AddrPort) (answer *miekg.Msg, err error) {
	const tries = 3
	client := &miekg.Client{Net: over, Timeout: patience / tries}
	for range tries {
		answer, _, err = client.ExchangeContext(ctx, question, at.String())
		if late, ok := errors.AsType[net.Error](err); !ok || !late.Timeout() {
			break
		}
	}
	return answer, err
}

// closed is that a port of a machine does not answer the world. Silence says so only
// where one of the machine's other ports does answer.
func closed(at netip.AddrPort, others []uint16, what string) func(context.Context, *station) (string, error) {
	return func(ctx context.Context, _ *station) (string, error) {
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		conn, err := new(net.Dialer).DialContext(short, "tcp", at.String())
		switch {
		case err == nil:
			return "", errors.Join(conn.Close(), fmt.Errorf("%s is open: %s", at, what))
		case errors.Is(err, syscall.ECONNREFUSED):
			return "", nil
		}
		for _, port := range others {
			if conn, err := new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(at.Addr(), port).String()); err == nil {
				return fmt.Sprintf("port %d answers, and this one does not", port), conn.Close()
			}
		}
		return "", untried(fmt.Sprintf("%v, and nothing else at %s answers here that would tell a closed port from a machine out of reach", err, at.Addr()))
	}
}

// respondsAt is that a machine is there: a refusal is an answer too.
func respondsAt(at netip.AddrPort, look string) func(context.Context, *station) (string, error) {
	return func(ctx context.Context, _ *station) (string, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.String())
		if errors.Is(err, syscall.ECONNREFUSED) {
			return "it refused, which is an answer", nil
		}
		if err != nil {
			return "", fmt.Errorf("%w: look at %s", err, look)
		}
		return "", conn.Close()
	}
}

// site asks a web server for a name, and follows nowhere. good says which answer is.
func site(at netip.AddrPort, name, path string, good func(*http.Response) error) func(context.Context, *station) (string, error) {
	return func(ctx context.Context, _ *station) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+path, nil)
		if err != nil {
			return "", err
		}
		req.Host = name
		client := &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy of the environment's
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", fmt.Errorf("%w: look at nginx, and at the cloud's inbound rules", err)
		}
		defer resp.Body.Close()
		if err := good(resp); err != nil {
			return "", fmt.Errorf("%s for %s: %w", at, name, err)
		}
		return fmt.Sprintf("status %d", resp.StatusCode), nil
	}
}

// fromGuest is an answer that nginx has got from the guest just now, and neither gives by
// itself nor has kept from before.
func fromGuest(resp *http.Response) error {
	cache := resp.Header.Get(cacheHeader)
	switch {
	case cache == "":
		return fmt.Errorf("status %d without %s: another server has answered, or another site of nginx: look at the server_name lines there", resp.StatusCode, cacheHeader)
	case resp.StatusCode >= http.StatusInternalServerError || cache != "MISS" && cache != "BYPASS":
		return fmt.Errorf("status %d, %s %q: nginx answers, and has no good answer from the guest: look at the tunnel, and at the guest's web server", resp.StatusCode, cacheHeader, cache)
	}
	return nil
}

// webAnswers are the sites, asked at the router for the guest's answer.
func webAnswers(m *move.Move, web []move.Service) []check {
	var checks []check
	for _, s := range web {
		checks = append(checks, check{Text: fmt.Sprintf("From outside: `curl -sI -H 'Host: %s' http://%s/?1` has the line `%s: MISS`, which says that the guest was asked. Take another number each time.", s.Names[0], m.Router.Address, cacheHeader),
			On: outside, How: "a request over HTTP for something that no cache has",
			Try: site(netip.AddrPortFrom(m.Router.Address, 80), s.Names[0], "/?"+rand.Text(), fromGuest)})
	}
	return checks
}

const challengePath = "/.well-known/acme-challenge/"

// challengePasses is that the router's nginx passes on a challenge for a name that it has
// no site for.
func challengePasses(m *move.Move) check {
	name, at := domains(m)[0], m.Tunnel.Router.Addr(true)
	return reachesSolver(m, fmt.Sprintf("`curl -sI -H 'Host: %s' http://%s%sx` says 502: it is passed on, and no solver listens yet.", name, at, challengePath),
		at, name, "include "+challenges+" in nginx's server block that does")
}

// challengesPass is that those for all names do so, which point to the guest today.
func challengesPass(m *move.Move, text string) check {
	c := reachesSolver(m, text, m.Guest.Old.Address, strings.Join(domains(m), " "), "pass it on in the server block or virtual host that does, on "+m.Guest.Name)
	c.OldPath = true
	return c
}

// reachesSolver is that challenges arrive, and not only at a web server on the way: this
// program answers in the solver's place, and asks for a word that nobody else knows.
func reachesSolver(m *move.Move, text string, at netip.Addr, names, mend string) check {
	return check{Text: text, On: m.Router.Name, How: "this program answers at " + m.Router.Solver.String() + " in the solver's place, and asks " + at.String() + " for its word",
		Try: func(ctx context.Context, st *station) (string, error) {
			l, err := new(net.ListenConfig).Listen(ctx, "tcp", m.Router.Solver.String())
			if errors.Is(err, syscall.EADDRINUSE) {
				return "", untried("somebody listens at " + m.Router.Solver.String() + ": when certsyncd has got its certificates, try again")
			}
			if err != nil {
				return "", err
			}
			word := rand.Text()
			solver := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, word) })}
			var serving sync.WaitGroup
			serving.Go(func() { solver.Serve(l) })
			defer serving.Wait()
			defer solver.Close()
			says := func(resp *http.Response) error {
				body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
				if err == nil && string(body) != word {
					err = fmt.Errorf("status %d, and not the solver's word: another server has answered, and the authority would ask it too; %s", resp.StatusCode, mend)
				}
				return err
			}
			list := strings.Fields(names)
			errs := make([]error, len(list))
			var asking sync.WaitGroup
			for i, name := range list {
				asking.Go(func() { _, errs[i] = site(netip.AddrPortFrom(at, 80), name, challengePath+rand.Text(), says)(ctx, st) })
			}
			asking.Wait()
			return plural(len(list), "name", "names"), errors.Join(errs...)
		}}
}

// mailLeaves is that a mail server which is not ours takes mail from a machine.
func mailLeaves(host, text string) check {
	return check{Text: text, On: host, How: "the greeting of another's mail server", Patience: slowGreeting,
		Try: func(ctx context.Context, st *station) (string, error) {
			if st.mailServer == "" {
				return "", untried("-mail-server HOST says whom to ask")
			}
			said, err := firstLine(ctx, net.JoinHostPort(st.mailServer, "25"))
			if err != nil {
				return "", fmt.Errorf("%w: clouds block outbound port 25 until asked. Ask now: until it is open, mail waits in the queue", err)
			}
			if !strings.HasPrefix(said, "220") {
				return "", fmt.Errorf("%s begins with %q, and not with 220: it is not the mail server that has answered, or it wants no mail from this address", st.mailServer, said)
			}
			return "", nil
		}}
}

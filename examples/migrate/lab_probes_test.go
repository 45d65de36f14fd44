package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	dnswire "github.com/miekg/dns"

	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/lab"
)

// The services by which a path is asked, as they are named in the report.
var (
	labForwarded = []string{"dns/udp", "dns/tcp", "smtp", "smtps", "submission"}
	labOld       = append([]string{"web", "imaps"}, labForwarded...)
	labNew       = append([]string{"web"}, labForwarded...)
)

// How long a client waits, as labLimit counts it: what has stopped refuses, or takes no
// connection, and a busy machine is no fault of the move. While the guest is stopped nobody
// waits until it is back, and so nobody waits for a third SYN, three seconds after the first.
const labPatience, labDialPatience, labStoppedPatience = 10 * time.Second, 2 * time.Second, 2 * time.Second

// labLimit ends a context after a time in which this process has run: in one in which the
// whole machine stands still, nobody could have answered. A Ticker drops the ticks that
// nobody takes.
func labLimit(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	const each = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		tick := time.NewTicker(each)
		defer tick.Stop()
		for range patience / each {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}

// labPort is where a service listens, and its network.
func labPort(service string) (network string, port uint16) {
	switch service {
	case "dns/udp":
		return "udp", 53
	case "dns/tcp":
		return "tcp", 53
	case "smtp":
		return "tcp", 25
	case "smtps":
		return "tcp", 465
	case "submission":
		return "tcp", 587
	case "imaps":
		return "tcp", 993
	case "web":
		return "tcp", 80
	case "web/tls":
		return "tcp", 443
	}
	panic(service)
}

// questions are those to a path: the old address, the new one in either family, or the
// tunnel.
func (l *labMove) questions(path string, services []string) []report.Question {
	client := l.net.client
	switch path {
	case "old":
		return l.questionsAt(path, client, l.move.Guest.Old.Address, services)
	case "new":
		return l.questionsAt(path, client, l.move.Router.Address, services)
	case "new, IPv6":
		return l.questionsAt(path, client, l.move.Tunnel.Guest.Addr(false), services)
	}
	return l.questionsAt(path, l.net.ingress.Host, l.move.Tunnel.Guest.Addr(true), services)
}

// answerBy waits until each service answers by a path.
func (l *labMove) answerBy(path string, services []string) {
	l.t.Helper()
	for _, q := range l.questions(path, services) {
		labAwait(l.t, q.Service+" answers by the path "+path, func() error {
			ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Second)
			defer cancel()
			return q.Ask(ctx)
		})
	}
}

// watchAlso asks by a path from now on.
func (l *labMove) watchAlso(path string, services []string) {
	l.t.Helper()
	l.answerBy(path, services)
	for _, q := range l.questions(path, services) {
		l.watch.Begin(l.t.Context(), q)
	}
}

// questionsAt ask services at an address, from a host.
func (l *labMove) questionsAt(path string, from lab.Host, at netip.Addr, services []string) []report.Question {
	var list []report.Question
	for _, service := range services {
		list = append(list, report.Question{Service: service, Path: path, Ask: func(ctx context.Context) error {
			patience := labPatience
			if l.away.Load() {
				patience = labStoppedPatience
			}
			ctx, cancel := labLimit(ctx, patience)
			defer cancel()
			return labAsk(ctx, from, service, at)
		}})
	}
	return list
}

// labAsk asks a service as a client of its own does, as far as its first good answer.
func labAsk(ctx context.Context, from lab.Host, service string, at netip.Addr) error {
	network, port := labPort(service)
	conn, err := labDial(ctx, from, network, netip.AddrPortFrom(at, port))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	return labConverse(conn, service)
}

func labConverse(conn net.Conn, service string) error {
	switch service {
	case "dns/udp":
		return labAskAgain(conn)
	case "dns/tcp":
		return labAskDNS(conn)
	case "smtps", "imaps", "web/tls":
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // who it is, others ask
	}
	if service == "web" || service == "web/tls" {
		return labAskWeb(conn)
	}
	greeting := "220 "
	if service == "imaps" {
		greeting = "* OK"
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, greeting) {
		return fmt.Errorf("greets with %q", line)
	}
	return nil
}

// labDial makes a connection.
func labDial(ctx context.Context, from lab.Host, network string, at netip.AddrPort) (conn net.Conn, err error) {
	ctx, cancel := labLimit(ctx, labDialPatience)
	defer cancel()
	err = from.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, at.String())
		return err
	})
	return conn, err
}

// labAskAgain asks a second time after a second, as TCP sends again what was lost: on a busy
// machine a packet may be.
func labAskAgain(conn net.Conn) error {
	again := time.AfterFunc(time.Second, func() { labSendQuestion(conn) })
	defer again.Stop()
	return labAskDNS(conn)
}

func labSendQuestion(conn net.Conn) error {
	question := new(dnswire.Msg).SetQuestion("example.net.", dnswire.TypeSOA)
	question.RecursionDesired = false
	return (&dnswire.Conn{Conn: conn}).WriteMsg(question)
}

func labAskDNS(conn net.Conn) error {
	if err := labSendQuestion(conn); err != nil {
		return err
	}
	answer, err := (&dnswire.Conn{Conn: conn}).ReadMsg()
	switch {
	case err != nil:
		return err
	case answer.Rcode != dnswire.RcodeSuccess || len(answer.Answer) == 0:
		return fmt.Errorf("answers with %s", dnswire.RcodeToString[answer.Rcode])
	}
	return nil
}

func labAskWeb(conn net.Conn) error {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.net\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return errors.New(response.Status)
	case string(body) != "senate\n":
		return fmt.Errorf("says %q", body)
	}
	return nil
}

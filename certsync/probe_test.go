package certsync_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
)

// A fakeServer says what it is told to, a step for each line that it is sent, and begins
// TLS after the last one.
type fakeServer struct {
	addr     string
	leaf     *x509.Certificate
	heard    chan string // what it was sent, lines within TLS too
	asked    chan string // the server's name in the hello
	finished chan struct{}
}

const fakeHangs = "…" // a step that says nothing, and waits

func startFakeServer(t *testing.T, network string, config *tls.Config, steps ...string) *fakeServer {
	t.Helper()
	s := &fakeServer{heard: make(chan string, 1000), asked: make(chan string, 1), finished: make(chan struct{})}
	if config == nil {
		config = &tls.Config{Certificates: []tls.Certificate{probeCertificate(t, 0)}}
	}
	s.leaf = config.Certificates[0].Leaf
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s.asked <- hello.ServerName
		return nil, nil
	}
	listener, err := net.Listen(network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
	require.NoError(t, err)
	s.addr = listener.Addr().String()
	t.Cleanup(func() {
		listener.Close()
		<-s.finished
	})
	go func() {
		defer close(s.finished)
		conn, err := listener.Accept()
		if err == nil {
			defer conn.Close()
			s.talk(conn, config, steps)
		}
	}()
	return s
}

func (s *fakeServer) talk(conn net.Conn, config *tls.Config, steps []string) {
	r := bufio.NewReader(conn)
	for i, step := range steps {
		if i > 0 {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			s.heard <- line
		}
		if step == fakeHangs {
			io.Copy(io.Discard, conn)
			return
		}
		if _, err := io.WriteString(conn, step); err != nil {
			return
		}
	}
	// What was read ahead would be the hello, which a client sends only after the answer.
	secure := tls.Server(conn, config)
	within := bufio.NewScanner(secure)
	for within.Scan() {
		s.heard <- within.Text()
		io.WriteString(secure, "221 bye\r\n")
	}
}

func probeCertificate(t *testing.T, lifetime time.Duration) tls.Certificate {
	t.Helper()
	ca, err := certsync.NewLocalCA(&certsync.LocalCAOptions{Lifetime: lifetime})
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), certsync.Request{Name: "mail.example.net"})
	require.NoError(t, err)
	pair, err := b.TLS()
	require.NoError(t, err)
	return pair
}

const (
	smtpHello = "250-mail.example.net\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n"
	imapHello = "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n"
)

func TestProbesReturnTheLeafThatIsServed(t *testing.T) {
	for _, test := range []struct {
		name  string
		probe func(addr, serverName string) certsync.Probe
		steps []string
		heard []string
	}{
		{"TLS", certsync.ProbeTLS, nil, nil},
		{"SMTP", certsync.ProbeSMTP, []string{"220 mail.example.net ESMTP\r\n", smtpHello, "220 2.0.0 Ready to start TLS\r\n"},
			[]string{"EHLO localhost\r\n", "STARTTLS\r\n", "QUIT"}},
		{"SMTP, terse", certsync.ProbeSMTP, []string{"220\n", "250-\n250 starttls\n", "220\n"},
			[]string{"EHLO localhost\r\n", "STARTTLS\r\n", "QUIT"}},
		{"SMTP, postscreen's greeting", certsync.ProbeSMTP, []string{"220-wait\r\n220-and see\r\n220 mail.example.net\r\n", smtpHello, "220-it is\r\n220 ready\r\n"},
			[]string{"EHLO localhost\r\n", "STARTTLS\r\n", "QUIT"}},
		{"IMAP", certsync.ProbeIMAP, []string{imapHello, "a OK Begin TLS negotiation now.\r\n"},
			[]string{"a STARTTLS\r\n", "b LOGOUT"}},
		{"IMAP, with news before its answer", certsync.ProbeIMAP, []string{"* ok\r\n", "* CAPABILITY IMAP4rev1\r\n* 1 EXISTS\r\nA ok\r\n"},
			[]string{"a STARTTLS\r\n", "b LOGOUT"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startFakeServer(t, "tcp4", nil, test.steps...)
			leaf, err := test.probe(s.addr, "")(t.Context())
			require.NoError(t, err)
			assert.True(t, leaf.Equal(s.leaf))
			<-s.finished
			close(s.heard)
			var heard []string
			for line := range s.heard {
				heard = append(heard, line)
			}
			assert.Equal(t, test.heard, heard)
			assert.Empty(t, <-s.asked, "an address is no server name")
		})
	}
}

func TestProbesSayWhatTheServerSaid(t *testing.T) {
	long := strings.Repeat("x", 9000)
	for _, test := range []struct {
		name  string
		probe func(addr, serverName string) certsync.Probe
		steps []string
		want  string
	}{
		{"SMTP busy", certsync.ProbeSMTP, []string{"421 4.3.2 too many connections\r\n"}, `greeting: the server said "421 4.3.2 too many connections"`},
		{"SMTP no", certsync.ProbeSMTP, []string{"220-wait\r\n554 go away\r\n"}, `greeting: the server said "554 go away"`},
		{"SMTP of another protocol", certsync.ProbeSMTP, []string{"* OK IMAP4rev1\r\n"}, `greeting: the server said "* OK IMAP4rev1"`},
		{"SMTP code too long", certsync.ProbeSMTP, []string{"2200 x\r\n"}, `greeting: the server said "2200 x"`},
		{"SMTP hello refused", certsync.ProbeSMTP, []string{"220 x\r\n", "502 what?\r\n"}, `EHLO localhost: the server said "502 what?"`},
		{"SMTP without STARTTLS", certsync.ProbeSMTP, []string{"220 x\r\n", "250-STARTTLSNOT\r\n250 SIZE\r\n"}, "EHLO: the server does not offer STARTTLS"},
		{"SMTP without extensions", certsync.ProbeSMTP, []string{"220 x\r\n", "250\r\n"}, "EHLO: the server does not offer STARTTLS"},
		{"SMTP with a broken pair", certsync.ProbeSMTP, []string{"220 x\r\n", smtpHello, "454 4.7.0 TLS not available due to local problem\r\n"}, `STARTTLS: the server said "454 4.7.0 TLS not available due to local problem"`},
		{"SMTP injection", certsync.ProbeSMTP, []string{"220 x\r\n", smtpHello, "220 go\r\n250 injected\r\n"}, `TLS handshake: the server said in the clear "250 injected\r\n"`},
		{"SMTP endless line", certsync.ProbeSMTP, []string{"220 " + long}, "greeting: the answer has a line of more than 8192 bytes: \"220 xxx"},
		{"SMTP endless answer", certsync.ProbeSMTP, []string{"220 x\r\n", strings.Repeat("250-x\r\n", 101)}, "EHLO localhost: the answer has more than 100 lines"},
		{"SMTP bytes that no terminal should see", certsync.ProbeSMTP, []string{"500 \x1b[2J" + long[:1000] + "\r\n"}, `said "500 \x1b[2Jxxx`},
		{"IMAP logged in", certsync.ProbeIMAP, []string{"* PREAUTH welcome\r\n"}, `greeting: the server said "* PREAUTH welcome"`},
		{"IMAP busy", certsync.ProbeIMAP, []string{"* BYE too many connections\r\n"}, `greeting: the server said "* BYE too many connections"`},
		{"IMAP of another protocol", certsync.ProbeIMAP, []string{"220 ESMTP\r\n"}, `greeting: the server said "220 ESMTP"`},
		{"IMAP word that begins with OK", certsync.ProbeIMAP, []string{"* OKAY\r\n"}, `greeting: the server said "* OKAY"`},
		{"IMAP with a broken pair", certsync.ProbeIMAP, []string{imapHello, "a BAD TLS support isn't enabled.\r\n"}, `STARTTLS: the server said "a BAD TLS support isn't enabled."`},
		{"IMAP no", certsync.ProbeIMAP, []string{imapHello, "* 1 EXISTS\r\na NO not now\r\n"}, `STARTTLS: the server said "a NO not now"`},
		{"IMAP other tag", certsync.ProbeIMAP, []string{imapHello, "b OK\r\n"}, `STARTTLS: the server said "b OK"`},
		{"IMAP goes", certsync.ProbeIMAP, []string{imapHello, "* BYE shutting down\r\n"}, `STARTTLS: the server said "* BYE shutting down"`},
		{"IMAP injection", certsync.ProbeIMAP, []string{imapHello, "a OK go\r\n* 1 EXISTS\r\n"}, `TLS handshake: the server said in the clear "* 1 EXISTS\r\n"`},
		{"IMAP endless answer", certsync.ProbeIMAP, []string{imapHello, strings.Repeat("* 1 EXISTS\r\n", 101)}, "STARTTLS: no answer among 100 lines"},
		{"IMAP endless line", certsync.ProbeIMAP, []string{"* OK " + long}, "greeting: the answer has a line of more than 8192 bytes"},
		{"plain text where TLS should be", certsync.ProbeTLS, []string{"220 mail.example.net ESMTP\r\n"}, `TLS handshake: the server said in the clear "220 mail.example.net ESMTP\r\n`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startFakeServer(t, "tcp4", nil, test.steps...)
			leaf, err := test.probe(s.addr, "")(t.Context())
			assert.Nil(t, leaf)
			require.ErrorContains(t, err, test.want)
			assert.ErrorContains(t, err, s.addr+": ")
			assert.Less(t, len(err.Error()), 500)
		})
	}
}

func TestProbesRefuseALineThatEndsTooEarly(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			io.WriteString(conn, "220 mail.exa")
			conn.Close()
		}
	}()
	_, err = certsync.ProbeSMTP(listener.Addr().String(), "")(t.Context())
	require.ErrorContains(t, err, `greeting: the server hung up after "220 mail.exa"`)
}

func TestProbesOfNobody(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	listener.Close()
	_, err = certsync.ProbeTLS(listener.Addr().String(), "")(t.Context())
	require.ErrorContains(t, err, listener.Addr().String()+": connect: connection refused")
	for _, addr := range []string{"", "mail.example.net", "2001:db8::1", "[2001:db8::1]", "a:b:c"} {
		_, err = certsync.ProbeIMAP(addr, "")(t.Context())
		var wrong *certsync.ValueError
		require.ErrorAs(t, err, &wrong, addr)
		assert.Equal(t, addr, wrong.Value)
	}
}

// TestProbesEndWithTheirContext waits for a server that waits for them, at each step.
func TestProbesEndWithTheirContext(t *testing.T) {
	for _, steps := range [][]string{
		{fakeHangs},
		{"220 x\r\n", fakeHangs},
		{"220 x\r\n", smtpHello, fakeHangs},
	} {
		s := startFakeServer(t, "tcp4", nil, steps...)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			_, err := certsync.ProbeSMTP(s.addr, "")(ctx)
			done <- err
		}()
		for range steps[1:] {
			<-s.heard
		}
		cancel(assert.AnError)
		err := <-done
		assert.ErrorIs(t, err, assert.AnError)
		assert.ErrorContains(t, err, s.addr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err := certsync.ProbeTLS("127.0.0.1:1", "")(ctx)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestProbesDoNotWaitForAFarewell has a server that never answers QUIT.
func TestProbesDoNotWaitForAFarewell(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	pair := probeCertificate(t, 0)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		for _, answer := range []string{"220 x\r\n", smtpHello, "220 go\r\n"} {
			io.WriteString(conn, answer)
			if answer != "220 go\r\n" {
				r.ReadString('\n')
			}
		}
		io.Copy(io.Discard, tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}))
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	leaf, err := certsync.ProbeSMTP(listener.Addr().String(), "")(ctx)
	require.NoError(t, err)
	assert.True(t, leaf.Equal(pair.Leaf))
	assert.NoError(t, ctx.Err(), "it had time left")
}

func TestProbesAskForTheServersName(t *testing.T) {
	for _, test := range []struct{ network, host, serverName, want string }{
		{"tcp4", "", "mail.example.net", "mail.example.net"},
		{"tcp4", "localhost", "", "localhost"},
		{"tcp4", "localhost", "mail.example.net.", "mail.example.net"},
		{"tcp4", "", "192.0.2.1", ""},
		{"tcp6", "", "", ""},
		{"tcp6", "", "2001:db8::1", ""},
		{"tcp6", "", "mail.example.net", "mail.example.net"},
	} {
		s := startFakeServer(t, test.network, nil)
		addr := s.addr
		if test.host != "" {
			_, port, err := net.SplitHostPort(addr)
			require.NoError(t, err)
			addr = net.JoinHostPort(test.host, port)
		}
		_, err := certsync.ProbeTLS(addr, test.serverName)(t.Context())
		require.NoError(t, err)
		assert.Equal(t, test.want, <-s.asked, "%v", test)
	}
}

// TestProbesTakeAnyCertificateButNotAnyTLS sees one that has ended, since the question is
// which one is served.
func TestProbesTakeAnyCertificateButNotAnyTLS(t *testing.T) {
	ended := probeCertificate(t, -time.Minute)
	s := startFakeServer(t, "tcp4", &tls.Config{Certificates: []tls.Certificate{ended}})
	leaf, err := certsync.ProbeTLS(s.addr, "other.example.net")(t.Context())
	require.NoError(t, err)
	assert.True(t, leaf.Equal(ended.Leaf))

	s = startFakeServer(t, "tcp4", &tls.Config{Certificates: []tls.Certificate{ended}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	_, err = certsync.ProbeTLS(s.addr, "")(t.Context())
	assert.ErrorContains(t, err, s.addr+": TLS handshake: ")
}

func TestAllProbesMustSeeTheSameLeaf(t *testing.T) {
	sees := func(leaf *x509.Certificate, err error) certsync.Probe {
		return func(context.Context) (*x509.Certificate, error) { return leaf, err }
	}
	one, two := probeCertificate(t, 0).Leaf, probeCertificate(t, 0).Leaf
	again, err := x509.ParseCertificate(one.Raw)
	require.NoError(t, err)

	leaf, err := certsync.Probes(sees(one, nil), sees(again, nil), sees(one, nil))(t.Context())
	require.NoError(t, err)
	assert.True(t, leaf.Equal(one))

	leaf, err = certsync.Probes(sees(one, nil), sees(two, nil), sees(nil, assert.AnError))(t.Context())
	assert.Nil(t, leaf)
	assert.EqualError(t, err, fmt.Sprintf("probe 2 of 3: it sees CN=mail.example.net with serial %x, and the first sees CN=mail.example.net with serial %x", two.SerialNumber, one.SerialNumber))

	_, err = certsync.Probes(sees(one, nil), sees(nil, assert.AnError))(t.Context())
	assert.ErrorIs(t, err, assert.AnError)
	assert.ErrorContains(t, err, "probe 2 of 2: ")

	_, err = certsync.Probes(sees(one, nil), sees(nil, nil))(t.Context())
	assert.EqualError(t, err, "probe 2 of 2: it says nothing of what is served")

	_, err = certsync.Probes()(t.Context())
	var wrong *certsync.ValueError
	assert.ErrorAs(t, err, &wrong)
}

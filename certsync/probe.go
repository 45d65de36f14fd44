package certsync

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// A Probe returns the leaf that a daemon serves.
//
// Those of this package connect to addr, a host or address with its port, and ask for
// serverName; empty: the host of addr. An address is not sent as a name (RFC 6066, section
// 3). They accept any certificate, expired ones too, since their question is which one is
// served. The context bounds them; without a deadline they wait for a server that says
// nothing. Errors name the address, and what the server said if it refused.
type Probe func(ctx context.Context) (*x509.Certificate, error)

// ProbeTLS asks a server that speaks TLS from the start: 443, 465, 993.
func ProbeTLS(addr, serverName string) Probe { return probe(addr, serverName, starttls{}) }

// ProbeSMTP asks by STARTTLS (RFC 3207): 25, 587.
func ProbeSMTP(addr, serverName string) Probe {
	return probe(addr, serverName, starttls{(*talk).smtp, "QUIT\r\n"})
}

// ProbeIMAP asks by STARTTLS (RFC 9051, section 6.2.1): 143.
func ProbeIMAP(addr, serverName string) Probe {
	return probe(addr, serverName, starttls{(*talk).imap, "b LOGOUT\r\n"})
}

// Probes asks all, one after the other, and returns the leaf that every one of them serves:
// the ports of one daemon. An error says which of them failed, or serves another one than
// the first, counting from 1. No probes at all are an error too.
func Probes(list ...Probe) Probe {
	list = slices.Clone(list)
	return func(ctx context.Context) (*x509.Certificate, error) {
		if len(list) == 0 {
			return nil, &ValueError{Field: "probes", Reason: "there are none"}
		}
		var first *x509.Certificate
		for i, probe := range list {
			leaf, err := probe(ctx)
			if err == nil && leaf == nil {
				err = errUnsaid
			}
			if err != nil {
				return nil, fmt.Errorf("probe %d of %d: %w", i+1, len(list), err)
			}
			if first == nil {
				first = leaf
			}
			if !leaf.Equal(first) {
				return nil, fmt.Errorf("probe %d of %d: it sees %s with serial %x, and the first sees %s with serial %x",
					i+1, len(list), subject(leaf), leaf.SerialNumber, subject(first), first.SerialNumber)
			}
		}
		return first, nil
	}
}

// errUnsaid is a caller's Probe that returns neither a leaf nor an error.
var errUnsaid = errors.New("it says nothing of what is served")

// A starttls is how a protocol comes to its handshake. The zero value begins with it.
type starttls struct {
	begin func(*talk) error // up to the answer that lets the handshake begin
	end   string            // what a client says before it goes
}

func probe(addr, serverName string, protocol starttls) Probe {
	return func(ctx context.Context) (*x509.Certificate, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, &ValueError{Field: "address", Value: addr, Reason: "it is not a host and a port"}
		}
		if serverName != "" {
			host = serverName
		}
		leaf, err := served(ctx, addr, host, protocol)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // rather than "use of closed network connection"
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		return leaf, nil
	}
}

func served(ctx context.Context, addr, host string, protocol starttls) (*x509.Certificate, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if protocol.begin != nil {
		t := &talk{conn, bufio.NewReaderSize(conn, maxLine)}
		if err := protocol.begin(t); err != nil {
			return nil, err
		}
		// It may not pass for what came by TLS (CVE-2011-0411). Dovecot says here, after its
		// OK, that it cannot use its certificate.
		if rest, _ := t.r.Peek(t.r.Buffered()); len(rest) > 0 {
			return nil, inTheClear(rest)
		}
	}
	first := &beginning{Conn: conn}
	secure := tls.Client(first, &tls.Config{
		ServerName: host, // which crypto/tls does not send if it is an address
		MinVersion: tls.VersionTLS12,
		// Nothing is trusted here. The caller compares the leaf with the one that it
		// installed; the handshake proves that the server has the leaf's key.
		InsecureSkipVerify: true,
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
			return nil, inTheClear(first.read)
		}
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	leaf := secure.ConnectionState().PeerCertificates[0]
	if protocol.end != "" {
		// The daemon's log should not call it an aborted session. That may fail: what was
		// asked is known.
		conn.SetDeadline(time.Now().Add(time.Second))
		io.WriteString(secure, protocol.end)
		bufio.NewReader(secure).ReadSlice('\n')
	}
	secure.Close()
	return leaf, nil
}

// A beginning is a connection that keeps the first bytes that it reads.
type beginning struct {
	net.Conn
	read []byte
}

func (b *beginning) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	b.read = append(b.read, p[:min(n, maxQuoted-len(b.read))]...)
	return n, err
}

func inTheClear(text []byte) error {
	return fmt.Errorf("TLS handshake: the server said in the clear %.*q", maxQuoted, text)
}

// A talk is the part of a session that is in the clear.
type talk struct {
	conn net.Conn
	r    *bufio.Reader
}

// Limits for what a server may say: RFC 5321, section 4.5.3.1.5, allows 512 bytes to a
// line, and RFC 7162, section 4, has IMAP lines of 8,192.
const (
	maxLine  = 8 << 10
	maxLines = 100
)

// maxQuoted is how much of what a server said an error quotes.
const maxQuoted = 100

// smtp is RFC 3207, section 4.
func (t *talk) smtp() error {
	if _, err := t.reply("greeting", "220"); err != nil {
		return err
	}
	// A probe is most often on the daemon's own machine, and has no better name.
	extensions, err := t.ask("EHLO localhost", "250")
	if err != nil {
		return err
	}
	offered := false
	for _, extension := range extensions {
		offered = offered || strings.EqualFold(strings.TrimSpace(extension), "STARTTLS")
	}
	if !offered {
		return errors.New("EHLO: the server does not offer STARTTLS")
	}
	_, err = t.ask("STARTTLS", "220")
	return err
}

func (t *talk) ask(command, code string) ([]string, error) {
	if _, err := io.WriteString(t.conn, command+"\r\n"); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return t.reply(command, code)
}

// reply reads one reply, which must have the code, and returns its lines without that (RFC
// 5321, section 4.2).
func (t *talk) reply(to, code string) ([]string, error) {
	var lines []string
	for range maxLines {
		line, err := t.line(to)
		if err != nil {
			return nil, err
		}
		text, ok := strings.CutPrefix(line, code)
		more := strings.HasPrefix(text, "-")
		if !ok || !more && text != "" && text[0] != ' ' {
			return nil, refused(to, line)
		}
		lines = append(lines, strings.TrimLeft(text, "- "))
		if !more {
			return lines, nil
		}
	}
	return nil, fmt.Errorf("%s: the answer has more than %d lines", to, maxLines)
}

// imap is RFC 9051, sections 6.2.1 and 7.1.
func (t *talk) imap() error {
	greeting, err := t.line("greeting")
	if err != nil {
		return err
	}
	// PREAUTH is an error as well: STARTTLS has no place in a session that is logged in.
	if !is(greeting, "* OK") {
		return refused("greeting", greeting)
	}
	const command = "STARTTLS"
	if _, err := io.WriteString(t.conn, "a "+command+"\r\n"); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	for range maxLines {
		line, err := t.line(command)
		switch {
		case err != nil:
			return err
		case is(line, "a OK"):
			return nil
		case !strings.HasPrefix(line, "* "), is(line, "* BYE"):
			return refused(command, line)
		}
	}
	return fmt.Errorf("%s: no answer among %d lines", command, maxLines)
}

// is reports whether a line of IMAP is of that kind, in any case.
func is(line, kind string) bool {
	return len(line) >= len(kind) && strings.EqualFold(line[:len(kind)], kind) && (len(line) == len(kind) || line[len(kind)] == ' ')
}

func (t *talk) line(to string) (string, error) {
	line, err := t.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("%s: the answer has a line of more than %d bytes: %.40q…", to, maxLine, line)
	case errors.Is(err, io.EOF):
		return "", fmt.Errorf("%s: the server hung up after %.*q", to, maxQuoted, line)
	case err != nil:
		return "", fmt.Errorf("%s: %w", to, err)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

func refused(to, line string) error {
	return fmt.Errorf("%s: the server said %.*q", to, maxQuoted, line)
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/smtp"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/zone"
)

// tryChecks tries the checks of a step with "migrate check", on each machine that they are
// for, and takes over what it has found.
func (l *labMove) tryChecks(title string) {
	l.t.Helper()
	phase := l.report.Phases[len(l.report.Phases)-1].Number
	index := slices.IndexFunc(l.phase.Steps, func(s step) bool { return s.Title == title })
	s := l.phase.Steps[index]
	for on, m := range map[string]lab.Host{"senate": l.net.senate.Host, "ingress": l.net.ingress.Host, "garage": l.net.garage.Host, "elsewhere": l.net.client} {
		here := slices.ContainsFunc(s.Check, func(c check) bool {
			return c.Try != nil && (c.On == on || c.On == outside && on == "elsewhere" || c.On == "" && s.Host == on)
		})
		if !here {
			continue
		}
		argv := m.Command(l.programs+"/migrate", "check", "-move", l.dir+"/m.toml", "-in", l.dir+"/in", "-out", l.dir, "-on", on,
			"-mail-server", labAuthority, "-json", fmt.Sprintf("%d.%d", phase, index+1))
		cmd := exec.CommandContext(l.t.Context(), argv[0], argv[1:]...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		var phases []struct{ Findings []report.Finding }
		require.NoError(l.t, json.Unmarshal(out, &phases), "%v: %s%s", err, out, &stderr)
		for _, f := range phases[0].Findings {
			switch {
			case f.Outcome == report.NotTried:
				continue // somebody else tries it, or nobody can
			case strings.Contains(f.Detail, "caches may hold"):
				f.Outcome, f.Detail = report.NotTried, "the servers have it; caches have not forgotten what was there before: "+f.Detail
			case f.Outcome == report.Failed:
				l.t.Errorf("%s: migrate check on %s: %s: %s", title, on, f.Check, f.Detail)
			}
			f.How += ", on " + on
			l.report.Add(f)
		}
	}
}

// takeZone is a step that has a zone served. What is lost of a NOTIFY is sent again after
// fifteen seconds, for which the checks would not wait.
func (l *labMove) takeZone(title string) {
	l.t.Helper()
	l.install(l.step(title))
	l.runLines(title, nil)
	l.served(labOldAddress, labNewAddress)
	l.tryChecks(title)
}

// served waits until the primary, by the paths that there are, and both secondaries have
// the serial of the zone's file.
func (l *labMove) served(primary ...string) {
	l.t.Helper()
	servers := strings.Join(append(primary, labSecondary1, labSecondary2), " ")
	l.net.elsewhere.write(l.t, 0o644, "/root/example.net", fileText(l.t, l.net.senate.path("/etc/namedb/example.net")))
	line := "zonectl wait -timeout 30s -origin example.net /root/example.net " + servers
	out, err := l.net.elsewhere.try(line)
	if err != nil {
		err = errors.New(out)
	}
	l.check("Every server has the zone's serial", line, err)
}

// servedFor asks a secondary whether a cache may keep anything for longer than max.
func (l *labMove) servedFor(max time.Duration) error {
	records, err := l.net.elsewhere.try("dig +noall +answer axfr example.net @" + labSecondary1)
	if err != nil {
		return fmt.Errorf("%w: %s", err, records)
	}
	f, err := zone.Parse("what is transferred", l.move.Domain, []byte(records))
	if err != nil {
		return err
	}
	if is := f.MaxTTL(); is > max || is == 0 {
		return fmt.Errorf("the longest TTL is %s:\n%s", is, records)
	}
	return nil
}

// forgetOldAddress takes the old address out of the zone's texts, as phase 4 has put off.
func (l *labMove) forgetOldAddress() {
	f, err := zone.Open(l.net.senate.path(l.move.DNS.Zone), l.move.Domain, nil)
	require.NoError(l.t, err)
	for _, r := range f.References(l.move.Guest.Old.Address) {
		old := r
		r.Data = strings.ReplaceAll(r.Data, labOldAddress, labNewAddress)
		_, err := f.Remove(old)
		require.NoError(l.t, err)
		require.NoError(l.t, f.Add(r))
	}
	_, err = f.Bump(zone.Increment, time.Now())
	require.NoError(l.t, err)
	require.NoError(l.t, f.Save(l.t.Context()))
	l.net.senate.sh(l.t, "rndc reload example.net")
	l.served(labNewAddress)
}

// reaches dials an address from a machine.
func (l *labMove) reaches(m *labMachine, at string) error {
	conn, err := labDial(l.t.Context(), m.Host, "tcp", netip.MustParseAddrPort(at))
	if err != nil {
		return err
	}
	return conn.Close()
}

// newCertificates checks that every service presents a certificate of the authority's, for
// its name.
func (l *labMove) newCertificates() {
	for _, s := range []struct {
		from     lab.Host
		service  string
		at, name string
	}{
		{l.net.client, "smtp", "203.0.113.63:25", "senate.example.net"},
		{l.net.client, "smtps", "203.0.113.63:465", "senate.example.net"},
		{l.net.client, "submission", "203.0.113.63:587", "senate.example.net"},
		{l.net.ingress.Host, "imaps", "172.16.1.4:993", "senate.example.net"},
		{l.net.client, "web", "203.0.113.63:443", "www.example.net"},
	} {
		l.check(s.service+" serves the new certificate", "a handshake at "+s.at, l.serves(s.from, s.at, s.name))
	}
	for _, m := range []*labMachine{l.net.ingress, l.net.senate} {
		out, err := m.try("certsyncd check " + certsyncdPath)
		if err == nil && out != "" {
			err = errors.New(out)
		}
		l.check("certsyncd has nothing to say on "+m.name, "certsyncd check", err)
	}
}

// serves makes a handshake, with STARTTLS at the ports of SMTP, and checks the chain.
func (l *labMove) serves(from lab.Host, at, name string) error {
	ctx, cancel := labLimit(l.t.Context(), labPatience)
	defer cancel()
	addr := netip.MustParseAddrPort(at)
	conn, err := labDial(ctx, from, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	roots := x509.NewCertPool()
	for _, root := range l.authority.Roots {
		roots.AddCert(root)
	}
	config := &tls.Config{ServerName: name, RootCAs: roots}
	if port := addr.Port(); port == 25 || port == 587 {
		c, err := smtp.NewClient(conn, name)
		if err != nil {
			return err
		}
		return c.StartTLS(config)
	}
	return tls.Client(conn, config).HandshakeContext(ctx)
}

// greet has somebody greet as a mail server at an address of a host.
func (l *labMove) greet(on lab.Host, at string) {
	var listener net.Listener
	require.NoError(l.t, on.Do(func() (err error) {
		listener, err = net.Listen("tcp", at)
		return err
	}))
	acceptAll(l.t, listener, func(conn net.Conn) { io.WriteString(conn, "220 mail.example.com ESMTP\r\n") })
}

package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/certconf"
	"github.com/rehost/rehost/examples/internal/move"
)

// bundlesFit is that what is installed in a directory can be served: each certificate
// with its own key, its chain and its names.
func bundlesFit(m *move.Move, host, dir, text string) check {
	return check{Text: text, On: host, Files: true, How: "chain and key are read and compared",
		Try: func(ctx context.Context, st *station) (string, error) {
			var errs []error
			for _, c := range m.Certificates {
				_, err := installedBundle(ctx, st, dir, c)
				if _, skipped := err.(untried); skipped {
					return "", err
				}
				errs = append(errs, err)
			}
			return fmt.Sprintf("%d certificates", len(m.Certificates)), errors.Join(errs...)
		}}
}

// installedBundle reads the two files that daemons read, and then all that belongs to
// the installed version.
func installedBundle(ctx context.Context, st *station, dir string, c move.Certificate) (*certsync.Bundle, error) {
	if err := st.stay(dir, func(string) bool { return true }); err != nil {
		return nil, missing(err, renewed(dir))
	}
	live := path.Join(dir, c.Name, "live")
	chainFile, keyFile := st.path(path.Join(live, "fullchain.pem")), st.path(path.Join(live, "privkey.pem"))
	chain, err := os.ReadFile(chainFile)
	if err != nil {
		return nil, missing(err, renewed(dir))
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, missing(err, renewed(dir))
	}
	b, err := certsync.ParsePair(c.Name, chainFile, chain, keyFile, key)
	if err == nil {
		err = b.Validate(certsync.Policy{Names: c.Covers(), Now: st.now})
	}
	if err == nil {
		_, err = (&certsync.Dir{Path: st.path(dir)}).Fetch(ctx, c.Name, certsync.Fingerprint{})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it is no certificate to serve; %s", err, renewed(dir))
	}
	return b, nil
}

// renewed is how a directory gets its certificates.
func renewed(dir string) string {
	if dir == publishedCertificates {
		return "\"certsyncd issue " + certsyncdPath + "\" gets another"
	}
	return "\"certsyncd sync " + certsyncdPath + "\" installs chain and key anew, together"
}

// filesClosed is that the daemons' group can read the files, and nobody else can.
func filesClosed(m *move.Move, text string) check {
	return check{Text: text, On: m.Guest.Name, Files: true, How: "the modes of the files",
		Try: func(_ context.Context, st *station) (string, error) {
			var errs []error
			for _, c := range m.Certificates {
				for _, name := range []string{"fullchain.pem", "privkey.pem", "combined.pem"} {
					file := st.path(path.Join(guestCertificates, c.Name, "live", name))
					info, err := os.Stat(file)
					if err == nil && info.Mode().Perm() != 0o440 {
						err = fmt.Errorf("%s: its mode is %04o: \"certsyncd sync %s\" makes it 0440", file, info.Mode().Perm(), certsyncdPath)
					}
					errs = append(errs, missing(err, renewed(guestCertificates)))
				}
			}
			return "", errors.Join(errs...)
		}}
}

// asked is a place where a certificate is served.
type asked struct {
	probe string // as in certsyncd's file
	dir   string // where the machine has the same certificate; "": nowhere
	cert  move.Certificate
	what  string // who serves it
}

// serves is that a daemon serves what is installed, and not what it has read before: a
// reload that exits with 0 proves nothing.
func serves(host, text string, a asked) check {
	return check{Text: text, On: host, Files: true, How: "the certificate that " + a.probe + " serves", Patience: slowGreeting,
		Try: func(ctx context.Context, st *station) (string, error) {
			var p certconf.Probe
			if err := p.UnmarshalText([]byte(a.probe)); err != nil {
				return "", err
			}
			leaf, err := p.Sync(a.cert.Covers()[0])(ctx)
			if err != nil {
				return "", fmt.Errorf("%w: is %s running, and does it have TLS on this port?", err, a.what)
			}
			if st.now.After(leaf.NotAfter) {
				return "", fmt.Errorf("%s serves a certificate that has expired on %s: have it read the new one", a.what, leaf.NotAfter.UTC().Format("2006-01-02"))
			}
			for _, name := range a.cert.Covers() {
				if err := leaf.VerifyHostname(name); err != nil {
					return "", fmt.Errorf("%s: %w: it does not serve the certificate %s: look at the files that its configuration names", a.what, err, a.cert.Name)
				}
			}
			if a.dir != "" {
				if err := sameAsInstalled(ctx, st, a, leaf); err != nil {
					return "", err
				}
			}
			return "until " + leaf.NotAfter.UTC().Format("2006-01-02"), nil
		}}
}

func sameAsInstalled(ctx context.Context, st *station, a asked, leaf *x509.Certificate) error {
	b, err := installedBundle(ctx, st, a.dir, a.cert)
	if err != nil {
		return err
	}
	want, err := b.Leaf()
	if err != nil {
		return err
	}
	if have, is := sha256.Sum256(want.Raw), sha256.Sum256(leaf.Raw); have != is {
		return fmt.Errorf("%s: %s serves another certificate, with serial number %x: it was told, and has not read this one; restart it, and look at its log",
			st.path(path.Join(a.dir, a.cert.Name, "live/fullchain.pem")), a.what, leaf.SerialNumber)
	}
	return nil
}

// servedByGuest are the ports of the guest's daemons: asked on the guest, through the
// tunnel on the router, and from outside where they are forwarded.
func servedByGuest(m *move.Move) []check {
	var checks []check
	for _, d := range m.Daemons {
		c := certificateOf(m, d.Certificates[0])
		for _, probe := range m.Probes(d) {
			at := func(a netip.Addr) asked {
				return asked{strings.Replace(probe, "127.0.0.1", a.String(), 1), "", c, d.Name}
			}
			local, tunnel, public := asked{probe, guestCertificates, c, d.Name}, at(m.Tunnel.Guest.Addr(true)), at(m.Router.Address)
			checks = append(checks,
				serves(m.Guest.Name, fmt.Sprintf("On %s: %s serves the certificate that is installed (%s).", m.Guest.Name, d.Name, local.probe), local),
				serves(m.Router.Name, fmt.Sprintf("On %s: %s serves it through the tunnel (%s).", m.Router.Name, d.Name, tunnel.probe), tunnel))
			if slices.ContainsFunc(m.Services, func(s move.Service) bool {
				return s.Via == move.Forward && strings.HasSuffix(probe, fmt.Sprintf(":%d", s.Port))
			}) {
				checks = append(checks, serves(outside, fmt.Sprintf("From outside: %s serves it (%s).", d.Name, public.probe), public))
			}
		}
	}
	return checks
}

// servedByNginx are the sites that nginx on the router ends TLS for.
func servedByNginx(m *move.Move, web []move.Service) []check {
	var checks []check
	for _, s := range web {
		c, _ := m.CertificateFor(s.Names) // it has been validated
		here := asked{"tls://127.0.0.1:443/" + s.Names[0], nginxCertificates, c, "nginx"}
		there := asked{"tls://" + netip.AddrPortFrom(m.Router.Address, 443).String() + "/" + s.Names[0], "", c, "nginx"}
		checks = append(checks,
			serves(m.Router.Name, fmt.Sprintf("On %s: nginx serves the certificate that is installed for %s.", m.Router.Name, s.Names[0]), here),
			serves(outside, fmt.Sprintf("From outside: nginx serves it at %s.", m.Router.Address), there))
	}
	return checks
}

func certificateOf(m *move.Move, name string) move.Certificate {
	return m.Certificates[slices.IndexFunc(m.Certificates, func(c move.Certificate) bool { return c.Name == name })] // it has been validated
}

// publishedInside is that the publisher listens to the tunnel alone. That the world does
// not reach it would not prove it: clouds drop what they were not told about.
func publishedInside(m *move.Move, text string) check {
	return check{Text: text, On: m.Router.Name, How: "ss",
		Try: func(ctx context.Context, st *station) (string, error) {
			want := netip.AddrPortFrom(m.Tunnel.Router.Addr(true), m.Handover.Port).String()
			out, err := st.output(ctx, "ss", "-Hltn", fmt.Sprintf("sport = :%d", m.Handover.Port))
			if err != nil {
				return "", err
			}
			var at []string
			for line := range strings.Lines(out) {
				if words := strings.Fields(line); len(words) > 3 {
					at = append(at, words[3])
				}
			}
			if !slices.Equal(at, []string{want}) {
				return "", fmt.Errorf("somebody listens at %q, and should at %s alone: that is listen in %s; then \"systemctl restart certsyncd-run\", and look at its log", at, want, certsyncdPath)
			}
			return "", nil
		}}
}

// notPublished is that the world does not reach it.
func notPublished(m *move.Move) check {
	at := netip.AddrPortFrom(m.Router.Address, m.Handover.Port)
	others := []uint16{80}
	for _, s := range m.Services {
		if s.Via == move.Forward && slices.Contains(s.Protos, "tcp") {
			others = append(others, s.Port)
		}
	}
	return check{Text: fmt.Sprintf("From outside: `nc -vz -w 5 %s %d` does not connect.", at.Addr(), at.Port()), On: outside, How: "a TCP connection", Patience: 2 * patience,
		Try: closed(at, others, fmt.Sprintf("it gives keys away: let listen in %s name %s, and restart certsyncd-run", certsyncdPath, m.Tunnel.Router.Addr(true)))}
}

// mayNotFetch is that the keys are given to the guest alone, by the one who gives them.
func mayNotFetch(m *move.Move, text string) check {
	return check{Text: text, On: m.Router.Name, How: "a request over HTTP",
		Try: site(netip.AddrPortFrom(m.Tunnel.Router.Addr(true), m.Handover.Port), "", "/"+m.Certificates[0].Name, func(resp *http.Response) error {
			if resp.StatusCode != http.StatusForbidden {
				return fmt.Errorf("status %d, and not 403: let allow in %s name the guest alone, and restart certsyncd-run", resp.StatusCode, certsyncdPath)
			}
			return nil
		})}
}

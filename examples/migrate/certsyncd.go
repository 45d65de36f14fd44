package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
)

// routerConf renders certsyncd's file for the router. The words come from the move file,
// where none can hold a quote: Go's quotes are TOML's then.
func routerConf(m *move.Move) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Certificates of %s: got here, for %s and for nginx.\n\n[issue]\n", m.Domain, m.Guest.Name)
	if m.Handover.Directory != "" {
		fmt.Fprintf(&b, "directory = %q\n", m.Handover.Directory)
	}
	fmt.Fprintf(&b, `accept_terms = %t
email = %q
account = "/var/lib/certsyncd/account"
http01 = %q # nginx passes the challenges on

# In the tunnel only: whoever may fetch gets the keys.
[publish]
dir = "/var/lib/certsyncd/published"
listen = %q
allow = [%q]
`, m.Handover.AcceptTerms, m.Handover.Email, m.Router.Solver, netip.AddrPortFrom(m.Tunnel.Router.Addr(true), m.Handover.Port), host(m.Tunnel.Guest.Addr(true)))
	certificateTables(&b, m)
	web := proxied(m)
	if len(web) == 0 {
		return []byte(b.String())
	}
	fmt.Fprintf(&b, `
# nginx has files of its own, and is asked on port 443 whether it serves them.
[fetch]
dir = "/var/lib/certsyncd/published"

[install]
dir = %q
`, nginxCertificates)
	for _, s := range web {
		c, _ := m.CertificateFor(s.Names) // it has been validated
		fmt.Fprintf(&b, `
[[daemon]]
name = "nginx-%s"
certificates = [%q]
signal = "HUP"
pid_file = "/run/nginx.pid"
probes = ["tls://127.0.0.1:443/%s"]
`, s.Name, c.Name, s.Names[0])
	}
	return []byte(b.String())
}

// guestConf renders certsyncd's file for the guest.
func guestConf(m *move.Move) []byte {
	var b strings.Builder
	router := m.Tunnel.Router.Addr(true)
	fmt.Fprintf(&b, `# Certificates of %[1]s: fetched from %[2]s, served by the daemons below.

rollback = true # if a daemon does not serve what is new

[fetch]
url = %[3]q
plain = [%[4]q]

[install]
dir = %[5]q
group = %[6]q
mode = "0440"

[notify]
to = [%[7]q]
from = "certsyncd@%[8]s.%[1]s"
`, m.Domain, m.Router.Name, fmt.Sprintf("http://%s/", netip.AddrPortFrom(router, m.Handover.Port)), host(router),
		guestCertificates, m.Handover.Group, m.Handover.Email, m.Guest.Name)
	certificateTables(&b, m)
	for _, d := range m.Daemons {
		fmt.Fprintf(&b, "\n[[daemon]]\nname = %q\ncertificates = %s\nreload = %s\nprobes = %s\n",
			d.Name, quoted(d.Certificates), quoted(d.Reload), quoted(m.Probes(d)))
	}
	return []byte(b.String())
}

func certificateTables(b *strings.Builder, m *move.Move) {
	for _, c := range m.Certificates {
		fmt.Fprintf(b, "\n[[certificate]]\nname = %q\n", c.Name)
		if c.Domains != nil {
			fmt.Fprintf(b, "domains = %s\n", quoted(c.Domains))
		}
	}
}

// host is the prefix of an address alone.
func host(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

func quoted(words []string) string {
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = fmt.Sprintf("%q", word)
	}
	return "[" + strings.Join(list, ", ") + "]"
}

package main

import (
	"fmt"

	"github.com/rehost/rehost/examples/internal/move"
)

// certificates is phase 3.
func certificates(m *move.Move, _ *machines) (phase, error) {
	guest, router := m.Guest.Name, m.Router.Name
	steps := []step{
		{Title: "The solver answers for every name", Host: router,
			Do: "The sites of phase 2 pass challenges on already. The other names of the certificates, such as that of the mail server, end in nginx's default server.",
			Add: []addition{{To: "the default server of nginx", Lines: []string{
				"location /.well-known/acme-challenge/ {",
				fmt.Sprintf("    proxy_pass http://%s;", m.Router.Solver),
				"    proxy_set_header Host $host;",
				"}",
			}}},
			Run: []string{"nginx -t && nginx -s reload"}},
		{Title: "Challenges reach the new solver", Host: guest,
			Do:    fmt.Sprintf("Until phase 4 the names point to %s, and HTTP-01 follows them. Let the guest's web server pass /.well-known/acme-challenge on to http://%s through the tunnel, or use DNS-01.", m.Guest.Old.Address, m.Tunnel.Router.Addr(true)),
			Check: []string{fmt.Sprintf("While `python3 -m http.server --bind %s %d` runs on %s, `curl http://NAME/.well-known/acme-challenge/x` from outside shows up in its log, for every name of the certificates.", m.Router.Solver.Addr(), m.Router.Solver.Port(), router)}},
		{Title: "Issue, publish, fetch, install", Host: router,
			Do:    fmt.Sprintf("Issue on the router, publish on %s only, and let %s fetch. Check that the key belongs to the certificate before it is installed with group mail and mode 0440, then reload Postfix and Dovecot.", m.Tunnel.Router.Addr(true), guest),
			Check: certificateChecks(m)},
	}
	if web := proxied(m); len(web) > 0 {
		steps = append(steps, step{Title: "The web site over TLS", Host: router,
			Do: "nginx ends TLS on the router, for the names that it answers for.",
			Add: []addition{{To: "each server of /etc/nginx/conf.d/" + guest + ".conf", Lines: []string{
				"listen 443 ssl;", "listen [::]:443 ssl;", "ssl_certificate CHAIN;", "ssl_certificate_key KEY;",
			}}},
			Run:   []string{"nginx -t && nginx -s reload"},
			Check: []string{fmt.Sprintf("`curl -sI --resolve %[1]s:443:%[2]s https://%[1]s/` is answered by the guest.", web[0].Names[0], m.Router.Address)}})
	}
	return phase{Dir: "03-certificates", Title: "Certificates",
		Goal:  fmt.Sprintf("Certificates are issued on %s and served by %s.", router, guest),
		Steps: steps,
		Back:  []string{"Install the certificates of before and reload. They are valid until they expire."},
	}, nil
}

package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/rehost/rehost/examples/certsyncd/service"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
)

// Where certsyncd has its file, as its service files expect, and where it puts
// certificates: on the router for nginx, on the guest for its daemons.
const (
	certsyncdPath     = "/etc/certsyncd.toml"
	nginxCertificates = "/var/lib/certsyncd/nginx"
	guestCertificates = "/etc/certificates"

	publishedCertificates = "/var/lib/certsyncd/published"
)

// certificates is phase 3.
func certificates(m *move.Move, ms *machines) (phase, error) {
	guest, router := m.Guest.Name, m.Router.Name
	solver, err := solverForAll(m, ms)
	if err != nil {
		return phase{}, err
	}
	issue, err := issueStep(m, ms)
	if err != nil {
		return phase{}, err
	}
	atBoot, err := guestService(m, ms)
	if err != nil {
		return phase{}, err
	}
	steps := []step{buildStep(m), solver, oldHost(m), issue}
	nginxBack := fmt.Sprintf("take the line of step 3.2 out of nginx's default server, remove %s", challenges)
	if web := proxied(m); len(web) > 0 {
		nginxBack = "put back the nginx files of phase 2"
		steps = append(steps, step{Title: "The web site over TLS", Host: router,
			Do:    "nginx ends TLS on the router, for the names that it answers for. The certificates are put beside it first; the second sync has nginx load them, and asks it for what it serves.",
			Files: []rendered{ms.create(router, sitesPath(m), proxyBlock(m, web, true))},
			Run:   []string{"certsyncd sync -untold " + certsyncdPath, "nginx -t", "certsyncd sync " + certsyncdPath},
			Check: append([]check{
				byHand("The last command says who was told, and exits with 0."),
				byHand(fmt.Sprintf("`curl -sI --resolve %[1]s:443:%[2]s https://%[1]s/?1` has the line `%[3]s: MISS`, as before without TLS.", web[0].Names[0], m.Router.Address, cacheHeader)),
			}, servedByNginx(m, web)...)})
	}
	steps = append(steps, publishStep(m, ms), fetchStep(m, ms), serveStep(m), atBoot)
	return phase{Dir: "03-certificates", Title: "Certificates",
		Goal:  fmt.Sprintf("Certificates are got by %s, before any name points to it, and served by %s. Both go on by themselves.", router, guest),
		Steps: steps,
		Back: []string{
			fmt.Sprintf("On %s: `/etc/rc.d/certsyncd stop`, put rc.conf and the daemons' own files back, and remove /etc/rc.d/certsyncd and %s. Reload the daemons: their certificates of before are where they were, and valid until they expire. Take the forwarding of challenges away, and have what renewed them before do so again.", guest, certsyncdPath),
			fmt.Sprintf("On %s: `systemctl disable --now certsyncd-run`, remove its unit file and %s, %s, and reload nginx. The account and the certificates below /var/lib/certsyncd may stay for the next try: authorities count how many they give.", router, certsyncdPath, nginxBack),
		},
		BackCheck: []check{networkFits(m), nginxTakes(m)},
	}, nil
}

func buildStep(m *move.Move) step {
	install := func(goos, host string) string {
		return fmt.Sprintf("GOOS=%[1]s GOARCH=amd64 go build -o certsyncd-%[2]s ./examples/certsyncd && scp certsyncd-%[2]s root@%[2]s:/usr/local/bin/certsyncd", goos, host)
	}
	return step{Title: "Install certsyncd at both ends",
		Do:    "On a machine with Go, in this module's folder. NetBSD has no /usr/local/bin by itself.",
		Run:   []string{install("linux", m.Router.Name), "ssh root@" + m.Guest.Name + " mkdir -p /usr/local/bin", install("netbsd", m.Guest.Name)},
		Check: []check{byHand("On both: `certsyncd -h` prints its help.")}}
}

// solverForAll has nginx pass on the challenges for names that have no site on the router.
func solverForAll(m *move.Move, ms *machines) (step, error) {
	s := step{Title: "The solver answers for every name", Host: m.Router.Name,
		Do:    "The names of the certificates that nginx has no site for, such as that of the mail server, end in its default server.",
		Add:   []addition{{To: "the default server of nginx, for port 80", Lines: []string{"include " + challenges + ";"}}},
		Run:   []string{"nginx -t && nginx -s reload"},
		Check: []check{nginxTakes(m), challengePasses(m)}}
	if len(proxied(m)) > 0 { // phase 2 has installed it
		return s, nil
	}
	location, err := challengeLocation(m, ms)
	s.Files = []rendered{location}
	return s, err
}

// oldHost has the names answered that do not point to the router yet.
func oldHost(m *move.Move) step {
	to := fmt.Sprintf("http://%s/.well-known/acme-challenge/", m.Tunnel.Router.Addr(true))
	return step{Title: "Challenges reach the new solver", Host: m.Guest.Name,
		Do: fmt.Sprintf("Until phase 4 the names point to %s, and HTTP-01 follows them. The guest's web server passes the challenges on through the tunnel, with the name that was asked for; Apache needs mod_proxy and mod_proxy_http for it. A guest without a web server needs one for this until phase 4, nginx for example. Then `apachectl configtest && apachectl graceful`, or `nginx -t && nginx -s reload`. What renews certificates on the guest today by HTTP-01 fails from here on: stop it, and keep its line for the way back.", m.Guest.Old.Address),
		Add: []addition{
			{To: "the virtual hosts for port 80, where it is Apache", Lines: []string{"ProxyPreserveHost On", "ProxyPass /.well-known/acme-challenge/ " + to}},
			{To: "the server blocks for port 80, where it is nginx", Lines: []string{
				"location ^~ /.well-known/acme-challenge/ {", "    proxy_pass " + to + ";", "    proxy_set_header Host $host;", "}"}},
		},
		Check: []check{challengesPass(m, fmt.Sprintf("From outside: `for d in %s; do curl -s -o /dev/null -w \"$d %%{http_code}\\n\" http://$d%sx; done` says 502 for each, and nginx's access.log on %[3]s has them all: a web server that does not get through to it says 502 too. `migrate check 3.3` on %[3]s can tell.",
			strings.Join(domains(m), " "), challengePath, m.Router.Name))}}
}

func issueStep(m *move.Move, ms *machines) (step, error) {
	unit, err := service.Files.ReadFile("certsyncd-run.service")
	return step{Title: "Get them", Host: m.Router.Name,
		Do:    "The account and the certificates are made below /var/lib/certsyncd. An authority that has failed to reach the solver a few times does not try again for an hour: do not go on before the checks above hold. The first command says what is to be got, and exits with 3.",
		Files: []rendered{ms.create(m.Router.Name, certsyncdPath, routerConf(m)), ms.create(m.Router.Name, "/etc/systemd/system/certsyncd-run.service", unit)},
		Run:   []string{"certsyncd issue -n " + certsyncdPath, "certsyncd issue " + certsyncdPath, "certsyncd status " + certsyncdPath},
		Check: []check{bundlesFit(m, m.Router.Name, publishedCertificates,
			fmt.Sprintf("The last command shows a day of expiry for each that is published: %s.", strings.Join(certificateNames(m), ", ")))}}, err
}

// publishStep has certsyncd itself publish, and not nginx.
func publishStep(m *move.Move, ms *machines) step {
	at := fmt.Sprintf("%s:%d", m.Tunnel.Router.Addr(true), m.Handover.Port)
	return step{Title: "Publish and renew", Host: m.Router.Name,
		Do:  fmt.Sprintf("certsyncd gives keys to %s alone, at the address in the tunnel alone. nginx could do so too, but it listens to the world, and one wrong line there would give the keys to it.", m.Tunnel.Guest.Addr(true)),
		Run: []string{"systemctl daemon-reload", "systemctl enable --now certsyncd-run", "ss -ltn sport = :" + fmt.Sprint(m.Handover.Port)},
		Check: []check{
			publishedInside(m, "The last command shows "+at+" and no other address."),
			notPublished(m),
			mayNotFetch(m, fmt.Sprintf("Here, `curl -s -o /dev/null -w '%%{http_code}\\n' http://%s/%s` says 403: the router may not fetch.", at, m.Certificates[0].Name)),
		}}
}

func fetchStep(m *move.Move, ms *machines) step {
	live := path.Join(guestCertificates, m.Certificates[0].Name, "live")
	return step{Title: "Fetch, compare, install", Host: m.Guest.Name,
		Do:    "The first command fetches and validates only, and says what it would do: it exits with 3. The second installs, and tells no daemon: they do not know the files yet.",
		Files: []rendered{ms.create(m.Guest.Name, certsyncdPath, guestConf(m))},
		Run: []string{"certsyncd sync -n " + certsyncdPath, "certsyncd sync -untold " + certsyncdPath,
			"ls -lL " + live, "openssl x509 -noout -subject -enddate -in " + live + "/fullchain.pem"},
		Check: []check{
			bundlesFit(m, m.Guest.Name, guestCertificates, "Chain and key of each belong together, and cover its names."),
			filesClosed(m, "The files have mode 0440."),
			byHand(fmt.Sprintf("They are root's, and of group %s.", m.Handover.Group)),
			byHand("The fingerprints in `certsyncd status " + certsyncdPath + "` are those that it shows on " + m.Router.Name + "."),
		}}
}

// serveStep points the daemons to the files. A new smtpd reads its certificates without
// a reload, so the files come first.
func serveStep(m *move.Move) step {
	s := step{Title: "The daemons serve them", Host: m.Guest.Name,
		Do:  "Keep the old lines as comments: the way back needs them. Sync has each daemon reload, asks it for the certificate that it serves, and mails what has happened.",
		Run: []string{"certsyncd sync " + certsyncdPath, "certsyncd check " + certsyncdPath},
	}
	for _, d := range m.Daemons {
		s.Add = append(s.Add, filesOf(d))
	}
	s.Check = []check{byHand("The last command prints nothing, and exits with 0."), byHand(fmt.Sprintf("A mail to %s names the daemons that were told.", m.Handover.Email))}
	s.Check = append(s.Check, servedByGuest(m)...)
	return s
}

// filesOf is how a daemon is told where its first certificate lies.
func filesOf(d move.Daemon) addition {
	live := path.Join(guestCertificates, d.Certificates[0], "live")
	switch d.Name {
	case "postfix":
		return addition{To: "Postfix's main.cf, instead of smtpd_tls_cert_file and smtpd_tls_key_file (Postfix 3.4 or later)",
			Lines: []string{"smtpd_tls_chain_files = " + live + "/combined.pem"}}
	case "dovecot":
		return addition{To: "Dovecot's conf.d/10-ssl.conf (from 2.4 on, ssl_server_cert_file and ssl_server_key_file, without <)",
			Lines: []string{"ssl_cert = <" + live + "/fullchain.pem", "ssl_key = <" + live + "/privkey.pem"}}
	}
	return addition{To: "the configuration of " + d.Name, Lines: []string{live + "/fullchain.pem (the chain)", live + "/privkey.pem (the key)"}}
}

// guestService keeps the guest's certificates new from then on.
func guestService(m *move.Move, ms *machines) (step, error) {
	script, err := service.Files.ReadFile("certsyncd")
	if err != nil {
		return step{}, err
	}
	rcd := ms.create(m.Guest.Name, "/etc/rc.d/certsyncd", script)
	rcd.Mode = 0o755
	rc, err := edit(ms, m.Guest.Name, "/etc/rc.conf", netbsdcfg.ParseRC, func(f *netbsdcfg.RC) error {
		return f.Enable("certsyncd", true)
	})
	return step{Title: "From now on by itself", Host: m.Guest.Name,
		Do:    "certsyncd looks every hour, and at once after a reload. What it does goes to syslog.",
		Files: []rendered{rcd, rc},
		Run:   []string{"/etc/rc.d/certsyncd start", "/etc/rc.d/certsyncd reload", "/etc/rc.d/certsyncd status"},
		Check: []check{byHand("The last command says that it is running, and `certsyncd check " + certsyncdPath + "` still prints nothing. In monitoring, on both machines, the same command tells of what breaks later.")}}, err
}

// sitesPath is nginx's file for the guest's sites.
func sitesPath(m *move.Move) string { return "/etc/nginx/conf.d/" + m.Guest.Name + ".conf" }

func certificateNames(m *move.Move) []string {
	var list []string
	for _, c := range m.Certificates {
		list = append(list, c.Name)
	}
	return list
}

// domains are all that the certificates cover.
func domains(m *move.Move) []string {
	var list []string
	for _, c := range m.Certificates {
		list = append(list, c.Covers()...)
	}
	return list
}

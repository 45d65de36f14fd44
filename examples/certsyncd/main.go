// Certsyncd gets certificates, publishes them, fetches them and has daemons serve them:
// one program for both ends.
package main

import (
	"flag"
	"os"

	"github.com/rehost/rehost/examples/internal/certconf"
	"github.com/rehost/rehost/examples/internal/cli"
)

const help = `usage: certsyncd COMMAND [flags] FILE

Certsyncd brings certificates from the machine that gets them to those that serve them.
A key never meets another's chain, an error page is never installed, and a daemon has
been told when it serves the new certificate, not when its reload exits with 0.

Commands; certsyncd COMMAND -h tells more:

    issue FILE     gets what is missing or due for renewal
    serve FILE     gives certificates to those who may have them
    sync FILE      fetches, compares, installs, and tells daemons: for a cron job
    run FILE       all of these that FILE has tables for, until it is ended
    status FILE    shows every certificate, and who has yet to be told
    check FILE     finds what needs somebody: for monitoring

On the router, which the names point to, with nginx on port 80 in front of the solver:

    [issue]
    email = "hostmaster@example.net"
    accept_terms = true                       # of Let's Encrypt, or of directory
    account = "/var/lib/certsyncd/account"    # or where lego --path has one
    http01 = "127.0.0.1:8181"
    # directory, ca, profile, preferred_chain, key_type, reuse_key, eab_key_id,
    # eab_hmac_file, tls_alpn01

    [publish]
    dir = "/var/lib/certsyncd/published"
    listen = "172.16.1.1:8182"                # in the tunnel only
    allow = ["172.16.1.4/32"]
    # tls = "ingress.example.net"             # speak TLS with one of the certificates

    [[certificate]]
    name = "senate.example.net"
    domains = ["senate.example.net", "example.net", "www.example.net"]

and on the guest:

    [[certificate]]                           # as on the router

    [fetch]
    url = "http://172.16.1.1:8182/"           # https:// goes anywhere
    plain = ["172.16.1.1/32"]                 # http:// to here alone
    # ca; or: dir = "/root/.lego/certificates", layout = "pair"

    [install]
    dir = "/etc/certificates"                 # NAME/live/fullchain.pem, privkey.pem,
    group = "mail"                            # combined.pem
    mode = "0440"
    # layout, owner, keep, roots, key_types

    [[daemon]]
    name = "postfix"
    reload = ["/usr/sbin/postfix", "reload"]  # or signal and pid_file
    probes = ["smtp://127.0.0.1:25", "tls://127.0.0.1:465"]
    # certificates, patience; a probe may name whom it asks for: tls://127.0.0.1:443/NAME

    [notify]
    to = ["hostmaster@example.net"]
    from = "certsyncd@senate.example.net"

Interval, alarm, state and rollback stand before the first table: how often to look, how
long before its end a certificate has to be replaced, the directory that keeps what was
done, and whether to go back where a daemon does not serve what is new. No two FILEs share
a state or an install.dir: each would forget what the other has told.

For the first time:

    certsyncd issue -n router.toml            certsyncd sync -n guest.toml
    certsyncd issue router.toml               certsyncd sync -untold guest.toml
    certsyncd serve router.toml &             (point the daemons to the files)
                                              certsyncd sync guest.toml
                                              certsyncd check guest.toml

To rehearse without an authority, [issue] has local_ca = "DIR" and nothing else but
key_type. Its root, for roots and ca on the guest and for whoever connects to the daemons:

    openssl x509 -in DIR/authority.pem -out root.pem

DNS-01 takes a provider, and a program of your own: see acme.Config in certsync/acme.
Service files for systemd, cron and NetBSD's rc.d lie beside this program, in service.
`

func main() { program().Main() }

// flags are those of all commands, of which each has some.
type flags struct{ dry, json, force, untold bool }

func program() cli.Program {
	f := &flags{}
	json := func(set *flag.FlagSet) { set.BoolVar(&f.json, "json", false, "print JSON") }
	dry := func(set *flag.FlagSet) {
		json(set)
		set.BoolVar(&f.dry, "n", false, "change nothing, say what would be done")
	}
	return cli.Program{Name: "certsyncd", Help: help, Commands: []cli.Command{
		{Name: "issue", Args: "FILE", Help: issueHelp, Run: f.issue, Flags: func(set *flag.FlagSet) {
			dry(set)
			set.BoolVar(&f.force, "force", false, "renew what is not due, too")
		}},
		{Name: "serve", Args: "FILE", Help: serveHelp, Run: f.serve},
		{Name: "sync", Args: "FILE", Help: syncHelp, Run: f.sync, Flags: func(set *flag.FlagSet) {
			dry(set)
			set.BoolVar(&f.force, "force", false, "install what ends before the installed one, or was rolled back")
			set.BoolVar(&f.untold, "untold", false, "install only; the next run tells the daemons")
		}},
		{Name: "run", Args: "FILE", Help: runHelp, Run: f.run, Hangup: true},
		{Name: "status", Args: "FILE", Help: statusHelp, Run: f.status, Flags: json},
		{Name: "check", Args: "FILE", Help: checkHelp, Run: f.check, Flags: json},
	}}
}

// load reads FILE.
func load(path string) (*config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := certconf.Load(path, data)
	return &config{Config: c, path: path}, err
}

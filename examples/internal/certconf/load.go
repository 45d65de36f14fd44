package certconf

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/tomlfile"
	"github.com/rehost/rehost/internal/textfile"
)

// Load reads a file. It refuses keys that it does not know and values that cannot work, all
// at once, each with its place.
func Load(name string, data []byte) (*Config, error) {
	c := &Config{}
	var err error
	if c.file, err = tomlfile.Decode(name, data, c); err != nil {
		return nil, err
	}
	v := &validation{Config: c}
	v.all()
	v.problems.Sort()
	return c, v.problems.Err()
}

// Signals are those that a daemon can be told with.
var Signals = map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}

type validation struct {
	*Config
	problems textfile.Problems
}

func (v *validation) add(key, format string, args ...any) {
	v.problems = append(v.problems, v.file.Problem(key, format, args...))
}

func (v *validation) all() {
	if v.Issue == nil && v.Publish == nil && v.Install == nil {
		v.add("file", "there is nothing to do: no table issue, publish or install")
	}
	v.optionalPath("state", v.State)
	for i := range v.Certificates {
		v.certificate(i)
	}
	if len(v.Certificates) == 0 && (v.Issue != nil || v.Install != nil) {
		v.add("certificate", "is missing: the certificates to get or to install")
	}
	if v.Issue != nil {
		v.issue(v.Issue)
	}
	if v.Publish != nil {
		v.publish(v.Publish)
	}
	if (v.Fetch == nil) != (v.Install == nil) {
		v.add("fetch", "fetch and install need each other: from where, and to where")
	}
	if v.Fetch != nil {
		v.fetch(v.Fetch)
	}
	if v.Install != nil {
		v.install(v.Install)
	}
	for i := range v.Daemons {
		v.daemon(i)
	}
	if v.Notify != nil {
		v.notify(v.Notify)
	}
}

func (v *validation) certificate(i int) {
	key := fmt.Sprintf("certificate.%d.", i)
	c := v.Certificates[i]
	for _, other := range v.Certificates[:i] {
		if strings.EqualFold(other.Name, c.Name) {
			v.add(key+"name", "%q stands there twice", c.Name)
		}
	}
	if c.Domains == nil && v.Issue != nil {
		v.domain(key+"name", c.Name, v.Issue)
	}
	if !isDomain(strings.TrimPrefix(c.Name, "*.")) {
		v.add(key+"name", "%q is no name: use letters, digits, '.', '-' and '_', as in a domain", c.Name)
	}
	for _, domain := range c.Domains {
		v.domain(key+"domains", domain, v.Issue)
	}
	if c.Domains != nil && len(c.Domains) == 0 {
		v.add(key+"domains", "is empty; without the key, it is the name")
	}
}

func (v *validation) domain(key, domain string, issue *Issue) {
	_, wild := strings.CutPrefix(domain, "*.")
	_, notAddr := netip.ParseAddr(domain)
	switch {
	case notAddr == nil:
	case !isDomain(strings.TrimPrefix(domain, "*.")):
		v.add(key, "%q is no domain", domain)
	case wild && issue != nil && issue.LocalCA == "":
		v.add(key, "%q needs DNS-01, for which a program of your own gives acme.Config a provider", domain)
	}
}

func (v *validation) issue(i *Issue) {
	if v.Publish == nil {
		v.add("issue", "publish.dir is missing: where certificates are kept")
	}
	if i.LocalCA != "" {
		v.path("issue.local_ca", i.LocalCA)
		if *i != (Issue{LocalCA: i.LocalCA, KeyType: i.KeyType}) {
			v.add("issue.local_ca", "an authority of your own needs nothing else but key_type")
		}
	} else {
		v.acme(i)
	}
	v.keyType("issue.key_type", i.KeyType)
}

func (v *validation) acme(i *Issue) {
	if i.Directory != "" {
		v.url("issue.directory", i.Directory, "https")
	}
	v.optionalPath("issue.ca", i.CA)
	if !i.AcceptTerms {
		v.add("issue.accept_terms", "is not true: read the terms of the authority, and agree to them")
	}
	if i.Email != "" {
		v.mailbox("issue.email", i.Email)
	}
	v.path("issue.account", i.Account)
	if (i.KeyID == "") != (i.HMACFile == "") {
		v.add("issue.eab_key_id", "eab_key_id and eab_hmac_file need each other")
	}
	v.printable("issue.eab_key_id", i.KeyID)
	v.optionalPath("issue.eab_hmac_file", i.HMACFile)
	v.printable("issue.profile", i.Profile)
	v.printable("issue.preferred_chain", i.PreferredChain)
	if !i.HTTP01.IsValid() && !i.TLSALPN01.IsValid() {
		v.add("issue.http01", "is missing, and so is tls_alpn01: where the solver listens, such as 127.0.0.1:8181")
	}
}

func (v *validation) keyType(key string, t certsync.KeyType) {
	known := []certsync.KeyType{certsync.ECDSAP256, certsync.ECDSAP384, certsync.RSA2048, certsync.RSA3072, certsync.RSA4096, certsync.Ed25519}
	if t != "" && !slices.Contains(known, t) {
		v.add(key, "%q is none of %v", t, known)
	}
}

func (v *validation) publish(p *Publish) {
	v.path("publish.dir", p.Dir)
	if p.TLS != "" && !v.knows(p.TLS) {
		v.add("publish.tls", "there is no certificate %q", p.TLS)
	}
	switch {
	case !p.Listen.IsValid() && v.Issue == nil:
		v.add("publish.listen", "is missing: where certificates are given away, such as 172.16.1.1:8182")
	case !p.Listen.IsValid():
		if p.TLS != "" || p.Allow != nil {
			v.add("publish.listen", "is missing, and tls and allow are about it")
		}
	case p.Listen.Addr().IsUnspecified() && p.TLS == "":
		v.add("publish.listen", "%s is every address of this machine, and without tls keys are sent in plain text: name the one in the tunnel", p.Listen)
	case len(p.Allow) == 0:
		v.add("publish.allow", "is missing: the prefixes of those who may fetch keys")
	}
}

func (v *validation) fetch(f *Fetch) {
	if (f.URL == "") == (f.Dir == "") {
		v.add("fetch", "it needs url or dir, and not both")
	}
	v.optionalPath("fetch.dir", f.Dir)
	v.optionalPath("fetch.ca", f.CA)
	if f.Dir != "" && (f.CA != "" || f.Plain != nil) {
		v.add("fetch.dir", "a directory has no use for ca or plain")
	}
	if f.URL == "" {
		return
	}
	u := v.url("fetch.url", f.URL, "https", "http")
	if u == nil || u.Scheme == "https" {
		return
	}
	host, err := netip.ParseAddr(u.Hostname())
	within := func(p netip.Prefix) bool { return p.Contains(host) }
	if err != nil || !slices.ContainsFunc(f.Plain, within) {
		v.add("fetch.url", "without TLS it has to name an address that lies within one of fetch.plain, such as that of a tunnel")
	}
}

func (v *validation) install(i *Install) {
	v.path("install.dir", i.Dir)
	v.optionalPath("install.roots", i.Roots)
	for key, name := range map[string]string{"install.owner": i.Owner, "install.group": i.Group} {
		if name != "" && !isDomain(name) {
			v.add(key, "%q is no name or number", name)
		}
	}
	for _, t := range i.KeyTypes {
		v.keyType("install.key_types", t)
	}
	for key, dir := range v.otherDirs() {
		if dir == i.Dir && dir != "" {
			v.add("install.dir", "it is %s too: what is installed would be its own source", key)
		}
	}
}

func (v *validation) otherDirs() map[string]string {
	dirs := map[string]string{}
	if v.Publish != nil {
		dirs["publish.dir"] = v.Publish.Dir
	}
	if v.Fetch != nil {
		dirs["fetch.dir"] = v.Fetch.Dir
	}
	return dirs
}

func (v *validation) daemon(i int) {
	key := fmt.Sprintf("daemon.%d.", i)
	d := v.Daemons[i]
	if v.Install == nil {
		v.add(key+"name", "nothing is installed here that a daemon could serve: install is missing")
	}
	if !isDomain(d.Name) {
		v.add(key+"name", "%q is no name", d.Name)
	}
	for _, other := range v.Daemons[:i] {
		if other.Name == d.Name {
			v.add(key+"name", "%q stands there twice", d.Name)
		}
	}
	for _, name := range d.Certificates {
		if !v.knows(name) {
			v.add(key+"certificates", "there is no certificate %q", name)
		}
	}
	if d.Certificates != nil && len(d.Certificates) == 0 {
		v.add(key+"certificates", "is empty; without the key, it is all of them")
	}
	for _, arg := range d.Reload {
		v.printable(key+"reload", arg)
	}
	if d.Reload != nil && (len(d.Reload) == 0 || d.Reload[0] == "") {
		v.add(key+"reload", "it names no program")
	}
	if d.Signal != "" || d.PIDFile != "" {
		if _, known := Signals[d.Signal]; !known {
			v.add(key+"signal", "%q is none of HUP, USR1 and USR2", d.Signal)
		}
		v.path(key+"pid_file", d.PIDFile)
		if d.Reload != nil {
			v.add(key+"signal", "reload says already how the daemon is told")
		}
	} else if d.Reload == nil && len(d.Probes) == 0 {
		v.add(key+"reload", "is missing, and so are signal and probes: nothing would be told or asked")
	}
}

func (v *validation) notify(n *Notify) {
	if len(n.To) == 0 {
		v.add("notify.to", "is missing: to whom the mail goes")
	}
	for _, to := range n.To {
		v.mailbox("notify.to", to)
	}
	v.mailbox("notify.from", n.From)
	v.optionalPath("notify.sendmail", n.Sendmail)
}

func (v *validation) knows(name string) bool {
	return slices.ContainsFunc(v.Certificates, func(c Certificate) bool { return c.Name == name })
}

func (v *validation) path(key, value string) {
	if !path.IsAbs(value) || path.Clean(value) != value {
		v.add(key, "%q is no absolute path in its shortest form", value)
	}
	v.printable(key, value)
}

func (v *validation) optionalPath(key, value string) {
	if value != "" {
		v.path(key, value)
	}
}

// printable refuses what could end a line of a log, or an argument.
func (v *validation) printable(key, value string) {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		v.add(key, "%q: only printable ASCII is allowed", value)
	}
}

func (v *validation) url(key, value string, schemes ...string) *url.URL {
	u, err := url.Parse(value)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// Not quoted: it may hold a password.
		v.add(key, "is no URL of scheme %s, without user, query and fragment", strings.Join(schemes, " or "))
		return nil
	}
	v.printable(key, value)
	return u
}

// mailbox takes a bare address only: what else RFC 5322 has there would need to be encoded
// in a header.
func (v *validation) mailbox(key, value string) {
	a, err := mail.ParseAddress(value)
	if err != nil || a.Address != value || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`",;<>`, r) }) {
		v.add(key, "%q is no mail address such as hostmaster@example.net", value)
	}
}

// isDomain also tells names of users, groups and daemons, which could stand for an option
// or lead to another directory.
func isDomain(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.') {
			return false
		}
	}
	return name != "" && len(name) <= 200
}

package move

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
)

func (v *validation) certificates() {
	h := v.Handover
	if h.Directory != "" {
		if u, err := url.Parse(h.Directory); err != nil || u.Scheme != "https" || u.Hostname() == "" {
			v.add("certificates.directory", "%q is no https URL", h.Directory)
		}
		v.word("certificates.directory", h.Directory)
	}
	if !h.AcceptTerms {
		v.add("certificates.accept_terms", "is not true: read the terms of the authority, and agree to them")
	}
	if a, err := mail.ParseAddress(h.Email); err != nil || a.Address != h.Email {
		v.add("certificates.email", "%q is no mail address", h.Email)
	}
	v.word("certificates.email", h.Email)
	switch h.Port {
	case 0:
		v.add("certificates.port", "is missing: where the guest fetches them, at the router's address in the tunnel")
	case 80, 443, v.Router.Solver.Port():
		v.add("certificates.port", "%d is that of nginx or of the solver", h.Port)
	}
	v.name("certificates.group", h.Group, "-_")
	if len(v.Certificates) == 0 {
		v.add("certificate", "is missing: what the daemons of the guest and nginx serve")
	}
	for i, c := range v.Certificates {
		key := fmt.Sprintf("certificate.%d.", i)
		v.name(key+"name", c.Name, "-.")
		if v.knows(c.Name, v.Certificates[:i]) {
			v.add(key+"name", "%q stands there twice", c.Name)
		}
		for _, domain := range c.Domains {
			v.name(key+"domains", domain, "-.")
		}
		if c.Domains != nil && len(c.Domains) == 0 {
			v.add(key+"domains", "is empty; without the key, it is the name")
		}
	}
	for i, s := range v.Services {
		if _, ok := v.CertificateFor(s.Names); s.Via == Proxy && !ok {
			v.add(fmt.Sprintf("service.%d.names", i), "no certificate covers all of them, and nginx answers for them over TLS too")
		}
	}
	for i := range v.Daemons {
		v.daemon(i)
	}
}

func (v *validation) daemon(i int) {
	key := fmt.Sprintf("daemon.%d.", i)
	d := v.Daemons[i]
	v.name(key+"name", d.Name, "-")
	if slices.ContainsFunc(v.Daemons[:i], func(other Daemon) bool { return other.Name == d.Name }) {
		v.add(key+"name", "%q stands there twice", d.Name)
	}
	if len(d.Certificates) == 0 {
		v.add(key+"certificates", "is missing: those that it serves")
	}
	for _, name := range d.Certificates {
		if !v.knows(name, v.Certificates) {
			v.add(key+"certificates", "there is no certificate %q", name)
		}
	}
	if len(d.Reload) == 0 {
		v.add(key+"reload", "is missing: the program that has it read its certificates again, with its arguments")
	} else {
		v.path(key+"reload", d.Reload[0])
		for _, arg := range d.Reload[1:] {
			v.word(key+"reload", arg)
		}
	}
	for _, name := range d.Services {
		k := slices.IndexFunc(v.Services, func(s Service) bool { return s.Name == name })
		if k < 0 {
			v.add(key+"services", "there is no service %q", name)
		} else if probeSchemes[v.Services[k].Port] == "" {
			v.add(key+"services", "nobody knows how TLS begins on port %d of %q", v.Services[k].Port, name)
		}
	}
	if len(d.Services) == 0 {
		v.add(key+"services", "is missing: a reload that exits 0 proves nothing, so say where to ask")
	}
}

func (v *validation) knows(name string, among []Certificate) bool {
	return slices.ContainsFunc(among, func(c Certificate) bool { return c.Name == name })
}

package certsync

import (
	"net/netip"
	"path"
	"strings"
)

// NginxOptions say what nginx on the router does for certificates.
type NginxOptions struct {
	// Path is where the file is installed, to be included in a server block.
	Path string
	// Solver is where the solver of HTTP-01 listens. The zero value: no challenge location.
	Solver netip.AddrPort
	// Certs is the directory of bundles in the [Combined] or [Pair] layout. The workers of
	// nginx must be able to read the files: see Dir.Group and Dir.Mode. Empty: no location
	// for certificates.
	Certs string
	// Publisher is where a [Publisher] listens, to which what is below /certs/ is passed on,
	// instead of Certs: in the clear, and so on this machine or inside a tunnel. It sees the
	// proxy's address, and must allow that.
	Publisher netip.AddrPort
	// Allow are the addresses that may fetch certificates, as nginx sees them. Nil: none.
	Allow []netip.Prefix
}

// Nginx renders the locations, with mode 0644. One passes challenges (RFC 8555, section
// 8.3) on to the solver, to whoever asks: include it in the server blocks that port 80 of
// the domains reaches. The other has the certificates below /certs/, for GET and HEAD and
// the addresses allowed only, and none but the files of bundles: include it in a server
// block that speaks TLS, or listens inside a tunnel, since it sends private keys.
//
// Both come before the server's locations with regular expressions. What the server block
// does outside of its locations, such as a return, still comes before them.
//
// Errors are [*ValueError]: nothing that would be read as more than a value is rendered.
func Nginx(opt NginxOptions) (Output, error) {
	if !path.IsAbs(opt.Path) {
		return Output{}, &ValueError{Field: "path", Value: opt.Path, Reason: "it is not absolute"}
	}
	var b strings.Builder
	b.WriteString("# Made by rehost, to be included in a server block.\n")
	if opt.Solver != (netip.AddrPort{}) {
		solver, err := upstream("solver", opt.Solver)
		if err != nil {
			return Output{}, err
		}
		b.WriteString(strings.Replace(challengeLocation, "SOLVER", solver, 1))
	}
	if opt.Certs != "" || opt.Publisher != (netip.AddrPort{}) {
		if err := opt.certsLocation(&b); err != nil {
			return Output{}, err
		}
	} else if len(opt.Allow) > 0 {
		return Output{}, &ValueError{Field: "allow", Value: opt.Allow[0].String(), Reason: "there is no location for certificates"}
	}
	return Output{Path: opt.Path, Mode: 0o644, Data: []byte(b.String())}, nil
}

// Validators come from anywhere, also where the server asks for a password. The solver of
// certsync/acme answers by the token alone; others ask for the name too.
const challengeLocation = `
location ^~ /.well-known/acme-challenge/ {
	allow all;
	auth_basic off;
	proxy_pass http://SOLVER;
	proxy_set_header Host $host;
	proxy_cache off;
}
`

// What a server block sets for all its locations could let others in (satisfy any), have
// answers kept (expires, the caches), or two files be of two versions (open_file_cache).
const certsHead = `
location ^~ /certs/ {
ALLOW	deny all;
	satisfy all;
	auth_basic off;
	add_header Cache-Control no-store always;
	add_header X-Content-Type-Options nosniff always;
	expires off;
	gzip off;
`

// The inner location has files of bundles alone: no directories, and nothing hidden, as
// what Dir has not finished yet is. A "$" would let a name end in a new line.
const certsFiles = `	open_file_cache off;
	autoindex off;
	location ~ "^/certs/([A-Za-z0-9_][A-Za-z0-9._-]*\.(?:pem|sha256|crt|key))\z" {
		limit_except GET {
			deny all;
		}
		types {
		}
		default_type application/x-pem-file;
		alias CERTS/$1;
	}
	return 404;
}
`

// Two headers are set above already. A temporary file would hold keys.
const certsProxy = `	limit_except GET {
		deny all;
	}
	proxy_pass http://PUBLISHER/;
	proxy_set_header Host $host;
	proxy_hide_header Cache-Control;
	proxy_hide_header X-Content-Type-Options;
	proxy_cache off;
	proxy_store off;
	proxy_max_temp_file_size 0;
}
`

func (opt NginxOptions) certsLocation(b *strings.Builder) error {
	var allow strings.Builder
	for _, p := range opt.Allow {
		if !p.IsValid() {
			return &ValueError{Field: "allow", Value: p.String(), Reason: "it is no prefix"}
		}
		allow.WriteString("\tallow " + unmapPrefix(p).Masked().String() + ";\n")
	}
	b.WriteString(strings.Replace(certsHead, "ALLOW", allow.String(), 1))
	if opt.Publisher == (netip.AddrPort{}) {
		if reason := unfitPath(opt.Certs); reason != "" {
			return &ValueError{Field: "certs", Value: opt.Certs, Reason: reason}
		}
		b.WriteString(strings.Replace(certsFiles, "CERTS", opt.Certs, 1))
		return nil
	}
	if opt.Certs != "" {
		return &ValueError{Field: "certs", Value: opt.Certs, Reason: "there is a publisher too"}
	}
	publisher, err := upstream("publisher", opt.Publisher)
	if err != nil {
		return err
	}
	b.WriteString(strings.Replace(certsProxy, "PUBLISHER", publisher, 1))
	return nil
}

// upstream is an address as nginx connects to it.
func upstream(field string, a netip.AddrPort) (string, error) {
	host, reason := a.Addr().Unmap(), ""
	switch {
	case !host.IsValid() || host.IsUnspecified() || host.IsMulticast():
		reason = "it is not the address of one machine"
	case host.Zone() != "":
		reason = "it has a zone, which nginx does not know"
	case a.Port() == 0:
		reason = "it has no port"
	}
	if reason != "" {
		return "", &ValueError{Field: field, Value: a.String(), Reason: reason}
	}
	return netip.AddrPortFrom(host, a.Port()).String(), nil
}

// unfitPath refuses a path that nginx would read as more than a word, or with variables
// in it, and one that could be outside of where it seems to be.
func unfitPath(dir string) string {
	if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" {
		return "it is not an absolute path of a directory, in its shortest form"
	}
	for i := range len(dir) {
		c := dir[i]
		if letter := 'a' <= c|0x20 && c|0x20 <= 'z'; !letter && (c < '0' || c > '9') && strings.IndexByte("/._-+@~", c) < 0 {
			return "use letters, digits and / . _ - + @ ~"
		}
	}
	return ""
}

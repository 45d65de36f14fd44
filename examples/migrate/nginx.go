package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
)

// proxied returns the services that nginx on the router answers for.
func proxied(m *move.Move) []move.Service {
	var list []move.Service
	for _, s := range m.Services {
		if s.Via == move.Proxy {
			list = append(list, s)
		}
	}
	return list
}

func allNames(services []move.Service) []string {
	var names []string
	for _, s := range services {
		names = append(names, s.Names...)
	}
	return names
}

// challenges is where the location lies that passes challenges on to the solver, for
// nginx's server blocks to include.
const challenges = "/etc/nginx/snippets/certsync.conf"

// challengeLocation renders it.
func challengeLocation(m *move.Move, ms *machines) (rendered, error) {
	o, err := certsync.Nginx(certsync.NginxOptions{Path: challenges, Solver: m.Router.Solver})
	if err != nil {
		return rendered{}, m.Problem("router.solver", "%v", err)
	}
	return ms.create(m.Router.Name, o.Path, o.Data), nil
}

// cacheHeader tells whether an answer comes from the guest: nginx gives it no other.
const cacheHeader = "X-Cache-Status"

// proxyBlock renders the router's nginx configuration: one caching server block
// per service, which speaks TLS too when there is a certificate. The router is the
// first proxy that a visitor meets, so what the visitor claims in these headers is
// replaced, not extended.
func proxyBlock(m *move.Move, services []move.Service, overTLS bool) []byte {
	var b strings.Builder
	guest := m.Guest.Name
	fmt.Fprintf(&b, "# The web sites of %s, reached through the tunnel.\n", guest)
	fmt.Fprintf(&b, "proxy_cache_path /var/cache/nginx-%s keys_zone=%s:10m max_size=1g inactive=1h use_temp_path=off;\n", guest, guest)
	for _, s := range services {
		tls := ""
		if c, ok := m.CertificateFor(s.Names); ok && overTLS {
			live := path.Join(nginxCertificates, c.Name, "live")
			tls = fmt.Sprintf("\tlisten 443 ssl;\n\tlisten [::]:443 ssl;\n\tssl_certificate %[1]s/fullchain.pem;\n\tssl_certificate_key %[1]s/privkey.pem;\n", live)
		}
		fmt.Fprintf(&b, `
server {
	listen 80;
	listen [::]:80;
%s	server_name %s;
	include %s;

	location / {
		proxy_pass http://%s:%d;
		proxy_set_header Host $host;
		proxy_set_header X-Real-IP $remote_addr;
		proxy_set_header X-Forwarded-For $remote_addr;
		proxy_set_header X-Forwarded-Proto $scheme;
		proxy_cache %s;
		proxy_cache_key $scheme$host$request_uri;
		proxy_cache_use_stale error timeout updating;
		add_header %s $upstream_cache_status always;
	}
}
`, tls, strings.Join(s.Names, " "), challenges, m.Tunnel.Guest.Addr(true), s.Port, guest, cacheHeader)
	}
	return []byte(b.String())
}

// checkNginx finds request headers that the server behind the proxy will drop:
// nginx ignores names with underscores unless underscores_in_headers is on.
func checkNginx(name string, data []byte) (problems netbsdcfg.Problems) {
	var words []nginxWord
	for w := range nginxWords(string(data)) {
		if w.text != ";" && w.text != "{" && w.text != "}" {
			words = append(words, w)
			continue
		}
		if len(words) == 3 && words[0].text == "proxy_set_header" && strings.Contains(words[1].text, "_") {
			header := words[1]
			problems = append(problems, netbsdcfg.Problem{File: name, Line: header.line, Col: header.col, Severity: netbsdcfg.Error,
				Message: fmt.Sprintf("an nginx that receives a header with an underscore drops it, so the site never sees %s: write %s",
					header.text, strings.ReplaceAll(header.text, "_", "-"))})
		}
		words = nil
	}
	return problems
}

type nginxWord struct {
	text      string
	line, col int
}

// nginxWords cuts an nginx configuration into words and the three marks that
// end a directive. Quotes join, a backslash escapes, "#" begins a comment where
// a word could begin.
func nginxWords(text string) func(yield func(nginxWord) bool) {
	return func(yield func(nginxWord) bool) {
		line, start := 1, 0 // start is where the line begins
		for i := 0; i < len(text); {
			w := nginxWord{line: line, col: i - start + 1}
			switch c := text[i]; {
			case c == '\n':
				line, start, i = line+1, i+1, i+1
				continue
			case c == ' ' || c == '\t' || c == '\r':
				i++
				continue
			case c == '#':
				for i < len(text) && text[i] != '\n' {
					i++
				}
				continue
			case strings.IndexByte(";{}", c) >= 0:
				w.text, i = text[i:i+1], i+1
			default:
				var quote byte
				for ; i < len(text) && (quote != 0 || strings.IndexByte(" \t\r\n;{", text[i]) < 0); i++ {
					switch c := text[i]; {
					case c == '\n':
						line, start = line+1, i+1
						w.text += "\n"
					case c == '\\' && i+1 < len(text):
						i++
						w.text += text[i : i+1]
					case c == quote:
						quote = 0
					case quote == 0 && w.text == "" && (c == '"' || c == '\''):
						quote = c
					default:
						w.text += text[i : i+1]
					}
				}
			}
			if !yield(w) {
				return
			}
		}
	}
}

package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/netbsdcfg"
	"github.com/rehost/rehost/pfrules"
)

// newPath is phase 2: the services answer by the router too.
func (r *rehearsal) newPath(ctx context.Context) (err error) {
	if r.router, err = startRouter(r.guest); err != nil {
		return err
	}
	r.watchNewPath(ctx)
	r.tunnel(2)
	r.check("the guest answers by both paths", "each service asked directly, and by a forwarder that stands for router and tunnel", "",
		errors.Join(
			r.client.deliver(ctx, r.guest.service.addr), r.client.deliver(ctx, r.router.service.addr),
			r.client.shake(ctx, r.guest.tls.server.addr), r.client.shake(ctx, r.router.tls.addr),
			r.client.resolve(ctx, "udp", r.guest.dns.addr), r.client.resolve(ctx, "tcp", r.router.dns.addr),
		))
	return nil
}

// filters are what is to let the packets through: pf on the guest, the router's kernel, and
// the cloud.
func (r *rehearsal) filters(context.Context) error {
	m := r.Move
	detail, err := r.replies()
	r.check("answers leave through the tunnel by which the question came", "pf.conf read as pfctl of NetBSD does", detail, err)
	r.notTried("pf takes the rules, and acts on them", "pfctl", "it needs a NetBSD")
	r.check("the router forwards packets", "every sysctl.d file that is rendered or there, as sysctl --system reads them", "", r.routerForwards())
	r.check("the cloud lets in what is forwarded, and the tunnel", "the rendered rules against the services of the move", "", r.inbound())
	r.notTried("the cloud's console: source/destination check off, inbound rules, addresses", "a look at the console", fmt.Sprintf("nobody but you can log in there; the runbook says what to set for %s", m.Router.Name))
	return nil
}

// replies finds a rule with reply-to for each family of the tunnel.
func (r *rehearsal) replies() (string, error) {
	m := r.Move
	data, err := r.file(2, m.Guest.Name, "etc/pf.conf")
	if err != nil {
		return "", err
	}
	f, err := pfrules.Parse("/etc/pf.conf", pfrules.NetBSD, data)
	if err != nil {
		return "", err
	}
	errs := []error{f.Check().Err()}
	var lines []string
	for _, end := range m.Tunnel.Router.Addresses {
		line := 0
		for n, rule := range f.All() {
			leads := rule.Route.Kind == pfrules.ReplyTo && rule.Route.Iface == m.Tunnel.Iface && rule.Route.Gateway == end.Addr()
			all := !slices.ContainsFunc(m.Protos(), func(p string) bool { return len(rule.Protos) > 0 && !slices.Contains(rule.Protos, p) })
			if leads && all {
				line = n
			}
		}
		if line == 0 {
			errs = append(errs, fmt.Errorf("no rule sends the answers of %s back to %s on %s", strings.Join(m.Protos(), " and "), end.Addr(), m.Tunnel.Iface))
		}
		lines = append(lines, fmt.Sprintf("%s in line %d", end.Addr(), line))
	}
	return "reply-to " + strings.Join(lines, ", "), errors.Join(errs...)
}

// routerForwards finds the settings without which Linux passes nothing on.
func (r *rehearsal) routerForwards() error {
	m := r.Move
	settings := map[string]string{}
	read := func(in fs.FS, dir string) error {
		names, err := fs.Glob(in, path.Join(dir, m.Router.Name, "etc/sysctl.d/*.conf"))
		for _, name := range names {
			data, err := fs.ReadFile(in, name)
			if err != nil {
				return err
			}
			f, err := netbsdcfg.ParseSysctl(name, netbsdcfg.Linux, data)
			if err != nil {
				return err
			}
			for name, value := range f.All() {
				settings[strings.ReplaceAll(name, "/", ".")] = value
			}
		}
		return err
	}
	if err := errors.Join(read(r.Present, ""), read(r.Rendered, r.Phases[0].Dir), read(r.Rendered, r.Phases[1].Dir)); err != nil {
		return err
	}
	want := []string{"net.ipv4.ip_forward"}
	if m.Tunnel.Guest.Addr(false).IsValid() {
		want = append(want, "net.ipv6.conf.all.forwarding")
	}
	var errs []error
	for _, name := range want {
		if settings[name] != "1" {
			errs = append(errs, fmt.Errorf("%s is %q", name, settings[name]))
		}
	}
	return errors.Join(errs...)
}

// inbound compares what the cloud is told to let in with what the services need.
func (r *rehearsal) inbound() error {
	m := r.Move
	data, err := r.rendered(2, "cloud", "inbound.json")
	if err != nil {
		return err
	}
	var rules []struct {
		IPProtocol       string
		FromPort, ToPort uint16
		IPRanges         []any
		IPv6Ranges       []any
	}
	if err := json.Unmarshal(data, &rules); err != nil {
		return err
	}
	var errs []error
	need := func(proto string, port uint16) {
		for _, rule := range rules {
			if rule.IPProtocol == proto && rule.FromPort <= port && port <= rule.ToPort && len(rule.IPRanges)+len(rule.IPv6Ranges) > 0 {
				return
			}
		}
		errs = append(errs, fmt.Errorf("%s port %d is let in from nowhere", proto, port))
	}
	need("udp", m.Tunnel.Port)
	need("tcp", 80) // HTTP-01, if nothing else
	for _, s := range m.Services {
		for _, proto := range s.Protos {
			switch s.Via {
			case move.Forward:
				need(proto, s.Port)
			case move.Proxy:
				need("tcp", 443)
			}
		}
	}
	return errors.Join(errs...)
}

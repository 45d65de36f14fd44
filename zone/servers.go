package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// servers returns the addresses of name servers, on port 53, in order and each
// once. Those that the zone itself gives (glue, by absolute name in lower case)
// need no resolver: before the zone is reloaded it is the file that is right.
// The addresses found are returned along with the errors of names that have none.
func servers(ctx context.Context, resolver *net.Resolver, names []string, glue map[string][]netip.Addr) ([]netip.AddrPort, error) {
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	var found []netip.AddrPort
	var errs []error
	for _, name := range names {
		addrs := glue[strings.ToLower(name)]
		if len(addrs) == 0 {
			var err error
			// With its final dot, so that no search list is tried.
			if addrs, err = resolver.LookupNetIP(ctx, "ip", name); err != nil {
				errs = append(errs, fmt.Errorf("name server %s: %w", name, err))
			}
		}
		for _, addr := range addrs {
			found = append(found, netip.AddrPortFrom(addr.Unmap(), 53))
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return slices.Compact(found), errors.Join(errs...)
}

// Servers returns the addresses of the name servers of the zone's NS set, on port
// 53. Those that the zone itself has an address for are taken from it; the others
// are asked of the resolver, nil being the system's. Servers that the NS set does
// not name, such as a hidden primary, have to be added. The addresses found are
// returned along with the errors of names that have none.
func (f *File) Servers(ctx context.Context, resolver *net.Resolver) ([]netip.AddrPort, error) {
	var names []string
	glue := map[string][]netip.Addr{}
	for _, ns := range f.Lookup("@", "NS") {
		names = append(names, ns.Data)
		for _, typ := range []string{"A", "AAAA"} {
			for _, r := range f.Lookup(ns.Data, typ) {
				if addr, err := netip.ParseAddr(r.Data); err == nil {
					glue[strings.ToLower(ns.Data)] = append(glue[strings.ToLower(ns.Data)], addr)
				}
			}
		}
	}
	return servers(ctx, resolver, names, glue)
}

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

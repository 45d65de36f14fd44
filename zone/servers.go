package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Servers returns the addresses of the name servers of the zone's NS set, on port
// 53, in order and each once. Those that the zone itself has an address for are
// taken from it: before the zone is reloaded it is the file that is right. The
// others are asked of the resolver, nil being the system's. Servers that the NS
// set does not name, such as a hidden primary, have to be added. The addresses
// found are returned along with the errors of names that have none.
func (f *File) Servers(ctx context.Context, resolver *net.Resolver) ([]netip.AddrPort, error) {
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	var found []netip.AddrPort
	var errs []error
	for _, ns := range f.Lookup("@", "NS") {
		var addrs []netip.Addr
		for _, r := range slices.Concat(f.Lookup(ns.Data, "A"), f.Lookup(ns.Data, "AAAA")) {
			if addr, err := netip.ParseAddr(r.Data); err == nil { // else Check tells
				addrs = append(addrs, addr)
			}
		}
		if len(addrs) == 0 {
			var err error
			// With its final dot, so that no search list is tried.
			if addrs, err = resolver.LookupNetIP(ctx, "ip", ns.Data); err != nil {
				errs = append(errs, fmt.Errorf("name server %s: %w", ns.Data, err))
			}
		}
		for _, addr := range addrs {
			found = append(found, netip.AddrPortFrom(addr.Unmap(), 53))
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return slices.Compact(found), errors.Join(errs...)
}

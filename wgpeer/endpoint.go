package wgpeer

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A place is an Endpoint taken apart.
type place struct {
	addr netip.Addr // the zero Addr where it is a name
	name string
	port uint16
}

// hostName is a name that the resolver is asked for. One whose last label is a
// number would be taken for an address with parts left out, as in "192.0.2".
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.?$`)

func parseEndpoint(s string) (place, error) {
	refuse := func(reason string) (place, error) {
		return place{}, &ValueError{Field: "Endpoint", Value: s, Reason: reason}
	}
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		// It would be split at its last colon, whatever that is.
		return refuse("must be address:port, [IPv6 address]:port or name:port")
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return refuse("the port must be a number from 1 to 65535")
	}
	end := place{port: uint16(port)}
	bracketed := strings.HasPrefix(s, "[")
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && addr.Zone() != "":
		return refuse("an address of one link alone does not serve as an endpoint")
	case err == nil && addr.Is4In6():
		return refuse("is an IPv4 address written as IPv6")
	case err == nil && addr.Is6() == bracketed:
		if addr.IsUnspecified() || addr.IsMulticast() {
			return refuse("is no address of one machine")
		}
		end.addr = addr
	case err != nil && !bracketed && len(host) <= 253 && hostName.MatchString(host):
		end.name = host
	default:
		return refuse("neither an address nor a name")
	}
	return end, nil
}

// A resolver finds the addresses of a name; net.Resolver.LookupNetIP is one.
type resolver func(ctx context.Context, network, host string) ([]netip.Addr, error)

// resolve returns every place that the endpoint names, the preferred one first.
func (lookup resolver) resolve(ctx context.Context, s string) ([]netip.AddrPort, error) {
	end, err := parseEndpoint(s)
	if err != nil {
		return nil, err
	}
	if end.addr.IsValid() {
		return []netip.AddrPort{netip.AddrPortFrom(end.addr, end.port)}, nil
	}
	addrs, err := lookup(ctx, "ip", end.name)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", s, err)
	}
	var places []netip.AddrPort
	for _, addr := range addrs {
		places = append(places, netip.AddrPortFrom(addr.Unmap(), end.port))
	}
	if len(places) == 0 {
		return nil, &ValueError{Field: "Endpoint", Value: s, Reason: "the name has no address"}
	}
	return slices.Compact(places), nil
}

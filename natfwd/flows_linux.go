package natfwd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// deleteFlows makes the kernel forget the conversations that do not go where their
// flow says. It works in the network namespace of the calling thread.
func deleteFlows(ctx context.Context, f Family, flows []flow) error {
	if err := ctx.Err(); err != nil || len(flows) == 0 {
		return err
	}
	family := map[Family]netlink.InetFamily{IPv4: unix.AF_INET, IPv6: unix.AF_INET6}[f]
	own, err := ownAddresses(family, flows)
	if err != nil {
		return err
	}
	_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, entryFilter(func(e *netlink.ConntrackFlow) bool {
		return e.Forward.Protocol == unix.IPPROTO_UDP && stale(flows, own, conversationOf(e))
	}))
	if err != nil {
		return fmt.Errorf("%s: forget UDP conversations: %w", f, err)
	}
	return nil
}

type entryFilter func(*netlink.ConntrackFlow) bool

// MatchConntrackFlow makes the function a netlink.CustomConntrackFilter.
func (match entryFilter) MatchConntrackFlow(e *netlink.ConntrackFlow) bool { return match(e) }

// conversationOf reads an entry: who answers is who gets the packets.
func conversationOf(e *netlink.ConntrackFlow) conversation {
	from, _ := netip.AddrFromSlice(e.Forward.SrcIP)
	dst, _ := netip.AddrFromSlice(e.Forward.DstIP)
	to, _ := netip.AddrFromSlice(e.Reverse.SrcIP)
	return conversation{
		from: from.Unmap(),
		dst:  netip.AddrPortFrom(dst.Unmap(), e.Forward.DstPort),
		to:   netip.AddrPortFrom(to.Unmap(), e.Reverse.SrcPort),
	}
}

// ownAddresses are those of the interfaces that the flows name. An interface that
// is not there has none.
func ownAddresses(family netlink.InetFamily, flows []flow) (map[string][]netip.Addr, error) {
	own := map[string][]netip.Addr{}
	for _, f := range flows {
		if _, done := own[f.Iface]; done || f.Dst.IsValid() {
			continue
		}
		var link netlink.Link // nil is all of them
		if f.Iface != "" {
			var err error
			if link, err = netlink.LinkByName(f.Iface); err != nil {
				if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
					own[f.Iface] = nil
					continue
				}
				return nil, fmt.Errorf("interface %q: %w", f.Iface, err)
			}
		}
		list, err := netlink.AddrList(link, int(family))
		if err != nil {
			return nil, fmt.Errorf("addresses of interface %q: %w", f.Iface, err)
		}
		own[f.Iface] = nil
		for _, a := range list {
			if addr, ok := netip.AddrFromSlice(a.IP); ok && !addr.IsLoopback() {
				own[f.Iface] = append(own[f.Iface], addr.Unmap())
			}
		}
	}
	return own, nil
}

package natfwd

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
)

// A Port is one that the router itself serves.
type Port struct {
	Proto Proto
	Port  uint16
}

// InboundRules returns what a cloud must let in for the forwards and for extra, such
// as the tunnel's port, in the JSON that "aws ec2 authorize-security-group-ingress
// --ip-permissions" takes. A forward is let in from its sources, or where it has
// none, from everywhere in the families of its targets; extra from everywhere.
// Nothing is said twice, and the order depends on nothing but what is let in.
//
// EC2 refuses the whole text if one of its rules is there already.
func (s Set) InboundRules(extra ...Port) ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	everywhere := []netip.Prefix{IPv4: netip.PrefixFrom(netip.IPv4Unspecified(), 0), IPv6: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	in := inbound{}
	for _, f := range s.Forwards {
		for family, all := range everywhere {
			if _, ok := f.target(Family(family)); !ok {
				continue
			}
			from := ofFamily(f.From, Family(family))
			if len(from) == 0 {
				from = []netip.Prefix{all}
			}
			for _, ports := range f.Ports {
				in.permit(opening{f.Proto, ports.First, ports.last()}, from...)
			}
		}
	}
	for _, p := range extra {
		if p.Proto != TCP && p.Proto != UDP {
			return nil, &ValueError{Field: "extra port's protocol", Value: string(p.Proto), Reason: "is neither tcp nor udp"}
		}
		if p.Port == 0 {
			return nil, &ValueError{Field: "extra port", Value: "0", Reason: "port 0 is none"}
		}
		in.permit(opening{p.Proto, p.Port, p.Port}, everywhere...)
	}
	return json.MarshalIndent(in.permissions("rehost "+s.Name), "", "  ")
}

// An opening is a range of ports that is let in from some sources.
type opening struct {
	proto       Proto
	first, last uint16
}

type inbound map[opening][]netip.Prefix

func (in inbound) permit(o opening, from ...netip.Prefix) { in[o] = append(in[o], from...) }

// A permission is EC2's type IpPermission.
type permission struct {
	IPProtocol Proto       `json:"IpProtocol"`
	FromPort   uint16      // the first of the range
	ToPort     uint16      // the last
	IPRanges   []ipRange   `json:"IpRanges,omitempty"`
	IPv6Ranges []ipv6Range `json:"Ipv6Ranges,omitempty"`
}

type ipRange struct{ CidrIp, Description string }

type ipv6Range struct{ CidrIpv6, Description string }

func (in inbound) permissions(description string) []permission {
	list := []permission{}
	for _, o := range slices.SortedFunc(maps.Keys(in), func(a, b opening) int {
		return cmp.Or(cmp.Compare(a.proto, b.proto), cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last))
	}) {
		p := permission{IPProtocol: o.proto, FromPort: o.first, ToPort: o.last}
		slices.SortFunc(in[o], netip.Prefix.Compare)
		for _, from := range slices.Compact(in[o]) {
			if from.Addr().Is4() {
				p.IPRanges = append(p.IPRanges, ipRange{from.String(), description})
			} else {
				p.IPv6Ranges = append(p.IPv6Ranges, ipv6Range{from.String(), description})
			}
		}
		list = append(list, p)
	}
	return list
}

package report

import "time"

// sample is a report that has all there can be.
func sample() *Report {
	s := func(seconds float64) Seconds { return Seconds(seconds * float64(time.Second)) }
	const oldPath, newPath, tunnel = "old path", "new path", "tunnel"
	r := &Report{
		Guest: "senate", Where: "network namespaces, with named, nginx, postfix and wireguard",
		Started: time.Date(2026, 12, 5, 20, 0, 0, 0, time.UTC), Took: s(58.31),
		Network: Network{
			Domain: "example.net",
			Old:    Host{"starkiller", []string{"198.51.100.25"}},
			Router: Host{"ingress", []string{"203.0.113.63", "2001:db8:189c:700:b4d2::1"}},
			Home:   Host{"garage", []string{"192.168.14.5/24"}},
			Services: []Service{
				{"dns", "tcp+udp 53", "forward"}, {"smtp", "tcp 25", "forward"}, {"smtps", "tcp 465", "forward"},
				{"submission", "tcp 587", "forward"}, {"web", "tcp 80", "proxy"}, {"imaps", "tcp 993", "tunnel"},
			},
		},
		Phases: []Phase{
			{1, "Prepare", s(0), s(1.2), []Finding{
				{"the guest's private key is the one whose public half the router has", "wgpeer, both files", Held, ""},
				{"the guest runs NetBSD 10.1", "uname -r", NotTried, "no NetBSD is here to be upgraded"},
			}},
			{2, "Both paths answer", s(1.2), s(6.75), []Finding{
				{"every forward stands once, in IPv4 and in IPv6", "iptables-save and ip6tables-save after the hook ran twice", Held, "7 rules each"},
				{"the handshake is fresh", "wg show of both ends", Held, "2 s ago"},
				{"a reply to what came through wg0 leaves by wg0", "pf with reply-to", NotTried, "no pf is here; Linux's policy routing stood in for it"},
			}},
			{3, "Certificates", s(6.75), s(14.02), []Finding{
				{"smtp, smtps, submission and imaps serve the certificate that was issued", "a TLS handshake with each", Held, "4 of 4, serial 0D:52:01"},
			}},
			{4, "DNS", s(14.02), s(31.5), []Finding{
				{"every server has serial 2026120502", "SOA over UDP from 3 servers", Held, "after 1.21 s"},
				{"nothing in the zone has the old address", "zone.References of 198.51.100.25", Failed, "example.net line 31: \"v=spf1 ip4:198.51.100.25 -all\"; put the router's address in its place"},
			}},
			{5, "Disk, live pass", s(31.5), s(46.2), []Finding{
				{"a pass that was cut off goes on where it was", "the connection is broken at 40 %", Held, "102.4 MiB were not moved again"},
			}},
			{5, "Disk, final pass", s(46.2), s(46.9), []Finding{
				{"both disks have one digest", "BLAKE3 of each, read back", Held, ""},
			}},
			{6, "First boot at home", s(46.9), s(47.05), []Finding{
				{"the guest's file boots without -s", "the commands that vm-bhyve would run", Held, ""},
			}},
			{7, "Check", s(47.05), s(58.31), []Finding{
				{"port 25 is open outbound", "a connection to a mail server elsewhere", NotTried, "nothing outside of this machine is asked"},
			}},
		},
		Stop: Stop{"web", 0, s(46.1), s(49.52)},
		Disk: Disk{256 << 20, 251 << 20, 102<<20 + 400<<10, 1<<20 + 512<<10, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
		Outages: []Outage{
			{"web", oldPath, s(46.2), s(58.3), 121, "dial tcp 198.51.100.25:80: connect: connection refused"},
			{"web", newPath, s(46.2), s(49.42), 33, "502 Bad Gateway"},
			{"smtp", newPath, s(46.25), s(48.9), 27, "read tcp 203.0.113.63:25: i/o timeout"},
			{"dns", newPath, s(14.5), s(14.5), 1, "read udp 203.0.113.63:53: i/o timeout"},
		},
	}
	r.Network.Tunnel.Router = []string{"172.16.1.1/24", "2001:db8:189c:700:b4d2::1/80"}
	r.Network.Tunnel.Guest = []string{"172.16.1.4/24", "2001:db8:189c:700:b4d2::4/80"}
	failed := map[Probes]int{
		{Service: "dns", Path: newPath, Phase: 3}: 1,
		{Service: "web", Path: newPath, Phase: 5}: 7, {Service: "smtp", Path: newPath, Phase: 5}: 7, {Service: "web", Path: oldPath, Phase: 5}: 7,
		{Service: "web", Path: newPath, Phase: 6}: 1, {Service: "smtp", Path: newPath, Phase: 6}: 1, {Service: "web", Path: oldPath, Phase: 6}: 1,
		{Service: "web", Path: newPath, Phase: 7}: 25, {Service: "smtp", Path: newPath, Phase: 7}: 19, {Service: "web", Path: oldPath, Phase: 7}: 113,
	}
	for i, phase := range r.Phases {
		for _, path := range []string{oldPath, newPath, tunnel} {
			for _, service := range []string{"dns", "smtp", "web", "imaps"} {
				if (path == tunnel) != (service == "imaps") || path != oldPath && i == 0 {
					continue
				}
				p := Probes{Service: service, Path: path, Phase: i}
				p.Failed = failed[p]
				p.Asked = int((phase.To - phase.From) / s(0.1))
				r.Probes = append(r.Probes, p)
			}
		}
	}
	return r
}

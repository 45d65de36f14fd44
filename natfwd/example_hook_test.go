package natfwd_test

import (
	"fmt"
	"log"
	"net/netip"

	"github.com/rehost/rehost/natfwd"
)

// The forwards come and go with the interface, once the two files are installed with
// Save(ctx, "/").
func ExampleSet_Hook() {
	mail := natfwd.Set{
		Name: "mail",
		Forwards: []natfwd.Forward{{
			Proto: natfwd.TCP, Iface: "ens5",
			Ports: []natfwd.PortRange{{First: 25}, {First: 587}},
			To:    []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")},
		}},
	}
	outputs, err := mail.Hook("ens5")
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range outputs {
		fmt.Println(o)
	}
	// Output:
	// /etc/network/if-pre-up.d/rehost-mail (0755)
	// /etc/network/if-post-down.d/rehost-mail -> ../if-pre-up.d/rehost-mail
}

// A router that loads its rules with iptables-persistent has the set in that file,
// beside the rules that are there.
func ExampleSet_Render() {
	present := []byte(`*nat
:PREROUTING ACCEPT [0:0]
# the wiki
-A PREROUTING -i ens5 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.77.0.9:80
COMMIT
`)
	mail := natfwd.Set{
		Name: "mail",
		Forwards: []natfwd.Forward{{
			Proto: natfwd.TCP, Iface: "ens5",
			Ports: []natfwd.PortRange{{First: 25}},
			To:    []netip.Addr{netip.MustParseAddr("10.77.0.2")},
		}},
	}
	output, err := mail.Render(natfwd.IPv4, present)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n%s", output, output.Data)
	// Output:
	// /etc/iptables/rules.v4 (0640)
	// *nat
	// :PREROUTING ACCEPT [0:0]
	// :rehost-mail-pre - [0:0]
	// -A PREROUTING -j rehost-mail-pre
	// -A rehost-mail-pre -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2
	// # the wiki
	// -A PREROUTING -i ens5 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.77.0.9:80
	// COMMIT
}

// The cloud lets in mail for one family, and the tunnel for both.
func ExampleSet_InboundRules() {
	mail := natfwd.Set{
		Name: "mail",
		Forwards: []natfwd.Forward{{
			Proto: natfwd.TCP, Iface: "ens5",
			Ports: []natfwd.PortRange{{First: 25}},
			To:    []netip.Addr{netip.MustParseAddr("10.77.0.2")},
		}},
	}
	rules, err := mail.InboundRules(natfwd.Port{Proto: natfwd.UDP, Port: 51820})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(rules))
	// Output:
	// [
	//   {
	//     "IpProtocol": "tcp",
	//     "FromPort": 25,
	//     "ToPort": 25,
	//     "IpRanges": [
	//       {
	//         "CidrIp": "0.0.0.0/0",
	//         "Description": "rehost mail"
	//       }
	//     ]
	//   },
	//   {
	//     "IpProtocol": "udp",
	//     "FromPort": 51820,
	//     "ToPort": 51820,
	//     "IpRanges": [
	//       {
	//         "CidrIp": "0.0.0.0/0",
	//         "Description": "rehost mail"
	//       }
	//     ],
	//     "Ipv6Ranges": [
	//       {
	//         "CidrIpv6": "::/0",
	//         "Description": "rehost mail"
	//       }
	//     ]
	//   }
	// ]
}

package natfwd

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The built-in chains of the nat table, with the ending of the name of the chain
// that a set has for each. A chain that would be empty is not made.
var hooks = []hook{
	{"PREROUTING", "-pre"},
	{"OUTPUT", "-out"},
	{"POSTROUTING", "-post"},
}

type hook struct{ builtin, suffix string }

// chainPrefix begins the names of all chains of this package. With the longest
// name of a set and the longest ending that makes 28 bytes, the kernel's limit.
const chainPrefix = "rehost-"

// A chain is one of a set's own chains as it should be.
type chain struct {
	name    string
	builtin string   // that calls it
	rules   []string // as iptables-save prints them, without "-A CHAIN "
}

// chains are what the set wants in a family's nat table; none if it wants nothing.
// The set must be valid.
func (s Set) chains(f Family) []chain {
	rules := map[string][]string{}
	add := func(builtin string, words ...string) {
		rules[builtin] = append(rules[builtin], strings.Join(words, " "))
	}
	s.nat(f, add)
	var list []chain
	for _, hook := range hooks {
		if rules := rules[hook.builtin]; len(rules) > 0 {
			list = append(list, chain{s.chainName(hook.suffix), hook.builtin, rules})
		}
	}
	return list
}

// wants tells whether the set wants anything in a family.
func (s Set) wants(f Family) bool {
	forwards := slices.ContainsFunc(s.Forwards, func(fw Forward) bool { _, ok := fw.target(f); return ok })
	return forwards || f == IPv4 && len(s.Forwards) == 0 && len(s.Masquerade) > 0
}

func (s Set) chainName(suffix string) string { return chainPrefix + s.Name + suffix }

// nat adds the rules of all three chains.
func (s Set) nat(f Family, add func(builtin string, words ...string)) {
	var targets []netip.Addr
	for _, fw := range s.Forwards {
		to, ok := fw.target(f)
		if !ok {
			continue
		}
		if !slices.Contains(targets, to) {
			targets = append(targets, to)
		}
		for _, ports := range portMatches(fw) {
			rest := []string{ports.match, "-j DNAT --to-destination", destination(to, ports.to)}
			proto := []string{"-p", string(fw.Proto)}
			for _, dst := range orAny(hosts(fw.Dst, f)) {
				for _, from := range orAny(ofFamily(fw.From, f)) {
					var iface []string
					if fw.Iface != "" {
						iface = []string{"-i", fw.Iface}
					}
					add("PREROUTING", slices.Concat(addresses(from, dst), iface, proto, rest)...)
					if s.Hairpin && fw.Iface != "" {
						addrs, local := toRouter(from, dst, f)
						add("PREROUTING", slices.Concat(addrs, []string{"! -i", fw.Iface}, proto, local, rest)...)
					}
				}
				if s.Local {
					addrs, local := toRouter(netip.Prefix{}, dst, f)
					add("OUTPUT", slices.Concat(addrs, proto, local, rest)...)
				}
			}
		}
	}
	if len(targets) > 0 || f == IPv4 && len(s.Forwards) == 0 {
		for _, iface := range s.Masquerade {
			add("POSTROUTING", "-o", iface, "-j MASQUERADE")
		}
	}
	for _, to := range targets {
		target := netip.PrefixFrom(to, to.BitLen())
		if s.Hairpin {
			for _, from := range append([]netip.Prefix{target}, ofFamily(s.HairpinFrom, f)...) {
				add("POSTROUTING", append(addresses(from, target), "-m conntrack --ctstate DNAT -j MASQUERADE")...)
			}
		}
		if s.Local { // the target must answer by the way on which it was asked
			add("POSTROUTING", append(addresses(netip.Prefix{}, target), "-m addrtype --src-type LOCAL -m conntrack --ctstate DNAT -j MASQUERADE")...)
		}
	}
}

// addresses match source and destination; the zero prefix is any.
func addresses(from, dst netip.Prefix) []string {
	var words []string
	if from.IsValid() {
		words = append(words, "-s", from.String())
	}
	if dst.IsValid() {
		words = append(words, "-d", dst.String())
	}
	return words
}

// toRouter matches what is sent to the router itself: to dst, or to whichever
// address is its own. Loopback is not forwarded: the kernel would drop the answer.
// The addresses come before the protocol in a rule, the rest after it.
func toRouter(from, dst netip.Prefix, f Family) (addrs, rest []string) {
	if dst.IsValid() {
		return addresses(from, dst), nil
	}
	loopback := "! -d 127.0.0.0/8"
	if f == IPv6 {
		loopback = "! -d ::1/128"
	}
	return append(addresses(from, dst), loopback), []string{"-m addrtype --dst-type LOCAL"}
}

// A portMatch is a group of ports that one rule takes, and where they go.
type portMatch struct{ match, to string }

// multiportMax is how many ports one rule of multiport takes, where a range counts
// as two: iptables-extensions(8).
const multiportMax = 15

// portMatches cuts a forward's ports into rules.
func portMatches(f Forward) []portMatch {
	var list []portMatch
	to := ""
	if f.ToPort > 0 {
		to = strconv.Itoa(int(f.ToPort))
	}
	var group []string
	count := 0
	flush := func() {
		switch {
		case len(group) == 1:
			list = append(list, portMatch{"-m " + string(f.Proto) + " --dport " + group[0], to})
		case len(group) > 1:
			list = append(list, portMatch{"-m multiport --dports " + strings.Join(group, ","), to})
		}
		group, count = nil, 0
	}
	for _, p := range f.Ports {
		size := 1
		if p.last() > p.First {
			size = 2
			if f.ToPort > 0 { // its own rule, since it is shifted by its own first port
				list = append(list, portMatch{"-m " + string(f.Proto) + " --dport " + p.String(),
					fmt.Sprintf("%d-%d/%d", f.ToPort, int(f.ToPort)+int(p.Last-p.First), p.First)})
				continue
			}
		}
		if count+size > multiportMax {
			flush()
		}
		group, count = append(group, p.String()), count+size
	}
	flush()
	return list
}

// destination is the argument of --to-destination. An IPv6 address has brackets
// where a port follows: without them the port would be part of it.
func destination(to netip.Addr, ports string) string {
	switch {
	case ports == "":
		return to.String()
	case to.Is6():
		return "[" + to.String() + "]:" + ports
	}
	return to.String() + ":" + ports
}

// jump is the rule in the built-in chain, as iptables-save prints it.
func (c chain) jump() string { return "-j " + c.name }

// refill writes the lines of a restore text that empty the chain, making it if need
// be, and fill it.
func (c chain) refill(b *strings.Builder) {
	b.WriteString(":" + c.name + " - [0:0]\n")
	for _, rule := range c.rules {
		b.WriteString("-A " + c.name + " " + rule + "\n")
	}
}

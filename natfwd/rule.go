package natfwd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A rule is a line of a ruleset that does something to a chain.
type rule struct {
	line  int    // from 0
	verb  string // "-A"; a file may have others, such as "-I"
	chain string
	text  string // what follows the chain, as it stands
}

// String returns the rule as an argument list of iptables.
func (r rule) String() string { return r.verb + " " + r.chain + " " + r.text }

// A meaning is a rule read word by word: two rules that say the same in other words
// have the same key. Most rules need not be read: what has the same text means the
// same.
type meaning struct {
	opts []option // in the order of the text
}

// An option is one of a rule's words that begin with "-", with what belongs to it.
type option struct {
	not  bool
	name string // the short one where there are two
	args []string
}

// shortName has the other names of options, as iptables(8) and
// iptables-extensions(8) give them.
var shortName = map[string]string{
	"--append": "-A", "--insert": "-I", "--delete": "-D", "--replace": "-R",
	"--protocol": "-p", "--proto": "-p", "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d",
	"--in-interface": "-i", "--out-interface": "-o", "--match": "-m", "--jump": "-j", "--goto": "-g",
	"--source-port": "--sport", "--destination-port": "--dport",
	"--source-ports": "--sports", "--destination-ports": "--dports",
}

// parseRule reads a line such as `-A PREROUTING -i ens5 -p tcp -j DNAT --to-destination
// 192.0.2.7`, with counters before it or without.
func parseRule(line string) (rule, error) {
	text := line
	if strings.HasPrefix(text, "[") {
		_, after, ok := strings.Cut(text, "]")
		if !ok {
			return rule{}, errors.New("the counters do not end")
		}
		text = after
	}
	verb, text := cutWord(text)
	chain, text := cutWord(text)
	switch {
	case len(verb) < 2 || verb[0] != '-' || chain == "" || strings.Contains(verb+chain, `"`):
		return rule{}, fmt.Errorf("%q is no rule", line)
	case strings.Contains(text, `"`):
		if _, err := words(text); err != nil {
			return rule{}, err
		}
	}
	return rule{verb: canonical(verb), chain: chain, text: strings.TrimRight(text, " \t")}, nil
}

// cutWord returns the first word and what follows it.
func cutWord(text string) (word, rest string) {
	text = strings.TrimLeft(text, " \t")
	i := strings.IndexAny(text, " \t")
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimLeft(text[i:], " \t")
}

// read returns what the rule means.
func (r rule) read() meaning {
	var m meaning
	list, _ := words(r.text) // parseRule has found it readable
	not := false
	for _, word := range list {
		last := len(m.opts) - 1
		switch {
		case word == "!":
			not = true
		case len(word) > 1 && word[0] == '-' && (last < 0 || takesMore(m.opts[last])):
			m.opts = append(m.opts, option{not: not, name: canonical(word)})
			not = false
		case last >= 0:
			m.opts[last].args = append(m.opts[last].args, word)
			m.opts[last].not = m.opts[last].not || not // "-i ! ens5", as iptables once wrote it
			not = false
		default: // the number of -I and -R
			m.opts = append(m.opts, option{args: []string{word}})
		}
	}
	for i := range m.opts {
		m.opts[i].normalize()
	}
	return m
}

// takesMore tells whether a word that begins with "-" is the next option: the one
// before may need it, as a comment does.
func takesMore(before option) bool { return before.name != "--comment" || len(before.args) > 0 }

func canonical(name string) string {
	if short, ok := shortName[name]; ok {
		return short
	}
	return name
}

// key is the meaning as a text: options in an order of their own, with addresses and
// ports in one form.
func (m meaning) key() string {
	proto, _ := m.option("-p")
	var parts []string
	for _, o := range m.opts {
		switch {
		case o.name == "-m" && o.arg() == proto: // it says what -p says
		case (o.name == "-s" || o.name == "-d") && !o.not && strings.HasSuffix(o.arg(), "/0"):
		default:
			parts = append(parts, o.String())
		}
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), " ")
}

func (o option) arg() string {
	if len(o.args) == 0 {
		return ""
	}
	return o.args[0]
}

// String returns the option as a line has it.
func (o option) String() string {
	var list []string
	if o.not {
		list = append(list, "!")
	}
	if o.name != "" {
		list = append(list, quote(o.name))
	}
	for _, arg := range o.args {
		list = append(list, quote(arg))
	}
	return strings.Join(list, " ")
}

// normalize gives an argument the form that iptables-save gives it.
func (o *option) normalize() {
	if len(o.args) != 1 {
		return
	}
	arg := &o.args[0]
	switch o.name {
	case "-p":
		*arg = protocol(*arg)
	case "-s", "-d":
		if p, ok := parsePrefix(*arg); ok {
			*arg = p.String()
		}
	case "--dport", "--sport":
		if p, ok := parsePorts(*arg); ok {
			*arg = p.String()
		}
	case "--dports", "--sports":
		list := strings.Split(*arg, ",")
		for i := range list {
			if p, ok := parsePorts(list[i]); ok {
				list[i] = p.String()
			}
		}
		*arg = strings.Join(list, ",")
	}
}

// protocol returns the name that iptables-save prints for the ones with ports.
func protocol(name string) string {
	switch name = strings.ToLower(name); name {
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "0":
		return "all"
	}
	return name
}

// parsePrefix reads an address with or without a length or an IPv4 mask.
func parsePrefix(text string) (netip.Prefix, bool) {
	address, length, has := strings.Cut(text, "/")
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := a.BitLen()
	if mask, err := netip.ParseAddr(length); has && err == nil {
		bits = maskBits(mask)
	} else if has {
		if bits, err = strconv.Atoi(length); err != nil {
			return netip.Prefix{}, false
		}
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// maskBits returns the length that a mask stands for, -1 if it is none.
func maskBits(mask netip.Addr) int {
	for bits := range mask.BitLen() + 1 {
		ones := netip.AddrFrom4([4]byte{255, 255, 255, 255})
		if mask.Is6() {
			ones = netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
		}
		if p, err := ones.Prefix(bits); err == nil && p.Addr() == mask {
			return bits
		}
	}
	return -1
}

// parsePorts reads a port or a range, "25", "smtp", "8000:8010", ":1024" or "1024:".
func parsePorts(text string) (PortRange, bool) {
	first, last, isRange := strings.Cut(text, ":")
	a, okFirst := parsePort(first, 0, isRange)
	if !isRange {
		return PortRange{a, a}, okFirst
	}
	b, okLast := parsePort(last, 0xffff, true)
	return PortRange{a, b}, okFirst && okLast && a <= b
}

func parsePort(text string, missing uint16, mayMiss bool) (uint16, bool) {
	if text == "" {
		return missing, mayMiss
	}
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return uint16(n), true
	}
	// iptables-save prints numbers, and a person writes names of services(5).
	n, err := net.LookupPort("tcp", text)
	return uint16(n), err == nil
}

// option returns the argument of the first option of a name that is not negated.
func (m meaning) option(name string) (string, bool) {
	for _, o := range m.opts {
		if o.name == name && !o.not {
			return o.arg(), true
		}
	}
	return "", false
}

// target is where the rule sends packets: a chain, or an extension such as DNAT.
func (m meaning) target() string {
	if name, ok := m.option("-j"); ok {
		return name
	}
	name, _ := m.option("-g")
	return name
}

// claims are the packets that the rule takes, one claim for each group of ports.
func (m meaning) claims() []claim {
	c := claim{ports: PortRange{0, 0xffff}}
	ports := []PortRange{c.ports}
	for _, o := range m.opts {
		switch arg := o.arg(); {
		case o.name == "-i" && o.not:
			c.not = arg
		case o.not:
		case o.name == "-i" && !strings.HasSuffix(arg, "+"):
			c.iface = arg
		case o.name == "-p" && arg != "all":
			c.proto = Proto(arg)
		case o.name == "-s":
			c.from, _ = parsePrefix(arg)
		case o.name == "-d":
			c.dst, _ = parsePrefix(arg)
		case o.name == "--dport" || o.name == "--dports" || o.name == "--ports":
			ports = portsOf(arg)
		}
	}
	list := make([]claim, len(ports))
	for i, p := range ports {
		list[i] = c
		list[i].ports = p
	}
	return list
}

// portsOf reads the list of a multiport match; what it cannot read is any port.
func portsOf(list string) []PortRange {
	var ports []PortRange
	for item := range strings.SplitSeq(list, ",") {
		p, ok := parsePorts(item)
		if !ok {
			return []PortRange{{0, 0xffff}}
		}
		ports = append(ports, p)
	}
	return ports
}

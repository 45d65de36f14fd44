package netbsdcfg

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// What wgconfig(8) and the kernel's wg(4) hold.
const (
	maxIface      = 15 // IFNAMSIZ less the final NUL
	maxPeerName   = 16 // WG_PEER_NAME_MAXLEN
	maxAllowedIPs = 16 // WG_ALLOWEDIPS; the kernel does not check it
	keyLength     = 44 // 32 bytes in base64
)

// ValidateWGConfig checks the arguments of one wgconfig(8) command, those after
// the program's name: {"wg0", "set", "listen-port", "51820"}. It returns a
// *ValueError for what wgconfig refuses, and for what it accepts and should not:
//
//   - prefix lengths beyond the address (/99), and 10/8, which is 0.0.0.10/8
//   - an endpoint without a port or with port 0
//   - more than 16 allowed-ips, which overrun an array in the kernel, or one
//     prefix twice, which it refuses
//   - an option given twice, of which the last counts
//   - the option --preshared-key-file= of the manual page, which is called
//     --preshared-key=
//
// Whether files exist and names resolve is not looked at.
func ValidateWGConfig(args []string) error {
	_, err := parseWGConfig(args)
	return err
}

// A wgCommand is what the arguments of one wgconfig command say.
type wgCommand struct {
	verb, target string // "add" and "peer", for example
	peer         string
	key          string
	endpoint     endpoint
	allowedIPs   []netip.Prefix
}

// An endpoint is the far end's address, or its name, and port.
type endpoint struct {
	addr netip.Addr // zero if it is a name
	name string
	port uint16
}

// isWGConfig reports whether a command runs wgconfig.
func isWGConfig(argv []string) bool {
	return len(argv) > 0 && path.Base(argv[0]) == "wgconfig"
}

func parseWGConfig(args []string) (wgCommand, error) {
	usage := func(reason string) (wgCommand, error) {
		return wgCommand{}, refusal("wgconfig", strings.Join(args, " "), reason)
	}
	if len(args) == 0 {
		return usage("names no interface")
	}
	if err := validIface(args[0]); err != nil {
		return wgCommand{}, err
	}
	if len(args) == 1 {
		return wgCommand{verb: "show", target: "all"}, nil
	}
	if len(args) == 2 {
		return usage("has a verb and nothing that it applies to")
	}
	cmd := wgCommand{verb: args[1], target: args[2]}
	rest := args[3:]
	want := func(n int) bool { return len(rest) == n }
	switch cmd.verb + " " + cmd.target {
	case "show all", "show private-key":
		if !want(0) {
			return usage("takes no arguments")
		}
		return cmd, nil
	case "show peer":
		if !want(1) && !(want(2) && rest[1] == "--show-preshared-key") {
			return usage("takes a peer's name and at most --show-preshared-key")
		}
	case "set private-key":
		if !want(1) || rest[0] == "" {
			return usage("takes the name of a file")
		}
		return cmd, nil
	case "set listen-port":
		if !want(1) {
			return usage("takes a port")
		}
		_, err := parsePort("listen-port", rest[0])
		return cmd, err
	case "delete peer":
		if !want(1) {
			return usage("takes a peer's name")
		}
	case "add peer":
		if len(rest) < 2 {
			return usage("takes a peer's name and its public key")
		}
		cmd.key = rest[1]
		if err := validKey64(cmd.key); err != nil {
			return cmd, err
		}
		if err := cmd.options(rest[2:]); err != nil {
			return cmd, err
		}
	default:
		return usage("wgconfig has show, set, add and delete, for all, peer, private-key and listen-port")
	}
	cmd.peer = rest[0]
	return cmd, validPeerName(cmd.peer)
}

// options reads the options of "add peer".
func (c *wgCommand) options(options []string) error {
	var seen []string
	for _, option := range options {
		name, value, ok := strings.Cut(option, "=")
		if name == "--preshared-key-file" {
			return refusal("option", option, "wgconfig calls it --preshared-key=, whatever its manual page says")
		}
		if !slices.Contains([]string{"--endpoint", "--allowed-ips", "--preshared-key"}, name) {
			return refusal("option", option, "add peer has --endpoint=, --allowed-ips= and --preshared-key=")
		}
		if !ok {
			return refusal("option", option, "the value follows an equals sign, not a blank")
		}
		if slices.Contains(seen, name) {
			return refusal("option", option, "is given twice; only the last one counts")
		}
		seen = append(seen, name)
		var err error
		switch {
		case name == "--endpoint":
			c.endpoint, err = parseEndpoint(value)
		case name == "--allowed-ips":
			c.allowedIPs, err = parseAllowedIPs(value)
		case value == "":
			err = refusal("preshared-key", value, "names no file")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func validIface(iface string) error {
	switch {
	case iface == "":
		return refusal("interface", iface, "is empty")
	case len(iface) > maxIface:
		return refusal("interface", iface, fmt.Sprintf("has more than %d bytes", maxIface))
	case strings.HasPrefix(iface, "-"):
		return refusal("interface", iface, "is an option, and wgconfig has none there")
	}
	return nil
}

func validPeerName(name string) error {
	switch {
	case name == "":
		return refusal("peer", name, "has no name")
	case len(name) > maxPeerName:
		return refusal("peer", name, fmt.Sprintf("has more than %d bytes", maxPeerName))
	}
	return nil
}

func validKey64(key string) error {
	if len(key) != keyLength {
		return refusal("public key", key, fmt.Sprintf("has %d characters; base64 of 32 bytes has %d", len(key), keyLength))
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(key)
	if err != nil || len(raw) != 32 {
		return refusal("public key", key, "is not base64 of 32 bytes")
	}
	return nil
}

func parsePort(field, port string) (uint16, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return 0, refusal(field, port, "a port is a number from 1 to 65535")
	}
	return uint16(n), nil
}

// parseEndpoint reads "[v6]:port", and otherwise what stands before and after
// the last colon: v4, v6 or a name, and the port.
func parseEndpoint(text string) (endpoint, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return endpoint{}, refusal("endpoint", text, "has no port")
	}
	host, port := text[:i], text[i+1:]
	n, err := parsePort("endpoint's port", port)
	if err != nil {
		return endpoint{}, err
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return endpoint{}, refusal("endpoint", text, "has a bracket that is not closed before the port")
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.IsUnspecified() || addr.IsMulticast() {
			return endpoint{}, refusal("endpoint", text, "is not the address of a host")
		}
		return endpoint{addr: addr, port: n}, nil
	}
	if !isHostName(host) {
		return endpoint{}, refusal("endpoint", text, "is neither an address nor a name, and a port")
	}
	return endpoint{name: host, port: n}, nil
}

// isHostName reports whether getaddrinfo(3) would look a name up. One that ends
// in digits would be read as an address, and not as the one that was meant.
func isHostName(name string) bool {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for _, label := range labels {
		ok := label != "" && len(label) < 64 && !strings.ContainsFunc(label, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		})
		if !ok || label[0] == '-' {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}

func parseAllowedIPs(text string) ([]netip.Prefix, error) {
	parts := strings.Split(text, ",")
	if len(parts) > maxAllowedIPs {
		return nil, refusal("allowed-ips", text, fmt.Sprintf("has %d prefixes; the kernel has room for %d and does not check", len(parts), maxAllowedIPs))
	}
	var prefixes []netip.Prefix
	for _, part := range parts {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, refusal("allowed-ips", text, fmt.Sprintf("%q is not a whole address, a slash and a prefix length", part))
		}
		if slices.Contains(prefixes, p.Masked()) {
			return nil, refusal("allowed-ips", text, fmt.Sprintf("%s is there twice, which the kernel refuses", part))
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

// wgPeers are the peers of one interface, as the kernel keeps them. It refuses
// a name, a key or a prefix that is there (EEXIST).
type wgPeers struct {
	byName map[string]wgCommand
	owners map[string]string // the names of those that have a key or a prefix
}

func newWGPeers() *wgPeers {
	return &wgPeers{byName: map[string]wgCommand{}, owners: map[string]string{}}
}

// apply does what a command does to the peers.
func (peers *wgPeers) apply(cmd wgCommand) error {
	if cmd.target != "peer" {
		return nil
	}
	old, known := peers.byName[cmd.peer]
	switch {
	case cmd.verb == "delete":
		for _, thing := range old.unique() {
			delete(peers.owners, thing)
		}
		delete(peers.byName, cmd.peer)
	case cmd.verb == "add" && known:
		return refusal("peer", cmd.peer, "is there already, and the kernel refuses to add it again; delete it first")
	case cmd.verb == "add":
		for _, thing := range cmd.unique() {
			if owner, ok := peers.owners[thing]; ok {
				return refusal("peer", cmd.peer, "claims "+thing+", which peer "+owner+" has, and the kernel refuses it")
			}
		}
		for _, thing := range cmd.unique() {
			peers.owners[thing] = cmd.peer
		}
		peers.byName[cmd.peer] = cmd
	}
	return nil
}

// unique returns what no other peer of the interface may have.
func (c wgCommand) unique() []string {
	things := []string{"the key " + c.key}
	for _, p := range c.allowedIPs {
		things = append(things, p.String())
	}
	return things
}

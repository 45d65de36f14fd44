package natfwd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A flow is the UDP conversations whose first packet a rule took or takes. Linux
// goes on sending their packets where it sent the first one, whatever the rules
// say since, until nobody has said anything for a while: 30 s, or two minutes
// where there were answers.
type flow struct {
	Dst   netip.Prefix `json:"dst,omitzero"`   // to which it was sent; the zero value is what Iface says
	Iface string       `json:"iface,omitzero"` // sent to an address of this interface; "" is any but loopback
	From  netip.Prefix `json:"from,omitzero"`  // the zero value is anybody
	Ports PortRange    `json:"ports"`          // to which it was sent

	// To is where it should go by the rules that are there now. The zero value is
	// the router itself, or whoever it was sent to. ToPort is as a Forward's.
	To     netip.Addr `json:"to,omitzero"`
	ToPort uint16     `json:"to_port,omitzero"`
}

// String says which conversations are to be forgotten.
func (f flow) String() string {
	at, which := "the router", "are forwarded still"
	switch {
	case f.Dst.IsSingleIP():
		at = f.Dst.Addr().String()
	case f.Dst.IsValid():
		at = f.Dst.String()
	case f.Iface != "":
		at = f.Iface
	}
	if f.From.IsValid() {
		at += " from " + f.From.String()
	}
	if f.To.IsValid() {
		which = "do not go to " + f.To.String()
	}
	return fmt.Sprintf("UDP conversations with %s port %s that %s", at, f.Ports, which)
}

// changedFlows are the conversations that a plan's changes concern. Where a rule
// that goes and one that comes take the same, the latter says where they should go.
func changedFlows(removed, added []rule) []flow {
	var flows []flow
	for _, r := range removed {
		flows = append(flows, flowsOf(r, false)...)
	}
	for _, r := range added {
		flows = append(flows, flowsOf(r, true)...)
	}
	return flows
}

// flowsOf are the UDP conversations that a rule of ours takes.
func flowsOf(r rule, stays bool) []flow {
	if !strings.Contains(r.text, string(UDP)) {
		return nil // and need not be read
	}
	m := r.read()
	destination, ok := m.option("--to-destination")
	if proto, _ := m.option("-p"); !ok || proto != string(UDP) {
		return nil
	}
	var to netip.Addr
	var port uint16
	if stays {
		to, port = parseDestination(destination)
	}
	var flows []flow
	for _, c := range m.claims() {
		flows = append(flows, flow{Dst: c.dst, Iface: c.iface, From: c.from, Ports: c.ports, To: to, ToPort: port})
	}
	return flows
}

// parseDestination reads what destination wrote.
func parseDestination(text string) (netip.Addr, uint16) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a, 0
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return netip.Addr{}, 0
	}
	first, _, _ := strings.Cut(text[i+1:], "-")
	a, _ := netip.ParseAddr(strings.Trim(text[:i], "[]"))
	port, _ := parsePort(first, 0, false)
	return a, port
}

// A conversation is what the kernel remembers of one.
type conversation struct {
	from    netip.Addr
	dst, to netip.AddrPort // where it was sent, and where it goes
}

// stale tells whether a conversation has to be forgotten, on a machine where the
// interfaces have these addresses. Of several flows that take it the last one says
// where it should go.
func stale(flows []flow, own map[string][]netip.Addr, c conversation) bool {
	for _, f := range slices.Backward(flows) {
		if f.takes(c, own) {
			return c.to != f.rightful(c.dst)
		}
	}
	return false
}

func (f flow) takes(c conversation, own map[string][]netip.Addr) bool {
	port, addr := c.dst.Port(), c.dst.Addr()
	switch {
	case port < f.Ports.First || port > f.Ports.last():
		return false
	case f.From.IsValid() && !f.From.Contains(c.from):
		return false
	case f.Dst.IsValid():
		return f.Dst.Contains(addr)
	}
	return slices.Contains(own[f.Iface], addr)
}

// rightful is where the rules send what comes for dst.
func (f flow) rightful(dst netip.AddrPort) netip.AddrPort {
	switch {
	case !f.To.IsValid():
		return dst
	case f.ToPort == 0:
		return netip.AddrPortFrom(f.To, dst.Port())
	}
	return netip.AddrPortFrom(f.To, f.ToPort+dst.Port()-f.Ports.First)
}

// flowsPath is where a set's flows of a family are remembered.
func flowsPath(dir, set string, f Family) string {
	return filepath.Join(dir, map[Family]string{IPv4: set + ".v4", IPv6: set + ".v6"}[f])
}

// remember keeps flows until they are forgotten or the machine is booted again, in
// place of those that were remembered before.
func remember(dir, set string, f Family, flows []flow) error {
	data, err := json.Marshal(flows)
	if err != nil {
		return err
	}
	path := flowsPath(dir, set, f)
	o := Output{Path: filepath.Base(path), Mode: 0o600, Data: append(data, '\n')}
	_, err = o.Save(context.Background(), dir)
	return err
}

// remembered returns what remember has kept; a [*ParseError] if that is damaged.
func remembered(dir, set string, f Family) ([]flow, error) {
	path := flowsPath(dir, set, f)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var flows []flow
	if err := json.Unmarshal(data, &flows); err != nil {
		return nil, &ParseError{File: path, Err: err}
	}
	return flows, nil
}

// forget ends what remember began.
func forget(dir, set string, f Family) error {
	if err := os.Remove(flowsPath(dir, set, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	os.Remove(dir) // which fails while another set or family remembers something
	return nil
}

package wgpeer

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// staleAfter is the age at which a session's keys are rejected, by WireGuard's own
// constant REJECT_AFTER_TIME. What is sent next brings on another handshake.
const staleAfter = 180 * time.Second

// renewedAfter is the age at which what is sent next renews the keys, with a second
// try: REKEY_AFTER_TIME and REKEY_TIMEOUT.
const renewedAfter = 125 * time.Second

// A PeerHealth is what a live device knows of a peer, against what is configured.
//
// In JSON, public_key is base64, age_seconds a number, and problems are Check's.
type PeerHealth struct {
	Name      string    `json:"name,omitempty"` // "" if the configuration has none, or not the peer
	PublicKey PublicKey `json:"-"`

	// Endpoint is where the device sends to. Zero: it knows of no place.
	Endpoint netip.AddrPort `json:"endpoint,omitzero"`

	// Configured is the peer's Endpoint as it is configured. Empty: none.
	Configured string `json:"configured,omitempty"`

	// Resolved is what Configured names now, if Endpoint is not among it. Where it
	// cannot be asked, it is empty and ResolveErr says why.
	Resolved   []netip.AddrPort `json:"resolved,omitempty"`
	ResolveErr error            `json:"-"`

	// LastHandshake is when the peer last proved to be there, and Age how long ago
	// that is. Both are zero if it never did.
	LastHandshake time.Time     `json:"last_handshake,omitzero"`
	Age           time.Duration `json:"-"`

	// Received and Sent are the bytes of the tunnel's packets.
	Received int64 `json:"received_bytes,omitempty"`
	Sent     int64 `json:"sent_bytes,omitempty"`

	Missing bool `json:"missing,omitempty"` // configured, and not on the device
	Unnamed bool `json:"unnamed,omitempty"` // on the device, and not configured

	// Stale says that the last handshake is so old that our keepalive or the peer's
	// Heartbeat should have brought on another: older than 180 s, or, where they come
	// less often than every 55 s, than 125 s and the time between two. Without them an
	// old handshake may only mean that there was nothing to say; see
	// [PeerHealth.Since].
	Stale bool `json:"stale,omitempty"`
}

// Health returns what the device knows of each peer of i, in that order, and then of
// those that i does not name, in the order of their keys. Names of endpoints are
// asked for again, for as long as ctx allows; one that cannot be is no error. The
// error wraps [os.ErrNotExist] if there is no such device.
func Health(ctx context.Context, c Client, iface string, i Interface, now time.Time) ([]PeerHealth, error) {
	return resolver(net.DefaultResolver.LookupNetIP).health(ctx, c, iface, i, now)
}

func (lookup resolver) health(ctx context.Context, c Client, iface string, i Interface, now time.Time) ([]PeerHealth, error) {
	dev, err := (&Plan{client: c, iface: iface}).read(ctx)
	if err != nil {
		return nil, err
	}
	there := make(map[PublicKey]wgtypes.Peer, len(dev.Peers))
	for _, p := range dev.Peers {
		there[p.PublicKey] = p
	}
	var all []PeerHealth
	for _, p := range i.Peers {
		h := PeerHealth{Name: p.Name, PublicKey: p.PublicKey, Configured: p.Endpoint}
		if found, ok := there[p.PublicKey]; ok {
			h.observe(found, now)
			for _, beat := range []time.Duration{p.Heartbeat, p.Keepalive, found.PersistentKeepaliveInterval} {
				h.Stale = h.Stale || beat > 0 && h.Age > max(staleAfter, renewedAfter+beat)
			}
			h.locate(ctx, lookup)
		} else {
			h.Missing = true
		}
		delete(there, p.PublicKey)
		all = append(all, h)
	}
	named := len(all)
	for key, found := range there {
		h := PeerHealth{PublicKey: key, Unnamed: true}
		h.observe(found, now)
		all = append(all, h)
	}
	slices.SortFunc(all[named:], func(a, b PeerHealth) int {
		return strings.Compare(a.PublicKey.String(), b.PublicKey.String())
	})
	return all, nil
}

func (h *PeerHealth) observe(p wgtypes.Peer, now time.Time) {
	h.Endpoint = live(p).endpoint
	h.Received, h.Sent = p.ReceiveBytes, p.TransmitBytes
	if !p.LastHandshakeTime.IsZero() {
		h.LastHandshake = p.LastHandshakeTime
		h.Age = max(0, now.Sub(p.LastHandshakeTime))
	}
}

func (h *PeerHealth) locate(ctx context.Context, lookup resolver) {
	if h.Configured == "" {
		return
	}
	places, err := lookup.resolve(ctx, h.Configured)
	if err != nil {
		h.ResolveErr = err
	} else if !slices.Contains(places, h.Endpoint) {
		h.Resolved = places
	}
}

// Since returns h, and Stale as well if something was sent since the earlier look at
// the same peer, at which its last handshake was older than 180 s, and brought on no
// other: it goes nowhere.
func (h PeerHealth) Since(earlier PeerHealth) PeerHealth {
	same := h.PublicKey == earlier.PublicKey && h.LastHandshake.Equal(earlier.LastHandshake)
	h.Stale = h.Stale || same && earlier.Age > staleAfter && h.Sent > earlier.Sent
	return h
}

// Check says why the peer is not well; its Err is nil if it can be reached as far as
// the device knows. A problem's File is the peer's name, or its key.
func (h PeerHealth) Check() Problems {
	var found Problems
	add := func(s Severity, format string, args ...any) {
		title := Peer{Name: h.Name, PublicKey: h.PublicKey}.title()
		found = append(found, Problem{File: title, Severity: s, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case h.Missing:
		add(Error, "is not on the device")
		return found
	case h.Unnamed:
		add(Warning, "is on the device and not configured")
		return found
	case h.LastHandshake.IsZero():
		add(Error, "has never shaken hands")
	case h.Stale:
		add(Error, "last shook hands %s ago", h.Age.Truncate(time.Second))
	}
	if len(h.Resolved) > 0 {
		in := "no endpoint"
		if h.Endpoint.IsValid() {
			in = h.Endpoint.String()
		}
		add(Warning, "uses %s, and %s is now %s", in, h.Configured, h.Resolved[0])
	}
	if h.ResolveErr != nil {
		add(Warning, "%v", h.ResolveErr)
	}
	return found
}

// MarshalJSON adds what PeerHealth's comment says to its fields.
func (h PeerHealth) MarshalJSON() ([]byte, error) {
	type fields PeerHealth // without this method
	return json.Marshal(struct {
		fields
		PublicKey string   `json:"public_key"`
		Age       float64  `json:"age_seconds,omitempty"`
		Problems  Problems `json:"problems,omitempty"`
	}{fields(h), h.PublicKey.String(), h.Age.Seconds(), h.Check()})
}

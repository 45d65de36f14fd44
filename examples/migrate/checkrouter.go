package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/wglive"
	"github.com/rehost/rehost/natfwd"
	"github.com/rehost/rehost/wgpeer"
)

// freshHandshake is that the two ends of the tunnel have met: WireGuard drops a session
// after three minutes.
func freshHandshake(m *move.Move, host, text string) check {
	return check{Text: text, On: host, How: "the live device is asked",
		Try: func(ctx context.Context, st *station) (string, error) {
			p, err := farEnd(ctx, m, st)
			if err != nil {
				return "", err
			}
			if p.LastHandshake.IsZero() || p.Age > 3*time.Minute {
				return "", fmt.Errorf("%s: %s: look at udp %d in the cloud's inbound rules, at both public keys, and at the guest's ping job", m.Tunnel.Iface, ago(p), m.Tunnel.Port)
			}
			return ago(p), nil
		}}
}

func ago(p wgpeer.PeerHealth) string {
	if p.LastHandshake.IsZero() {
		return "there was no handshake yet"
	}
	return "the last handshake was " + p.Age.Truncate(time.Second).String() + " ago"
}

// isPeer is that the router has the guest for a peer.
func isPeer(m *move.Move, text string) check {
	return check{Text: text, On: m.Router.Name, How: "the live device is asked",
		Try: func(ctx context.Context, st *station) (string, error) {
			_, err := farEnd(ctx, m, st)
			return "", err
		}}
}

// ownKey is that the router's device has the key by which the guest knows it.
func ownKey(m *move.Move, text string) check {
	return check{Text: text, On: m.Router.Name, How: "the live device is asked",
		Try: func(_ context.Context, st *station) (string, error) {
			client, err := wglive.NewClient()
			if err != nil {
				return "", untried(err.Error())
			}
			defer client.Close()
			d, err := client.Device(m.Tunnel.Iface)
			if err != nil {
				return "", noDevice(m, st, err)
			}
			if is := d.PublicKey.String(); is != m.Tunnel.Router.PublicKey {
				return "", fmt.Errorf("%s has the public key %s: put that into the move file as tunnel.router.public_key and render again", m.Tunnel.Iface, is)
			}
			return "", nil
		}}
}

// farEnd is what this end of the tunnel knows of the other one.
func farEnd(ctx context.Context, m *move.Move, st *station) (p wgpeer.PeerHealth, err error) {
	if m.Tunnel.Guest.PublicKey == "" {
		return p, errors.New("the move file has no tunnel.guest.public_key yet: put it there and render again")
	}
	hub, err := m.Hub()
	if err != nil {
		return p, err
	}
	end, err := hub.Interface(st.host)
	if err != nil {
		return p, err
	}
	client, err := wglive.NewClient()
	if err != nil {
		return p, untried(err.Error())
	}
	defer client.Close()
	peers, err := wgpeer.Health(ctx, client, m.Tunnel.Iface, end, st.now)
	if err != nil {
		return p, noDevice(m, st, err)
	}
	if peers[0].Missing { // the other end is the only one that is named
		return p, fmt.Errorf("%s does not have the peer %s: run the commands of phase 1", m.Tunnel.Iface, peers[0].PublicKey)
	}
	return peers[0], nil
}

// noDevice says what to do where there is no tunnel. NetBSD's own cannot be asked.
func noDevice(m *move.Move, st *station, err error) error {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case st.host == m.Guest.Name:
		return untried("only wgconfig can ask wg(4): look at it; that the other end answers proves a handshake, too")
	}
	return fmt.Errorf("there is no %s here: ifup, or wg-quick up, makes it", m.Tunnel.Iface)
}

// rulesForward is that the forwards are there, each once, and nothing takes their packets
// first.
func rulesForward(m *move.Move, text string) check {
	return check{Text: text, On: m.Router.Name, How: "the rules of both families are read, as portfwd verify does",
		Try: func(ctx context.Context, st *station) (string, error) {
			backends, err := iptables()
			if err != nil {
				return "", err
			}
			problems, err := natfwd.Verify(ctx, m.Forwards(), backends...)
			if err == nil && problems.Err() != nil {
				err = fmt.Errorf("%w\n\"portfwd apply\", or %s, loads the rules as they were rendered; what others have before them has to go", problems.Err(), runHook(m, "start"))
			}
			return fmt.Sprintf("%d forwards", len(m.Forwards().Forwards)), err
		}}
}

// rulesGone is that the way back has removed them.
func rulesGone(m *move.Move) check {
	return check{Text: fmt.Sprintf("On %s: `iptables -t nat -S | grep rehost-%s` finds nothing.", m.Router.Name, m.Guest.Name), On: m.Router.Name, How: "the rules of both families are read",
		Try: func(ctx context.Context, st *station) (string, error) {
			backends, err := iptables()
			if err != nil {
				return "", err
			}
			p, err := natfwd.Diff(ctx, natfwd.Set{Name: m.Guest.Name}, backends...)
			if err == nil && !p.Empty() {
				err = fmt.Errorf("the rules are still there: %s", runHook(m, "stop"))
			}
			return "", err
		}}
}

func iptables() ([]natfwd.Backend, error) {
	if os.Geteuid() != 0 {
		return nil, untried("only root can read the rules")
	}
	var list []natfwd.Backend
	for _, family := range []natfwd.Family{natfwd.IPv4, natfwd.IPv6} {
		b, err := natfwd.NewIPTables(family, nil)
		switch {
		case family == natfwd.IPv6 && errors.Is(err, errors.ErrUnsupported):
			continue
		case errors.Is(err, exec.ErrNotFound) || errors.Is(err, errors.ErrUnsupported):
			return nil, untried(err.Error())
		case err != nil:
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// kernelForwards is that the router passes packets on, also after a reboot: the file is
// looked at with the other files.
func kernelForwards(m *move.Move) check {
	keys := []string{"net/ipv4/ip_forward"}
	if m.Tunnel.Guest.Addr(false).IsValid() {
		keys = append(keys, "net/ipv6/conf/all/forwarding")
	}
	return check{Text: fmt.Sprintf("On %s: `sysctl %s` says 1.", m.Router.Name, strings.ReplaceAll(strings.Join(keys, " "), "/", ".")), On: m.Router.Name, How: "/proc/sys is read",
		Try: func(_ context.Context, st *station) (string, error) {
			var errs []error
			for _, key := range keys {
				data, err := os.ReadFile("/proc/sys/" + key)
				if err == nil && strings.TrimSpace(string(data)) != "1" {
					err = fmt.Errorf("/proc/sys/%s:1: it is %s: sysctl --system loads the rendered file", key, strings.TrimSpace(string(data)))
				}
				errs = append(errs, err)
			}
			return "", errors.Join(errs...)
		}}
}

// nginxTakes is that nginx can read what it is to load.
func nginxTakes(m *move.Move) check {
	return check{Text: fmt.Sprintf("On %s: `nginx -t` finds nothing.", m.Router.Name), On: m.Router.Name, How: "nginx -t",
		Try: func(ctx context.Context, st *station) (string, error) {
			_, err := st.output(ctx, "nginx", "-t")
			return "", err
		}}
}

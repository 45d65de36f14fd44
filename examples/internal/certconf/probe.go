package certconf

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rehost/rehost/certsync"
)

// A Probe is where a daemon can be asked for its certificate: tls://, smtp:// or imap://
// with a host and a port, and the name to ask for where that is another, such as
// tls://127.0.0.1:443/www.example.net. smtp and imap ask for TLS by STARTTLS.
type Probe struct {
	scheme, addr string
	name         string // "": where the host is an address, and there is no other
}

// UnmarshalText reads it.
func (p *Probe) UnmarshalText(text []byte) error {
	scheme, rest, _ := strings.Cut(string(text), "://")
	addr, name, named := strings.Cut(rest, "/")
	host, port, err := net.SplitHostPort(addr)
	n, portErr := strconv.ParseUint(port, 10, 16)
	_, notAddr := netip.ParseAddr(host)
	switch {
	case scheme != "tls" && scheme != "smtp" && scheme != "imap",
		err != nil, portErr != nil, n == 0, notAddr != nil && !isDomain(host), named && !isDomain(name):
		return fmt.Errorf("%q is no probe such as tls://127.0.0.1:993, smtp://127.0.0.1:25 or imap://127.0.0.1:143", text)
	}
	if notAddr != nil && !named {
		name = host
	}
	*p = Probe{scheme, addr, name}
	return nil
}

// Sync is the probe as the library does it. It asks for serverName where the probe has no
// name itself.
func (p Probe) Sync(serverName string) certsync.Probe {
	if p.name != "" {
		serverName = p.name
	}
	return map[string]func(addr, serverName string) certsync.Probe{
		"tls": certsync.ProbeTLS, "smtp": certsync.ProbeSMTP, "imap": certsync.ProbeIMAP,
	}[p.scheme](p.addr, serverName)
}

package certsync

import (
	"errors"
	"net/netip"
)

// NginxOptions say what nginx on the router does for certificates.
type NginxOptions struct {
	// Path is where the file is installed, to be included in a server block.
	Path string
	// Solver is where the solver of HTTP-01 listens. The zero value: no challenge location.
	Solver netip.AddrPort
	// Certs is the directory of bundles in the [Combined] or [Pair] layout. Empty: no
	// location for certificates.
	Certs string
	// Publisher is where a [Handler] listens to whom /certs/ is passed on, instead of Certs.
	// The handler then sees the proxy's address: give it an allow function for that.
	Publisher netip.AddrPort
	// Allow are the addresses that may fetch certificates.
	Allow []netip.Prefix
}

// Nginx renders the locations.
func Nginx(opt NginxOptions) (Output, error) { return Output{}, errors.New("to come") }

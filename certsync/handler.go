package certsync

import (
	"net/http"
	"net/netip"
)

// Handler publishes bundles: GET and HEAD of /NAME, and nothing else, give what
// [Bundle.Combined] returns. Allow decides who may have which name; nil allows no one.
func Handler(src Source, allow func(r *http.Request, name string) bool) http.Handler {
	return http.NotFoundHandler()
}

// AllowFrom allows every name to the addresses from which a connection comes.
func AllowFrom(prefixes ...netip.Prefix) func(*http.Request, string) bool {
	return nil
}

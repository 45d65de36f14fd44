package zone

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// checkNames finds what check-names refuses, which named does in a primary zone
// unless it is told otherwise: an owner of addresses or mail that can be no host,
// and a host or mailbox in the data that can be none. The data must have passed
// rdataRR. A *dataError with tok ownerTok is about the owner.
func checkNames(owner string, typ uint16, toks []token, origin string) error {
	bad, want := false, "cannot be the name of a host"
	switch typ {
	case dns.TypeA, dns.TypeAAAA:
		bad = badHostname(withoutMSDCS(owner), true)
	case dns.TypeMX:
		bad = badHostname(owner, true)
	case dns.TypeNSEC3:
		label, _, _ := strings.Cut(owner, ".")
		_, ok := fromBase32hex(label)
		bad, want = !ok, "does not begin with base32"
	}
	if bad {
		return &dataError{tok: ownerTok, reason: fmt.Sprintf("%q %s (check-names)", owner, want)}
	}
	if isGeneric(typ, toks) {
		return nil // named does not look into it
	}
	for _, at := range nameFields(typ, toks) {
		kind := anyName
		switch typ {
		case dns.TypeSVCB, dns.TypeHTTPS:
			if !wordIs(toks[0], 0) { // an alias may point anywhere
				kind = hostName
			}
		case dns.TypePTR:
			if isReverse(owner) {
				kind = hostName
			}
		default:
			if fields := layouts[typ]; at < len(fields) {
				kind = fields[at].kind
			}
		}
		name, err := absoluteName(toks[at].text, origin)
		if err == nil && (kind == hostName && badHostname(name, false) || kind == mailboxName && badMailbox(name)) {
			what := map[fieldKind]string{hostName: "host", mailboxName: "mailbox"}[kind]
			return &dataError{tok: at, reason: fmt.Sprintf("%q cannot be the name of a %s (check-names)", toks[at].text, what)}
		}
	}
	return nil
}

const ownerTok = -2

// badHostname reports whether an absolute name cannot be a host's: letters, digits
// and "-" within a label (RFC 952, RFC 1123, section 2.1). The root passes, and a
// leading "*." where that is allowed.
func badHostname(name string, wildcard bool) bool {
	if wildcard {
		name = strings.TrimPrefix(name, "*.")
	}
	if name == "." || name == "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return true
		}
		for _, c := range []byte(label) {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' {
				return true
			}
		}
	}
	return false
}

// badMailbox: the first label may be anything printable, the others are a host's.
func badMailbox(name string) bool {
	if name == "." {
		return false
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '.':
			return i+1 < len(name) && badHostname(name[i+1:], false)
		case c == '\\' && i+1 < len(name) && name[i+1] >= '0' && name[i+1] <= '9':
			return true // what is written so is not printable
		case c == '\\':
			if i++; i < len(name) && name[i] == ' ' {
				return true
			}
		}
	}
	return true
}

// withoutMSDCS drops the labels that Active Directory puts before the name of a
// forest, which named lets pass.
func withoutMSDCS(owner string) string {
	const prefix = "gc._msdcs."
	if len(owner) > len(prefix) && strings.EqualFold(owner[:len(prefix)], prefix) {
		return owner[len(prefix):]
	}
	return owner
}

// isReverse reports whether a PTR at owner should name a host: one below the
// reverse zones, unless it is there for service discovery (RFC 6763, section 11).
func isReverse(owner string) bool {
	lower := strings.ToLower(owner)
	for _, service := range []string{"b._dns-sd._udp.", "db._dns-sd._udp.", "r._dns-sd._udp.", "dr._dns-sd._udp.", "lb._dns-sd._udp."} {
		if strings.HasPrefix(lower, service) {
			return false
		}
	}
	for _, zone := range []string{"in-addr.arpa.", "ip6.arpa.", "ip6.int."} {
		if dns.IsSubDomain(zone, lower) {
			return true
		}
	}
	return false
}

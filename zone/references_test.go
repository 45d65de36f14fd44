package zone

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHoldsAddress(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("203.0.113.63"), netip.MustParseAddr("2001:db8:189c:700::1")}
	for text, want := range map[string]bool{
		"A 203.0.113.63":                                                true,
		"A 203.0.113.6":                                                 false,
		`A \# 4 cb00713f`:                                               true,
		`A \# 4 cb00713e`:                                               false,
		`TYPE1 \# 4 cb00713f`:                                           true,
		"AAAA 2001:db8:189c:700::1":                                     true,
		"AAAA 2001:0DB8:189C:0700:0:0:0:1":                              true,
		"AAAA 2001:db8:189c:700::2":                                     false,
		`TXT "v=spf1 ip4:203.0.113.63 -all"`:                            true,
		`TXT "v=spf1 +IP4:203.0.113.63/32 -all"`:                        true,
		`TXT "v=spf1 ip4:203.0.113.0/24 -all"`:                          true,
		`TXT "v=spf1 ip4:203.0.112.0/24 -all"`:                          false,
		`TXT "v=spf1 ip6:2001:DB8:189c:0700::/64 ~all"`:                 true,
		`TXT "v=spf1 ip6:2001:db8:189c:700:0::1 ~all"`:                  true,
		`TXT "v=spf1 ip4:203.0." "113.63 -all"`:                         true, // the strings are joined
		`SPF "v=spf1 ip4:203.0.113.63 -all"`:                            true,
		`TXT "old host (203.0.113.63)."`:                                true,
		`TXT "see 203.0.113.63."`:                                       true,
		`TXT "203.0.113.630"`:                                           false,
		`TXT "1203.0.113.63"`:                                           false,
		`TXT "203.0.113.63.example.net"`:                                false,
		`TXT "v=1;a=203.0.113.63;b=1"`:                                  true,
		`TXT "[2001:db8:189c:700::1]:443"`:                              true,
		`TXT "203.0.113.63:443"`:                                        true,
		`TXT "::ffff:203.0.113.63"`:                                     true,
		`TXT "20\051.0.113.63"`:                                         true,
		"HTTPS 1 . ipv4hint=192.0.2.1,203.0.113.63":                     true,
		"HTTPS 1 . ipv4hint=192.0.2.1":                                  false,
		"SVCB 1 . ipv6hint=2001:db8:189c:700::1":                        true,
		`HTTPS 1 . key9="203.0.113.63"`:                                 true,
		"HTTPS 0 alias.example.net.":                                    false,
		"APL 1:203.0.113.0/24":                                          true,
		"APL 2:2001:db8::/32":                                           true,
		"APL 1:192.0.2.0/24 !1:203.0.113.63/32":                         true,
		"APL 1:192.0.2.0/24":                                            false,
		`APL \# 1 00`:                                                   false, // cut short
		"IPSECKEY 10 1 2 203.0.113.63 AQNRU3mG":                         true,
		"IPSECKEY 10 2 2 2001:db8:189c:700::1 AQNRU3mG":                 true,
		`HINFO "203.0.113.63 stood in the second rack from the left" b`: true, // its length is 51, the digit 3
		"IPSECKEY 10 3 2 gw.example.net. AQNRU3mG":                      false,
		"AMTRELAY 10 0 1 203.0.113.63":                                  true,
		"WKS 203.0.113.63 6 25":                                         true,
		"A6 0 2001:db8:189c:700::1":                                     true,
		`URI 10 1 "https://203.0.113.63/path"`:                          true,
		`CAA 0 iodef "http://203.0.113.63:8080/"`:                       true,
		`NAPTR 1 1 "u" "E2U+sip" "!^.*$!sip:x@203.0.113.63!" .`:         true,
		"MX 10 203.0.113.63":                                            false, // a name, relative to the origin
		`TYPE65280 \# 12 3230332e302e3131332e3633`:                      true,
		"CNAME 203.0.113.63":                                            false,
	} {
		typ, data := dataCase{text: text}.split()
		toks, err := dataTokens(data)
		if err != nil {
			assert.False(t, want, text)
			continue
		}
		code, ok := typeCode([]byte(typ))
		require.True(t, ok, text)
		assert.Equal(t, want, holdsAddress(code, toks, addrs), text)
	}
}

package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// An unspelled record is a record before it is spelled. Words of its data that begin with
// "{" are absolute names.
type unspelled struct {
	owner, typ string
	data       []string
}

// Owners that look like something else. Only a host name may own an address
// (check-names), so that the rest gets other types.
var (
	hostOwners  = []string{"www", "A", "IN", "mx", "60", "1d", "TYPE1", "CLASS1", "TXT", "0", "abc", "host-1", "a.b.c", "*", "*.w", "x.deep", "ttl"}
	otherOwners = []string{"_dmarc", "_sip._tcp", `a\.b`, `\097bc`, `\$x`, `\@`, `a\;b`, `q\"`, `sp\032ace`, `\255`, `back\\slash`, "under_score", `par\(en`}
)

// oddTexts are character strings with what a careless reader would stop at. One
// entry is one or more strings.
var oddTexts = []string{
	`plain`, `"v=spf1 ip4:192.0.2.1 -all"`, `"semi;colon"`, `"par(en)"`, `"quo\"te"`, `"\065\066"`, "\"caf\xe9\"", `"2024010101"`,
	`""`, `ab"cd"ef`, `"tab	in"`, "\"a\\\nb\"", `esc\;aped`, `back\\slash`, `a\ b`, `\"`, "raw\xff", `"; not a comment"`, `"$TTL 5"`, `\(`,
	`"` + strings.Repeat("long ", 51) + `"`, `"one" "two"`, "SOA", "IN", "@", `"a""b"`,
}

// hostData and otherData make data of every kind, by type.
var hostData = map[string]func(*rand.Rand, string) []string{
	"A": func(r *rand.Rand, _ string) []string { return []string{fmt.Sprintf("192.0.2.%d", r.IntN(20))} },
	"AAAA": func(r *rand.Rand, _ string) []string {
		return []string{pick(r, "2001:db8::1", "2001:DB8::1", "2001:db8:0::2", "::ffff:192.0.2.1")}
	},
	"TYPE1": func(r *rand.Rand, _ string) []string { return []string{`\#`, "4", pick(r, "C0000201", "c0000202")} },
	"MX": func(r *rand.Rand, origin string) []string {
		return []string{pick(r, "10", "20", "0"), pick(r, "{ns1."+origin, "{NS2."+origin, "{mail.example.com.")}
	},
}

var otherData = map[string]func(*rand.Rand, string) []string{
	"TXT": func(r *rand.Rand, _ string) []string {
		words := []string{pick(r, oddTexts...)}
		for r.IntN(3) == 0 {
			words = append(words, pick(r, oddTexts...))
		}
		return words
	},
	"SRV": func(r *rand.Rand, origin string) []string {
		return []string{"1", "2", pick(r, "443", "53"), "{ns1." + origin}
	},
	"CAA": func(r *rand.Rand, _ string) []string {
		return []string{"0", "issue", pick(r, `"ca.example.net"`, `";"`, "ca")}
	},
	"SSHFP": func(r *rand.Rand, _ string) []string {
		return []string{"1", "1", pick(r, "ABCD", "abcd"), strings.Repeat("ef01", 9)}
	},
	"TLSA": func(r *rand.Rand, _ string) []string {
		return []string{"3", "1", "1", strings.Repeat("0a", 16), strings.Repeat("0B", 16)}
	},
	"NAPTR": func(r *rand.Rand, origin string) []string {
		return []string{"1", "2", `"u"`, `"E2U+sip"`, `"!^.*$!sip:x@example.net!"`, pick(r, ".", "{ns1."+origin)}
	},
	"HINFO": func(r *rand.Rand, _ string) []string { return []string{pick(r, "cpu", `"c p u"`), `"os"`} },
	"LOC": func(*rand.Rand, string) []string {
		return strings.Fields("52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m")
	},
	"RP": func(r *rand.Rand, origin string) []string {
		return []string{"{admin." + origin, pick(r, ".", "{txt."+origin)}
	},
	"PTR": func(r *rand.Rand, origin string) []string {
		return []string{pick(r, "{www."+origin, "{WWW."+origin, "{example.com.")}
	},
	"HTTPS": func(r *rand.Rand, _ string) []string {
		return []string{"1", ".", "alpn=h2,h3", pick(r, "port=443", "port=8443")}
	},
	"URI":   func(*rand.Rand, string) []string { return []string{"1", "2", `"https://example.net/"`} },
	"AFSDB": func(_ *rand.Rand, origin string) []string { return []string{"1", "{ns1." + origin} },
	"DS": func(*rand.Rand, string) []string {
		return []string{"12345", "8", "2", strings.Repeat("0aB1", 8), strings.Repeat("c2D3", 8)}
	},
	"TYPE65280": func(r *rand.Rand, _ string) []string {
		return pick(r, []string{`\#`, "4", "0102", "0304"}, []string{`\#`, "3", "aBcdEF"}, []string{`\#`, "0"})
	},
	"TYPE16": func(r *rand.Rand, _ string) []string {
		return pick(r, []string{`\#`, "3", "026869"}, []string{pick(r, oddTexts...)})
	},
}

// content is what the zone holds: always name servers with addresses, CNAMEs
// only at names of their own.
func content(r *rand.Rand, origin string) []unspelled {
	apex := []unspelled{
		{origin, "NS", []string{"{ns1." + origin}}, {origin, "NS", []string{"{ns2." + origin}},
		{origin, "MX", []string{"10", "{ns1." + origin}}, {origin, "TXT", []string{pick(r, oddTexts...)}}, {origin, "A", []string{"192.0.2.80"}},
	}
	groups := [][]unspelled{apex[:2+r.IntN(4)], {
		{"ns1." + origin, "A", []string{"192.0.2.1"}}, {"ns1." + origin, "AAAA", []string{"2001:db8::53"}}, {"ns2." + origin, "A", []string{"192.0.2.2"}},
	}}
	for range 2 + r.IntN(8) {
		owner := pick(r, hostOwners...) + "." + origin
		groups = append(groups, some(r, owner, origin, hostData, otherData))
	}
	for range r.IntN(5) {
		groups = append(groups, some(r, pick(r, otherOwners...)+"."+origin, origin, otherData))
	}
	for i := range r.IntN(3) {
		groups = append(groups, []unspelled{{fmt.Sprintf("c%d.%s", i, origin), "CNAME", []string{pick(r, "{www."+origin, "{example.com.", "{c9."+origin)}}})
	}
	if r.IntN(3) == 0 {
		child := "child." + origin
		groups = append(groups, []unspelled{{child, "NS", []string{"{ns." + child}}, {"ns." + child, "A", []string{"192.0.2.53"}}, {child, "NS", []string{"{ns1." + origin}}})
	}
	if r.IntN(4) == 0 { // named ignores it, and says so
		groups = append(groups, []unspelled{{"www.example.edu.", "A", []string{"192.0.2.66"}}, {"www.example.edu.", "TXT", []string{"x"}}})
	}
	r.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	var list []unspelled
	for _, g := range groups {
		list = append(list, g...)
	}
	for range r.IntN(4) { // twins, and members of an RRset far from each other
		list = append(list, list[r.IntN(len(list))])
		i, j := r.IntN(len(list)), r.IntN(len(list))
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// some returns a few records of one owner.
func some(r *rand.Rand, owner, origin string, kinds ...map[string]func(*rand.Rand, string) []string) []unspelled {
	var list []unspelled
	for range 1 + r.IntN(4) {
		kind := pick(r, kinds...)
		typ := randomKey(r, kind)
		for range 1 + r.IntN(2) {
			list = append(list, unspelled{owner, typ, kind[typ](r, origin)})
		}
	}
	return list
}

// randomKey picks by the seed alone: the order of a map's keys is not.
func randomKey[V any](r *rand.Rand, m map[string]V) string {
	return pick(r, slices.Sorted(maps.Keys(m))...)
}

package pfrules

import "strings"

// The words that pfctl's lexer knows, by dialect. Unquoted they are no names: an
// interface, a table, a tag or a macro cannot be called so.
var keywords = keywordTable(map[Dialect]string{
	NetBSD:  commonKeywords + oldKeywords + " crop drop-ovl fastroute",
	FreeBSD: commonKeywords + oldKeywords + freebsdKeywords,
	OpenBSD: commonKeywords + openbsdKeywords,
})

const (
	commonKeywords = `all allow-opts anchor antispoof any bandwidth bitmask block block-policy code
		debug drop dup-to file fingerprints flags floating flush for fragment from global group hostid
		icmp-type icmp6-type if-bound in inet inet6 keep label limit load log loginterface max max-mss
		max-src-conn max-src-conn-rate max-src-nodes max-src-states min-ttl modulate no no-df no-route
		no-sync on optimization os out overload pass port probability proto qlimit queue quick random
		random-id reassemble reply-to return return-icmp return-icmp6 return-rst round-robin route
		route-to rtable rule ruleset-optimization scrub set skip source-hash source-track state
		state-policy static-port sticky-address synproxy table tag tagged timeout to tos ttl
		urpf-failed user`

	// Until OpenBSD 4.7, and kept by those that branched off before.
	oldKeywords = ` altq binat binat-anchor cbq hfsc linkshare nat nat-anchor priority priq rdr
		rdr-anchor realtime require-order tbrsize upperlimit`

	freebsdKeywords = ` bridge-to buckets codelq divert-reply divert-to dnpipe dnqueue ether fail-policy
		fairq fastroute hogs include interval keepcounters l3 map-e-portset match prio ridentifier
		set-tos sloppy state-defaults syncookies target`

	openbsdKeywords = ` af-to binat-to burst default delay divert-packet divert-reply divert-to flows
		include least-states match matches max-pkt-rate min nat-to once parent pflow prio quantum
		rdomain rdr-to received-on set-tos sloppy state-defaults syncookies weight`
)

// keywordTable turns the lists around: for each word the dialects that know it.
func keywordTable(lists map[Dialect]string) map[string]map[Dialect]bool {
	table := map[string]map[Dialect]bool{}
	for d, list := range lists {
		for word := range strings.FieldsSeq(list) {
			if table[word] == nil {
				table[word] = map[Dialect]bool{}
			}
			table[word][d] = true
		}
	}
	return table
}

// keyword reports whether a word has a meaning of its own in the dialect.
func (d Dialect) keyword(word string) bool { return keywords[word][d] }

// mayKnow reports whether some release of the dialect may know a word. FreeBSD
// and OpenBSD take options from each other with time, NetBSD no more.
func (d Dialect) mayKnow(word string) bool {
	return d.keyword(word) || d != NetBSD && anyKeyword(word)
}

// anyKeyword reports whether it has one in any dialect. What we write avoids
// them all, so that the text of one release is right for the next.
func anyKeyword(word string) bool { return keywords[word] != nil }

// A Section is a part of pf.conf(5). In NetBSD and FreeBSD those from
// SectionOptions to SectionFilter must come in this order.
type Section int

// The sections. The zero value is a statement that has no place in the order:
// a macro, a table, an include, a load, or something unknown.
const (
	SectionNone          Section = iota
	SectionOptions               // set
	SectionEthernet              // ether, FreeBSD 14 and later
	SectionNormalization         // scrub
	SectionQueueing              // altq, queue
	SectionTranslation           // nat, rdr, binat and their anchors
	SectionFilter                // pass, block, match, antispoof, anchor
)

var sectionWords = [...]string{"none", "options", "ethernet", "normalization", "queueing", "translation", "filter"}

// String returns pf.conf(5)'s word for the section.
func (s Section) String() string { return wordOf(sectionWords[:], int(s)) }

// starters are the words that begin a statement, and the section that makes it.
var starters = map[string]Section{
	"set": SectionOptions, "ether": SectionEthernet, "scrub": SectionNormalization,
	"altq": SectionQueueing, "queue": SectionQueueing,
	"nat": SectionTranslation, "rdr": SectionTranslation, "binat": SectionTranslation,
	"nat-anchor": SectionTranslation, "rdr-anchor": SectionTranslation, "binat-anchor": SectionTranslation,
	"pass": SectionFilter, "block": SectionFilter, "match": SectionFilter,
	"antispoof": SectionFilter, "anchor": SectionFilter,
	"table": SectionNone, "include": SectionNone, "load": SectionNone, "no": SectionNone,
}

// unorderedOptions are those that pfctl takes at any place, because its parser
// has no check_rulestate for them: "set skip" after a pass rule is fine.
var unorderedOptions = map[string]bool{
	"skip": true, "state-policy": true, "hostid": true, "require-order": true,
	"ruleset-optimization": true, "state-defaults": true, "keepcounters": true, "syncookies": true,
}

// sectionOf classifies a statement by its first words.
func sectionOf(tokens []token) Section {
	if len(tokens) == 0 || tokens[0].kind != bareWord {
		return SectionNone
	}
	word := tokens[0].text
	if word == "no" && len(tokens) > 1 { // no nat, no scrub
		word = tokens[1].text
	}
	return starters[word]
}

package zone

import (
	"strings"

	"github.com/miekg/dns"
)

// The types of which miekg/dns does not know the name.
const (
	typeA6    = 38
	typeDSYNC = 66
)

// A field is one piece of record data.
type field struct {
	read func(*encoder)
	kind fieldKind
}

type fieldKind uint8

const (
	noName fieldKind = iota
	anyName
	hostName    // check-names wants a host's (RFC 952, RFC 1123)
	mailboxName // its first label may be anything printable
	textKind    // all of the data is strings
)

var (
	aName    = field{func(e *encoder) { e.name(e.word()) }, anyName}
	aHost    = field{aName.read, hostName}
	aMailbox = field{aName.read, mailboxName}
	aTarget  = field{func(e *encoder) { e.name(e.anyWord()) }, anyName} // may be quoted
	aSigner  = field{(*encoder).signer, anyName}

	aUint8        = field{read: func(e *encoder) { e.uint(1) }}
	aUint16       = field{read: func(e *encoder) { e.uint(2) }}
	aUint32       = field{read: func(e *encoder) { e.uint(4) }}
	aPeriod       = field{read: (*encoder).period} // seconds, or a time with units
	aDate         = field{read: (*encoder).date}
	anIPv4        = field{read: func(e *encoder) { e.address(string(e.word()), 4) }}
	anIPv6        = field{read: func(e *encoder) { e.address(string(e.word()), 16) }}
	aLocator      = field{read: func(e *encoder) { e.groups(locator, ":") }}
	anEUI48       = field{read: func(e *encoder) { e.groups(eui48, "-") }}
	anEUI64       = field{read: func(e *encoder) { e.groups(eui64, "-") }}
	aString       = field{read: (*encoder).str}
	someStrings   = field{(*encoder).strs, textKind} // one or more
	anyText       = field{read: func(e *encoder) { e.put(e.text()...) }}
	aQuoted       = field{read: (*encoder).quotedText}
	aTag          = field{read: (*encoder).tag}
	aRegexp       = field{read: (*encoder).substitution}
	someHex       = field{read: func(e *encoder) { e.hex(1, 0) }}
	someBase64    = field{read: (*encoder).base64}
	aSalt         = field{read: (*encoder).salt}
	aHashedOwner  = field{read: (*encoder).hashedOwner}
	aType         = field{read: (*encoder).coveredType}
	anyTypes      = field{read: func(e *encoder) { e.bitmap(0) }} // any number of types
	someTypes     = field{read: func(e *encoder) { e.bitmap(1) }}
	prefixes      = field{read: (*encoder).apl}
	aHIP          = field{read: (*encoder).hip}
	aLocation     = field{read: (*encoder).loc}
	serviceParams = field{read: (*encoder).params}
	keyFlags      = field{read: (*encoder).keyFlags}
	algorithm     = field{read: func(e *encoder) { e.coded(algorithms, 1) }}
	digestType    = field{read: func(e *encoder) { e.coded(digestTypes, 1) }}
	certType      = field{read: func(e *encoder) { e.coded(certTypes, 2) }}
	hashType      = field{read: func(e *encoder) { e.coded(hashes, 1) }}
	protocol      = field{read: func(e *encoder) { e.coded(protocols, 1) }}

	// The length of a digest, by its type, which stands before it; those not named
	// may have any.
	dsDigest    = field{read: digest(1, map[byte]int{1: 20, 2: 32, 4: 48})}
	fingerprint = field{read: digest(0, map[byte]int{1: 20, 2: 32})}
	zoneDigest  = field{read: (*encoder).zoneDigest}
)

// The fields of each type that named 9.18 takes as text. What it knows by name
// only, and what it does not know, is written as "\# n hex" and may be any bytes.
var layouts = map[uint16][]field{
	dns.TypeA:          {anIPv4},
	dns.TypeNS:         {aHost},
	dns.TypeCNAME:      {aName},
	dns.TypeSOA:        {aHost, aMailbox, aUint32, aPeriod, aPeriod, aPeriod, aPeriod},
	dns.TypeMB:         {aName},
	dns.TypeMG:         {aName},
	dns.TypeMR:         {aName},
	dns.TypePTR:        {aName},
	dns.TypeHINFO:      {aString, aString},
	dns.TypeMINFO:      {aMailbox, aMailbox},
	dns.TypeMX:         {aUint16, aHost},
	dns.TypeTXT:        {someStrings},
	dns.TypeRP:         {aMailbox, aName},
	dns.TypeAFSDB:      {aUint16, aHost},
	dns.TypeRT:         {aUint16, aHost},
	dns.TypeNSAPPTR:    {aName},
	dns.TypePX:         {aUint16, aName, aName},
	dns.TypeAAAA:       {anIPv6},
	dns.TypeLOC:        {aLocation},
	dns.TypeSRV:        {aUint16, aUint16, aUint16, aHost},
	dns.TypeNAPTR:      {aUint16, aUint16, aString, aString, aRegexp, aName},
	dns.TypeKX:         {aUint16, aName},
	dns.TypeCERT:       {certType, aUint16, algorithm, someBase64},
	dns.TypeDNAME:      {aName},
	dns.TypeAPL:        {prefixes},
	dns.TypeDS:         {aUint16, algorithm, digestType, dsDigest},
	dns.TypeSSHFP:      {aUint8, aUint8, fingerprint},
	dns.TypeRRSIG:      {aType, algorithm, aUint8, aUint32, aDate, aDate, aUint16, aSigner, someBase64},
	dns.TypeNSEC:       {aName, someTypes},
	dns.TypeDNSKEY:     {keyFlags, protocol, algorithm, someBase64},
	dns.TypeDHCID:      {someBase64},
	dns.TypeNSEC3:      {hashType, aUint8, aUint16, aSalt, aHashedOwner, anyTypes},
	dns.TypeNSEC3PARAM: {hashType, aUint8, aUint16, aSalt},
	dns.TypeTLSA:       {aUint8, aUint8, aUint8, someHex},
	dns.TypeSMIMEA:     {aUint8, aUint8, aUint8, someHex},
	dns.TypeHIP:        {aHIP},
	dns.TypeCDS:        {aUint16, algorithm, digestType, dsDigest},
	dns.TypeCDNSKEY:    {keyFlags, protocol, algorithm, someBase64},
	dns.TypeOPENPGPKEY: {someBase64},
	dns.TypeCSYNC:      {aUint32, aUint16, anyTypes},
	dns.TypeZONEMD:     {aUint32, aUint8, aUint8, zoneDigest},
	dns.TypeSVCB:       {aUint16, aTarget, serviceParams},
	dns.TypeHTTPS:      {aUint16, aTarget, serviceParams},
	dns.TypeSPF:        {someStrings},
	dns.TypeNID:        {aUint16, aLocator},
	dns.TypeL32:        {aUint16, anIPv4},
	dns.TypeL64:        {aUint16, aLocator},
	dns.TypeLP:         {aUint16, aName},
	dns.TypeEUI48:      {anEUI48},
	dns.TypeEUI64:      {anEUI64},
	dns.TypeURI:        {aUint16, aUint16, aQuoted},
	dns.TypeCAA:        {aUint8, aTag, anyText},
	dns.TypeRESINFO:    {someStrings},
}

// unvalidated are the types that named 9.18 takes as text too, and next to no zone
// has: see errUnvalidated.
var unvalidated = func() map[uint16]bool {
	types := map[uint16]bool{}
	for _, word := range strings.Fields(`A6 AMTRELAY ATMA AVC BRID DLV DOA DSYNC EID GPOS HHIT IPSECKEY ISDN
		KEY KEYDATA NIMLOC NINFO NSAP NXT RKEY SIG SINK TA TALINK WALLET WKS X25`) {
		code, _ := typeCode([]byte(word))
		types[code] = true
	}
	return types
}()

// caseMatters are the types with names in which named 9.18 tells case when it
// looks for records that stand twice.
var caseMatters = map[uint16]bool{
	dns.TypeNSEC: true, dns.TypeHIP: true, dns.TypeSVCB: true, dns.TypeHTTPS: true, dns.TypeLP: true,
}

// namePlaces are the words that are names, for the types whose names stand at the
// same place in all data.
var namePlaces = func() map[uint16][]int {
	places := map[uint16][]int{dns.TypeSIG: {7}, dns.TypeNXT: {0}, dns.TypeTALINK: {0, 1}, typeDSYNC: {3}}
	for typ, fields := range layouts {
		for i, f := range fields {
			if f.kind != noName && f.kind != textKind {
				places[typ] = append(places[typ], i)
			}
		}
	}
	return places
}()

// nameFields returns which words of the data are domain names. The caller must not
// change the result.
func nameFields(typ uint16, toks []token) []int {
	if isGeneric(typ, toks) {
		return nil
	}
	places := namePlaces[typ]
	switch typ {
	case typeA6: // bits, the rest of the address, the name of the prefix, which stands last
		if len(toks) > 1 && !wordIs(toks[0], 0) {
			places = []int{len(toks) - 1}
		}
	case dns.TypeIPSECKEY: // precedence, kind of gateway, algorithm, gateway
		if len(toks) > 3 && wordIs(toks[1], 3) {
			places = []int{3}
		}
	case dns.TypeAMTRELAY: // precedence, discovery, kind of relay, relay
		if len(toks) > 3 && wordIs(toks[2], 3) {
			places = []int{3}
		}
	case dns.TypeHIP: // algorithm, tag, key, servers
		for i := 3; i < len(toks); i++ {
			places = append(places, i)
		}
	}
	for len(places) > 0 && places[len(places)-1] >= len(toks) {
		places = places[:len(places)-1]
	}
	return places
}

func wordIs(tok token, n uint64) bool {
	value, ok := decimal(tok.text, 1<<32-1)
	return ok && value == n
}

// isGeneric reports whether data is written as "\# n hex" (RFC 3597). In a TXT that
// may also be the string "#", unless a number follows.
func isGeneric(typ uint16, toks []token) bool {
	if len(toks) == 0 || toks[0].quoted || string(toks[0].text) != `\#` {
		return false
	}
	if typ != dns.TypeTXT {
		return true
	}
	if len(toks) < 2 || toks[1].quoted {
		return false
	}
	_, ok := decimal(toks[1].text, 1<<32-1)
	return ok
}

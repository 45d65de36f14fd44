package zone

import "github.com/miekg/dns"

// A field is one piece of record data. How it is written is in encode.go, what of
// it the wire may hold is in decode.go.
type field uint8

const (
	aName    field = iota
	aHost          // a name that check-names wants to be a host's (RFC 952, RFC 1123)
	aMailbox       // a name whose first label may be anything printable
	aTarget        // a name that may be quoted
	aSigner        // a name with no more labels than the RRSIG says that the owner has
	aUint8         // digits
	aUint16
	aUint32
	aCounter // digits, or a TTL with units
	anIPv4
	anIPv6
	aString       // one character-string
	strings1      // one or more
	hexBytes      // pairs of digits, in one or more words
	base64Bytes   // in one or more words
	maybeBase64   // in any number of words
	quotedText    // one quoted word without limit
	anyText       // one word without limit, quoted or not
	aTag          // letters and digits
	aType         // a mnemonic or a number
	anAlgorithm   // of DNSSEC
	aDigestType   // of a DS
	aDigest       // of the type that stands before it
	aFingerprint  // likewise, of an SSHFP
	aZoneDigest   // likewise, of a ZONEMD
	aCertType     // of a CERT
	aHash         // of NSEC3
	aScheme       // of a DSYNC
	keyFlags      // a number, or mnemonics and "|"
	zeroFlags     // of an RKEY
	aProtocol     // of a KEY
	aKey          // base64
	maybeKey      // none if the flags say so
	aSignTime     // a date of 14 digits, or seconds
	aDate         // a date of 14 digits
	types1        // a bitmap of one or more types
	types0        // a bitmap of any number
	oldTypes      // the bitmap of an NXT
	aSalt         // hexadecimal, or "-"
	aHashedOwner  // base32hex
	aLocator      // four groups of 16 bits
	anEUI48       // pairs of digits with "-"
	anEUI64       //
	doaData       // base64, or "-"
	oneOrTwo      // ISDN
	aPSDN         // X25
	anNSAP        //
	anATMA        //
	aRegexp       // of a NAPTR
	allOfA6       // the rest of these depends on its own first words
	allOfAMTRELAY //
	allOfAPL
	allOfHIP
	allOfIPSECKEY
	allOfLOC
	allOfWKS
	serviceParams // of SVCB and HTTPS
)

// The fields of each type that named 9.18 knows. What it knows by name only, and
// what it does not know, is written as "\# n hex" and may be any bytes.
var layouts = map[uint16][]field{
	dns.TypeA:          {anIPv4},
	dns.TypeNS:         {aHost},
	dns.TypeCNAME:      {aName},
	dns.TypeSOA:        {aHost, aMailbox, aUint32, aCounter, aCounter, aCounter, aCounter},
	dns.TypeMB:         {aName},
	dns.TypeMG:         {aName},
	dns.TypeMR:         {aName},
	11:                 {allOfWKS},
	dns.TypePTR:        {aName},
	dns.TypeHINFO:      {aString, aString},
	dns.TypeMINFO:      {aMailbox, aMailbox},
	dns.TypeMX:         {aUint16, aHost},
	dns.TypeTXT:        {strings1},
	dns.TypeRP:         {aMailbox, aName},
	dns.TypeAFSDB:      {aUint16, aHost},
	dns.TypeX25:        {aPSDN},
	dns.TypeISDN:       {oneOrTwo},
	dns.TypeRT:         {aUint16, aHost},
	22:                 {anNSAP},
	dns.TypeNSAPPTR:    {aName},
	dns.TypeSIG:        {aType, anAlgorithm, aUint8, aUint32, aDate, aDate, aUint16, aName, base64Bytes},
	dns.TypeKEY:        {keyFlags, aProtocol, anAlgorithm, maybeKey},
	dns.TypePX:         {aUint16, aName, aName},
	dns.TypeGPOS:       {aString, aString, aString},
	dns.TypeAAAA:       {anIPv6},
	dns.TypeLOC:        {allOfLOC},
	dns.TypeNXT:        {aName, oldTypes},
	dns.TypeEID:        {hexBytes},
	dns.TypeNIMLOC:     {hexBytes},
	dns.TypeSRV:        {aUint16, aUint16, aUint16, aHost},
	dns.TypeATMA:       {anATMA},
	dns.TypeNAPTR:      {aUint16, aUint16, aString, aString, aRegexp, aName},
	dns.TypeKX:         {aUint16, aName},
	dns.TypeCERT:       {aCertType, aUint16, anAlgorithm, base64Bytes},
	38:                 {allOfA6},
	dns.TypeDNAME:      {aName},
	40:                 {aUint8, aUint8, aUint8, maybeBase64},
	dns.TypeAPL:        {allOfAPL},
	dns.TypeDS:         {aUint16, anAlgorithm, aDigestType, aDigest},
	dns.TypeSSHFP:      {aUint8, aUint8, aFingerprint},
	dns.TypeIPSECKEY:   {allOfIPSECKEY},
	dns.TypeRRSIG:      {aType, anAlgorithm, aUint8, aUint32, aSignTime, aSignTime, aUint16, aSigner, base64Bytes},
	dns.TypeNSEC:       {aName, types1},
	dns.TypeDNSKEY:     {keyFlags, aProtocol, anAlgorithm, aKey},
	dns.TypeDHCID:      {base64Bytes},
	dns.TypeNSEC3:      {aHash, aUint8, aUint16, aSalt, aHashedOwner, types0},
	dns.TypeNSEC3PARAM: {aHash, aUint8, aUint16, aSalt},
	dns.TypeTLSA:       {aUint8, aUint8, aUint8, hexBytes},
	dns.TypeSMIMEA:     {aUint8, aUint8, aUint8, hexBytes},
	dns.TypeHIP:        {allOfHIP},
	dns.TypeNINFO:      {strings1},
	dns.TypeRKEY:       {zeroFlags, aProtocol, anAlgorithm, aKey},
	dns.TypeTALINK:     {aName, aName},
	dns.TypeCDS:        {aUint16, anAlgorithm, aDigestType, aDigest},
	dns.TypeCDNSKEY:    {keyFlags, aProtocol, anAlgorithm, aKey},
	dns.TypeOPENPGPKEY: {base64Bytes},
	dns.TypeCSYNC:      {aUint32, aUint16, types0},
	dns.TypeZONEMD:     {aUint32, aUint8, aUint8, aZoneDigest},
	dns.TypeSVCB:       {aUint16, aTarget, serviceParams},
	dns.TypeHTTPS:      {aUint16, aTarget, serviceParams},
	66:                 {aType, aScheme, aUint16, aHost},
	67:                 {base64Bytes},
	68:                 {base64Bytes},
	dns.TypeSPF:        {strings1},
	dns.TypeNID:        {aUint16, aLocator},
	dns.TypeL32:        {aUint16, anIPv4},
	dns.TypeL64:        {aUint16, aLocator},
	dns.TypeLP:         {aUint16, aName},
	dns.TypeEUI48:      {anEUI48},
	dns.TypeEUI64:      {anEUI64},
	dns.TypeURI:        {aUint16, aUint16, quotedText},
	dns.TypeCAA:        {aUint8, aTag, anyText},
	dns.TypeAVC:        {strings1},
	259:                {aUint32, aUint32, aUint8, aString, doaData},
	dns.TypeAMTRELAY:   {allOfAMTRELAY},
	261:                {strings1},
	262:                {strings1},
	dns.TypeTA:         {aUint16, anAlgorithm, aDigestType, aDigest},
	dns.TypeDLV:        {aUint16, anAlgorithm, aDigestType, aDigest},
	65533:              {aDate, aDate, aDate, keyFlags, aProtocol, anAlgorithm, maybeKey},
}

// inOnly are the types whose data is what it is in class IN only.
var inOnly = map[uint16]bool{
	dns.TypeA: true, 11: true, 22: true, dns.TypeNSAPPTR: true, dns.TypePX: true,
	dns.TypeAAAA: true, dns.TypeEID: true, dns.TypeNIMLOC: true, dns.TypeSRV: true,
	dns.TypeATMA: true, dns.TypeKX: true, 38: true, dns.TypeAPL: true,
	dns.TypeDHCID: true, dns.TypeSVCB: true, dns.TypeHTTPS: true,
}

// caseMatters are the types with names in which named 9.18 tells case when it
// looks for records that stand twice.
var caseMatters = map[uint16]bool{
	dns.TypeIPSECKEY: true, dns.TypeNSEC: true, dns.TypeHIP: true, dns.TypeTALINK: true,
	dns.TypeSVCB: true, dns.TypeHTTPS: true, 66: true, dns.TypeLP: true, dns.TypeAMTRELAY: true,
}

// isMeta reports whether a type is for questions and messages, not for zones.
func isMeta(typ uint16) bool {
	return typ == dns.TypeNone || typ == dns.TypeOPT || typ >= 128 && typ <= 255
}

// namePlaces are the words that are names, for the types whose names stand at the
// same place in all data.
var namePlaces = func() map[uint16][]int {
	places := map[uint16][]int{}
	for typ, fields := range layouts {
		for i, f := range fields {
			switch f {
			case aName, aHost, aMailbox, aTarget, aSigner:
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
	switch typ {
	case 38: // A6: bits, the rest of the address unless all 128 are left out, the name of the prefix
		switch {
		case len(toks) > 1 && wordIs(toks[0], 128):
			return []int{1}
		case len(toks) > 2 && !wordIs(toks[0], 0):
			return []int{2}
		}
		return nil
	case dns.TypeIPSECKEY: // precedence, kind of gateway, algorithm, gateway
		if len(toks) > 3 && wordIs(toks[1], 3) {
			return []int{3}
		}
		return nil
	case dns.TypeAMTRELAY: // precedence, discovery, kind of relay, relay
		if len(toks) > 3 && wordIs(toks[2], 3) {
			return []int{3}
		}
		return nil
	case dns.TypeHIP: // algorithm, tag, key, servers
		var servers []int
		for i := 3; i < len(toks); i++ {
			servers = append(servers, i)
		}
		return servers
	}
	places := namePlaces[typ]
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

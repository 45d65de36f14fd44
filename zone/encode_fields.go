package zone

import ()

// field takes the words of one field.
func (e *encoder) field(f field) error {
	switch f {
	case aName, aHost, aMailbox:
		return e.name(e.word)
	case aSigner:
		start := len(e.wire)
		if err := e.name(e.word); err != nil {
			return err
		}
		if countLabels(e.wire[start:]) > e.wire[3] {
			return e.fail("has more labels than the owner that is signed")
		}
	case aTarget:
		return e.name(e.any)
	case aUint8:
		_, err := e.uint(1)
		return err
	case aUint16:
		_, err := e.uint(2)
		return err
	case aUint32:
		_, err := e.uint(4)
		return err
	case aCounter:
		text, err := e.word()
		if err != nil {
			return err
		}
		n, ok := readTTL(text)
		if !ok {
			return e.fail("not a number of seconds or a time such as 1h30m")
		}
		e.number(uint64(n), 4)
	case anIPv4:
		return e.address(true)
	case anIPv6:
		return e.address(false)
	case aString:
		return e.str()
	case strings1:
		for first := true; first || e.more(); first = false {
			if err := e.str(); err != nil {
				return err
			}
		}
	case oneOrTwo:
		if err := e.str(); err != nil || !e.more() {
			return err
		}
		return e.str()
	case hexBytes:
		return e.hex(1, 0)
	case base64Bytes, aKey:
		return e.base64(1)
	case maybeBase64:
		return e.base64(0)
	case maybeKey:
		if e.wire[len(e.wire)-4]&0xc0 == 0xc0 { // NOKEY, before protocol and algorithm
			return nil
		}
		return e.base64(1)
	case anyText, quotedText:
		text, err := e.text(e.any)
		if err == nil && f == quotedText && !e.toks[e.next-1].quoted {
			return e.fail("must be quoted")
		}
		e.wire = append(e.wire, text...)
		return err
	case aTag:
		text, err := e.word()
		if err != nil {
			return err
		}
		if !isTag(text) {
			return e.fail("not letters and digits")
		}
		e.wire = append(append(e.wire, byte(len(text))), text...)
	case aType:
		code, err := e.aTypeCode(true)
		e.number(uint64(code), 2)
		return err
	case anAlgorithm:
		return second(e.coded(algorithms, 1))
	case aDigestType:
		return second(e.coded(digestTypes, 1))
	case aCertType:
		return second(e.coded(certTypes, 2))
	case aHash:
		return second(e.coded(hashes, 1))
	case aScheme:
		return second(e.coded(schemes, 1))
	case aProtocol:
		return second(e.coded(protocols, 1))
	case keyFlags:
		return e.flags()
	case zeroFlags:
		if err := e.flags(); err != nil {
			return err
		}
		if e.wire[0] != 0 || e.wire[1] != 0 {
			return e.fail("the flags of an RKEY are 0")
		}
	case aDigest:
		return e.hex(1, dsDigests[e.last()])
	case aFingerprint:
		return e.hex(0, fingerprints[e.last()])
	case aZoneDigest:
		size := zoneDigests[e.last()]
		if err := e.hex(1, size); err != nil {
			return err
		}
		if len(e.wire) < 18 {
			return e.fail("a digest has at least 12 bytes")
		}
	case aSignTime:
		return e.date(true)
	case aDate:
		return e.date(false)
	case types1:
		return e.bitmap(1)
	case types0:
		return e.bitmap(0)
	case oldTypes:
		return e.oldBitmap()
	case aSalt:
		return e.salt()
	case aHashedOwner:
		return e.hashedOwner(e.wire[0])
	case aLocator:
		return e.groups(4, 4, ":")
	case anEUI48:
		return e.groups(6, 2, "-")
	case anEUI64:
		return e.groups(8, 2, "-")
	case doaData:
		if e.more() && string(e.toks[e.next].text) == "-" && !e.toks[e.next].quoted {
			e.next++
			return nil
		}
		return e.base64(1)
	case aPSDN:
		if err := e.str(); err != nil {
			return err
		}
		if !isPSDN(e.wire[1:]) {
			return e.fail("not four digits or more")
		}
	case anNSAP:
		return e.nsap()
	case anATMA:
		return e.atma()
	case aRegexp:
		start := len(e.wire)
		if err := e.str(); err != nil {
			return err
		}
		if !validSubstitution(e.wire[start+1:]) {
			return e.fail("not a substitution such as !^.*$!sip:info@example.net!")
		}
	case allOfA6:
		return e.a6()
	case allOfAMTRELAY:
		return e.amtrelay()
	case allOfAPL:
		return e.apl()
	case allOfHIP:
		return e.hip()
	case allOfIPSECKEY:
		return e.ipseckey()
	case allOfLOC:
		return e.loc()
	case allOfWKS:
		return e.wks()
	case serviceParams:
		return e.params()
	}
	return nil
}

func second(_ uint64, err error) error { return err }

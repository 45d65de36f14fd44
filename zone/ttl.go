package zone

// readTTL reads a TTL as dns_ttl_fromtext of BIND does: digits alone, or numbers
// that each have a unit. It is false for what is no TTL or is over 32 bits.
func readTTL(text []byte) (uint32, bool) {
	if len(text) == 0 || !isDigit(text[0]) {
		return 0, false
	}
	var total, n uint64
	digits := 0 // since the last unit
	for i, c := range text {
		if isDigit(c) {
			digits++
			if n = n*10 + uint64(c-'0'); n > 1<<32-1 {
				return 0, false
			}
			continue
		}
		unit, ok := ttlUnits[lower[c]]
		if !ok || digits == 0 {
			return 0, false
		}
		total += n * unit
		n, digits = 0, 0
		if total > 1<<32-1 || i == len(text)-1 {
			return uint32(total), total <= 1<<32-1
		}
	}
	// Digits without a unit may only stand alone.
	return uint32(n), digits == len(text)
}

var ttlUnits = map[byte]uint64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}

const maxTTL = 1<<31 - 1 // RFC 2181, section 8

// limitTTL is what named makes of a TTL that is too large: no caching at all.
func limitTTL(ttl uint32) uint32 {
	if ttl > maxTTL {
		return 0
	}
	return ttl
}

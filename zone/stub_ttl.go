package zone

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

var unitSeconds = map[byte]uint64{'w': 7 * 24 * 3600, 'd': 24 * 3600, 'h': 3600, 'm': 60, 's': 1}

// ParseTTL reads a TTL as named does: "300", "1h30m", in either case and in any
// order ("30m1h"), a unit more than once ("1h1h" is two hours). A unit wants a
// number before it, and a number after a unit wants its own: "h" and "1h30" are
// refused. So is what is above 2^31-1 seconds, which named replaces with 0.
func ParseTTL(s string) (time.Duration, error) {
	refuse := func(reason string) (time.Duration, error) {
		return 0, &ValueError{Field: "TTL", Value: s, Reason: reason}
	}
	var total uint64
	for rest := s; ; {
		digits := 0
		for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseUint(rest[:digits], 10, 32)
		if err != nil {
			return refuse("must be a number of seconds, or numbers with the units w, d, h, m and s")
		}
		if digits == len(rest) {
			if total != 0 { // named looks at the sum, so "0h30" passes
				return refuse("the last number has no unit")
			}
			total = n
			break
		}
		unit, ok := unitSeconds[rest[digits]|0x20]
		if !ok {
			return refuse(fmt.Sprintf("%q is no unit: w, d, h, m and s are", rest[digits:digits+1]))
		}
		total += n * unit
		if rest = rest[digits+1:]; rest == "" {
			break
		}
	}
	if total > math.MaxInt32 {
		return refuse("named takes more than 2147483647 seconds for 0")
	}
	return time.Duration(total) * time.Second, nil
}

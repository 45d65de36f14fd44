package zone

import (
	"fmt"
	"math"
	"time"
)

// A SerialPolicy returns the serial that follows old. It never goes backwards in
// the arithmetic of RFC 1982, by which secondaries compare: they would keep what
// they have.
type SerialPolicy func(old uint32, now time.Time) (uint32, error)

// Increment adds one, and skips 0, which some programs take for "none". It
// ignores the time.
func Increment(old uint32, _ time.Time) (uint32, error) {
	if old == math.MaxUint32 {
		return 1, nil
	}
	return old + 1, nil
}

// DateCounter returns YYYYMMDDnn, the day in the location of now and a counter
// that begins with 00, as named's own serial-update-method date does. A serial
// that has come as far, or is in the future, goes up by one: more than a hundred
// changes a day run into the next day's numbers and stay in order.
func DateCounter(old uint32, now time.Time) (uint32, error) {
	year, month, day := now.Date()
	date := (int64(year)*100+int64(month))*100 + int64(day)
	if year < 1 || date*100 > math.MaxUint32 {
		return 0, fmt.Errorf("the year %d does not fit a serial of the form YYYYMMDDnn", year)
	}
	today := uint32(date * 100)
	if order, ok := CompareSerial(today, old); ok && order > 0 {
		return today, nil
	}
	return Increment(old, now)
}

// UnixTime returns the seconds since 1970, or old+1 for a second change within
// one second. It refuses where that would go backwards, as from YYYYMMDDnn.
func UnixTime(old uint32, now time.Time) (uint32, error) {
	seconds := uint32(now.Unix()) // wraps in 2106, as RFC 1982 allows
	if seconds == old {
		return Increment(old, now)
	}
	if order, ok := CompareSerial(seconds, old); ok && order > 0 {
		return seconds, nil
	}
	return 0, fmt.Errorf("serial %d: the time is %d, which secondaries take for older: keep the policy that the zone has, or set %d, wait until every secondary serves it, and only then change to the time",
		old, seconds, old+math.MaxInt32)
}

// CompareSerial compares serials as secondaries do (RFC 1982, section 3.2): it
// returns a number below 0 if a is older than b, above 0 if it is newer, and 0 if
// they are equal. It returns false where the order is undefined, which is when
// they are exactly 2^31 apart.
func CompareSerial(a, b uint32) (int, bool) {
	switch distance := a - b; {
	case distance == 0:
		return 0, true
	case distance == 1<<31:
		return 0, false
	case distance < 1<<31:
		return 1, true
	default:
		return -1, true
	}
}

// atLeast says whether a server with this serial has, or has passed, the other.
func atLeast(serial, least uint32) bool {
	order, ok := CompareSerial(serial, least)
	return ok && order >= 0
}

package zone

import (
	"encoding/binary"
	"regexp"
	"strings"
)

// A place on earth (RFC 1876, section 3): latitude and longitude, of which minutes
// and seconds may be missing, altitude, and up to three sizes. Of a size named
// takes the sign of the whole metres only.
var locationForm = func() *regexp.Regexp {
	const (
		angle  = `(\d+)(?: (\d+)(?: \+?(\d+\.?\d{0,3}|\.\d{1,3}))?)? `
		metres = ` ([+-]?\d+(?:\.\d{0,2})?|-?\.\d{1,2})m?`
		size   = ` ((?:\+?\d+|-0+)(?:\.\d{0,2})?|\.\d{1,2})m?`
	)
	return regexp.MustCompile(`^` + angle + `([NS]) ` + angle + `([EW])` + metres +
		`(?:` + size + `(?:` + size + `(?:` + size + `)?)?)?$`)
}()

func (e *encoder) loc() {
	m := locationForm.FindStringSubmatch(e.joined(1, " "))
	if m == nil {
		e.fail("not a place such as 52 14 05 N 0 8 50.5 E 10m")
		return
	}
	sizes := [3]byte{0x12, 0x16, 0x13} // 1 m, 10 km, 10 m
	for i, text := range m[10:] {
		if text == "" {
			break
		}
		cm, ok := fixed(text, 2)
		if !ok || cm/100 > 90000000 {
			e.fail("a size is more than 90000000m")
		}
		sizes[i] = mantissa(cm)
	}
	latitude, longitude := e.angle(m[1:5], 90), e.angle(m[5:9], 180)
	altitude, ok := fixed(m[9], 2)
	if strings.HasPrefix(m[9], "-") {
		altitude = -altitude
	}
	if !ok || altitude < -10000000 || altitude > 4284967295 {
		e.fail("the altitude is not from -100000.00m to 42849672.95m")
	}
	e.put(0)
	e.put(sizes[:]...)
	e.wire = binary.BigEndian.AppendUint32(e.wire, uint32(1<<31+latitude))
	e.wire = binary.BigEndian.AppendUint32(e.wire, uint32(1<<31+longitude))
	e.wire = binary.BigEndian.AppendUint32(e.wire, uint32(altitude+10000000))
}

// angle returns thousandths of a second.
func (e *encoder) angle(m []string, limit int64) int64 {
	degrees, ok := fixed(m[0], 0)
	minutes, ok2 := fixed(m[1], 0)
	seconds, ok3 := fixed(m[2], 3)
	total := degrees*3600000 + minutes*60000 + seconds
	if !ok || !ok2 || !ok3 || minutes > 59 || seconds > 59999 || total > limit*3600000 {
		e.fail("not an angle of at most %d degrees", limit)
	}
	if m[3] == "S" || m[3] == "W" {
		return -total
	}
	return total
}

// fixed reads a number of at most so many decimals without its sign, and moves the
// point behind them.
func fixed(text string, decimals int) (int64, bool) {
	whole, fraction, _ := strings.Cut(strings.TrimLeft(text, "+-"), ".")
	n, ok := decimal([]byte("0"+whole+fraction+strings.Repeat("0", decimals-len(fraction))), 1<<40)
	return int64(n), ok
}

// mantissa is a digit in the upper half of a byte and its power of ten in the lower.
func mantissa(cm int64) byte {
	exp := 0
	for cm > 9 {
		cm, exp = cm/10, exp+1
	}
	return byte(cm<<4) | byte(exp)
}

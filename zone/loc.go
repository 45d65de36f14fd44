package zone

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// loc takes a place on earth (RFC 1876, section 3).
func (e *encoder) loc() error {
	latitude, err := e.angle(90, "N", "S")
	if err != nil {
		return err
	}
	longitude, err := e.angle(180, "E", "W")
	if err != nil {
		return err
	}
	text, err := e.word()
	if err != nil {
		return err
	}
	altitude, ok := centimetres(text)
	if !ok || strings.HasPrefix(string(text), "+.") || altitude < -10000000 || altitude > 4284967295 {
		return e.fail("not an altitude from -100000.00m to 42849672.95m")
	}
	sizes := [3]byte{0x12, 0x16, 0x13} // 1 m, 10 km, 10 m
	for i := 0; i < 3 && e.more(); i++ {
		text, err := e.word()
		if err != nil {
			return err
		}
		cm, ok := centimetres(text)
		if cm > -100 {
			cm = max(cm, -cm) // named takes the sign of the metres only
		}
		if !ok || cm < 0 || bytes.IndexByte(text, '.') == 1 && (text[0] == '-' || text[0] == '+') || cm/100 > 90000000 {
			return e.fail("not a length from 0 to 90000000m")
		}
		sizes[i] = mantissa(cm)
	}
	e.wire = append(append(e.wire, 0), sizes[:]...)
	e.wire = binary.BigEndian.AppendUint32(e.wire, uint32(1<<31+latitude))
	e.wire = binary.BigEndian.AppendUint32(e.wire, uint32(1<<31+longitude))
	e.wire = binary.BigEndian.AppendUint32(e.wire, uint32(altitude+10000000))
	return nil
}

// angle takes degrees, minutes and seconds, of which the last two may be missing,
// and a direction, and returns thousandths of a second.
func (e *encoder) angle(limit uint64, plus, minus string) (int64, error) {
	var total uint64
	for i, unit := range []uint64{3600000, 60000, 1000, 0} {
		text, err := e.word()
		if err != nil {
			return 0, err
		}
		if i > 0 && (string(text) == plus || string(text) == minus) {
			if string(text) == minus {
				return -int64(total), nil
			}
			return int64(total), nil
		}
		if i == 3 {
			return 0, e.fail(fmt.Sprintf("neither %s nor %s", plus, minus))
		}
		whole, fraction := string(text), uint64(0)
		if i == 2 {
			whole = strings.TrimPrefix(whole, "+")
			digits, rest, _ := strings.Cut(whole, ".")
			thousandths, ok := decimal([]byte((rest + "000")[:max(3, len(rest))]), 999)
			if digits == "" && rest != "" {
				digits = "0"
			}
			if !ok {
				return 0, e.fail("not seconds with at most three decimals")
			}
			whole, fraction = digits, thousandths
		}
		most := uint64(59)
		if i == 0 {
			most = limit
		}
		n, ok := decimal([]byte(whole), most)
		if !ok {
			return 0, e.fail(fmt.Sprintf("not a number from 0 to %d", most))
		}
		if total += n*unit + fraction; total > limit*3600000 {
			return 0, e.fail(fmt.Sprintf("more than %d degrees", limit))
		}
	}
	return 0, nil
}

// centimetres reads metres with at most two decimals, and perhaps an "m".
func centimetres(text []byte) (int64, bool) {
	s := strings.TrimSuffix(string(text), "m")
	sign := int64(1)
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		s, sign = rest, -1
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > 2 || whole == "" && fraction == "" {
		return 0, false
	}
	n, ok := decimal([]byte("0"+whole+(fraction + "00")[:2]), 1<<40)
	return sign * int64(n), ok
}

// mantissa is a digit in the upper half of a byte and its power of ten in the lower.
func mantissa(cm int64) byte {
	exp := 0
	for cm > 9 {
		cm, exp = cm/10, exp+1
	}
	return byte(cm<<4) | byte(exp)
}

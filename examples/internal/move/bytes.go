package move

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a number of bytes, or of bytes per second. In a move file it is a text
// with a unit, such as "80GiB", "2GB" or "100Mbit".
type Bytes int64

// UnmarshalText reads a number and its unit. It must be positive.
func (b *Bytes) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "BbitkKMGT")
	n, err := strconv.ParseFloat(number, 64)
	unit, known := map[string]float64{
		"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
		"kbit": 1e3 / 8, "Mbit": 1e6 / 8, "Gbit": 1e9 / 8,
	}[string(text[len(number):])]
	if n *= unit; err != nil || !known || !(n >= 1 && n < math.MaxInt64) {
		return fmt.Errorf("%q is no size or rate such as 80GiB, 2GB or 100Mbit", text)
	}
	*b = Bytes(n)
	return nil
}

// String returns the number with the unit that leaves the least of it.
func (b Bytes) String() string {
	for i, unit := range []string{"TiB", "GiB", "MiB"} {
		if size := Bytes(1) << (40 - 10*i); b >= size && b%size == 0 {
			return fmt.Sprintf("%d %s", b/size, unit)
		}
	}
	value, unit := float64(b), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, larger
	}
	return strconv.FormatFloat(math.Round(value*10)/10, 'f', -1, 64) + " " + unit
}

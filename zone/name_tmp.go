package zone

import (
	"errors"
	"strings"

	"github.com/miekg/dns"
)

func absoluteName(text []byte, origin string) (string, error) {
	if string(text) == "@" {
		return origin, nil
	}
	if string(text) == "." {
		return ".", nil
	}
	if len(text) == 0 {
		return "", errors.New("empty name")
	}
	var b strings.Builder
	label, total, abs := 0, 1, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		abs = false
		switch {
		case c == '.':
			if label == 0 {
				return "", errors.New("empty label")
			}
			label, abs = 0, true
			b.WriteByte('.')
			continue
		case c == '\\':
			i++
			if i == len(text) {
				return "", errors.New("a backslash at the end")
			}
			if c = text[i]; c == '[' {
				return "", errors.New("bit label")
			}
			if c >= '0' && c <= '9' {
				if i+3 > len(text) {
					return "", errors.New("bad escape")
				}
				n, ok := decimal(text[i:i+3], 255)
				if !ok {
					return "", errors.New("bad escape")
				}
				c = byte(n)
				i += 2
			}
		}
		if label == 0 {
			total++
		}
		label++
		total++
		if label > 63 || total > 255 {
			return "", errors.New("too long")
		}
		if strings.IndexByte(".\\\"();@$ ", c) >= 0 {
			b.WriteByte('\\')
			b.WriteByte(c)
		} else if c < '!' || c > '~' {
			b.WriteString("\\" + string([]byte{'0' + c/100, '0' + c/10%10, '0' + c%10}))
		} else {
			b.WriteByte(c)
		}
	}
	if abs {
		return b.String(), nil
	}
	name := b.String() + "." + strings.TrimPrefix(origin, ".")
	if origin == "." {
		name = b.String() + "."
	}
	var buf [300]byte
	if n, err := dns.PackDomainName(name, buf[:], 0, nil, false); err != nil || n > 255 {
		return "", errors.New("too long")
	}
	return name, nil
}

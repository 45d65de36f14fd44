package zone

import "bytes"

// validSubstitution reports whether named takes the bytes for the expression of a
// NAPTR: a delimiter, a POSIX extended regular expression, the delimiter, the
// replacement, the delimiter and perhaps "i" (RFC 3402, section 3.2). Empty is
// none.
func validSubstitution(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	delim := s[0]
	if bytes.IndexByte([]byte("0123456789\\i\x00"), delim) >= 0 || bytes.IndexByte(s, 0) >= 0 {
		return false
	}
	var pattern []byte
	part, used := 0, 0 // the pattern, the replacement, the flags
	for s = s[1:]; len(s) > 0; s = s[1:] {
		c := s[0]
		switch {
		case c == delim && part == 2, part == 2 && c != 'i':
			return false
		case c == delim:
			part++
			continue
		}
		if part == 0 {
			pattern = append(pattern, c)
		}
		if c == '\\' {
			if s = s[1:]; len(s) == 0 {
				return false
			}
			switch {
			case part == 0:
				pattern = append(pattern, s[0])
			case s[0] == '0':
				return false
			case s[0] >= '1' && s[0] <= '9':
				used = max(used, int(s[0]-'0'))
			}
		}
	}
	groups, ok := countGroups(pattern)
	return ok && part == 2 && used <= groups
}

// countGroups checks a POSIX extended regular expression as strictly as named
// does, and counts its groups.
func countGroups(re []byte) (int, bool) {
	groups, open := 0, 0
	atom, repeated, emptyOK := false, false, false
	for i := 0; i < len(re); i++ {
		switch c := re[i]; c {
		case '\\':
			if i++; i == len(re) {
				return 0, false
			}
			if c := re[i]; c >= '1' && c <= '9' && int(c-'0') > groups {
				return 0, false
			}
			atom, repeated = true, false
		case '[':
			n := bracket(re[i:])
			if n == 0 {
				return 0, false
			}
			i += n - 1
			atom, repeated = true, false
		case '(':
			groups, open = groups+1, open+1
			atom, repeated, emptyOK = false, false, true
		case ')':
			if open > 0 {
				if !atom && !emptyOK {
					return 0, false
				}
				open--
			}
			atom, repeated = true, false
		case '|':
			if !atom {
				return 0, false
			}
			atom, repeated, emptyOK = false, false, false
		case '^', '$':
			atom, repeated = true, true
		case '*', '+', '?':
			if !atom || repeated {
				return 0, false
			}
			repeated = true
		case '{':
			if i+1 == len(re) || re[i+1] < '0' || re[i+1] > '9' {
				atom, repeated = true, false
				break
			}
			n := bound(re[i:])
			if n == 0 || !atom || repeated {
				return 0, false
			}
			i += n - 1
			repeated = true
		default:
			atom, repeated = true, false
		}
	}
	return groups, atom && open == 0
}

// bound is the length of "{1}", "{1,}" or "{1,2}", and 0 if it is none.
func bound(re []byte) int {
	end := bytes.IndexByte(re, '}')
	if end < 0 {
		return 0
	}
	low, high, both := bytes.Cut(re[1:end], []byte(","))
	n, ok := decimal(low, 255)
	if both && len(high) > 0 && ok {
		var m uint64
		m, ok = decimal(high, 255)
		ok = ok && n <= m
	}
	if !ok {
		return 0
	}
	return end + 1
}

// bracket is the length of a bracket expression, and 0 if it is none.
func bracket(re []byte) int {
	i := 1
	if i < len(re) && re[i] == '^' {
		i++
	}
	low, ranging := -1, false
	for first := true; i < len(re); first = false {
		c := re[i]
		if c == ']' && !first {
			return i + 1
		}
		if c == '[' && i+1 < len(re) && bytes.IndexByte([]byte(".=:"), re[i+1]) >= 0 {
			kind := re[i+1]
			n := bytes.Index(re[i+2:], []byte{kind, ']'})
			if n < 1 || kind == ':' && !isClass(re[i+2:i+2+n]) {
				return 0
			}
			i += n + 4
			low, ranging = -1, false
			continue
		}
		i++
		switch {
		case ranging:
			if int(c) < low {
				return 0
			}
			low, ranging = -1, false
		case c == '-' && low >= 0 && i < len(re) && re[i] != ']':
			ranging = true
		default:
			low = int(c)
		}
	}
	return 0
}

func isClass(name []byte) bool {
	switch string(name) {
	case "alnum", "digit", "punct", "alpha", "graph", "space", "blank", "lower", "upper", "cntrl", "print", "xdigit":
		return true
	}
	return false
}

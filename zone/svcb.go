package zone

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The parameters of SVCB and HTTPS that named 9.18 knows (RFC 9460, section 14.3).
var paramKeys = []string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"}

const (
	keyMandatory = iota
	keyALPN
	keyNoDefaultALPN
	keyPort
	keyIPv4Hint
	keyECH
	keyIPv6Hint
	keyDoHPath
)

type param struct {
	key   uint16
	value []byte
}

// params takes the parameters, in any order. A quoted value is a word of its own
// that touches the "=".
func (e *encoder) params() error {
	var params []param
	for e.more() {
		word, err := e.word()
		if err != nil {
			return err
		}
		name, value, hasValue := strings.Cut(string(word), "=")
		if hasValue && value == "" && e.more() && e.toks[e.next].quoted && e.toks[e.next].start == e.toks[e.next-1].end {
			text, _ := e.any()
			value = string(text)
		}
		p, reason := parseParam(name, value, hasValue)
		if reason != "" {
			return e.fail(reason)
		}
		params = append(params, p)
	}
	slices.SortStableFunc(params, func(a, b param) int { return cmp.Compare(a.key, b.key) })
	var mandatory []byte
	keys := map[uint16]bool{}
	for _, p := range params {
		if keys[p.key] {
			return e.fail("a parameter stands twice")
		}
		keys[p.key] = true
		if p.key == keyMandatory {
			mandatory = p.value
		}
		e.number(uint64(p.key), 2)
		e.number(uint64(len(p.value)), 2)
		e.wire = append(e.wire, p.value...)
	}
	if reason := missingParam(keys, mandatory); reason != "" {
		return e.fail(reason)
	}
	return nil
}

// missingParam says what the parameters ask for and do not have.
func missingParam(keys map[uint16]bool, mandatory []byte) string {
	if keys[keyNoDefaultALPN] && !keys[keyALPN] {
		return "no-default-alpn without alpn"
	}
	for ; len(mandatory) > 0; mandatory = mandatory[2:] {
		if key := binary.BigEndian.Uint16(mandatory); key == keyMandatory || !keys[key] {
			return "a mandatory parameter is missing"
		}
	}
	return ""
}

// parseParam reads one parameter. A key that is written as key0 and so on has its
// value as bytes.
func parseParam(name, value string, hasValue bool) (param, string) {
	i := slices.Index(paramKeys, name)
	if i < 0 {
		key, ok := paramKey(name)
		if !ok {
			return param{}, "not a parameter that named knows"
		}
		out, ok := unescape([]byte(value))
		if !ok || !validParam(key, out) {
			return param{}, "not a value for this parameter"
		}
		return param{key, out}, ""
	}
	p, ok := param{key: uint16(i)}, true
	switch i {
	case keyMandatory:
		var keys []uint16
		for part := range strings.SplitSeq(value, ",") {
			key, ok := paramKey(part)
			if !ok {
				return p, "not a list of parameters"
			}
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			p.value = binary.BigEndian.AppendUint16(p.value, key)
		}
	case keyALPN:
		p.value, ok = parseALPN(value)
	case keyNoDefaultALPN:
		p.value = []byte(value)
	case keyPort:
		var port uint64
		port, ok = decimal([]byte(value), 1<<16-1)
		p.value = binary.BigEndian.AppendUint16(nil, uint16(port))
	case keyIPv4Hint, keyIPv6Hint:
		for part := range strings.SplitSeq(value, ",") {
			addr, err := netip.ParseAddr(part)
			if err != nil || addr.Zone() != "" || addr.Is4() != (i == keyIPv4Hint) {
				return p, "not addresses with a comma between"
			}
			p.value = append(p.value, addr.AsSlice()...)
		}
	case keyECH:
		var err error
		p.value, err = base64.StdEncoding.Strict().DecodeString(value)
		ok = err == nil
	case keyDoHPath:
		p.value, ok = unescape([]byte(value))
	}
	if !ok || !validParam(p.key, p.value) {
		return p, "not a value for this parameter"
	}
	return p, ""
}

// paramKey reads a key, by name in any case or by number without leading zeros.
func paramKey(name string) (uint16, bool) {
	for i, known := range paramKeys {
		if strings.EqualFold(name, known) {
			return uint16(i), true
		}
	}
	digits, ok := strings.CutPrefix(name, "key")
	if !ok || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n, ok := decimal([]byte(digits), 1<<16-1)
	return uint16(n), ok
}

// parseALPN splits at the commas that no backslash protects, after the escapes of
// a string have been resolved: a comma in a name is written "\\," (RFC 9460,
// appendix A.1).
func parseALPN(value string) ([]byte, bool) {
	text, ok := unescape([]byte(value))
	if !ok {
		return nil, false
	}
	out, id := []byte(nil), []byte(nil)
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text) || text[i] == ',':
			if len(id) == 0 || len(id) > 255 {
				return nil, false
			}
			out = append(append(out, byte(len(id))), id...)
			id = nil
		case text[i] == '\\':
			if i++; i == len(text) {
				return nil, false
			}
			id = append(id, text[i])
		default:
			id = append(id, text[i])
		}
	}
	return out, true
}

// A DoH template is a path, and one of its variables is "dns" (RFC 9461, section 5;
// RFC 6570, section 2). Named takes a length for the last variable of a list only.
var (
	dohTemplate = regexp.MustCompile(`(?s)^/([^{%]|%[0-9A-Fa-f]{2}|\{[+#./;?&]?(?:[0-9A-Za-z_]|%[0-9A-Fa-f]{2})+(\*?,(?:[0-9A-Za-z_]|%[0-9A-Fa-f]{2})+)*(\*|:[1-9][0-9]{0,3})?\})*$`)
	dohVariable = regexp.MustCompile(`\{([+#./;?&]|[^{}]*,)?dns[*:,}]`)
)

// validParam reports whether the bytes of a parameter are such as its key has.
func validParam(key uint16, value []byte) bool {
	switch key {
	case keyMandatory:
		for i := 2; i+2 <= len(value); i += 2 {
			if bytes.Compare(value[i-2:i], value[i:i+2]) >= 0 {
				return false
			}
		}
		return len(value) > 0 && len(value)%2 == 0
	case keyALPN:
		for rest := value; len(rest) > 0; rest = rest[1+int(rest[0]):] {
			if rest[0] == 0 || int(rest[0]) >= len(rest) {
				return false
			}
		}
		return len(value) > 0
	case keyNoDefaultALPN:
		return len(value) == 0
	case keyPort:
		return len(value) == 2
	case keyIPv4Hint:
		return len(value) > 0 && len(value)%4 == 0
	case keyIPv6Hint:
		return len(value) > 0 && len(value)%16 == 0
	case keyDoHPath:
		return utf8.Valid(value) && dohTemplate.Match(value) && dohVariable.Match(value)
	}
	return true
}

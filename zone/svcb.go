package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
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
func (e *encoder) params() {
	var params []param
	for e.more() {
		name, value, hasValue := strings.Cut(string(e.word()), "=")
		if hasValue && value == "" && e.more() && touches(e.toks[e.next-1], e.toks[e.next]) {
			value = string(e.anyWord())
		}
		params = append(params, e.param(name, value))
	}
	slices.SortStableFunc(params, func(a, b param) int { return cmp.Compare(a.key, b.key) })
	has := map[uint16]bool{}
	for _, p := range params {
		if has[p.key] {
			e.fail("a parameter stands twice")
		}
		has[p.key] = true
		e.number(uint64(p.key), 2)
		e.number(uint64(len(p.value)), 2)
		e.put(p.value...)
	}
	if has[keyNoDefaultALPN] && !has[keyALPN] {
		e.fail("no-default-alpn without alpn")
	}
	if has[keyMandatory] && e.err == nil {
		for list := params[0].value; len(list) > 0; list = list[2:] {
			if key := binary.BigEndian.Uint16(list); key == keyMandatory || !has[key] {
				e.fail("a mandatory parameter is missing")
			}
		}
	}
}

// param reads one parameter. A key that is written as key0 and so on has its value
// as bytes.
func (e *encoder) param(name, value string) param {
	key, ok := paramKey(name)
	known := slices.Index(paramKeys, name) // in lower case only
	if !ok || known < 0 && !strings.HasPrefix(name, "key") {
		e.fail("not a parameter that named knows")
		return param{}
	}
	v := &encoder{toks: e.toks, next: e.next}
	switch known {
	case keyMandatory:
		var keys []uint16
		for part := range strings.SplitSeq(value, ",") {
			key, ok := paramKey(part)
			if !ok {
				v.fail("not a list of parameters")
			}
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			v.number(uint64(key), 2)
		}
	case keyALPN:
		v.alpn(value)
	case keyNoDefaultALPN:
		v.put([]byte(value)...)
	case keyPort:
		port, ok := decimal([]byte(value), 1<<16-1)
		if !ok {
			v.fail("not a port")
		}
		v.number(port, 2)
	case keyIPv4Hint, keyIPv6Hint:
		for part := range strings.SplitSeq(value, ",") {
			v.address(part, map[int]int{keyIPv4Hint: 4, keyIPv6Hint: 16}[known])
		}
	case keyECH:
		v.decodeBase64(value)
	default:
		text, ok := unescape([]byte(value))
		if !ok {
			v.fail("a bad escape")
		}
		v.put(text...)
	}
	v.checkParam(key)
	if e.err == nil {
		e.err = v.err
	}
	return param{key, v.wire}
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

// alpn splits at the commas that no backslash protects, after the escapes of a
// string have been resolved: a comma in a name is written "\\," (RFC 9460,
// appendix A.1).
func (e *encoder) alpn(value string) {
	text, ok := unescape([]byte(value))
	var id []byte
	for i := 0; i <= len(text); i++ {
		if i == len(text) || text[i] == ',' {
			ok = ok && len(id) > 0
			e.counted(id)
			id = nil
			continue
		}
		if text[i] == '\\' {
			if i++; i == len(text) {
				e.fail("a backslash at the end")
				return
			}
		}
		id = append(id, text[i])
	}
	if !ok {
		e.fail("not names of protocols with a comma between")
	}
}

// aTemplate is a DoH template of the form that resolvers use (RFC 9461, section 5).
// What else named takes is not validated.
var aTemplate = regexp.MustCompile(`^/[-A-Za-z0-9._~/]*\{\?dns\}$`)

// checkParam wants the bytes of a value to be such as the key has: a key may be
// written as a number.
func (e *encoder) checkParam(key uint16) {
	ok, v := true, e.wire
	switch key {
	case keyMandatory:
		ok = len(v) > 0 && len(v)%2 == 0
		for i := 2; ok && i < len(v); i += 2 {
			ok = bytes.Compare(v[i-2:i], v[i:i+2]) < 0
		}
	case keyALPN:
		ok = len(v) > 0
		for rest := v; ok && len(rest) > 0; rest = rest[min(len(rest), 1+int(rest[0])):] {
			ok = rest[0] > 0 && int(rest[0]) < len(rest)
		}
	case keyNoDefaultALPN:
		ok = len(v) == 0
	case keyPort:
		ok = len(v) == 2
	case keyIPv4Hint:
		ok = len(v) > 0 && len(v)%4 == 0
	case keyIPv6Hint:
		ok = len(v) > 0 && len(v)%16 == 0
	case keyDoHPath:
		if !aTemplate.Match(v) {
			e.unvalidated("a path that does not end in {?dns}")
		}
	}
	if !ok {
		e.fail("not a value for this parameter")
	}
}

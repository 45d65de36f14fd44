package zone

import (
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

// param reads one parameter.
func (e *encoder) param(name, value string) param {
	start := len(e.wire)
	key, ok := paramKey(name)
	switch {
	case !ok || int(key) < len(paramKeys) && name != paramKeys[key] && name[0] != 'k':
		e.fail("not a parameter that named knows") // names are in lower case
	case int(key) < len(paramKeys) && name != paramKeys[key]:
		e.noVerdict("a number for a parameter that has a name")
	default:
		e.paramValue(key, value)
	}
	p := param{key, slices.Clone(e.wire[start:])}
	e.wire = e.wire[:start]
	return p
}

// paramValue puts the value of a parameter.
func (e *encoder) paramValue(key uint16, value string) {
	switch key {
	case keyMandatory:
		var keys []uint16
		for part := range strings.SplitSeq(value, ",") {
			key, ok := paramKey(part)
			if !ok {
				e.fail("not a list of parameters")
			}
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if len(slices.Compact(slices.Clone(keys))) < len(keys) {
			e.fail("a parameter is mandatory twice")
		}
		for _, key := range keys {
			e.number(uint64(key), 2)
		}
	case keyALPN:
		e.alpn(value)
	case keyNoDefaultALPN:
		if value != "" {
			e.fail("no-default-alpn has no value")
		}
	case keyPort:
		port, ok := decimal([]byte(value), 1<<16-1)
		if !ok {
			e.fail("not a port")
		}
		e.number(port, 2)
	case keyIPv4Hint, keyIPv6Hint:
		for part := range strings.SplitSeq(value, ",") {
			e.address(part, map[uint16]int{keyIPv4Hint: 4, keyIPv6Hint: 16}[key])
		}
	case keyECH:
		e.decodeBase64(value)
	case keyDoHPath:
		if !aTemplate.MatchString(value) {
			e.noVerdict("a path that does not end in {?dns}")
		}
		e.put([]byte(value)...)
	default:
		text, ok := unescape([]byte(value))
		if !ok {
			e.fail("a bad escape")
		}
		e.put(text...)
	}
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

package zone

import (
	"bytes"
	"encoding/hex"
	"strconv"

	"github.com/miekg/dns"
)

func nameFields(typ uint16, toks []token) []int {
	switch typ {
	case 2, 5, 12, 39:
		return []int{0}
	case 15:
		return []int{1}
	case 6:
		return []int{0, 1}
	case 33:
		return []int{3}
	}
	return nil
}

func genericData(toks []token) ([]byte, bool) {
	if len(toks) < 2 || string(toks[0].text) != `\#` {
		return nil, false
	}
	var h []byte
	for _, t := range toks[2:] {
		h = append(h, t.text...)
	}
	b, err := hex.DecodeString(string(h))
	return b, err == nil
}

func isGeneric(typ uint16, toks []token) bool {
	_, ok := genericData(toks)
	return ok
}

func rdataRR(owner string, ttl uint32, class, typ uint16, toks []token, origin string) (dns.RR, error) {
	return dns.NewRR(owner + " " + strconv.Itoa(int(ttl)) + " IN " + typeName(typ) + " " + dataText(typ, toks, origin))
}

func wireData(rr dns.RR) ([]byte, error) {
	buf := make([]byte, 65535)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	return bytes.ToLower(buf[len(rr.Header().Name):n]), err
}

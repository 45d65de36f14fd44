package zone

import "encoding/hex"

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

func (f *File) Serial() (uint32, error) { return 0, nil }

package zone

import (
	"bytes"
	"slices"
	"strings"
)

// dataText writes data on one line, with absolute names.
func dataText(typ uint16, toks []token, origin string) string {
	names := nameFields(typ, toks)
	var b strings.Builder
	for i, t := range toks {
		if i > 0 && !touches(toks[i-1], t) {
			b.WriteByte(' ')
		}
		if !t.quoted && slices.Contains(names, i) {
			if name, err := absoluteName(t.text, origin); err == nil {
				b.WriteString(name)
				continue
			}
		}
		writeToken(&b, t)
	}
	return b.String()
}

// touches reports whether a token must follow another without a blank: the quoted
// value of a parameter of SVCB is no value elsewhere than at its "=".
func touches(before, t token) bool {
	return t.quoted && t.start == before.end && bytes.HasSuffix(before.text, []byte("="))
}

// writeToken writes a token so that it stays on its line.
func writeToken(b *strings.Builder, t token) {
	if !t.quoted {
		b.Write(t.text)
		return
	}
	b.WriteByte('"')
	for i := 0; i < len(t.text); i++ {
		switch c := t.text[i]; {
		case c == '\\' && i+1 < len(t.text) && t.text[i+1] == '\n':
			b.WriteString(`\010`)
			i++
		case c == '\r':
			b.WriteString(`\013`)
		case c == '\\' && i+1 < len(t.text):
			b.Write(t.text[i : i+2])
			i++
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}

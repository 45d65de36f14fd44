package wgpeer

import (
	"fmt"
	"regexp"
	"strings"
)

// keyLike is what a key looks like, wherever it stands.
var keyLike = regexp.MustCompile(`[A-Za-z0-9+/]{43}=`)

// A masker puts a number in the place of each secret.
type masker map[string]int

func (m masker) mask(lines []string) []byte {
	known := map[int]*setting{}
	for _, s := range sections(lines, func(int, int, string) {}) {
		for _, set := range s.settings {
			known[set.line] = set
		}
	}
	var out strings.Builder
	for i, line := range lines {
		set := known[i]
		switch {
		case set != nil && set.key == "PublicKey":
			out.WriteString(m.maskLike(line[:set.start]) + line[set.start:set.end] + m.maskLike(line[set.end:]))
		case set != nil && (set.key == "PrivateKey" || set.key == "PresharedKey"):
			out.WriteString(line[:set.start] + m.number(line[set.start:set.end]) + m.maskLike(line[set.end:]))
		default:
			out.WriteString(m.maskStray(line))
		}
	}
	return []byte(out.String())
}

// maskStray masks a line that wg does not use: a key may be made a comment, in the
// wrong section or misspelt.
func (m masker) maskStray(line string) string {
	name, value, _ := strings.Cut(line, "=")
	word := fold(squeeze(strings.TrimLeft(name, "#"+space)))
	if !strings.HasSuffix(word, "key") || word == "publickey" || isBlank(value) {
		return m.maskLike(line)
	}
	text := strings.TrimRight(value, space)
	bare := strings.TrimLeft(text, space)
	return line[:len(line)-len(value)+len(text)-len(bare)] + m.number(bare) + value[len(text):]
}

func (m masker) maskLike(text string) string { return keyLike.ReplaceAllStringFunc(text, m.number) }

func (m masker) number(secret string) string {
	if m[secret] == 0 {
		m[secret] = len(m) + 1
	}
	return fmt.Sprintf("(secret %d)", m[secret])
}

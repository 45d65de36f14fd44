package netbsdcfg

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoteAll joins words so that sh reads them as they are, both where it reads
// the text once (after an exclamation mark) and where it splits it first (a line
// for ifconfig).
func quoteAll(words []string, text *string, field string) error {
	quoted := make([]string, len(words))
	for i, word := range words {
		if !utf8.ValidString(word) {
			return refusal(field, word, "is not UTF-8")
		}
		if strings.ContainsFunc(word, unicode.IsControl) {
			return refusal(field, word, "has a control character")
		}
		quoted[i] = quote(word, i == 0)
	}
	*text = strings.Join(quoted, " ")
	return nil
}

// quote returns a word in single quotes, if it needs any. Blanks that follow
// each other get an empty pair of quotes between them, because the split of a
// line for ifconfig makes one blank of several, quoted or not.
func quote(word string, first bool) string {
	if word != "" && !strings.ContainsFunc(word, isSpecial) && !(first && strings.Contains(word, "=")) {
		return word
	}
	word = strings.ReplaceAll(word, "'", `'\''`)
	for strings.Contains(word, "  ") {
		word = strings.ReplaceAll(word, "  ", " '' ")
	}
	return "'" + word + "'"
}

// isSpecial reports whether a character may mean something to the shell. An
// equals sign does in the first word only, which it makes an assignment.
func isSpecial(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("_@%+:,./-=", r))
}

// refusal is an error about a value that a caller gave.
func refusal(field, value, reason string) error {
	return &ValueError{Field: field, Value: value, Reason: reason}
}

package pfrules

import (
	"fmt"
	"strings"
)

// A Macro is a name for a piece of text, used as $name.
type Macro struct {
	// Name has letters, digits and "_", and is not a keyword.
	Name string
	// Value is text that pf reads in place of the name. It may be empty.
	Value string
}

// Format returns the definition, name = "value". It is a *[ValueError] if pf
// would not read the name, or not that value, back.
func (m Macro) Format(d Dialect) (string, error) {
	if err := d.valid(); err != nil {
		return "", err
	}
	if reason := macroName(d, m.Name); reason != "" {
		return "", &ValueError{Field: "macro", Value: m.Name, Reason: reason}
	}
	reason := textReason(m.Value)
	if i := strings.IndexAny(m.Value, "$#"); reason == "" && i >= 0 {
		reason = map[byte]string{
			'$': "a macro is not expanded inside another's value",
			'#': "where the macro is used, # begins a comment",
		}[m.Value[i]]
	}
	if reason != "" {
		return "", &ValueError{Field: "macro " + m.Name, Value: m.Value, Reason: reason}
	}
	return m.Name + ` = "` + m.Value + `"`, nil
}

// macroName says what is wrong with a macro's name, "" if nothing.
func macroName(d Dialect, name string) string {
	switch {
	case name == "":
		return "a macro needs a name"
	case strings.ContainsFunc(name, func(r rune) bool { return r > 0x7f || !isAlnum(byte(r)) && r != '_' }):
		return "the name is not all letters, digits and _, so $name cannot be it"
	case strings.Trim(name, "0123456789") == "":
		return "the name is a number"
	case d.keyword(name):
		return "the name is a keyword"
	}
	return ""
}

// isMacro reports whether a statement defines a macro.
func isMacro(tokens []token) bool {
	return len(tokens) > 1 && tokens[0].isWord() && tokens[1].is("=")
}

// parseMacro reads a definition. pfctl joins the words of the value with a blank.
func parseMacro(d Dialect, tokens []token) (Macro, error) {
	name := tokens[0]
	if reason := macroName(d, name.text); reason != "" {
		return Macro{}, refusal(name, "macro %q: %s", name.text, reason)
	}
	var words []string
	for _, t := range tokens[2:] {
		switch {
		case t.kind == punctuation:
			return Macro{}, refusal(t, "macro %s: %q in a value needs quotes: unquoted it must be plain words", name.text, t.text)
		case t.kind == bareWord && d.keyword(t.text):
			return Macro{}, refusal(t, "macro %s: the keyword %q in a value needs quotes", name.text, t.text)
		case t.kind == quotedWord && strings.Contains(t.text, "$"):
			return Macro{}, refusal(t, "macro %s: a macro is not expanded inside quotes: %q", name.text, t.text)
		}
		words = append(words, t.text)
	}
	if words == nil {
		return Macro{}, refusal(name, "macro %s has no value", name.text)
	}
	return Macro{name.text, strings.Join(words, " ")}, nil
}

// refusal is an error for what pfctl refuses or misreads.
func refusal(t token, format string, args ...any) error {
	return &ParseError{Line: t.pos.line, Col: t.pos.col, Err: fmt.Errorf(format, args...)}
}

// textReason says why a text cannot stand between double quotes in every
// dialect, or would be read as another text; "" if it can.
func textReason(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			return "there is no quote inside quotes in every dialect"
		case c == '\\':
			return "a backslash inside quotes is read differently by the dialects"
		case c < ' ' || c > '~':
			return "is not all printable ASCII"
		case c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' '):
			return "blanks at the ends, or several in a row, are not kept"
		}
	}
	return ""
}

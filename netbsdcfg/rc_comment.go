package netbsdcfg

import (
	"slices"
	"strings"
)

// mark tells the lines that Comment has commented out from those that were so
// before, where Uncomment could take one for the other.
const mark = "# rehost: "

// Comment puts a # before all assignments of a variable, so that the shell does
// not see one, and reports whether it did: not if there is none, if one shares
// its line with something else (a=1 b=2) or goes on over several lines, or if
// something else may set the variable, too.
// Uncomment undoes it byte for byte. Where the file has other such lines that
// are commented out, "# rehost: " stands for the #.
//
// A default may count then: without a defaultroute, rc.d/network takes the one
// of /etc/mygate.
func (r *RC) Comment(key string) bool {
	before := RC{file: r.file, text: r.text, view: r.script()}
	for _, sign := range []string{"#", mark} {
		text, ok := r.withComments(key, sign)
		if !ok || !r.edit(text, key, nil) {
			return false
		}
		undone := RC{file: r.file, text: r.text, view: r.view}
		if undone.Uncomment(key) && undone.text == before.text {
			return true
		}
		r.text, r.view = before.text, before.view
	}
	return false
}

func (r *RC) withComments(key, sign string) (string, bool) {
	s := r.script()
	var b strings.Builder
	done := 0
	for _, a := range s.assigns {
		if a.key != key {
			continue
		}
		if !a.alone(r.text) || strings.Contains(r.text[a.from:a.to], "\n") {
			return "", false
		}
		b.WriteString(r.text[done:a.from] + sign)
		done = a.from
	}
	b.WriteString(r.text[done:])
	return b.String(), done > 0 || b.Len() > len(r.text)
}

// Uncomment brings an assignment back that is commented out, and reports
// whether it did: all that Comment has marked as its own, else the last line
// outside conditionals that is a # and then the assignment alone, such as
// "#key=value" or "# key=value". It does nothing if the variable is assigned.
func (r *RC) Uncomment(key string) bool {
	s := r.script()
	if _, ok := s.vars[key]; ok {
		return false
	}
	var b strings.Builder
	done, value := 0, ""
	for _, at := range s.comments {
		if body, ok := strings.CutPrefix(r.text[at:lineEnd(r.text, at)], mark); ok {
			if v, ok := assigned(key, body); ok {
				b.WriteString(r.text[done:at])
				done, value = at+len(mark), v
			}
		}
	}
	if done > 0 {
		return r.edit(b.String()+r.text[done:], key, &value)
	}
	if at, body, ok := r.commentedOut(key); ok {
		value, _ := assigned(key, r.text[body:lineEnd(r.text, body)])
		return r.edit(r.text[:at]+r.text[body:], key, &value)
	}
	return false
}

// commentedOut returns where the last line begins that is a # and then an
// assignment of the variable, and where the assignment begins in it.
func (r *RC) commentedOut(key string) (at, body int, ok bool) {
	for _, at := range slices.Backward(r.script().comments) {
		line := r.text[at:lineEnd(r.text, at)]
		text, marked := strings.CutPrefix(line, mark)
		if !marked {
			text = strings.TrimLeft(line[1:], " \t")
		}
		if _, ok := assigned(key, text); ok {
			return at, at + len(line) - len(text), true
		}
	}
	return 0, 0, false
}

// assigned reads a line that was commented out.
func assigned(key, line string) (value string, ok bool) {
	if !strings.Contains(line, key+"=") { // spares prose the parser
		return "", false
	}
	s := readScript(line)
	if len(s.assigns) != 1 || len(s.others) > 0 || s.assigns[0].key != key {
		return "", false
	}
	return s.assigns[0].value, true
}

// sameBut reports whether two scripts do the same, but for one variable.
func (s *script) sameBut(key string, old *script) bool {
	if s.err != nil || old.err != nil {
		return false
	}
	sameText := func(a, b other) bool { return a.text == b.text }
	if !slices.EqualFunc(s.others, old.others, sameText) {
		return false
	}
	within := func(s, t *script) bool {
		for k, i := range s.vars {
			j, ok := t.vars[k]
			if k != key && (!ok || (i == unknown) != (j == unknown) || i != unknown && s.assigns[i].value != t.assigns[j].value) {
				return false
			}
		}
		return true
	}
	return within(s, old) && within(old, s)
}

// alone reports whether an assignment has its lines for itself and a comment.
func (a assignment) alone(text string) bool {
	before := text[lineStart(text, a.from):a.from]
	after := strings.TrimLeft(text[a.to:lineEnd(text, a.to)], " \t")
	return a.words == [2]int{-1, -1} && strings.Trim(before, " \t") == "" && (after == "" || after[0] == '#')
}

// cut returns the part of the text that goes when an assignment is removed.
func (a assignment) cut(text string) (from, to int) {
	switch {
	case a.alone(text):
		from, to = lineStart(text, a.from), lineEnd(text, a.to)
		if a.to > 0 && text[a.to-1] == '\n' { // the value ends in a continuation
			to = a.to
		} else if to < len(text) {
			to++
		}
		return from, to
	case a.words[1] >= 0:
		return a.start, a.words[1]
	case a.words[0] >= 0:
		return a.words[0], a.end
	}
	after := text[a.to:lineEnd(text, a.to)]
	if rest := strings.TrimLeft(after, " \t"); rest != "" && rest[0] != '#' {
		return a.from, a.to + len(after) - len(rest)
	}
	return len(strings.TrimRight(text[:a.from], " \t")), a.to
}

// quoteLike writes a value in the quotes of an old one, or in others if those
// cannot hold it.
func quoteLike(old, value string) string {
	plain := value != ""
	for _, c := range value {
		plain = plain && (c|0x20 >= 'a' && c|0x20 <= 'z' || strings.ContainsRune("0123456789_./:@%+,-", c))
	}
	switch {
	case plain && !strings.ContainsAny(old, "\\'\""):
		return value
	case strings.HasPrefix(old, "'") && !strings.Contains(value, "'"):
		return "'" + value + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(value) + `"`
}

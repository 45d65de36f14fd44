package wgpeer

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// An edit collects changes of lines, so that line numbers hold until all are known.
type edit struct {
	lines   []string
	changed map[int]string   // "" removes the line
	behind  map[int][]string // new lines behind a line; -1 is the top
}

func newEdit(lines []string) *edit {
	return &edit{lines, map[int]string{}, map[int][]string{}}
}

func (e *edit) insert(behind int, text ...string) {
	e.behind[behind] = append(e.behind[behind], text...)
}

func (e *edit) remove(from, to int) {
	for i := from; i < to; i++ {
		e.changed[i] = ""
	}
}

// apply returns the lines as they are to be.
func (e *edit) apply() []string {
	if len(e.changed)+len(e.behind) == 0 {
		return e.lines
	}
	eol := "\n"
	if len(e.lines) > 0 && strings.HasSuffix(e.lines[0], "\r\n") {
		eol = "\r\n"
	}
	var out []string
	insert := func(behind int) {
		add := e.behind[behind]
		if n := len(out); n > 0 && len(add) > 0 && !strings.HasSuffix(out[n-1], "\n") {
			out[n-1] += eol
		}
		for _, text := range add {
			out = append(out, text+eol)
		}
	}
	insert(-1)
	for i, line := range e.lines {
		if text, ok := e.changed[i]; ok {
			line = text
		}
		if line != "" {
			out = append(out, line)
		}
		insert(i)
	}
	return out
}

// value replaces the value of a setting.
func (e *edit) value(set *setting, value string) {
	line := e.lines[set.line]
	if set.start == 0 { // it has no =
		value = set.key + " = " + value
	}
	e.changed[set.line] = line[:set.start] + value + line[set.end:]
}

// put adds a setting at the end of a section, indented as the one before it.
func (e *edit) put(s *section, key, value string) {
	indent := ""
	if len(s.settings) > 0 {
		line := e.lines[s.last(key)]
		indent = line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	}
	e.insert(s.last(key), indent+key+" = "+value)
}

func find(in []*section, key string) []*setting {
	var found []*setting
	for _, s := range in {
		found = append(found, s.find(key)...)
	}
	return found
}

func isBad(set *setting) bool { return set.bad }

func anyBad(in []*section) bool {
	return slices.ContainsFunc(in, func(s *section) bool { return slices.ContainsFunc(s.settings, isBad) })
}

// single makes sections say a value, "" for none, of a key of which the last line
// counts. It is done if they say the same already.
func (e *edit) single(in []*section, last *section, key, value string, same bool) {
	found := find(in, key)
	n := len(found)
	switch {
	case same && !slices.ContainsFunc(found, isBad):
	case value == "":
		for _, set := range found {
			e.remove(set.line, set.line+1)
		}
	case n == 0:
		e.put(last, key, value)
	default:
		e.value(found[n-1], value)
		for _, set := range found[:n-1] {
			if set.bad {
				e.remove(set.line, set.line+1)
			}
		}
	}
}

// list makes sections say the prefixes of a key of which all lines count. Words that
// stay are not touched; the others of their lines go, and new ones come at the end.
func (e *edit) list(in []*section, last *section, key string, want, have []netip.Prefix,
	split func(string) []string, read func(string) (netip.Prefix, error)) {
	found := find(in, key)
	missing := prefixSet(want)
	if !slices.ContainsFunc(found, isBad) && maps.Equal(missing, prefixSet(have)) {
		return
	}
	kept := make([][]string, len(found))
	same := make([]bool, len(found))
	for i, set := range found {
		words := split(e.lines[set.line][set.start:set.end])
		for k, word := range words {
			words[k] = strings.Trim(word, space)
			if p, err := read(word); err == nil && missing[p] {
				kept[i] = append(kept[i], words[k])
				delete(missing, p)
			}
		}
		same[i] = slices.Equal(kept[i], words)
	}
	var add []netip.Prefix
	for _, p := range want {
		if missing[p] {
			add = append(add, p)
			delete(missing, p)
		}
	}
	if n := len(found) - 1; n >= 0 && len(add) > 0 {
		kept[n], same[n] = append(kept[n], list(add)), false
	} else if len(add) > 0 {
		e.put(last, key, list(add))
	}
	for i, set := range found {
		switch {
		case len(kept[i]) == 0:
			e.remove(set.line, set.line+1)
		case !same[i]:
			e.value(set, strings.Join(kept[i], ", "))
		}
	}
}

func prefixSet(prefixes []netip.Prefix) map[netip.Prefix]bool {
	set := make(map[netip.Prefix]bool, len(prefixes))
	for _, p := range prefixes {
		set[p] = true
	}
	return set
}

// removeSection removes a peer's section and the comments that are its own.
func (e *edit) removeSection(s *section) {
	from, to := above(e.lines, s.head), s.end
	for to > s.head+1 && (isBlank(e.lines[to-1]) || isComment(e.lines[to-1])) {
		to--
	}
	next := s.end
	if next < len(e.lines) {
		next = above(e.lines, next)
	}
	for to < next && isComment(e.lines[to]) {
		to++
	}
	// One gap of two goes with it.
	switch {
	case to == len(e.lines):
		for from > 0 && isBlank(e.lines[from-1]) {
			from--
		}
	case from == 0 || isBlank(e.lines[from-1]):
		for to < s.end && isBlank(e.lines[to]) {
			to++
		}
	}
	e.remove(from, to)
}
